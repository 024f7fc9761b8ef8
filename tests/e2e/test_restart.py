"""Gateways that end, are killed, freeze, come and go: nothing lost, order kept, one request a key."""

import contextlib
import os
import signal

import pytest

from support import needs
from support.waiting import holds_for, wait_until

TROUBLE = ['0.02:{"fail_first":1}', '0.003:{"fail_for_ms":1500}', '0.05:{"delay_ms":30}']


def effects(world):
    return len(world.handler.effects())


def settle(world, timeout=60, **allow):
    world.wait_all_effects(timeout)
    world.wait_committed(40)
    return world.check(**allow)


def test_sigterm_drains_and_a_new_one_goes_on(world):
    """What was done is committed at the end: the next one delivers nothing twice."""
    first = world.start()
    stream = world.stream(count=3000, rate=800, keys=60, seed=1, rule=TROUBLE)
    wait_until(lambda: effects(world) > 600, 20, "traffic")
    first.stop()
    wait_until(lambda: world.handler.stats()["open"] == 0, 5, "no open request")
    second = world.start()
    wait_until(lambda: effects(world) > 1500, 30, "traffic")
    second.stop()
    world.start()
    stream.wait()
    row = settle(world)
    assert row["effects"] == 3000


def test_sigterm_waits_for_the_open_request_and_commits_it(world):
    gateway = world.start()
    record = world.send("k", 1, rule={"gate": "g"})
    world.wait_calls(record, 1)
    gateway.child.send(signal.SIGTERM)
    holds_for(gateway.alive, 0.5, "it drains")
    world.handler.control(open=["g"])
    assert gateway.child.wait(10) == 0
    committed = world.broker.committed(world.group, world.topic)
    place = world.acked()[0]
    assert [line["committed"] for line in committed if line["p"] == place["p"]] == [place["o"] + 1]
    world.check()


def test_drain_ends_at_its_bound_and_commits_nothing_open(world):
    gateway = world.start(world.config(world.route(shutdown__drain="1s", handler__timeout="20s")))
    record = world.send("k", 1, rule={"gate": "g"})
    world.wait_calls(record, 1)
    gateway.child.send(signal.SIGTERM)
    assert gateway.child.wait(10) == 0
    committed = world.broker.committed(world.group, world.topic)
    place = world.acked()[0]
    assert [line["committed"] for line in committed if line["p"] == place["p"]][0] <= place["o"]
    world.handler.control(open=["g"])


def test_second_sigterm_ends_at_once(world):
    gateway = world.start(world.config(world.route(shutdown__drain="60s", handler__timeout="50s")))
    record = world.send("k", 1, rule={"gate": "g"})
    world.wait_calls(record, 1)
    gateway.child.send(signal.SIGTERM)
    holds_for(gateway.alive, 0.3, "it drains")
    gateway.child.send(signal.SIGTERM)
    assert gateway.child.wait(5) is not None
    world.handler.control(open=["g"])


@contextlib.contextmanager
def broker_stands_still(world):
    """SIGSTOP: connections stay, nothing answers."""
    broker = int((world.broker.directory / "node-1" / "pid").read_text(encoding="utf-8"))
    os.kill(broker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker, signal.SIGCONT)


# What an end may take beyond shutdown.drain, and as much again for a machine with other work.
BEYOND_DRAIN_S = 15 + 15


@pytest.mark.long
@pytest.mark.parametrize("busy", [
    pytest.param(False, id="idle"),
    pytest.param(True, id="with-a-commit-to-make", marks=pytest.mark.slow)])
def test_sigterm_while_kafka_does_not_answer(world, busy):
    """No wait for a broker is without an end: neither the last commit's answer, nor what the client
    itself waits for before it lets go. (With a short session timeout that would end the wait.)"""
    gateway = world.start(world.config(world.route(shutdown__drain="2s", handler__timeout="30s"),
                                       kafka={"session.timeout.ms": 45000}))
    world.wait_effects(world.send("done", 1))
    world.wait_committed(20)
    if busy:
        world.wait_calls(world.send("k", 1, rule={"gate": "g"}), 1)
    with broker_stands_still(world):
        gateway.child.send(signal.SIGTERM)
        world.handler.control(open=["g"])
        assert gateway.child.wait(2 + BEYOND_DRAIN_S) == 0
    assert not gateway.sanitizer_report()
    said = gateway.child.output()
    assert '"stopped"' in said
    if not busy:
        world.check()
        return
    assert "kafka_client_left" in said
    # What it could not commit goes to the next owner, who knows that it is done.
    world.start(timeout=90)
    settle(world)


def test_sigterm_while_it_waits_for_a_kafka_that_does_not_answer(world):
    """What it asked at the start (its topics) is still open then."""
    gateway = world.gateway()
    with broker_stands_still(world):
        gateway.start(wait=False)
        gateway.wait_status('"starting"', 10)
        gateway.child.send(signal.SIGTERM)
        assert gateway.child.wait(5 + BEYOND_DRAIN_S) == 0
    assert not gateway.sanitizer_report()


def test_sigterm_while_redis_does_not_answer(world):
    """The end of a record that was delivered cannot be told; it is consumed again."""
    gateway = world.start(world.config(world.route(shutdown__drain="2s", handler__timeout="30s")))
    record = world.send("k", 1, rule={"gate": "g"})
    world.wait_calls(record, 1)
    world.redis.freeze()
    try:
        gateway.child.send(signal.SIGTERM)
        world.handler.control(open=["g"])
        assert gateway.child.wait(2 + BEYOND_DRAIN_S) == 0
    finally:
        world.redis.thaw()
    assert "drain_late" in gateway.child.output()
    world.start()
    settle(world, doubled=1)


