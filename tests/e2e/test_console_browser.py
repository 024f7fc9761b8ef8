"""The web page in a browser, on a console whose dead letters went the whole way: by axe, by keyboard, and with hostile
records. One world for all, and a route for each; test_console_page.py has the whole story."""

import base64
import json
import urllib.parse

import pytest

from support.browser import need_browser, need_page, play
from support.console import Console
from support.handler import Handler
from support.waiting import wait_until

MARKUP = "<script>window.owned=1</script><img src=x onerror=\"window.owned=2\"><svg onload=window.owned=3></svg><b>"
LINK = "javascript:window.owned=4"
ESCAPES = "\x1b]0;owned\x07\x1b[2J \u202egnp.exe\u202c \u2067rtl\u2069 zero\u200bwidth \U000e0041tag\u3164 \u0000 \x9b31m end"
ESCAPED = ["\\x1b]0;owned\\x07\\x1b[2J", "\\u{202e}gnp.exe\\u{202c}", "\\u{2067}rtl\\u{2069}", "zero\\u{200b}width", "\\u{e0041}tag\\u{3164}", "\\x00", "\\x9b31m"]
DEEP = "[" * 50000 + "]" * 50000
LONG = "name-" * 4000
BYTES = base64.b64encode(b"\xff\xfe\x00\x1b[2J\xc0\xaf\xed\xa0\x80<b>").decode()
HOSTILE = {
    "markup": {"key": MARKUP, "value": MARKUP + LINK, "headers": [[MARKUP, MARKUP], ["href", LINK], ["__proto__", "x"]]},
    "markup in JSON": {"key": LINK, "value": json.dumps({MARKUP: LINK, "__proto__": {"a": MARKUP}})},
    "numbers": {"key": "n", "value": '{"total":1.10,"exact":123456789012345678901234567890,"n":1,"n":2}'},
    "escapes and bidi": {"key": ESCAPES, "value": ESCAPES, "headers": [[ESCAPES.replace("\0", ""), ESCAPES]]},
    "escapes in JSON": {"key": "j", "value": json.dumps({ESCAPES: ESCAPES}, ensure_ascii=False)},
    "no UTF-8": {"key": None, "key_b64": BYTES, "value": None, "value_b64": BYTES, "headers_b64": [["bytes", BYTES]]},
    "deep JSON": {"key": "deep", "value": DEEP},
    "a key of 1 MiB": {"key": MARKUP + "K" * (1 << 20), "value": "{}"},
    "long header names": {"key": "long", "value": "{}", "headers": [[LONG, LONG]] + [["h%d" % n, MARKUP] for n in range(300)]},
    "a tombstone": {"key": "null", "value": None},
}
SEEN = {
    "markup": [MARKUP + LINK], "markup in JSON": [LINK, "<script>window.owned=1</script>"], "escapes and bidi": ESCAPED,
    "no UTF-8": ["1b 5b 32 4a"], "long header names": [LONG[:200], "h299"], "a tombstone": ["No value"],
    "numbers": ['"total": 1.10,', '"exact": 123456789012345678901234567890,', '"n": 1,', '"n": 2'],
    "by another hand": [LINK, "<img src=x"],
}
GONE = "status of 404"


def refused(detail):
    return {"status": 422, "problem": {"type": "about:blank", "detail": detail}}


class Scene:
    """The routes orders, mails and hostile; the last one has a handler that refuses all in its own words."""

    def __init__(self, world):
        self.world = world
        self.hostile = Handler(world.directory / "hostile.jsonl")
        self.hostile.control(default=refused(MARKUP + ESCAPES))
        config = world.config(world.route(), self.route("mails", world.handler), self.route("hostile", self.hostile))
        world.make_topics(config)
        for name in (self.topic("hostile"), self.hostile_dlq()):
            world.broker.configure_topic(name, "max.message.bytes=4194304")
        world.start(config)
        self.console = self.open("console", allow_changes=True, allow_edits=True)

    def route(self, name, handler):
        named = {"name": name, "topics": [self.topic(name)], "group": self.world.group + "-" + name}
        return self.world.route(**named, handler__url=handler.url)

    def hostile_dlq(self):
        return "dlq.%s-hostile.%s" % (self.world.group, self.topic("hostile"))

    def topic(self, route):
        return self.world.topic + "-" + route

    def open(self, name, **settings):
        return Console(self.world.directory, self.world.gateways[0].config, name, **settings).start()

    def lose(self, key, seq, detail, topic=None, **value):
        """A record that its handler refuses with these words."""
        self.world.handler.control(keys={key: refused(detail)})
        value = {"id": "%s/0/%d" % (key, seq), "seq": seq, "epoch": 0, **value}
        self.world.send(key, seq, topic=topic, value=json.dumps(value, separators=(",", ":")))

    def mend(self, *keys):
        self.world.handler.control(keys=dict.fromkeys(keys))

    def close(self):
        self.console.close()
        self.hostile.stop()


