"""Redis away, restarted, wiped, full: fail closed, say so, heal unaided."""

import pytest

from support.gateway import command
from support.process import make_certificate
from support.redis_server import Redis
from support.waiting import holds_for, wait_until


def traffic(world, more):
    have = len(world.handler.effects())
    wait_until(lambda: len(world.handler.effects()) >= have + more, 30, "traffic")


def test_restart_with_its_data(world):
    """Nothing is delivered while it is away, nothing lost or doubled after."""
    gateway = world.start()
    stream = world.stream(count=3000, rate=600, keys=60, seed=21, rule='0.01:{"fail_first":1}')
    traffic(world, 600)
    world.redis.stop()
    gateway.wait_status("ledger-down", 10)
    wait_until(lambda: gateway.metric("redis_up") == 0, 10, "redis_up 0")
    wait_until(lambda: world.handler.stats()["open"] == 0, 10, "what was open is answered")
    count = world.handler.stats()["requests"]
    holds_for(lambda: world.handler.stats()["requests"] == count, 1, "nothing is delivered unchecked")
    assert not gateway.ready()
    world.redis.start()
    wait_until(lambda: gateway.metric("redis_up") == 1 and gateway.ready(), 20, "it healed unaided")
    stream.wait()
    world.wait_all_effects(40)
    world.wait_committed()
    world.check()


def test_restart_without_its_data(world):
    """Counted as a wipe. Nothing is lost; what could not be known is delivered, flagged."""
    gateway = world.start()
    stream = world.stream(count=3000, rate=600, keys=60, seed=22)
    traffic(world, 600)
    world.redis.restart(keep_data=False)
    wait_until(lambda: gateway.metric("ledger_wipes_total") >= 1, 20, "the wipe is counted")
    stream.wait()
    world.wait_all_effects(40)
    world.wait_committed()
    world.check(doubled=64)


def park(world, keys, followers, rule=None):
    """Sends a head and followers for each key, and waits until all of them are parked. The heads fail
    until heal(), however long that takes; from then on their rule counts."""
    ids = []
    world.handler.control(keys={"w%d" % key: {"status": 500} for key in range(keys)})
    for key in range(keys):
        ids.append(world.send("w%d" % key, 1, rule=rule))
        ids += [world.send("w%d" % key, number) for number in range(2, 2 + followers)]
    wait_until(lambda: sum(gateway.metric("retry_scheduled_total") for gateway in world.gateways
                           if gateway.alive()) >= len(ids), 40, "so many are parked")
    # Heads that have failed again are counted again.
    wait_until(lambda: {copy.record_id for copy in world.dump("tier")} >= set(ids), 40,
               "all are parked", every=0.2)
    return ids


def heal(world, keys):
    world.handler.control(keys={"w%d" % key: None for key in range(keys)})


def follow(world, keys, number):
    """One more record of each key, that must not overtake those that are parked."""
    return [world.send("w%d" % key, number) for key in range(keys)]


def settle(world, ids, doubled):
    world.wait_effects(ids, 60)
    world.wait_committed(40)
    return world.check(doubled=doubled)


def test_wiped_while_records_are_parked(world):
    """The parked list is a cache of the tiers: it is read again, and the order stays."""
    gateway = world.start(world.config(world.route(
        retry__tiers=["1s", "3s"], breaker={"failures": 5000, "distinct_keys": 1000})))
    ids = park(world, 5, 6)
    world.redis.restart(keep_data=False)
    wait_until(lambda: gateway.metric("ledger_wipes_total") >= 1, 20, "the wipe is counted")
    ids += follow(world, 5, 8)
    heal(world, 5)
    settle(world, ids, doubled=5)


def slow_tiers(world, member="one", **changes):
    """A static member: the group takes it back at once after a kill."""
    return world.config(world.route(retry__tiers=["5s", "9s"], retry__inline__max_retries=0,
                                    breaker={"failures": 5000, "distinct_keys": 1000}),
                        kafka={"group.instance.id": member}, **changes)


def test_killed_while_records_are_parked_and_wiped_meanwhile(world):
    """What is parked is known to the tiers alone: nobody's memory, nothing in Redis."""
    gateway = world.start(slow_tiers(world))
    ids = park(world, 5, 6)
    gateway.kill()
    heal(world, 5)
    world.redis.call("FLUSHALL")
    ids += follow(world, 5, 8)
    again = world.start(slow_tiers(world))
    ids += follow(world, 5, 9)
    settle(world, ids, doubled=len(ids))
    assert again.metric("parked_rebuilt_total") >= 35
    assert again.metric("ledger_wipes_total") == 0 and again.metric("rebuilding") == 0


