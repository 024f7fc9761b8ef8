"""The disk under the spool: row 13. A dead letter that its topic refuses, and its disk too, holds its
partition; nothing half-written is believed."""

import contextlib
import resource
import subprocess

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_broker import cannot_mount

LARGE = {"headers": [["pad", "x" * 100_000]], "rule": {"status": 422}}
FLOOD = {"dead_letter": {"pause_above": {"share": "100%"}}}
FILE_LIMIT = 250_000  # two and a half of these records


def mount(path, size):
    path.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", str(path)], check=True,
                   capture_output=True)


def start_with_spools(scene):
    """Two gateways, each with a spool of its own, and a dead-letter topic that takes nothing."""
    for number in (1, 2):
        scene.add_gateway(spool={"dir": str(scene.directory / ("spool-%d" % number))}).start()
    scene.wait_shared()
    scene.start_traffic()
    scene.traffic(200)
    name = next(name for name in scene.copy_topics() if name.startswith("dlq."))
    scene.broker.configure_topic(name, "max.message.bytes=100")
    return name


def send_dead(scene, name, count):
    for number in range(count):
        scene.send("%s%d" % (name, number), 1, **LARGE)
    scene.producer.flush()


def wait_refused(scene, words):
    """Both spools are in trouble, say why, and what waits for them says so too."""
    def said(gateway):
        return words in gateway.status()["spool"]["why"] and "the spool cannot take it" in gateway.status_text()
    wait_until(lambda: all(map(said, scene.running())), 60, lambda: "both say why: %s" % [
        gateway.status()["spool"] for gateway in scene.running()])
    scene.demand(scene.metric_of_all("spool_failures_total") > 0, "no failure of the spool is counted")
    scene.demand(any(line["committed"] < line["hi"] for line in scene.committed_lines()), "nothing waits")


def wait_replayed(scene, topic, count):
    scene.broker.configure_topic(topic, "max.message.bytes=1048588")
    wait_until(lambda: scene.metric_of_all("spool_records") == 0 and
               len({copy.record_id for copy in scene.dead_letters()}) >= count, 120,
               lambda: "%d dead letters, %d are in the spools" % (
                   count, scene.metric_of_all("spool_records")), every=0.5)
    scene.traffic(200)


@row("13", "a full disk under the spools, and one of the gateways killed", needs=cannot_mount,
     gateways=0, traffic=False, rate=150, route=FLOOD, settle_s=120)
def spool_disk_full(scene):
    """600 kB for a dozen records of 100 kB; then the disk has room again."""
    places = [scene.directory / ("spool-%d" % number) for number in (1, 2)]
    with contextlib.ExitStack() as stack:
        for place in places:
            mount(place, "600k")
            stack.callback(subprocess.run, ["umount", "-l", str(place)], check=False)
        topic = start_with_spools(scene)
        send_dead(scene, "full", 24)
        wait_refused(scene, "No space left")
        scene.revive(scene.kill())
        wait_refused(scene, "No space left")
        for place in places:
            subprocess.run(["mount", "-o", "remount,size=64m", str(place)], check=True)
        wait_replayed(scene, topic, 24)
        for gateway in scene.running():
            gateway.stop()
        for gateway in scene.gateways:
            scene.revive(gateway, wait=False)


def limit_files(gateway, size):
    _, hard = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (size, hard))


def tear(directory):
    """The end that a write leaves whose machine went down before it was whole."""
    with open(max(directory.glob("*.spool")), "ab") as segment:
        segment.write(b"OGf\xa7\x01" + b"x" * 60_000)


@row("13", "short writes to the spools (a limit to the size of files), a killed gateway, a torn end",
     gateways=0, traffic=False, rate=150, route=FLOOD, settle_s=120)
def spool_short_writes(scene):
    """What is written ends within a frame. It is never taken for a dead letter."""
    topic = start_with_spools(scene)
    for gateway in scene.running():
        limit_files(gateway, FILE_LIMIT)
    send_dead(scene, "short", 24)
    wait_refused(scene, "too large")
    victim = scene.kill()
    tear(scene.directory / ("spool-%s" % victim.name[1:]))
    scene.revive(victim)
    scene.demand("spool_torn_tail" in victim.child.output(), "the torn end is not told of")
    for gateway in scene.running():
        limit_files(gateway, resource.RLIM_INFINITY)
    wait_replayed(scene, topic, 24)
