"""Export and import over the API: to the byte, whole or said not to be, masked lines, bounds, who may."""

import http.client
import json
import os
import urllib.parse

import pytest

from support.console import JSON, LINES
from support.gateway import command, to_yaml
from support.process import tail
from support.stage import Stage, bearer
from support.waiting import wait_until

HOSTILE = [
    {"value": '{"n":1}', "key": "k1"},
    {"value": None, "value_b64": "//4AAQ==", "key": None, "key_b64": "/w==", "headers": [["a", "1"], ["a", "2"]]},
    {"value": None, "key": None},
    {"value": "", "key": ""},
    {"value": "\x1b[2J\u202e\u0000<script>", "headers": [["\u009b", "\x1b"]]},
]
WHOLE = {"complete": True, "why": None}


@pytest.fixture
def stage(fresh_world, tmp_path):
    stage = Stage(fresh_world, tmp_path)
    yield stage
    stage.close()


def hostile(stage):
    for plan in HOSTILE:
        stage.letter(**plan)


def by_command(stage, *words):
    """What `oncegate dlq export` writes, in lines."""
    path = stage.directory / "command.yaml"
    path.write_text(to_yaml(stage.config) + "\n", encoding="utf-8")
    done = command("dlq", "export", *words, config=path, check=0)
    return done.stdout.encode().splitlines(keepends=True)


def test_an_export_is_what_the_command_writes_and_says_that_it_is_whole(stage):
    hostile(stage)
    console = stage.console().start()
    console.use_document()
    letters = console.wait_letters(len(HOSTILE))
    lines, end = console.export()
    assert lines == by_command(stage) and len(lines) == len(HOSTILE)
    assert {name: end[name] for name in WHOLE} == WHOLE
    ids = [letter["id"] for letter in letters]
    for some in (ids[:1], ids[1:3]):
        query = "?" + urllib.parse.urlencode({"id": some}, doseq=True)
        chosen = console.export(query)[0]
        assert chosen == console.export(body={"filter": {"id": some}})[0]
        assert [json.loads(line)["offset"] for line in chosen] == [
            int(one.rsplit("/", 1)[1]) for one in some]
    assert console.export("?key=k1")[0] == lines[:1]
    assert console.export("?limit=2")[0] == lines[-2:]
    assert console.export("?code=none") == ([], {"letters": 0, **WHOLE})
    for query in ("?limit=0", "?limt=1", "?state=gone"):
        assert console.ask("/api/v1/export" + query)[0] == 400
    assert console.send("/api/v1/export", {"filter": {"id": []}})[0] == 400
    status, headers, body = console.request("HEAD", "/api/v1/export")
    assert (status, body) == (200, b"") and headers["Content-Type"] == "application/x-ndjson"


def test_what_is_masked_says_so_and_cannot_be_imported(stage):
    secret = "s3cret-of-ada"
    stage.letter(value=json.dumps({"user": {"email": secret}}), headers=[["X-Session", secret]])
    stage.letter(value="email=" + secret)
    stage.letter(value='{"n":1}')
    console = stage.console(tokens=stage.token_files(), allow_changes=True, mask={
        "pointers": ["/user/email"], "headers": ["x-session"]}).start()
    console.wait_letters(3, headers=bearer("admin"))
    for role in ("viewer", "operator"):
        lines, end = console.export(headers=bearer(role))
        assert end["complete"] and secret.encode() not in b"".join(lines)
        told = [json.loads(line) for line in lines]
        headers = told[0]["headers"]
        assert told[0]["masked"] == {"payload": ["/user/email"],
                                     "headers": [headers.index("X-Session") + 1]}
        assert told[1]["masked"] == {"payload": [""]} and told[1]["payload"] is None
        assert "masked" not in told[2]
        assert console.ask("/api/v1/export?text=" + secret, bearer(role))[0] == 403
        status, answer = console.import_lines(b"".join(lines), "?dry_run=true", bearer("admin"))
        assert (status, answer["letters"], answer["bad"]) == (200, 1, 2)
        assert answer["problems"][0]["text"].startswith("masked: ")
    assert secret.encode() in console.export(headers=bearer("admin"))[0][0]


