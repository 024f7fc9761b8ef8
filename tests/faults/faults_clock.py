"""Wall clocks that jump by a minute: row 10 (tests/support/clock_shift.c, preloaded).

Due times are judged by the bench (due_within_s). Leases are judged here: records are at a gate in
the handler, their gateway is frozen, and the other one waits for the claims to lapse. Where only
the gateways' clocks jump it begins when they would have lapsed anyway, else within the jump."""

import struct
import time

from support import places
from support.waiting import SLOWDOWN, wait_until

from faults.catalog import row

TROUBLE = ('0.05:{"fail_first":1}', '0.05:{"fail_for_ms":1500}')
JUMP_S = 60
HELD = 6             # keys whose claim is waited for
LEASE_MARGIN_S = 5   # a lease is the handler's timeout and this (docs/guarantees.md)
CLAIM_S = 1          # a claim is at most so much older than the request that it was for
WAIT_S = 4           # who waits for a claim asks again after a second or so, and then needs a turn


def no_clock_shift():
    return None if places.find_clock_shift() else "libog-clock-shift.so is not built"


def environment(path):
    jump(path, 0)
    return {"LD_PRELOAD": str(places.find_clock_shift()), "OG_CLOCK_SHIFT": str(path)}


def jump(path, seconds):
    """In place: the programs have the file mapped."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.write(struct.pack("=q", seconds))


def start_with_clock(scene, name):
    """The first gateway has a clock of its own; the second one has the right time."""
    path = scene.directory / "clock"
    first = scene.add_gateway()
    first.environment.update(environment(path))
    first.start()
    scene.add_gateway().start()
    scene.wait_shared()
    scene.start_traffic()
    scene.traffic(200)
    scene.notes["jump_s"] = name
    return path


@row("10", "a gateway's clock jumps 60 s ahead, and back", traffic=False, gateways=0, rate=200,
     doubles=0, rules=TROUBLE, needs=no_clock_shift, settle_s=150,
     due_within_s=JUMP_S)
def gateway_clock_ahead(scene):
    """Its retries are early by the jump at most, and what it wrote meanwhile late by it."""
    path = start_with_clock(scene, "+%d" % JUMP_S)
    jump(path, JUMP_S)
    scene.traffic(1500)
    jump(path, 0)
    scene.traffic(500)


@row("10", "a gateway's clock falls 60 s behind, and is set right", traffic=False, gateways=0,
     rate=200, doubles=0, rules=TROUBLE, needs=no_clock_shift, settle_s=150, due_within_s=JUMP_S)
def gateway_clock_behind(scene):
    """Its retries are late by the jump at most, and those that it wrote early by it."""
    path = start_with_clock(scene, "-%d" % JUMP_S)
    jump(path, -JUMP_S)
    scene.pass_time(8)
    jump(path, 0)
    scene.traffic(500, 120)


@row("10", "Redis' clock jumps 60 s ahead, falls behind, and is set right", traffic=False, gateways=0,
     rate=200, doubles=0, rules=TROUBLE, needs=no_clock_shift, settle_s=150)
def redis_clock(scene):
    """Due times do not mind. No member changes meanwhile: nobody else claims, see below for leases."""
    path = scene.directory / "clock"
    scene.redis_environment = environment(path)
    for _ in range(2):
        scene.add_gateway().start()
    scene.wait_shared()
    scene.start_traffic()
    for seconds in (JUMP_S, 0, -JUMP_S, 0):
        scene.traffic(400, 120)
        set_redis_clock(scene, path, seconds)
    scene.traffic(500, 120)


def set_redis_clock(scene, path, seconds):
    jump(path, seconds)
    ahead = int(scene.redis.call("TIME")[0]) - time.time()
    scene.demand(abs(ahead - seconds) < 10, "Redis' clock is %.0f s ahead" % ahead)


def hold_claims(scene):
    """The first gateway has requests at the handler, in no hurry, and all partitions; their ids."""
    scene.gateways[0].start()
    scene.start_traffic()
    scene.traffic(100)
    held = [scene.send("held-%d" % number, 1, rule={"gate": "held"}) for number in range(HELD)]
    for record in held:
        scene.wait_calls(record, 1)
    return held


def contest(scene, held, upset, early_s=0, late_s=0):
    """The owner is frozen, clocks jump, another member wants the claims: by how much its requests
    may come before and after the end of the first ones' leases."""
    owner, other = scene.gateways
    scene.freeze(owner)
    scene.handler.control(keys={"held-%d" % number: {"gate": "second"} for number in range(HELD)})
    upset()
    other.start(wait=False)
    lease_s = scene.timeout_ms / 1000 + LEASE_MARGIN_S
    wait_until(lambda: other.alive() and other.metric("dedup_verdicts_total", verdict="busy") >= HELD,
               30, "the other one waits for claims")
    for record in held:
        scene.wait_calls(record, 2, lease_s + late_s + 30)
    scene.handler.control(open=["held"])
    scene.wait_effects(held)
    scene.handler.control(open=["second"])
    scene.thaw(owner)
    off = []
    for record in held:
        first, second = scene.handler.calls(record)[:2]
        off.append((second.begin_us - first.begin_us) / 1e6 - lease_s)
        scene.demand((first.line["gw"], second.line["gw"]) == (owner.name, other.name),
                     "%s: not one request of each gateway" % record)
    scene.notes["lease_off_s"] = "%+.1f to %+.1f" % (min(off), max(off))
    scene.demand(min(off) >= -early_s - CLAIM_S, "a lease ended %.1f s early" % -min(off))
    scene.demand(max(off) <= late_s + WAIT_S * SLOWDOWN, "a lease ended %.1f s late" % max(off))
    return off


