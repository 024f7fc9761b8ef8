"""Everything at once: row 14. Two faults overlap, a new pair every 20 s, for ten minutes, or for
$ONCEGATE_MIX_SECONDS; what, when and how long is drawn by the seed.

Losing Redis' data is not among them: together with a kill that is the one case in which order is not
promised (row 8 has it)."""

import contextlib
import functools
import os
import sys
import time

from support.waiting import wait_until

from faults.catalog import row

SECONDS = float(os.environ.get("ONCEGATE_MIX_SECONDS", "600"))
PAIR_S = 20


@contextlib.contextmanager
def instance_killed(scene):
    victim = scene.kill()
    yield
    scene.revive(victim, wait=False)


@contextlib.contextmanager
def instance_frozen(scene):
    victim = scene.freeze()
    yield
    scene.thaw(victim)


@contextlib.contextmanager
def instance_leaves(scene):
    victim = scene.victim()
    victim.stop()
    yield
    scene.revive(victim, wait=False)


@contextlib.contextmanager
def redis_killed(scene):
    with scene.without_redis():
        scene.redis.kill()
        yield
        scene.redis.start()


@contextlib.contextmanager
def redis_frozen(scene):
    with scene.without_redis():
        scene.redis.freeze()
        yield
        scene.redis.thaw()


@contextlib.contextmanager
def redis_answers_lost(scene):
    with scene.without_redis():
        scene.redis_proxy.swallow(["down"])
        yield
        scene.redis_proxy.heal()


@contextlib.contextmanager
def redis_full(scene):
    with scene.without_redis():
        scene.redis.call("CONFIG", "SET", "maxmemory", "1mb")
        yield
        scene.redis.call("CONFIG", "SET", "maxmemory", "0")


@contextlib.contextmanager
def broker_killed(scene):
    node = scene.schedule.number("nodes", 1, 3)
    scene.broker.kill_node(node)
    yield
    scene.broker.start_node(node)


@contextlib.contextmanager
def broker_slow(scene):
    proxy = scene.schedule.choose("proxies", scene.broker.proxies)
    proxy.delay(250)
    yield
    proxy.heal()


@contextlib.contextmanager
def broker_unreachable(scene):
    proxy = scene.schedule.choose("proxies", scene.broker.proxies)
    proxy.stall()
    yield
    proxy.heal()


@contextlib.contextmanager
def copies_refused(scene):
    names = [name for name in scene.tiers if scene.configured(name, "max.message.bytes=100")]
    yield
    for name in names:
        wait_until(lambda name=name: scene.configured(name, "max.message.bytes=1048588"), 180,
                   "%s takes copies again" % name, every=0.5)


@contextlib.contextmanager
def handler_outage(scene):
    scene.handler.control(outage=True)
    yield
    scene.handler.control(outage=False)


@contextlib.contextmanager
def handler_unreachable(scene):
    with scene.lost_answers():
        scene.handler_proxy.stall()
        yield
        scene.handler_proxy.heal()


@contextlib.contextmanager
def handler_half(scene):
    with scene.lost_answers():
        scene.handler_proxy.half()
        yield
        scene.handler_proxy.heal()


# A pair has two of different groups: two faults of one part would undo each other.
GROUPS = ((instance_killed, instance_frozen, instance_leaves),
          (redis_killed, redis_frozen, redis_answers_lost, redis_full),
          (broker_killed, broker_slow, broker_unreachable),
          (copies_refused,),
          (handler_outage, handler_unreachable, handler_half))


def attempt(scene, fault, step):
    """What fails here is told in the row; the other faults go on."""
    try:
        step()
    except Exception as error:  # pylint: disable=broad-except
        scene.demand(False, "%s: %s" % (fault.__name__, error))


def play_pair(scene, number):
    """One after the other in this thread: a process started by another one dies with that thread."""
    schedule = scene.schedule
    groups = schedule.stream("groups").sample(GROUPS, 2)
    pair = [(schedule.choose("faults", group), schedule.between("begins", 0, 4),
             schedule.between("lasts", 5, 13)) for group in groups]
    print("# pair %d: %s" % (number, " and ".join("%s for %.0f s" % (
        fault.__name__, lasts) for fault, _, lasts in pair)), file=sys.stderr, flush=True)
    steps = []
    for fault, begins, lasts in pair:
        context = fault(scene)
        steps.append((begins, fault, context.__enter__))
        steps.append((begins + lasts, fault, functools.partial(context.__exit__, None, None, None)))
    begin = time.monotonic()
    for at, fault, step in sorted(steps, key=lambda step: step[0]):
        scene.pass_time(max(0, at - (time.monotonic() - begin)))
        attempt(scene, fault, step)
    scene.pass_time(max(0, PAIR_S - (time.monotonic() - begin)))


@row("14", "faults of all kinds, two at a time, a new pair every 20 s for 10 minutes", brokers=3,
     gateways=3, rate=150, keys=60, kafka_proxy=True, redis_proxy=True, handler_proxy=True,
     ambiguous=True, settle_s=240, timeout_ms=2000,
     rules=('0.02:{"fail_for_ms":2500}', '0.05:{"fail_first":1}', '0.1:{"delay_ms":40}',
            '0.001:{"poison":true}'),
     route={"retry": {"tiers": ["300ms", "900ms", "2s"]}})
def mix(scene):
    scene.tiers = [name for name in scene.copy_topics() if name.startswith("retry.")]
    begin, number = time.monotonic(), 0
    while time.monotonic() - begin < SECONDS:
        number += 1
        play_pair(scene, number)
    scene.notes["pairs"] = number
    scene.wait_shared(120)
    scene.traffic(300, 180)
