"""delivery: at-most-once: whatever is killed, nothing is delivered twice; what can be lost is what
was under way."""

import collections
import random

import pytest

from support.waiting import wait_until


def config(world, **changes):
    return world.config(world.route(delivery="at-most-once", retry=None, **changes))


def calls_of(world):
    """How often each record was delivered, whatever came of it."""
    return collections.Counter(call.record_id for call in world.handler.calls())


def settled(world, timeout=60):
    world.wait_committed(timeout)
    wait_until(lambda: world.handler.stats()["open"] == 0, 10, "no open request")


@pytest.mark.parametrize("ordering, identity", [("key", "sequence"), ("key", "none"),
                                                ("none", "none"), ("none", "offset")])
def test_everything_is_delivered_once_while_nothing_fails(world, ordering, identity):
    world.start(config(world, ordering=ordering, dedup__identity=identity))
    stream = world.stream(count=2000, rate=1000, keys=50, seed=51, rule='0.05:{"delay_ms":30}')
    stream.wait()
    world.wait_all_effects(40)
    world.wait_committed()
    row = world.check(**({} if ordering == "key" else {"out_of_order": 2000, "overlaps": 2000}))
    assert row["effects"] == 2000 and max(calls_of(world).values()) == 1


def test_offset_is_committed_before_the_request(world):
    """While its request is open, the record is behind the committed offset."""
    world.start(config(world))
    record = world.send("k", 1, rule={"gate": "g"})
    world.wait_calls(record, 1)
    place = world.acked()[0]
    committed = world.broker.committed(world.group, world.topic)
    assert [line["committed"] for line in committed if line["p"] == place["p"]] == [place["o"] + 1]
    world.gateways[0].kill()
    world.handler.control(open=["g"])
    world.start(config(world))
    world.wait_effects(world.send("k", 2))
    assert calls_of(world)[record] == 1


@pytest.mark.parametrize("rule", [{"status": 503}, {"status": 400}, {"delay_ms": 9000}])
def test_failed_delivery_is_a_dead_letter_at_once(world, rule):
    """Neither an inline retry nor a tier: 503, 400 and a timeout alike."""
    world.start(config(world))
    doomed = world.send("k", 1, rule=rule)
    after = world.send("k", 2)
    assert [copy.record_id for copy in world.wait_dead(1)] == [doomed]
    world.wait_effects(after)
    settled(world)
    assert calls_of(world) == {doomed: 1, after: 1}
    assert not world.dump("tier")


def test_drain_delivers_what_is_committed(world):
    """SIGTERM in mid-stream, and another member that comes: nothing is lost, nothing doubled."""
    first = world.start(config(world))
    stream = world.stream(count=3000, rate=800, keys=60, seed=52, rule='0.1:{"delay_ms":20}')
    wait_until(lambda: len(world.handler.effects()) > 600, 20, "traffic")
    world.start(config(world))
    wait_until(lambda: len(world.handler.effects()) > 1400, 20, "traffic")
    first.stop()
    stream.wait()
    world.wait_all_effects(40)
    settled(world)
    world.check()
    assert max(calls_of(world).values()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("ordering, identity", [("key", "sequence"), ("none", "none")])
def test_nothing_is_doubled_by_kills_at_random(world, ordering, identity):
    """Two members, one of them killed every now and then; Redis restarted without data in between."""
    world.partitions = 4
    luck = random.Random(53)
    mine = config(world, ordering=ordering, dedup__identity=identity)
    world.start(mine)
    stream = world.stream(count=9000, rate=600, keys=80, seed=53,
                          rule=['0.05:{"delay_ms":40}', '0.01:{"status":503}'])
    kills = 0
    while stream.running() and kills < 8:
        victim = world.start(mine, wait=False)
        goal = len(world.handler.effects()) + luck.randrange(300, 900)
        wait_until(lambda enough=goal: len(world.handler.effects()) > enough or
                   not stream.running(), 60, "traffic")
        if kills == 3:
            world.redis.restart(keep_data=False)
        victim = luck.choice([gateway for gateway in world.gateways if gateway.alive()])
        victim.kill()
        kills += 1
    world.start(mine)
    stream.wait()
    settled(world, 90)
    again = {record: count for record, count in calls_of(world).items() if count > 1}
    assert not again, "delivered more than once: %s" % again
    allowed = {"committed_beyond": 9000, "lost": kills * 32}  # the handler slots of who was killed
    if ordering == "none":
        allowed.update(out_of_order=9000, overlaps=9000)
    world.check(settled=False, **allowed)


def fail_and_park(world):
    """A gateway with a tier, where a key's records wait in it; their ids."""
    gateway = world.start(world.config(world.route(retry__tiers=["1s"],
                                                   retry__inline__max_retries=0),
                                       redis={"url": world.held.url}))
    world.handler.control(keys={"k": {"status": 500}})
    ids = [world.send("k", number) for number in range(1, 8)]
    wait_until(lambda: {copy.record_id for copy in world.dump("tier")} == set(ids), 20, "parked",
               every=0.2)
    return gateway, ids


def heal_and_go_on(world, ids):
    """The same route without tiers delivers all of it, in order."""
    world.handler.control(keys={"k": None})
    gateway = world.start(config(world))
    ids.append(world.send("k", 8))
    world.wait_effects(ids, 30)
    world.check(settled=False)
    assert gateway.metric("followers_from_memory_total") == 0


def test_copies_from_before_still_come(world):
    """A route that had retry tiers: what waits there is delivered, before its followers."""
    gateway, ids = fail_and_park(world)
    gateway.stop()
    heal_and_go_on(world, ids)


def test_copies_from_before_whose_first_lies_behind_them(world):
    """The first of its key failed again, and its newest copy is the last one: those in front of it go
    round until it is done. None is kept in memory meanwhile, for its offset is settled by then, and
    nothing could be committed before it is delivered."""
    gateway, ids = fail_and_park(world)
    world.handler.control(keys={"k": {"status": 500, "gate": "g"}})
    wait_until(lambda: world.handler.stats()["open"] == 1, 20, "it is tried again")
    world.held.hold_from(b":b:%s:" % world.group.encode())
    world.handler.control(open=["g"])
    wait_until(world.held.held.is_set, 20, "it is parked again, and nobody hears of it")
    gateway.kill()
    assert world.dump("tier")[-1].record_id == ids[0]
    heal_and_go_on(world, ids)
