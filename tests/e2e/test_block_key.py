"""dead_letter.on_key: block-key: what comes after a dead letter of its key waits for a person."""

import base64

from support.gateway import command
from support.waiting import holds_for, wait_until

POISON = {"status": 422}


def blocking(world, **changes):
    return world.config(world.route(
        **{"dead_letter": {"on_key": "block-key", "pause_above": {"share": "100%"}}, **changes}))


def release(world, gateway, key, check=0):
    return command("ledger", "release", "orders", world.topic, key, "--yes",
                   config=gateway.config_path, check=check)


def not_delivered(world, ids, seconds):
    holds_for(lambda: not any(world.handler.calls(record) for record in ids), seconds,
              "nothing of the key is delivered")


def redrive(world, dead):
    """Puts a dead letter on the redrive topic, as a tool of an operator would."""
    topic = next(name for name in world.copy_topics() if name.endswith(".redrive"))
    headers = [[name, value] for name, value in dead.line["headers"]
               if not name.startswith(("oncegate-error", "oncegate-attempt", "oncegate-redrive", "__dlq"))]
    headers += [[name, base64.b64encode(value.encode()).decode()] for name, value in (
        ("oncegate-attempt", "0"), ("oncegate-redrive-id", "job-%d" % dead.line["o"]),
        ("oncegate-redrive-count", "1"))]
    world.producer.send(topic=topic, p=dead.line["p"], key_b64=dead.line["key"],
                        value_b64=dead.line["value"], headers_b64=headers)
    world.producer.flush()


def test_dead_letter_blocks_its_key_until_it_is_released(world):
    gateway = world.start(blocking(world))
    world.wait_effects(world.send("bad", 1))
    world.send("bad", 2, rule=POISON)
    ids = [world.send("bad", number) for number in range(3, 9)]
    others = [world.send("k%d" % key, number) for number in (1, 2) for key in range(10)]
    world.wait_dead(1)
    world.wait_effects(others)
    wait_until(lambda: gateway.metric("blocked_keys") == 1, 10, "the metric says so")
    not_delivered(world, ids, 1.5)  # the longest tier is shorter
    told = command("ledger", "get", "orders", world.topic, "bad", config=gateway.config_path, check=0)
    assert "parked: 7" in told.stdout and "blocks the key" in told.stdout, told.stdout
    usage = command("ledger", "release", "orders", world.topic, "bad", config=gateway.config_path)
    assert usage.returncode == 64 and "--yes" in usage.stderr
    assert "no dead letter" in release(world, gateway, "k1").stderr
    not_delivered(world, ids, 0.3)
    assert "1 dead letters" in release(world, gateway, "bad").stderr
    world.wait_effects(ids)
    world.wait_effects(world.send("bad", 9))
    world.wait_committed()
    assert world.check()["dead"] == 1
    wait_until(lambda: gateway.metric("blocked_keys") == 0, 10, "nothing is blocked any more")


def test_blocked_key_stays_so_through_a_restart(world):
    """What waits comes from its tier then, and goes back there."""
    gateway = world.start(blocking(world))
    world.send("bad", 1, rule=POISON)
    ids = [world.send("bad", number) for number in range(2, 6)]
    world.wait_dead(1)
    wait_until(lambda: len({copy.record_id for copy in world.dump("tier")}) == 4, 10, "they are parked",
               every=0.3)
    gateway.kill()
    again = world.start(blocking(world))
    not_delivered(world, ids, 3)
    more = world.send("bad", 6)
    world.producer.flush()
    not_delivered(world, [more], 0.5)
    release(world, again, "bad")
    world.wait_effects(ids + [more])
    world.wait_committed()
    world.check()


def test_redriven_with_success_the_key_goes_on(world):
    """A redrive that fails again leaves it blocked; one that succeeds lets it go."""
    world.handler.control(default=POISON)
    gateway = world.start(blocking(world))
    bad = world.send("bad", 1)
    dead = world.wait_dead(1)[0]
    world.handler.control(default=None)
    ids = [world.send("bad", number) for number in range(2, 6)]
    world.producer.flush()
    wait_until(lambda: world.dump("tier"), 10, "they are parked", every=0.3)
    world.handler.control(default=POISON)
    redrive(world, dead)
    second = world.wait_dead(2)[-1]
    world.handler.control(default=None)
    not_delivered(world, ids, 1.5)
    redrive(world, second)
    world.wait_effects([bad, *ids])
    world.wait_committed()
    assert gateway.metric("dead_letters_total") == 2
    order = [call.record_id for call in world.handler.calls() if call.effect]
    assert order == [bad, *ids], order


def test_blocked_key_beyond_its_cap_holds_the_partition(world):
    """parked.per_key bounds what may wait behind a dead letter; then Kafka keeps it."""
    world.partitions = 1
    gateway = world.start(blocking(world, parked={"per_key": 4}))
    world.send("bad", 1, rule=POISON)
    ids = [world.send("bad", number) for number in range(2, 10)]
    other = world.send("other", 1)
    world.wait_dead(1)
    world.wait_effects(other)
    gateway.wait_status("ledger release", 10)
    committed = world.broker.committed(world.group, world.topic)[0]
    assert committed["committed"] <= 5, committed
    not_delivered(world, ids, 1)
    release(world, gateway, "bad")
    world.wait_effects(ids)
    world.wait_committed()
    world.check()
