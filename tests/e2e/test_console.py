"""The console on real brokers: its answers against its own document, who may ask, hostile clients
and hostile records, events, and what happens to the index."""

import base64
import json
import urllib.parse

import pytest

from support.console import JSON
from support.process import make_certificate, tail
from support.stage import TOKENS, Stage, bearer
from support.waiting import wait_until

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
ESCAPES = "\x1b]0;owned\x07\x1b[2J\u202e\u0000 gone"


@pytest.fixture
def stage(fresh_world, tmp_path):
    stage = Stage(fresh_world, tmp_path)
    yield stage
    stage.close()


def test_every_answer_is_as_the_document_says(stage):
    for number in range(7):
        stage.letter(key="k%d" % (number % 2), value=json.dumps({"n": number}), code="http-422",
                     detail="card %d of customer '%d' declined" % (number, number))
    stage.letter(code="timeout", detail="")
    console = stage.console().start()
    document = console.use_document()
    assert document["openapi"].startswith("3.1")
    console.wait_letters(8)
    groups = console.get("/api/v1/groups")["groups"]
    assert sorted((group["code"], group["open"]) for group in groups) == [("http-422", 7),
                                                                         ("timeout", 1)]
    one = console.get("/api/v1/groups/" + groups[0]["signature"])["groups"]
    assert [group["signature"] for group in one] == [groups[0]["signature"]]
    assert console.ask("/api/v1/groups/0000000000000000")[0] == 404
    page = console.get("/api/v1/letters?limit=3&signature=" + groups[0]["signature"])
    assert len(page["letters"]) == 3 and page["next"]
    rest = console.get("/api/v1/letters?limit=500&signature=%s&cursor=%s" % (
        groups[0]["signature"], urllib.parse.quote(page["next"], safe="")))
    assert len(rest["letters"]) == 4 and rest["next"] == ""
    whole = console.letter(page["letters"][0])
    assert json.loads(whole["record"]["value"]["text"]) == {"n": 6}
    assert len(whole["same_key"]["letters"]) == 4
    assert {header["name"] for header in whole["record"]["headers"]} == set()
    assert whole["record"]["curl"].startswith("curl ")
    assert "oncegate-route" in {header["name"] for header in whole["record"]["own_headers"]}
    assert console.get("/api/v1/config")["yaml"].count("bootstrap.servers") == 1
    key = console.get("/api/v1/keys/orders/%s/k0" % stage.world.topic)
    assert (key["found"], len(key["letters"]), key["more"]) == (False, 4, False)
    assert console.ask("/api/v1/keys/none/x/k0")[0] == 404
    assert console.ask("/api/v1/letters/%s/0/999" % stage.dlq)[0] == 404
    at_root = console.get("/").lower()
    assert "<!doctype html>" in at_root or "without its web page" in at_root
    routes = wait_until(lambda: (lambda got: got if got["feed"]["caught_up"] else None)(
        console.get("/api/v1/overview")), 20, "caught up")["routes"]
    assert routes == [{"name": "orders", "group": stage.world.group, "open": 8, "redriving": 0}]
    wait_until(lambda: 'oncegate_dead_letters_open{route="orders"} 8\n' in console.get("/metrics"), 10,
               "the metric")
    assert {"/api/v1/letters", "/api/v1/jobs"} < set(document["paths"])


@pytest.mark.parametrize("query", [
    "limt=1", "limit=0", "limit=501", "limit=x", "state=gone", "status=6xx", "since=yesterday",
    "cursor=forged", "id=no", "route=a&route=b", "key=%", "limit=1&limit=2"])
def test_a_wrong_question_is_refused_and_told(stage, query):
    console = stage.console().start()
    console.use_document()
    status, problem = console.ask("/api/v1/letters?" + query)
    assert status == 400 and problem["status"] == 400 and problem["detail"]


def test_roles(stage):
    stage.letter()
    console = stage.console(tokens=stage.token_files(), allow_changes=True).start()
    for path in ("/api/v1/overview", "/api/v1/letters", "/api/openapi.json", "/metrics",
                 "/api/v1/events", "/api/v1/none"):
        assert console.ask(path)[0] == 401, path
        assert console.ask(path, {"Authorization": "Bearer x" + TOKENS["admin"]})[0] == 401
    assert console.ask("/livez")[0] == 200
    for role in TOKENS:
        assert console.get("/api/v1/overview", **bearer(role))["role"] == role
    basic = base64.b64encode(("ada:" + TOKENS["operator"]).encode()).decode()
    assert console.get("/api/v1/overview", Authorization="Basic " + basic)["role"] == "operator"
    assert not any(token in console.log.read_text() for token in TOKENS.values())


