"""What an operator does and sees: topics, readiness, pause and resume, status, metrics."""

import json

import pytest

from support.broker import ProducerEnded
from support.gateway import command, to_yaml
from support.waiting import holds_for, wait_until


def write(world, config, name="other.yaml"):
    path = world.directory / name
    path.write_text(to_yaml(config) + "\n", encoding="utf-8")
    return path


def test_topics_plan_and_apply(world):
    """plan says what is missing (2), apply makes it, and then nothing differs (0)."""
    config = world.config()
    path = write(world, config)
    world.broker.create_topics(world.topic + ":3")
    plan = command("topics", "plan", "--detailed-exitcode", config=path)
    assert plan.returncode == 2, plan
    made = ["retry.%s.%s.%s" % (world.group, world.topic, part)
            for part in ("300ms", "900ms", "redrive")] + ["dlq.%s.%s" % (world.group, world.topic)]
    for name in made:
        assert name in plan.stdout
    assert not set(made) & set(world.broker.topics())
    command("topics", "apply", "--yes", config=path, check=0)
    topics = world.broker.topics()
    assert all(topics[name] == 3 for name in made), topics
    command("topics", "plan", "--detailed-exitcode", config=path, check=0)
    command("topics", "apply", "--yes", config=path, check=0)


def test_run_without_its_topics_refuses_and_names_the_command(world):
    world.broker.create_topics(world.topic + ":2")
    world.topics_made = True
    gateway = world.start(wait=False)
    wait_until(lambda: "topics apply" in gateway.child.output(), 20, "the command that mends it")
    assert not gateway.ready()
    wait_until(lambda: not gateway.alive(), 20, "it ended")
    assert gateway.child.process.returncode not in (0, None)


def test_tier_with_fewer_partitions_than_its_source_is_told(world):
    """At each start, with both counts; what waits there is delivered, in its order."""
    world.partitions = 3
    tier = "retry.%s.%s.300ms" % (world.group, world.topic)
    # An open breaker would keep heads out of the tier.
    config = world.config(world.route(breaker={"failures": 5000, "distinct_keys": 1000}))
    path = write(world, config)
    world.broker.create_topics(world.topic + ":3", tier + ":2")
    said = command("topics", "apply", "--yes", config=path)
    assert "partitions is 2, should be 3" in said.stdout, said
    world.topics_made = True
    gateway = world.start(config)
    told = [json.loads(line) for line in gateway.child.output().splitlines()
            if '"event":"partition_counts_differ"' in line]
    assert [{name: event[name] for name in ("level", "route", "topic", "partitions", "retry_topic",
                                            "retry_partitions")} for event in told] == [
        {"level": "warn", "route": "orders", "topic": world.topic, "partitions": 3,
         "retry_topic": tier, "retry_partitions": 2}]
    ids = [world.send("k%d" % key, number, rule={"fail_first": 2} if number == 1 else None)
           for key in range(12) for number in (1, 2)]
    world.wait_effects(ids, 30)
    assert {line["p"] for line in world.broker.dump(tier)} == {0, 1}
    world.wait_committed()
    world.check()


def test_kafka_away_at_start_is_waited_for(world):
    """Not ready, alive, says why. The brokers' address is one where nobody listens."""
    world.topics_made = True
    gateway = world.start(world.config(kafka={"bootstrap.servers": "127.0.0.1:9"}), wait=False)
    wait_until(lambda: gateway.ask("GET", "/livez")[0] == 200, 15, "alive")
    holds_for(lambda: gateway.alive() and not gateway.ready(), 1.5, "it waits, not ready")
    gateway.wait_status("roker")
    gateway.stop()


def test_idle_member_is_ready_and_says_so(world):
    """One partition, two members."""
    world.partitions = 1
    world.start()
    world.start()
    assigned = wait_until(lambda: (lambda found: found if sorted(found)[0] == 0 and max(found) > 0
                                   else None)([gateway.metric("partitions_assigned")
                                               for gateway in world.gateways]), 20,
                          "one member with partitions, one without")
    idle = world.gateways[assigned.index(0)]
    assert idle.ready()
    idle.wait_status("idle")
    record = world.send("k", 1)
    world.wait_effects(record)


def test_pause_is_seen_by_all_instances_and_survives_a_restart(world):
    world.partitions = 2
    one, two = world.start(), world.start()
    world.wait_effects([world.send("a", 1), world.send("b", 1), world.send("c", 1)])
    assert one.ask("POST", "/routes/orders/pause")[0] == 202
    for gateway in (one, two):
        gateway.wait_status("paused", 5)
    ids = [world.send(key, 2) for key in "abcdefgh"]
    world.producer.flush()
    holds_for(lambda: not any(world.handler.calls(record) for record in ids), 1, "nothing delivered")
    assert one.ready() and two.ready()
    two.stop()
    third = world.start()
    third.wait_status("paused", 5)
    holds_for(lambda: not any(world.handler.calls(record) for record in ids), 0.5, "still paused")
    assert third.ask("POST", "/routes/orders/resume")[0] == 202
    world.wait_effects(ids)
    world.wait_committed()
    world.check()


