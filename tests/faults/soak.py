#!/usr/bin/env python3
"""A long run under steady trouble: does anything grow in a gateway that lives through all of it?

    tests/faults/soak.py [--minutes 30] [--every 20] [--seed N]

Two gateways share a stream at 60 % of what they can do together (8 slots in all, a handler of 10 ms; what that comes to here, records
made to fail included, is measured first with a stream that is too much for them). Every 20 s something breaks: the second gateway is
killed or stopped, Redis is killed or its connections cut, its answers lost, its scripts flushed, the handler's connections cut or the
handler away. The first gateway lives through it all and is watched: resident memory, descriptors, lanes. At the end: the row, as in
the matrix; growth of resident memory after the first five minutes, in MiB for each ten minutes; descriptors when calm; what is left in
memory at rest. Exit code 1 where the row is not clean, memory grows by 1 MiB in ten minutes or more, descriptors by more than two, or
a lane is left at rest."""

import argparse
import json
import os
import pathlib
import signal
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from faults import bench, catalog, schedule  # noqa: E402
from faults.faults_process import TROUBLE  # noqa: E402
from faults.scene import Scene  # noqa: E402
from faults.windows import now_us  # noqa: E402
from support.waiting import wait_until  # noqa: E402

SLOTS, HANDLER_MS, SHARE = 4, 10, 0.6
WARM_S, SAMPLE_S = 300, 5
MEASURE_S = 20


class Watch:
    """Samples of the gateway that lives: (seconds, resident KiB, descriptors)."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.begin = time.monotonic()
        self.samples = []

    def resident_kib(self):
        text = pathlib.Path("/proc/%d/status" % self.gateway.pid).read_text(encoding="utf-8")
        return int(text.split("VmRSS:")[1].split()[0])

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.gateway.pid))

    def sample(self):
        self.samples.append((time.monotonic() - self.begin, self.resident_kib(), self.descriptors()))

    def growth(self, warm_s):
        """MiB of resident memory for each ten minutes, by the line through the samples after the first minutes."""
        after = [(t, kib) for t, kib, _ in self.samples if t >= warm_s]
        if len(after) < 10:
            return 0.0
        slope = statistics.linear_regression([t for t, _ in after], [kib for _, kib in after]).slope
        return slope * 600 / 1024


def breaks(scene, first, second):
    """What may break, each with what mends it; nothing harms the first gateway itself."""
    def killed():
        scene.kill(second)
        scene.pass_time(1, 3)
        scene.revive(second)

    def stopped():
        scene.freeze(second)
        scene.pass_time(7, 9)
        scene.thaw(second)

    def redis_killed():
        scene.redis.kill()
        scene.pass_time(0.5, 3)
        scene.redis.start()

    def redis_cut():
        scene.redis_proxy.reset()

    def redis_silent():
        scene.redis_proxy.swallow(["down"])
        scene.pass_time(0.3, 2)
        scene.redis_proxy.heal()

    def scripts_flushed():
        for _ in range(5):
            scene.redis.call("SCRIPT", "FLUSH", "SYNC")
            scene.pass_time(0.02, 0.1)

    def handler_cut():
        # An answer that had left the handler and was in the proxy's hands: at most one for each slot.
        window = scene.windows.open("ambiguous", before_us=200_000, limit=2 * SLOTS)
        scene.handler_proxy.reset()
        window.end_us = now_us()

    def handler_away():
        scene.handler.control(outage=True)
        scene.pass_time(2, 5)
        scene.handler.control(outage=False)

    return [killed, stopped, redis_killed, redis_cut, redis_silent, scripts_flushed, handler_cut, handler_away]


def at_rest(gateway):
    route = json.loads(gateway.ask("GET", "/status")[1])["routes"][0]
    return {name: route[name] for name in ("in_flight_records", "in_flight_bytes", "followers_in_memory", "lanes")}


def capacity(scene):
    """Records a second that the gateways come to when there is always one more; leaves nothing waiting."""
    stream = scene.start_traffic(rate=int(2 * 2 * SLOTS * 1000 / HANDLER_MS), key_prefix="m")
    scene.traffic(1000)
    begin, before = time.monotonic(), scene.effects_now()
    scene.pass_time(MEASURE_S)
    rate = (scene.effects_now() - before) / (time.monotonic() - begin)
    stream.stop()
    wait_until(scene.is_settled, 180, "what was too much is done")
    return rate


def soak(scene, options):
    first, second = scene.gateways
    watch, faults = Watch(first), breaks(scene, first, second)
    end = time.monotonic() + options.minutes * 60
    following = time.monotonic() + options.every
    count = 0
    while time.monotonic() < end:
        if time.monotonic() >= following:
            following += options.every
            scene.schedule.choose("faults", faults)()
            count += 1
        scene.pass_time(SAMPLE_S)
        watch.sample()
        if not first.alive():
            sys.exit("soak: the gateway that is watched ended")
        if len(watch.samples) % 24 == 0:
            t, kib, fds = watch.samples[-1]
            print("# %5.0f s: %d KiB resident, %d descriptors, %d faults, %d effects" % (
                t, kib, fds, count, scene.effects_now()), file=sys.stderr, flush=True)
    scene.notes["faults"] = count
    settled = scene.settle()
    return watch, settled


def judge(watch, row, rest, options):
    warm = min(WARM_S, options.minutes * 60 / 3)
    calm = [fds for t, _, fds in watch.samples if t >= warm]
    early, late = calm[:len(calm) // 4], calm[-len(calm) // 4:]
    growth = watch.growth(warm)
    more = statistics.median(late) - statistics.median(early) if early and late else 0
    peak = max(kib for _, kib, _ in watch.samples)
    print("resident: %.2f MiB in ten minutes after the first %d s, %.1f MiB at most; descriptors: %+d (median of the last quarter "
          "against the first), %d to %d; at rest: %s" % (growth, warm, peak / 1024, more, min(calm), max(calm), rest))
    return row.good and growth < 1 and abs(more) <= 2 and rest["lanes"] == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--every", type=float, default=20, help="seconds between faults")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--dir")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    seed = schedule.fresh_seed() if options.seed is None else options.seed
    spec = catalog.Spec("soak", "0", "a long run", None, keys=400,
                        rules=TROUBLE, redis_proxy=True, handler_proxy=True, ambiguous=True, settle_s=180,
                        route={"handler": {"max_in_flight": SLOTS}})
    base = bench.Bench(options.dir or tempfile.mkdtemp(prefix="oncegate-soak-"))
    directory = base.directory / "soak"
    directory.mkdir()
    scene = Scene(directory, base.cluster(spec), schedule.Schedule(seed), spec)
    print("# soak seed=%d in %s" % (seed, directory), file=sys.stderr, flush=True)
    try:
        scene.handler.control(default={"delay_ms": HANDLER_MS})
        scene.start_all()
        most = capacity(scene)
        scene.start_traffic(rate=int(most * SHARE))
        print("# capacity %.0f records/s, the stream %d" % (most, most * SHARE), file=sys.stderr, flush=True)
        watch, settled = soak(scene, options)
        row = scene.report(settled)
        print(row.text(), flush=True)
        if not row.good:
            row.directory = directory
            print(bench.explain(row), file=sys.stderr)
        wait_until(lambda: at_rest(scene.gateways[0])["lanes"] == 0, 20, "no lane at rest")
        good = judge(watch, row, at_rest(scene.gateways[0]), options)
    finally:
        scene.close()
        base.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
