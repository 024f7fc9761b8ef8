"""The checker itself: a clean run is clean, and each planted fault is seen in its column alone."""

import base64
import json
import subprocess
import sys

import pytest

from support import checker

TOPIC = "orders"
TIER = "retry.app.orders.1s"
DEAD = "dlq.app.orders"


class Run:
    """Accounts of a small run that the tests then spoil."""

    def __init__(self):
        self.acked, self.handler, self.copies, self.committed = [], [], [], []
        self.clock_us = 1_000_000
        self.requests = 0

    def produce(self, record_id, offset):
        self.acked.append({"topic": TOPIC, "p": 0, "o": offset, "key": "azE=", "id": record_id, "t": 1})

    def begin(self, record_id, attempt=1, key=None):
        self.requests += 1
        self.handler.append({"e": "b", "n": self.requests, "t": self.clock_us,
                             "w": self.clock_us // 1000, "id": record_id, "att": str(attempt),
                             "ik": key or "og/" + record_id})
        return self.requests

    def end(self, request, status=200, effect=True, outcome=""):
        self.handler.append({"e": "e", "n": request, "t": self.clock_us, "w": self.clock_us // 1000,
                             "st": status, "how": "answer", "out": outcome, "eff": int(effect)})

    def wait(self, ms):
        self.clock_us += ms * 1000

    def call(self, record_id, status=200, attempt=1, outcome="", key=None):
        request = self.begin(record_id, attempt, key)
        self.wait(10)
        self.end(request, status, status < 300 and outcome in ("", "success"), outcome)
        self.wait(1)

    def copy(self, topic, record_id, source_offset, offset, hop=1, attempt=1, due_ms=None, log_append=False):
        now = self.clock_us // 1000
        headers = {"oncegate-origin-topic": TOPIC, "oncegate-origin-partition": 0,
                   "oncegate-origin-offset": source_offset, "oncegate-hop": hop,
                   "oncegate-attempt": attempt, "oncegate-not-before": due_ms or now}
        if attempt > 0:
            headers["oncegate-first-failed-at"] = now
        self.copies.append({
            "topic": topic, "p": 0, "o": offset, "t": now, "key": "azE=", "log_append": log_append,
            "value": base64.b64encode(('{"id":"%s"}' % record_id).encode()).decode(),
            "headers": [[name, base64.b64encode(str(value).encode()).decode()]
                        for name, value in headers.items()]})

    def commit(self, source, tier=0):
        self.committed = [{"topic": TOPIC, "p": 0, "committed": source},
                          {"topic": TIER, "p": 0, "committed": tier}]

    def report(self, timeout_ms=None):
        return checker.Checker(self.acked, self.handler, self.copies, self.committed,
                               timeout_ms).report()


