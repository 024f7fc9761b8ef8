"""The commands by a console's API: the same words as without it, and what is told where it refuses."""

import http.server
import json
import re
import signal
import threading
import time

import pytest

from support import needs
from support.console import Console
from support.gateway import command, to_yaml
from support.process import free_port, make_certificate
from support.redrives import Runner, fail_all, known_jobs
from support.stage import TOKENS, Stage, bearer
from support.waiting import wait_until


class Faces(Stage):
    """And both ways to ask a command."""

    def __init__(self, world, directory):
        super().__init__(world, directory)
        self.path = directory / "faces.yaml"
        self.path.write_text(to_yaml(self.config) + "\n", encoding="utf-8")

    def put(self, **plan):
        """Acknowledged, so that no two are of the same millisecond by chance of batching."""
        before = self.world.producer.sent
        super().put(**plan)
        self.world.producer.flush()
        assert self.world.producer.sent == before + 1

    def here(self, *words, **options):
        return command(*words, config=self.path, **options)

    def by(self, console, *words, token=None, **options):
        more = ["--token-file", self.directory / token] if token else []
        scheme = "https" if console.tls else "http"
        return command(*words, "--console", "%s://localhost:%d" % (scheme, console.port), *more,
                       **options)


@pytest.fixture
def faces(fresh_world, tmp_path):
    faces = Faces(fresh_world, tmp_path)
    yield faces
    faces.close()


def fill(faces):
    """Some of each kind: two failures, a foreign one, no key, bytes, words of other scripts."""
    for number in range(5):
        faces.letter(key="k%d" % (number % 2), value=json.dumps({"n": number}),
                     detail="card %d of customer '%d' declined" % (number, number),
                     headers=[["trace", "t%d" % number]])
    faces.letter(key=None, value=None, code="timeout", detail="")
    faces.letter(key="caf\u00e9 \u65e5\u672c", value="\x1b[2J\u202e plain", code="bad-date",
                 detail="'2026-13-01' is no date \u009b31m")
    faces.put(key="other", value_b64="//4AAQ==",
              headers=[["kafka_dlt-exception-fqcn", "com.example.OutOfStock"],
                       ["kafka_dlt-exception-message", "none left of 17"]])
    faces.here("dlq", "archive", "--id", faces.dlq + "/0/0", "--yes", "--reason", "sold out", check=0)


def assert_same(faces, console, *words):
    for form in ("table", "json", "jsonl"):
        here = faces.here(*words, "-o", form, check=0)
        there = faces.by(console, *words, "-o", form, check=0)
        assert there.stdout == here.stdout, words
        assert there.stdout or words[-1] == "none", words


def test_the_same_words_with_a_console_and_without(faces):
    fill(faces)
    console = faces.console().start()
    console.wait_letters(8, state="any")
    wait_until(lambda: console.get("/api/v1/overview")["feed"]["caught_up"], 30, "caught up")
    now = time.time()
    span = ["--since", "%d" % ((now - 7200) * 1000), "--until", "%d" % ((now + 3600) * 1000)]
    for words in ([], ["--state", "any"], ["--code", "bad-date"], ["--text", "CAFE 2026"],
                  ["--text", "custom*"], ["--status", "4xx"], ["--key", "k1"], ["--state", "archived"],
                  ["--key", "caf\u00e9 \u65e5\u672c"], ["--topic", faces.dlq, "--text", "plain"],
                  ["--id", faces.dlq + "/0/1", "--id", faces.dlq + "/0/7"], ["--code", "none"]):
        assert_same(faces, console, "dlq", "groups", *span, *words)
        assert_same(faces, console, "dlq", "list", "--limit", "0", *words)
    for offset in range(8):
        for form in ("table", "json"):
            words = ("dlq", "show", "%s/0/%d" % (faces.dlq, offset), "-o", form)
            there, here = faces.by(console, *words, check=0), faces.here(*words, check=0)
            assert timeless(there.stdout) == timeless(here.stdout)
    raw = ("dlq", "show", faces.dlq + "/0/1", "--raw")
    assert faces.by(console, *raw, check=0).stdout == faces.here(*raw, check=0).stdout == '{"n": 1}'
    for form in ("table", "jsonl"):
        words = ("audit", "list", "-o", form)
        told = faces.by(console, *words, check=0).stdout
        assert told == faces.here(*words, check=0).stdout and "dlq.archive" in told
    assert faces.by(console, "audit", "list", "--route", "orders", check=0).stdout == told_table(faces)