@pytest.fixture(scope="module")
def scene(module_world):
    scene = Scene(module_world)
    yield scene
    scene.close()


@pytest.fixture
def console(scene):
    need_page(scene.console)
    need_browser()
    scene.console.wait_jobs_known()
    return scene.console


def path_of(letter):
    return "/letters/" + letter["id"]


def settle(scene, console):
    """Letters of the route orders in every state, with a job, an archived and an edited one. {key: letter}"""
    keys = ["k%d" % number for number in range(7)]
    for key in keys[:4]:
        scene.lose(key, 1, "price service unavailable: %s" % key, order={"total": 1.10, "note": "Zoë"})
    for key in keys[4:6]:
        scene.lose(key, 1, "article 'A-20931' is not in the catalogue", order={"lines": [1, 2, 3]})
    scene.world.handler.control(keys={scene.world.topic + "|k6": refused("no order can be read")})
    scene.world.send("k6", 1, value=None, value_b64=base64.b64encode(bytes(range(256))).decode())
    letters = wait_until(lambda: (lambda got: got if set(keys) <= set(got) else None)(
        {line["key"]["text"]: line for line in console.letters(route="orders")}), 30, "letters of all keys")
    scene.mend("k0", "k1", "k5")
    scene.world.wait_effects(scene.world.send("k0", 2))
    order = {"filter": {"id": [letters["k1"]["id"], letters["k2"]["id"]]}, "group": scene.world.group, "reason": "the price service is back"}
    job = console.wait_job(console.post("/api/v1/jobs", order)["id"])
    assert (job["counts"]["resolved"], job["counts"]["failed"]) == (1, 1)
    console.post("/api/v1/archive", {"filter": {"id": [letters["k3"]["id"]]}, "reason": "the customer was told"})
    edit = {"value": {"encoding": "text", "text": '{"id":"k5/0/1","seq":1,"epoch":0}'}, "reason": "no such article"}
    console.wait_job(console.post("/api/v1/letters/%s/edit" % letters["k5"]["id"], edit)["job"])
    wait_until(lambda: len(console.letters(route="orders", state=["archived", "resolved"])) == 4, 30, "the states")
    return letters, job["id"]


def views_of(letters, job, topic):
    """See web/test/parts/views.mjs."""
    first, plain = path_of(letters["k0"]), path_of(letters["k4"])
    group = "/groups/" + letters["k0"]["signature"]
    edit = [["click", "Edit a copy…"], ["type", ["Value, JSON", '{"id":"k4/0/1","seq":1,"epoch":0,"n":1}']]]
    return [
        {"name": "overview", "path": "/", "ready": ".group", "acts": [["see", ".table"]]},
        {"name": "failures", "path": "/groups", "ready": ".group"},
        {"name": "no failure fits", "path": "/groups?route=none", "ready": ".empty"},
        {"name": "a failure", "path": group, "ready": ".rows .row", "acts": [["see", ".group-over-time"]]},
        {"name": "records", "path": "/letters?state=any&route=orders", "ready": ".rows .row"},
        {"name": "a record", "path": first, "ready": "[data-view=json]", "acts": [["see", ".words"]]},
        {"name": "a record of bytes", "path": path_of(letters["k6"]), "ready": "[data-view=hex]"},
        {"name": "an archived record", "path": path_of(letters["k5"]), "ready": ".act .tag-archived", "acts": [["read", "Went on as"]]},
        {"name": "no such record", "path": first.rsplit("/", 1)[0] + "/999", "ready": "[role=alert]", "expected": GONE},
        {"name": "redrives", "path": "/redrives", "ready": ".table"},
        {"name": "one job", "path": "/redrives/" + job, "ready": ".table", "acts": [["read", "failed again"]]},
        {"name": "keys", "path": "/keys", "ready": "form"},
        {"name": "a key", "path": "/keys/orders/%s/k0" % topic, "ready": ".words"},
        {"name": "audit", "path": "/audit", "ready": ".table"},
        {"name": "configuration", "path": "/config", "ready": ".code"},
        {"name": "help", "path": "/keys", "ready": "form", "acts": [["click", "Keyboard help"]]},
        {"name": "redrive, force", "path": group, "ready": ".rows .row", "acts": [
            ["click", "Redrive…"], ["see", "dialog .facts"], ["tick", "force"]]},
        {"name": "archive", "path": plain, "ready": "[data-view=json]", "acts": [["click", "Archive…"], ["see", "dialog .facts"]]},
        {"name": "purge", "path": plain, "ready": "[data-view=json]", "acts": [["click", "Purge"], ["see", "dialog .facts"]]},
        {"name": "import", "path": "/letters", "ready": ".rows .row", "acts": [
            ["click", "Import…"], ["give", '{"topic":"a"}\nno\n'], ["see", ".bad-lines"]]},
        {"name": "an edited copy", "path": plain, "ready": "[data-view=json]", "acts": edit},
        {"name": "what it changes", "path": plain, "ready": "[data-view=json]", "acts": [
            *edit, ["click", "Show what changes"], ["see", ".diff-in"]]},
    ]