LEASE = {"traffic": False, "gateways": 0, "rate": 50, "needs": no_clock_shift, "settle_s": 150}


@row("10", "Redis' clock jumps 60 s ahead while another member waits for a claim",
     timeout_ms=80_000, allow={"overlap": HELD}, **LEASE)
def lease_and_redis_ahead(scene):
    """Leases end early by the jump at most, so requests may overlap by less than that."""
    path = scene.directory / "clock"
    scene.redis_environment = environment(path)
    for _ in range(2):
        scene.add_gateway()
    off = contest(scene, hold_claims(scene), lambda: set_redis_clock(scene, path, JUMP_S),
                  early_s=JUMP_S)
    scene.demand(max(off) < 0, "the jump was not felt")


@row("10", "Redis' clock falls 60 s behind while another member waits for a claim",
     timeout_ms=15_000, **LEASE)
def lease_and_redis_behind(scene):
    """Leases end late by the jump at most, never early."""
    path = scene.directory / "clock"
    scene.redis_environment = environment(path)
    for _ in range(2):
        scene.add_gateway()
    off = contest(scene, hold_claims(scene), lambda: set_redis_clock(scene, path, -JUMP_S),
                  late_s=JUMP_S)
    scene.demand(min(off) > JUMP_S / 2, "the jump was not felt")


def gateways_jump(scene, owner_s, other_s):
    """Each has a clock of its own; they jump apart when the claims are held."""
    paths = [scene.directory / name for name in ("clock-owner", "clock-other")]
    for path in paths:
        scene.add_gateway().environment.update(environment(path))
    held = hold_claims(scene)

    def upset():
        for path, seconds in zip(paths, (owner_s, other_s)):
            jump(path, seconds)

    contest(scene, held, upset)


@row("10", "the clock of who waits for a claim jumps 60 s ahead, its owner's 60 s behind",
     timeout_ms=15_000, **LEASE)
def lease_and_gateway_ahead(scene):
    """A lease is of Redis' clock alone: it does not end a second early."""
    gateways_jump(scene, -JUMP_S, JUMP_S)


@row("10", "the clock of who waits for a claim falls 60 s behind, its owner's jumps 60 s ahead",
     timeout_ms=15_000, **LEASE)
def lease_and_gateway_behind(scene):
    """Nor a second late."""
    gateways_jump(scene, JUMP_S, -JUMP_S)
