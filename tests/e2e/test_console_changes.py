"""What the console changes: redrive jobs, the audit log, archive and purge; and who may."""

import base64
import json
import time

import pytest

from support.console import JSON, Console
from support.gateway import command
from support.process import tail
from support.redrives import fail_all, start_job
from support.stage import bearer, token_files
from support.waiting import wait_until


@pytest.fixture
def open_console(world, tmp_path):
    """open_console(**settings) starts a console of the world, that may change things. as_whom: the headers
    with which it is asked whether it knows the jobs; None: it is not."""
    consoles = []

    def open_it(as_whom=(), **settings):
        settings.setdefault("allow_changes", True)
        config = world.gateways[0].config if world.gateways else world.config(world.route())
        console = Console(tmp_path, config, "console%d" % (len(consoles) + 1), **settings)
        consoles.append(console)
        console.start()
        if as_whom is not None:
            console.wait_jobs_known(**dict(as_whom or (bearer("admin") if "tokens" in settings else {})))
        return console

    yield open_it
    for console in consoles:
        console.close()


def test_the_whole_story(world, open_console):
    """A handler fails, it is mended; dry run, redrive, progress as events, resolved, audit."""
    ids = fail_all(world, 5)
    console = open_console()
    console.use_document()
    console.wait_letters(5)
    order = {"filter": {"route": "orders"}, "reason": "the handler is mended"}
    plan = console.post("/api/v1/jobs/dry-run", order)
    assert (plan["group"], plan["counts"]["eligible"], plan["sends"]) == (world.group, 5, 5)
    assert (plan["overtaken"], plan["overtaken_unknown"], plan["overtaken_why"]) == (0, 0, None)
    assert console.get("/api/v1/jobs")["jobs"] == []
    events = console.events()
    job = console.post("/api/v1/jobs", order)
    assert (job["status"], job["filter"]) == ("waiting", {"route": "orders"})
    done = console.wait_job(job["id"])
    assert (done["status"], done["counts"]["sent"], done["counts"]["resolved"]) == ("finished", 5, 5)
    assert done["reason"] == "the handler is mended" and done["by"] == "local (console)"
    _, _, told = events.wait(lambda name, data: name == "job" and data["status"] == "finished",
                             "the end of the job")
    assert told["id"] == job["id"] and "filter" not in told and told["counts"]["resolved"] == 5
    events.close()
    world.wait_effects(ids)
    console.wait_letters(5, state="resolved")
    assert console.letters() == []
    listed = console.get("/api/v1/jobs?group=" + world.group)
    assert [one["id"] for one in listed["jobs"]] == [job["id"]]
    assert listed["groups"] == [{"group": world.group, "known": True, "runs_here": True,
                                 "trouble": None}]
    entry = console.get("/api/v1/audit")["entries"][0]
    assert (entry["action"], entry["on"], entry["by"]) == ("redrive.start", job["id"],
                                                           "local (console)")
    assert entry["details"]["filter"] == {"route": "orders"}
    assert console.get("/api/v1/audit?since=2100-01-01T00:00:00Z") == {"entries": [], "next": ""}


def test_the_command_and_the_console_see_the_same_jobs(world, open_console):
    fail_all(world, 2)
    console = open_console()
    console.use_document()
    job = console.post("/api/v1/jobs", {"filter": {}, "limit": 1})
    console.wait_job(job["id"])
    said = command("redrive", "list", "-o", "jsonl", config=world.gateways[0].config_path, check=0)
    assert [json.loads(line)["id"] for line in said.stdout.splitlines()] == [job["id"]]
    other = start_job(world)
    assert (other["status"], other["sent"]) == ("finished", 1)
    wait_until(lambda: len(console.get("/api/v1/jobs")["jobs"]) == 2, 20, "both jobs")
    assert console.get("/api/v1/jobs/" + other["id"])["counts"]["resolved"] == 1


def delivered_ms(world, ids):
    """When the handler was called for the last time, by record."""
    return [world.handler.calls(record)[-1].begin_ms for record in ids]


