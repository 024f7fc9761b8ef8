"""Redrive as a job: dry run, sending, results, cancel, two runners. Killed: test_redrive_killed.py."""

import json
import re

import pytest

from support.gateway import command
from support.redrives import (Runner, copies_sent, effects, fail_all, job_of, known_jobs, redrive,
                              start_job)
from support.waiting import wait_until


def test_dead_letters_go_round_again_and_close_by_themselves(world):
    """The whole story: a handler fails, it is mended, the letters are sent round, all are resolved."""
    ids = fail_all(world, 6)
    dry = redrive(world, "start", "--route", "orders", "--dry-run", "-o", "json", check=0)
    assert json.loads(dry.stdout)["eligible"] == 6
    assert json.loads(dry.stdout)["overtaken"] == 0
    assert copies_sent(world) == 0 and not known_jobs(world)

    job = start_job(world, "--route", "orders", "--reason", "the handler is mended", "--by", "ann")
    assert (job["status"], job["sent"], job["resolved"]) == ("finished", 6, 6)
    world.wait_effects(ids)
    assert sorted(effects(world, ids)) == sorted(ids)
    world.wait_committed()

    assert [known["id"] for known in known_jobs(world)] == [job["id"]]
    said = redrive(world, "status", job["id"], check=0).stdout
    assert "finished" in said and "6  the handler took them" in said
    again = redrive(world, "start", "--route", "orders", check=0)
    assert "nothing is to be sent" in again.stderr and copies_sent(world) == 6

    log = command("audit", "list", "-o", "jsonl", config=world.gateways[0].config_path, check=0)
    entry = json.loads(log.stdout)
    assert (entry["by"], entry["action"], entry["on"]) == ("ann", "redrive.start", job["id"])
    assert entry["reason"] == "the handler is mended"
    assert entry["details"]["filter"]["route"] == "orders"
    later = command("audit", "list", "--since", "2100-01-01T00:00:00Z",
                    config=world.gateways[0].config_path, check=0)
    assert later.stdout == ""


def dead_behind_a_later_one(world, key):
    """A dead letter whose key has moved on."""
    world.start()
    old = world.send(key, 1, rule={"fail_first": 1, "status": 422})
    world.wait_dead(1)
    world.wait_effects(world.send(key, 2))
    world.wait_committed()
    return old


def test_letter_whose_key_has_moved_on_is_superseded(world):
    old = dead_behind_a_later_one(world, "k")
    dry = json.loads(redrive(world, "start", "--dry-run", "-o", "json", check=0).stdout)
    assert (dry["eligible"], dry["overtaken"], dry["overtaken_unknown"]) == (1, 1, 0)
    job = start_job(world)
    assert (job["sent"], job["superseded"], job.get("resolved", 0)) == (1, 1, 0)
    assert old not in world.handler.effects()


def test_where_records_have_no_number_it_is_not_known_who_was_overtaken(world):
    """Said, and not taken for none."""
    world.start(world.config(world.route(dedup={"identity": "event-id", "from": "header:seq"})))
    world.send("k", 1, rule={"fail_first": 1, "status": 422})
    world.wait_dead(1)
    world.wait_effects(world.send("k", 2))
    world.wait_committed()
    dry = json.loads(redrive(world, "start", "--dry-run", "-o", "json", check=0).stdout)
    assert (dry["eligible"], dry["overtaken"], dry["overtaken_unknown"]) == (1, 0, 1)
    said = redrive(world, "start", "--dry-run", check=0).stdout
    assert re.search(r"unknown +1  whether their key has moved on is not known", said), said


def test_force_delivers_what_its_key_has_moved_past(world):
    old = dead_behind_a_later_one(world, "k")
    refused = redrive(world, "start", "--mode", "force", check=64)
    assert "--reason" in refused.stderr
    refused = redrive(world, "start", "--mode", "force", "--reason", "asked for", check=64)
    assert "nothing is sent" in refused.stderr and copies_sent(world) == 0
    job = start_job(world, "--mode", "force", "--reason", "asked for", "--yes")
    assert (job["mode"], job["sent"], job["resolved"]) == ("force", 1, 1)
    world.wait_effects(old)


def test_letter_that_fails_again_is_open_with_its_count(world):
    ids = fail_all(world, 2)
    world.handler.control(keys={"k1": {"status": 422}})
    job = start_job(world, check=3)
    assert (job["sent"], job["resolved"], job["failed"]) == (2, 1, 1)
    world.handler.control(keys={"k1": None})
    job = start_job(world)
    assert (job["total"], job["sent"], job["resolved"]) == (1, 1, 1)
    assert sorted(effects(world, ids)) == sorted(ids)
    counts = sorted((copy.record_id, copy.headers["oncegate-redrive-count"])
                    for copy in world.dump("redrive"))
    assert counts == [(ids[0], "1"), (ids[1], "1"), (ids[1], "2")]
    first = {copy.headers["oncegate-first-letter"] for copy in world.dump("redrive")
             if copy.record_id == ids[1]}
    assert len(first) == 1


