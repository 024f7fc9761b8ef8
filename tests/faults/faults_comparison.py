"""The run by which systems are compared: two instances, 32,000 records at 800/s over 40 s, 16 of
them poison; kill -9 of an instance, kill -9 of Redis, SIGTERM of an instance."""

import time

from support.waiting import wait_until

from faults.catalog import row
from faults.commits import Account
from faults.windows import now_us

SESSION_S, HEARTBEAT_S = 6.0, 0.5  # as World.config has them
RECORDS, POISON = 32_000, 16


def owned_by(scene, name):
    """Source partitions of a gateway in the newest generation."""
    account = Account(scene.broker.request_logs(), scene.group)
    newest = max((item for item in account.generations if item[3].startswith(name)),
                 key=lambda item: item[1])
    return {partition for topic, partition in newest[4] if topic == scene.topic}


def first_deliveries(scene, partitions, after_us):
    """Seconds until each of the partitions had a request after that moment; None where not yet."""
    first = {}
    for line in scene.handler.lines():
        if line["e"] == "b" and line["t"] > after_us and int(line["p"]) in partitions:
            first.setdefault(int(line["p"]), (line["t"] - after_us) / 1e6)
    return [first.get(partition) for partition in partitions]


def seconds_to_catch_up(scene, begin, slack=100):
    """Until the handler has had all but the newest of what was acknowledged."""
    def caught_up():
        acked = scene.account.read_bytes().count(b"\n")
        return len(scene.handler.effects()) + POISON >= acked - slack
    wait_until(caught_up, 60, "the backlog is done", every=0.05)
    return time.monotonic() - begin


def demand_takeover(scene, victim):
    partitions = owned_by(scene, victim.name)
    killed_us, begin = now_us(), time.monotonic()
    scene.kill(victim)
    # What the victim had sent may still begin; it is over long before the group notices.
    wait_until(lambda: all(s is not None for s in first_deliveries(
        scene, partitions, killed_us + 1_000_000)), 30, "the lost partitions are delivered again")
    outage = max(first_deliveries(scene, partitions, killed_us + 1_000_000)) + 1
    caught_up = seconds_to_catch_up(scene, begin)
    scene.notes["takeover_s"] = "%.1f" % outage
    scene.notes["takeover_settled_s"] = "%.1f" % caught_up
    scene.demand(outage <= SESSION_S + HEARTBEAT_S + 2, "taken over after %.1f s" % outage)
    scene.demand(caught_up <= 2 * outage, "settled %.1f s after a kill of %.1f s" % (
        caught_up, outage))


def silence_around(scene, partition, since_us, leaver):
    """Seconds between the last request of a partition by the one that leaves and the first by another
    one; None where that has not come."""
    lines = [line for line in scene.handler.lines() if line["e"] == "b" and int(line["p"]) == partition]
    after = [line["t"] for line in lines if line["t"] > since_us and line.get("gw") != leaver]
    last = max((line["t"] for line in lines if line.get("gw") == leaver), default=since_us)
    return (min(after) - max(last, since_us)) / 1e6 if after else None


def demand_leave(scene, leaver):
    """It ends in good order: its partitions have no deliveries from its last request of them, or the
    signal where that was before it, until another one's first. The time in which it finishes what is
    under way is no part of that, but is part of what the backlog may take."""
    partitions = owned_by(scene, leaver.name)
    asked_us, begin = now_us(), time.monotonic()
    leaver.stop()

    def silences():
        found = [silence_around(scene, partition, asked_us, leaver.name) for partition in partitions]
        return found if None not in found else None

    outage = max(wait_until(silences, 30, "the partitions that were left are delivered"))
    caught_up = seconds_to_catch_up(scene, begin)
    scene.notes["leave_s"] = "%.1f" % outage
    scene.notes["leave_settled_s"] = "%.1f" % caught_up
    scene.demand(caught_up <= 2 * outage, "settled %.1f s after an instance that left was away for %.1f s" % (
        caught_up, outage))


def demand_redis_outage(scene, seconds):
    begin = time.monotonic()
    scene.redis.kill()
    scene.pass_time(seconds)
    scene.redis.start()
    outage = time.monotonic() - begin
    caught_up = seconds_to_catch_up(scene, begin)
    scene.notes["redis_s"] = "%.1f" % outage
    scene.notes["redis_settled_s"] = "%.1f" % caught_up
    scene.demand(caught_up <= 2 * outage, "settled %.1f s after Redis was away for %.1f s" % (
        caught_up, outage))


@row("0", "32,000 records at 800/s: kill -9 of an instance, kill -9 of Redis, SIGTERM", traffic=False,
     rate=800, keys=400, settle_s=40)
def comparison(scene):
    stream = scene.start_traffic(count=RECORDS - POISON)
    for number in range(POISON):
        scene.send("p%d" % number, 1, rule={"poison": True})
    scene.traffic(3000)
    victim = scene.victim()
    demand_takeover(scene, victim)
    scene.revive(victim)
    scene.wait_shared()
    demand_redis_outage(scene, 4)
    leaver = scene.victim()
    demand_leave(scene, leaver)
    scene.revive(leaver)
    stream.wait()
    scene.demand(len(scene.account.read_bytes().splitlines()) == RECORDS, "not all were produced")
