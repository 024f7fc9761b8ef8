"""What became of a redriven dead letter: its state in dlq-state.<group>, written before it is settled."""

import base64
import itertools
import json

import pytest

from support import needs
from support.gateway import command
from support.waiting import wait_until

UUID = "9MJIhuY3RWaGkIv3Wq7n-A"
POISON = {"status": 422}
ERRORS = ("__dlq.", "oncegate-error", "oncegate-first-failed", "oncegate-last", "oncegate-http",
          "oncegate-signature", "oncegate-attempt", "oncegate-redrive", "oncegate-first-letter")
_jobs = itertools.count(1)


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def letter_of(dead):
    """The id of the letter that a dead letter belongs to."""
    return dead.headers.get("oncegate-first-letter") or "%s/%d/%d" % (UUID, dead.partition, dead.offset)


def redrive(world, dead, job=None, mode=None, letter=None):
    """Puts a copy of a dead letter on the redrive topic, as a redrive does; the redrive's id."""
    job = job or "job-%d" % next(_jobs)
    topic = next(name for name in world.copy_topics() if name.endswith(".redrive"))
    own = [("oncegate-attempt", "0"), ("oncegate-redrive-id", job),
           ("oncegate-redrive-count", str(dead.number("redrive-count") + 1)),
           ("oncegate-first-letter", letter or letter_of(dead))]
    own += [("oncegate-redrive-mode", mode)] if mode else []
    headers = [[name, value] for name, value in dead.line["headers"] if not name.startswith(ERRORS)]
    world.producer.send(topic=topic, p=dead.line["p"], key_b64=dead.line["key"],
                        value_b64=dead.line["value"],
                        headers_b64=headers + [[name, encoded(text)] for name, text in own])
    world.producer.flush()
    return job


def state_topic(world):
    return "dlq-state." + world.group


def states(world):
    """All states that were written, in order: (letter, state)."""
    return [(base64.b64decode(line["key"]).decode(), json.loads(base64.b64decode(line["value"])))
            for line in world.broker.dump(state_topic(world))]


def wait_state(world, dead, job, timeout=20):
    """The state that tells the end of a redrive."""
    def told():
        found = [state for letter, state in states(world)
                 if letter == letter_of(dead) and state.get("redrive_id") == job]
        return found[-1] if found else None

    return wait_until(told, timeout, lambda: "the end of %s: %s" % (job, states(world)), every=0.3)


def settled(world):
    """All was committed, the redriven copies too."""
    world.wait_committed(40)


def test_redriven_with_success_is_resolved(world):
    gateway = world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    assert "oncegate-first-letter" not in dead.headers and not states(world)
    world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, dead)
    state = wait_state(world, dead, job)
    at_ms = state.pop("at_ms")
    assert state == {"v": 1, "status": "resolved", "result": "resolved", "redrive_id": job,
                     "redrive_count": 1, "by": "gateway"}
    assert at_ms >= dead.time_ms - 5000
    settled(world)
    assert len(world.handler.calls(record)) == 2 and len(states(world)) == 1
    assert gateway.metric("redriven_total", result="resolved") == 1


def test_redriven_after_a_later_record_of_its_key_is_superseded(world):
    """And with force it is delivered all the same."""
    world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    world.wait_effects(world.send("r", 2))
    world.handler.control(keys={"r": {"status": 200}})
    state = wait_state(world, dead, redrive(world, dead))
    assert (state["status"], state["result"]) == ("resolved", "superseded")
    settled(world)
    assert len(world.handler.calls(record)) == 1
    state = wait_state(world, dead, redrive(world, dead, mode="force"))
    assert (state["status"], state["result"]) == ("resolved", "resolved")
    assert len(world.handler.calls(record)) == 2