def test_wiped_soon_after_a_restart(world):
    """The new process has parked nothing itself; the wipe comes while it runs."""
    world.start(slow_tiers(world))
    ids = park(world, 5, 6)
    world.gateways[0].kill()
    gateway = world.start(slow_tiers(world))
    wait_until(lambda: gateway.metric("partitions_assigned") > 0, 20, "assigned")
    world.wait_effects(world.send("other", 1))
    world.redis.call("FLUSHALL")
    ids += follow(world, 5, 8)
    wait_until(lambda: gateway.metric("parked_rebuilt_total") >= 35, 40, "all are read again")
    heal(world, 5)
    settle(world, ids, doubled=len(ids))
    assert gateway.metric("ledger_wipes_total") >= 1


@pytest.mark.long
def test_killed_and_wiped_in_mid_stream(world):
    """Followers keep coming all the time, by SIGKILL and by a Redis that starts without data."""
    config = world.config(world.route(retry__tiers=["2s", "4s"]),
                          kafka={"group.instance.id": "one"})
    gateway = world.start(config)
    stream = world.stream(count=4000, rate=400, keys=40, seed=25, rule='0.02:{"fail_first":2}')
    for _ in range(2):
        traffic(world, 500)
        gateway.kill()
        world.redis.restart(keep_data=False)
        gateway = world.start(config)
        traffic(world, 300)
        world.redis.call("FLUSHALL")
    stream.wait()
    world.wait_all_effects(60)
    world.wait_committed(40)
    # Early: one that had failed goes behind what is parked anew, and then follows it from memory.
    world.check(doubled=4000, early=4000)
    assert gateway.metric("parked_rebuilt_total") > 0


def in_mid_rebuild(world, keys=8, followers=50):
    """A gateway that has told the ledger of what it reads in its tiers, and hears no answer until they
    are let go; with the ids that are parked. What comes before it tells of the first copy names no key."""
    world.start(slow_tiers(world))
    ids = park(world, keys, followers, {"fail_first": 1})
    world.gateways[0].kill()
    heal(world, keys)
    world.redis.call("FLUSHALL")
    world.held.hold_from(b":b:%s:" % world.group.encode())
    gateway = world.gateway(slow_tiers(world, redis={"url": world.held.url})).start(wait=False)
    wait_until(world.held.held.is_set, 60, gateway.status_text)
    gateway.wait_status(["rebuilding from tier topics", "copies read"])
    assert gateway.metric("rebuilding") == 1
    return gateway, ids + follow(world, keys, followers + 2)


@pytest.mark.long
def test_redis_away_in_mid_rebuild(world):
    gateway, ids = in_mid_rebuild(world)
    gateway.wait_status("ledger-down", 10)
    holds_for(lambda: gateway.metric("rebuilding") == 1, 0.5, "it is not called built")
    world.held.let_go()
    settle(world, ids, doubled=len(ids))
    assert gateway.metric("rebuilding") == 0


@pytest.mark.slow
def test_wiped_again_in_mid_rebuild(world):
    """What was told before is gone as well."""
    gateway, ids = in_mid_rebuild(world)
    world.redis.call("FLUSHALL")
    world.held.let_go()
    settle(world, ids, doubled=len(ids))
    assert gateway.metric("ledger_wipes_total") >= 1


@pytest.mark.slow
def test_revoked_in_mid_rebuild(world):
    """The member that takes over half of the partitions is told that they are not built."""
    gateway, ids = in_mid_rebuild(world)
    other = world.gateway(slow_tiers(world, "two", redis={"url": world.held.url}))
    other.start(wait=False)
    wait_until(lambda: gateway.metric("rebalances_total", kind="revoked") >= 1, 30, "revoked")
    world.held.let_go()
    wait_until(lambda: other.metric("partitions_assigned") > 0, 30, "it has partitions")
    settle(world, ids, doubled=len(ids))
    assert other.metric("parked_rebuilt_total") > 0


def test_rebuild_ends_where_the_tiers_end_in_no_record(world):
    """An aborted transaction at the end of each tier partition: offsets that hold nothing to read."""
    world.start(slow_tiers(world))
    ids = park(world, 5, 6)
    world.gateways[0].kill()
    heal(world, 5)
    for tier in world.copy_topics():
        if tier.endswith("s"):
            for partition in range(world.partitions):
                world.broker.tool("aborted", tier, str(partition))
    world.redis.call("FLUSHALL")
    world.start(slow_tiers(world))
    ids += follow(world, 5, 8)
    world.wait_effects(ids, 60)
    world.check(settled=False, doubled=len(ids))


def test_question_about_lost_offsets_is_never_answered_by_a_guess(world):
    """The group's offsets are gone and Redis is silent: whether the group is new cannot be known. An
    end at that moment must not commit initial_offset in its name."""
    gateway = world.start()
    world.wait_effects([world.send("k%d" % number, 1) for number in range(10)])
    world.wait_committed()
    gateway.stop()
    world.broker.delete_group(world.group)
    for number in range(10):
        world.send("k%d" % number, 2)
    world.producer.flush()
    lost = world.gateway(world.config(world.route(initial_offset="latest", on_offset_lost="stop")))
    lost.start(wait=False)
    wait_until(lambda: '"joining"' in lost.status_text(), 15, lost.status_text, every=0.002)
    world.redis.freeze()
    try:
        wait_until(lambda: any(member["partitions"] for member in
                               world.broker.group(world.group)["members"]), 20, "it has joined")
        holds_for(lost.alive, 1, "it waits")
        lost.child.stop(25)
        committed = world.broker.committed(world.group, world.topic)
        assert all(line["committed"] < 0 for line in committed), committed
    finally:
        world.redis.thaw()


