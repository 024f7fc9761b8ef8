"""Dead letters that their topic refuses wait in the local spool: durable, bounded, replayed."""

import os
import signal
import subprocess

import pytest

from support import needs
from support.gateway import command, to_yaml
from support.waiting import wait_until

POISON = {"status": 422}
LARGE = [["pad", "x" * 100000]]


def spool_of(world):
    return world.directory / "spool"


def with_spool(world, route=None, **changes):
    spool = {"dir": str(spool_of(world)), **changes}
    return world.config(route or world.route(dead_letter__pause_above__share="100%"), spool=spool)


def crash_at(gateway, point):
    """The gateway is one that has crash points, and kills itself there."""
    gateway.program = needs.crashy()
    gateway.environment = {"ONCEGATE_CRASH_AT": point}


def dlq_of(world):
    return "dlq.%s.%s" % (world.group, world.topic)


def delete_dlq(world):
    world.broker.delete_topics(dlq_of(world))
    wait_until(lambda: dlq_of(world) not in world.broker.topics(), 15, "the topic is gone")


def make_dlq(world):
    wait_until(lambda: world.broker.try_create(dlq_of(world), world.partitions), 20,
               "the topic is made again")


def wait_spooled(gateway, count, timeout=60):
    """Long enough for librdkafka to believe that a topic is gone."""
    wait_until(lambda: gateway.metric("spool_records") >= count, timeout,
               lambda: "%d records in the spool: %s" % (count, gateway.status()["spool"]))


def wait_replayed(world, gateway, ids, timeout=60):
    """All of the spool is in its topic, and no file is left."""
    dead = wait_until(lambda: (lambda found: found if {copy.record_id for copy in found} >= set(ids)
                               else None)(world.dead_letters()), timeout,
                      lambda: "dead letters of %s: %s" % (ids, gateway.status()["spool"]), every=0.5)
    wait_until(lambda: gateway.metric("spool_records") == 0, 10, "nothing is left in the spool")
    wait_until(lambda: not list(spool_of(world).glob("*.spool")), 5, "no file is left")
    return dead


def without_dlq(world, gateway):
    """It delivers; then its dead-letter topic is deleted."""
    world.wait_effects(world.send("a", 1))
    delete_dlq(world)
    return gateway


def poison(world, count, **options):
    return [world.send("k%d" % number, 1, rule=POISON, **options) for number in range(count)]


def replayed_by_another(world, ids, timeout=60):
    """The topic is there again (a start wants all), and so is a gateway; the dead letters."""
    make_dlq(world)
    return wait_replayed(world, world.start(with_spool(world)), ids, timeout)


def settle(world):
    world.wait_committed(30)
    return world.check()


def test_dead_letter_topic_deleted_while_running_and_made_again(world):
    gateway = world.start(with_spool(world))
    first = world.send("before", 1, rule=POISON)
    world.wait_dead(1)
    delete_dlq(world)
    ids = poison(world, 20)
    follower = world.send("k0", 2)
    world.wait_effects(follower, 90)
    wait_spooled(gateway, 20)
    world.wait_committed(30)
    status = gateway.status()["spool"]
    assert status["records"] == 20 and status["why"] == ""
    assert "20 dead letters wait" in command("status", config=gateway.config_path, check=0).stdout
    assert gateway.metric("dead_letters_total") == 21
    make_dlq(world)
    dead = wait_replayed(world, gateway, ids)
    assert sorted(copy.record_id for copy in dead) == sorted(ids)
    assert dead[0].headers["oncegate-error-code"] == "http-422"
    assert gateway.metric("spool_replayed_records_total") == 20
    assert gateway.metric("spool_oldest_timestamp_seconds") == 0  # not shown while there is none
    wait_until(lambda: '"producer_renewed"' in gateway.child.output(), 30,
               "the new topic's leaders are looked up")
    world.wait_committed()
    # The first one went with the topic that was deleted.
    assert world.check(lost=1, committed_beyond=1)["lost"] == 1 and first not in world.handler.effects()


def test_topic_made_again_with_fewer_partitions_takes_what_it_can(world):
    """The dead letters of the partition that is missing stay, and hold up no other."""
    world.partitions = 2
    gateway = world.start(with_spool(world))
    keys = ["k%d" % number for number in range(12)]
    world.wait_effects([world.send(key, 1) for key in keys])
    places_of = {key: line["p"] for key, line in zip(keys, world.acked())}
    keys.sort(key=lambda key: -places_of[key])  # those that are to be missing stand first
    missing = sum(places_of.values())
    assert 0 < missing < 12
    delete_dlq(world)
    for count, key in enumerate(keys, 1):
        world.send(key, 2, rule=POISON)
        wait_spooled(gateway, count)
    wait_until(lambda: world.broker.try_create(dlq_of(world), 1), 20, "the topic is made again")
    wait_until(lambda: gateway.metric("spool_records") == missing, 60,
               lambda: "%d are left: %s" % (missing, gateway.status()["spool"]))
    assert gateway.metric("spool_replayed_records_total") == 12 - missing
    # What is in the spool is in no topic; nothing else is missing.
    assert world.check(lost=missing, committed_beyond=missing)["lost"] == missing


def test_too_large_goes_without_its_detail_and_then_to_the_spool(world):
    """The others of the topic are not held up by one that never fits."""
    world.partitions = 1
    world.broker.create_topics(world.topic + ":1", dlq_of(world) + ":1:max.message.bytes=8000")
    world.make_topics()
    gateway = world.start(with_spool(world))
    problem = {"status": 422, "problem": {"type": "about:bad", "detail": "d" * 4000}}
    fits = world.send("fits", 1, rule=problem)
    large = world.send("large", 1, rule=POISON, headers=[["pad", "x" * 20000]])
    wait_spooled(gateway, 1)
    dead = world.wait_dead(1)
    assert [copy.record_id for copy in dead] == [fits]
    assert "oncegate-error-detail" not in dead[0].headers
    world.wait_committed()
    world.broker.configure_topic(dlq_of(world), "max.message.bytes=100000")
    wait_replayed(world, gateway, [fits, large])
    settle(world)