@pytest.fixture
def run():
    """Five records: plain ones, a duplicate, one retried by a tier, one dead letter; all settled."""
    run = Run()
    for offset, name in enumerate(["k1/0/1", "k1/0/2", "k1/0/1", "k2/0/1", "k3/0/1"]):
        run.produce(name, offset)
    run.call("k1/0/1")
    run.call("k1/0/2")
    run.call("k2/0/1", status=500)
    run.copy(TIER, "k2/0/1", 3, 0, due_ms=run.clock_us // 1000 + 1000)
    run.call("k3/0/1", status=400)
    run.copy(DEAD, "k3/0/1", 4, 0)
    run.wait(1001)
    run.call("k2/0/1", attempt=2)
    run.commit(5, 1)
    return run


def only(row, **expected):
    """The row's violations are exactly these."""
    assert checker.violations(row) == expected, checker.format_row(row)


def test_clean_run_has_no_violation(run):
    row = run.report()
    only(row)
    assert (row["acknowledged"], row["records"], row["effects"], row["dead"], row["pending"]) == (
        5, 4, 3, 1, 0)


def test_record_without_trace_above_the_commit_is_pending(run):
    run.produce("k4/0/1", 5)
    row = run.report()
    only(row)
    assert row["pending"] == 1


def test_record_without_trace_below_the_commit_is_lost(run):
    run.produce("k4/0/1", 5)
    run.commit(6, 1)
    only(run.report(), lost=1, committed_beyond=1)


def test_record_in_a_tier_above_the_commit_is_pending(run):
    run.produce("k4/0/1", 5)
    run.call("k4/0/1", status=500)
    run.copy(TIER, "k4/0/1", 5, 1)
    run.commit(6, 1)
    row = run.report()
    only(row)
    assert row["pending"] == 1


def test_tier_copy_committed_without_effect_is_lost(run):
    run.produce("k4/0/1", 5)
    run.call("k4/0/1", status=500)
    run.copy(TIER, "k4/0/1", 5, 1)
    run.commit(6, 2)
    only(run.report(), lost=1, committed_beyond=1)


def test_tier_copy_followed_by_a_later_hop_is_settled(run):
    run.produce("k4/0/1", 5)
    run.call("k4/0/1", status=500)
    run.copy(TIER, "k4/0/1", 5, 1, hop=1)
    run.copy(TIER, "k4/0/1", 5, 2, hop=2)
    run.commit(6, 2)
    only(run.report())


def test_commit_beyond_a_record_that_is_pending_elsewhere_is_seen(run):
    run.produce("k4/0/1", 5)
    run.produce("k4/0/1", 6)
    run.commit(6, 1)
    only(run.report(), committed_beyond=1)


def test_record_dropped_by_the_handler_is_not_lost(run):
    run.produce("k4/0/1", 5)
    run.call("k4/0/1", outcome="drop")
    run.commit(6, 1)
    only(run.report())


def test_second_effect_is_doubled(run):
    run.call("k1/0/2", attempt=2)
    only(run.report(), doubled=1)


def test_effect_before_its_predecessor_is_out_of_order(run):
    run.produce("k5/0/1", 5)
    run.produce("k5/0/2", 6)
    run.call("k5/0/2")
    run.call("k5/0/1")
    only(run.report(), out_of_order=1)


def test_newer_epoch_starts_its_count_again_in_order(run):
    run.produce("k5/0/9", 5)
    run.produce("k5/1/1", 6)
    run.call("k5/0/9")
    run.call("k5/1/1")
    only(run.report())


def test_two_open_requests_of_a_key_overlap(run):
    run.produce("k6/0/1", 5)
    run.produce("k6/0/2", 6)
    first = run.begin("k6/0/1")
    run.wait(5)
    second = run.begin("k6/0/2")
    run.wait(5)
    run.end(first)
    run.wait(1)
    run.end(second)
    only(run.report(), overlaps=1)


def test_request_that_runs_past_its_deadline_does_not_overlap(run):
    run.produce("k6/0/1", 5)
    first = run.begin("k6/0/1")
    run.wait(500)
    second = run.begin("k6/0/1", attempt=2)
    run.wait(5)
    run.end(first, effect=False)
    run.wait(1)
    run.end(second)
    only(run.report(timeout_ms=400))
    only(run.report(timeout_ms=600), overlaps=1)


def test_attempt_before_its_copy_was_due_is_early(run):
    run.produce("k7/0/1", 5)
    run.call("k7/0/1", status=500)
    run.copy(TIER, "k7/0/1", 5, 1, due_ms=run.clock_us // 1000 + 1000)
    run.wait(900)
    run.call("k7/0/1", attempt=2)
    only(run.report(), early=1)


def test_of_two_copies_of_one_hop_either_may_be_followed(run):
    run.produce("k7/0/1", 5)
    run.call("k7/0/1", status=500)
    run.copy(TIER, "k7/0/1", 5, 1, due_ms=run.clock_us // 1000 + 1000)
    run.wait(100)
    run.copy(TIER, "k7/0/1", 5, 2, due_ms=run.clock_us // 1000 + 1000)
    run.wait(910)
    run.call("k7/0/1", attempt=2)
    only(run.report())


def test_copy_of_a_later_hop_is_the_one_to_wait_for(run):
    run.produce("k7/0/1", 5)
    run.call("k7/0/1", status=500)
    run.copy(TIER, "k7/0/1", 5, 1, hop=1, due_ms=run.clock_us // 1000 + 1000)
    run.wait(100)
    run.copy(TIER, "k7/0/1", 5, 2, hop=2, due_ms=run.clock_us // 1000 + 1000)
    run.wait(910)
    run.call("k7/0/1", attempt=2)
    only(run.report(), early=1)


def test_broker_time_and_delay_decide_where_the_broker_stamps(run):
    """The header says 900 ms, but the copy was stamped later: its tier's second counts."""
    run.produce("k7/0/1", 5)
    run.call("k7/0/1", status=500)
    run.copy(TIER, "k7/0/1", 5, 1, due_ms=run.clock_us // 1000 + 900, log_append=True)
    run.wait(950)
    run.call("k7/0/1", attempt=2)
    only(run.report(), early=1)


def test_follower_that_never_failed_waits_for_its_key_only(run):
    run.produce("k7/0/2", 5)
    run.copy(TIER, "k7/0/2", 5, 1, attempt=0, due_ms=run.clock_us // 1000 + 1000)
    run.wait(10)
    run.call("k7/0/2", attempt=1)
    only(run.report())


def test_effect_and_dead_letter_of_one_record_are_seen(run):
    run.copy(DEAD, "k1/0/1", 0, 1)
    only(run.report(), both=1)


def test_idempotency_key_that_changes_between_attempts_is_seen(run):
    run.produce("k8/0/1", 5)
    run.call("k8/0/1", status=500, key="og/a")
    run.call("k8/0/1", attempt=2, key="og/b")
    only(run.report(), idempotency=1)


def test_idempotency_key_shared_by_two_records_is_seen(run):
    run.produce("k8/0/1", 5)
    run.produce("k8/0/2", 6)
    run.call("k8/0/1", key="og/a")
    run.call("k8/0/2", key="og/a")
    only(run.report(), idempotency=1)


def test_program_prints_the_row_and_fails_on_a_violation(run, tmp_path):
    def program(*args):
        paths = []
        for name in ("acked", "handler", "copies", "committed"):
            path = tmp_path / name
            path.write_text("".join(json.dumps(line) + "\n" for line in getattr(run, name)))
            paths += ["--" + name, str(path)]
        return subprocess.run([sys.executable, checker.__file__, *paths, *args], text=True,
                              capture_output=True, check=False)

    good = program("--settled")
    assert good.returncode == 0 and "lost=0" in good.stdout, good
    run.call("k1/0/2", attempt=2)
    bad = program()
    assert bad.returncode == 1 and "doubled=1" in bad.stdout and "k1/0/2" in bad.stderr, bad
    assert program("--allow", "doubled=1").returncode == 0


def test_how_far_off_their_due_times_attempts_are(run):
    """Late by the broker's clock, whatever a gateway with a wrong one wrote; early by either."""
    run.produce("k7/0/1", 5)
    run.call("k7/0/1", status=500)
    run.copy(TIER, "k7/0/1", 5, 1, due_ms=run.clock_us // 1000 + 61000, log_append=True)
    run.wait(1000)
    found = checker.Checker(run.acked, run.handler, run.copies, run.committed)
    assert found.off_due_ms() == (0, 12)  # the fixture's own
    second = run.begin("k7/0/1", attempt=2)
    found = checker.Checker(run.acked, run.handler, run.copies, run.committed)
    assert found.off_due_ms() == (60000, 12)
    assert found.report()["early"] == 1
    found.early_ms = 60000
    assert found.report()["early"] == 0
    run.wait(60000)
    run.handler[-1].update(t=run.clock_us, w=run.clock_us // 1000)
    run.end(second)
    found = checker.Checker(run.acked, run.handler, run.copies, run.committed)
    assert found.off_due_ms() == (0, 60000)
    only(found.report())
