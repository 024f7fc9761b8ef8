"""Redis alone: row 8. Whatever it does, the gateway fails closed and sends again; every operation is
idempotent, so that a call whose fate is unknown does no harm."""

import contextlib

from support.waiting import holds_for, wait_until

from faults.catalog import row
from faults.faults_process import HASTE, TROUBLE


def wait_down(scene, timeout=20):
    wait_until(lambda: all(g.metric("redis_up") == 0 for g in scene.running()), timeout,
               "all gateways say that Redis is away")


def wait_up(scene, timeout=30):
    wait_until(lambda: all(g.metric("redis_up") == 1 for g in scene.running()), timeout,
               "all gateways have Redis again")


def stands_still(scene, seconds=1.0):
    """Fail closed: once the open requests ended, nothing more is delivered."""
    wait_until(lambda: scene.handler.stats()["open"] == 0, 30, "no open request")
    before = scene.handler.stats()["requests"]
    holds_for(lambda: scene.handler.stats()["requests"] <= before, seconds,
              "no delivery without Redis")


@contextlib.contextmanager
def refusing(scene):
    """Redis has just begun to refuse: all say so and deliver nothing, until what ends it is done."""
    wait_down(scene)
    stands_still(scene)
    yield
    wait_up(scene)
    scene.traffic(300)


@row("8", "kill -9 of Redis, which keeps its data", short=True, rules=TROUBLE)
def redis_killed(scene):
    for _ in range(2):
        scene.redis.kill()
        wait_down(scene)
        stands_still(scene)
        scene.pass_time(0.5, 2)
        scene.redis.start()
        wait_up(scene)
        scene.traffic(500)


def lose(scene, how):
    """What was not committed may come twice from here on, where a member dies too."""
    scene.windows.open("redis-lost", before_us=3_000_000)
    wipes = scene.metric_of_all("ledger_wipes_total")
    how()
    wait_up(scene)
    wait_until(lambda: scene.metric_of_all("ledger_wipes_total") > wipes, 20, "the wipe is noticed")
    scene.traffic(500)


@row("8", "Redis restarted without its data", short=True, rules=TROUBLE)
def redis_without_data(scene):
    def restart():
        scene.redis.kill()
        wait_down(scene)
        scene.redis.wipe_files()
        scene.redis.start()
    lose(scene, restart)
    lose(scene, restart)


@row("8", "FLUSHALL", rules=TROUBLE)
def redis_flushed(scene):
    for _ in range(3):
        lose(scene, lambda: scene.redis.call("FLUSHALL"))


def flush_and_kill(scene):
    def both():
        victim = scene.kill()
        scene.redis.call("FLUSHALL")
        scene.revive(victim)
    lose(scene, both)


@row("8", "FLUSHALL, and a gateway killed at the same moment", rules=TROUBLE,
     allow={"order": 10})
def redis_flushed_and_kill(scene):
    """Redis and the owner's memory at once: the one case in which order is not kept."""
    flush_and_kill(scene)


@row("8", "the same with marks (`dedup.rebuild_from: topic`), and a producer that repeats itself",
     rules=TROUBLE, dup_share=0.1, route={"dedup": {"rebuild_from": "topic"}}, allow={"order": 10})
def redis_flushed_and_kill_marks(scene):
    flush_and_kill(scene)
    assert scene.metric_of_all("marks_rebuilt_total") > 0


@row("8", "SCRIPT FLUSH again and again", short=True, rules=TROUBLE, rate=800)
def script_flush(scene):
    for _ in range(40):
        scene.redis.call("SCRIPT", "FLUSH", "SYNC")
        scene.pass_time(0.02, 0.15)


@row("8", "answers of Redis lost after execution", short=True, rules=TROUBLE, redis_proxy=True)
def replies_dropped(scene):
    for _ in range(4):
        scene.redis_proxy.swallow(["down"])
        scene.pass_time(0.3, 2.5)
        scene.redis_proxy.heal()
        wait_up(scene)
        scene.traffic(250)


@row("8", "half an answer of Redis, then a reset", rules=TROUBLE, redis_proxy=True)
def half_replies(scene):
    for _ in range(10):
        scene.redis_proxy.half()
        scene.pass_time(0.05, 0.5)
        scene.redis_proxy.heal()
        wait_up(scene)
        scene.traffic(100)


@row("8", "connections to Redis reset", rules=TROUBLE, redis_proxy=True)
def redis_reset(scene):
    for _ in range(20):
        scene.redis_proxy.reset()
        scene.pass_time(0.1, 0.6)


@row("8", "Redis answers 150 ms late", rules=TROUBLE, redis_proxy=True, rate=250)
def redis_slow(scene):
    scene.redis_proxy.delay(75)
    scene.pass_time(8)
    scene.redis_proxy.heal()


@row("8", "Redis stopped (SIGSTOP) for longer than its timeout", rules=TROUBLE)
def redis_frozen(scene):
    for _ in range(2):
        scene.redis.freeze()
        with refusing(scene):
            scene.redis.thaw()


@row("8", "a gateway killed while Redis stands still (SIGSTOP), three times", config=HASTE, rate=1000,
     keys=400)
def redis_frozen_and_killed(scene):
    """What has happened and is not recorded yet happens again: no more records than the gateway has slots,
    whatever keys' claims it had kept."""
    for _ in range(3):
        with scene.without_redis():
            scene.redis.freeze()
            try:
                scene.pass_time(0.7, 1.5)
                victim = scene.kill()
            finally:
                scene.redis.thaw()
        scene.revive(victim)
        scene.wait_shared()
        scene.traffic(1500)


@row("8", "maxmemory reached", short=True, rules=TROUBLE)
def redis_out_of_memory(scene):
    scene.redis.call("CONFIG", "SET", "maxmemory", "1mb")
    with refusing(scene):
        scene.redis.call("CONFIG", "SET", "maxmemory", "0")


@row("8", "Redis made read-only (a replica), and writable again", rules=TROUBLE)
def redis_read_only(scene):
    scene.redis.call("REPLICAOF", "127.0.0.1", "1")
    with refusing(scene):
        scene.redis.call("REPLICAOF", "NO", "ONE")


@row("8", "eviction policy changed while running", rules=TROUBLE)
def eviction_policy(scene):
    """An evicted state is a second delivery: it is said with the next connection, which reads the
    policy (docs/limits.md)."""
    scene.redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    scene.redis.call("CLIENT", "KILL", "TYPE", "normal")
    with refusing(scene):
        scene.demand(all("maxmemory" in g.status_text() or "evict" in g.status_text()
                         for g in scene.running()), "the status does not name the eviction policy")
        scene.redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
