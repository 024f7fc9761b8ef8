"""The main road: what a handler is sent, what becomes of a stream with all kinds of trouble, and
what copies keep."""

import base64
import hashlib
import hmac
import json
import os
import re
import time

import pytest

from support.gateway import merge
from support.handler import headers_of
from support.process import make_certificate
from support.waiting import wait_until
from support.world import header


@pytest.fixture(scope="module")
def world(module_world):
    route = module_world.route(
        dedup__epoch="header:ep", handler__forward_headers=["tenant", "odd name"],
        handler__request_headers={"X-Fixed": "yes"})
    module_world.start(module_world.config(route))
    return module_world


def only_call(world, record_id):
    calls = world.wait_calls(record_id, 1)
    assert len(calls) == 1
    return calls[0]


def place_of(world, record_id):
    return next(line for line in world.acked() if line["id"] == record_id)


def test_request_carries_the_contract(world):
    record = world.send("contract", 7, epoch=3, kafka_key="k\u00e4se/1", headers=[
        ["ep", "3"], ["tenant", "acme, inc\r\nX: 1"], ["secret", "no"],
        ["content-type", "application/json"],
        ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]])
    call = only_call(world, record)
    place = place_of(world, record)
    headers = headers_of(call)

    assert call.line["body"] == base64.b64encode(json.dumps(
        {"id": record, "seq": 7, "epoch": 3}, separators=(",", ":")).encode()).decode()
    assert headers["content-type"] == "application/json"
    assert headers["ce-specversion"] == "1.0"
    assert headers["ce-type"] == "io.oncegate.record"
    assert headers["ce-source"] == "/kafka/" + world.topic
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", headers["ce-time"])
    assert headers["kafka-topic"] == world.topic
    assert headers["kafka-partition"] == str(place["p"])
    assert headers["kafka-offset"] == str(place["o"])
    assert headers["kafka-key"].lower() in ("k%c3%a4se/1", "k%c3%a4se%2f1")
    assert headers["kafka-header-tenant"].startswith("acme")
    assert "\r" not in headers["kafka-header-tenant"] and "x" not in headers
    assert "kafka-header-secret" not in headers
    assert headers["x-fixed"] == "yes"
    assert headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert headers["oncegate-attempt"] == "1"
    assert headers["oncegate-sequence"] == "7"
    assert headers["oncegate-epoch"] == "3"
    assert "oncegate-deadline" in headers
    assert "kafka-tombstone" not in headers
    key = headers["idempotency-key"]
    assert key.startswith('"og/%s/%s/' % (world.group, world.topic)) and key.endswith('/3/7"')
    assert headers["ce-id"] == key.strip('"')


def test_tombstone_is_an_empty_body_and_says_so(world):
    world.producer.send(topic=world.topic, key="tomb", headers=[["seq", "1"], ["ep", "0"]],
                        tag="tomb")
    place = wait_until(lambda: next((line for line in world.acked() if line.get("tag") == "tomb"),
                                    None), 10, "the tombstone's account")
    call = only_call(world, "%s|%d|%d" % (world.topic, place["p"], place["o"]))
    assert headers_of(call)["kafka-tombstone"] == "true"
    assert call.line["len"] == 0


def test_binary_value_arrives_to_the_byte(world):
    value = bytes(range(256)) * 20
    world.producer.send(topic=world.topic, key="binary", headers=[["seq", "1"], ["ep", "0"]],
                        value_b64=base64.b64encode(value).decode(), tag="binary")
    place = next(line for line in world.acked() if line.get("tag") == "binary")
    call = only_call(world, "%s|%d|%d" % (world.topic, place["p"], place["o"]))
    assert base64.b64decode(call.line["body"]) == value
    assert headers_of(call)["content-type"] == "application/octet-stream"


def test_copies_keep_key_value_and_headers_to_the_byte(world):
    """Repeated, null and binary headers; headers that pose as ours are stripped."""
    app = [["b", base64.b64encode(b"\xff\x00").decode()], ["a", None], ["b", ""],
           ["seq", base64.b64encode(b"1").decode()], ["ep", base64.b64encode(b"0").decode()]]
    record = "bytes/0/1"
    value = '{"id":"%s","rule":{"fail_first":2,"status":503,"code":"later"},"x":"\u00e9"}' % record
    world.producer.send(topic=world.topic, key="bytes", value=value,
                        headers_b64=app + [["oncegate-attempt", base64.b64encode(b"99").decode()]])
    world.wait_effects(record)
    calls = world.handler.calls(record)
    assert [call.attempt for call in calls] == [1, 2, 3]
    assert len({call.idempotency_key for call in calls}) == 1
    tiers = [copy for copy in world.dump("tier") if copy.record_id == record]
    assert tiers
    for copy in tiers:
        assert base64.b64decode(copy.line["key"]) == b"bytes"
        assert base64.b64decode(copy.line["value"]) == value.encode()
        kept = [pair for pair in copy.line["headers"] if not pair[0].startswith("oncegate-")]
        assert kept == app
        assert copy.number("attempt") == 2
        assert copy.headers["oncegate-origin-topic"] == world.topic
        assert copy.headers["oncegate-group"] == world.group
        assert copy.headers["oncegate-error-code"] == "later"
        assert copy.headers["oncegate-http-status"] == "503"
        assert copy.line["t"] >= calls[1].begin_ms


