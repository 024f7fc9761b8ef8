#!/usr/bin/env python3
"""What the head rule costs one key: its head fails for a while, its followers keep coming. Time is simulated, in milliseconds.

    tier_latency.py [--rate R] [--heal SECONDS] [--off drain]
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lua")]

import model
from gateway import Gateway
from model import Scope
from sim import Redis, Setup
from world import Record, World


class Result:
    def __init__(self):
        self.copies = 0
        self.empty_after_ms = None      # from the healing until the parked list is empty and stays so
        self.latest_ms = 0              # longest wait of a record that arrived 15 s after the healing or later
        self.delivered = 0


def play(rate=5, fails_ms=5000, lasts_ms=60000, off=(), seed=1, delays=(10000, 60000, 600000)):
    """One key, `rate` records a second for `lasts_ms`; the first one fails until `fails_ms`."""
    setup = Setup(off)
    setup.delays, setup.timeout, setup.lease, setup.commit_every = delays, 40, 10000, 1000
    setup.ghost_ttl, setup.give_up_after, setup.most_twins = 3600000, 86400000, 1000
    setup.scope = Scope("s", True, setup.ghost_ttl, 10000)
    world = World(seed, setup.timeout)
    world.timeout_share = 0
    tps = ["src/0", "redrive/0"] + [f"t{i}/0" for i in range(len(delays))]
    for tp in tps:
        world.broker.create(tp)
    for i in range(int(lasts_ms / 1000 * rate)):
        world.broker.logs["src/0"].append(Record("k", "sequence", 0, i + 1, None, (i, 0), 1 + int(i * 1000 / rate)))
    world.heals[("k", 0, 1)] = fails_ms
    redis = Redis(setup.off & set(model.RULES), 0)
    gateway = Gateway(world, redis, setup, "g")
    for tp in tps:
        world.broker.owner[tp] = gateway
        gateway.assign(tp)

    result, last_parked = Result(), None
    while world.now < 20 * lasts_ms and not done(world, tps):
        world.step()
        state = redis.model.states.get(("s", "k"))
        if state and state.parked:
            last_parked = world.now
    result.copies = world.broker.copies
    result.empty_after_ms = max(0, (last_parked or 0) - fails_ms)
    result.delivered = len(world.successes)
    result.in_order = all(a.rec.rank < b.rec.rank for (_, a), (_, b) in zip(world.successes, world.successes[1:]))
    for when, req in world.successes:
        arrived = 1 + int(req.rec.rank[0] * 1000 / rate)
        if arrived > fails_ms + 15000:
            result.latest_ms = max(result.latest_ms, when - arrived)
    return result


def done(world, tps):
    broker = world.broker
    return broker.position("src/0") == len(broker.logs["src/0"]) and all(broker.position(t) == len(broker.logs[t]) for t in tps)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--rate", type=float, default=5)
    p.add_argument("--heal", type=float, default=5, help="seconds that the head fails")
    p.add_argument("--off", default="")
    args = p.parse_args()
    r = play(args.rate, int(args.heal * 1000), off=[x for x in args.off.split(",") if x])
    print(f"{args.rate} records/s, head fails {args.heal} s: parked list empty {r.empty_after_ms / 1000:.1f} s after the healing, "
          f"{r.copies} copies, {r.delivered} delivered, in order: {r.in_order}, "
          f"later records wait at most {r.latest_ms / 1000:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
