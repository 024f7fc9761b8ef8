"""Dead letters by command: on a real broker, made by the gateway itself and by others, hostile ones
among them."""

import base64
import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import unicodedata

from support import needs, places
from support.gateway import command, to_yaml
from support.waiting import wait_until

HOSTILE = [
    b"<script>alert(1)</script>",
    b"\x1b]0;owned\x07\x1b[2J\x1b[31mred",
    b"\xff\xfe\x00\x01 not text",
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b'{"big":12345678901234567890123,"small":1e-7,"same":1,"same":2,"text":"\\u001b[2J"}',
    "caf\u00e9 \u202egnp.exe \u009b31m \u65e5\u672c".encode(),
    b"\x00\x00\x00\x00\x07avro",
    b"a\r\nb\tc",
    b"",
]


def write(world, config=None, name="dlq.yaml"):
    path = world.directory / name
    path.write_text(to_yaml(config or world.config()) + "\n", encoding="utf-8")
    return path


def run(*words, config, check=0, stdin=None):
    """As support.gateway.command, in bytes."""
    done = subprocess.run([str(places.find_gateway()), *map(str, words), "-c", str(config)],
                          input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL,
                          capture_output=True, check=False, timeout=90)
    assert done.returncode == check, (words, done.returncode, done.stdout[-2000:], done.stderr)
    return done


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def dlq_topic(world):
    return "dlq.%s.%s" % (world.group, world.topic)


def make_letters(world):
    """Four dead letters of the gateway: three of one failure, one of another; its configuration."""
    gateway = world.start()
    lost = {"status": 422, "problem": {"type": "https://example.org/no-lines",
                                       "detail": "order 17 has no lines"}}
    other = {"status": 400, "problem": {"type": "https://example.org/bad-date",
                                        "detail": "'2026-13-01' is no date"}}
    world.send("a", 1, rule=lost, headers=[["trace", "x"]])
    world.send("a", 2, rule=lost)
    world.send("b", 1, rule={**lost, "problem": {**lost["problem"], "detail": "order 99 has no lines"}})
    world.send("c", 1, rule=other)
    world.wait_dead(4)
    return gateway.config_path


def put(world, values, key="hostile", headers=()):
    """Records directly into the dead-letter topic."""
    for value in values:
        plan = {"topic": dlq_topic(world), "key": key, "p": 0,
                "headers_b64": [[name, base64.b64encode(text).decode()] for name, text in headers]}
        if value is not None:
            plan["value_b64"] = base64.b64encode(value).decode()
        world.producer.send(**plan)
    world.producer.flush()


def make_topic(world):
    """The topics, and no gateway."""
    world.make_topics()
    make_own_topics(world)
    return write(world)


def make_own_topics(world):
    """What `archive` and `purge` write to."""
    have = world.broker.topics()
    wanted = ["dlq-state.%s:1:cleanup.policy=compact" % world.group, "audit.%s:1" % world.group]
    missing = [spec for spec in wanted if spec.split(":")[0] not in have]
    if missing:
        world.broker.create_topics(*missing)


def test_groups_and_list_of_the_gateways_own_letters(world):
    config = make_letters(world)
    groups = json.loads(run("dlq", "groups", "-o", "json", config=config).stdout)
    assert [(group["code"], group["open"], group["keys"]) for group in groups] == [
        ("no-lines", 3, 2), ("bad-date", 1, 1)]
    assert sum(groups[0]["trend"]) == 3 and groups[0]["http_status"] == 422
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", groups[0]["first"])
    text = run("dlq", "groups", config=config).stdout.decode()
    assert groups[0]["signature"] in text and "has no lines" in text
    rows = lines(run("dlq", "list", "-o", "jsonl", config=config))
    assert len(rows) == 4 and {row["state"] for row in rows} == {"open"}
    assert {row["key"] for row in rows} == {"a", "b", "c"}
    for words, count in [(["--code", "no-lines"], 3), (["--status", "4xx"], 4), (["--status", "400"], 1),
                         (["--status", "5xx"], 0), (["--key", "a"], 2), (["--text", "date"], 1),
                         (["--text", "no LINES ord*"], 3), (["--text", "ines"], 0),
                         (["--since", "1h"], 4), (["--until", "1h"], 0), (["--route", "orders"], 4),
                         (["--signature", groups[1]["signature"]], 1), (["--state", "archived"], 0),
                         (["--topic", dlq_topic(world), "--code", "bad-date"], 1)]:
        assert len(lines(run("dlq", "list", "-o", "jsonl", *words, config=config))) == count, words
    seen, after = [], []
    for _ in range(4):
        page = json.loads(run("dlq", "list", "-o", "json", "--limit", 1, *after, config=config).stdout)
        seen += [row["id"] for row in page["letters"]]
        after = ["--after", page["next"]] if page["next"] else None
    assert after is None and sorted(seen) == sorted(row["id"] for row in rows)