def test_dead_letter_says_what_happened(world):
    record = world.send("dead", 5, epoch=1, headers=[["ep", "1"]], rule={
        "status": 422, "problem": {"type": "https://example.org/problems/bad-order",
                                   "detail": "order 17 has no lines"}})
    copy = wait_until(lambda: next((c for c in world.dead_letters() if c.record_id == record), None),
                      15, "the dead letter", every=0.3)
    place = place_of(world, record)
    text = {name: header(copy, name).decode() for name in (
        "oncegate-version", "oncegate-group", "oncegate-route", "oncegate-attempt",
        "oncegate-origin-topic", "oncegate-origin-partition", "oncegate-origin-offset",
        "oncegate-origin-timestamp", "oncegate-first-failed-at", "oncegate-last-failed-at",
        "oncegate-error-code", "oncegate-error-detail", "oncegate-http-status",
        "oncegate-signature", "oncegate-sequence", "oncegate-epoch", "__dlq.errors.topic",
        "__dlq.errors.partition", "__dlq.errors.offset", "__dlq.errors.group",
        "__dlq.errors.delivery.count", "__dlq.errors.message")}
    assert copy.topic == "dlq.%s.%s" % (world.group, world.topic)
    assert text["oncegate-route"] == "orders"
    assert text["oncegate-attempt"] == "1"
    assert text["oncegate-error-code"] == "bad-order"
    assert "order 17 has no lines" in text["oncegate-error-detail"]
    assert text["oncegate-http-status"] == "422"
    assert (text["oncegate-sequence"], text["oncegate-epoch"]) == ("5", "1")
    assert text["__dlq.errors.topic"] == text["oncegate-origin-topic"] == world.topic
    assert text["__dlq.errors.partition"] == text["oncegate-origin-partition"] == str(place["p"])
    assert text["__dlq.errors.offset"] == text["oncegate-origin-offset"] == str(place["o"])
    assert text["__dlq.errors.group"] == world.group
    assert text["__dlq.errors.delivery.count"] == "1"


def test_header_too_large_for_a_request_is_named_instead(world):
    """One that is passed on, but has 700 KiB: the handler learns that it was left out."""
    record = world.send("omitted", 1, headers=[["ep", "0"], ["tenant", "t" * (700 << 10)]])
    headers = headers_of(only_call(world, record))
    assert "kafka-header-tenant" not in headers
    assert "tenant" in headers["oncegate-omitted"]


def test_dead_letter_too_large_with_its_detail_goes_without(fresh_world):
    """The record just fits its topic; headers and 4 KiB of detail more do not."""
    world = fresh_world
    config = world.config()
    limit = 20000
    world.broker.create_topics(
        world.topic + ":2", "dlq.%s.%s:2:max.message.bytes=%d" % (world.group, world.topic, limit))
    world.start(config)
    noise = base64.b64encode(os.urandom(15000)).decode()[:16500]
    rule = {"status": 422, "problem": {"type": "urn:x/long", "detail": noise[:4500]}}
    value = json.dumps({"id": "long/0/1", "rule": rule, "pad": noise[:12000]}, separators=(",", ":"))
    world.producer.send(topic=world.topic, key="long", value=value, headers=[["seq", "1"]])
    dead = world.wait_dead(1)[0]
    assert dead.record_id == "long/0/1"
    assert dead.headers["oncegate-error-code"] == "long"
    assert len(dead.headers.get("oncegate-error-detail") or "") < 100
    assert base64.b64decode(dead.line["value"]).decode() == value


def test_dead_letter_that_cannot_be_written_waits(fresh_world):
    """Nothing is lost because the dead-letter topic refuses it: its partition waits and says so."""
    world = fresh_world
    dlq = "dlq.%s.%s" % (world.group, world.topic)
    world.broker.create_topics(world.topic + ":1", dlq + ":1:max.message.bytes=2000")
    gateway = world.start()
    noise = base64.b64encode(os.urandom(6000)).decode()
    value = json.dumps({"id": "big/0/1", "rule": {"status": 422}, "pad": noise},
                       separators=(",", ":"))
    world.producer.send(topic=world.topic, key="big", value=value, headers=[["seq", "1"]])
    other = world.send("other", 1)
    world.wait_effects(other)
    gateway.wait_status("cannot be written", 15)
    assert gateway.metric("produce_failures_total", kind="too-large") > 0
    committed = world.broker.committed(world.group, world.topic)
    assert committed[0]["committed"] <= 0
    world.broker.configure_topic(dlq, "max.message.bytes=1000000")
    assert world.wait_dead(1, 30)[0].record_id == "big/0/1"
    world.wait_committed()
    world.check()