def test_jobs_of_a_group_run_one_at_a_time_at_their_rate(world, open_console):
    """The second waits for the end of the first, whose rate holds it back; it has none itself."""
    ids = fail_all(world, 8)
    console = open_console()
    lines = {line["key"]["text"]: line["id"] for line in console.wait_letters(8)}
    begin_ms = time.time() * 1000
    slow = console.post("/api/v1/jobs", {"rate": 2, "filter": {"id": [lines["k%d" % n] for n in range(7)]}})
    quick = console.post("/api/v1/jobs", {"filter": {"id": [lines["k7"]]}})

    def some_are_sent():
        other = console.get("/api/v1/jobs/" + quick["id"])
        first = console.get("/api/v1/jobs/" + slow["id"])
        assert first["status"] == "finished" or (other["status"], other["counts"]["sent"]) == ("waiting", 0)
        return first["counts"]["sent"] > 1

    wait_until(some_are_sent, 30, "some sent")
    assert console.wait_job(slow["id"])["counts"]["resolved"] == 7
    assert console.wait_job(quick["id"])["counts"]["resolved"] == 1
    first, last = sorted(delivered_ms(world, ids[:7])), delivered_ms(world, ids[7:])[0]
    assert last >= first[-1]
    assert first[-1] - begin_ms >= 3000, "six times half a second, whatever holds up the first one"


def test_cancel(world, open_console):
    fail_all(world, 6)
    console = open_console()
    console.use_document()
    job = console.post("/api/v1/jobs", {"filter": {}, "rate": 1})
    wait_until(lambda: console.get("/api/v1/jobs/" + job["id"])["counts"]["sent"] > 0, 30, "one sent")
    answer = console.post("/api/v1/jobs/%s/cancel" % job["id"], {"reason": "wrong ones"})
    assert answer["status"] in ("cancelling", "cancelled")
    done = console.wait_job(job["id"])
    assert done["status"] == "cancelled" and 0 < done["counts"]["sent"] < 6
    status, problem = console.send("/api/v1/jobs/%s/cancel" % job["id"], {})
    assert (status, problem["detail"]) == (409, "it has ended already")
    assert console.send("/api/v1/jobs/none/cancel", {})[0] == 404
    actions = [(entry["action"], entry["reason"]) for entry in
               console.get("/api/v1/audit")["entries"]]
    assert actions == [("redrive.cancel", "wrong ones"), ("redrive.start", None)]


def results(console, job, **asked):
    """{key: (result, code, since)} of a job's records, through all pages."""
    return {record["letter"]["key"]["text"]: (record["result"], record["code"], record["since"])
            for record in console.pages("/api/v1/jobs/%s/records" % job, "records", limit=1, **asked)}


def test_records_of_a_job_keep_their_results(world, open_console):
    """Also when another job sends them again, when they are put away, and in an index made anew."""
    fail_all(world, 4)
    world.handler.control(keys={"k1": {"status": 422}})
    console = open_console()
    console.use_document()
    first = console.wait_job(console.post("/api/v1/jobs", {"filter": {}})["id"])
    well, failed = ("resolved", None, None), ("failed", "http-422", None)
    expected = {"k0": well, "k1": failed, "k2": well, "k3": well}
    wait_until(lambda: results(console, first["id"]) == expected, 20,
               lambda: "results: %s" % results(console, first["id"]))
    assert results(console, first["id"], result=["failed", "dropped"]) == {"k1": failed}
    assert results(console, first["id"], result="on_its_way") == {}
    assert console.get("/api/v1/jobs/%s/records?limit=500" % first["id"])["next"] == ""
    world.handler.control(keys={"k1": None})
    second = console.wait_job(console.post("/api/v1/jobs", {"filter": {}})["id"])
    console.post("/api/v1/archive", {"filter": {"state": ["resolved"], "key": "k2"}})
    command("dlq", "archive", "--state", "resolved", "--key", "k3", "--yes",
            config=world.gateways[0].config_path, check=0)
    console.wait_letters(2, state="archived")
    expected["k1"] = ("failed", "http-422", second["id"])
    anew = open_console()
    for one in (console, anew):
        wait_until(lambda one=one: results(one, first["id"]) == expected, 20,
                   lambda one=one: "results: %s" % results(one, first["id"]))
        assert results(one, second["id"]) == {"k1": well}
        text = one.get("/metrics")
        for result, count in (("resolved", 4), ("failed", 1), ("superseded", 0), ("left", 0)):
            line = 'oncegate_redrive_records_total{group="%s",result="%s"} %d\n'
            assert line % (world.group, result, count) in text
    told = [command("redrive", "status", first["id"], "--records", "-o", "jsonl", *words,
                    config=world.gateways[0].config_path, check=3).stdout
            for words in ((), ("--console", "http://localhost:%d" % console.port))]
    assert told[0] == told[1] and len(told[0].splitlines()) == 4
    assert console.ask("/api/v1/jobs/none/records")[0] == 404
    for wrong in ("result=lost", "cursor=x", "cursor=s", "cursor=s1x", "limit=0", "state=open"):
        assert console.ask("/api/v1/jobs/%s/records?%s" % (first["id"], wrong))[0] == 400, wrong


