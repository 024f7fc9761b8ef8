"""Edited copies of dead letters, on real brokers and a real ledger: off unless enabled, identity
locked, the copy succeeds in the place of the first letter, and each names the other."""

import json
import signal
import urllib.parse

import pytest

from support import needs
from support.gateway import command
from support.process import tail
from support.stage import bearer, token_files
from support.waiting import wait_until
from test_console_changes import open_console  # noqa: F401 pylint: disable=unused-import


def edit_path(letter):
    return "/api/v1/letters/%s/edit" % letter["id"]


def lose_one(world, headers=()):
    """A record that its handler refuses for its value; its id."""
    world.start()
    world.handler.control(default={"status": 400})
    record = world.send("k", 1, headers=headers)
    world.wait_dead(1)
    world.wait_committed()
    world.handler.control(default=None)
    return record


def text(value):
    return {"encoding": "text", "text": json.dumps(value, separators=(",", ":"))}


def test_an_edited_copy_goes_on_in_the_place_of_the_letter(world, open_console):
    record = lose_one(world, headers=[["trace", "t1"]])
    console = open_console(allow_edits=True)
    console.use_document()
    letter = console.wait_letters(1)[0]
    whole = console.letter(letter)
    value = json.loads(whole["record"]["value"]["text"])
    kept = [{name: header[name] for name in ("name", "encoding", "text")}
            for header in whole["record"]["headers"]]
    order = {"value": text({**value, "total": 10}), "reason": "the total was a word",
             "headers": [one if one["name"] != "trace" else {**one, "text": "t2"} for one in kept]}
    changed = {"value": True, "headers": ["trace"], "value_size": {
        "was": whole["record"]["value"]["size"], "is": len(order["value"]["text"])}}
    tried = console.post(edit_path(letter), {**order, "dry_run": True})
    assert tried == {"letter": letter["id"], "copy": None, "job": None, "dry_run": True,
                     "changed": changed}
    assert console.get("/api/v1/audit")["entries"] == [] and len(console.letters(state="any")) == 1
    done = console.post(edit_path(letter), order)
    assert done["changed"] == changed and done["copy"] not in (None, letter["id"])
    job = console.wait_job(done["job"])
    assert (job["status"], job["counts"]["sent"], job["counts"]["resolved"]) == ("finished", 1, 1)
    world.wait_effects([record])
    lines = {line["id"]: line for line in wait_until(lambda: (lambda got: got if sorted(
        line["state"] for line in got) == ["archived", "resolved"] else None)(
            console.letters(state="any")), 30, "archived and resolved")}
    first, copy = lines[letter["id"]], lines[done["copy"]]
    assert (first["state"], first["edited_to"]) == ("archived", done["copy"])
    assert (copy["state"], copy["edited_to"]) == ("resolved", "")
    for name in ("key", "origin_topic", "origin_partition", "origin_offset", "sequence", "code"):
        assert first[name] == copy[name], name
    shown = console.letter(copy)["record"]
    assert json.loads(shown["value"]["text"])["total"] == 10
    assert {one["name"]: one["text"] for one in shown["headers"]}["trace"] == "t2"
    own = {one["name"]: one["text"] for one in shown["own_headers"]}
    assert own["oncegate-edited-from"] == letter["id"]
    actions = {entry["action"]: entry for entry in console.get("/api/v1/audit")["entries"]}
    entry = actions["dlq.edit"]
    assert (entry["on"], entry["reason"], entry["by"]) == (letter["id"], "the total was a word",
                                                          "local (console)")
    assert entry["details"] == {"changed": changed}  # and nothing of what was in it
    assert actions["redrive.start"]["details"]["filter"] == {"id": [done["copy"]]}
    # Once is enough: neither letter goes round again.
    status, problem = console.send(edit_path(letter), order)
    assert status == 409 and "archived" in problem["detail"]
    plan = console.post("/api/v1/jobs/dry-run", {"filter": {"id": [letter["id"]]}})
    assert (plan["counts"]["eligible"], plan["counts"]["skipped"]["archived"]) == (0, 1)
    # The commands tell the same, by the topics and by the console.
    for face in (["-c", str(world.gateways[0].config_path)], ["--console", "http://127.0.0.1:%d" % console.port]):
        told = command("dlq", "list", *face, "--state", "any", "-o", "json", check=0).stdout
        assert {line["id"]: line["edited_to"] for line in json.loads(told)["letters"]} == {
            letter["id"]: done["copy"], done["copy"]: None}
        told = command("dlq", "show", letter["id"], *face, check=0).stdout
        assert "archived, went on edited as " + done["copy"] in told
        told = command("dlq", "show", done["copy"], *face, check=0).stdout
        assert "oncegate-edited-from: " + letter["id"] in told


