"""A process at its limits: row 13."""

import os
import resource
import time

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_process import TROUBLE


@row("13", "no file descriptors left, while the handler's connections are reset", rules=TROUBLE,
     rate=200, handler_proxy=True, ambiguous=True)
def no_descriptors(scene):
    victim = scene.victim()
    _, hard = resource.prlimit(victim.pid, resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/%d/fd" % victim.pid)))
    window = scene.windows.open("ambiguous", before_us=500_000)
    resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, (min(used, 12), hard))
    scene.handler_proxy.reset()
    scene.pass_time(5)
    resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, (hard, hard))
    window.end_us = window.begin_us + 10_000_000
    scene.demand(victim.alive(), "the gateway ended for want of descriptors")
    said = [line for line in victim.child.output().splitlines() if '"no_descriptors"' in line]
    scene.demand(said and "Too many open files" in said[0], "no line in the log says what is wanting")
    scene.demand(len(said) <= 2, "%d lines say it" % len(said))
    scene.traffic(300)


@row("13", "no more memory for a gateway", rules=TROUBLE, rate=300,
     ambiguous=True)
def no_memory(scene):
    """It may say so and end; whatever supervises it starts it anew."""
    victim = scene.victim()
    with open("/proc/%d/statm" % victim.pid, encoding="utf-8") as file:
        pages = int(file.read().split()[5])  # writable and private; address space says little
    limit = pages * resource.getpagesize() + (2 << 20)
    begin = time.monotonic()
    resource.prlimit(victim.pid, resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
    for number in range(60):
        scene.send("big%d" % number, 1, value='{"id":"big%d/0/1","rule":{"delay_ms":1000},"x":"%s"}' % (
            number, "x" * 900_000))
    scene.pass_time(6)
    ended = not victim.alive()
    scene.notes["ended"] = int(ended)
    if ended:
        scene.crashed(victim, within_s=time.monotonic() - begin)
        scene.demand(any(words in victim.child.output() for words in ("out of memory", "rd_malloc")),
                     "it ended without saying why")
        victim.log.rename(victim.log.with_suffix(".ended"))  # librdkafka's own assertion is in it
        scene.revive(victim)
    else:
        resource.prlimit(victim.pid, resource.RLIMIT_DATA,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    wait_until(lambda: len(scene.running()) == 2, 20, "both run")
    scene.traffic(300)
