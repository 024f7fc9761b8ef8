"""What is bounded stays bounded; several workers; a slow handler and the group."""

import json

import pytest

from support.waiting import holds_for, wait_until


def test_requests_and_records_in_flight_are_bounded(world):
    """40 keys at a gate that stays shut: no more requests than slots, no more records than the limit."""
    gateway = world.start(world.config(world.route(
        handler__max_in_flight=8, handler__timeout="20s", limits={"records": 50},
        shutdown__drain="1s")))
    world.handler.control(default={"gate": "g"})
    stream = world.stream(count=2000, keys=40)
    stream.wait()
    wait_until(lambda: world.handler.stats()["open"] == 8, 10, "8 open requests")
    seen = []

    def bounded():
        seen.append(gateway.metric("in_flight_records"))
        return world.handler.stats()["open"] <= 8 and seen[-1] <= 50

    holds_for(bounded, 2, lambda: "%s %s" % (world.handler.stats(), seen))
    assert gateway.ready()
    world.handler.control(default=None, open=["g"])
    world.wait_all_effects(30)
    world.wait_committed()
    world.check()


def test_route_of_few_keys_takes_in_no_more_than_it_has_use_for(world):
    """40 keys at a gate that stays shut, and room for 10,000 records: 32 lanes wait for 8 slots, each with some records behind, and
    more of them would keep no slot busier."""
    gateway = world.start(world.config(world.route(
        handler__max_in_flight=8, handler__timeout="20s", shutdown__drain="1s")))
    world.handler.control(default={"gate": "g"})
    stream = world.stream(count=3000, keys=40)
    stream.wait()
    wait_until(lambda: gateway.metric("in_flight_records") >= 128, 10, "16 records a slot")
    holds_for(lambda: gateway.metric("in_flight_records") <= 128 + 512, 2,  # and what a turn takes in
              lambda: str(gateway.metric("in_flight_records")))
    world.handler.control(default=None, open=["g"])
    world.wait_all_effects(30)
    world.wait_committed()
    world.check()


def test_bytes_in_flight_are_bounded(world):
    gateway = world.start(world.config(world.route(
        handler__max_in_flight=4, handler__timeout="20s", limits={"bytes": "1MiB"})))
    world.handler.control(default={"gate": "g"})
    stream = world.stream(count=400, keys=40, size=20000)
    stream.wait()
    wait_until(lambda: gateway.metric("in_flight_bytes") > 500000, 10, "half a MiB in flight")
    holds_for(lambda: gateway.metric("in_flight_bytes") <= (1 << 20) + 2 * 21000, 1.5,
              lambda: str(gateway.metric("in_flight_bytes")))
    world.handler.control(default=None, open=["g"])
    world.wait_all_effects(30)
    world.wait_committed()
    world.check()


def test_two_workers_share_the_partitions(world):
    world.partitions = 4
    gateway = world.start(world.config(workers=2))
    stream = world.stream(count=3000, rate=1000, keys=60, seed=31, rule='0.02:{"fail_first":3}')
    stream.wait()
    world.wait_all_effects(30)
    world.wait_committed()
    world.check()
    assert {route["worker"] for route in gateway.status()["routes"]} == {0, 1}
    assert all(route["partitions"] for route in gateway.status()["routes"])


def test_static_member_comes_back_to_its_partitions(world):
    """With group.instance.id a restart within the session timeout moves nothing."""
    world.partitions = 4
    gateways = []
    for name in ("a", "b"):
        config = world.config(kafka={"group.instance.id": name + "-{route}-{worker}",
                                     "session.timeout.ms": 20000})
        gateways.append(world.start(config))
    a, b = gateways
    wait_until(lambda: a.metric("partitions_assigned") > 0 and b.metric("partitions_assigned") > 0,
               20, "both have partitions")
    before = b.metric("rebalances_total")
    a.stop()
    again = world.start(a.config)
    ids = [world.send("k%d" % number, 1) for number in range(40)]
    world.wait_effects(ids)
    assert again.metric("partitions_assigned") > 0
    assert b.metric("rebalances_total") == before
    world.wait_committed()
    world.check()


def test_each_log_line_is_one_json_event(world):
    gateway = world.start()
    world.wait_effects(world.send("k", 1, rule={"fail_first": 3}))
    world.send("k", 2, rule={"status": 400})
    world.wait_dead(1)
    gateway.stop()
    lines = gateway.child.output().splitlines()
    assert lines
    for line in lines:
        event = json.loads(line)
        assert {"time", "level", "event"} <= set(event), line


@pytest.mark.slow
def test_slow_handler_never_costs_the_membership(world):
    """A request of 8 s with max.poll.interval.ms of 6 s: it keeps polling."""
    gateway = world.start(world.config(
        world.route(handler__timeout="20s"),
        kafka={"max.poll.interval.ms": 6000, "session.timeout.ms": 6000}))
    record = world.send("slow", 1, rule={"delay_ms": 8000})
    world.wait_effects(record)
    assert gateway.metric("rebalances_total", kind="revoked") == 0
    assert gateway.metric("rebalances_total", kind="lost") == 0
    world.wait_committed()
    world.check()
