"""A runner of redrive jobs is killed at each of its steps, and another one goes on with its job.

Whoever runs, a command or a console, and wherever it dies: every letter comes to its end, none is
sent more than once for each of the two runners, and the ledger takes a copy that is there twice once.
"""

import signal

import pytest

from support import needs
from support.console import Console
from support.process import tail
from support.redrives import Runner, copies_sent, effects, fail_all, known_jobs, redrive
from support.waiting import wait_until

LETTERS = 6
BAD = "k0"  # the handler still refuses it

# In the order of the steps; which of the records at a step is not the first one.
POINTS = [
    "redrive_asked:1",     # the job's record is written, nobody runs it
    "redrive_progress:1",  # its runner has written itself into it
    "redrive_fetched:3",   # a letter is read
    "redrive_sent:3",      # its copy is given to the client, not acknowledged
    "redrive_produced:3",  # the copy is acknowledged, its state not written
    "redrive_recorded:3",  # its state is acknowledged
    "redrive_progress:2",  # a word of progress is written
    "redrive_ending:1",    # all have ended, the job's end is not written
]
PLAIN = {("command", "redrive_produced:3"), ("console", "redrive_sent:3")}  # of a run without the slow ones
CASES = [pytest.param(kind, point, marks=[] if (kind, point) in PLAIN else [pytest.mark.slow])
         for kind in ("command", "console") for point in POINTS]


class Consoles:
    """The consoles of a test."""

    def __init__(self, world):
        self.world = world
        self.all = []

    def open(self, runs=True, **options):
        """One that runs jobs, or that only looks."""
        console = Console(self.world.directory, self.world.gateways[0].config,
                          "console%d" % len(self.all), allow_changes=runs, **options)
        self.all.append(console)
        return console.start()

    def close(self):
        for console in self.all:
            console.close()


@pytest.fixture
def consoles(world):
    those = Consoles(world)
    yield those
    those.close()


def run_command(world, point):
    """A command that starts a job and dies at the point."""
    runner = Runner(world, "start", "--rate", "8", program=needs.crashy(),
                    env={"ONCEGATE_CRASH_AT": point})
    try:
        assert runner.wait(60) == -signal.SIGKILL, runner.output()
    finally:
        runner.kill()


def run_console(consoles, point):
    """A console that runs a job and dies at the point."""
    console = consoles.open(program=needs.crashy(), env={"ONCEGATE_CRASH_AT": point})
    console.wait_jobs_known()
    console.send("/api/v1/jobs", {"filter": {}, "rate": 8})  # at some points it dies unanswered
    assert console.child.wait(60) == -signal.SIGKILL, tail(console.log)


def finish_by_command(world):
    done = redrive(world, "resume", timeout=90)
    assert "this command runs" in done.stderr, done.stderr


def all_records(console, job, **asked):
    """Through all pages, two at a time: {key: record}."""
    found = console.pages("/api/v1/jobs/%s/records" % job, "records", limit=2, **asked)
    by_key = {record["letter"]["key"]["text"]: record for record in found}
    assert len(by_key) == len(found), found
    return by_key


