"""Redis behind sentinels and as a cluster: fail-over and moved slots while records flow."""

import pytest

from support.redis_topology import RedisCluster, Sentinels
from support.waiting import wait_until


def traffic(world, more):
    have = len(world.handler.effects())
    wait_until(lambda: len(world.handler.effects()) >= have + more, 60, "traffic")


def use(world, topology):
    """The topology in place of the world's own server; the world stops it."""
    world._redis = topology  # pylint: disable=protected-access
    return topology


@pytest.mark.slow
def test_sentinels_fail_over_with_wait_forgets_nothing(world):
    """With redis.wait every finish is at a replica: nothing is delivered twice, nothing lost."""
    redis = use(world, Sentinels(world.directory / "redis"))
    gateway = world.start(world.config(redis={"wait": {"replicas": 1}}))
    stream = world.stream(count=3000, rate=500, keys=60, seed=31, rule='0.01:{"fail_first":1}')
    traffic(world, 600)
    redis.fail_over()
    wait_until(lambda: gateway.metric("redis_failovers_total") == 1, 20, "the ledger has moved")
    traffic(world, 600)
    stream.wait()
    world.wait_all_effects(60)
    world.wait_committed()
    row = world.check()
    assert row["doubled"] == 0


@pytest.mark.long
def test_killed_master_is_replaced_by_its_replica(world):
    """Nothing lost, order kept; what the old master had not passed on may come again, and is counted."""
    redis = use(world, Sentinels(world.directory / "redis"))
    gateway = world.start()
    stream = world.stream(count=3000, rate=500, keys=60, seed=32, rule='0.01:{"fail_first":1}')
    traffic(world, 600)
    old = redis.master()
    old.kill()
    gateway.wait_status("ledger-down", 20)
    redis.wait_moved(old)
    wait_until(lambda: gateway.metric("redis_up") == 1 and gateway.ready(), 40, "it healed unaided")
    stream.wait()
    world.wait_all_effects(60)
    world.wait_committed()
    world.check(doubled=60)


@pytest.mark.long
def test_cluster_slots_move_and_masters_fail(world):
    """Slots are moved while records flow, then a master is handed over, then one is killed."""
    redis = use(world, RedisCluster(world.directory / "redis"))
    gateway = world.start(world.config(redis={"shards": 12}))
    stream = world.stream(count=5000, rate=500, keys=60, seed=33, rule='0.01:{"fail_first":1}')
    traffic(world, 500)
    for shard in range(4):
        slot = redis.slot("og:{%d}:x" % shard)
        target = (redis.nodes.index(redis.owner(slot)) + 1) % 3
        redis.move_slot(slot, target)
    traffic(world, 300)
    redis.fail_over(3)
    traffic(world, 300)
    redis.nodes[1].kill()
    wait_until(lambda: gateway.metric("redis_up") == 0, 20, "a node is missed")
    wait_until(lambda: gateway.metric("redis_up") == 1 and gateway.ready(), 60, "it healed unaided")
    stream.wait()
    world.wait_all_effects(60)
    world.wait_committed()
    world.check(doubled=60)


def test_lost_writes_are_told_again_by_their_owner(world):
    """Redis goes back to an older state, as after a fail-over: what the gateway finished since is not
    delivered again when the producer repeats it."""
    gateway = world.start()
    keys = ["k%d" % i for i in range(20)]
    world.wait_effects([world.send(key, seq) for seq in range(1, 6) for key in keys])
    world.wait_committed()
    states = world.redis.call("KEYS", "og:{*}:b:*")
    assert sum(world.redis.call("HLEN", name) for name in states) == len(keys)
    for name in states:
        world.redis.call("COPY", name, "saved:" + name)
    world.wait_effects([world.send(key, seq) for seq in range(6, 9) for key in keys])
    world.wait_committed()
    for name in states:
        world.redis.call("COPY", "saved:" + name, name, "REPLACE")
    world.redis.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    for seq in range(6, 9):
        for key in keys:
            world.send(key, seq)
    world.wait_effects([world.send(key, 9) for key in keys])
    world.wait_committed()
    row = world.check()
    assert row["doubled"] == 0
    assert gateway.metric("ledger_reasserted_total") == 3 * len(keys)
