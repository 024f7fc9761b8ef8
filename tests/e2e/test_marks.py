"""Marks (dedup.rebuild_from: topic): what was proven before Redis lost its data is proven after it."""

import pytest

from support.gateway import command, merge
from support.handler import headers_of
from support.redis_topology import RedisCluster
from support.waiting import holds_for, wait_until

KEYS, NUMBERS = 6, 7


def with_marks(world, kafka=None, **changes):
    return world.config(world.route(dedup__rebuild_from="topic", **changes), kafka=kafka or {})


def first_time(world, numbers=range(1, NUMBERS)):
    """Records that are delivered and committed, so their marks are written."""
    ids = [world.send("m%d" % key, number) for key in range(KEYS) for number in numbers]
    world.wait_effects(ids, 30)
    world.wait_committed()
    return ids


def again(world, ids):
    """The producer's repetition of each, behind a new record of its key."""
    new = [world.send("m%d" % key, NUMBERS) for key in range(KEYS)]
    for record_id in ids:
        key, _, number = record_id.split("/")
        world.send(key, int(number))
    world.wait_effects(new, 40)
    world.wait_committed(40)


def calls_of(world, ids):
    return [call for record_id in ids for call in world.handler.calls(record_id)]


def flagged(world, ids):
    return [call for call in calls_of(world, ids)
            if headers_of(call).get("oncegate-dedup") == "indeterminate"]


def test_repeated_after_a_wipe_of_which_nobody_knows(world):
    """The old process is gone, so only the topic knows."""
    world.start(with_marks(world))
    ids = first_time(world)
    world.gateways[0].stop()
    world.redis.call("FLUSHALL")
    gateway = world.start(with_marks(world))
    again(world, ids)
    assert len(calls_of(world, ids)) == len(ids) and not flagged(world, ids)
    assert gateway.metric("dedup_verdicts_total", verdict="duplicate") >= len(ids)
    assert gateway.metric("marks_rebuilt_total") >= KEYS
    assert gateway.metric("rebuilding") == 0
    world.check()


def test_without_the_topic_they_are_delivered_flagged(world):
    world.start()
    ids = first_time(world)
    world.gateways[0].stop()
    world.redis.call("FLUSHALL")
    gateway = world.start()
    again(world, ids)
    assert len(flagged(world, ids)) == len(ids)
    assert gateway.metric("marks_rebuilt_total") == 0


def test_repeated_after_a_wipe_while_it_runs(world):
    """A process that finished nothing itself is wiped, twice, under traffic."""
    world.start(with_marks(world))
    ids = first_time(world)
    world.gateways[0].stop()
    gateway = world.start(with_marks(world))
    for wipe in (1, 2):
        world.redis.call("FLUSHALL")
        other = [world.send("o%d" % key, wipe) for key in range(20)]
        wait_until(lambda: gateway.metric("ledger_wipes_total") >= wipe, 20, "the wipe is counted")
        world.wait_effects(other, 40)
    again(world, ids)
    assert len(calls_of(world, ids)) == len(ids)
    world.wait_committed(40)
    world.check()


def test_parked_records_are_kept_and_not_taken_for_duplicates(world):
    """A mark calls numbers seen that wait in a tier: their copies are delivered all the same."""
    config = with_marks(world, {"group.instance.id": "one"}, retry__tiers=["4s", "8s"],
                        retry__inline__max_retries=0)
    gateway = world.start(config)
    keys = ["m%d" % key for key in range(KEYS)]
    world.handler.control(keys={key: {"status": 500} for key in keys})
    ids = [world.send(key, number) for key in keys for number in range(1, NUMBERS)]
    wait_until(lambda: {copy.record_id for copy in world.dump("tier")} == set(ids), 40,
               "all are parked", every=0.2)
    wait_until(lambda: all(line["committed"] >= line["hi"] for line in world.broker.committed(
        world.group, world.topic)), 20, "the source is committed, and so the marks are written")
    gateway.kill()
    world.handler.control(keys=dict.fromkeys(keys))
    world.redis.call("FLUSHALL")
    for record_id in ids:
        key, _, number = record_id.split("/")
        world.send(key, int(number))
    again_started = world.start(config)
    world.wait_effects(ids, 60)
    world.wait_committed(60)
    assert again_started.metric("parked_rebuilt_total") >= len(ids)
    world.check()