def skipped_of(console, job, **asked):
    """{id: reason} of what a job skipped, through all pages."""
    records = console.pages("/api/v1/jobs/%s/records" % job, "records", limit=2, **asked)
    assert all((record["skipped"] is None) == (record["result"] != "skipped") for record in records)
    return {record["id"]: record["skipped"] for record in records if record["skipped"]}


def test_skipped_letters_are_listed_with_the_reason(world, open_console):
    """Each that was asked for and not sent, in every console and by the command alike."""
    fail_all(world, 5)
    config = world.gateways[0].config_path
    console = open_console()
    console.use_document()
    lines = console.wait_letters(5)
    gone = next(line for line in lines if line["id"].endswith("/0"))  # the first of its partition
    topic, partition, _ = gone["id"].rsplit("/", 2)
    resolved, archived, sent = [line["id"] for line in lines if line["id"] != gone["id"]][:3]
    console.wait_job(console.post("/api/v1/jobs", {"filter": {"id": [resolved]}})["id"])
    command("dlq", "archive", "--id", archived, "--yes", config=config, check=0)
    command("dlq", "purge", topic, "--partition", partition, "--before", "1", "--confirm", topic,
            config=config, check=0)
    world.producer.send(topic=topic, p=0, key="stranger", value="what is this")
    world.producer.flush()
    wait_until(lambda: console.ask("/api/v1/letters/" + gone["id"])[0] == 404, 30, "its line is gone")
    wait_until(lambda: console.letters(state="archived"), 30, "it is archived")
    foreign = wait_until(lambda: [line["id"] for line in console.letters(state="any", limit=100)
                                  if line["writer"] == "plain"], 30, "the stranger's is there")[0]
    nowhere = sent.rsplit("/", 1)[0] + "/4711"  # where letters are: below an empty log's end all is gone
    order = {"filter": {"id": [sent, resolved, archived, gone["id"], foreign, nowhere]}}
    plan = console.post("/api/v1/jobs/dry-run", order)["counts"]
    assert {why: count for why, count in plan["skipped"].items() if count} == {
        "resolved": 1, "archived": 1, "gone": 1, "foreign": 1, "not_found": 1} and plan["eligible"] == 1
    job = console.wait_job(console.post("/api/v1/jobs", order)["id"])
    assert (job["counts"]["sent"], job["skipped_listed"]) == (1, 5), job
    expected = {resolved: "resolved", archived: "archived", gone["id"]: "gone", foreign: "foreign",
                nowhere: "not_found"}
    anew = open_console()
    for one in (console, anew):
        wait_until(lambda one=one: skipped_of(one, job["id"]) == expected, 20,
                   lambda one=one: "skipped: %s" % skipped_of(one, job["id"]))
        assert skipped_of(one, job["id"], result="skipped") == expected
        assert skipped_of(one, job["id"], result=["resolved", "failed"]) == {}
    records = console.pages("/api/v1/jobs/%s/records" % job["id"], "records")
    assert [record["id"] for record in records if not record["skipped"]] == [sent]
    states = {record["id"]: record["letter"] and record["letter"]["state"] for record in records}
    assert states == {sent: "resolved", resolved: "resolved", archived: "archived", foreign: "open",
                      gone["id"]: None, nowhere: None}
    told = [command("redrive", "status", job["id"], "--records", "-o", "jsonl", *words, config=config,
                    check=0).stdout
            for words in ((), ("--console", "http://localhost:%d" % console.port))]
    assert told[0] == told[1] and len(told[0].splitlines()) == 6
    only = command("redrive", "status", job["id"], "--records", "--result", "skipped", config=config,
                   check=0).stdout
    assert all(only.count(why + "  ") >= 1 for why in expected.values()) and "not kept" not in only