def test_pause_by_command(world):
    gateway = world.start()
    world.wait_effects(world.send("a", 1))
    command("route", "pause", "orders", config=gateway.config_path, check=0)
    gateway.wait_status("paused", 5)
    record = world.send("a", 2)
    world.producer.flush()
    holds_for(lambda: not world.handler.calls(record), 0.5, "nothing delivered")
    command("route", "resume", "orders", config=gateway.config_path, check=0)
    world.wait_effects(record)


def test_unknown_route_and_path_are_refused(world):
    gateway = world.start()
    assert gateway.ask("POST", "/routes/nope/pause")[0] == 404
    assert gateway.ask("GET", "/nope")[0] == 404
    assert gateway.ask("GET", "/routes/orders/pause")[0] == 405
    assert gateway.ready()


def test_status_says_why_a_partition_waits(world):
    gateway = world.start(world.config(world.route(retry__tiers=["30s", "60s"])))
    record = world.send("k", 1, rule={"status": 500})
    world.wait_calls(record, 2)
    wait_until(lambda: world.dump("tier"), 10, "a parked record", every=0.3)
    text = gateway.wait_status([world.topic, "30s"])
    json.loads(text)
    shown = command("status", "-o", "json", config=gateway.config_path, check=0)
    assert json.loads(shown.stdout)
    table = command("status", config=gateway.config_path, check=0)
    assert "orders" in table.stdout
    wait_until(lambda: gateway.metric("retry_waiting_records", route="orders") >= 1, 10,
               "retry_waiting_records")


def test_metrics_add_up(world):
    gateway = world.start()
    ids = [world.send("m%d" % number, 1) for number in range(20)]
    ids.append(world.send("m0", 2, rule={"fail_first": 2}))
    dead = world.send("m1", 2, rule={"status": 400})
    again = world.send("m0", 1)
    world.wait_effects(ids)
    world.wait_dead(1)
    world.wait_committed()
    assert again in ids and dead
    assert gateway.metric("records_consumed_total", route="orders", source="source") == 23
    assert gateway.metric("deliveries_total", outcome="success") == 21
    assert gateway.metric("deliveries_total", outcome="dead-letter") == 1
    assert gateway.metric("dead_letters_total", code="http-400") == 1
    assert gateway.metric("retry_scheduled_total", tier="300ms") == 1
    assert gateway.metric("handler_duration_seconds_count") == 24
    assert gateway.metric("offset_commits_total", result="ok") > 0
    assert gateway.metric("redis_up") == 1
    wait_until(lambda: gateway.metric("in_flight_records") == 0, 5, "nothing in flight")
    wait_until(lambda: gateway.metric("consumer_lag_records") == 0, 10, "no lag")
    names = {name for name, _, _ in gateway.samples()}
    for name in ("route_state", "lanes_active", "partitions_assigned", "stuck_partitions",
                 "rebalances_total", "build_info", "process_resident_memory_bytes"):
        assert name in names, "%s in %s" % (name, sorted(names))


def test_group_that_is_new_starts_where_it_is_told(world):
    """initial_offset latest: what was there before the first start is not delivered."""
    world.make_topics()
    old = world.send("k", 1)
    world.producer.flush()
    world.start(world.config(world.route(initial_offset="latest")))
    new = world.send("k", 2)
    world.wait_effects(new)
    assert not world.handler.calls(old)


def test_lost_offsets_stop_the_route(world):
    """A group that the ledger knows and whose offsets are gone is lost, not new."""
    gateway = world.start()
    world.wait_effects(world.send("k", 1))
    world.wait_committed()
    gateway.stop()
    world.broker.delete_group(world.group)
    again = world.start(wait=False)
    wait_until(lambda: "offset" in again.status_text() and "lost" in (
        again.status_text() + again.child.output()).lower(), 20,
        lambda: "a status that tells of lost offsets: " + again.status_text())
    record = world.send("k", 2)
    world.producer.flush()
    holds_for(lambda: not world.handler.calls(record), 1, "nothing is delivered")
    again.stop()
    world.start(world.config(world.route(on_offset_lost="earliest")))
    world.wait_effects(record)
    world.check(settled=False)


