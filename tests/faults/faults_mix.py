"""Everything at once: row 14. Two faults overlap, a new pair every 20 s, for ten minutes, or for
$ONCEGATE_MIX_SECONDS; what, when and how long is drawn by the seed.

Losing Redis' data is not among them: together with a kill that is the one case in which order is not
promised (row 8 has it)."""

import contextlib
import functools
import os
import sys
import time

from support import places
from support.waiting import wait_until

from faults.catalog import row
from faults.faults_errors import FATAL_ERRORS, PRODUCE_ERRORS
from faults.faults_process import POINTS
from faults.kafka_filter import PRODUCE, KafkaFilter

SECONDS = float(os.environ.get("ONCEGATE_MIX_SECONDS", "600"))
PAIR_S = 20


@contextlib.contextmanager
def instance_killed(scene):
    victim = scene.kill()
    yield
    scene.revive(victim, wait=False)


@contextlib.contextmanager
def instance_dies_at_point(scene):
    """It starts anew and kills itself at a point of row 1; by us, where it does not get there."""
    victim = scene.kill()
    begin = time.monotonic()
    point = scene.schedule.choose("points", POINTS)
    count = scene.schedule.number("counts", 1, 6 if point == "commit" else 60)
    victim.program, program = places.find_crashy(), victim.program
    victim.environment = {**scene.spec.environment, "ONCEGATE_CRASH_AT": "%s:%d" % (point, count)}
    scene.revive(victim, wait=False)
    yield
    if victim.alive():
        scene.kill(victim)
    else:
        code = victim.child.process.returncode
        scene.demand(code == -9, "ended with %s at %s" % (code, point))
        scene.crashed(victim, within_s=time.monotonic() - begin)
        scene.notes["died_at_points"] = scene.notes.get("died_at_points", 0) + 1
    victim.program, victim.environment = program, dict(scene.spec.environment)
    scene.revive(victim, wait=False)


@contextlib.contextmanager
def instance_frozen(scene):
    victim = scene.freeze()
    yield
    scene.thaw(victim)


@contextlib.contextmanager
def instance_leaves(scene):
    victim = scene.victim()
    scene.leave(victim)
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
def copies_answered_with_errors(scene):
    """The brokers append them and say another thing: retriable, fatal for the producer, or denied."""
    name, code = scene.schedule.choose("errors", sorted(ERRORS.items()))
    kafka_filter = KafkaFilter()
    scene.broker.use_filter(kafka_filter)
    injection = kafka_filter.inject(PRODUCE, code, 1 if name in FATAL_ERRORS else 10, "retry.")
    yield
    scene.broker.use_filter(None)
    answers = scene.notes.get("produce_errors", 0)
    scene.notes["produce_errors"] = answers + injection.done
    scene.demand(kafka_filter.unread == 0, "%d answers could not be read" % kafka_filter.unread)


@contextlib.contextmanager
def acknowledgements_lost(scene):
    for proxy in scene.broker.proxies:
        proxy.swallow(["down"])
    yield
    for proxy in scene.broker.proxies:
        proxy.heal()


@contextlib.contextmanager
def acknowledgements_late(scene):
    for proxy in scene.broker.proxies:
        proxy.stall(["down"])
    yield
    for proxy in scene.broker.proxies:
        proxy.heal()


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


# What row 6 has the brokers answer.
ERRORS = {**PRODUCE_ERRORS, **FATAL_ERRORS, "TOPIC_AUTHORIZATION_FAILED": 29}
# A pair has two of different groups: two faults of one part would undo each other.
GROUPS = ((instance_killed, instance_frozen, instance_leaves, instance_dies_at_point),
          (redis_killed, redis_frozen, redis_answers_lost, redis_full),
          (broker_killed, broker_slow, broker_unreachable, acknowledgements_lost, acknowledgements_late),
          (copies_refused, copies_answered_with_errors),
          (handler_outage, handler_unreachable, handler_half))


def groups_here():
    """Without the faults that no build here has the means for."""
    left_out = () if places.find_crashy() else (instance_dies_at_point,)
    return [[fault for fault in group if fault not in left_out] for group in GROUPS]


def attempt(scene, fault, step):
    """What fails here is told in the row; the other faults go on."""
    try:
        step()
    except Exception as error:  # pylint: disable=broad-except
        scene.demand(False, "%s: %s" % (fault.__name__, error))


def play_pair(scene, number):
    """One after the other in this thread: a process started by another one dies with that thread."""
    schedule = scene.schedule
    groups = schedule.stream("groups").sample(groups_here(), 2)
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


def look_at_third_tier(scene, _):
    """Heads failed in each tier before it, and followers went behind them: else this shows nothing."""
    copies = scene.read_copies(scene.broker.dump(scene.tiers_by_delay[-1]))
    heads = {copy.record_id for copy in copies if copy.headers.get("oncegate-first-failed-at")}
    followers = {copy.record_id for copy in copies} - heads
    scene.notes.update(heads_in_tier_3=len(heads), followers_in_tier_3=len(followers))
    scene.demand(heads, "no head failed as far as the third tier")
    scene.demand(followers, "no follower went into the third tier")


@row("14", "faults of all kinds, two at a time, a new pair every 20 s for 10 minutes", brokers=3,
     gateways=3, rate=150, keys=60, kafka_proxy=True, redis_proxy=True, handler_proxy=True,
     ambiguous=True, settle_s=240, timeout_ms=2000,
     rules=('0.02:{"fail_for_ms":2500}', '0.05:{"fail_first":1}', '0.1:{"delay_ms":40}',
            '0.001:{"poison":true}'),
     route={"retry": {"tiers": ["300ms", "900ms", "2s"]}})
def mix(scene):
    scene.tiers = [name for name in scene.copy_topics() if name.startswith("retry.")]
    scene.tiers_by_delay = ["%s.%s" % (scene.tiers[0].rsplit(".", 1)[0], tier)
                            for tier in scene.spec.route["retry"]["tiers"]]
    scene.demand(set(scene.tiers_by_delay) <= set(scene.tiers), "tiers are %s" % scene.tiers)
    scene.at_end.append(functools.partial(look_at_third_tier, scene))
    begin, number = time.monotonic(), 0
    while time.monotonic() - begin < SECONDS:
        number += 1
        play_pair(scene, number)
    scene.notes["pairs"] = number
    scene.wait_shared(120)
    scene.traffic(300, 180)