def test_status_prints_each_record_and_what_became_of_it(world):
    fail_all(world, 3)
    world.handler.control(keys={"k1": {"status": 422}})
    job = start_job(world, check=3)
    done = redrive(world, "status", job["id"], "--records", "-o", "jsonl", check=3)
    lines = {line["key"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert {key: (line["result"], line["code"], line["state"], line["since"])
            for key, line in lines.items()} == {"k0": ("resolved", None, "resolved", None),
                                                "k1": ("failed", "http-422", "open", None),
                                                "k2": ("resolved", None, "resolved", None)}
    dead = {(copy.line["topic"], copy.line["p"], copy.line["o"]) for copy in world.dead_letters()}
    for line in lines.values():
        topic, partition, offset = line["id"].rsplit("/", 2)
        assert (topic, int(partition), int(offset)) in dead
    some = redrive(world, "status", job["id"], "--records", "--result", "failed", "--result", "dropped",
                   "-o", "json", check=3)
    assert [record["key"] for record in json.loads(some.stdout)] == ["k1"]
    table = redrive(world, "status", job["id"], "--records", check=3).stdout
    assert job["id"] in table and "RESULT" in table and table.count("resolved  ") >= 2
    refused = redrive(world, "status", job["id"], "--records", "--result", "lost", check=64)
    assert "lost" in refused.stderr


def test_selection_and_limit(world):
    ids = fail_all(world, 4)
    dead = {copy.record_id: copy.line for copy in world.dead_letters()}
    line = dead[ids[2]]
    topic = line["topic"]
    chosen = "%s/%d/%d" % (topic, line["p"], line["o"])
    job = start_job(world, "--id", chosen, "--id", "%s/%d/4711" % (topic, line["p"]))
    assert (job["total"], job["sent"], job["skipped_not_found"]) == (2, 1, 1)
    assert effects(world, ids) == [ids[2]]
    dry = redrive(world, "start", "--id", chosen, "--dry-run", "-o", "json", check=0)
    assert json.loads(dry.stdout)["skipped_resolved"] == 1
    job = start_job(world, "--limit", "2")
    assert (job["total"], job["eligible"], job["sent"]) == (3, 2, 2)
    assert len(effects(world, ids)) == 3


def test_job_is_cancelled_between_records(world):
    ids = fail_all(world, 30)
    runner = Runner(world, "start", "--rate", "4")
    try:
        wait_until(lambda: copies_sent(world) >= 3, 40, runner.output, every=0.3)
        job = known_jobs(world)[0]
        done = redrive(world, "cancel", job["id"], "-o", "jsonl", check=0)
        assert runner.wait(20) == 3
    finally:
        runner.kill()
    job = job_of(done)
    assert job["status"] == "cancelled" and 3 <= job["sent"] < 30
    sent = copies_sent(world)
    assert sent == job["sent"]
    world.wait_committed()
    rest = start_job(world)
    assert rest["sent"] == 30 - sent
    assert sorted(effects(world, ids)) == sorted(ids)


def owns(runner):
    """Whether a runner said last that the part is its own; Kafka may give it to one that joins."""
    said = runner.output()
    return said.rfind("this command runs") > said.rfind("another runner is at work")


@pytest.mark.slow
def test_of_two_runners_one_works(world):
    """The one that works is killed; the other goes on with its job."""
    ids = fail_all(world, 30)
    runners = [Runner(world, "start", "--rate", "4").wait_said("this command runs")]
    runners.append(Runner(world, "resume"))
    try:
        runners[1].wait_said(" sent")
        wait_until(lambda: copies_sent(world) >= 4 and [owns(r) for r in runners].count(True) == 1,
                   40, lambda: "\n".join(r.output() for r in runners), every=0.3)
        working, other = sorted(runners, key=owns, reverse=True)
        working.kill()
        assert other.wait(60) == 0, other.output()
    finally:
        for runner in runners:
            runner.kill()
    job = known_jobs(world)[0]
    assert (job["status"], job["sent"], job["resolved"]) == ("finished", 30, 30)
    assert copies_sent(world) <= 30 + 2 * 4
    world.wait_committed()
    assert sorted(effects(world, ids)) == sorted(ids)