def test_redriven_and_failed_again_is_open_with_its_count(world):
    """The new dead letter is the first one's newest copy; its history goes on under one id."""
    world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    first, job = dead, redrive(world, dead)
    for count in (1, 2):
        state = wait_state(world, first, job)
        assert (state["status"], state["result"]) == ("open", "failed")
        assert state["redrive_count"] == count and state["code"] == "http-422"
        dead = world.wait_dead(count + 1)[-1]
        assert dead.headers["oncegate-first-letter"] == letter_of(first)
        assert dead.number("redrive-count") == count
        assert dead.headers["oncegate-redrive-id"] == job
        if count == 2:
            world.handler.control(keys={"r": {"status": 200}})
        job = redrive(world, dead)
    state = wait_state(world, first, job)
    assert state["status"] == "resolved" and state["redrive_count"] == 3
    settled(world)
    assert len(world.handler.calls(record)) == 4
    assert {letter for letter, _ in states(world)} == {letter_of(first)}


def test_redriven_and_dropped_is_resolved(world):
    world.start()
    world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    world.handler.control(keys={"r": {"status": 500, "outcome": "drop"}})
    state = wait_state(world, dead, redrive(world, dead))
    assert (state["status"], state["result"]) == ("resolved", "dropped")


def test_second_copy_of_one_redrive_is_absorbed(world):
    """As after a crash of who redrives: the same redrive of the same record again."""
    world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, dead)
    before = wait_state(world, dead, job)
    redrive(world, dead, job=job)
    redrive(world, dead, job=job, mode="force")
    settled(world)
    assert len(world.handler.calls(record)) == 2
    assert wait_state(world, dead, job)["status"] == before["status"] == "resolved"


@pytest.mark.parametrize("identity", ["none", "event-id", "offset"])
def test_other_identities_and_no_ledger_at_all(world, identity):
    source = "header:seq" if identity == "event-id" else None
    world.start(world.config(world.route(
        ordering="key" if identity == "offset" else "none", dedup={"identity": identity, "from": source})))
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    job = redrive(world, dead)
    assert wait_state(world, dead, job)["result"] == "failed"
    world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, world.wait_dead(2)[-1])
    assert wait_state(world, dead, job)["result"] == "resolved"
    settled(world)
    assert len(world.handler.calls(record)) == 3


def test_at_most_once_route_tells_the_end_too(world):
    world.start(world.config(world.route(delivery="at-most-once", retry=None)))
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, dead)
    assert wait_state(world, dead, job)["result"] == "resolved"
    assert len(world.handler.calls(record)) == 2


@pytest.mark.parametrize("letter", ["t/01/2", "no letter", ""])
def test_copy_that_names_no_letter_is_delivered_and_writes_nothing(world, letter):
    gateway = world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    world.handler.control(keys={"r": {"status": 200}})
    redrive(world, dead, letter=letter or "/")
    world.wait_effects(record)
    settled(world)
    assert not states(world)
    assert "letter_not_named" in gateway.child.output()


# A plain run kills at each step once: where the copy fails there is one step more.
CRASHES = [pytest.param(point, fails, marks=[] if fails else [pytest.mark.slow]) for fails in (False, True)
           for point in ("poll", "claim", "answer", "produce-acknowledged", "state-acknowledged", "finish")
           if fails or point != "produce-acknowledged"]


@pytest.mark.parametrize("point, fails", CRASHES)
def test_killed_at_each_step_the_end_is_told(world, point, fails):
    """The copy alone is what the killed process sees. What it had told stays so, what not is told."""
    gateway = world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    settled(world)
    gateway.stop()
    if not fails:
        world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, dead)
    killed = world.gateway()
    killed.program = needs.crashy()
    killed.environment = {"ONCEGATE_CRASH_AT": point + ":1"}
    killed.expected_exit = -9
    killed.start(wait=False)
    wait_until(lambda: not killed.alive(), 30, "killed at " + point)
    told = [state for _, state in states(world)]
    assert bool(told) == (point in ("state-acknowledged", "finish")), told
    world.start()
    settled(world)
    state = wait_state(world, dead, job)
    expected = ("open", "failed") if fails else ("resolved", "resolved")
    assert (state["status"], state["result"]) == expected
    assert {letter for letter, _ in states(world)} == {letter_of(dead)}
    again = world.dead_letters()
    assert all(letter_of(copy) == letter_of(dead) for copy in again)
    twice = point in ("answer", "produce-acknowledged", "state-acknowledged")
    assert len(world.handler.calls(record)) == (3 if twice else 2)
    assert len(again) == (1 if not fails else 3 if point in ("produce-acknowledged", "state-acknowledged")
                          else 2)


