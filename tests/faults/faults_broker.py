"""Three brokers, replication 3, min.insync.replicas=2: row 4. Heals unaided; nothing that Kafka kept
is lost."""

import os
import pathlib
import subprocess

from support.waiting import wait_until

from faults.catalog import row

TROUBLE = ('0.02:{"fail_first":1}', '0.02:{"fail_for_ms":900}', '0.002:{"poison":true}')
THREE = {"brokers": 3, "rules": TROUBLE, "rate": 300, "settle_s": 90}


def producing(scene):
    """The account grows: the brokers take records again."""
    have = scene.streams[-1].account.stat().st_size
    wait_until(lambda: scene.streams[-1].account.stat().st_size > have, 90,
               "records are acknowledged again", every=0.2)


@row("4", "each broker killed and restarted in turn", **THREE)
def brokers_killed(scene):
    for node in (1, 2, 3):
        scene.broker.kill_node(node)
        scene.pass_time(2, 4)
        scene.broker.start_node(node)
        producing(scene)
        scene.traffic(200, 90)


@row("4", "a rolling restart in good order", **THREE)
def rolling_restart(scene):
    for node in (1, 2, 3):
        scene.broker.stop_node(node)
        scene.broker.start_node(node)
        producing(scene)
        scene.traffic(200, 90)


@row("4", "the active controller killed", **THREE)
def controller_killed(scene):
    node = scene.broker.controller()
    scene.broker.kill_node(node)
    scene.pass_time(3)
    scene.broker.start_node(node)
    producing(scene)
    scene.traffic(300, 90)


@row("4", "all brokers away for 60 s", allow={"other": 50}, **{**THREE, "settle_s": 120})
def all_away(scene):
    for node in (1, 2, 3):
        scene.broker.kill_node(node)
    scene.pass_time(60)
    scene.broker.start()  # all of them: one alone has no quorum
    producing(scene)
    scene.traffic(300, 120)


@row("4", "a broker stopped (SIGSTOP) for 60 s", allow={"other": 50}, **{**THREE, "settle_s": 120})
def broker_frozen(scene):
    """A copy that waited for its broker for a minute is due by its header, not by the broker's time:
    the checker calls that early."""
    node = scene.schedule.number("nodes", 1, 3)
    scene.broker.freeze_node(node)
    scene.pass_time(60)
    scene.broker.thaw_node(node)
    producing(scene)
    scene.traffic(300, 90)


@row("4", "500 ms of latency to one broker", kafka_proxy=True, **THREE)
def slow_broker(scene):
    scene.schedule.choose("nodes", scene.broker.proxies).delay(250)
    scene.pass_time(15)
    for proxy in scene.broker.proxies:
        proxy.heal()


@row("4", "the network to one broker after the other stands still for 8 s", kafka_proxy=True, **THREE)
def broker_unreachable(scene):
    for proxy in scene.broker.proxies:
        proxy.stall()
        scene.pass_time(8)
        proxy.heal()
        scene.traffic(200, 90)


SMALL = pathlib.Path("/tmp/oncegate-faults-small")


def cannot_mount():
    """Why no file system of 200 MB can be mounted here, or None."""
    SMALL.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(SMALL)],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return "no tmpfs can be mounted: " + done.stderr.strip()
    subprocess.run(["umount", str(SMALL)], check=False)
    return None


@row("4", "a broker whose log is on a full 200 MB file system", needs=cannot_mount,
     own_cluster={"small_disk": 3}, **{**THREE, "settle_s": 120})
def full_disk(scene):
    """The broker gives its log up; the two others are enough."""
    disk = scene.broker.small_path
    room = os.statvfs(disk)
    with open(disk / "filler", "wb") as file:
        left = room.f_bavail * room.f_frsize
        while left > 0:
            try:
                left -= file.write(b"x" * min(left, 1 << 20))
                file.flush()
            except OSError:
                break
    scene.pass_time(10)
    (disk / "filler").unlink()
    if not scene.broker.is_running(3):
        scene.broker.start_node(3)
    producing(scene)
    scene.traffic(300, 90)


@row("4", "a new epoch of every producer", brokers=3, rules=TROUBLE, rate=200, traffic=False,
     route={"dedup": {"epoch": "header:seq-epoch"}}, settle_s=90)
def producer_epochs(scene):
    """The producer restarts with epoch + 1 and counts from 1 again."""
    for epoch in (0, 1, 2):
        stream = scene.start_traffic(epoch_header="seq-epoch", epoch=epoch, first_seq=1)
        scene.traffic(500)
        stream.stop()
