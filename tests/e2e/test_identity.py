"""What makes two records the same: each kind of identity, epochs, gaps, policies, and the orderings."""

import pytest

from support.handler import headers_of
from support.waiting import wait_until


def dead_codes(world):
    return {copy.record_id: copy.headers["oncegate-error-code"] for copy in world.dead_letters()}


def test_sequence_duplicates_out_of_order_and_gaps(world):
    """Duplicates are settled; a number that comes late inside the window is delivered."""
    world.start()
    for number in (1, 2, 3, 2, 5, 5, 4, 1, 40, 39, 40):
        world.send("s", number)
    last = world.send("s", 41)
    world.wait_effects(last)
    world.wait_committed()
    assert sorted(world.handler.effects()) == sorted("s/0/%d" % n for n in (1, 2, 3, 5, 4, 40, 39, 41))
    world.check(out_of_order=2)


def test_gap_beyond_the_window_makes_what_is_below_indeterminate(world):
    """Delivered by default, flagged; nothing that cannot be proven a duplicate is dropped."""
    world.start()
    world.send("g", 1)
    world.send("g", 1000)
    world.wait_effects("g/0/1000")
    late = world.send("g", 500)
    world.wait_effects(late)
    call = world.handler.calls(late)[0]
    assert headers_of(call)["oncegate-dedup"] == "indeterminate"


def test_indeterminate_can_be_dead_lettered(world):
    world.start(world.config(world.route(dedup__on_indeterminate="dead-letter")))
    world.send("g", 1)
    world.send("g", 1000)
    late = world.send("g", 500)
    dead = world.wait_dead(1)
    assert [copy.record_id for copy in dead] == [late]
    assert not world.handler.calls(late)


def used_again(gateway):
    return [line for line in gateway.child.output().splitlines() if "numbers_used_again" in line]


def suspected(gateway):
    return gateway.metric("sequence_restarts_suspected_total")


def test_producer_that_counts_anew_without_an_epoch_is_an_alarm(world):
    """A key that has come far is told of at once, another with the 8th number in a row."""
    gateway = world.start()
    world.wait_effects([world.send("far", n) for n in range(1, 101)] +
                       [world.send("near", n) for n in range(1, 21)])
    world.send("far", 1)
    wait_until(lambda: suspected(gateway) == 1, 15, "an alarm")
    line = used_again(gateway)[0]
    for word in ('"key":"far"', '"number":1,', '"last":100,', world.topic, "dedup.epoch"):
        assert word in line, line
    gateway.wait_status("numbers_used_again", 5)
    for number in range(1, 13):
        world.send("near", number)
    wait_until(lambda: gateway.metric("dedup_verdicts_total", verdict="duplicate") == 13, 15,
               "all are duplicates")
    assert suspected(gateway) == 1 + (12 - 7)
    assert len(used_again(gateway)) == 1  # not again within a minute
    world.wait_effects([world.send("near", 21), world.send("far", 101)])
    world.wait_committed()
    assert world.check()["doubled"] == 0


def test_ordinary_duplicates_and_a_kill_are_no_alarm(world):
    first = world.start()
    stream = world.stream(count=3000, rate=600, keys=20, seed=71, dup_share=0.05)
    wait_until(lambda: len(world.handler.effects()) > 800, 30, "traffic")
    first.kill()
    second = world.start(timeout=40)
    stream.wait()
    world.wait_all_effects(60)
    world.wait_committed()
    assert second.metric("dedup_verdicts_total", verdict="duplicate") > 20
    assert suspected(second) == 0
    assert not used_again(first) and not used_again(second)
    world.check(doubled=32)


def test_missing_identity_can_be_delivered(world):
    world.start(world.config(world.route(dedup__on_missing="deliver")))
    record = world.send("m", 1, seq_header=None, rule={"fail_first": 2})
    follower = world.send("m", 2, seq_header=None)
    world.wait_effects([record, follower])
    assert world.handler.effects() == [record, follower]
    world.wait_committed()
    world.check()