def test_show_tells_everything_and_its_curl_delivers(world):
    config = make_letters(world)
    row = next(row for row in lines(run("dlq", "list", "-o", "jsonl", "--key", "a", config=config))
               if row["value_size"] and row["origin"])
    page = run("dlq", "show", row["id"], config=config).stdout.decode()
    for words in ("no-lines", "order 17 has no lines", "HTTP status   422", "trace: x", "JSON, ",
                  "oncegate-signature", "the key in the ledger", "curl -i -X POST", "* " + row["id"]):
        if words == "trace: x" and words not in page:
            continue  # the other one of the key has it
        assert words in page, (words, page)
    shown = json.loads(run("dlq", "show", row["id"], "-o", "json", config=config).stdout)
    assert json.loads(shown["value"])["id"].startswith("a/")
    assert len(shown["same_key"]) == 2 and shown["value_kind"] == "json"
    assert "not known" not in shown["ledger"]
    raw = run("dlq", "show", row["id"], "--raw", config=config).stdout
    assert raw.decode() == shown["value"]
    needs.installed("curl")
    record = json.loads(raw)["id"]
    before = world.handler.calls(record)
    subprocess.run(["bash", "-c", shown["curl"]], check=True, capture_output=True, timeout=30)
    calls = wait_until(lambda: (lambda found: found if len(found) > len(before) else None)(
        world.handler.calls(record)), 10, "the delivery by hand")
    assert calls[-1].idempotency_key == before[-1].idempotency_key
    assert calls[-1].attempt == before[-1].attempt + 1


def assert_harmless(text):
    """Nothing that a terminal obeys, or that turns what is read around."""
    for char in text.decode():
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp"), repr(char)


def test_hostile_letters_reach_a_person_as_letters_only(world):
    config = make_topic(world)
    put(world, HOSTILE + [None], key="k\x1b[2J\n<b>",
        headers=[("oncegate-error-detail", b"\x1b[2J\xff"), ("oncegate-error-code", b"\x1b[31m"),
                 ("kafka_dlt-exception-message", b"\x9b\x1b[5m"), ("x\x1b[0m", b"\x07")])
    for verb in ("groups", "list"):
        assert_harmless(run("dlq", verb, config=config).stdout)
        for form in ("json", "jsonl"):
            assert_harmless(run("dlq", verb, "-o", form, config=config).stdout)
    rows = lines(run("dlq", "list", "-o", "jsonl", config=config))
    assert len(rows) == len(HOSTILE) + 1
    kinds = []
    for offset, value in enumerate(HOSTILE + [None]):
        name = "%s/0/%d" % (dlq_topic(world), offset)
        assert_harmless(run("dlq", "show", name, config=config).stdout)
        told = run("dlq", "show", name, "-o", "json", config=config).stdout
        assert_harmless(told)
        shown = json.loads(told)
        kinds.append(shown["value_kind"])
        assert run("dlq", "show", name, "--raw", config=config).stdout == (value or b"")
    assert kinds == ["text", "text", "binary", "text", "json", "text", "binary", "text", "empty", "null"]
    page = run("dlq", "show", "%s/0/4" % dlq_topic(world), config=config).stdout.decode()
    assert "12345678901234567890123" in page and '"same": 2' in page
    assert "schema 7" in run("dlq", "show", "%s/0/6" % dlq_topic(world), config=config).stdout.decode()