def test_lists_of_skipped_letters_are_kept_of_the_newest_jobs(world, open_console):
    """The topic keeps jobs for ever, what they skipped only of a hundred: the runner forgets the rest."""
    fail_all(world, 1)
    topic = "dlq-jobs." + world.group
    made = ["20200101-000000-000-%08d/skipped" % number for number in range(101)]
    for key in made:
        world.producer.send(topic=topic, p=0, key=key, value='{"v":1,"unlisted":0,"topics":[],"letters":[]}')
    world.producer.flush()
    console = open_console()
    nowhere = console.wait_letters(1)[0]["id"].rsplit("/", 1)[0] + "/4711"
    job = console.wait_job(console.post("/api/v1/jobs", {"filter": {"id": [nowhere]}})["id"])
    assert (job["counts"]["skipped"]["not_found"], job["skipped_listed"]) == (1, 1)

    def forgotten():
        lines = world.broker.dump(topic)
        return [base64.b64decode(line["key"]).decode() for line in lines if line["value"] is None]

    wait_until(lambda: made[0] in forgotten(), 20, lambda: "forgotten: %s" % forgotten())
    assert set(forgotten()) <= set(made[:2])
    assert skipped_of(console, job["id"]) == {nowhere: "not_found"}


def test_jobs_and_audit_log_come_in_pages(world, open_console):
    world.make_topics(world.config(world.route()))
    console = open_console()
    console.use_document()
    ids = []
    for number in range(5):
        ids.insert(0, console.post("/api/v1/jobs", {"filter": {}, "reason": "r%d" % number})["id"])
    for limit in (1, 2, 5, 50):
        jobs = console.pages("/api/v1/jobs", "jobs", limit=limit, group=world.group)
        assert [job["id"] for job in jobs] == ids, limit
        entries = console.pages("/api/v1/audit", "entries", limit=limit)
        assert [entry["on"] for entry in entries] == ids, limit
    listed = command("redrive", "list", "--console", "http://localhost:%d" % console.port, "-o", "jsonl",
                     check=0).stdout.splitlines()
    assert [json.loads(line)["id"] for line in listed] == ids
    page = console.get("/api/v1/audit?limit=2")
    jobs = console.get("/api/v1/jobs?limit=2")
    last = console.post("/api/v1/jobs", {"filter": {}})["id"]  # pages go on where they were
    page = console.get("/api/v1/audit?limit=2&cursor=" + page["next"])
    assert [entry["on"] for entry in page["entries"]] == ids[2:4]
    jobs = console.get("/api/v1/jobs?limit=2&cursor=" + jobs["next"])
    assert [job["id"] for job in jobs["jobs"]] == ids[2:4]
    since = console.get("/api/v1/audit?limit=2&since=1h")["entries"]
    assert [entry["on"] for entry in since] == [last, ids[0]]
    assert console.pages("/api/v1/audit", "entries", limit=1, since="2100-01-01T00:00:00Z") == []
    for wrong in ("x", "b", "b12", "b" + "g" * 16, "b" + "0" * 32):
        assert console.ask("/api/v1/audit?cursor=" + wrong)[0] == 400, wrong
    for wrong in ("x", "b", "b/", "c" + ids[0]):
        assert console.ask("/api/v1/jobs?cursor=" + wrong)[0] == 400, wrong