def test_recreated_topic_pauses_the_route(world):
    """New records would look like proven duplicates: the route waits until a person adopts it."""
    gateway = world.start()
    world.wait_effects([world.send("k", number) for number in range(1, 6)])
    world.wait_committed()
    gateway.stop()
    world.broker.delete_topics(world.topic)
    wait_until(lambda: world.topic not in world.broker.topics(), 15, "the topic is gone")
    wait_until(lambda: world.broker.try_create(world.topic, 2), 15, "the topic is made again")
    record = world.send("k", 1)
    world.producer.flush()
    again = world.start(wait=False)
    wait_until(lambda: "adopt" in again.child.output() + again.status_text(), 20,
               "the command that mends it")
    holds_for(lambda: len(world.handler.calls(record)) == 1, 1, "nothing is delivered")


def recreate(world):
    """A busy broker goes on taking records for the old log for a moment, and loses them: some are
    sent until the new one keeps them. Each time by a new producer: one that the topic was deleted
    under may give up."""
    world.broker.delete_topics(world.topic)
    wait_until(lambda: world.topic not in world.broker.topics(), 15, "the topic is gone")
    wait_until(lambda: world.broker.try_create(world.topic, world.partitions), 15,
               "the topic is made again")

    def keeps_records():
        world.producer.renew()
        try:
            for number in range(6):
                world.send("probe%d" % number, 1)
            world.producer.flush()
        except ProducerEnded:
            return False
        kept = {line["p"] for line in world.broker.dump(world.topic)}
        return len(kept) == world.partitions

    wait_until(keeps_records, 30, "the new topic keeps records", every=0.5)


def adopt(world, gateway):
    return command("ledger", "adopt", "orders", world.topic, config=gateway.config_path, check=0)


@pytest.mark.parametrize("policy, identity, ordering", [
    ("stop", "sequence", "key"), ("earliest", "sequence", "key"), ("stop", "offset", "key"),
    ("stop", "offset", "none"), ("earliest", "none", "key")])
def test_adopted_topic_is_delivered_without_a_restart(world, policy, identity, ordering):
    """Whatever the old topic's offsets prove, the new one's records are other records."""
    config = world.config(world.route(on_offset_lost=policy, dedup__identity=identity,
                                      ordering=ordering))
    gateway = world.start(config)
    world.wait_effects([world.send("k", number) for number in range(1, 6)])
    world.wait_committed()
    gateway.stop()
    recreate(world)
    again = world.start(config, wait=False)
    again.wait_status("ledger adopt", 20)
    news = [world.send("k", number) for number in range(6, 14)]
    world.producer.flush()
    holds_for(lambda: not any(world.handler.calls(one) for one in news), 1, "nothing is delivered")
    adopt(world, again)
    world.wait_effects(news)
    wait_until(lambda: '"paused"' not in again.status_text(), 10, again.status_text)
    if ordering == "key":
        assert [one for one in world.handler.effects() if one in news] == news


def test_topic_recreated_under_a_running_gateway_goes_on_when_adopted(world):
    gateway = world.start()
    world.wait_effects([world.send("k", number) for number in range(1, 61)])
    world.wait_committed()
    recreate(world)
    news = [world.send("k", number) for number in range(61, 65)]
    world.producer.flush()
    gateway.wait_status("was deleted and made again", 40)
    assert not any(world.handler.calls(one) for one in news)
    adopt(world, gateway)
    world.wait_effects(news)
    assert [one for one in world.handler.effects() if one in news] == news


def test_topic_recreated_under_a_route_without_a_ledger_is_stopped(world):
    """Nobody but the gateway itself knows that the group has consumed here before; it does so also
    after a rebalance."""
    config = world.config(world.route(on_offset_lost="stop", ordering="none", dedup__identity="none"))
    gateway = world.start(config)
    world.wait_effects([world.send("k", number) for number in range(1, 6)])
    world.wait_committed()
    world.broker.delete_topics(world.topic)
    wait_until(lambda: world.topic not in world.broker.topics(), 15, "the topic is gone")
    wait_until(lambda: world.broker.try_create(world.topic, world.partitions), 15,
               "the topic is made again")
    gateway.wait_status("on_offset_lost is stop", 40)
    assert "was deleted and made again" in gateway.child.output()
    assignments = gateway.child.output().count('"assigned"')
    world.start(config, wait=False)
    wait_until(lambda: gateway.child.output().count('"assigned"') > assignments, 30,
               gateway.child.output)
    gateway.wait_status("on_offset_lost is stop", 10)


