"""Batches: what a request of many records looks like, what becomes of each by the answer, and that a
record at fault costs its neighbours no more than one attempt."""

import base64
import hashlib
import hmac
import json

import pytest

from support.handler import headers_of
from support.waiting import holds_for, wait_until
from support.world import header

GIVEN_UP = "dead-letter"


def route_of(world, **changes):
    """One request at a time: while it is open, what is ready gathers for the next one."""
    changes = {"handler__batch": {"max_records": 100}, "handler__max_in_flight": 1, **changes}
    return world.route(**changes)


@pytest.fixture(scope="module")
def world(module_world):
    module_world.start(module_world.config(route_of(
        module_world, handler__forward_headers=["tenant", "X-Odd name"],
        handler__request_headers={"X-Fixed": "yes"})))
    return module_world


_count = 0


def together(world, send, records, claimed=True):
    """Sends records (by `send`, which returns their ids) while the one request is held up, so that the
    next request holds them all, once the ledger has answered for each."""
    global _count
    _count += 1
    gate = "gate-%d" % _count
    first = world.send("first-%d" % _count, 1, rule={"gate": gate})
    world.wait_calls(first, 1)
    gateway = world.gateways[-1]
    answered = gateway.metric("dedup_verdicts_total") + (records if claimed else 0)
    ids = send()
    world.producer.flush()
    wait_until(lambda: gateway.status()["routes"][0]["slots_used"] >= records + 1
               and gateway.metric("dedup_verdicts_total") >= answered, 20,
               lambda: "%d records gathered: %s" % (records, gateway.status_text()))
    world.handler.control(open=[gate])
    return ids


def send_each(world, name, rules):
    """One record of a key of its own for each rule, in one request."""
    return together(world, lambda: [world.send("%s-%d" % (name, i), 1, rule=rule)
                                    for i, rule in enumerate(rules)], len(rules))


def requests(world, numbers=None):
    """The requests with many records, by number."""
    return {line["in"]: line for line in world.handler.lines()
            if line["e"] == "r" and (numbers is None or line["in"] in numbers)}


def request_of(world, call):
    return requests(world)[call.line["in"]]


def events_of(line):
    return json.loads(base64.b64decode(line["body"]))


def first_calls(world, ids):
    calls = [world.wait_calls(record, 1)[0] for record in ids]
    assert len({call.line["in"] for call in calls}) == 1, "one request"
    return calls


def copy_of(world, record, kind):
    copies = wait_until(lambda: [copy for copy in world.dump(kind) if copy.record_id == record], 20,
                        "a copy of %s" % record)
    return copies[0]