def test_force_wants_its_word_and_a_reason(world, open_console):
    world.start()
    old = world.send("k", 1, rule={"fail_first": 1, "status": 422})
    world.wait_dead(1)
    world.wait_effects(world.send("k", 2))
    world.wait_committed()
    console = open_console()
    console.use_document()
    plan = console.post("/api/v1/jobs/dry-run", {"filter": {}})
    assert (plan["counts"]["eligible"], plan["overtaken"]) == (1, 1)
    force = {"filter": {}, "mode": "force"}
    for more in ({}, {"reason": "asked for"}, {"confirm": "force"},
                 {"reason": "asked for", "confirm": "FORCE"}, {"reason": "", "confirm": "force"}):
        status, problem = console.send("/api/v1/jobs", {**force, **more})
        assert status == 400 and "force" in problem["detail"], more
    assert console.get("/api/v1/jobs")["jobs"] == []
    job = console.post("/api/v1/jobs", {**force, "reason": "asked for", "confirm": "force"})
    assert console.wait_job(job["id"])["counts"]["resolved"] == 1
    world.wait_effects(old)
    assert console.get("/api/v1/audit")["entries"][0]["action"] == "redrive.force"


def test_one_of_two_consoles_runs_and_the_other_goes_on_with_its_job(world, open_console):
    fail_all(world, 8)
    first = open_console()
    wait_until(lambda: first.get("/api/v1/jobs")["groups"][0]["runs_here"], 30, "the first runs")
    second = open_console()
    job = second.post("/api/v1/jobs", {"filter": {}, "rate": 2})
    wait_until(lambda: second.get("/api/v1/jobs/" + job["id"])["counts"]["sent"] > 1, 30, "some sent")
    runners = [console for console in (first, second)
               if console.get("/api/v1/jobs")["groups"][0]["runs_here"]]
    assert len(runners) == 1
    other = second if runners[0] is first else first
    runners[0].child.kill()
    runners[0].child.wait(10)
    done = other.wait_job(job["id"], timeout=120)
    assert (done["status"], done["counts"]["sent"], done["counts"]["resolved"]) == ("finished", 8, 8)
    assert len(set(world.handler.effects())) == len(world.handler.effects())


def test_archive_puts_away_what_the_filter_takes(world, open_console):
    fail_all(world, 4)
    console = open_console()
    console.use_document()
    console.wait_letters(4)
    tried = console.post("/api/v1/archive", {"filter": {"key": "k1"}, "dry_run": True})
    assert (tried["matched"], tried["archived"], tried["dry_run"]) == (1, 0, True)
    one = console.post("/api/v1/archive", {"filter": {"key": "k1"}, "reason": "known"})
    assert (one["matched"], one["archived"], one["more"]) == (1, 1, False)
    away = console.wait_letters(1, state="archived")
    assert [letter["key"]["text"] for letter in away] == ["k1"]
    plan = console.post("/api/v1/jobs/dry-run", {"filter": {}})
    assert plan["counts"]["eligible"] == 3
    again = console.post("/api/v1/archive", {"filter": {"key": "k1", "state": ["any"]}})
    assert again["matched"] == 0
    rest = console.post("/api/v1/archive", {"filter": {}})
    assert rest["archived"] == 3
    console.wait_letters(4, state="archived")
    entries = console.get("/api/v1/audit")["entries"]
    assert [(entry["action"], entry["reason"], entry["details"]["count"]) for entry in entries] == [
        ("dlq.archive", None, 3), ("dlq.archive", "known", 1)]


