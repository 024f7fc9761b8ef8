"""The bench's own accounts: commits held against assignments, doubles against windows; and its
verdict: whatever is not 0 makes a row fail."""

import base64
import json
import struct

import pytest

from faults import commits, faults_produce, kafka_filter, naming, windows
from faults.row import ZERO, Row, judge
from support import checker

GROUP, TOPIC = "app", "orders"


def assignment(*partitions):
    data = struct.pack(">hih", 0, 1, len(TOPIC)) + TOPIC.encode() + struct.pack(
        ">i%di" % len(partitions), len(partitions), *partitions) + struct.pack(">i", 0)
    return base64.b64encode(data).decode()


class Log:
    def __init__(self, path):
        self.path = path
        self.lines = []

    def add(self, kind, request, response):
        body = {"requestHeader": {"requestApiKeyName": kind, "clientId": "g1"},
                "request": {"groupId": GROUP, **request}, "response": response}
        self.lines.append("%d Completed request:%s\n" % (
            len(self.lines), json.dumps(body, separators=(",", ":"))))

    def sync(self, member, generation, *partitions):
        self.add("SYNC_GROUP", {"memberId": member, "generationId": generation},
                 {"errorCode": 0, "assignment": assignment(*partitions)})

    def commit(self, member, generation, partition, offset, error=0):
        self.add("OFFSET_COMMIT", {
            "memberId": member, "generationIdOrMemberEpoch": generation,
            "topics": [{"name": TOPIC, "partitions": [
                {"partitionIndex": partition, "committedOffset": offset}]}]},
            {"topics": [{"name": TOPIC, "partitions": [
                {"partitionIndex": partition, "errorCode": error}]}]})

    def account(self):
        self.path.write_text("".join(self.lines))
        return commits.Account([self.path], GROUP)


def test_commit_of_what_was_assigned_is_owned(tmp_path):
    log = Log(tmp_path / "requests.log")
    log.sync("m1", 1, 0, 1)
    log.commit("m1", 1, 0, 5)
    log.commit("m1", 1, 1, 7)
    account = log.account()
    assert len(account.commits) == 2 and not account.unowned() and not account.rewound()


def test_commit_of_anothers_partition_is_seen(tmp_path):
    log = Log(tmp_path / "requests.log")
    log.sync("m1", 2, 0)
    log.sync("m2", 2, 1)
    log.commit("m1", 2, 1, 5)
    assert [(c.member, c.partition) for c in log.account().unowned()] == [("m1", 1)]


def test_commit_with_the_generation_before_is_seen(tmp_path):
    log = Log(tmp_path / "requests.log")
    log.sync("m1", 1, 0)
    log.commit("m1", 2, 0, 5)
    assert len(log.account().unowned()) == 1


def test_commit_that_the_broker_refused_is_none(tmp_path):
    log = Log(tmp_path / "requests.log")
    log.commit("m1", 1, 0, 5, error=22)
    account = log.account()
    assert not account.commits and not account.unowned()


def test_commit_below_an_earlier_one_is_seen(tmp_path):
    log = Log(tmp_path / "requests.log")
    log.sync("m1", 1, 0)
    log.sync("m2", 2, 0)
    log.commit("m1", 1, 0, 9)
    log.commit("m2", 2, 0, 4)
    assert [c.offset for c in log.account().rewound()] == [4]


def call(number, begin_ms, end_ms, gateway="g1", how="answer"):
    return checker.Call(n=number, record_id="k/0/1", key="k", attempt=1, idempotency_key=None,
                        begin_us=begin_ms * 1000, begin_ms=begin_ms, end_us=end_ms * 1000,
                        end_ms=end_ms, how=how, effect=True, line={"gw": gateway})


def explain(first, name="crash", gateway="g1", limit=1, begin=100, end=200):
    found = windows.Windows(3000)
    found.all.append(windows.Window(name, begin * 1000, end * 1000, gateway, limit))
    return found.explain([first])


def test_double_after_an_effect_at_the_kill_is_inside():
    assert explain(call(1, 120, 150)) == "crash"


def test_double_of_another_gateway_is_outside():
    assert explain(call(1, 120, 150, gateway="g2")) is None


def test_double_of_an_effect_long_before_is_outside():
    assert explain(call(1, 20, 50)) is None


def test_double_after_a_broken_answer_is_ambiguous():
    assert explain(call(1, 20, 50, how="reset")) == "ambiguous"


def test_double_after_an_answer_beyond_the_deadline_is_ambiguous():
    def answered(begin_ms, end_ms):
        """Sent at 7,000."""
        late = call(1, begin_ms, end_ms)
        late.line["dl"] = "1970-01-01T00:00:10.000Z"
        return explain(late)
    assert [answered(7_000, 9_000), answered(7_000, 9_970), answered(7_000, 9_980)] == [None, None, "ambiguous"]
    # The way back is as long as the way there.
    assert [answered(8_000, 8_900), answered(8_000, 8_990), answered(9_000, 9_000)] == [
        None, "ambiguous", "ambiguous"]


