"""A world whose dead letters are written by hand, its consoles, and who may ask them."""

from support.console import Console

TOKENS = {role: role + "-token-0123456789abcdef" for role in ("viewer", "operator", "admin")}


def bearer(role):
    return {"Authorization": "Bearer " + TOKENS[role]}


def token_files(directory):
    """As console.tokens has them."""
    for role, token in TOKENS.items():
        (directory / role).write_text(token + "\n", encoding="utf-8")
    return {role + "_file": str(directory / role) for role in TOKENS}


class Stage:
    """Ended by close()."""

    def __init__(self, world, directory):
        self.world = world
        self.directory = directory
        self.config = world.config(world.route(handler={"url": "http://127.0.0.1:9/none"}))
        world.make_topics(self.config)
        self.dlq = "dlq.%s.%s" % (world.group, world.topic)
        self.consoles = []
        self.sent = 0

    def letter(self, key="k", value="{}", headers=(), code="http-422", detail="no", **plan):
        """One dead letter, as the gateway writes it."""
        self.sent += 1
        own = {"version": "1", "group": self.world.group, "route": "orders", "attempt": "3",
               "origin-topic": self.world.topic, "origin-partition": "0",
               "origin-offset": str(self.sent), "origin-timestamp": "1767323045678",
               "first-failed-at": "1767323045678", "last-failed-at": "1767323045999",
               "error-code": code, "error-detail": detail, "http-status": "422"}
        lines = [*headers, *(["oncegate-" + name, text] for name, text in own.items())]
        self.put(key=key, value=value, headers=lines, **plan)

    def put(self, **plan):
        """Any record of the dead-letter topic."""
        self.world.producer.send(topic=self.dlq, p=0, **plan)

    def console(self, name=None, **settings):
        console = Console(self.directory, self.config, name or "console%d" % (len(self.consoles) + 1),
                          **settings)
        self.consoles.append(console)
        return console

    def token_files(self):
        return token_files(self.directory)

    def close(self):
        for console in self.consoles:
            console.close()
