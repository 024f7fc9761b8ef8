"""A key whose head fails for a while does not stay late: its followers are drained from memory."""


import tier_latency


def test_key_with_failing_head_is_drained_within_15_s_of_healing():
    r = tier_latency.play(rate=5, fails_ms=5000)
    assert r.delivered == 300 and r.in_order
    assert r.empty_after_ms < 15000, r.empty_after_ms
    assert r.copies < 100, r.copies
    assert r.latest_ms < 1000, r.latest_ms


def test_key_without_draining_stays_late():
    r = tier_latency.play(rate=5, fails_ms=5000, off={"drain"})
    assert r.empty_after_ms > 15000 and r.copies >= 100, "the test above could not fail"
