"""`oncegate demo` in its shortest form, on the mock cluster and on a real Kafka: its exit code, its
table, its console, and that nothing is left of it."""

import contextlib
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

from support import places
from support.waiting import wait_until


def start(directory, *kafka, stdout=subprocess.PIPE):
    return subprocess.Popen([str(places.find_gateway()), "demo", *(kafka or ("--mock",)),
                             "--seconds", "20", "--dir", str(directory)],
                            stdin=subprocess.DEVNULL, stdout=stdout,
                            stderr=subprocess.STDOUT, text=True,
                            env={key: value for key, value in os.environ.items()
                                 if key != "ONCEGATE_CONFIG"})


def row(output, name):
    """The number and the remark of a row of the table."""
    found = re.search(r"^ +%s +([\d,]+)   (.*)$" % re.escape(name), output, re.M)
    assert found, "no row %r in:\n%s" % (name, output)
    return int(found.group(1).replace(",", "")), found.group(2)


def of(remark):
    return int(re.match(r"of ([\d,]+)", remark).group(1).replace(",", ""))


def redis_dirs(directory):
    config = directory / "oncegate.yaml"
    text = config.read_text() if config.exists() else ""
    return re.findall(r"unix://(.*)/redis\.sock", text)


def belongs_to(directory):
    """Processes whose command line names the demo's directory, and the Redis of its configuration."""
    marks = [str(directory).encode()]
    marks += [name.encode() for name in redis_dirs(directory)]
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        if any(mark in line for mark in marks):
            found.append(line.replace(b"\0", b" "))
    return found


@pytest.mark.long
def test_demo_tells_its_story_and_nothing_is_lost(programs, tmp_path):
    demo = start(tmp_path)
    output, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, output
    assert re.search(r"first record delivered after \d+\.\d s", output), output
    assert "DEMO ONLY" in output and "\x1b" not in output
    for event in ("OUTAGE", "The breaker opened", "The breaker closed by itself", "kill -9",
                  "delivered again", "Every order is accounted for"):
        assert event in output, (event, output)
    orders, _ = row(output, "orders produced")
    delivered, _ = row(output, "delivered")
    dead, poison = row(output, "dead letters")
    stopped, sent = row(output, "duplicates stopped")
    assert orders > 3000 and delivered + dead == orders, output
    assert dead == of(poison) > 0
    assert stopped == of(sent) > 0
    assert row(output, "copies in tier 2s")[0] > 0
    for name in ("lost", "out of order", "dead-lettered and no poison",
                 "delivered twice otherwise"):
        assert row(output, name) == (0, "ok"), output
    assert max(map(len, output.splitlines()[:5])) <= 80
    assert not belongs_to(tmp_path)


# What a desktop has; it tells what the page that it was given shows at that moment.
OPENER = """#!%s
import json, sys, time, urllib.request
address, groups, until = sys.argv[1], [], time.monotonic() + 10
page = urllib.request.urlopen(address, timeout=10).headers["Content-Type"]
while not groups and time.monotonic() < until:
    groups = json.load(urllib.request.urlopen(address.replace("/groups", "/api/v1/groups"), timeout=10))["groups"]
with open("%s", "a", encoding="utf-8") as said:
    said.write(json.dumps({"words": sys.argv[1:], "page": page, "groups": groups}) + "\\n")
"""


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A desktop; what its browser was given, and saw."""
    said = tmp_path / "opened"
    program = tmp_path / "bin/xdg-open"
    program.parent.mkdir()
    program.write_text(OPENER % (sys.executable, said), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setenv("PATH", "%s:%s" % (program.parent, os.environ["PATH"]))
    return lambda: [json.loads(line) for line in said.read_text().splitlines()] if said.exists() else []


@pytest.mark.slow
def test_demo_opens_the_page_on_its_failures(programs, broker, tmp_path, opened):
    """On a terminal of a desktop; not by --no-browser."""
    for more in ([], ["--no-browser"]):
        leader, follower = pty.openpty()
        demo = start(tmp_path / "demo", "--kafka", broker.bootstrap, *more, stdout=follower)
        os.close(follower)
        output = b""
        try:
            while b"first order is a dead letter" not in output:
                output += os.read(leader, 65536)
            if not more:
                page = wait_until(opened, 20, "the page is opened")
        finally:
            demo.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):
                while os.read(leader, 65536):
                    pass
            os.close(leader)
            demo.wait(60)
        assert len(opened()) == 1, (more, opened())
        assert not belongs_to(tmp_path / "demo")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/groups", " ".join(page[0]["words"]))
    assert page[0]["page"].startswith("text/html") and page[0]["groups"][0]["open"] >= 1, page


@pytest.mark.slow
def test_demo_shows_its_failures_in_the_console(programs, broker, tmp_path, opened):
    """On a Kafka of its own the demo has a console, with the orders that fail in it. Its output is no terminal."""
    demo = start(tmp_path, "--kafka", broker.bootstrap)
    try:
        config = tmp_path / "oncegate.yaml"
        address = wait_until(lambda: config.exists() and re.search(
            r'console: \{listen: "([^"]+)"', config.read_text()), 60, "it has a configuration").group(1)

        def groups():
            try:
                with urllib.request.urlopen("http://%s/api/v1/groups" % address, timeout=5) as answer:
                    return json.load(answer)["groups"]
            except OSError:
                return []
        seen = wait_until(groups, 120, "a failure is shown")
        output, _ = demo.communicate(timeout=240)
    finally:
        demo.kill()
    assert demo.returncode == 0, output
    assert "http://%s/groups" % address in output and seen[0]["open"] > 0, (output, seen)
    assert opened() == []
    assert not belongs_to(tmp_path)


@pytest.mark.long
def test_demo_interrupted_ends_its_processes(programs, tmp_path):
    demo = start(tmp_path)
    try:
        wait_until(lambda: any(b" run " in line for line in belongs_to(tmp_path)), 60,
                   "the gateway runs")
        demo.send_signal(signal.SIGINT)
        output, _ = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode == 130, output
    assert not belongs_to(tmp_path)


@pytest.mark.long
def test_demo_killed_takes_its_processes_along(programs, tmp_path):
    demo = start(tmp_path)
    try:
        wait_until(lambda: any(b" run " in line for line in belongs_to(tmp_path)), 60,
                   "the gateway runs")
    finally:
        demo.kill()
        demo.communicate()
    wait_until(lambda: not belongs_to(tmp_path), 10, "its processes are gone")
    # Nobody was left to remove it.
    for name in redis_dirs(tmp_path):
        shutil.rmtree(name)