def test_epochs(world):
    """A newer epoch starts the count again; an older one that is not covered is a dead letter."""
    world.start(world.config(world.route(dedup__epoch="header:ep")))

    def send(number, epoch):
        return world.send("e", number, epoch=epoch, headers=[["ep", str(epoch)]])

    ids = [send(1, 0), send(2, 0), send(1, 1), send(2, 1)]
    covered = send(2, 0)
    stale = send(7, 0)
    ids.append(send(3, 1))
    world.wait_effects(ids)
    assert wait_until(lambda: dead_codes(world), 15, "a dead letter", every=0.3) == {
        stale: "stale-epoch"}
    assert len(world.handler.calls(covered)) == 1
    world.wait_committed()
    world.check()


@pytest.mark.parametrize("headers, code", [
    ([], "epoch-missing"), ([["ep", "one"]], "epoch-unreadable"),
    ([["ep", "18446744073709551616"]], "epoch-unreadable")])
def test_epoch_that_cannot_be_read(world, headers, code):
    world.start(world.config(world.route(dedup__epoch="header:ep")))
    odd = world.send("e", 1, headers=headers)
    other = world.send("f", 1, headers=[["ep", "1"]])
    world.wait_effects(other)
    world.wait_dead(1)
    assert dead_codes(world) == {odd: code}


def test_version_grows_with_holes(world):
    """At or below the highest done is superseded and dropped, counted; the same version of another
    record is delivered."""
    gateway = world.start(world.config(world.route(dedup={"identity": "version"})))
    ids = [world.send("v", number) for number in (10, 20, 2**60)]
    old = world.send("v", 15)
    world.producer.send(topic=world.topic, key="v", headers=[["seq", str(2**60)]],
                        value='{"id":"same-version"}')
    ids.append(world.send("v", 2**60 + 1))
    world.wait_effects(ids + ["same-version"])
    assert not world.handler.calls(old)
    assert world.handler.effects() == ids[:3] + ["same-version", ids[3]]
    assert gateway.metric("dedup_verdicts_total") >= 6
    world.wait_committed()


def test_version_by_time(world):
    world.start(world.config(world.route(dedup={
        "identity": "version", "from": "json:/at", "format": "rfc3339"})))

    def send(name, at):
        world.producer.send(topic=world.topic, key="t", value='{"id":"%s","at":"%s"}' % (name, at))

    send("one", "2026-01-01T00:00:00.000000001Z")
    send("older", "2026-01-01T00:00:00Z")
    send("zone", "2026-01-01T01:00:00.000000002+01:00")
    send("last", "2026-01-01T00:00:00.1Z")
    world.wait_effects(["one", "zone", "last"])
    world.wait_committed()
    assert world.handler.effects() == ["one", "zone", "last"]


def test_version_order_through_retries(world):
    """The highest done rises on done only: followers of a parked head wait, then follow."""
    world.start(world.config(world.route(dedup={"identity": "version"})))
    ids = [world.send("v", 10, rule={"fail_for_ms": 1500})]
    ids += [world.send("v", number) for number in (20, 35, 50)]
    world.wait_effects(ids, 20)
    world.wait_committed()
    assert world.check()["dead"] == 0


@pytest.mark.parametrize("ordering", ["key", "none"])
def test_event_id(world, ordering):
    world.start(world.config(world.route(
        ordering=ordering, dedup={"identity": "event-id", "from": "header:event"})))

    def send(key, event, rule=""):
        world.producer.send(topic=world.topic, key=key, headers=[["event", event]],
                            value='{"id":"%s"%s}' % (event, rule))

    send("k", "a-1", ',"rule":{"fail_first":3}')
    send("k", "b/2")
    send("k", "a-1")
    send("k", "b/2")
    send("k", "\u00e9")
    world.wait_effects(["a-1", "b/2"], 20)
    wait_until(lambda: len(world.handler.effects()) >= 3, 10, "three effects")
    world.wait_committed()
    effects = world.handler.effects()
    assert effects.count("a-1") == 1 and effects.count("b/2") == 1 and len(effects) == 3
    if ordering == "key":
        assert effects[:2] == ["a-1", "b/2"]
    assert world.handler.calls("b/2")[0].idempotency_key.count("/id/") == 1


