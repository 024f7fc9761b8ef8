"""Three brokers, replication 3, min.insync.replicas=2: row 4. Heals unaided; nothing that Kafka kept
is lost."""

import os
import pathlib
import re
import subprocess

from support import places
from support.waiting import wait_until

from faults.catalog import row
from faults.faults_log import demand_alarms, start_with

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


@row("4", "gateways started while a broker is away", **{**THREE, "rate": 200})
def start_while_away(scene):
    """Copies go to the brokers that are there, also from a process that never knew the other one."""
    for node in (1, 2, 3):
        scene.broker.kill_node(node)
        for gateway in scene.running():
            scene.kill(gateway)
        for gateway in scene.gateways:
            scene.revive(gateway)
        scene.traffic(300, 60)
        for gateway in scene.gateways:
            wait_until(lambda gateway=gateway: gateway.metric("retry_scheduled_total") > 2, 40,
                       "copies of %s are written" % gateway.name)
        scene.broker.start_node(node)
        producing(scene)


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


def not_in_sync(scene, node):
    """The source topic has a partition whose in-sync replicas are without this broker."""
    said = subprocess.run([str(places.KAFKA), "tool", "TopicCommand", "--bootstrap-server",
                           scene.broker.bootstrap, "--describe", "--topic", scene.topic],
                          check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120).stdout
    return any(str(node) not in isr.split(",") for isr in re.findall(r"Isr:\s*([\d,]+)", said))


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
    wait_until(lambda: not scene.broker.is_running(3) or not_in_sync(scene, 3), 60,
               "the broker gives up")
    scene.notes["broker"] = "out of the ISR" if scene.broker.is_running(3) else "ended"
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


def make_unclean_topic(scene):
    """On brokers 1 and 2 only, so that the third one and either of them make a quorum of
    controllers."""
    subprocess.run([str(places.KAFKA), "tool", "TopicCommand", "--bootstrap-server",
                    scene.broker.bootstrap, "--create", "--topic", scene.topic,
                    "--replica-assignment", ",".join(["1:2"] * scene.partitions),
                    "--config", "unclean.leader.election.enable=true",
                    "--config", "min.insync.replicas=1"],
                   check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)


def lose_the_newest(scene):
    """Broker 2 leads without what broker 1 alone had acknowledged; returns the ends before."""
    make_unclean_topic(scene)
    for _ in range(2):
        scene.add_gateway().start()
    scene.wait_shared()
    stream = scene.start_traffic()
    scene.traffic(400)
    scene.broker.kill_node(2)
    producing(scene)  # in-sync: broker 1 alone
    scene.traffic(400, 90)
    stream.stop()
    wait_until(scene.is_settled, 60, "settled", every=0.25)
    before = {line["p"]: line["committed"] for line in scene.committed_lines()
              if line["topic"] == scene.topic}
    scene.forget_records()
    scene.broker.kill_node(1)
    scene.broker.start_node(2)
    return before


def unclean(scene):
    """The newest records are gone with their broker, and their offsets are used again."""
    before = lose_the_newest(scene)
    scene.start_traffic(key_prefix="n")
    wait_until(scene.account.exists, 90, "records are acknowledged again")
    found = demand_alarms(scene, "stop", before, 1)  # the first one holds the route of its gateway
    said = "".join(gateway.status_text() for gateway in scene.running())
    for offset in found.values():
        scene.demand("offset %d is out of range" % offset in said, "no status names %d" % offset)
    scene.broker.start_node(1)
    for gateway in scene.gateways:
        gateway.kill()
    start_with(scene, "earliest")
    demand_alarms(scene, "earliest", before, scene.partitions)
    scene.wait_everything_assigned(60)
    scene.traffic(300, 90)
    scene.streams[-1].stop()
    scene.wait_all_effects(90)


UNCLEAN = {"own_cluster": {}, "brokers": 3, "rate": 300, "gateways": 0, "traffic": False, "doubles": 0,
           "settle_s": 90, "allow": {"rewound": 9999}}


@row("4", "an unclean election: stop says so, earliest delivers what is new, and nothing twice", **UNCLEAN)
def unclean_election(scene):
    unclean(scene)


@row("4", "the same with identity offset: a used offset means another record", **UNCLEAN,
     route={"dedup": {"identity": "offset", "from": None}})
def unclean_election_offset(scene):
    unclean(scene)