def test_other_sites_and_other_names_are_refused(stage):
    console = stage.console().start()
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                    {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert console.ask("/api/v1/letters", headers)[0] == 403, headers
    assert console.ask("/api/v1/letters", {"Host": "evil.example:%d" % console.port})[0] == 421
    assert console.ask("/api/v1/letters", {"Sec-Fetch-Site": "same-origin"})[0] == 200
    status, headers, _ = console.request("POST", "/api/v1/letters", b"{}", JSON)
    assert status == 405 and headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"])
def test_a_method_that_is_not_there_is_told_which_are(stage, method):
    console = stage.console().start()
    for path in ("/api/v1/letters", "/api/v1/keys/a/b/c", "/livez", "/"):
        status, headers, _ = console.request(method, path, b"{}", JSON)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), path
    if method != "POST":
        status, headers, _ = console.request(method, "/api/v1/jobs", b"{}", JSON)
        assert (status, headers["Allow"]) == (405, "GET, HEAD, POST")
    assert console.raw(b"QUERY /api/v1/letters HTTP/1.1\r\nHost: localhost\r\n\r\n"
                       ).startswith(b"HTTP/1.1 400 ")


def test_beyond_loopback_only_with_tls_and_tokens(stage):
    console = stage.console(listen="0.0.0.0:0").start(wait=False)
    assert console.child.wait(20) == 78
    assert "beyond loopback" in console.log.read_text()
    console = stage.console(listen="0.0.0.0:0", tokens=stage.token_files()).start(wait=False)
    assert console.child.wait(20) == 78
    assert "in clear" in console.log.read_text()


def test_tls(stage):
    cert, key = make_certificate(stage.directory, "localhost")
    console = stage.console(tokens=stage.token_files(),
                            tls={"cert_file": str(cert), "key_file": str(key)})
    console.tls = cert
    console.start()
    stage.letter(value="x" * 300000)
    got = wait_until(lambda: console.get("/api/v1/letters", **bearer("viewer"))["letters"], 20, "it")
    whole = console.letter(got[0], **bearer("viewer"))
    assert whole["record"]["value"]["text"] == "x" * 300000
    console.tls = None
    assert console.ask("/livez")[0] == 0  # not without


