"""What Kafka itself forgets: row 7; and what producers number: row 12."""

import re

from support.gateway import command
from support.waiting import holds_for, wait_until

from faults.catalog import row
from faults.faults_process import HASTE


def all_say(scene, words):
    """Every running gateway says one of the words in its status or its log."""
    def says(gateway):
        text = gateway.status_text() + gateway.child.output()
        return any(word in text for word in words)
    return all(says(gateway) for gateway in scene.running())


def alarms(scene, policy):
    """Partition -> the committed offset that the alarm names."""
    said = "".join(gateway.child.output() for gateway in scene.gateways if gateway.child)
    return {int(partition): int(offset) for partition, offset in
            re.findall(r'"offsets_lost".*"topic":"%s","partition":(\d+),"committed":(-?\d+),'
                       r'"on_offset_lost":"%s"' % (re.escape(scene.topic), policy), said)}


def demand_alarms(scene, policy, before, count):
    """So many partitions' alarms at least, each with the right offset, and counted."""
    wait_until(lambda: len(alarms(scene, policy)) >= count, 90,
               lambda: "alarms of %d partitions: %s" % (count, alarms(scene, policy)), every=0.5)
    found = alarms(scene, policy)
    for partition, offset in found.items():
        scene.demand(offset == before[partition], "partition %d had committed %d, the alarm says %d"
                     % (partition, before[partition], offset))
    resets = scene.metric_of_all("offset_resets_total")
    scene.demand(resets >= len(found), "%d alarms, %d counted" % (len(found), resets))
    return found


def committed_now(scene):
    return {line["p"]: line["committed"] for line in scene.committed_lines()
            if line["topic"] == scene.topic}


def skip_to_the_end(scene, before):
    """With the policy latest: each partition goes on at one place, and delivers all from there on.
    What is below was skipped as the policy says, and is counted."""
    start_with(scene, "latest")
    scene.wait_everything_assigned(60)
    scene.start_traffic(first_seq=300000, key_prefix="n")
    scene.traffic(500)
    scene.streams[-1].stop()
    wait_until(scene.is_settled, 60, "settled", every=0.25)
    done, first = set(scene.handler.effects()), {}
    lines = [line for line in scene.acked() if line["o"] >= before[line["p"]]]
    for line in lines:
        if line["id"] in done:
            first[line["p"]] = min(line["o"], first.get(line["p"], line["o"]))
    scene.demand(len(first) == scene.partitions, "partitions that go on: %s" % first)
    skipped = {(line["topic"], line["p"], line["o"]) for line in lines
               if line["o"] < first.get(line["p"], 0)}
    scene.notes["skipped"] = len(skipped)
    scene.excused |= skipped


def stop_all(scene):
    for stream in scene.streams:
        stream.stop()
    wait_until(scene.is_settled, 40, "settled", every=0.25)
    for gateway in scene.running():
        gateway.stop()


def start_with(scene, policy):
    for gateway in scene.gateways:
        gateway.config["routes"][0]["on_offset_lost"] = policy
        gateway.start(wait=False)


def nothing_delivered(scene, seconds=2):
    requests = scene.handler.stats()["requests"]
    holds_for(lambda: scene.handler.stats()["requests"] == requests, seconds,
              "nothing is delivered while the policy is to stop")


def kill_all(scene):
    for gateway in scene.running():
        gateway.kill()


def delete_offsets(scene):
    """While a member is there Kafka refuses it; returns what the alarms must name: nothing."""
    try:
        scene.broker.delete_group(scene.group)
        scene.demand(False, "Kafka deleted the offsets of a group with members")
    except AssertionError:
        pass
    stop_all(scene)
    scene.broker.delete_group(scene.group)
    return dict.fromkeys(range(scene.partitions), -1)


def trim_log(scene):
    """2000 records that nobody consumed are gone; returns what was committed below them."""
    stop_all(scene)
    stream = scene.start_traffic(rate=0, count=2000, first_seq=100000)
    stream.wait()
    before = committed_now(scene)
    scene.trim_source()
    return before


def stop_then_earliest(scene, before, count):
    start_with(scene, "stop")
    demand_alarms(scene, "stop", before, count)
    wait_until(lambda: all_say(scene, ["on_offset_lost is stop"]), 30, "all say why they wait")
    nothing_delivered(scene)
    kill_all(scene)
    start_with(scene, "earliest")
    demand_alarms(scene, "earliest", before, scene.partitions)
    scene.wait_everything_assigned(60)
    scene.start_traffic(first_seq=200000)
    scene.traffic(500)