def test_request_is_a_batch_of_cloudevents(world):
    def send():
        return [world.send("kaese/1", 7, kafka_key="k\u00e4se 1", headers=[
                    ["content-type", "application/json"], ["tenant", "old"], ["tenant", "acme, inc"],
                    ["X-Odd name", "caf\u00e9"], ["secret", "no"],
                    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]]),
                world.send("plain", 1)]

    ids = together(world, send, 2)
    calls = first_calls(world, ids)
    line = request_of(world, calls[0])
    headers = {name.lower(): value for name, value in line["h"]}
    rich, plain = sorted(events_of(line), key=lambda event: event["kafkakey"])
    place = next(acked for acked in world.acked() if acked["id"] == ids[0])

    assert headers["content-type"] == "application/cloudevents-batch+json"
    assert headers["x-fixed"] == "yes" and "oncegate-deadline" in headers
    assert not [name for name in headers if name.startswith(("ce-", "kafka-", "idempotency"))]
    assert rich["specversion"] == "1.0" and rich["type"] == "io.oncegate.record"
    assert rich["source"] == "/kafka/" + world.topic and rich["kafkatopic"] == world.topic
    assert rich["id"].startswith("og/%s/%s/k" % (world.group, world.topic))
    assert rich["id"].endswith("/0/7") and "idempotencykey" not in rich
    assert rich["time"].endswith("Z") and rich["partitionkey"] == "k\u00e4se 1"
    assert rich["kafkakey"] == "k%C3%A4se%201"
    assert (rich["kafkapartition"], rich["kafkaoffset"]) == (place["p"], str(place["o"]))
    assert (rich["oncegatesequence"], rich["oncegateepoch"]) == ("7", "0")
    assert rich["oncegateattempt"] == 1
    assert rich["kafkaheadertenant"] == "acme,%20inc" and "kafkaheadersecret" not in rich
    assert rich["kafkaheaderxoddname"] == "caf%C3%A9"
    assert rich["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert rich["datacontenttype"] == "application/json"
    assert rich["data"] == {"id": ids[0], "seq": 7, "epoch": 0}
    # Without a content type nobody says that it is text.
    assert plain["datacontenttype"] == "application/octet-stream" and "data" not in plain
    assert json.loads(base64.b64decode(plain["data_base64"]))["id"] == "plain/0/1"
    world.wait_effects(ids)


def test_each_record_goes_its_own_way(world):
    rules = [None, {"status": 429, "code": "busy", "fail_first": 1},
             {"outcome": GIVEN_UP, "code": "no-such-thing", "problem": {"type": "x", "detail": "n\u00f6"}},
             {"outcome": "drop"}, None]
    ids = send_each(world, "own", rules)
    first_calls(world, ids)
    world.wait_effects([ids[0], ids[1], ids[4]])
    letter = copy_of(world, ids[2], "dead")
    again = world.wait_calls(ids[1], 2)[1]

    assert header(letter, "oncegate-error-code") == b"no-such-thing"
    assert header(letter, "oncegate-http-status") == b"200"
    assert "n" in header(letter, "oncegate-error-detail").decode()
    assert again.attempt == 2 and request_of(world, again)["count"] == 1, "it failed: alone"
    assert [len(world.handler.calls(record)) for record in ids] == [1, 2, 1, 1, 1]


def test_what_the_answer_does_not_name_is_retried(world):
    ids = send_each(world, "missing", [None, {"omit": True, "fail_for_ms": 250, "stranger": True}, None])
    first_calls(world, ids)
    copy = copy_of(world, ids[1], "tier")
    world.wait_effects(ids)
    assert header(copy, "oncegate-error-code") == b"batch-missing"
    assert [len(world.handler.calls(record)) for record in (ids[0], ids[2])] == [1, 1]


def test_a_result_that_cannot_be_read_is_never_success(world):
    ids = send_each(world, "misspelt", [{"outcome": "succes", "fail_first": 1, "status": 200}, None])
    first_calls(world, ids)
    copy = copy_of(world, ids[0], "tier")
    world.wait_effects(ids)
    assert header(copy, "oncegate-error-code") == b"batch-unreadable"
    assert len(world.handler.calls(ids[1])) == 1


@pytest.mark.parametrize("body, code", [
    ("", b"batch-missing"), ('{"results":[]}', b"batch-missing"), ("ok", b"batch-unreadable"),
    ('{"ok":true}', b"batch-unreadable"), ('{"results":[{"outcome":"success"}]}', b"batch-unreadable"),
    ('{"results":[{"id":"nobody","outcome":"success"}]}', b"batch-missing")])
def test_an_answer_that_names_nobody_is_of_nobody(world, body, code):
    name = "nobody-%s" % hashlib.sha256(body.encode()).hexdigest()[:6]
    ids = send_each(world, name, [{"results": body, "fail_first": 1, "status": 200}, None])
    first_calls(world, ids)
    copies = [copy_of(world, record, "tier") for record in ids]
    world.wait_effects(ids)
    assert [header(copy, "oncegate-error-code") for copy in copies] == [code, code]


def test_the_header_speaks_for_those_that_the_results_do_not_name(world):
    ids = send_each(world, "terse", [{"terse": True}, {"outcome": GIVEN_UP, "code": "bad"}, None])
    first_calls(world, ids)
    world.wait_effects([ids[0], ids[2]])
    assert header(copy_of(world, ids[1], "dead"), "oncegate-error-code") == b"bad"
    body = [len(world.handler.calls(record)) for record in ids]
    assert body == [1, 1, 1]


def test_a_status_that_gives_up_is_asked_of_each_record_alone(world):
    ids = send_each(world, "poison", [None, {"status": 422, "whole": True, "code": "poison"}, None])
    first_calls(world, ids)
    letter = copy_of(world, ids[1], "dead")
    world.wait_effects([ids[0], ids[2]])
    assert header(letter, "oncegate-error-code") == b"poison"
    for record in ids:
        calls = world.handler.calls(record)
        assert [call.attempt for call in calls] == [1, 1], "nothing was known of it: no attempt is spent"
        assert request_of(world, calls[1])["count"] == 1
    assert not [copy for copy in world.dump("dead") if copy.record_id in (ids[0], ids[2])]


def test_a_request_that_failed_is_retried_record_by_record(world):
    """Though all of it is ready again while the one request is taken by a record that waited behind it."""
    gateway = world.gateways[0]
    ids = send_each(world, "failed", [None, {"gate": "failed", "status": 500, "whole": True, "fail_first": 1},
                                      None])
    first_calls(world, ids)
    behind = world.send("behind", 1, rule={"gate": "behind"})
    world.producer.flush()
    wait_until(lambda: gateway.status()["routes"][0]["slots_used"] >= 4, 20, "one more gathered")
    answered = gateway.metric("dedup_verdicts_total")
    world.handler.control(open=["failed"])
    world.wait_calls(behind, 1)
    wait_until(lambda: gateway.status()["routes"][0]["slots_used"] >= 4
               and gateway.metric("dedup_verdicts_total") >= answered + 3, 20, "all of it is ready again")
    world.handler.control(open=["behind"])
    world.wait_effects(ids + [behind])
    for record in ids:
        calls = world.handler.calls(record)
        assert [call.attempt for call in calls] == [1, 2]
        assert request_of(world, calls[1])["count"] == 1


def test_a_record_that_resets_the_connection_costs_its_neighbours_one_attempt(world):
    ids = send_each(world, "crash", [None, {"how": "reset", "fail_first": 3, "status": 200}, None])
    first_calls(world, ids)
    world.wait_effects(ids, timeout=40)
    for record in (ids[0], ids[2]):
        assert [call.attempt for call in world.handler.calls(record)] == [1, 2]
    assert len(world.handler.calls(ids[1])) == 4
    for record in ids:  # what may have had its effect is not asked for again at once
        assert header(copy_of(world, record, "tier"), "oncegate-error-code") == b"reset"


def test_retry_after_of_a_request_holds_all_of_it(world):
    """Whether they go together again depends on the moment: nothing waits for a request to fill."""
    ids = send_each(world, "later", [None, {"status": 429, "whole": True, "retry_after": "1",
                                            "fail_first": 1}, None])
    first_calls(world, ids)
    world.wait_effects(ids)
    for record in ids:
        first, second = world.handler.calls(record)
        assert second.attempt == 1 and second.begin_us - first.begin_us >= 1_000_000


def test_records_that_are_events_keep_what_they_say(world):
    whole = {"specversion": "1.0", "id": "e\u20ac-1", "source": "/app", "type": "t", "kafkaoffset": "99",
             "data": {"id": "structured/0/1"}}

    def send():
        binary = world.send("binary", 1, headers=[
            ["ce_specversion", "1.0"], ["ce_id", "b-1"], ["ce_source", "/app"], ["ce_type", "t"],
            ["ce_tenant", "acme"], ["ce_oncegateattempt", "7"], ["content-type", "text/plain"]])
        world.producer.send(topic=world.topic, key="structured", tag="structured",
                            headers=[["seq", "1"], ["content-type", "application/cloudevents+json"]],
                            value=json.dumps(whole, ensure_ascii=False))
        return [binary]

    ids = together(world, send, 2)
    line = request_of(world, world.wait_calls(ids[0], 1)[0])
    binary, structured = sorted(events_of(line), key=lambda event: event["kafkakey"])
    world.wait_effects(ids)

    assert (binary["id"], binary["source"], binary["type"]) == ("b-1", "/app", "t")
    assert binary["tenant"] == "acme" and binary["oncegateattempt"] == 1 and "time" not in binary
    assert binary["idempotencykey"].endswith("/binary/0/1")
    assert json.loads(binary["data"])["id"] == ids[0] and binary["datacontenttype"] == "text/plain"
    for name in ("id", "source", "type", "data"):
        assert structured[name] == whole[name]
    assert structured["kafkaoffset"] != "99" and structured["oncegatesequence"] == "1"
    assert structured["idempotencykey"].endswith("/structured/0/1")
    world.wait_committed()


def test_bytes_that_are_not_what_they_are_called_arrive_to_the_bit(world):
    values = {"broken": b'{"a":', "latin": b"caf\xe9", "bom": b"\xef\xbb\xbf{}", "empty": b""}
    types = {"latin": "text/plain"}

    def send():
        for name, value in values.items():
            world.producer.send(topic=world.topic, key="odd-" + name, tag=name,
                                value_b64=base64.b64encode(value).decode(),
                                headers=[["seq", "1"], ["content-type",
                                                        types.get(name, "application/json")]])
        world.producer.send(topic=world.topic, key="odd-tomb", headers=[["seq", "1"]], tag="tomb")

    together(world, send, 5)
    found = wait_until(lambda: (lambda events: events if len(events) == 5 else None)({
        event["kafkakey"][4:]: event for line in requests(world).values() for event in events_of(line)
        if event["kafkakey"].startswith("odd-")}), 20, "five events")
    for name, value in values.items():
        assert base64.b64decode(found[name]["data_base64"]) == value and "data" not in found[name]
    assert found["tomb"]["kafkatombstone"] is True
    assert "data" not in found["tomb"] and "data_base64" not in found["tomb"]
    world.wait_committed()


def test_deliveries_are_counted_by_record_and_requests_by_request(world):
    gateway = world.gateways[0]
    before = gateway.metric("deliveries_total"), gateway.metric("handler_duration_seconds_count")
    ids = send_each(world, "counted", [None] * 20)
    first_calls(world, ids)
    world.wait_effects(ids)
    wait_until(lambda: gateway.metric("deliveries_total") == before[0] + 21, 10, "21 deliveries")
    assert gateway.metric("handler_duration_seconds_count") == before[1] + 2


# Worlds of their own: other settings, several gateways, kills.

def start(world, **changes):
    return world.start(world.config(route_of(world, **changes)))


def test_signature_is_of_the_whole_batch(fresh_world):
    world = fresh_world
    (world.directory / "secret").write_text("raw secret")
    start(world, handler__sign_secret_files=[str(world.directory / "secret")], handler__hide_key=True,
          retry__inline={"max_retries": 0})
    ids = send_each(world, "signed", [None, {"how": "close", "fail_first": 1, "status": 200}])
    call = first_calls(world, ids)[0]
    line = request_of(world, call)
    headers = {name.lower(): value for name, value in line["h"]}
    signed = "%s.%s." % (headers["webhook-id"], headers["webhook-timestamp"])
    mac = hmac.new(b"raw secret", signed.encode() + base64.b64decode(line["body"]), hashlib.sha256)
    assert headers["webhook-signature"] == "v1," + base64.b64encode(mac.digest()).decode()
    for event in events_of(line):
        assert event["kafkakey"].startswith("sha256:") and event["partitionkey"].startswith("sha256:")
        assert "signed-" not in event["id"]
    world.wait_effects(ids, timeout=40)


def test_max_bytes_bounds_a_request_and_a_larger_record_goes_alone(fresh_world):
    world = fresh_world
    start(world, handler__batch={"max_records": 100, "max_bytes": "8KiB"})
    pad = {"delay_ms": 0, "problem": {"type": "x", "detail": "y" * 2000}}
    large = {"delay_ms": 0, "problem": {"type": "x", "detail": "y" * 20000}}

    def send():
        return [world.send("pad-%d" % i, 1, rule=large if i == 4 else pad) for i in range(9)]

    ids = together(world, send, 9)
    world.wait_effects(ids)
    lines = [line for line in requests(world).values() if any(
        event["kafkakey"].startswith("pad-") for event in events_of(line))]
    assert sum(line["count"] for line in lines) == 9
    assert all(line["len"] <= 8192 or line["count"] == 1 for line in lines), [
        (line["len"], line["count"]) for line in lines]
    assert max(line["count"] for line in lines) > 1


def test_a_stream_with_all_kinds_of_trouble_keeps_every_promise(fresh_world):
    world = fresh_world
    start(world, handler__max_in_flight=4, handler__batch={"max_records": 50})
    stream = world.stream(keys=60, count=3000, rate=1500, seed=7, dup_share=0.05, rule=[
        '0.02:{"fail_first":1}', '0.01:{"omit":true,"fail_first":1}', '0.005:{"poison":true}',
        '0.01:{"outcome":"drop"}', '0.003:{"status":422,"whole":true,"fail_first":1}',
        '0.003:{"status":503,"whole":true,"fail_first":2}', '0.02:{"delay_ms":20}',
        '0.002:{"results":"nonsense","status":200,"fail_first":1}'])
    stream.wait(60)
    world.wait_committed(90)
    row = world.check()
    assert row["doubled"] == 0
    counts = [line["count"] for line in requests(world).values()]
    assert max(counts) > 5
    for line in requests(world).values():
        keys = [event["kafkakey"] for event in events_of(line)]
        assert len(keys) == len(set(keys)), "one record of a key in a request"


def test_breaker_opens_by_requests_and_probes_with_one_record(fresh_world):
    world = fresh_world
    gateway = start(world, handler__max_in_flight=2, breaker={"failures": 6, "distinct_keys": 3})
    world.handler.control(outage=True)
    ids = [world.send("down-%d" % i, 1) for i in range(60)]
    world.producer.flush()
    wait_until(lambda: gateway.metric("breaker_open") > 0, 20, "the breaker opens")
    opened = max(requests(world))

    def probes():
        return [line for number, line in requests(world).items() if number > opened + 2]

    wait_until(lambda: len(probes()) >= 3, 20, "it is probed")
    assert all(line["count"] == 1 for line in probes())
    world.handler.control(outage=False)
    world.wait_effects(ids, timeout=40)
    world.wait_committed()
    assert gateway.metric("dead_letters_total") == 0
    world.check()


def test_pause_of_one_record_holds_the_route_and_the_others_end(fresh_world):
    world = fresh_world
    gateway = start(world)
    ids = send_each(world, "pause", [None, {"outcome": "pause", "fail_first": 1, "status": 200}, None])
    world.wait_effects([ids[0], ids[2]])
    gateway.wait_status("paused")
    holds_for(lambda: not world.handler.effects().count(ids[1]), 1, "nothing is delivered")
    assert gateway.ask("POST", "/routes/orders/resume")[0] in (200, 202, 204)
    world.wait_effects(ids)
    assert [len(world.handler.calls(record)) for record in ids] == [1, 2, 1]


def test_kill_in_mid_batch_loses_nothing_and_keeps_order(fresh_world):
    world = fresh_world
    gateway = start(world)
    ids = send_each(world, "killed", [{"gate": "kill"} if i == 3 else None for i in range(20)])
    ids += [world.send("killed-%d" % i, 2) for i in range(20)]
    world.wait_calls(ids[3], 1)
    gateway.kill()
    world.handler.control(open=["kill"])
    wait_until(lambda: set(ids[:20]) <= set(world.handler.effects()), 10, "the handler went on")
    start(world)
    world.wait_effects(ids, timeout=40)
    world.wait_committed(30)
    row = world.check(doubled=20)
    assert row["doubled"] == 20, "all of the request, and nothing else"


def test_revoke_in_mid_batch_hands_over_what_was_not_sent(fresh_world):
    world = fresh_world
    start(world)
    sent = send_each(world, "sent", [{"gate": "revoke"} if i == 0 else None for i in range(6)])
    first_calls(world, sent)
    waits = [world.send("waits-%d" % i, 1) for i in range(20)]
    world.producer.flush()
    wait_until(lambda: world.gateways[0].status()["routes"][0]["slots_used"] >= 26, 20, "20 more gathered")
    start(world)
    wait_until(lambda: all(gateway.metric("partitions_assigned") > 0 for gateway in world.gateways), 20,
               "both have partitions")
    world.handler.control(open=["revoke"])
    world.wait_effects(sent + waits, timeout=40)
    world.wait_committed(30)
    # What the drain cut off was at the handler: it may come twice, once for each of them.
    row = world.check(doubled=6)
    assert not [record for record in waits if len(world.handler.calls(record)) > 1], row


def test_at_most_once_sends_batches_and_retries_nothing(fresh_world):
    world = fresh_world
    gateway = start(world, delivery="at-most-once", retry=None)
    ids = send_each(world, "once", [None, {"status": 422, "whole": True}, None])
    requests_of = [world.wait_calls(record, 1)[0].line["in"] for record in ids]
    spoilt = requests_of.count(requests_of[1])  # a commit may come between them
    world.wait_dead(spoilt)
    assert [len(world.handler.calls(record)) for record in ids] == [1, 1, 1]
    more = send_each(world, "more", [None, {"omit": True}, None])
    world.wait_effects([more[0], more[2]])
    world.wait_dead(spoilt + 1)
    assert gateway.metric("deliveries_total") == 8


def test_no_order_and_no_ledger_goes_in_batches_too(fresh_world):
    world = fresh_world
    start(world, ordering="none", dedup={"identity": "none", "from": None})
    ids = together(world, lambda: [world.send("same", i + 1) for i in range(10)], 10, claimed=False)
    call = world.wait_calls(ids[0], 1)[0]
    assert request_of(world, call)["count"] == 10
    world.wait_effects(ids)
    world.wait_committed()