def test_a_copy_that_fails_again_is_open_under_its_own_id(world, open_console):
    lose_one(world)
    console = open_console(allow_edits=True)
    console.use_document()
    letter = console.wait_letters(1)[0]
    world.handler.control(default={"status": 400})
    value = json.loads(console.letter(letter)["record"]["value"]["text"])
    done = console.post(edit_path(letter), {"value": text({**value, "n": 1}), "reason": "a try"})
    job = console.wait_job(done["job"])
    assert job["counts"]["failed"] == 1
    line = wait_until(lambda: (lambda got: got[0] if got and got[0]["redrive_count"] == 1 else None)(
        console.letters()), 30, "open again")
    assert (line["id"], line["state"]) == (done["copy"], "open")
    # And may be edited once more, from its newest bytes.
    world.handler.control(default=None)
    again = console.post(edit_path(line), {"value": text({**value, "n": 2}), "reason": "another"})
    assert console.wait_job(again["job"])["counts"]["resolved"] == 1
    own = console.letter({"id": again["copy"]})["record"]["own_headers"]
    names = {one["name"]: one["text"] for one in own}
    assert names["oncegate-edited-from"] == line["id"] and "oncegate-first-letter" not in names


def test_identity_is_locked_and_a_wrong_edit_changes_nothing(world, open_console):
    lose_one(world)
    console = open_console(allow_edits=True)
    console.use_document()
    letter = console.wait_letters(1)[0]
    record = console.letter(letter)["record"]
    seq = {"name": "seq", "encoding": "text", "text": "1"}
    same = {"encoding": "text", "text": record["value"]["text"]}
    other = {"encoding": "text", "text": "{}"}
    for order, word in (
            ({"headers": [{**seq, "text": "2"}]}, "locked"),
            ({"headers": []}, "locked"),
            ({"headers": [seq, {"name": "oncegate-sequence", "encoding": "text", "text": "9"}]},
             "oncegate-sequence is one of oncegate's own"),
            ({"headers": [seq, {"name": "__dlq.errors.topic", "encoding": "text", "text": "x"}]},
             "oncegate's own"),
            ({"value": same}, "nothing is changed"),
            ({}, "nothing is changed"),
            ({"value": {"encoding": "base64", "text": "%"}}, "no base64"),
            ({"value": other, "key": "k2"}, "no member")):
        status, problem = console.send(edit_path(letter), {**order, "reason": "r"})
        assert status == 400 and word in problem["detail"], (order, problem)
    status, problem = console.send(edit_path(letter), {"value": other})
    assert status == 400 and "reason" in problem["detail"]
    gone = dict(letter, id=letter["id"].rsplit("/", 1)[0] + "/99")
    assert console.send(edit_path(gone), {"value": other, "reason": "r"})[0] == 404
    assert console.get("/api/v1/audit")["entries"] == []
    assert [line["id"] for line in console.letters(state="any")] == [letter["id"]]