def test_full_spool_holds_the_partition_and_heals(world):
    """1 MiB of spool, dead letters of 100 kB each."""
    gateway = without_dlq(world, world.start(with_spool(world, max="1MiB")))
    ids = poison(world, 20, headers=LARGE)
    wait_spooled(gateway, 5)
    gateway.wait_status("the spool cannot take it", 60)
    assert "is full" in gateway.status()["spool"]["why"]
    wait_until(lambda: gateway.metric("stuck_partitions") > 0, 5, "the metric says so")
    assert gateway.metric("spool_bytes") <= 1 << 20
    assert gateway.ready()
    make_dlq(world)
    wait_replayed(world, gateway, ids, 90)
    settle(world)


@pytest.fixture
def small_disk(world):
    """A disk of 600 KiB at the spool's place; needs the right to mount."""
    spool_of(world).mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(spool_of(world))]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a file system")
    yield
    for gateway in world.gateways:
        if gateway.alive():
            gateway.stop()
    subprocess.run(["umount", str(spool_of(world))], check=True)


def test_full_disk_holds_the_partition_and_heals(world, small_disk):
    """The file system is full long before spool.max: nothing half-written is believed."""
    gateway = without_dlq(world, world.start(with_spool(world)))
    ids = poison(world, 12, headers=LARGE)
    wait_spooled(gateway, 3)
    gateway.wait_status("the spool cannot take it", 60)
    assert "No space left" in gateway.status()["spool"]["why"]
    gateway.kill()  # with a full disk, too, it starts again
    replayed_by_another(world, ids, 90)
    settle(world)


def test_killed_between_the_spool_and_the_settling(world):
    """The record comes again and is spooled again: at most one dead letter more, none less."""
    gateway = world.gateway(with_spool(world))
    crash_at(gateway, "spooled:3")
    without_dlq(world, gateway.start())
    ids = poison(world, 6)
    wait_until(lambda: not gateway.alive(), 60, "it is killed at the third")
    dead = replayed_by_another(world, ids)
    # At most those that were under way when it was killed.
    assert 6 <= len(dead) <= 12, sorted(copy.record_id for copy in dead)
    settle(world)


def test_killed_between_the_replay_and_the_forgetting(world):
    """One in its topic that the spool still has: it is written once more."""
    gateway = world.gateway(with_spool(world))
    crash_at(gateway, "replayed:2")
    without_dlq(world, gateway.start())
    ids = poison(world, 4)
    wait_spooled(gateway, 4)
    world.wait_committed(30)
    make_dlq(world)
    wait_until(lambda: not gateway.alive(), 60, "it is killed when the second was acknowledged")
    again = world.start(with_spool(world))
    dead = wait_replayed(world, again, ids)
    assert 4 <= len(dead) <= 8, sorted(copy.record_id for copy in dead)
    settle(world)


def test_restart_replays_what_waits(world):
    gateway = without_dlq(world, world.start(with_spool(world)))
    ids = poison(world, 5)
    wait_spooled(gateway, 5)
    world.wait_committed(30)
    gateway.stop()
    dead = replayed_by_another(world, ids)
    assert sorted(copy.record_id for copy in dead) == sorted(ids)
    settle(world)


def test_brokers_that_do_not_answer_are_waited_for_so_long(world):
    """The broker stands still while the dead letters are on their way: that may pass, so it is no
    refusal, but they do not wait for ever."""
    gateway = world.start(with_spool(world, after="1s"))
    world.wait_effects(world.send("a", 1))
    ids = [world.send("k%d" % number, 1, rule={**POISON, "delay_ms": 1500}) for number in range(5)]
    for record in ids:
        wait_until(lambda: world.handler.calls(record), 10, "it is at the handler", every=0.02)
    broker = int((world.broker.directory / "node-1" / "pid").read_text(encoding="utf-8"))
    os.kill(broker, signal.SIGSTOP)
    try:
        wait_spooled(gateway, 5, 20)
    finally:
        os.kill(broker, signal.SIGCONT)
    assert gateway.metric("produce_failures_total", kind="abandoned") == 5
    # Each was on its way already when it was given to the spool: it may come twice.
    dead = wait_replayed(world, gateway, ids)
    assert 5 <= len(dead) <= 10, sorted(copy.record_id for copy in dead)
    settle(world)


def test_folder_in_use_and_damaged_folder_are_refused(world):
    gateway = world.start(with_spool(world))
    path = world.directory / "second.yaml"
    path.write_text(to_yaml(with_spool(world)) + "\n", encoding="utf-8")
    done = command("run", config=path, check=74)
    assert "in use by process %d" % gateway.pid in done.stderr
    delete_dlq(world)
    world.send("a", 1, rule=POISON)
    world.send("b", 1, rule=POISON)
    wait_spooled(gateway, 2)
    gateway.stop()
    segment = next(spool_of(world).glob("*.spool"))
    content = bytearray(segment.read_bytes())
    content[120] ^= 1  # within the first of them
    segment.write_bytes(content)
    done = command("run", config=path, check=74)
    assert segment.name in done.stderr and "damaged at offset" in done.stderr
    content[120] ^= 1
    segment.write_bytes(content)
    replayed_by_another(world, ["a/0/1", "b/0/1"])
    settle(world)
