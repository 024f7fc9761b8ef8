"""The same faults for the other identities and for at-most-once: row 15. Each row plays kills at random
and at named points, a Redis that is silent and then dies, a zombie, and members that come and go, one
after the other in an order that the seed draws."""

from support.world import World

from faults.catalog import row
from faults.faults_process import HASTE, die_at
from faults.faults_redis import wait_down, wait_up
from faults.naming import Names, Versions
from faults.scene import IN_FLIGHT

POINTS = ("claim", "request-sent", "answer", "finish", "commit")
POINTS_OF_ONCE = ("claim", "request-sent", "answer", "commit")
FAILING = ('0.02:{"fail_first":1}', '0.004:{"fail_for_ms":1200}', '0.1:{"delay_ms":30}')
POISON = ('0.002:{"poison":true}',)
MIXED = {"rate": 120, "keys": 30, "timeout_ms": 1500, "settle_s": 120, "config": HASTE,
         "crash_points": True, "redis_proxy": True}


def kills_at_random(scene):
    for _ in range(2):
        victim = scene.kill()
        scene.pass_time(0.2, 2)
        scene.revive(victim)
        scene.wait_shared()


def kills_at_points(scene):
    victim = scene.kill(scene.gateways[0])
    points = POINTS_OF_ONCE if scene.spec.route.get("delivery") else POINTS
    for point in scene.schedule.stream("points").sample(points, 2):
        die_at(scene, victim, point)
    victim.environment = dict(scene.spec.environment)
    scene.revive(victim)
    scene.wait_shared()


def redis_silent_then_killed(scene):
    """What it did for the last calls nobody was told; it has it when it is back."""
    with scene.without_redis():
        scene.redis_proxy.swallow(["down"])
        scene.pass_time(0.2, 0.8)
        scene.redis.kill()
        wait_down(scene)
        scene.redis.start()
        scene.redis_proxy.heal()
        wait_up(scene)
    scene.traffic(200)


def zombie(scene):
    victim = scene.freeze()
    scene.wait_everything_assigned(but=[victim])
    scene.traffic(200)
    scene.thaw(victim)
    scene.wait_shared()
    scene.traffic(100)


def comes_and_goes(scene):
    guest = scene.add_gateway()
    for _ in range(2):
        guest.start()
        scene.wait_shared()
        scene.traffic(100)
        guest.stop()
    scene.wait_everything_assigned()


def play_all(scene):
    faults = [kills_at_random, kills_at_points, redis_silent_then_killed, zombie, comes_and_goes]
    scene.schedule.stream("faults").shuffle(faults)
    for fault in faults:
        fault(scene)
        scene.traffic(100)


def again(scene, found, result):
    """How many of the producer's duplicates were told as such, and how many are records of their own."""
    names = scene.spec.naming(World.acked(scene))
    stale = names.stale if scene.spec.naming is Versions else {}
    result.notes["delivered_again"] = len(names.names) - len(stale)
    result.notes["stale"] = len(stale)
    told = [name for name in stale.values() if found.calls_of[name]]
    scene.demand(names.names, "the producer repeated nothing")
    scene.demand(not told, "stale and delivered: %s" % told[:5])


@row("15", "identity version: kills, a silent Redis that is killed, a zombie, rebalances, repetitions",
     rules=FAILING, dup_share=0.1, route={"dedup": {"identity": "version"}}, naming=Versions,
     account=again, **MIXED)
def version(scene):
    """A repetition is delivered where it is the highest of its key so far, and else stale."""
    play_all(scene)


@row("15", "identity event-id, the same: no repetition is delivered", rules=FAILING + POISON,
     dup_share=0.1, route={"dedup": {"identity": "event-id", "from": "json:/id"}}, **MIXED)
def event_id(scene):
    play_all(scene)


@row("15", "identity offset, the same: each repetition is a record of its own", rules=FAILING + POISON,
     dup_share=0.1, route={"dedup": {"identity": "offset", "from": None}}, naming=Names,
     account=again, **MIXED)
def offset(scene):
    play_all(scene)


def lost_at_most(scene, found, result):
    """Nothing twice, not even a request. What is missing was called done and not delivered when its
    process was killed, or stood still and lost its partition; one that stood still may also have given up
    an answer that was given."""
    names = [window.name for window in scene.windows.all]
    most = IN_FLIGHT * len(names)
    result.notes["missing"] = "%d of at most %d at %d kills and %d freeze" % (
        result.values["lost"], most, names.count("crash"), names.count("frozen"))
    scene.demand(result.values["lost"] <= most, "more is lost than was in flight at kills")
    twice = [name for name, calls in found.calls_of.items() if len(calls) > 1]
    scene.demand(not twice, "requested more than once: %s" % twice[:5])
    scene.demand(set(found.details["lost"]) >= {text.split(": ")[-1] for text in
                                                found.details["committed_beyond"]},
                 "committed, and neither lost nor delivered")
    late = IN_FLIGHT * names.count("frozen")
    scene.demand(len(found.details["both"]) <= late, "an effect and a dead letter: %s" %
                 found.details["both"][:5])
    scene.demand(not found.details["idempotency"] + found.details["early"], "idempotency, early")


# A key whose handler is slow holds its partition, so the records are fewer, of more keys. The zombie may
# deliver late what it had committed (docs/limits.md), beside or after the next of its key.
@row("15", "delivery: at-most-once, the same: nothing twice; lost is what was in flight at a kill or freeze",
     rules=FAILING + POISON, route={"delivery": "at-most-once", "retry": None}, doubles=0,
     allow={"lost": 6 * IN_FLIGHT, "other": 7 * IN_FLIGHT, "order": IN_FLIGHT, "overlap": IN_FLIGHT},
     account=lost_at_most, **{**MIXED, "rate": 40, "keys": 200})
def at_most_once(scene):
    play_all(scene)
