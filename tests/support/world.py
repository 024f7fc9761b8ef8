"""One test's world: a fresh topic and group on the session's broker, a private Redis, a handler, and
the gateways that the test starts; check() asks the checker what became of everything."""

import base64
import itertools
import json
import os

from support import checker
from support.broker import Producer, Stream
from support.gateway import Gateway, command, merge, to_yaml
from support.handler import Handler
from support.held import HeldAnswers
from support.process import tail
from support.redis_server import Redis
from support.waiting import wait_until

SESSION = os.urandom(3).hex()
_numbers = itertools.count(1)


class World:
    """Everything is made on first use, so that a test pays for what it touches."""

    partitions = 2

    def __init__(self, directory, broker):
        number = next(_numbers)
        self.directory = directory
        self.broker = broker
        self.topic = "orders-%s-%d" % (SESSION, number)
        self.group = "app-%s-%d" % (SESSION, number)
        self.account = directory / "acked.jsonl"
        self.handler_log = directory / "handler.jsonl"
        self.gateways = []
        self.streams = []
        self.topics_made = False
        self.timeout_ms = 3000
        self._redis = self._handler = self._producer = self._held = None

    @property
    def redis(self):
        if self._redis is None:
            self._redis = Redis(self.directory / "redis")
        return self._redis

    @property
    def held(self):
        """Another way to Redis, on which a test can hold the answers back: {"url": world.held.url}"""
        if self._held is None:
            self._held = HeldAnswers(self.directory / "held.sock", self.redis.socket_path)
        return self._held

    @property
    def handler(self):
        if self._handler is None:
            self._handler = Handler(self.handler_log)
        return self._handler

    def use_handler(self, **options):
        self._handler = Handler(self.handler_log, **options)
        return self._handler

    @property
    def producer(self):
        if self._producer is None:
            self._producer = Producer(self.broker, self.account)
        return self._producer

    # Configuration and topics

    def route(self, **changes):
        """A route with short times; dotted names reach in: retry__tiers=[...]"""
        base = {
            "name": "orders",
            "topics": [self.topic],
            "group": self.group,
            "commit": {"every": "100ms"},
            "dedup": {"from": "header:seq"},
            "handler": {"url": self.handler.url, "timeout": "%dms" % self.timeout_ms,
                        "connect_timeout": "500ms"},
            "retry": {
                "inline": {"max_retries": 1, "initial": "20ms", "max": "100ms"},
                "tiers": ["300ms", "900ms"],
                "give_up_after": "1h",
            },
            "breaker": {"probe_every": "300ms"},
            "shutdown": {"drain": "5s"},
            "rebalance": {"drain": "1s"},
        }
        for dotted, value in changes.items():
            nested = value
            for name in reversed(dotted.split("__")[1:]):
                nested = {name: nested}
            base = merge(base, {dotted.split("__")[0]: nested})
        return base

    def config(self, *routes, **changes):
        base = {
            "version": 1,
            "kafka": {"bootstrap.servers": self.broker.bootstrap, "session.timeout.ms": 6000,
                      "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 50},
            "redis": {"url": self.redis.url, "timeout": "1s"},
            "log": {"level": "info", "format": "json"},
            "routes": list(routes) or [self.route()],
        }
        return merge(base, changes)

    def copy_topics(self, config=None):
        """Retry, redrive and dead-letter topics of all routes, as far as they exist."""
        groups = {route["group"] for route in (config or self.config())["routes"]}
        groups |= {route["group"] for gateway in self.gateways for route in gateway.config["routes"]}
        wanted = tuple("%s.%s." % (kind, group) for kind in ("retry", "dlq") for group in groups)
        return sorted(name for name in self.broker.topics() if name.startswith(wanted))

    def make_topics(self, config=None):
        """The source topics by hand, the others by the gateway's own `topics apply`."""
        config = config or self.config()
        have = self.broker.topics()
        missing = [topic for route in config["routes"] for topic in route["topics"]
                   if topic not in have]
        if missing:
            self.broker.create_topics(*("%s:%d" % (topic, self.partitions) for topic in missing))
        path = self.directory / "topics.yaml"
        path.write_text(to_yaml(config) + "\n", encoding="utf-8")
        command("topics", "apply", "--yes", config=path, check=0)
        self.topics_made = True

    # Gateways

    def gateway(self, config=None, name=None):
        """A gateway that is not started yet."""
        config = config or self.config()
        if not self.topics_made:
            self.make_topics(config)
        gateway = Gateway(self.directory, config, name or "gateway%d" % (len(self.gateways) + 1))
        self.gateways.append(gateway)
        return gateway

    def start(self, config=None, **options):
        return self.gateway(config).start(**options)

    # Records

    def send(self, key, seq, rule=None, epoch=0, topic=None, headers=(), seq_header="seq",
             kafka_key=None, **plan):
        """One numbered record; returns its id. `rule` steers the handler; kafka_key is for a key
        that shall not stand in the id."""
        record_id = "%s/%d/%d" % (key, epoch, seq)
        value = {"id": record_id, "seq": seq, "epoch": epoch}
        if rule is not None:
            value["rule"] = rule
        head = [[seq_header, str(seq)]] if seq_header else []
        record = {"topic": topic or self.topic, "key": kafka_key or key, "headers": head + list(headers),
                  "value": json.dumps(value, separators=(",", ":"))}
        self.producer.send(**merge(record, plan))
        return record_id

    def stream(self, **options):
        """A generated stream that runs in the background."""
        if not self.topics_made:
            self.make_topics()
        options.setdefault("keys", 40)
        stream = Stream(self.broker, self.topic, self.account, **options)
        self.streams.append(stream)
        return stream

    # What became of it

    def acked(self):
        if self._producer is not None:
            self._producer.flush()
        return checker.read_lines(self.account) if self.account.exists() else []

    def dump(self, kind):
        """Copies of one kind: tier, dead or redrive."""
        topics = [name for name in self.copy_topics() if checker.kind_of(name) == kind]
        return self.read_copies(self.broker.dump(*topics))

    def read_copies(self, lines):
        id_at = {(line["topic"], line["p"], line["o"]): line["id"] for line in self.acked()
                 if line.get("id")}
        return checker.read_copies(lines, id_at)

    def dead_letters(self):
        return self.dump("dead")

    def checker(self):
        copies = self.copy_topics()
        sources = {topic for gateway in self.gateways for route in gateway.config["routes"]
                   for topic in route["topics"]} or {self.topic}
        acked = self.acked()
        committed = self.broker.committed(self.group, *sorted(sources), *(
            name for name in copies if name.startswith("retry.")))
        dumped = self.broker.dump(*copies)
        return checker.Checker(acked, self.handled(), dumped, committed, self.timeout_ms)

    def handled(self):
        """The handler's account, as the checker shall see it."""
        return self.handler.lines()

    def check(self, settled=True, **allow):
        """The checker's row; fails on a violation beyond what is allowed (doubled=3)."""
        found = self.checker()
        row = found.report()
        bad = checker.violations(row, allow)
        if settled and row["pending"]:
            bad["pending"] = row["pending"]
        assert not bad, "%s\n%s" % (checker.format_row(row), "\n".join(
            "%s: %s" % (name, text) for name in bad for text in found.details[name][:10]))
        return row

    def wait_effects(self, ids, timeout=20):
        """Waits until each of these records has an effect."""
        ids = {ids} if isinstance(ids, str) else set(ids)
        wait_until(lambda: ids <= set(self.handler.effects()), timeout,
                   lambda: "effects of %s" % sorted(ids - set(self.handler.effects()))[:10])

    def wait_all_effects(self, timeout=30, but=()):
        """Waits until each acknowledged record, but some, has an effect."""
        self.wait_effects({line["id"] for line in self.acked()} - set(but), timeout)

    def wait_calls(self, record_id, count, timeout=20):
        """Waits until a record was delivered so many times; its calls."""
        return wait_until(lambda: (lambda calls: calls if len(calls) >= count else None)(
            self.handler.calls(record_id)), timeout,
            lambda: "%d calls of %s, there are %d" % (
                count, record_id, len(self.handler.calls(record_id))))

    def wait_committed(self, timeout=20):
        """Waits until the group has committed all source and retry topics to their end."""
        def all_done():
            topics = {line["topic"] for line in self.acked()}
            topics |= {name for name in self.copy_topics() if name.startswith("retry.")}
            lines = self.broker.committed(self.group, *sorted(topics))
            return all(max(line["committed"], 0) >= line["hi"] or line["hi"] == 0 for line in lines)

        wait_until(all_done, timeout, lambda: "everything committed: %s" % [
            line for line in self.broker.committed(self.group, self.topic, *self.copy_topics())
            if line["committed"] < line["hi"] and line["topic"][:4] != "dlq."], every=0.3)

    def wait_dead(self, count, timeout=20):
        """Waits for so many dead letters; all that are there then."""
        wait_until(lambda: sum(g.metric("dead_letters_total") for g in self.gateways if g.alive())
                   >= count, timeout, "%d dead letters by the metric" % count)
        return wait_until(lambda: (lambda dead: dead if len(dead) >= count else None)(
            self.dead_letters()), timeout, "%d dead letters in the topic" % count, every=0.3)

    def show(self):
        """What a failed test wants to see."""
        text = []
        for gateway in self.gateways:
            text.append("--- %s: status\n%s" % (
                gateway.name, gateway.status_text() if gateway.alive() else "(not running)"))
            text.append("--- %s: end of its log\n%s" % (gateway.name, tail(gateway.log)))
        return "\n".join(text)

    def close(self):
        """Ends all; a gateway that still runs must end in order."""
        for stream in self.streams:
            if stream.running():
                stream.process.kill()
                stream.process.wait()
        failures = []
        for gateway in self.gateways:
            if gateway.alive():
                try:
                    gateway.stop()
                except AssertionError as error:
                    failures.append(error)
        for part in (self._producer, self._handler, self._held, self._redis):
            if part is not None:
                part.close() if isinstance(part, (Producer, HeldAnswers)) else part.stop()
        if failures:
            raise failures[0]


def header(copy, name):
    """A header of a copy as bytes: the only one of its name."""
    values = [value for have, value in copy.line["headers"] if have == name]
    assert len(values) == 1, "%s: %d times" % (name, len(values))
    return None if values[0] is None else base64.b64decode(values[0])