def timeless(page):
    """The curl has a deadline of its own each time."""
    return re.sub("(?i)(oncegate-deadline: )[^']*", r"\1", page)


def told_table(faces):
    return faces.here("audit", "list", check=0).stdout


def test_pages_of_a_console(faces):
    for number in range(5):
        faces.letter(key="k%d" % number)
    console = faces.console().start()
    console.wait_letters(5)
    seen, after = [], []
    for _ in range(3):
        page = json.loads(faces.by(console, "dlq", "list", "-o", "json", "--limit", "2", *after,
                                   check=0).stdout)
        seen += [row["key"] for row in page["letters"]]
        after = ["--after", page["next"]] if page["next"] else None
    assert after is None and seen == ["k4", "k3", "k2", "k1", "k0"]
    told = faces.by(console, "dlq", "list", "--limit", "2", check=0)
    assert "more: --after " in told.stderr and len(told.stdout.splitlines()) == 3
    assert "cursor" in faces.by(console, "dlq", "list", "--after", "x", check=64).stderr


def test_tls_and_tokens_and_who_may_not(faces):
    cert, key = make_certificate(faces.directory, "localhost")
    console = faces.console(tokens=faces.token_files(),
                            tls={"cert_file": str(cert), "key_file": str(key)})
    console.tls = cert
    console.start()
    faces.letter()
    wait_until(lambda: console.get("/api/v1/letters", **bearer("viewer"))["letters"], 30, "it")
    told = faces.by(console, "dlq", "list", "-o", "jsonl", "--ca-file", cert, token="viewer", check=0)
    assert json.loads(told.stdout)["code"] == "http-422"
    told = faces.by(console, "dlq", "list", "--ca-file", cert, check=77)
    assert "401" in told.stderr and "--token-file" in told.stderr
    told = faces.by(console, "redrive", "start", "--ca-file", cert, token="viewer", check=77)
    assert "403" in told.stderr and "role" in told.stderr
    assert "certificate" in faces.by(console, "dlq", "list", token="viewer").stderr
    other, _ = make_certificate(faces.directory, "elsewhere")
    told = faces.by(console, "dlq", "list", "--ca-file", other, token="viewer")
    assert told.returncode in (69, 78) and "certificate" in told.stderr and not told.stdout
    env = {"ONCEGATE_CONSOLE": "https://localhost:%d" % console.port,
           "ONCEGATE_CONSOLE_TOKEN_FILE": str(faces.directory / "viewer"),
           "ONCEGATE_CONSOLE_CA_FILE": str(cert), "PATH": "/usr/bin:/bin"}
    assert len(command("dlq", "list", "-o", "jsonl", check=0, env=env).stdout.splitlines()) == 1
    for words in (["dlq", "list"], ["redrive", "start"], ["audit", "list"]):
        for role in TOKENS:
            told = faces.by(console, *words, "--ca-file", cert, token=role)
            assert TOKENS[role] not in told.stdout + told.stderr


def test_what_a_console_keeps_back_is_told(faces):
    secret = "s3cret-of-ada"
    faces.letter(value=json.dumps({"user": {"email": secret, "id": 7}}),
                 headers=[["X-Session", secret], ["trace", "t1"]])
    console = faces.console(tokens=faces.token_files(),
                            mask={"pointers": ["/user/email"], "headers": ["x-session"]}).start()
    wait_until(lambda: console.get("/api/v1/letters", **bearer("viewer"))["letters"], 30, "it")
    words = ("dlq", "show", faces.dlq + "/0/0")
    page = faces.by(console, *words, token="viewer", check=0).stdout
    assert secret not in page and "/user/email is hidden" in page and "x-session" in page.lower()
    shown = json.loads(faces.by(console, *words, "-o", "json", token="viewer", check=0).stdout)
    assert secret not in json.dumps(shown) and "/user/email" in shown["kept_back"]
    told = faces.by(console, *words, "--raw", token="viewer", check=77)
    assert "hidden from this role" in told.stderr and not told.stdout
    assert secret in faces.by(console, *words, "--raw", token="admin", check=0).stdout
    assert "403" in faces.by(console, "dlq", "list", "--text", secret, token="viewer", check=77).stderr


