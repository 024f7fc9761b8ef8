"""Redis behind sentinels and as a cluster: row 9. Nothing is lost, whatever the fail-over forgets."""

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_process import TROUBLE
from faults.faults_redis import stands_still, wait_down, wait_up

WAIT = {"redis": {"wait": {"replicas": 1, "timeout": "500ms"}}}


def kill_master(scene):
    """Returns when the replica is in its place; the dead one comes back as a replica."""
    old = scene.redis.master()
    scene.windows.open("redis-lost", before_us=3_000_000)
    old.kill()
    scene.redis.wait_moved(old)
    wait_up(scene, 60)
    return old


@row("9", "Sentinel: the master killed, its replica takes over", redis="sentinels", rules=TROUBLE,
     rate=300)
def sentinel_master_killed(scene):
    old = kill_master(scene)
    scene.traffic(400)
    old.start()
    scene.traffic(300)


@row("9", "Sentinel: the master and an instance killed at once", redis="sentinels", rules=TROUBLE,
     rate=300)
def sentinel_master_and_instance(scene):
    """The one that remembered what the fail-over forgot is gone too."""
    victim = scene.kill()
    kill_master(scene)
    scene.revive(victim)
    scene.traffic(400)


@row("9", "Sentinel with redis.wait: handed over twice", redis="sentinels", config=WAIT, rules=TROUBLE,
     rate=300, doubles=0)
def sentinel_with_wait(scene):
    for _ in range(2):
        moved = scene.metric_of_all("redis_failovers_total")
        scene.redis.fail_over()
        wait_until(lambda moved=moved: scene.metric_of_all("redis_failovers_total") > moved, 30,
                   "the ledgers have moved")
        wait_up(scene)
        scene.traffic(400)


@row("9", "Cluster: slots moved to other nodes under load", redis="cluster", rules=TROUBLE, rate=300,
     doubles=0, config={"redis": {"shards": 12}})
def cluster_reshard(scene):
    for shard in range(12):
        slot = scene.redis.slot("og:{%d}:x" % shard)
        target = (scene.redis.nodes.index(scene.redis.owner(slot)) + 1) % 3
        scene.redis.move_slot(slot, target)
    scene.traffic(500)


@row("9", "Cluster: a master killed, its replica takes over", redis="cluster", rules=TROUBLE, rate=300,
     config={"redis": {"shards": 12}})
def cluster_master_killed(scene):
    scene.windows.open("redis-lost", before_us=3_000_000)
    scene.redis.nodes[scene.schedule.number("nodes", 0, 2)].kill()
    wait_until(lambda: all(g.metric("redis_up") == 0 for g in scene.running()), 30, "it is missed")
    scene.redis.wait_ok()
    wait_up(scene, 60)
    scene.traffic(500)


@row("9", "Cluster: a slot between two nodes for a while (ASK, TRYAGAIN)", redis="cluster", rules=TROUBLE,
     rate=300, keys=600, doubles=0, config={"redis": {"shards": 12}})
def cluster_slot_between(scene):
    """Its keys are here and there, so that a batch of them is on neither node."""
    before = scene.metric_of_all("redis_redirects_total")
    scene.traffic(1500)  # many keys
    for shard in range(4):
        slot = scene.redis.slot("og:{%d}:x" % shard)
        target = (scene.redis.nodes.index(scene.redis.owner(slot)) + 1) % 3
        scene.redis.move_slot(slot, target, between=lambda: scene.pass_time(2, 4))
    scene.traffic(500)
    scene.notes["redirects"] = int(scene.metric_of_all("redis_redirects_total") - before)
    scene.demand(scene.notes["redirects"] > 0, "no redirect is counted")


@row("9", "Cluster: a master and its replica away, so that no slot is served (CLUSTERDOWN)",
     redis="cluster", rules=TROUBLE, rate=300, config={"redis": {"shards": 12}})
def cluster_down(scene):
    """Fail closed, and on again when they are back with their data."""
    at = scene.schedule.number("nodes", 0, 2)
    both = [scene.redis.nodes[at], scene.redis.nodes[at + 3]]
    with scene.without_redis():
        for node in both:
            node.kill()
        wait_down(scene)
        stands_still(scene)
        scene.pass_time(3)
        for node in both:
            node.start()
        scene.redis.wait_ok()
    wait_up(scene, 60)
    scene.traffic(500)
