"""Wall clocks that jump by a minute: row 10 (tests/support/clock_shift.c, preloaded)."""

import struct
import time

from support import places

from faults.catalog import row

TROUBLE = ('0.05:{"fail_first":1}', '0.05:{"fail_for_ms":1500}')
JUMP_S = 60


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
     doubles=0, rules=TROUBLE, needs=no_clock_shift, settle_s=150, allow={"other": 10**6})
def gateway_clock_ahead(scene):
    """Its retries are early by the jump at most, and what it wrote meanwhile late by it."""
    path = start_with_clock(scene, "+%d" % JUMP_S)
    jump(path, JUMP_S)
    scene.traffic(1500)
    jump(path, 0)
    scene.traffic(500)


@row("10", "a gateway's clock falls 60 s behind, and is set right", traffic=False, gateways=0,
     rate=200, doubles=0, rules=TROUBLE, needs=no_clock_shift, settle_s=150,
     allow={"other": 10**6})
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
    """Leases end early or late by the jump. No member changes meanwhile: nobody else claims."""
    path = scene.directory / "clock"
    scene.redis_environment = environment(path)
    for _ in range(2):
        scene.add_gateway().start()
    scene.wait_shared()
    scene.start_traffic()
    for seconds in (JUMP_S, 0, -JUMP_S, 0):
        scene.traffic(400, 120)
        jump(path, seconds)
        ahead = int(scene.redis.call("TIME")[0]) - time.time()
        scene.demand(abs(ahead - seconds) < 10, "Redis' clock is %.0f s ahead" % ahead)
    scene.traffic(500, 120)
