"""Redis behind sentinels and as a cluster: row 9. Nothing is lost, whatever the fail-over forgets."""

import time

from support import checker
from support.redis_topology import replication
from support.waiting import wait_until

from faults.catalog import row
from faults.faults_process import TROUBLE
from faults.faults_redis import stands_still, wait_down, wait_up

GHOST_S, TIERS_S = 60, (0.3, 0.9)
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


def last_numbers(server):
    """Up to which number each key of the ledger is finished there, as the server has it now. The
    states' bytes are docs/ledger.md's: small ones, whose last number stands behind the epoch, and
    whole ones, in their bucket or apart, where it stands behind epoch and floor."""
    found = {}

    def take(name, state, at, size):
        found[name] = int.from_bytes(state[at:at + size].encode("latin-1"), "big")

    for bucket in server.call("KEYS", "og:{*}:b:*"):
        fields = server.call("HGETALL", bucket)
        for field, state in zip(fields[::2], fields[1::2]):
            if ord(state[0]) in (16, 17, 18):
                take(field, state, 7, 6)
            elif ord(state[0]) == 20 and ord(state[2]) % 16 == 1:
                take(field, state, 20, 8)
    for name in server.call("KEYS", "og:{*}:k:*"):
        state = server.call("GET", name)
        if state and ord(state[1]) % 16 == 1:
            take(name[name.rindex(":") + 1:], state, 19, 8)
    return found


def longest_wait_s(scene, found, since_ms):
    """How long a record waited at most for its first effect, of the time since then."""
    first = {}
    for call in found.calls:
        if call.effect:
            first[call.record_id] = min(call.end_ms, first.get(call.record_id, call.end_ms))
    waits = [first[line["id"]] - max(line["t"], since_ms) for line in found.acked
             if first.get(line["id"], 0) > since_ms]
    scene.notes["longest_wait_s"] = "%.1f" % (max(waits, default=0) / 1000)
    return max(waits, default=0) / 1000


def link_of(server):
    return replication(server).get("master_link_status")


def cut_off(scene):
    """The replica's log-in at the master is refused from now on: to the sentinels it is well, and for
    some five seconds good enough to be the next master."""
    replica = next(server for server in scene.redis.data if server != scene.redis.master())
    replica.call("CONFIG", "SET", "masterauth", "refused")

    def is_down():  # a log-in that was under way may have been taken yet
        replica.call("CLIENT", "KILL", "TYPE", "master")
        return link_of(replica) == "down"

    wait_until(is_down, 30, "the replica is cut off", every=0.5)
    return replica


def kill_what_is_ahead(scene, replica, records):
    """Lets so many records be finished that the replica never hears of, and kills the master that has
    them. The proof is read from both: how many finished numbers the next master lacks."""
    old = scene.redis.master()
    scene.traffic(records)
    ahead = last_numbers(old)
    behind = last_numbers(replica)  # while there is a master: who is promoted drops its connections
    scene.demand(link_of(replica) == "down", "the replica heard of it after all")
    scene.windows.open("redis-lost", before_us=5_000_000)
    old.kill()
    lacking = {name: last - behind.get(name, 0) for name, last in ahead.items()}
    scene.notes["writes_lost"] = sum(lacking.values())
    scene.demand(min(lacking.values(), default=-1) >= 0, "the replica is ahead of its master")
    scene.demand(scene.notes["writes_lost"] >= records // 2, "nothing was lost: this shows nothing")
    replica.call("CONFIG", "SET", "masterauth", "")
    return old


@row("9", "Sentinel: the replica cut off, then the master killed: what it had finished is lost",
     redis="sentinels", rules=TROUBLE, rate=300, settle_s=100,
     route={"parked": {"ghost_ttl": "%ds" % GHOST_S},
            "retry": {"tiers": ["%dms" % (delay * 1000) for delay in TIERS_S]}},
     doubles=0)
def sentinel_lost_writes(scene):
    """Its producer then repeats all that the new master does not know: the owners do, and tell it."""
    replica = cut_off(scene)
    before = set(scene.handler.effects())
    old = kill_what_is_ahead(scene, replica, 300)
    forgotten = set(scene.handler.effects()) - before
    scene.redis.wait_moved(old)
    scene.demand(scene.redis.master() == replica, "another master than the one that lacks them")
    wait_up(scene, 60)
    moved_ms = int(time.time() * 1000)
    scene.at_end.append(lambda found: scene.demand(
        longest_wait_s(scene, found, moved_ms) <= GHOST_S + sum(TIERS_S),
        "a key waited for longer than a ghost lives and the tiers last"))
    for record_id in sorted(forgotten):
        key, epoch, number = checker.split_id(record_id)
        scene.send(key, number, epoch=epoch)
    scene.traffic(300)
    told_again = lambda: int(scene.metric_of_all("ledger_reasserted_total"))  # noqa: E731
    wait_until(lambda: told_again() >= len(forgotten) // 2, 30,
               lambda: "half of %d told again, there are %d" % (len(forgotten), told_again()))
    scene.pass_time(3)  # for the count alone; a key may be blocked for its ghost time
    scene.notes.update(repeated=len(forgotten), told_again=told_again())
    scene.demand(scene.metric_of_all("ledger_wipes_total") == 0, "taken for a wiped Redis")


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


def redirects(scene):
    """Counted so far, by what the cluster said."""
    return {kind: int(scene.metric_of_all("redis_redirects_total", kind=kind))
            for kind in ("moved", "ask", "tryagain")}


@row("9", "Cluster: slots moved to other nodes under load", redis="cluster", rules=TROUBLE, rate=300,
     doubles=0, config={"redis": {"shards": 12}})
def cluster_reshard(scene):
    before = redirects(scene)
    for shard in range(12):
        slot = scene.redis.slot("og:{%d}:x" % shard)
        target = (scene.redis.nodes.index(scene.redis.owner(slot)) + 1) % 3
        scene.redis.move_slot(slot, target)
    scene.traffic(500)
    scene.notes["moved"] = redirects(scene)["moved"] - before["moved"]
    scene.demand(scene.notes["moved"] > 0, "no MOVED is counted")


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
    """Its keys are here and there, so that a batch of them is on neither node. The shard's sentinel, for
    which alone is asked, has gone."""
    before = redirects(scene)
    scene.traffic(1500)  # many keys
    for shard in range(4):
        slot = scene.redis.slot("og:{%d}:x" % shard)
        target = (scene.redis.nodes.index(scene.redis.owner(slot)) + 1) % 3
        scene.redis.move_slot(slot, target, ["og:{%d}:sentinel" % shard],
                              between=lambda: scene.pass_time(2, 4))
    scene.traffic(500)
    for kind, count in redirects(scene).items():
        scene.notes[kind] = count - before[kind]
    for kind in ("ask", "tryagain"):
        scene.demand(scene.notes[kind] > 0, "no %s is counted" % kind.upper())


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