def test_time_counts_after_a_start_without_redis(world):
    """What waited for Redis at the start must not make records live for ever."""
    world.make_topics()
    world.redis.stop()
    gateway = world.start(world.config(world.route(retry__give_up_after="2s")), wait=False)
    wait_until(lambda: gateway.ask("GET", "/livez")[0] == 200, 15, "alive")
    holds_for(lambda: not gateway.ready(), 0.5, "it waits")
    world.redis.start()
    gateway.wait_ready()
    doomed = world.send("doomed", 1, rule={"status": 500})
    assert [copy.record_id for copy in world.wait_dead(1, 25)] == [doomed]


def test_script_cache_flushed(world):
    gateway = world.start()
    stream = world.stream(count=1200, rate=800, keys=60, seed=23)
    traffic(world, 300)
    world.redis.call("SCRIPT", "FLUSH")
    stream.wait()
    world.wait_all_effects(30)
    world.wait_committed()
    world.check()
    assert gateway.metric("ledger_wipes_total") == 0


def test_redis_away_at_start(world):
    """It waits, not ready, and says why; then it goes on by itself."""
    world.make_topics()
    record = world.send("k", 1)
    world.redis.stop()
    gateway = world.start(wait=False)
    wait_until(lambda: gateway.ask("GET", "/livez")[0] == 200, 15, "alive")
    holds_for(lambda: gateway.alive() and not gateway.ready(), 1, "it waits, not ready")
    assert "redis" in gateway.status_text()
    assert not world.handler.calls(record)
    world.redis.start()
    gateway.wait_ready(20)
    world.wait_effects(record)


def test_redis_out_of_memory_refuses_writes(world):
    """OOM: nothing is delivered unchecked; with room again it goes on."""
    gateway = world.start()
    first = world.send("k", 1)
    world.wait_effects(first)
    world.redis.call("CONFIG", "SET", "maxmemory", "1")
    second = world.send("k", 2)
    world.producer.flush()
    gateway.wait_status("ledger-down", 15)
    holds_for(lambda: not world.handler.calls(second), 0.5, "not delivered")
    world.redis.call("CONFIG", "SET", "maxmemory", "0")
    world.wait_effects(second, 20)
    world.wait_committed()
    world.check()


def test_evicting_redis_is_refused(world):
    """allkeys-lru would forget what is done: the gateway does not start on it."""
    world.redis.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    gateway = world.gateway().start(wait=False)

    def refused():
        text = gateway.child.output() + gateway.ask("GET", "/readyz")[1]
        return "noeviction" in text and not gateway.ready()

    wait_until(refused, 15, "a refusal that names noeviction")
    gateway.expected_exit = gateway.child.process.poll() or 0


def test_password_acl_user_and_tcp(world):
    redis = Redis(world.directory / "redis-acl")
    try:
        redis.call("ACL", "SETUSER", "gate", "on", ">s3cret", "~*", "&*", "+@all")
        secret = world.directory / "redis-password"
        secret.write_text("s3cret\n")
        redis.call("CONFIG", "SET", "requirepass", "other")
        config = world.config()
        config["redis"] = {"url": redis.tcp_url, "username": "gate", "password_file": str(secret)}
        world.start(config)
        record = world.send("k", 1)
        world.wait_effects(record)
        shown = command("config", "show", config=world.gateways[0].config_path, check=0).stdout
        assert "s3cret" not in shown and "***" in shown
        world.gateways[0].stop()
    finally:
        redis.kill()


def test_redis_by_tls_is_verified(world):
    """First vouched for by nobody that is trusted, then by its own authority."""
    pair = make_certificate(world.directory, "localhost")
    other, _ = make_certificate(world.directory, "other.test")
    redis = Redis(world.directory / "redis-tls", tls=pair)
    try:
        url = "rediss://localhost:%d/0" % redis.tls_port
        config = world.config()
        config["redis"] = {"url": url, "tls": {"ca_file": str(other)}}
        doubtful = world.start(config, wait=False)
        wait_until(lambda: "certificate" in doubtful.status_text(), 15, doubtful.status_text)
        assert not doubtful.ready()
        doubtful.stop()
        config["redis"]["tls"]["ca_file"] = str(pair[0])
        world.start(config)
        world.wait_effects(world.send("k", 1))
    finally:
        redis.kill()


def test_away_for_long_then_a_backlog(world):
    """Records that came meanwhile are all delivered, in order."""
    world.start()
    world.wait_effects(world.send("x", 1))
    world.redis.kill()
    stream = world.stream(count=3000, keys=60, seed=24)
    stream.wait()
    world.redis.start()
    world.wait_all_effects(40)
    world.wait_committed()
    world.check()
