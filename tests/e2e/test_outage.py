"""An outage is not poison, and a flood is not poison either."""

import pytest

from support.waiting import holds_for, wait_until


@pytest.mark.long
def test_outage_of_15_seconds_spends_nothing(world):
    """503 to everything at 800 records/s: the breaker opens, nothing is dead-lettered or put out of
    order, and it closes by itself."""
    gateway = world.start(world.config(world.route(retry__tiers=["1s", "3s"])))
    stream = world.stream(count=16000, rate=800, keys=200, seed=11)
    wait_until(lambda: len(world.handler.effects()) > 500, 20, "traffic")
    world.handler.control(outage=True)
    gateway.wait_status("breaker-open", 10)
    assert gateway.metric("breaker_open", route="orders") == 1
    assert gateway.ready(), "a failing handler is degraded, never unready"
    during = world.handler.stats()["requests"]
    holds_for(lambda: gateway.alive() and gateway.metric("dead_letters_total") == 0, 14,
              "no dead letter during the outage", every=0.5)
    probes = world.handler.stats()["requests"] - during
    assert 1 <= probes <= 14 / 0.3 * 2 + 20, "%d requests while the breaker was open" % probes
    world.handler.control(outage=False)
    wait_until(lambda: gateway.metric("breaker_open", route="orders") == 0, 15, "breaker closed")
    stream.wait()
    world.wait_all_effects(60)
    world.wait_committed(40)
    row = world.check()
    assert row["dead"] == 0 and row["effects"] == 16000
    # Attempts of the outage are refunded: what was delivered first after it is a first attempt.
    spent = [call.attempt for call in world.handler.calls() if call.effect]
    assert max(spent) <= 4


def test_handler_that_refuses_connections_is_an_outage(world):
    gateway = world.start()
    stream = world.stream(count=900, rate=300, keys=50)
    wait_until(lambda: len(world.handler.effects()) > 100, 20, "traffic")
    world.handler.control(refuse=True)
    gateway.wait_status("breaker-open", 10)
    world.handler.control(refuse=False)
    stream.wait()
    world.wait_all_effects(40)
    world.wait_committed()
    assert world.check()["dead"] == 0


