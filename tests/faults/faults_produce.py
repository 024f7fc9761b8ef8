"""Copies that cannot be written: row 6. The record holds its offset until its copy is acknowledged."""

import collections

from support.waiting import wait_until

from faults.catalog import row
from faults.faults_process import HASTE
from faults.windows import now_us

FAILING = ('0.1:{"fail_for_ms":700}', '0.01:{"poison":true}')


def copies_of(scene, kinds=("retry.", "dlq.")):
    return [name for name in scene.copy_topics() if name.startswith(kinds)]


def wait_refused(scene, more=3, timeout=30):
    goal = scene.metric_of_all("produce_failures_total") + more
    wait_until(lambda: scene.metric_of_all("produce_failures_total") >= goal, timeout,
               "copies are refused")


def extra_copies(found):
    """{(kind, record, hop): copies beyond the first}, as Kafka has them. Each hop is one copy, and a
    record has one dead letter."""
    counts = collections.Counter(
        (copy.kind, copy.record_id, copy.number("hop") if copy.kind != "dead" else 0)
        for copy in found.copies if copy.kind in ("tier", "dead"))
    return {each: count - 1 for each, count in counts.items() if count > 1}


def held_back(found, since_us):
    """{record: its place} of those whose every delivery began after that time and failed. No copy of
    them was acknowledged, as long as none is; commits are read before, so none may have passed. But
    that has whose copy waited already, behind a record of its key."""
    waited = {copy.record_id for copy in found.copies if copy.record_id in found.calls_of and
              copy.time_ms < min(call.begin_ms for call in found.calls_of[copy.record_id])}
    place = {record_id: at for at, record_id in found.id_at.items()}
    return {record_id: place[record_id] for record_id, calls in found.calls_of.items()
            if record_id in place and record_id not in waited and
            not found.has_end(record_id) and all(
                call.begin_us >= since_us and call.end_us is not None for call in calls)}


def demand_held(scene, since_us, rounds=4):
    """Copies cannot be written since then: records that failed hold their offsets, one of them at
    least all the time from when the first is seen."""
    always = None
    wait_until(lambda: held_back(scene.checker(), since_us), 30, "a record is held", every=0.5)
    for _ in range(rounds):
        scene.pass_time(0.7)
        found = scene.checker()
        held = held_back(found, since_us)
        passed = {record_id: place for record_id, place in held.items()
                  if not found.is_open(*place)}
        scene.demand(not passed, "committed beyond %s, whose copy was not acknowledged" % passed)
        always = set(held) if always is None else always & set(held)
    scene.notes["held"] = len(always)
    scene.demand(always, "no record was held")


def set_all(scene, config):
    for name in copies_of(scene):
        scene.broker.configure_topic(name, config)


@row("6", "copies refused by their topics, and all gateways killed meanwhile", short=True,
     rules=FAILING, rate=200, config=HASTE)
def refused_and_kill(scene):
    """Who settles before the acknowledgement loses here: the copy was never written."""
    set_all(scene, "max.message.bytes=100")
    since = now_us()
    wait_refused(scene)
    demand_held(scene, since, 2)
    for gateway in scene.running():
        scene.kill(gateway)
    set_all(scene, "max.message.bytes=1048588")
    for gateway in scene.gateways:
        scene.revive(gateway, wait=False)
    scene.wait_everything_assigned(60)
    scene.traffic(300)


@row("6", "copies refused as too large, until the topics allow more",
     rules=('0.1:{"fail_for_ms":700}',), rate=200)
def too_large(scene):
    set_all(scene, "max.message.bytes=100")
    since = now_us()
    wait_refused(scene)
    demand_held(scene, since)
    set_all(scene, "max.message.bytes=1048588")


@row("6", "retry topics deleted and made again", rules=('0.1:{"fail_for_ms":700}',), rate=200,
     allow={"rewound": 9999})
def topics_deleted(scene):
    """What waited in them is gone with them: Kafka did not keep it. So they are empty when it
    strikes. Offsets of a new topic begin at 0: commits below the old one's are right."""
    for stream in scene.streams:
        stream.stop()
    wait_until(scene.is_settled, 40, "the tiers are empty")
    names = copies_of(scene, ("retry.",))
    scene.broker.delete_topics(*names)
    since = now_us()
    scene.start_traffic(first_seq=100000)
    demand_held(scene, since)
    make_again(scene, names)
    for name in names:
        scene.broker.configure_topic(name, "message.timestamp.type=LogAppendTime")
    scene.traffic(300, 90)


def make_again(scene, names):
    for name in names:
        wait_until(lambda name=name: scene.broker.try_create(name, scene.partitions), 30, name,
                   every=0.3)


@row("6", "dead-letter topics deleted and made again")
def dead_letters_deleted(scene):
    """Without one in them before: those would be gone with their topic."""
    names = copies_of(scene, ("dlq.",))
    scene.broker.delete_topics(*names)
    since = now_us()
    poison = [scene.send("dead%d" % key, 1, rule={"poison": True}) for key in range(8)]
    scene.producer.flush()
    wait_until(lambda: all(scene.handler.calls(each) for each in poison), 30, "they are delivered")
    demand_held(scene, since)
    make_again(scene, names)
    wait_until(lambda: scene.metric_of_all("dead_letters_total") == len(poison), 90,
               "each has its dead letter")
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
    times = int(scene.metric_of_all("produce_queue_full_total"))
    scene.notes["times_full"] = times
    scene.demand(times > 0, "the queue was never full")