@row("7", "committed offsets deleted: stop says so, earliest delivers nothing twice", doubles=0,
     allow={"rewound": 9999})
def offsets_deleted(scene):
    stop_then_earliest(scene, delete_offsets(scene), scene.partitions)


@row("7", "the log trimmed beneath the group: stop says so, earliest goes on with what is there",
     doubles=0)
def log_trimmed(scene):
    stop_then_earliest(scene, trim_log(scene), 1)


@row("7", "committed offsets deleted, and the policy latest: says so, and skips to the end", doubles=0,
     allow={"rewound": 9999})
def offsets_deleted_latest(scene):
    nothing = delete_offsets(scene)
    ends = {line["p"]: line["hi"] for line in scene.committed_lines() if line["topic"] == scene.topic}
    stream = scene.start_traffic(rate=0, count=500, first_seq=100000)
    stream.wait()
    skip_to_the_end(scene, ends)
    demand_alarms(scene, "latest", nothing, scene.partitions)
    scene.demand(scene.notes["skipped"] >= 500, "%d skipped" % scene.notes["skipped"])


@row("7", "the log trimmed beneath the group, and the policy latest: says so, and skips to the end",
     doubles=0)
def log_trimmed_latest(scene):
    before = trim_log(scene)
    skip_to_the_end(scene, before)
    demand_alarms(scene, "latest", before, scene.partitions)


@row("7", "the log trimmed while gateways run that stand still: says so, earliest goes on", doubles=0,
     rate=200, ambiguous=True, config={"kafka": {"consumer": {
         "queued.min.messages": 100, "max.partition.fetch.bytes": 10_000}}},
     route={"on_offset_lost": "earliest", "limits": {"records": 200}})
def log_trimmed_running(scene):
    """The handler is away, and more gathers than gateways hold; what they hold is delivered yet."""
    scene.handler.control(outage=True)
    wait_until(lambda: all(g.metric("breaker_open") == 1 for g in scene.running()), 40, "they wait")
    for stream in scene.streams:
        stream.stop()
    scene.start_traffic(rate=0, count=6000, size=4000, first_seq=100000, key_prefix="m").wait()
    scene.trim_source()
    scene.handler.control(outage=False)
    wait_until(lambda: len(alarms(scene, "earliest")) == scene.partitions, 60,
               lambda: "alarms of all partitions: %s" % alarms(scene, "earliest"))
    resets = scene.metric_of_all("offset_resets_total")
    scene.demand(resets >= scene.partitions, "%d counted" % resets)
    scene.start_traffic(first_seq=200000, key_prefix="n")
    scene.traffic(500)


@row("7", "the source topic deleted and made again: held until a person adopts it", doubles=0,
     config=HASTE, allow={"rewound": 9999})
def topic_recreated(scene):
    stop_all(scene)
    scene.forget_records()
    scene.broker.delete_topics(scene.topic)
    wait_until(lambda: scene.broker.try_create(scene.topic, scene.partitions), 30, "the topic",
               every=0.3)
    start_with(scene, "earliest")
    stream = scene.start_traffic(rate=0, count=1000, key_prefix="n")
    stream.wait()
    wait_until(lambda: all_say(scene, ["adopt"]), 30, "an alarm that names what to do")
    nothing_delivered(scene)
    command("ledger", "adopt", "orders", scene.topic, "--yes", config=scene.gateways[0].config_path, check=0)
    for gateway in scene.running():
        gateway.kill()
        gateway.start(wait=False)
    scene.traffic(500, 60)


@row("12", "a third of the records sent twice, and kills", dup_share=0.3, config=HASTE)
def duplicates(scene):
    for _ in range(2):
        scene.revive(scene.kill())
        scene.wait_shared()
    scene.traffic(500)
    scene.demand(suspected(scene) == 0, "ordinary doubles are taken for a producer that counts anew")


def suspected(scene):
    return int(scene.metric_of_all("sequence_restarts_suspected_total"))


def send_numbers(scene, key, numbers, **plan):
    """The ids count up, so that the order of delivery is that of the partition, whatever the
    numbers are."""
    for at, number in enumerate(numbers):
        scene.send(key, at + 1, seq_header=None, headers=[["seq", str(number)]], **plan)