def on_terminal(words, columns, env):
    """The command under a terminal of its own; what it wrote there."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.pop("COLUMNS", None)
        os.environ.pop("NO_COLOR", None)
        os.environ.update(env)
        subprocess.run(["stty", "cols", str(columns)], check=True)
        os.execv(words[0], words)
    out = b""
    while True:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        if not chunk:
            break
        out += chunk
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out


def test_tables_fit_the_terminal_and_are_coloured_there_only(world):
    config = make_topic(world)
    put(world, [b"x"], key="\u65e5\u672c" * 100, headers=[("oncegate-error-detail", b"long " * 100)])
    words = [str(places.find_gateway()), "dlq", "list", "-c", str(config)]
    for columns in (60, 100, 200):
        code, out = on_terminal(words, columns, {"NO_COLOR": ""})
        assert code == 0, out
        text = re.sub(r"\r\x1b\[K|\r", "", out.decode())
        assert all(sum(2 if unicodedata.east_asian_width(char) == "W" else 1 for char in line)
                   <= columns for line in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")), text
    assert b"\x1b[" in on_terminal(words, 80, {})[1]
    assert b"\x1b[3" not in on_terminal(words, 80, {"NO_COLOR": "1"})[1]
    assert b"\x1b" not in run("dlq", "list", config=config).stdout


def test_export_and_import_are_the_same_bytes(world):
    config = make_topic(world)
    headers = [("oncegate-error-detail", b"\xff"), ("app", b""), ("app", b"twice"), ("caf\u00e9", b"\x00")]
    put(world, HOSTILE + [None], key="k", headers=headers)
    exported = run("dlq", "export", config=config).stdout
    assert len(exported.splitlines()) == len(HOSTILE) + 1
    line = json.loads(exported.splitlines()[0])
    assert {"topic", "partition", "offset", "tstype", "ts", "headers", "key", "payload"} <= set(line)
    assert line["headers"][2:6] == ["app", "", "app", "twice"]
    path = world.directory / "export.jsonl"
    path.write_bytes(exported)
    assert b"would" not in run("dlq", "import", path, "--dry-run", config=config).stderr
    assert len(world.broker.dump(dlq_topic(world))) == len(HOSTILE) + 1
    assert b"--yes" in run("dlq", "import", path, config=config, check=64).stderr
    run("dlq", "import", path, "--yes", config=config)
    dumped = world.broker.dump(dlq_topic(world))
    half = len(HOSTILE) + 1
    strip = [{name: line[name] for name in ("key", "value", "headers", "p")} for line in dumped]
    assert len(strip) == 2 * half and strip[:half] == strip[half:]
    again = run("dlq", "import", "-", "--yes", config=config, stdin=exported)
    assert b"%d of %d" % (half, half) in again.stderr


def test_key_of_one_mebibyte(world):
    config = world.config(kafka={"consumer": {"fetch.message.max.bytes": 8000000},
                                 "producer": {"message.max.bytes": 4000000}})
    make_topic(world)
    world.broker.configure_topic(dlq_topic(world), "max.message.bytes=4000000")
    path = write(world, config)
    line = {"topic": dlq_topic(world), "partition": 0, "key": "k\x1b" * (1 << 19), "payload": "v"}
    run("dlq", "import", "-", "--yes", config=path, stdin=json.dumps(line).encode())
    assert "1048576 bytes" in run("dlq", "list", config=path).stdout.decode()
    page = run("dlq", "show", dlq_topic(world) + "/0/0", config=path).stdout
    assert len(page) < 100000
    assert_harmless(page)
    exported = json.loads(run("dlq", "export", config=path).stdout)
    assert exported["key"] == line["key"]


def test_bad_lines_of_an_import_are_told_and_nothing_is_produced(world):
    config = make_topic(world)
    good = json.dumps({"topic": dlq_topic(world), "partition": 1, "key": None, "payload": "x"})
    path = world.directory / "bad.jsonl"
    path.write_text("\n".join([good, '{"topic":', '{"topic": "elsewhere", "partition": 0}', good,
                               '{"topic":"%s","partition":0,"payload":"!","payload_encoding":"base64"}'
                               % dlq_topic(world), "\x1b[2J"]) + "\n", encoding="utf-8")
    done = run("dlq", "import", path, "--yes", config=config, check=65)
    told = done.stderr.decode()
    for place in (":2:10: ", ":3:2: topic", ":5:", ":6:1: "):
        assert str(path) + place in told, told
    assert "\x1b" not in told and not world.broker.dump(dlq_topic(world))
    run("dlq", "import", path, "--yes", "--skip-bad", config=config, check=3)
    assert len(world.broker.dump(dlq_topic(world))) == 2
    assert b"No such file" in run("dlq", "import", "/nonexistent", config=config, check=66).stderr


def test_archive_puts_away_with_a_reason_and_a_trace(world):
    config = make_letters(world)
    run("dlq", "archive", "--code", "no-lines", "--dry-run", config=config)
    make_own_topics(world)
    assert b"--yes" in run("dlq", "archive", "--code", "no-lines", config=config, check=64).stderr
    done = run("dlq", "archive", "--code", "no-lines", "--yes", "--reason", "sold out", config=config)
    assert b"3 of 3" in done.stderr
    assert [row["code"] for row in lines(run("dlq", "list", "-o", "jsonl", config=config))] == ["bad-date"]
    assert len(lines(run("dlq", "list", "--state", "archived", "-o", "jsonl", config=config))) == 3
    groups = lines(run("dlq", "groups", "--state", "any", "-o", "jsonl", config=config))
    assert {group["code"]: group["archived"] for group in groups} == {"no-lines": 3, "bad-date": 0}
    entry = json.loads(base64.b64decode(world.broker.dump("audit." + world.group)[0]["value"]))
    assert entry["action"] == "dlq.archive" and entry["reason"] == "sold out", entry
    state = json.loads(base64.b64decode(world.broker.dump("dlq-state." + world.group)[0]["value"]))
    assert state["status"] == "archived" and state["reason"] == "sold out", state
    assert b"0 dead letters" in run("dlq", "archive", "--code", "no-lines", "--yes", config=config).stderr


def kept(directory):
    """All lines that the manifest vouches for, by (topic, partition); every file is checked."""
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    found = {}
    for topic in manifest.get("topics", {}).values():
        for partition, place in topic["partitions"].items():
            rows = found.setdefault((topic["topic"], int(partition)), [])
            for file in place.get("files", []):
                data = (directory / file["name"]).read_bytes()
                assert hashlib.sha256(data).hexdigest() == file["sha256"]
                assert len(data) == file["bytes"] and data.endswith(b"\n")
                part = [json.loads(line) for line in data.splitlines()]
                assert len(part) == file["records"]
                assert (part[0]["offset"], part[-1]["offset"]) == (file["first"], file["last"])
                rows += part
            assert place.get("records", 0) == len(rows)
            assert place.get("next", 0) == (rows[-1]["offset"] + 1 if rows else 0)
    return found


def kill_at(point, count, directory, config):
    done = subprocess.run([str(needs.crashy()), "dlq", "archive-to", str(directory), "-c",
                           str(config)], capture_output=True, check=False, timeout=60,
                          env={**os.environ, "ONCEGATE_CRASH_AT": "%s:%d" % (point, count)})
    return done.returncode == -signal.SIGKILL


def test_archive_to_goes_on_after_a_kill_at_any_point(world):
    config = make_topic(world)
    put(world, [b"v" * 90000] * 3 + HOSTILE + [None])
    world.producer.send(topic=dlq_topic(world), key="other", value="w", p=1)
    world.producer.flush()
    offsets = [(dlq_topic(world), line["p"], line["o"]) for line in world.broker.dump(dlq_topic(world))]
    kills = 0
    for point in ("archive_written", "archive_synced", "archive_file", "archive_manifest"):
        for count in (1, 2, 3):
            directory = world.directory / ("%s-%d" % (point, count))
            kills += kill_at(point, count, directory, config)
            if (directory / "manifest.json").exists():
                kept(directory)
            run("dlq", "archive-to", directory, config=config)
            rows = kept(directory)
            assert sorted((topic, p, row["offset"]) for (topic, p), found in rows.items()
                          for row in found) == sorted(offsets), (point, count)
            assert not list(directory.rglob("*.part"))
    assert kills >= 8


def test_archive_to_keeps_what_is_new_and_refuses_what_was_changed(world):
    config = make_topic(world)
    directory = world.directory / "kept"
    put(world, [b"one", b"two"])
    run("dlq", "archive-to", directory, config=config)
    assert b"0 dead letters were kept" in run("dlq", "archive-to", directory, config=config).stderr
    put(world, [b"three"])
    assert b"1 dead letters were kept" in run("dlq", "archive-to", directory, config=config).stderr
    assert [row["payload"] for row in kept(directory)[dlq_topic(world), 0]] == ["one", "two", "three"]
    assert (directory / "manifest.json").stat().st_mode & 0o077 == 0
    first = sorted(directory.rglob("*.jsonl"))[0]
    first.write_bytes(first.read_bytes()[:-3])
    assert b"is not what the manifest says" in run("dlq", "archive-to", directory, config=config,
                                                   check=65).stderr
    (directory / "manifest.json").write_text("{", encoding="utf-8")
    run("dlq", "archive-to", directory, config=config, check=65)
    assert (directory / "manifest.json").read_text(encoding="utf-8") == "{"


def test_purge_deletes_below_an_offset_after_the_name_was_typed(world):
    config = make_topic(world)
    put(world, [b"one", b"two", b"three"])
    topic = dlq_topic(world)
    words = ["dlq", "purge", topic, "--partition", "0", "--before", "2"]
    told = run(*words, "--dry-run", config=config).stderr.decode()
    assert "2 dead letters lie below offset 2, 2 of them open" in told
    assert "--confirm" in run(*words, config=config, check=64).stderr.decode()
    assert "not the name" in run(*words, "--confirm", "yes", config=config, check=64).stderr.decode()
    assert len(world.broker.dump(topic)) == 3
    run(*words, "--confirm", topic, "--reason", "asked to", config=config)
    assert [line["o"] for line in world.broker.dump(topic)] == [2]
    assert "retention or a purge" in run("dlq", "show", topic + "/0/1", config=config,
                                         check=66).stderr.decode()
    run("dlq", "show", topic + "/0/2", config=config)
    entry = json.loads(base64.b64decode(world.broker.dump("audit." + world.group)[0]["value"]))
    assert entry["action"] == "dlq.purge" and entry["reason"] == "asked to", entry
    beyond = command("dlq", "purge", topic, "--partition", "0", "--before", "99", "--confirm", topic,
                     config=config)
    assert beyond.returncode not in (0, 3) and "deleting records" in beyond.stderr
    run("dlq", "purge", topic, "--partition", "7", "--before", "2", "--confirm", topic, config=config,
        check=64)


def test_wrong_words_and_absent_brokers_have_their_exit_codes(world):
    config = make_topic(world)
    for words, told in [(["list", "--route", "nope"], "no such route: nope"),
                        (["list", "--topic", "nope"], "no dead-letter topic"),
                        (["list", "--since", "yesterday"], "since"),
                        (["list", "--after", "x"], "--after"),
                        (["show", "nope"], "nope"), (["show", "nope/0/1"], "no dead-letter topic"),
                        (["purge", dlq_topic(world)], "--partition"),
                        (["list", "--rate", "5"], "an option of another command")]:
        assert told in run("dlq", *words, config=config, check=64).stderr.decode(), words
    run("dlq", "show", dlq_topic(world) + "/0/5", config=config, check=66)
    away = write(world, world.config(kafka={"bootstrap.servers": "127.0.0.1:9"}), "away.yaml")
    assert b"oncegate: " in run("dlq", "list", config=away, check=69).stderr