def test_an_end_that_does_not_end_is_cut_off(world):
    """Whatever it waits for is named, and not waited for for ever: exit code 70."""
    gateway = world.gateway(world.config(world.route(shutdown__drain="1s")))
    gateway.program = needs.crashy()
    gateway.environment = {"ONCEGATE_PLANT": "endless-end"}
    gateway.start()
    gateway.child.send(signal.SIGTERM)
    assert gateway.child.wait(1 + BEYOND_DRAIN_S) == 70
    said = gateway.child.output()
    assert "still_ending" in said and "ended_late" in said and "the spool's disk" in said


@pytest.mark.long
def test_sigkill_in_mid_stream(world):
    """What was in flight may come again, at most the slots; nothing is lost, order stays."""
    gateway = world.start()
    stream = world.stream(count=3000, rate=800, keys=60, seed=2, rule=TROUBLE)
    wait_until(lambda: effects(world) > 800, 40, "traffic")
    gateway.kill()
    world.start()
    stream.wait()
    row = settle(world, timeout=80, doubled=32)
    assert row["dead"] == 0


def test_sigkill_while_redis_stands_still(world):
    """Keys whose claims were kept need no word of Redis for their next record, so deliveries go on
    for a moment; what is not recorded when the process is killed is bounded all the same."""
    gateway = world.start()
    stream = world.stream(count=8000, rate=1000, keys=400, seed=22)
    wait_until(lambda: effects(world) > 2500, 40, "traffic")
    world.redis.freeze()
    try:
        seen = [effects(world)]

        def has_stopped():
            seen.append(effects(world))
            return seen[-1] == seen[-2]

        wait_until(has_stopped, 20, "nothing more is delivered", every=0.3)
        gateway.kill()
    finally:
        world.redis.thaw()
    world.start()
    stream.wait()
    row = settle(world, timeout=80, doubled=32)
    assert row["dead"] == 0


def test_sigkill_while_a_head_is_parked(world):
    """Followers that waited in memory come by their copies, still behind their head."""
    gateway = world.start()
    world.handler.control(keys={"k": {"status": 500}})
    ids = [world.send("k", number) for number in range(1, 20)]
    wait_until(lambda: len({copy.record_id for copy in world.dump("tier")}) >= 10, 20,
               "parked records", every=0.2)
    gateway.kill()
    world.handler.control(keys={"k": None})
    world.start()
    world.wait_effects(ids, 40)
    settle(world, doubled=1)


def test_two_instances_one_leaves_and_comes_back(world):
    """In order, by SIGTERM: no record twice, and never two requests of one key."""
    world.partitions = 4
    one = world.start()
    world.start()
    stream = world.stream(count=4000, rate=700, keys=80, seed=3, rule=TROUBLE)
    wait_until(lambda: effects(world) > 700, 20, "traffic")
    wait_until(lambda: all(gateway.metric("partitions_assigned") > 0 for gateway in world.gateways),
               20, "both have partitions")
    one.stop()
    wait_until(lambda: effects(world) > 2000, 30, "traffic with one")
    world.start()
    stream.wait()
    row = settle(world)
    assert row["effects"] == 4000


def test_two_instances_one_is_killed_and_comes_back(world):
    world.partitions = 4
    one = world.start()
    world.start()
    stream = world.stream(count=3600, rate=600, keys=80, seed=4, rule=TROUBLE)
    wait_until(lambda: effects(world) > 700, 20, "traffic")
    one.kill()
    wait_until(lambda: effects(world) > 1800, 40, "traffic with one")
    world.start()
    stream.wait()
    row = settle(world, timeout=80, doubled=32)
    assert row["dead"] == 0


@pytest.mark.long
def test_frozen_instance_wakes_as_a_zombie(world):
    """SIGSTOP beyond the session timeout: its partitions move, and when it wakes it may neither
    deliver beside the new owner nor commit over it."""
    world.partitions = 4
    one = world.start()
    two = world.start()
    stream = world.stream(count=4400, rate=400, keys=80, seed=5)
    wait_until(lambda: all(gateway.metric("partitions_assigned") > 0 for gateway in world.gateways),
               20, "both have partitions")
    wait_until(lambda: effects(world) > 400, 20, "traffic")
    # librdkafka's own threads are frozen too, so that the group expels it after 6 s.
    everything = two.metric("partitions_assigned") + one.metric("partitions_assigned")
    one.freeze()
    wait_until(lambda: two.metric("partitions_assigned") >= everything, 30, "its partitions moved")
    one.thaw()
    stream.wait()
    row = settle(world, timeout=80, doubled=32)
    assert row["effects"] - row["doubled"] == 4400


@pytest.mark.slow
def test_many_kills(world):
    """Two instances, one of them killed every few seconds, with all kinds of trouble."""
    world.partitions = 4
    world.start()
    stream = world.stream(count=30000, rate=800, keys=200, seed=6, dup_share=0.01, rule=TROUBLE)
    kills = 0
    while stream.running():
        victim = world.start(wait=False)
        goal = effects(world) + 2500
        wait_until(lambda enough=goal: effects(world) > enough or not stream.running(), 60, "traffic")
        victim.kill()
        kills += 1
    stream.wait()
    row = settle(world, timeout=120, doubled=32 * kills)
    assert row["dead"] == 0