class Answering:
    """Something that answers every request alike, and is no console of ours. chunked: as long as the
    connection stands, of which the end is not sent."""

    def __init__(self, status, kind, body, chunked=False):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1" if chunked else "HTTP/1.0"

            def do_GET(self):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                if chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
                    self.close_connection = True
                    return
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def log_message(self, *words):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *reason):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("status, body, code, told", [
    (503, b'{"detail": "too many \\u001b[2J requests"}', 75, "too many ?[2J requests; try again"),
    (500, b"<html>", 69, "the console says 500"),
    (200, b"<html>", 69, "does not answer like a console"),
    (200, b"[]", 69, "does not answer like a console"),
    (200, b"{}", 0, "no dead letters"),
])
def test_what_is_no_answer_has_its_exit_code(programs, status, body, code, told):
    with Answering(status, "application/json", body) as server:
        done = command("dlq", "list", "--console", server.url, check=code)
        assert told in done.stderr and not [c for c in done.stderr if c < " " and c != "\n"], done


def test_wrong_words_about_a_console(programs, tmp_path):
    (tmp_path / "token").write_text("good-token-0123456789\n", encoding="utf-8")
    (tmp_path / "bad").write_text("\x1b[2J\n", encoding="utf-8")
    port = free_port()
    here = "http://127.0.0.1:%d" % port
    told = command("dlq", "groups", "--console", here, check=69).stderr
    assert "cannot be reached" in told and "leave --console out" in told
    assert "http" in command("dlq", "groups", "--console", "nonsense", check=64).stderr
    for words, code in [(["--token-file", tmp_path / "none"], 66), (["--token-file", tmp_path / "bad"], 78)]:
        command("dlq", "groups", "--console", here, *words, check=code)
    told = command("dlq", "groups", "--console", "http://example.org", "--token-file",
                   tmp_path / "token", check=64).stderr
    assert "https" in told and "good-token" not in told
    assert "every record of the topics" in command("dlq", "archive-to", tmp_path / "kept", "--console", here,
                                                   config=tmp_path / "none.yaml", check=64).stderr
    assert "an option of another command" in command("topics", "plan", "--console", here, check=64).stderr
    told = command("redrive", "start", "--console", here, "--by", "me", check=64).stderr
    assert "--by" in told


def test_an_export_by_a_console_is_that_of_the_topics(faces):
    fill(faces)
    console = faces.console(tokens=faces.token_files(), mask={"headers": ["trace"]}).start()
    wait_until(lambda: len(console.get("/api/v1/letters?state=any", **bearer("admin"))["letters"]) == 8, 30, "8")
    for words in ([], ["--state", "any"], ["--code", "timeout"], ["--limit", "2"], ["--code", "none"],
                  ["--id", faces.dlq + "/0/1", "--id", faces.dlq + "/0/7"]):
        here = faces.here("dlq", "export", *words, check=0)
        there = faces.by(console, "dlq", "export", *words, token="admin", check=0)
        assert there.stdout == here.stdout, words
    told = faces.by(console, "dlq", "export", token="viewer", check=0)
    assert "of 4 of them parts are hidden" in told.stderr and told.stdout.count('{"masked"') == 4
    assert "t1" in faces.here("dlq", "export").stdout and '"t1"' not in told.stdout


@pytest.mark.parametrize("end, chunked, code, told", [
    ('{"end":{"letters":1,"complete":true,"why":null}}', False, 0, "1 dead letters were exported"),
    ('{"end":{"letters":1,"complete":false,"why":"4 of 5 were \\u001b[2J read"}}', False, 3,
     "not complete: 4 of 5 were \\x1b[2J read"),
    ('{"end":{"letters":1,"complete":false,"why":"Kafka has given no record for 15 s"}}', True, 69,
     "the export stopped: Kafka has given no record for 15 s"),
    ('{"topic":"half', True, 69, "broke off"),
    ("", False, 69, "does not say that it is whole"),
    ('{"end":{"letters":7,"complete":true,"why":null}}', False, 69, "does not say that it is whole"),
])
def test_an_export_that_is_a_part_is_not_said_to_be_whole(programs, end, chunked, code, told):
    body = '{"topic":"dlq.a.b"}\n' + (end if '"half' in end else end + "\n" if end else "")
    with Answering(200, "application/x-ndjson", body.encode(), chunked) as server:
        done = command("dlq", "export", "--console", server.url, check=code)
        assert done.stdout == '{"topic":"dlq.a.b"}\n' and told in done.stderr, done


