"""Copies that cannot be written: row 6. The record holds its offset until its copy is acknowledged."""

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_process import HASTE

FAILING = ('0.1:{"fail_for_ms":700}', '0.01:{"poison":true}')


def copies_of(scene, kinds=("retry.", "dlq.")):
    return [name for name in scene.copy_topics() if name.startswith(kinds)]


def wait_refused(scene, more=3, timeout=30):
    goal = scene.metric_of_all("produce_failures_total") + more
    wait_until(lambda: scene.metric_of_all("produce_failures_total") >= goal, timeout,
               "copies are refused")


def set_all(scene, config):
    for name in copies_of(scene):
        scene.broker.configure_topic(name, config)


@row("6", "copies refused by their topics, and all gateways killed meanwhile", short=True,
     rules=FAILING, rate=200, config=HASTE)
def refused_and_kill(scene):
    """Who settles before the acknowledgement loses here: the copy was never written."""
    set_all(scene, "max.message.bytes=100")
    wait_refused(scene)
    scene.pass_time(1)
    for gateway in scene.running():
        scene.kill(gateway)
    set_all(scene, "max.message.bytes=1048588")
    for gateway in scene.gateways:
        scene.revive(gateway, wait=False)
    scene.wait_everything_assigned(60)
    scene.traffic(300)


@row("6", "copies refused as too large, until the topics allow more",
     rules=('0.1:{"fail_for_ms":700}',))
def too_large(scene):
    set_all(scene, "max.message.bytes=100")
    wait_refused(scene)
    committed = scene.committed_lines()
    scene.pass_time(3)
    set_all(scene, "max.message.bytes=1048588")
    scene.demand(any(line["committed"] < line["hi"] for line in committed), "nothing was held")


@row("6", "retry topics deleted and made again", rules=('0.1:{"fail_for_ms":700}',),
     allow={"rewound": 9999})
def topics_deleted(scene):
    """What waited in them is gone with them: Kafka did not keep it. So they are empty when it
    strikes. Offsets of a new topic begin at 0: commits below the old one's are right."""
    for stream in scene.streams:
        stream.stop()
    wait_until(scene.is_settled, 40, "the tiers are empty")
    names = copies_of(scene, ("retry.",))
    scene.broker.delete_topics(*names)
    scene.start_traffic(first_seq=100000)
    scene.pass_time(3)
    for name in names:
        wait_until(lambda name=name: scene.broker.try_create(name, scene.partitions), 30, name,
                   every=0.3)
        scene.broker.configure_topic(name, "message.timestamp.type=LogAppendTime")
    scene.traffic(300, 90)


@row("6", "acknowledgements of copies that do not come for 4 s, then all at once", rules=FAILING,
     kafka_proxy=True)
def late_acknowledgements(scene):
    for _ in range(2):
        for proxy in scene.broker.proxies:
            proxy.stall(["down"])
        scene.pass_time(3, 4)
        for proxy in scene.broker.proxies:
            proxy.heal()
        scene.traffic(300)


@row("6", "connections to Kafka broken while copies are under way", rules=FAILING, kafka_proxy=True)
def broken_acknowledgements(scene):
    """An unknown acknowledgement: the idempotent producer sends again, and at most once is written."""
    for _ in range(6):
        for proxy in scene.broker.proxies:
            proxy.swallow(["down"])
        scene.pass_time(0.2, 1.5)
        for proxy in scene.broker.proxies:
            proxy.heal()
        scene.pass_time(0.5, 1)


@row("6", "a record that fits its topic, while its copy does not fit with all detail", rules=FAILING,
     rate=200)
def grows_beyond(scene):
    """The copy goes without its detail; nothing is held for it."""
    set_all(scene, "max.message.bytes=%d" % 18_000)
    for key in range(6):
        scene.send("big%d" % key, 1, rule={"fail_first": 2, "status": 500, "problem": {
            "type": "about:blank", "detail": "d" * 3000}}, headers=[["pad", "x" * 12_000]])
    wait_until(lambda: all("big%d/0/1" % key in scene.handler.effects() for key in range(6)), 40,
               "the big ones are through")


@row("6", "the producer's queue is full (8 copies), while acknowledgements do not come", rules=FAILING,
     kafka_proxy=True, config={"kafka": {"producer": {"queue.buffering.max.messages": 8}}})
def queue_full(scene):
    """What the client does not take waits before it, and holds its offset."""
    late_acknowledgements(scene)