def test_too_much_and_too_slow(stage):
    console = stage.console(limits={"request": "2s", "header": "2KiB", "body": "2KiB"}).start()
    host = b"Host: localhost\r\n"
    assert console.raw(b"GET /api/v1/letters HTTP/1.1\r\n" + host + b"X: " + b"y" * 100000
                       ).startswith(b"HTTP/1.1 431 ")
    assert console.raw(b"POST /api/v1/letters HTTP/1.1\r\n" + host
                       + b"Content-Length: 999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    slow = [console.connect() for _ in range(50)]
    for sock in slow:
        sock.sendall(b"GET /api/v1/letters HTTP/1.1\r\nX-Slow: ")
    assert console.ask("/api/v1/overview")[0] == 200
    for sock in slow:
        sock.settimeout(15)
        assert sock.recv(100).startswith(b"HTTP/1.1 408 ")
        sock.close()


def test_hostile_records_are_shown_as_what_they_are(stage):
    deep = "[" * 200000
    stage.letter(key=MARKUP, value=MARKUP, headers=[["x", MARKUP]], detail=MARKUP, code="a")
    stage.letter(key=ESCAPES, value=ESCAPES, headers=[["x", ESCAPES]], detail=ESCAPES, code="b")
    stage.letter(key="big", value=deep, code="c")
    stage.letter(key="K" * (1 << 20), value="1 MiB key", code="d")
    stage.letter(key=None, value=None, code="e")
    stage.world.producer.send(topic=stage.dlq, p=0, key_b64="/wD+", value_b64="/wD+",
                              headers_b64=[["x", "//79"]])
    stage.world.producer.flush()
    console = stage.console().start()
    console.use_document()
    lines = console.wait_letters(6)
    wholes = [console.letter(line) for line in lines]
    records = [whole["record"] for whole in wholes]
    for number, text in ((0, MARKUP), (1, ESCAPES)):
        assert records[number]["value"]["text"] == text
        assert records[number]["key"]["text"] == text
        assert records[number]["headers"][0]["text"] == text
    assert records[2]["value"] == {"encoding": "json", "size": 200000, "cut": False, "text": deep}
    assert records[3]["key"]["size"] == 1 << 20 and lines[3]["key_size"] == 1 << 20
    assert records[4]["key"]["encoding"] == records[4]["value"]["encoding"] == "null"
    assert wholes[4]["same_key"] is None
    assert records[5]["value"] == {"encoding": "base64", "size": 3, "cut": False, "text": "/wD+"}
    assert records[5]["key"]["encoding"] == records[5]["headers"][0]["encoding"] == "base64"
    status, headers, body = console.request("GET", "/api/v1/letters/" + lines[0]["id"])
    assert status == 200 and headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "application/json"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"\x1b" not in console.request("GET", "/api/v1/letters?limit=500")[2] and body


def test_what_is_masked_is_nowhere(stage):
    secret = "s3cret-of-ada"
    stage.letter(value=json.dumps({"user": {"email": secret, "id": 7}}),
                 headers=[["X-Session", secret], ["trace", "t1"]])
    stage.letter(value="email=" + secret)
    stage.letter(value='{"user":{"email":"%s"}' % secret)
    stage.letter(value='{"user":{"\\u0065mail":"%s"}}' % secret)
    console = stage.console(tokens=stage.token_files(),
                            mask={"pointers": ["/user/email"], "headers": ["x-session"]}).start()
    lines = wait_until(lambda: (lambda got: got if len(got) == 4 else None)(
        console.get("/api/v1/letters", **bearer("viewer"))["letters"]), 20, "four letters")[::-1]
    for role in ("viewer", "operator"):
        for path in ["/api/v1/letters", "/api/v1/groups", "/api/v1/config",
                     *("/api/v1/letters/" + line["id"] for line in lines)]:
            status, _, body = console.request("GET", path, headers=bearer(role))
            assert status == 200 and secret.encode() not in body, path
        assert console.ask("/api/v1/letters?text=" + secret, bearer(role))[0] == 403
        assert console.ask("/api/v1/groups?text=" + secret, bearer(role))[0] == 403
    record = console.letter(lines[0], **bearer("viewer"))["record"]
    assert json.loads(record["value"]["text"]) == {"user": {"email": "***", "id": 7}}
    assert record["value"]["masked"] == ["/user/email"]
    assert [header["encoding"] for header in record["headers"]] == ["hidden", "text"]
    assert record["curl"] is None and record["curl_why"]
    for line in lines[1:3]:
        assert console.letter(line, **bearer("viewer"))["record"]["value"]["encoding"] == "hidden"
    assert secret in console.letter(lines[0], **bearer("admin"))["record"]["value"]["text"]


def test_a_new_dead_letter_arrives_live(stage):
    stage.letter()
    console = stage.console().start()
    console.wait_letters(1)
    events = console.events()
    stage.letter()
    name, number, _ = events.wait(lambda name, data: name == "groups" and
                                  data["routes"][0]["open"] == 2, "two open")
    events.close()
    stage.letter()
    console.wait_letters(3)
    back = console.events(last_id=number)
    back.wait(lambda name, data: name == "groups" and data["routes"][0]["open"] == 3, "three open")
    assert b"event: reset" not in back.text and name == "groups"
    back.close()
    other = console.events(last_id="1-1")
    other.wait(lambda name, data: name == "reset", "a reset")
    other.close()


def test_restart_goes_on_and_a_deleted_index_is_rebuilt(stage):
    for _ in range(5):
        stage.letter()
    console = stage.console().start()
    before = console.wait_letters(5)
    console.stop()
    stage.letter()
    console.start()
    assert console.wait_letters(6)[:5] == before
    console.stop()
    for path in stage.directory.glob(console.index.name + "*"):
        path.unlink()
    console.start()
    assert console.wait_letters(6)[:5] == before


def test_a_second_console_on_the_same_index_is_refused(stage):
    stage.letter()
    first = stage.console().start()
    first.wait_letters(1)
    second = stage.console(index=str(first.index)).start(wait=False)
    assert second.child.wait(20) == 75, tail(second.log)
    assert "another console keeps this index" in second.log.read_text()
    third = stage.console().start()  # with a file of its own it sees the same
    assert third.wait_letters(1) == first.wait_letters(1)


def test_without_brokers_it_shows_what_it_has(stage):
    stage.letter(value="here")
    console = stage.console().start()
    line = console.wait_letters(1)[0]
    console.stop()
    console.config["kafka"]["bootstrap.servers"] = "127.0.0.1:1"
    console.start()
    console.use_document()
    assert console.wait_letters(1)[0]["id"] == line["id"]
    whole = console.letter(line)
    assert whole["record"] is None and "brokers" in whole["record_why"]


def test_without_redis_a_key_is_answered_so(stage):
    stage.letter()
    stage.config["redis"]["url"] = "redis://127.0.0.1:1/0"
    console = stage.console().start()
    console.use_document()
    console.wait_letters(1)
    key = console.get("/api/v1/keys/orders/%s/k" % stage.world.topic)
    assert key["found"] is None and "Redis" in key["words"] and len(key["letters"]) == 1