def test_an_import_by_a_console_is_looked_at_before_and_done_in_pieces(faces):
    for number in range(40):
        faces.letter(key="k%d" % number, value="%d " % number + "v" * 16000)
    console = faces.console(allow_changes=True).start()
    console.wait_jobs_known()
    console.wait_letters(40)
    lines = faces.by(console, "dlq", "export", check=0).stdout.splitlines()
    end = '{"end":{"letters":%d,"complete":true,"why":null}}'
    path = faces.directory / "letters.jsonl"
    path.write_text("\n".join([*lines[:30], "", *lines[30:], end % 40]) + "\n", encoding="utf-8")
    words = ("dlq", "import", path)
    told = faces.by(console, *words, "--dry-run", check=0).stderr
    assert "40 to %s" % faces.dlq in told and "40 dead letters, 0 bad lines left out" in told
    assert told == faces.here(*words, "--dry-run", check=0).stderr
    assert "say --yes" in faces.by(console, *words, check=64).stderr
    told = faces.by(console, *words, "--yes", "--reason", "moved", check=0).stderr
    assert "40 of 40 dead letters were produced" in told
    console.wait_letters(80)
    entries = [entry for entry in console.get("/api/v1/audit")["entries"] if entry["action"] == "dlq.import"]
    assert len(entries) > 1 and sum(entry["details"]["letters"] for entry in entries) == 40
    assert {entry["reason"] for entry in entries} == {"moved"}
    bare = [re.sub('"(offset|ts)":[0-9]+', "", line) for line in
            faces.by(console, "dlq", "export", check=0).stdout.splitlines()]
    assert bare[40:] == bare[:40]
    # Places are those of the file, whichever piece they came in; an end counts over all of them.
    path.write_text("\n".join([*lines[:30], "{", *lines[30:], end % 39]) + "\n", encoding="utf-8")
    told = faces.by(console, *words, "--yes", check=65).stderr
    assert "letters.jsonl:31:2: " in told and "letters.jsonl:42:1: end: 39 dead letters" in told
    assert "2 of 42 lines are bad" in told and "nothing was produced" in told
    assert len(console.letters(limit=500)) == 80
    told = faces.by(console, *words, "--yes", "--skip-bad", check=3).stderr
    assert "40 of 40 dead letters were produced" in told
    assert "no such" not in told and faces.by(console, "dlq", "import", "/nowhere", check=66).stderr


def test_archive_and_purge_by_a_console(faces):
    for number in range(4):
        faces.letter(key="k%d" % number, code="http-422" if number < 3 else "timeout")
    console = faces.console(allow_changes=True, tokens=faces.token_files()).start()
    wait_until(lambda: len(console.get("/api/v1/letters", **bearer("admin"))["letters"]) == 4, 30, "4")
    wait_until(lambda: all(group["known"] for group in
                           console.get("/api/v1/jobs", **bearer("admin"))["groups"]), 30, "jobs")
    words = ("dlq", "archive", "--code", "http-422")
    told = faces.by(console, *words, "--dry-run", token="operator", check=0).stderr
    assert told == faces.here(*words, "--dry-run", check=0).stderr
    assert "3 dead letters would be archived" in told
    assert "say --yes" in faces.by(console, *words, token="operator", check=64).stderr
    faces.by(console, *words, "--yes", token="viewer", check=77)
    told = faces.by(console, *words, "--yes", "--reason", "sold out", token="operator", check=0).stderr
    assert "3 of 3 dead letters are archived" in told
    wait_until(lambda: len(console.get("/api/v1/letters?state=archived", **bearer("admin"))["letters"]) == 3,
               30, "archived")
    assert "0 dead letters would be" in faces.by(console, *words, "--yes", token="operator", check=0).stderr
    words = ("dlq", "purge", faces.dlq, "--partition", "0", "--before", "2")
    told = faces.by(console, *words, "--dry-run", token="admin", check=0).stderr
    assert told == faces.here(*words, "--dry-run", check=0).stderr
    assert "2 dead letters lie below offset 2, 0 of them open" in told
    assert "--confirm" in faces.by(console, *words, token="admin", check=64).stderr
    assert "not the name" in faces.by(console, *words, "--confirm", "yes", token="admin", check=64).stderr
    faces.by(console, *words, "--confirm", faces.dlq, token="operator", check=77)
    assert len(faces.world.broker.dump(faces.dlq)) == 4
    told = faces.by(console, *words, "--confirm", faces.dlq, "--reason", "asked to", token="admin",
                    check=0).stderr
    assert "begins at offset 2 now" in told
    assert [line["o"] for line in faces.world.broker.dump(faces.dlq)] == [2, 3]
    entries = console.get("/api/v1/audit", **bearer("admin"))["entries"]
    assert [(entry["action"], entry["reason"], entry["by"]) for entry in entries] == [
        ("dlq.purge", "asked to", "token (console)"), ("dlq.archive", "sold out", "token (console)")]


