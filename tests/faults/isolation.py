#!/usr/bin/env python3
"""Does one's trouble stay one's own? Three measurements, each a calm phase against one with trouble in the same run.

    tests/faults/isolation.py [--seconds 60] [--only hang|key|poll]

hang   route A's handler takes requests and never answers, all its slots are full; route B of the same process is measured
key    one key fails at 50 records a second; the others of its route are measured
poll   max.poll.interval.ms of 10 s and a handler that takes 30 s: rebalances are counted; then idle

Rates are those of a steady stream, so a share of 1 means that all of it was delivered in time. Latency is from the producer's
acknowledged record to the request. Exit code 1 below 0.95 of the rate, above 1.5 times the p99, or at any rebalance."""

import argparse
import pathlib
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import checker  # noqa: E402
from support.broker import Broker, Stream  # noqa: E402
from support.handler import Handler  # noqa: E402
from support.waiting import holds_for, wait_until  # noqa: E402
from support.world import World  # noqa: E402

RATE, KEYS = 300, 200
LEAST_SHARE, MOST_SLOWER = 0.95, 1.5


class Phase:
    """What the handler saw of the records that were produced in a span of time."""

    def __init__(self, account, handler, begin_ms, end_ms):
        sent = {line["id"]: line["t"] for line in checker.read_lines(account)
                if begin_ms <= line["t"] < end_ms}
        late = []
        for line in handler.lines():
            if line["e"] == "b" and line["id"] in sent:
                late.append(line["w"] - sent.pop(line["id"]))
        late.sort()
        self.seconds = (end_ms - begin_ms) / 1000
        self.rate = sum(1 for ms in late if ms < end_ms - begin_ms) / self.seconds
        self.p50, self.p99 = (late[len(late) * percent // 100] if late else 0 for percent in (50, 99))
        self.missing = len(sent)

    def text(self):
        return "%.0f/s, p50 %d ms, p99 %d ms, %d not delivered" % (self.rate, self.p50, self.p99, self.missing)


def now_ms():
    return int(time.time() * 1000)


def compare(name, calm, trouble):
    share, slower = trouble.rate / calm.rate, trouble.p99 / max(calm.p99, 1)
    good = share >= LEAST_SHARE and slower <= MOST_SLOWER and trouble.missing == 0
    print("%s: calm %s; in trouble %s; share %.3f, p99 %.2f times: %s" % (
        name, calm.text(), trouble.text(), share, slower, "ok" if good else "NOT ok"), flush=True)
    return good


def hang(directory, broker, seconds):
    """Two routes of one process, each with a topic, group and handler of its own."""
    world = World(directory, broker)
    stuck = Handler(directory / "stuck.jsonl", capture=False)
    other = {"name": "stuck", "topics": [world.topic + "-a"], "group": world.group + "-a",
             "handler": {"url": stuck.url, "timeout": "%ds" % (seconds * 4), "max_in_flight": 16}}
    config = world.config(world.route(), world.route(**other))
    try:
        gateway = world.start(config)
        stream = world.stream(rate=RATE, keys=KEYS, count=0, seed=1)
        trouble = Stream(broker, world.topic + "-a", directory / "a.jsonl", rate=RATE, keys=KEYS, count=0, seed=2)
        world.streams.append(trouble)
        wait_until(lambda: len(world.handler.effects()) > RATE * 3, 60, "traffic")
        begin = now_ms()
        holds_for(gateway.alive, seconds, "the gateway lives")
        middle = now_ms()
        stuck.control(default={"how": "never"})
        wait_until(lambda: stuck.stats()["open"] == 16, 30, "all slots of the other route are full")
        full = now_ms()
        holds_for(gateway.alive, seconds, "the gateway lives")
        end = now_ms()
        assert gateway.metric("handler_in_flight", route="stuck") == 16
        stuck.control(default=None, reset=True)
        for one in (stream, trouble):
            one.stop()
        world.wait_effects({line["id"] for line in checker.read_lines(world.account)}, 60)
        return compare("hang", Phase(world.account, world.handler, begin, middle),
                       Phase(world.account, world.handler, full, end))
    finally:
        for gateway in world.gateways:
            gateway.kill()
        world.close()
        stuck.process.kill()


def key(directory, broker, seconds):
    """One key of the route fails for good at 50 records a second."""
    world = World(directory, broker)
    try:
        gateway = world.start()
        stream = world.stream(rate=RATE, keys=KEYS, count=0, seed=1)
        wait_until(lambda: len(world.handler.effects()) > RATE * 3, 60, "traffic")
        begin = now_ms()
        holds_for(gateway.alive, seconds, "the gateway lives")
        middle = now_ms()
        bad = Stream(broker, world.topic, directory / "bad.jsonl", rate=50, keys=1, count=50 * seconds, seed=2,
                     key_prefix="bad", rule=['1.0:{"status":500}'])
        world.streams.append(bad)
        bad.wait(seconds * 3)
        end = now_ms()
        stream.stop()
        world.wait_effects({line["id"] for line in checker.read_lines(world.account)}, 60)
        return compare("key", Phase(world.account, world.handler, begin, middle),
                       Phase(world.account, world.handler, middle, end))
    finally:
        for gateway in world.gateways:
            gateway.kill()
        world.close()


def poll(directory, broker, seconds):
    """The handler takes three times as long as max.poll.interval.ms allows between polls."""
    world = World(directory, broker)
    config = world.config(world.route(handler__timeout="60s"), kafka={"max.poll.interval.ms": 10000})
    try:
        gateway = world.start(config)
        world.handler.control(default={"delay_ms": 30000})
        stream = world.stream(rate=20, keys=100, count=0, seed=1)
        before = gateway.metric("rebalances_total")
        holds_for(gateway.alive, seconds, "the gateway lives")
        busy = gateway.metric("rebalances_total") - before
        stream.stop()
        world.handler.control(default=None)
        world.wait_effects({line["id"] for line in checker.read_lines(world.account)}, 120)
        calm = gateway.metric("rebalances_total")
        holds_for(gateway.alive, seconds, "the gateway lives")
        idle = gateway.metric("rebalances_total") - calm
        print("poll: a handler of 30 s for %d s: %d rebalances; idle for %d s: %d" % (seconds, busy, seconds, idle), flush=True)
        return busy == idle == 0
    finally:
        world.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="of each phase")
    parser.add_argument("--only", choices=["hang", "key", "poll"])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    base = pathlib.Path(tempfile.mkdtemp(prefix="oncegate-isolation-"))
    broker = Broker(base / "kafka")
    good = True
    try:
        for measure in (hang, key, poll):
            if options.only in (None, measure.__name__):
                directory = base / measure.__name__
                directory.mkdir()
                good = measure(directory, broker, options.seconds) and good
    finally:
        broker.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