def test_killed_in_mid_rebuild(world):
    """Who comes next reads the marks again: nothing was called built."""
    config = with_marks(world, {"group.instance.id": "one"})
    world.start(config)
    ids = first_time(world)
    many = [world.send("x%d" % key, 1) for key in range(800)]
    world.wait_effects(many, 60)
    world.wait_committed(40)
    world.gateways[0].stop()
    world.redis.call("FLUSHALL")
    # What comes before it tells of the first mark names no key.
    world.held.hold_from(b":b:%s:" % world.group.encode())
    half = world.gateway(merge(config, {"redis": {"url": world.held.url}})).start(wait=False)
    wait_until(world.held.held.is_set, 60, half.status_text)
    half.wait_status(["rebuilding from marks topics", "marks read"])
    half.kill()
    world.start(config)
    again(world, ids)
    assert len(calls_of(world, ids)) == len(ids)
    world.check()


def test_version_is_outdated_after_a_wipe(world):
    config = with_marks(world, dedup__identity="version")
    world.start(config)
    ids = first_time(world, numbers=range(10, 13))
    world.gateways[0].stop()
    world.redis.call("FLUSHALL")
    gateway = world.start(config)
    old = [world.send("m%d" % key, 11) for key in range(KEYS)]
    new = [world.send("m%d" % key, 13) for key in range(KEYS)]
    world.wait_effects(new, 30)
    assert gateway.metric("dedup_verdicts_total", verdict="outdated") >= KEYS
    assert len(calls_of(world, old)) == len(old)


def test_at_most_once_is_kept_over_a_wipe(world):
    """Recorded as done before it is delivered, and marked before it is committed."""
    config = with_marks(world, delivery="at-most-once", retry__tiers=[])
    world.start(config)
    ids = first_time(world)
    world.gateways[0].stop()
    world.redis.call("FLUSHALL")
    world.start(config)
    again(world, ids)
    assert len(calls_of(world, ids)) == len(ids)
    assert sum(g.metric("undelivered_total") for g in world.gateways if g.alive()) == 0


@pytest.mark.long
def test_cluster_that_lost_everything(world):
    """A key's fence, state and list are in one slot; a rebuild speaks to every shard."""
    world._redis = RedisCluster(world.directory / "redis")  # pylint: disable=protected-access
    config = with_marks(world)
    config["redis"]["shards"] = 12
    world.start(config)
    ids = first_time(world)
    world.gateways[0].stop()
    for node in world.redis.nodes[:3]:
        node.call("FLUSHALL")
    gateway = world.start(config)
    again(world, ids)
    assert len(calls_of(world, ids)) == len(ids)
    assert gateway.metric("marks_rebuilt_total") >= KEYS


def test_marks_that_cannot_be_written_hold_the_commit(world):
    """Fail closed, and it says why; what is settled is committed once they can be."""
    gateway = world.start(with_marks(world))
    first_time(world)
    marks = "marks.%s.%s" % (world.group, world.topic)
    world.broker.delete_topics(marks)
    held = [world.send("m%d" % key, NUMBERS) for key in range(KEYS)]
    world.wait_effects(held, 20)
    gateway.wait_status(["marks cannot be written to", "no offset is committed"], 60)
    lines = world.broker.committed(world.group, world.topic)
    holds_for(lambda: world.broker.committed(world.group, world.topic) == lines, 1,
              "nothing is committed")
    assert any(line["committed"] < line["hi"] for line in lines)
    world.broker.create_topics("%s:%d" % (marks, world.partitions))
    world.wait_committed(60)
    world.check()


def test_topics_are_planned_and_demanded(world):
    config = with_marks(world)
    world.make_topics()  # without it
    gateway = world.gateway(config).start(wait=False)
    wait_until(lambda: not gateway.alive(), 40, "it ended")
    assert gateway.child.process.returncode == 78
    marks = "marks.%s.%s" % (world.group, world.topic)
    assert marks in gateway.child.output() and "topics apply" in gateway.child.output()
    world.make_topics(config)
    assert marks in world.broker.topics()
    command("topics", "plan", "--detailed-exitcode", config=world.directory / "topics.yaml", check=0)
    world.start(config)