def test_redrive_resume_by_a_console(world, tmp_path):
    """The console runs what is left, and the command stays until it has ended; one that runs none says so."""
    fail_all(world, 3)
    looking = Console(tmp_path, world.gateways[0].config, "looking").start()
    console = Console(tmp_path, world.gateways[0].config, allow_changes=True)
    try:
        looking.wait_jobs_known()
        there = ["--console", "http://127.0.0.1:%d" % looking.port]
        assert "no job is left" in command("redrive", "resume", *there, check=0).stderr
        runner = Runner(world, "start", "--rate", "8", program=needs.crashy(),
                        env={"ONCEGATE_CRASH_AT": "redrive_produced:2"})
        try:
            assert runner.wait(60) == -signal.SIGKILL, runner.output()
        finally:
            runner.kill()
        wait_until(lambda: looking.get("/api/v1/jobs")["jobs"], 30, "it is known")
        told = command("redrive", "resume", *there, check=77).stderr
        assert "console.allow_changes is false" in told and "leave --console out" in told
        console.start()
        console.wait_jobs_known()
        there = ["--console", "http://127.0.0.1:%d" % console.port]
        told = command("redrive", "resume", "-o", "jsonl", *there, check=0, timeout=90)
        job = json.loads(told.stdout.splitlines()[-1])
        assert (job["status"], job["resolved"]) == ("finished", 3)
        assert "no job is left" in command("redrive", "resume", *there, check=0).stderr
        assert [known["status"] for known in known_jobs(world)] == ["finished"]
    finally:
        console.close()
        looking.close()


def test_a_redrive_by_a_console(world, tmp_path):
    """The console does the job; the command asks, watches and tells it as its own."""
    ids = fail_all(world, 4)
    console = Console(tmp_path, world.gateways[0].config, allow_changes=True).start()
    try:
        console.wait_jobs_known()
        console.wait_letters(4)
        url = ["--console", "http://127.0.0.1:%d" % console.port]
        config = world.gateways[0].config_path
        here = command("redrive", "start", "--dry-run", config=config, check=0).stdout
        assert command("redrive", "start", "--dry-run", *url, check=0).stdout == here
        plan = json.loads(command("redrive", "start", "--dry-run", "-o", "json", *url, check=0).stdout)
        assert (plan["eligible"], plan["overtaken"], plan["group"]) == (4, 0, world.group)
        done = command("redrive", "start", "--limit", "1", "--reason", "mended", "-o", "jsonl", *url,
                       check=0)
        job = json.loads(done.stdout.splitlines()[-1])
        assert (job["status"], job["sent"], job["resolved"], job["reason"]) == ("finished", 1, 1,
                                                                               "mended")
        assert "eligible" in done.stderr and "job " + job["id"] in done.stderr
        words = ("redrive", "list")
        assert command(*words, *url, check=0).stdout == command(*words, config=config, check=0).stdout
        words = ("redrive", "status", job["id"])
        assert command(*words, *url, check=0).stdout == command(*words, config=config, check=0).stdout
        assert job["id"] in command("redrive", "list", "--route", "orders", *url, check=0).stdout
        assert "no such route" in command("redrive", "list", "--route", "x", *url, check=64).stderr
        assert "no such job" in command("redrive", "status", "none", *url, check=65).stderr
        assert "no such job" in command("redrive", "cancel", "none", *url, check=65).stderr
        assert "ended already" in command("redrive", "cancel", job["id"], *url, check=0).stderr
        slow = console.post("/api/v1/jobs", {"filter": {}, "rate": 1})
        wait_until(lambda: console.get("/api/v1/jobs/" + slow["id"])["counts"]["sent"] > 0, 30, "one")
        told = command("redrive", "cancel", slow["id"], "--reason", "wrong ones", *url, check=0)
        assert "cancelled" in told.stdout
        told = command("redrive", "start", "--mode", "force", *url, check=64).stderr
        assert "--reason" in told
        told = command("redrive", "start", "--mode", "force", "--reason", "x", *url, check=64).stderr
        assert "nothing is sent" in told
        command("redrive", "start", "--mode", "force", "--reason", "x", "--confirm", "force", *url,
                check=0)
        command("redrive", "start", *url, check=0)
        world.wait_effects(ids)
    finally:
        console.close()


def test_a_console_that_may_change_nothing_says_so(faces):
    faces.letter()
    console = faces.console().start()
    console.wait_letters(1)
    told = faces.by(console, "redrive", "start", check=77)
    assert "403" in told.stderr and "allow_changes" in told.stderr