def test_window_explains_no_more_than_its_limit():
    found = windows.Windows(3000)
    found.crash("g1", limit=1)
    first = call(1, windows.now_us() // 1000, windows.now_us() // 1000)
    assert [found.explain([first]), found.explain([first])] == ["crash", None]


def test_third_effect_is_explained_by_the_second():
    found = windows.Windows(3000)
    found.all += [windows.Window("crash", 0, 50_000, "g1", 2), windows.Window("crash", 90_000, 150_000, "g1", 1)]
    calls = [call(1, 10, 20), call(2, 100, 110)]
    assert found.explain(calls[:1]) and found.explain(calls)
    assert [window.used for window in found.all] == [1, 1]


def judged(allow=None, doubles=0, **values):
    clean = {**dict.fromkeys(ZERO, 0), "doubled": 0, "inside": 0, "settled_s": "1.5"}
    row = Row("1-row", 1, {**clean, **values})
    judge(row, allow or {}, doubles, 60)
    return row


def test_row_of_zeros_is_good():
    assert judged().good


@pytest.mark.parametrize("column", ZERO)
def test_column_that_is_not_zero_fails_the_row(column):
    assert judged(**{column: 1}).problems == ["%s=1" % column]


@pytest.mark.parametrize("column", ZERO)
def test_column_is_bounded_by_what_the_row_allows(column):
    assert judged({column: 2}, **{column: 2}).good
    assert judged({column: 2}, **{column: 3}).problems == ["%s=3" % column]


def test_row_that_does_not_settle_fails():
    assert judged(settled_s="-").problems == ["not settled within 60 s"]


def test_double_outside_of_every_window_fails_the_row():
    assert judged(doubles=None, doubled=2, inside=1).problems == [
        "doubled outside of every window: 1"]


def test_doubles_inside_windows_are_bounded():
    assert judged(doubles=2, doubled=2, inside=2).good
    assert judged(doubles=None, doubled=9, inside=9).good
    assert judged(doubles=2, doubled=3, inside=3).problems == ["doubled=3, at most 2"]


def test_table_tells_what_has_no_column_and_what_is_allowed():
    assert judged().beyond() == []
    assert judged(lost=3).beyond() == []  # it has its column
    assert judged(rewound=2).beyond() == ["rewound: 2 (allowed: at most 0)"]
    assert judged({"order": 10}).beyond() == ["order: 0 (allowed: at most 10)"]
    assert judged({"other": 10**6}, other=7).beyond() == ["other: 7 (allowed: any number)"]


def acked(number, offset):
    return {"topic": TOPIC, "p": 0, "o": offset, "id": "k/0/%d" % number}


def test_repetitions_are_named_by_their_place():
    lines = [acked(1, 3), acked(2, 5), acked(1, 6), acked(2, 8)]
    names = naming.Names(lines)
    assert [names.of(line) for line in lines] == ["k/0/1", "k/0/2", "k/0/1/again/6", "k/0/2/again/8"]
    assert names.of_call({"id": "k/0/1", "topic": TOPIC, "p": "0", "o": "6"}) == "k/0/1/again/6"
    assert not any(names.needless(line) for line in lines)


def test_repetition_below_a_higher_version_is_stale():
    lines = [acked(1, 3), acked(2, 5), acked(1, 6), acked(2, 8)]
    names = naming.Versions(lines)
    assert [names.needless(line) for line in lines] == [False, False, True, False]


def copy_line(topic, offset, hop, at=7):
    headers = {"oncegate-origin-topic": TOPIC, "oncegate-origin-partition": "0",
               "oncegate-origin-offset": str(at), "oncegate-hop": str(hop)}
    return {"topic": topic, "p": 0, "o": offset, "t": 0, "headers": [
        [name, base64.b64encode(value.encode()).decode()] for name, value in headers.items()]}


def test_copies_beyond_one_of_a_hop_are_counted():
    copies = [copy_line("retry.app.orders.1s", 0, 1), copy_line("retry.app.orders.3s", 0, 2),
              copy_line("retry.app.orders.1s", 1, 1), copy_line("dlq.app.orders", 0, 3),
              copy_line("dlq.app.orders", 1, 4), copy_line("retry.app.orders.1s", 2, 1, at=8)]
    found = checker.Checker([], [], copies, [])
    assert sorted(faults_produce.extra_copies(found).values()) == [1, 1]
    assert not faults_produce.extra_copies(checker.Checker([], [], copies[:2] + copies[3:4], []))


def test_records_of_a_produce_request_are_counted():
    batch = bytes(57) + struct.pack(">i", 12) + bytes(40)
    topic = b"retry.app.1s"
    body = (b"\0" + b"\0" + struct.pack(">hi", -1, 1000) + b"\2" + bytes([len(topic) + 1]) + topic +
            b"\2" + struct.pack(">i", 3) + bytes([len(batch) + 1]) + batch + b"\0" + b"\0" + b"\0")
    checksum_at = body.index(batch) + 17
    assert kafka_filter.produced(body, 0) == {("retry.app.1s", 3): (12, checksum_at)}


def test_a_record_that_failed_and_was_passed_is_seen():
    acked = [{"topic": TOPIC, "p": 0, "o": 7, "key": "k", "id": "k/0/1"}]
    calls = [{"e": "b", "n": 1, "id": "k/0/1", "att": 1, "ik": "x", "t": 50, "w": 0},
             {"e": "e", "n": 1, "t": 60, "w": 0, "st": 503, "how": "answer", "eff": 0}]

    def held(committed, copies=()):
        found = checker.Checker(acked, calls, list(copies), [{"topic": TOPIC, "p": 0, "committed": committed}])
        return [found.is_open(*place) for place in faults_produce.held_back(found, 40).values()]
    assert held(7) == [True]
    assert held(8) == [False]
    waited = {**copy_line("retry.app.orders.1s", 0, 1), "t": -1}
    assert held(8, [waited]) == []
    assert held(8, [copy_line("retry.app.orders.1s", 0, 1)]) == [False]