def test_off_unless_enabled_and_for_admins_only(world, open_console, tmp_path):
    lose_one(world)
    order = {"value": {"encoding": "text", "text": "{}"}, "reason": "r"}
    console = open_console()
    letter = console.wait_letters(1)[0]
    status, problem = console.send(edit_path(letter), order)
    assert status == 403 and "console.allow_edits" in problem["detail"]
    assert console.get("/api/v1/overview")["allow_edits"] is False
    roles = open_console(allow_edits=True, tokens=token_files(tmp_path))
    assert roles.get("/api/v1/overview", **bearer("admin"))["allow_edits"] is True
    for role in ("viewer", "operator"):
        assert roles.send(edit_path(letter), order, bearer(role))[0] == 403
    assert urllib.parse.quote(letter["id"]) in edit_path(letter)


def redrive_alone(console, letter):
    """How a job of this letter alone ended it."""
    job = console.wait_job(console.post("/api/v1/jobs", {"filter": {"id": [letter]}})["id"])
    assert job["counts"]["sent"] == 1, job
    return [name for name in ("resolved", "superseded", "duplicate", "failed") if job["counts"][name]]


def killed_within_an_edit(open_console, world, point):
    """A console dies at that step of an edit. The letter's id, its record's value and the new one."""
    killed = open_console(allow_edits=True, program=needs.crashy(),
                          env={"ONCEGATE_CRASH_AT": point + ":1"})
    letter = killed.wait_letters(1)[0]
    value = json.loads(killed.letter(letter)["record"]["value"]["text"])
    status, _ = killed.send(edit_path(letter), {"value": text({**value, "total": 10}),
                                                "reason": "was a word"})
    assert status == 0  # it died unanswered
    assert killed.child.wait(60) == -signal.SIGKILL, tail(killed.log)
    return letter["id"], {**value, "total": 10}


# At the last one the job is written, and nobody runs it.
POINTS = [pytest.param(point, marks=[] if point == "edit_produced" else [pytest.mark.slow])
          for point in ("edit_audited", "edit_produced", "edit_archived", "redrive_asked")]


@pytest.mark.parametrize("point", POINTS)
def test_an_edit_that_is_killed_between_two_steps_loses_nothing(world, open_console, point):
    """What it leaves is open and says what it is; whatever a person then does, the handler takes the
    record once."""
    record = lose_one(world)
    first, value = killed_within_an_edit(open_console, world, point)
    console = open_console(allow_edits=True)
    lines = {line["id"]: line for line in console.wait_letters(
        1 if point == "edit_audited" else 2, state="any")}
    copy = next((name for name in lines if name != first), None)
    assert [entry["action"] for entry in console.get("/api/v1/audit")["entries"]] == (
        ["redrive.start", "dlq.edit"] if point == "redrive_asked" else ["dlq.edit"])
    if copy:
        own = {one["name"]: one["text"] for one in console.letter(lines[copy])["record"]["own_headers"]}
        assert own["oncegate-edited-from"] == first
    if point == "edit_audited":
        assert lines[first]["state"] == "open"
        done = console.post(edit_path(lines[first]), {"value": text(value), "reason": "once more"})
        copy = done["copy"]
        assert console.wait_job(done["job"])["counts"]["resolved"] == 1
    elif point == "edit_produced":
        assert {line["state"] for line in lines.values()} == {"open"}
        assert redrive_alone(console, copy) == ["resolved"]
        assert redrive_alone(console, first) in (["superseded"], ["duplicate"])
    else:
        states = {first: "archived", copy: "open"}
        assert lines[first]["edited_to"] == copy
        if point == "edit_archived":
            assert {name: line["state"] for name, line in lines.items()} == states
            assert redrive_alone(console, copy) == ["resolved"]
        else:
            job = console.get("/api/v1/jobs")["jobs"][0]
            assert console.wait_job(job["id"])["counts"]["resolved"] == 1
    world.wait_committed(40)
    assert world.handler.effects().count(record) == 1
    calls = world.handler.calls(record)
    assert len(calls) == 2  # the one that failed, and the copy
    ended = {line["id"]: line["state"] for line in wait_until(lambda: (lambda got: got if not any(
        line["state"] in ("open", "redriving") for line in got) else None)(
            console.letters(state="any")), 30, "nothing is open")}
    assert ended == {first: "resolved" if point == "edit_produced" else "archived", copy: "resolved"}