def test_purge_deletes_the_beginning_of_a_partition_when_its_name_was_typed(world, open_console):
    fail_all(world, 6)
    console = open_console()
    console.use_document()
    lines = console.wait_letters(6)
    topic, partition = lines[0]["topic"], lines[0]["partition"]
    there = sorted(line["offset"] for line in lines if line["partition"] == partition)
    order = {"topic": topic, "partition": partition, "before": there[0] + 1}
    tried = console.post("/api/v1/purge", {**order, "dry_run": True})
    assert (tried["letters"], tried["open"], tried["deleted"], tried["begin"]) == (1, 1, False, None)
    for confirm in ({}, {"confirm": "yes"}, {"confirm": topic + " "}):
        assert console.send("/api/v1/purge", {**order, **confirm})[0] == 400
    assert len(console.letters()) == 6
    assert console.send("/api/v1/purge", {**order, "topic": world.topic, "confirm": world.topic})[0] == 400
    done = console.post("/api/v1/purge", {**order, "confirm": topic, "reason": "a card number"})
    assert (done["letters"], done["deleted"], done["begin"]) == (1, True, there[0] + 1)
    wait_until(lambda: len(console.letters()) == 5, 30, "one is gone")
    entry = console.get("/api/v1/audit")["entries"][0]
    assert (entry["action"], entry["on"]) == ("dlq.purge", "%s/%d" % (topic, partition))
    assert entry["details"] == {"below": there[0] + 1, "letters": 1, "open": 1}


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"{\"filter\":{}} x", b"{}", b"{\"filter\":null}", b"{\"filter\":[]}",
    b"{\"filter\":{\"limt\":\"1\"}}", b"{\"filter\":{\"id\":[]}}", b"{\"filter\":{\"id\":\"a/0/1\"}}",
    b"{\"filter\":{\"status\":500}}", b"{\"filter\":{\"since\":\"yesterday\"}}",
    b"{\"filter\":{\"route\":\"none\"}}", b"{\"filter\":{},\"group\":\"none\"}",
    b"{\"filter\":{},\"mode\":\"maybe\"}", b"{\"filter\":{},\"rate\":-1}",
    b"{\"filter\":{},\"rate\":1.5}", b"{\"filter\":{},\"rate\":\"1\"}", b"{\"filter\":{},\"limit\":1e99}",
    b"{\"filter\":{},\"reason\":null}", b"{\"filter\":{},\"ratee\":1}",
    b"{\"filter\":{},\"reason\":\"a\\u0000b\"}", b"{\"filter\":{\"text\":\"\xff\"}}",
    b"{\"filter\":" + b"[" * 10000])
def test_a_wrong_order_is_refused_and_told(world, open_console, body):
    world.make_topics(world.config(world.route()))
    console = open_console()
    for path in ("/api/v1/jobs", "/api/v1/jobs/dry-run"):
        status, _, answer = console.request("POST", path, body, JSON)
        assert status == 400 and json.loads(answer)["detail"], (path, status)
    assert console.get("/api/v1/jobs")["jobs"] == []


PURGE = {"topic": "none", "partition": 0, "before": 1}
CHANGES = {"/api/v1/jobs": {"filter": {}}, "/api/v1/jobs/none/cancel": {},
           "/api/v1/archive": {"filter": {}}, "/api/v1/purge": PURGE}


def test_who_may_change_what(world, open_console, tmp_path):
    world.make_topics(world.config(world.route()))
    console = open_console(tokens=token_files(tmp_path))
    for path, body in CHANGES.items():
        assert console.send(path, body)[0] == 401
        assert console.send(path, body, bearer("viewer"))[0] == 403
        assert console.send(path, body, {**bearer("admin"), "Sec-Fetch-Site": "cross-site"})[0] == 403
        assert console.send(path, body, {**bearer("admin"), "Sec-Fetch-Site": "none"})[0] == 403
        assert console.send(path, body, {**bearer("admin"), "Origin": "http://evil.example"})[0] == 403
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            assert console.send(path, body, {**bearer("admin"), "Content-Type": kind})[0] == 415
    assert console.send("/api/v1/purge", PURGE, bearer("operator"))[0] == 403
    assert console.send("/api/v1/jobs/dry-run", {"filter": {}}, bearer("viewer"))[0] == 403
    assert console.send("/api/v1/jobs/dry-run", {"filter": {}},
                        {**bearer("operator"), "Content-Type": "text/plain"})[0] == 415
    assert console.get("/api/v1/jobs", **bearer("viewer"))["jobs"] == []
    assert console.get("/api/v1/audit", **bearer("viewer"))["entries"] == []
    basic = console.send("/api/v1/jobs", {"filter": {}}, bearer("operator"))
    assert basic[0] == 200 and basic[1]["by"] == "token (console)"