@pytest.mark.slow
def test_axe_finds_nothing_on_any_view(scene, console):
    """In both themes and at 320 px; every record, job and key is a real one."""
    letters, job = settle(scene, console)
    play("views", console, views_of(letters, job, scene.world.topic))


def test_axe_finds_nothing_where_the_brokers_are_gone(scene, console):
    """What the index has is shown, what only Kafka has is said to be unknown; nothing is offered that would change anything."""
    scene.lose("w0", 1, "lost before the brokers went")
    letter = console.wait_letters(1, text="brokers")[0]
    away = scene.open("away")
    try:
        away.wait_letters(1, text="brokers")
        away.stop()
        away.config["kafka"]["bootstrap.servers"] = "127.0.0.1:1"
        away.start()
        away.wait_letters(1)
        play("views", away, [
            {"name": "overview", "path": "/", "ready": ".group"},
            {"name": "a record that cannot be read", "path": path_of(letter), "ready": ".empty", "acts": [["read", "The record is not shown."]]},
            {"name": "read-only", "path": "/letters", "ready": ".rows .row", "acts": [["read", "Read-only"]]},
            {"name": "redrives", "path": "/redrives", "ready": ".empty"},
            {"name": "audit", "path": "/audit", "ready": "[role=alert]", "expected": "status of 503"},
        ])
    finally:
        away.close()


def test_a_redrive_force_and_purge_by_keyboard_alone(scene, console):
    keys = ["m%d" % number for number in range(4)]
    for key in keys:
        scene.lose(key, 1, "the mail server is away", topic=scene.topic("mails"))
    console.wait_letters(4, route="mails")
    play("keyboard", console, {"letters": 4}, {"mend": lambda: scene.mend(*keys)})
    effects = scene.world.handler.effects()
    assert sorted(one for one in effects if one[0] == "m") == ["%s/0/1" % key for key in keys]
    modes = [job["mode"] for job in console.get("/api/v1/jobs")["jobs"] if "mode" in job][:2]
    assert modes == ["force", "if-newer"]
    assert "dlq.purge" in [entry["action"] for entry in console.get("/api/v1/audit")["entries"]]


def by_another_hand(scene):
    """A dead letter whose own headers are hostile, as no gateway writes it."""
    own = {"version": "1", "group": scene.world.group, "route": MARKUP + ESCAPES.replace("\0", ""), "attempt": "3", "error-code": LINK,
           "error-detail": LINK + MARKUP, "origin-topic": MARKUP, "origin-partition": "0", "origin-offset": "1", "sequence": MARKUP,
           "redrive-id": LINK, "edited-from": LINK}
    scene.world.producer.send(topic=scene.hostile_dlq(), p=0, key=LINK, value="{}", headers=[
        ["case", "by another hand"], *(["oncegate-" + name, text] for name, text in own.items())])


def test_hostile_records_stay_text(scene, console):
    """Through the gateway, with a handler that is no friend either, onto every page that shows them."""
    topic = scene.topic("hostile")
    for name, plan in HOSTILE.items():
        headers = [["seq", "1"], ["case", name], *plan.get("headers", [])]
        scene.world.producer.send(topic=topic, **{**plan, "headers": headers})
    by_another_hand(scene)
    lines = console.wait_letters(len(HOSTILE) + 1, topic=scene.hostile_dlq())
    letters = {}
    for line in lines:
        headers = {one["name"]: one["text"] for one in console.letter(line)["record"]["headers"]}
        letters[headers["case"]] = path_of(line)
    assert set(letters) == {*HOSTILE, "by another hand"}
    groups = {"/groups/%s?route=%s" % (line["signature"], urllib.parse.quote(line["route"])) for line in lines}
    assert len(groups) == 2
    lists = ["/", "/groups", "/letters?state=any", *groups, "/audit"]
    play("hostile", console, {"lists": lists, "letters": letters, "seen": SEEN})