def test_assigned_anew_while_a_request_is_open(world):
    """Retry topics go one after the other, so that the group joins again while the route still drains
    for the first of them: that drain must not end in the midst of the new assignment."""
    gateway = world.start(world.config(world.route(handler__timeout="40s", rebalance__drain="35s")))
    held = world.send("held", 1, rule={"gate": "g"})
    world.wait_calls(held, 1)
    tiers = sorted(name for name in world.copy_topics() if name.startswith("retry."))
    output = gateway.child.output
    world.broker.delete_topics(tiers[0])
    wait_until(lambda: '"revoked"' in output(), 30, output)
    world.broker.delete_topics(tiers[1])
    wait_until(lambda: '"lost":true' in output().rpartition('"assigned"')[0], 30, output)
    world.handler.control(open=["g"])
    world.wait_effects(held)
    world.wait_effects([world.send("k%d" % key, 1) for key in range(8)])


@pytest.mark.parametrize("leaves", [False, True])
def test_adoption_in_the_middle_of_a_rebalance(world, leaves):
    """It comes while a member that joined stands still, so that nobody is assigned anything; then
    that one goes on, or is killed. Whoever owns a partition then delivers it from its beginning."""
    keys = ["a", "b", "c", "d", "e", "f"]
    gateway = world.start()
    world.wait_effects([world.send(key, number) for number in range(1, 6) for key in keys])
    world.wait_committed()
    gateway.stop()
    recreate(world)
    news = [world.send(key, number) for number in range(6, 10) for key in keys]
    world.producer.flush()
    first = world.start(wait=False)
    first.wait_status("ledger adopt", 20)
    second = world.start(wait=False)
    wait_until(lambda: first.metric("rebalances_total", kind="revoked") > 0, 20, "a rebalance")
    second.freeze()
    assert not any(world.handler.calls(one) for one in news)
    adopt(world, first)
    if leaves:
        second.kill()
    else:
        second.thaw()
    world.wait_effects(news, 40)
    for one in [first] if leaves else [first, second]:
        wait_until(lambda one=one: one.ready() and '"paused"' not in one.status_text(), 20,
                   one.status_text)
    done = [one for one in world.handler.effects() if one in news]
    assert sorted(done) == sorted(news)  # each once
    for key in keys:
        assert [one for one in done if one[0] == key] == ["%s/0/%d" % (key, n) for n in range(6, 10)]
    world.wait_committed()


def test_lost_offsets_are_lifted_by_adoption(world):
    """The topic is the same one; a person says that it may begin where it begins."""
    gateway = world.start()
    old = [world.send("k", number) for number in range(1, 6)]
    world.wait_effects(old)
    world.wait_committed()
    gateway.stop()
    world.broker.delete_group(world.group)
    again = world.start(wait=False)
    again.wait_status("ledger adopt", 20)
    news = [world.send("k", number) for number in range(6, 9)]
    world.producer.flush()
    holds_for(lambda: not any(world.handler.calls(one) for one in news), 1, "nothing is delivered")
    adopt(world, again)
    world.wait_effects(news)
    world.wait_committed()
    world.check()


def test_offsets_whose_records_expired_are_lifted_by_adoption(world):
    """The gateway was away for longer than the records were kept: what is left is delivered once a
    person says so, and nothing before."""
    world.partitions = 1
    gateway = world.start()
    world.wait_effects([world.send("k", number) for number in range(1, 6)])
    world.wait_committed()
    gateway.stop()
    news = [world.send("k", number) for number in range(6, 14)]
    world.producer.flush()
    world.broker.tool("topics", "truncate", world.topic, "0", "9")
    again = world.start(wait=False)
    again.wait_status("ledger adopt", 20)
    holds_for(lambda: not any(world.handler.calls(one) for one in news), 1, "nothing is delivered")
    adopt(world, again)
    world.wait_effects(news[4:])
    world.wait_committed()
    assert again.metric("offset_resets_total") == 1
    assert not any(world.handler.calls(one) for one in news[:4])


@pytest.mark.parametrize("name, change, words", [
    ("unknown key", {"dedup": {"form": "header:seq"}}, ["dedup.form", "from"]),
    ("not built", {"dedup": {"on_redis_down": "deliver"}}, ["on_redis_down", "not in this version"]),
    ("not built either", {"limits": {"rate": 100}}, ["rate", "not in this version"]),
    ("no tiers", {"delivery": "at-most-once"}, ["retry.tiers", "at-most-once"]),
    ("assignor", None, ["range"]),
    ("tiers", {"retry": {"tiers": ["2s", "1s"]}}, ["tiers"]),
])
def test_bad_configuration_is_78_with_its_place(world, name, change, words):
    config = world.config() if change is None else world.config(world.route(**change))
    if change is None:
        config["kafka"]["partition.assignment.strategy"] = "cooperative-sticky"
    path = write(world, config)
    for verb in ("check", "run"):
        done = command(verb, config=path)
        assert done.returncode == 78, (name, done)
        assert "%s:" % path in done.stderr
        for word in words:
            assert word in done.stderr, done.stderr