def test_a_proxy_names_who_changes_what(world, open_console):
    """Where one is trusted nobody is somebody without it, not on loopback either."""
    def named(user, role):
        return {"X-Forwarded-User": user, "X-Forwarded-Role": role}

    world.make_topics(world.config(world.route()))
    ada = named("ada", "operator")
    console = open_console(ada, trusted_proxy={"addresses": ["127.0.0.1"]})
    job = console.post("/api/v1/jobs", {"filter": {}}, ada)
    assert job["by"] == "ada (console)"
    entries = wait_until(lambda: console.get("/api/v1/audit", **ada)["entries"], 20, "the audit log")
    assert (entries[0]["on"], entries[0]["by"]) == (job["id"], "ada (console)")
    assert console.send("/api/v1/purge", PURGE, ada)[0] == 403
    assert console.send("/api/v1/jobs", {"filter": {}}, named("bob", "viewer"))[0] == 403
    for headers in ({}, {"X-Forwarded-User": "ada"}, {"X-Forwarded-Role": "admin"}, named("ada", "root")):
        assert console.ask("/api/v1/letters", headers)[0] == 401, headers
    elsewhere = open_console(None, trusted_proxy={"addresses": ["127.0.0.2"]})
    assert elsewhere.ask("/api/v1/letters", named("ada", "admin"))[0] == 401


def test_nothing_is_changed_unless_it_is_allowed(world, open_console):
    world.make_topics(world.config(world.route()))
    console = open_console(allow_changes=False)
    for path, body in CHANGES.items():
        status, problem = console.send(path, body)
        assert status == 403 and "allow_changes" in problem["detail"]
    assert console.post("/api/v1/jobs/dry-run", {"filter": {}})["counts"]["total"] == 0
    assert console.get("/api/v1/jobs")["groups"][0]["runs_here"] is False


def test_words_that_were_searched_for_are_hidden_with_the_records(world, open_console, tmp_path):
    world.make_topics(world.config(world.route()))
    console = open_console(tokens=token_files(tmp_path), mask={"headers": ["x-session"]})
    job = console.post("/api/v1/jobs", {"filter": {"text": "s3cret"}}, bearer("admin"))
    assert console.send("/api/v1/jobs", {"filter": {"text": "s3cret"}}, bearer("operator"))[0] == 403
    assert console.send("/api/v1/jobs/dry-run", {"filter": {"text": "a"}}, bearer("operator"))[0] == 403
    wait_until(lambda: console.get("/api/v1/jobs", **bearer("viewer"))["jobs"], 20, "the job")
    for path in ("/api/v1/jobs", "/api/v1/jobs/" + job["id"], "/api/v1/audit"):
        assert b"s3cret" not in console.request("GET", path, headers=bearer("operator"))[2], path
        assert b"s3cret" in console.request("GET", path, headers=bearer("admin"))[2], path


def test_the_overview_has_the_gateways_own_words(world, open_console):
    world.start()
    gateway = world.gateways[0]
    console = open_console(gateways=[gateway.config["admin"]["listen"], "127.0.0.1:9",
                                     world.broker.bootstrap, "no-such-host.invalid:9464"])
    console.use_document()
    gateways = console.get("/api/v1/overview")["gateways"]
    assert [one["reached"] for one in gateways] == [True, False, False, False]
    route = gateways[0]["status"]["routes"][0]
    assert route["name"] == "orders" and "breaker" in route and "partitions" in route
    assert all(one["why"] for one in gateways[1:])
    assert gateways[1]["why"] == "nobody listens there"
    gateway.stop()
    one = wait_until(lambda: (lambda one: one if not one["reached"] else None)(
        console.get("/api/v1/overview")["gateways"][0]), 20, "it is gone")
    assert one["status"] is None
    alone = open_console()  # without any, that of its own configuration
    assert len(alone.get("/api/v1/overview")["gateways"]) == 1


def test_without_its_topics_a_group_says_so(world, open_console, tmp_path):
    """The topics were never made: what there is works, and what does not says why."""
    config = world.config(world.route())
    console = Console(tmp_path, config, "bare", allow_changes=True).start()
    try:
        console.use_document()
        trouble = wait_until(lambda: console.get("/api/v1/jobs")["groups"][0]["trouble"], 30,
                             lambda: "trouble: " + tail(console.log))
        assert "dlq-jobs." + world.group in trouble
        status, problem = console.send("/api/v1/jobs", {"filter": {}})
        assert status == 503 and "dlq-jobs." + world.group in problem["detail"]
        assert console.get("/api/v1/audit") == {"entries": [], "next": ""}
    finally:
        console.close()
