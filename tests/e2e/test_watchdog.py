"""What makes no progress is named, with its why: in /status, in the log and in a metric."""

from support.gateway import command
from support.waiting import holds_for, wait_until


def events(gateway, name):
    return [line for line in gateway.child.output().splitlines() if '"event":"%s"' % name in line]


def watching(world, **changes):
    return world.config(world.route(stuck_after="1s", **changes))


def test_key_and_partition_behind_a_full_parked_list_are_named(world):
    """The head fails; more of its key may not be parked, and its partition stands still."""
    world.partitions = 1
    gateway = world.start(watching(world, parked={"per_key": 2}, retry__inline__max_retries=0))
    world.handler.control(keys={"slow": {"status": 500}})
    ids = [world.send("slow", number) for number in range(1, 8)]
    other = world.send("other", 1)
    world.wait_effects(other)
    gateway.wait_status(['"stuck_ms"', '"key":"slow"', "parked list is full"], 15)
    wait_until(lambda: gateway.metric("stuck_partitions") == 1 and gateway.metric("stuck_keys") == 1,
               5, "the metrics say so")
    shown = command("status", config=gateway.config_path, check=0).stdout
    assert "STUCK" in shown and "key slow" in shown, shown
    stuck = events(gateway, "partition_stuck")
    assert len(stuck) == 1 and world.topic in stuck[0] and "parked list is full" in stuck[0], stuck
    assert len(events(gateway, "key_stuck")) == 1
    world.handler.control(keys={"slow": None})
    world.wait_effects(ids, 30)
    wait_until(lambda: gateway.metric("stuck_partitions") == 0 and gateway.metric("stuck_keys") == 0,
               10, "it moves again")
    assert events(gateway, "partition_moves_again")
    world.wait_committed()
    world.check()


def test_what_waits_by_decision_is_not_stuck(world):
    """A pause, and a slow key that moves."""
    gateway = world.start(watching(world, retry__tiers=["4s", "8s"]))
    gateway.ask("POST", "/routes/orders/pause")
    gateway.wait_status("paused", 5)
    ids = [world.send("slow", number, rule={"delay_ms": 300}) for number in range(1, 13)]
    world.producer.flush()
    holds_for(lambda: gateway.metric("stuck_partitions") == 0, 3, "a paused route is not stuck")
    gateway.ask("POST", "/routes/orders/resume")
    world.wait_effects(ids, 30)
    assert not events(gateway, "partition_stuck") and not events(gateway, "key_stuck")
    world.wait_committed()
    world.check()


def test_records_that_are_not_due_are_not_stuck(world):
    gateway = world.start(watching(world, retry__tiers=["4s", "8s"], retry__inline__max_retries=0))
    late = world.send("late", 1, rule={"fail_first": 1})
    world.wait_effects(late, 20)
    assert len(world.handler.calls(late)) == 2
    assert not events(gateway, "partition_stuck") and not events(gateway, "key_stuck")
    world.wait_committed()
    world.check()


def test_key_that_another_member_holds_is_named(world):
    """A claim that nobody ends: its owner was killed, and its lease is long."""
    world.timeout_ms = 8000
    first = world.start(watching(world))
    held = world.send("held", 1, rule={"delay_ms": 60000})
    wait_until(lambda: world.handler.calls(held), 10, "it is at the handler")
    first.kill()
    world.handler.control(keys={"held": {"status": 200}})
    second = world.start(watching(world), timeout=40)
    second.wait_status(['"key":"held"', "claim of another member"], 30)
    assert second.metric("stuck_keys") == 1
    world.wait_effects(held, 30)
    world.wait_committed()


def test_record_as_old_as_half_of_its_tiers_retention_is_named(world):
    """Of two tiers one keeps its records for a short time; what came from there is held in the handler until
    that is told, long before it could be deleted."""
    world.timeout_ms = 60_000
    short = "retry.%s.%s.8s" % (world.group, world.topic)
    config = world.config(world.route(retry__tiers=["300ms", "8s"], retry__inline__max_retries=0))
    world.make_topics(config)
    world.broker.configure_topic(short, "retention.ms=20000")
    gateway = world.start(config)
    first = world.send("soon", 1, rule={"fail_first": 1})
    world.wait_effects(first)
    assert gateway.metric("retry_partitions_aging") == 0
    late = world.send("late", 1, rule={"fail_first": 2})
    world.wait_calls(late, 2)
    world.handler.control(keys={"late": {"gate": "held"}})
    gateway.wait_status("half of their topic", 30)
    assert gateway.metric("retry_partitions_aging") == 1
    told = events(gateway, "retry_record_aging")
    assert len(told) == 1 and short in told[0] and '"retention_ms":20000' in told[0], told
    world.handler.control(open=["held"])
    world.wait_effects(late)
    wait_until(lambda: gateway.metric("retry_partitions_aging") == 0, 10, "it is over")
    assert len(events(gateway, "retry_record_aging")) == 1
    world.wait_committed()
    world.check()


def test_hidden_key_is_not_named(world):
    world.partitions = 1
    gateway = world.start(watching(world, parked={"per_key": 1}, handler__hide_key=True,
                                   retry__inline__max_retries=0))
    world.handler.control(keys={"secret-key": {"status": 500}})
    ids = [world.send("secret-key", number) for number in range(1, 6)]
    gateway.wait_status('"stuck_ms"', 15)
    wait_until(lambda: events(gateway, "key_stuck"), 5, "it is in the log")
    assert "secret-key" not in gateway.status_text() + gateway.child.output()
    world.handler.control(keys={"secret-key": None})
    world.wait_effects(ids, 30)
    world.wait_committed()