def test_state_topic_that_refuses_holds_the_copy_and_nothing_else(world):
    """Its offset is not committed, others go on; it goes on when the topic takes records again."""
    gateway = world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    settled(world)
    world.broker.configure_topic(state_topic(world), "max.message.bytes=50")
    world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, dead)
    wait_until(lambda: gateway.child.output().count("letter_state_not_written") >= 2, 20, "it is refused, twice")
    gateway.wait_status("state of its dead letter")
    redriven = dead.line["topic"].replace("dlq.", "retry.") + ".redrive"
    assert not any(line["committed"] > 0 for line in world.broker.committed(world.group, redriven))
    others = [world.send("k%d" % key, number) for number in (1, 2) for key in range(20)]
    world.wait_effects(others)
    assert not states(world)
    world.broker.configure_topic(state_topic(world), "max.message.bytes=1000000")
    assert wait_state(world, dead, job)["result"] == "resolved"
    settled(world)
    assert len(world.handler.calls(record)) == 2


def test_held_copy_does_not_keep_a_gateway_from_ending(world):
    """The next owner delivers it again, since nobody was told of its end."""
    gateway = world.start()
    record = world.send("r", 1, rule=POISON)
    dead = world.wait_dead(1)[0]
    settled(world)
    world.broker.configure_topic(state_topic(world), "max.message.bytes=50")
    world.handler.control(keys={"r": {"status": 200}})
    job = redrive(world, dead)
    wait_until(lambda: "letter_state_not_written" in gateway.child.output(), 20, "it is refused")
    gateway.stop()
    world.broker.configure_topic(state_topic(world), "max.message.bytes=1000000")
    world.start()
    assert wait_state(world, dead, job)["result"] == "resolved"
    settled(world)
    assert 2 <= len(world.handler.calls(record)) <= 3


def test_run_without_the_state_topic_names_the_command(world):
    world.make_topics()
    world.broker.delete_topics(state_topic(world))
    wait_until(lambda: state_topic(world) not in world.broker.topics(), 20, "it is gone")
    gateway = world.start(wait=False)
    wait_until(lambda: not gateway.alive(), 20, "it ended")
    assert "topics apply" in gateway.child.output() and state_topic(world) in gateway.child.output()
    assert gateway.child.process.returncode == 78


def test_topics_of_the_group_are_planned_made_and_judged(world):
    world.make_topics()
    topics = world.broker.topics()
    made = [kind + world.group for kind in ("dlq-state.", "dlq-jobs.", "audit.")]
    assert [topics[name] for name in made] == [1, 1, 1]
    path = world.directory / "topics.yaml"
    plan = json.loads(command("topics", "plan", "-o", "json", config=path, check=0).stdout)
    settings = {item["topic"]: item["settings"] for item in plan}
    assert [settings[name]["cleanup.policy"] for name in made] == ["compact", "compact", "delete"]
    assert settings[made[2]]["retention.ms"] == str(365 * 86400000)
    told = command("check", config=path, check=0).stdout
    assert all(name in told for name in made)
    for name, change in zip(made, ("cleanup.policy=delete", "cleanup.policy=delete", "retention.ms=1000")):
        world.broker.configure_topic(name, change)
    told = wait_until(lambda: (lambda found: found if found.count("  ~ ") == 3 else None)(
        command("topics", "plan", config=path, check=0).stdout), 10, "three differ")
    assert all(name in told for name in made)