@pytest.mark.parametrize("status, opens", [(404, True), (500, True), (409, False), (429, False)])
def test_which_statuses_count_for_the_breaker(world, status, opens):
    gateway = world.start(world.config(world.route(
        retry__inline__max_retries=0, retry__tiers=["30s", "60s"])))
    world.handler.control(default={"status": status})
    for number in range(40):
        world.send("b%d" % (number % 20), number // 20 + 1)
    world.producer.flush()
    if opens:
        gateway.wait_status("breaker-open", 15)
    else:
        wait_until(lambda: world.handler.stats()["requests"] >= 20, 15, "20 failures")
        holds_for(lambda: gateway.metric("breaker_open") == 0, 1, "breaker closed")
    world.handler.control(default=None)


def test_three_keys_that_always_fail_do_not_open_the_breaker(world):
    """Among healthy traffic they are poison, and take the normal road."""
    gateway = world.start(world.config(world.route(retry__give_up_after="3s")))
    world.handler.control(keys={"k%d" % n: {"status": 500} for n in (1, 2, 3)})
    stream = world.stream(count=1500, rate=500, keys=50, seed=5)
    opened = []
    wait_until(lambda: opened.append(gateway.metric("breaker_open")) or not stream.running(), 30,
               "the end of the stream", every=0.2)
    stream.wait()
    assert not any(opened)
    healthy = {line["id"] for line in world.acked()
               if line["id"].split("/")[0] not in ("k1", "k2", "k3")}
    world.wait_effects(healthy, 20)
    wait_until(lambda: gateway.metric("dead_letters_total") >= 3, 30, "the poison is given up")
    assert gateway.metric("breaker_open") == 0
    world.check(settled=False)


def test_quiet_route_with_only_poison_gives_up_in_the_end(world):
    """Three keys, nothing healthy beside them: fewer keys than an outage has; it is poison."""
    world.start(world.config(world.route(retry__give_up_after="2s")))
    for key in range(3):
        world.send("p%d" % key, 1, rule={"status": 500})
    dead = world.wait_dead(3, 30)
    assert {copy.headers["oncegate-error-code"] for copy in dead} == {"http-500"}
    world.wait_committed()
    world.check()


def test_twenty_keys_that_fail_their_probes_are_suspect_poison(world):
    gateway = world.start(world.config(world.route(
        breaker={"probe_every": "100ms"}, retry__tiers=["500ms", "1s"])))
    world.handler.control(outage=True)
    for key in range(60):
        world.send("s%d" % key, 1)
    world.producer.flush()
    gateway.wait_status("suspect-poison", 20)
    assert gateway.metric("dead_letters_total") == 0
    world.handler.control(outage=False)
    world.wait_all_effects(20)
    assert world.check(settled=False)["dead"] == 0


def test_probe_that_has_to_wait_lets_another_go(world):
    """A record that the handler asked to come later is no probe; the breaker must still close."""
    gateway = world.start(world.config(world.route(
        retry={"tiers": ["300ms"], "inline": {"max_retries": 0}},
        breaker={"failures": 6, "distinct_keys": 3, "probe_every": "200ms"})))
    later = world.send("w", 1, rule={"fail_first": 1, "status": 503, "retry_after": "8"})
    world.wait_calls(later, 1)
    world.handler.control(outage=True)
    ids = [later] + [world.send("k%d" % number, 1) for number in range(12)]
    gateway.wait_status("breaker-open")
    wait_until(lambda: len(world.handler.calls()) > 20, 20, "probes")
    world.handler.control(outage=False)
    world.wait_effects(ids, 25)


def flood(world, gateway, stream):
    """The flood guard stops the route, says why, and counts at most 200 dead letters."""
    gateway.wait_status("dead-letter-flood", 20)
    # Those that were admitted before the pause are still being acknowledged.
    counts = []
    wait_until(lambda: counts.append(gateway.metric("dead_letters_total")) or
               len(counts) > 1 and counts[-1] == counts[-2], 15, lambda: str(counts), every=0.5)
    holds_for(lambda: gateway.metric("dead_letters_total") == counts[-1], 1.5,
              "no more dead letters")
    stream.stop()
    assert len(world.dead_letters()) <= 200
    assert gateway.ready()


def test_400_to_everything_is_a_flood(world):
    """A bad deploy at 800 records/s: at most 200 dead letters, then a pause that says why. A person
    mends the handler and resumes; nothing is lost."""
    gateway = world.start()
    world.handler.control(default={"status": 400})
    stream = world.stream(count=0, rate=800, keys=100)
    flood(world, gateway, stream)
    world.handler.control(default=None)
    assert gateway.ask("POST", "/routes/orders/resume")[0] == 202
    world.wait_all_effects(40, but={copy.record_id for copy in world.dead_letters()})
    world.wait_committed()
    world.check()


def test_misnamed_sequence_header_is_a_flood(world):
    gateway = world.start(world.config(world.route(dedup__from="header:sequence")))
    stream = world.stream(count=0, rate=800, keys=100)
    flood(world, gateway, stream)
    codes = {copy.headers["oncegate-error-code"] for copy in world.dead_letters()}
    assert codes == {"identity-missing"}
    assert world.handler.stats()["requests"] == 0
    world.check(settled=False)


def test_handler_can_pause_the_route(world):
    gateway = world.start()
    record = world.send("p", 1, rule={"fail_first": 1, "status": 200, "outcome": "pause"})
    wait_until(lambda: world.handler.calls(record), 10, "the call")
    gateway.wait_status("pause", 10)
    after = world.send("q", 1)
    world.producer.flush()
    holds_for(lambda: not world.handler.calls(after), 1, "nothing is delivered while paused")
    assert gateway.ask("POST", "/routes/orders/resume")[0] == 202
    world.wait_effects([record, after], 20)
    assert world.check(settled=False)["dead"] == 0