@row("12", "numbers out of order within 64, and far beyond, with gaps and from 0 to 2^64-1",
     short=True, doubles=0, gateways=2)
def odd_numbers(scene):
    """All of them are delivered once: what cannot be proven a duplicate is no duplicate."""
    random = scene.schedule.stream("numbers")
    for key in range(10):
        within = list(range(2, 60))
        random.shuffle(within)
        send_numbers(scene, "within%d" % key, [1] + within)
        beyond = list(range(2, 400))
        random.shuffle(beyond)
        send_numbers(scene, "beyond%d" % key, [1] + beyond)
        send_numbers(scene, "gaps%d" % key, sorted(random.sample(range(10**6), 50)))
    send_numbers(scene, "ends", [0, 1, 2, 2**53, 2**53 + 1, 2**63, 2**64 - 2, 2**64 - 1])
    scene.producer.flush()
    scene.traffic(500)
    scene.notes["indeterminate"] = int(scene.metric_of_all(
        "dedup_verdicts_total", verdict="indeterminate"))


@row("12", "numbers missing or unreadable: a dead letter each", doubles=0)
def no_numbers(scene):
    for at in range(40):
        scene.send("none%d" % at, 1, seq_header=None)
        scene.send("bad%d" % at, 1, seq_header=None, headers=[["seq", "-1"]])
    scene.producer.flush()
    scene.traffic(500)
    wait_until(lambda: scene.metric_of_all("dead_letters_total") == 80, 30, "80 dead letters")


@row("12", "epochs up, and down again", doubles=0, traffic=False,
     route={"dedup": {"epoch": "header:ep"}})
def epochs(scene):
    """A newer epoch starts its count anew; a record of an older one that is not known is a dead
    letter, since it cannot be put in order any more."""
    scene.start_traffic(epoch_header="ep")
    for key in range(20):
        for epoch in (0, 1, 2):
            for number in range(1, 11):
                scene.send("e%d" % key, number, epoch=epoch, headers=[["ep", str(epoch)]])
        for number in (11, 12):
            scene.send("e%d" % key, number, epoch=0, headers=[["ep", "0"]])
    scene.producer.flush()
    scene.traffic(500)
    wait_until(lambda: scene.metric_of_all("dead_letters_total", code="stale-epoch") == 40, 30,
               "those of an old epoch are dead letters")


def names_a_key(scene, keys):
    said = "".join(gateway.child.output() for gateway in scene.running())
    return any('"key":"%s"' % key in line for line in said.splitlines()
               if "numbers_used_again" in line for key in keys)


@row("12", "a producer that counts from 1 again without a new epoch: taken for duplicates, each counted, "
     "and an alarm", doubles=0, traffic=False)
def restart_without_epoch(scene):
    """A number means one record of its key: what is sent under it again is not delivered, and the
    alarm and the count of duplicates are what tells. With a new epoch it is (rows epochs,
    producer-epochs). The counting producer is alone meanwhile: behind another's record with a later
    timestamp its records look like a batch that was sent twice, which is no alarm."""
    keys = ["again%d" % key for key in range(10)]
    for key in keys:
        for number in range(1, 21):
            scene.send(key, number)
    scene.producer.flush()
    scene.wait_effects({"%s/0/%d" % (key, number) for key in keys for number in range(1, 21)}, 60)
    before = scene.metric_of_all("dedup_verdicts_total", verdict="duplicate")
    again = {scene.send(key, number, epoch=1) for key in keys for number in range(1, 26)}
    scene.producer.flush()
    taken = {"%s/1/%d" % (key, number) for key in keys for number in range(1, 21)}
    scene.wait_effects(again - taken, 60)  # those beyond what was counted before are new
    scene.excused |= {(line["topic"], line["p"], line["o"]) for line in scene.acked()
                      if line["id"] in taken}
    counted = scene.metric_of_all("dedup_verdicts_total", verdict="duplicate") - before
    scene.notes.update(duplicates=int(counted), suspected=suspected(scene))
    # Of the numbers 1 to 19 of each key those from the 8th on; the 20th is the last one itself.
    scene.demand(suspected(scene) == 12 * len(keys), "%d are suspected" % suspected(scene))
    scene.demand(names_a_key(scene, keys), "no line in the log names a key")
    scene.demand(counted == len(taken), "%d of %d are counted" % (counted, len(taken)))
    scene.demand(not taken & set(scene.handler.effects()), "a number was delivered for two records")
    scene.start_traffic()
    scene.traffic(500)