@pytest.mark.parametrize("identity", ["offset", "none"])
@pytest.mark.parametrize("ordering", ["key", "none"])
def test_without_identity_of_the_producer(world, identity, ordering):
    """Producer duplicates are delivered; retries keep the order of the key where it is asked for."""
    world.start(world.config(world.route(
        ordering=ordering, dedup={"identity": identity, "from": None})))
    head = world.send("o", 1, rule={"fail_for_ms": 1200}, seq_header=None)
    ids = [head] + [world.send("o", number, seq_header=None) for number in range(2, 8)]
    world.send("o", 7, seq_header=None)
    world.wait_effects(ids, 20)
    wait_until(lambda: world.handler.effects().count(ids[-1]) == 2, 10, "the producer's duplicate")
    world.wait_committed()
    world.check(doubled=1, idempotency=1, out_of_order=0 if ordering == "key" else 99,
                overlaps=0 if ordering == "key" else 99)


def test_offset_identity_survives_a_kill(world):
    """Lost commits do not become second deliveries."""
    route = world.route(dedup={"identity": "offset", "from": None}, commit__every="10m",
                        commit__records=1000000)
    gateway = world.start(world.config(route))
    ids = [world.send("o%d" % (number % 7), number, seq_header=None) for number in range(1, 60)]
    world.wait_effects(ids)
    wait_until(lambda: gateway.metric("in_flight_records") == 0, 10, "all finished in the ledger")
    gateway.kill()
    world.start(world.config(world.route(dedup={"identity": "offset", "from": None})))
    world.wait_committed()
    world.check()


def test_ordering_by_partition_retries_in_place(world):
    """One at a time per partition, whatever the key, and no tiers."""
    world.partitions = 1
    world.start(world.config(world.route(ordering="partition", retry={
        "tiers": None, "inline": {"max_retries": 2, "initial": "20ms", "max": "50ms"}})))
    ids = [world.send("p%d" % (number % 3), number, rule={"fail_first": 4} if number == 3 else None)
           for number in range(1, 9)]
    world.wait_effects(ids, 30)
    assert world.handler.effects() == ids
    assert not world.dump("tier")
    world.wait_committed()
    world.check()


def test_observe_delivers_all_and_counts(world):
    gateway = world.start(world.config(world.route(dedup__mode="observe")))
    for number in (1, 2, 2, 1, 3):
        world.send("ob", number)
    wait_until(lambda: len(world.handler.effects()) == 5, 15, "all five delivered")
    assert [record.split("/")[2] for record in world.handler.effects()] == list("12213")
    assert gateway.metric("deliveries_total", outcome="success") == 5
    world.wait_committed()


def test_scope_route_counts_a_key_across_topics(world):
    """A duplicate that arrives by the other topic is still one."""
    other = world.topic + "-b"
    config = world.config(world.route(topics=[world.topic, other], dedup__scope="route"))
    world.start(config)
    first = world.send("k", 1)
    world.wait_effects(first)
    world.send("k", 1, topic=other)
    last = world.send("k", 2, topic=other)
    world.wait_effects(last)
    assert len(world.handler.calls(first)) == 1
    world.check(settled=False)


def test_key_from_the_value_and_from_a_header(world):
    """The order key need not be the Kafka key."""
    gateway = world.start(world.config(world.route(dedup__key="json:/customer")))
    world.producer.send(topic=world.topic, key="x", p=0, headers=[["seq", "1"]],
                        value='{"id":"c1/0/1","customer":"c1"}')
    world.producer.send(topic=world.topic, key="y", p=0, headers=[["seq", "2"]],
                        value='{"id":"c1/0/2","customer":"c1"}')
    world.producer.send(topic=world.topic, key="z", p=0, headers=[["seq", "1"]],
                        value='{"id":"c1/0/1","customer":"c1"}')
    world.wait_effects(["c1/0/1", "c1/0/2"])
    world.wait_committed()
    assert len(world.handler.calls("c1/0/1")) == 1
    world.producer.send(topic=world.topic, key="x", headers=[["seq", "3"]], value='{"id":"no"}')
    dead = world.wait_dead(1)
    assert dead[0].headers["oncegate-error-code"].startswith("key-")
    assert gateway.alive()