@pytest.mark.parametrize("kind, point", CASES)
def test_job_of_a_killed_runner_is_finished_by_another(world, consoles, kind, point):
    ids = fail_all(world, LETTERS)
    world.handler.control(keys={BAD: {"status": 422}})
    if kind == "command":
        run_command(world, point)
    else:
        run_console(consoles, point)
    left = known_jobs(world)[0]
    assert left["status"] in ("waiting", "running"), left

    other = consoles.open(runs=kind == "command")
    other.use_document()
    if kind == "console":
        finish_by_command(world)
    job = other.wait_job(left["id"], timeout=90)
    counts = job["counts"]
    assert job["status"] == "finished", job
    assert (counts["total"], counts["eligible"], counts["sent"]) == (LETTERS, LETTERS, LETTERS), job
    assert (counts["resolved"], counts["failed"], counts["on_their_way"]) == (LETTERS - 1, 1, 0), job
    world.wait_committed(40)

    good = ids[1:]
    assert sorted(effects(world, ids)) == sorted(good)  # none lost, none twice
    assert all(len(world.handler.calls(record)) == 2 for record in good)
    sent = [copy.record_id for copy in world.dump("redrive")]
    assert set(sent) == set(ids) and max(sent.count(record) for record in ids) <= 2, sent

    def told():
        records = all_records(other, job["id"])
        return records if len(records) == LETTERS and not any(
            record["result"] == "on_its_way" for record in records.values()) else None

    records = wait_until(told, 30, "the index has all ends")
    ends = {key: (record["result"], record["code"], record["letter"]["state"])
            for key, record in records.items()}
    expected = {"k%d" % n: ("resolved", None, "resolved") for n in range(1, LETTERS)}
    assert ends == {**expected, BAD: ("failed", "http-422", "open")}
    assert list(all_records(other, job["id"], result="failed")) == [BAD]


@pytest.mark.slow
@pytest.mark.parametrize("point", ["redrive_skipped:1", "redrive_produced:2"])
def test_list_of_what_was_skipped_outlives_its_runner(world, consoles, point):
    """Killed behind the list and before the job that speaks of it, or later: the next one has it."""
    ids = fail_all(world, 3)
    topic = "dlq.%s.%s" % (world.group, world.topic)
    there = ["%s/%d/%d" % (topic, dead.line["p"], dead.line["o"]) for dead in world.dead_letters()]
    nowhere = [there[0].rsplit("/", 1)[0] + offset for offset in ("/4711", "/4713")]
    words = [word for letter in there + nowhere for word in ("--id", letter)]
    runner = Runner(world, "start", "--rate", "8", *words, program=needs.crashy(),
                    env={"ONCEGATE_CRASH_AT": point})
    try:
        assert runner.wait(60) == -signal.SIGKILL, runner.output()
    finally:
        runner.kill()
    other = consoles.open()
    left = known_jobs(world)[0]
    job = other.wait_job(left["id"], timeout=90)
    assert (job["status"], job["counts"]["sent"], job["skipped_listed"]) == ("finished", 3, 2), job
    records = other.pages("/api/v1/jobs/%s/records" % job["id"], "records", result="skipped")
    assert sorted((record["id"], record["skipped"]) for record in records) == [
        (letter, "not_found") for letter in nowhere]
    world.wait_committed(40)
    assert sorted(effects(world, ids)) == sorted(ids)


@pytest.mark.slow
def test_two_runners_in_a_row_are_killed(world, consoles):
    """The one that takes over dies too, at another step; the third ends the job."""
    ids = fail_all(world, LETTERS)
    run_command(world, "redrive_produced:2")
    second = Runner(world, "resume", program=needs.crashy(),
                    env={"ONCEGATE_CRASH_AT": "redrive_ending:1"})
    try:
        assert second.wait(90) == -signal.SIGKILL, second.output()
    finally:
        second.kill()
    finish_by_command(world)
    job = known_jobs(world)[0]
    assert (job["status"], job["sent"], job["resolved"]) == ("finished", LETTERS, LETTERS)
    assert job["epoch"] >= 3
    world.wait_committed(40)
    assert sorted(effects(world, ids)) == sorted(ids)
    assert LETTERS <= copies_sent(world) <= LETTERS + 2
    console = consoles.open(runs=False)
    console.wait_jobs_known()
    told = wait_until(lambda: (lambda all_told: all_told if len(all_told) == LETTERS else None)(
        all_records(console, job["id"], result="resolved")), 30, "all are resolved")
    assert {record["letter"]["redrive_id"] for record in told.values()} == {job["id"]}
    assert sorted(told) == ["k%d" % n for n in range(LETTERS)]