def read_slowly(console, pause):
    """The bytes of an export whose client calls pause(bytes so far) between two reads."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=60)
    connection.request("GET", "/api/v1/export")
    answer = connection.getresponse()
    got = bytearray()
    try:
        while piece := answer.read1(1 << 20):
            got += piece
            pause(len(got))
    finally:
        connection.close()
    return got


def test_a_long_export_is_paced_and_one_that_breaks_off_is_noticed(stage, monkeypatch):
    # An address sanitizer keeps 256 MB of what was given back.
    monkeypatch.setenv("ASAN_OPTIONS", os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1")
    count, size = 2000, 16000
    for number in range(count):
        stage.letter(key="k%d" % number, value="v" * size)
    console = stage.console().start()
    wait_until(lambda: console.get("/api/v1/overview")["routes"][0]["open"] == count, 30, "all")
    resident = []

    def rss():
        text = next(line for line in console.get("/metrics").splitlines()
                    if line.startswith("oncegate_process_resident_memory_bytes ")
                    or line.startswith("process_resident_memory_bytes "))
        return float(text.split()[1])

    def look(got):
        if got > (len(resident) + 1) << 20:
            resident.append(rss())

    lines = read_slowly(console, look).splitlines()
    assert json.loads(lines[-1]) == {"end": {"letters": count, **WHOLE}}
    assert len(lines) == count + 1 and len(resident) > 20
    half = len(resident) // 2  # 16 MiB go out behind it, and nothing of them stays
    assert max(resident[half:]) - resident[half] < 4 << 20, resident
    with pytest.raises(http.client.IncompleteRead):
        read_slowly(console, lambda got: got > 1 << 20 and console.child.alive() and console.stop())


def test_without_brokers_an_export_says_so(stage):
    stage.letter()
    console = stage.console().start()
    console.wait_letters(1)
    console.stop()
    console.config["kafka"]["bootstrap.servers"] = "127.0.0.1:1"
    console.start()
    console.use_document()
    status, _, body = console.request("GET", "/api/v1/export", timeout=60)
    assert status == 503 and b"Kafka has given no record" in body, body


def test_an_import_is_tried_said_to_the_audit_log_and_done(stage):
    hostile(stage)
    console = stage.console(allow_changes=True).start()
    console.use_document()
    console.wait_jobs_known()
    console.wait_letters(len(HOSTILE))
    lines, _ = console.export()
    whole = b"".join(lines) + b'{"end":{"letters":%d,"complete":true,"why":null}}\n' % len(lines)
    dry = {"letters": len(lines), "bad": 0, "produced": 0, "dry_run": True, "problems": [],
           "topics": [{"topic": stage.dlq, "letters": len(lines)}]}
    assert console.import_lines(whole, "?dry_run=true") == (200, dry)
    assert len(console.export()[0]) == len(lines)
    assert console.get("/api/v1/audit")["entries"] == []
    status, done = console.import_lines(whole, "?reason=moved")
    assert (status, done) == (200, {**dry, "produced": len(lines), "dry_run": False})
    console.wait_letters(2 * len(lines))
    again = [json.loads(line) for line in console.export()[0]]
    changes = ("offset", "ts", "tstype")
    bare = [{name: value for name, value in line.items() if name not in changes} for line in again]
    assert bare[len(lines):] == bare[:len(lines)]
    entry = console.get("/api/v1/audit")["entries"][0]
    assert (entry["action"], entry["reason"], entry["by"]) == ("dlq.import", "moved", "local (console)")
    assert entry["details"] == {"topics": {stage.dlq: len(lines)}, "letters": len(lines)}


def test_bad_lines_are_told_by_their_places_and_nothing_is_produced(stage):
    stage.letter()
    console = stage.console(allow_changes=True).start()
    console.use_document()
    console.wait_jobs_known()
    console.wait_letters(1)
    good = console.export()[0][0]
    bad = good + b"\n{\r\n" + b'{"topic":"orders","partition":0}\n' + good
    status, told = console.import_lines(bad, "?dry_run=true")
    assert (status, told["letters"], told["bad"]) == (200, 2, 2)
    assert [(one["line"], one["column"]) for one in told["problems"]] == [(3, 2), (4, 2)]
    assert "no dead-letter topic" in told["problems"][1]["text"]
    status, problem = console.import_lines(bad)
    assert status == 400 and "line 3, column 2: the line ends" in problem["detail"]
    cut = good + b'{"end":{"letters":7,"complete":true,"why":null}}\n'
    status, problem = console.import_lines(cut)
    assert status == 400 and "7 dead letters were exported, and 1 stand here" in problem["detail"]
    assert len(console.export()[0]) == 1 and console.get("/api/v1/audit")["entries"] == []
    status, done = console.import_lines(bad, "?skip_bad=true")
    assert (status, done["produced"], done["bad"]) == (200, 2, 2)
    assert console.import_lines(b"")[1]["letters"] == 0
    assert console.import_lines(good, "?dry_run=perhaps")[0] == 400


def test_who_may_import_and_how_much(stage):
    console = stage.console(tokens=stage.token_files(), allow_changes=True,
                            limits={"body": "2KiB"}).start()
    for role, status in (("viewer", 403), ("operator", 403), ("admin", 200)):
        assert console.import_lines(b"", "?dry_run=true", bearer(role))[0] == status
    status, problem = console.import_lines(b"x" * 2049, headers=bearer("admin"))
    assert status == 413 and "oncegate dlq import" in problem["detail"]
    status, _, _ = console.request("POST", "/api/v1/import", b"{}", {**JSON, **bearer("admin")})
    assert status == 415
    closed = stage.console().start()
    status, _, body = closed.request("POST", "/api/v1/import", b"", LINES)
    assert status == 403 and b"allow_changes" in body, tail(closed.log)
