"""Every status of the classify table, the handler's own word over it, and Retry-After."""

import email.utils
import time

import pytest

from support.waiting import wait_until

SUCCESS = [200, 201, 202, 204, 299]
RETRY = [301, 302, 304, 307, 401, 403, 404, 405, 501, 408, 409, 425, 429, 500, 502, 503, 504, 599]
DEAD = [400, 402, 406, 410, 411, 412, 413, 415, 422, 431, 451, 499]


@pytest.fixture(scope="module")
def world(module_world):
    """Breaker and flood guard out of the way: they have their own tests."""
    route = module_world.route(
        retry__inline__max_retries=0, breaker={"failures": 5000, "distinct_keys": 1000},
        dead_letter__pause_above={"share": "100%", "records": 5000, "window": "1m"})
    module_world.start(module_world.config(route))
    for status in SUCCESS + DEAD:
        module_world.send("s%d" % status, 1, rule={"status": status})
    for status in RETRY:
        module_world.send("s%d" % status, 1, rule={"fail_first": 1, "status": status})
    # These take their time: they wait while the others run.
    module_world.send("ra3", 1, rule={"fail_first": 1, "status": 503, "retry_after": "6"})
    module_world.send("o5", 1, rule={"fail_first": 1, "status": 200, "outcome": "explode"})
    module_world.producer.flush()
    return module_world


def dead_letter(world, record):
    return wait_until(
        lambda: next((copy for copy in world.dead_letters() if copy.record_id == record), None), 15,
        "the dead letter of " + record, every=0.3)


@pytest.mark.parametrize("status", SUCCESS)
def test_success_statuses(world, status):
    record = "s%d/0/1" % status
    world.wait_effects(record)
    assert len(world.handler.calls(record)) == 1


@pytest.mark.parametrize("status", RETRY)
def test_retry_statuses(world, status):
    record = "s%d/0/1" % status
    world.wait_effects(record)
    calls = world.handler.calls(record)
    assert [call.status for call in calls] == [status, 200]
    assert [call.attempt for call in calls] == [1, 2]


@pytest.mark.parametrize("status", DEAD)
def test_dead_letter_statuses(world, status):
    record = "s%d/0/1" % status
    copy = dead_letter(world, record)
    assert copy.headers["oncegate-error-code"] == "http-%d" % status
    assert copy.headers["oncegate-http-status"] == str(status)
    assert len(world.handler.calls(record)) == 1


def test_retries_name_their_status_as_code(world):
    world.wait_effects("s%d/0/1" % status for status in RETRY)
    codes = {copy.record_id: copy.headers["oncegate-error-code"] for copy in world.dump("tier")}
    for status in RETRY:
        assert codes["s%d/0/1" % status] == "http-%d" % status


def test_outcome_header_overrides_the_status(world):
    success = world.send("o1", 1, rule={"status": 500, "outcome": "success"})
    retry = world.send("o2", 1, rule={"fail_first": 1, "status": 200, "outcome": "retry",
                                      "code": "not-yet"})
    dead = world.send("o3", 1, rule={"status": 200, "outcome": "dead-letter", "code": "bad-order"})
    drop = world.send("o4", 1, rule={"status": 500, "outcome": "drop"})
    after_drop = world.send("o4", 2)
    world.wait_effects([success, retry, after_drop])
    assert len(world.handler.calls(success)) == 1
    assert len(world.handler.calls(retry)) == 2
    assert dead_letter(world, dead).headers["oncegate-error-code"] == "bad-order"
    assert len(world.handler.calls(drop)) == 1
    assert drop not in {copy.record_id for copy in world.dead_letters() + world.dump("tier")}
    tier = [copy for copy in world.dump("tier") if copy.record_id == retry]
    assert [copy.headers["oncegate-error-code"] for copy in tier] == ["not-yet"]


def test_outcome_that_does_not_exist_is_a_retry_whatever_the_status(world):
    """Who sends one does not mean what the status says."""
    record = "o5/0/1"
    world.wait_effects(record)
    assert [call.attempt for call in world.handler.calls(record)] == [1, 2]
    codes = [copy.headers["oncegate-error-code"] for copy in world.dump("tier")
             if copy.record_id == record]
    assert codes == ["protocol"]


@pytest.mark.parametrize("key, rule, code, detail", [
    ("p1", {"status": 422, "problem": {"type": "https://x.test/problems/out-of-stock",
                                       "detail": "no more of 17"}}, "out-of-stock", "no more of 17"),
    ("p2", {"status": 422, "problem": {"type": "about:blank", "detail": "hm"}}, "http-422", "hm"),
    ("p3", {"status": 422, "code": "mine", "problem": {"type": "urn:x:y/theirs"}}, "mine", None),
    ("p4", {"status": 400, "code": "NOT A CODE!"}, "http-400", None),
])
def test_error_code_and_detail(world, key, rule, code, detail):
    record = world.send(key, 1, rule=rule)
    copy = dead_letter(world, record)
    assert copy.headers["oncegate-error-code"] == code
    if detail is not None:
        assert detail in copy.headers["oncegate-error-detail"]


def test_retry_after_in_seconds_waits_and_spends_no_attempt(world):
    record = world.send("ra1", 1, rule={"fail_first": 1, "status": 503, "retry_after": "1"})
    world.wait_effects(record)
    first, second = world.handler.calls(record)
    assert second.begin_us - first.end_us >= 1_000_000 - 1000
    assert second.attempt == 1


def test_retry_after_as_a_date_waits(world):
    until = int(time.time()) + 2
    record = world.send("ra2", 1, rule={
        "fail_first": 1, "status": 429, "retry_after": email.utils.formatdate(until, usegmt=True)})
    world.wait_effects(record)
    second = world.handler.calls(record)[1]
    assert second.begin_ms >= until * 1000 - 1


def test_retry_after_beyond_the_lane_parks_the_record(world):
    """6 s is above what waits in the lane, and above both tiers: never before its time."""
    record = "ra3/0/1"
    world.wait_effects(record, 25)
    first, second = world.handler.calls(record)
    assert second.begin_us - first.end_us >= 6_000_000 - 1000
    assert [copy for copy in world.dump("tier") if copy.record_id == record]


def test_retry_after_that_cannot_be_read_is_an_ordinary_retry(world):
    record = world.send("ra4", 1, rule={"fail_first": 1, "status": 503, "retry_after": "soon"})
    world.wait_effects(record)
    assert [call.attempt for call in world.handler.calls(record)] == [1, 2]


def test_own_table_comes_first(fresh_world):
    route = fresh_world.route(classify=[
        {"status": 404, "outcome": "dead-letter"}, {"status": "2xx", "outcome": "success"},
        {"status": ["3xx", "4xx", "5xx"], "outcome": "retry"},
        {"error": "any", "outcome": "retry", "breaker": True}])
    fresh_world.start(fresh_world.config(route))
    gone = fresh_world.send("a", 1, rule={"status": 404})
    again = fresh_world.send("b", 1, rule={"fail_first": 1, "status": 400})
    fresh_world.wait_effects(again)
    assert dead_letter(fresh_world, gone).headers["oncegate-error-code"] == "http-404"


def test_what_became_of_all(world):
    """Nothing of this file was lost, doubled or early."""
    wait_until(lambda: world.checker().report()["pending"] == 0, 30,
               lambda: str(world.checker().report()), every=0.5)
    world.check(settled=False)