def test_stream_with_every_kind_of_trouble_loses_and_doubles_nothing(fresh_world):
    """Duplicates, first-try failures, records that fail for a while, and poison, at speed."""
    world = fresh_world
    gateway = world.start()
    stream = world.stream(count=3000, rate=1000, keys=60, dup_share=0.01, seed=7, rule=[
        '0.02:{"fail_first":1}', '0.004:{"fail_for_ms":2000}', '0.003:{"poison":true}'])
    stream.wait()
    wait_until(lambda: world.checker().report()["pending"] == 0, 40, lambda: str(
        world.checker().report()), every=0.5)
    world.wait_committed()
    row = world.check()
    assert row["effects"] + row["dead"] == 3000
    assert 1 <= row["dead"] <= 40
    poison = [copy for copy in world.dead_letters()]
    assert {copy.headers["oncegate-error-code"] for copy in poison} == {"poison"}
    assert gateway.metric("deliveries_total", outcome="success") >= row["effects"]
    assert gateway.metric("dedup_verdicts_total") >= 3000


def test_handler_on_a_unix_socket(fresh_world):
    path = str(fresh_world.directory / "app.sock")
    fresh_world.use_handler(listen=path)
    route = fresh_world.route(handler__url="http://app.local/in", handler__socket=path)
    fresh_world.start(fresh_world.config(route))
    record = fresh_world.send("k", 1)
    fresh_world.wait_effects(record)
    assert headers_of(fresh_world.handler.calls(record)[0])["host"] == "app.local"


def test_handler_by_tls_is_verified(fresh_world):
    """A certificate for another name, then one that nobody vouches for, then the right one."""
    world = fresh_world
    world.topics_made = False
    cert, key = make_certificate(world.directory, "app.test")
    other, _ = make_certificate(world.directory, "other.test")
    world.use_handler(tls=(cert, key))
    world.make_topics()
    record = world.send("k", 1)

    def run_with(**tls):
        return world.start(world.config(world.route(
            handler__tls=tls, breaker__failures=1000, retry__tiers=["300ms", "900ms"],
            retry__inline__max_retries=0)))

    for copies, tls in ((1, {"ca_file": str(cert), "server_name": "wrong.test"}),
                        (2, {"ca_file": str(other), "server_name": "app.test"})):
        gateway = run_with(**tls)
        wait_until(lambda: len(world.dump("tier")) >= copies, 15,
                   "a copy of a delivery that failed by TLS")
        assert not world.handler.calls(record)
        gateway.stop()
    run_with(ca_file=str(cert), server_name="app.test")
    world.wait_effects(record)
    codes = {copy.headers["oncegate-error-code"] for copy in world.dump("tier")}
    assert codes == {"tls"}


def test_routes_with_one_handler_share_its_connections(fresh_world):
    """Requests of two routes, one after the other, need one connection; who comes with a certificate has one of their own."""
    world = fresh_world
    cert, key = make_certificate(world.directory, "app.test")
    own_cert, own_key = make_certificate(world.directory, "own.test")
    world.use_handler(tls=(cert, key))
    tls = {"ca_file": str(cert), "server_name": "app.test"}
    own = merge(tls, {"cert_file": str(own_cert), "key_file": str(own_key)})
    gateway = world.start(world.config(*(
        world.route(name=name, topics=["%s-%s" % (world.topic, name)], group="%s-%s" % (world.group, name),
                    handler__url="%s/%s" % (world.handler.url, name), handler__tls=tls_of, handler__idle_timeout="1m")
        for name, tls_of in (("orders", tls), ("bills", tls), ("own", own)))))
    for sent, (name, connections) in enumerate((("orders", 1), ("bills", 1), ("own", 2), ("orders", 2), ("own", 2)), 1):
        record = world.send(name, sent, topic="%s-%s" % (world.topic, name))
        world.wait_effects(record)
        wait_until(lambda: gateway.metric("deliveries_total") == sent, 10, "the answer has come")
        wait_until(lambda: world.handler.stats()["connections_now"] - 1 == connections, 10,  # without the question's own
                   lambda: "%d connections, there are %s" % (connections, world.handler.stats()))


def test_signed_requests_verify(fresh_world):
    """Standard Webhooks: HMAC-SHA256 over id.timestamp.body."""
    world = fresh_world
    secret = world.directory / "secret"
    raw = b"0123456789abcdef0123456789abcdef"
    secret.write_text("whsec_" + base64.b64encode(raw).decode() + "\n")
    world.start(world.config(world.route(handler__sign_secret_files=[str(secret)])))
    record = world.send("k", 1, rule={"fail_first": 1})
    world.wait_effects(record)
    ids = set()
    for call in world.handler.calls(record):
        headers = headers_of(call)
        signed = ("%s.%s." % (headers["webhook-id"], headers["webhook-timestamp"])).encode()
        digest = hmac.new(raw, signed + base64.b64decode(call.line["body"]), hashlib.sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert "." not in headers["webhook-id"]
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
        ids.add(headers["webhook-id"])
    assert len(ids) == 1
