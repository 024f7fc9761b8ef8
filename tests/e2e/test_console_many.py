"""A console against one group of many dead letters, while more arrive. bench/dead-letters has the million."""

import os
import pty
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest

from support import places
from support.gateway import to_yaml
from support.stage import Stage
from support.waiting import wait_until

MANY, KEYS, RARE_EVERY = 200000, 1000, 5000
STATES = ("open", "redriving", "resolved", "archived")


@pytest.fixture
def stage(fresh_world, tmp_path):
    stage = Stage(fresh_world, tmp_path)
    yield stage
    stage.close()


class Writer(threading.Thread):
    """Writes letters of one kind to the two partitions in turn: so their offsets are known."""

    def __init__(self, stage, first, count=None):
        super().__init__(daemon=True)
        self.stage, self.first, self.count, self.sent = stage, first, count, 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set() and self.sent != self.count:
            self.send(self.first + self.sent)
            self.sent += 1
            if self.count is None:
                self.ended.wait(0.002)

    def send(self, number):
        headers = {"version": "1", "group": self.stage.world.group, "route": "orders", "attempt": "3",
                   "error-code": "http-422", "http-status": "422",
                   "error-detail": "card %d of customer '%d' was declined" % (number, number % 7)}
        value = "common " + ("rare" if number % RARE_EVERY == 0 else "plain")
        self.stage.world.producer.send(topic=self.stage.dlq, p=number % 2, key="k%d" % (number % KEYS), value=value,
                                       headers=[["oncegate-" + name, text] for name, text in headers.items()])

    def stop(self):
        self.ended.set()
        self.join()


def the_group(console):
    """The one group with what it covers; None while there is none."""
    answer = console.get("/api/v1/groups?state=any")
    assert len(answer["groups"]) <= 1, [group["title"] for group in answer["groups"]]
    return (answer["groups"][0], answer["covered"]) if answer["groups"] else None


def lines_of(group):
    return sum(group[state] for state in STATES)


def watch_until(console, lines):
    """The group when it has so many lines; what is said until then never runs back or ahead of what was read."""
    before = 0

    def look():
        nonlocal before
        found = the_group(console)
        if found is None:
            return None
        group, covered = found
        assert before <= lines_of(group) <= covered["rows_read"] <= max(covered["rows_total"], lines), found
        before = lines_of(group)
        return group if before >= lines else None

    return wait_until(look, 180, lambda: "%d lines: %s" % (lines, the_group(console)))


def walk(console, limit=500, **filters):
    """All ids and times by pages from the first to the last, as they came."""
    found, cursor = [], ""
    while True:
        page = console.get("/api/v1/letters?" + urllib.parse.urlencode(
            {"limit": limit, **({"cursor": cursor} if cursor else {}), **filters}))
        found += [(letter["id"], letter["written"]) for letter in page["letters"]]
        cursor = page["next"]
        if not cursor:
            return found


def held_up_on_a_terminal(words, bar, seconds):
    """What a command writes to a terminal; it stands still for so long once its bar was seen."""
    leader, follower = pty.openpty()
    began, held, out = time.monotonic(), False, b""
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower) as child:
        os.close(follower)
        while True:
            try:
                out += os.read(leader, 65536)
            except OSError:  # its end
                break
            if not held and bar in out:
                held = True
                child.send_signal(signal.SIGSTOP)
                wait_until(lambda: time.monotonic() - began > seconds, 30, "it was held up")
                child.send_signal(signal.SIGCONT)
    os.close(leader)
    assert child.returncode == 0, out
    return out.decode()


def commands_read_them_by_themselves(stage, total):
    """How far they are is shown on a terminal, and that it was slow is said; elsewhere the answer alone."""
    path = stage.directory / "many.yaml"
    path.write_text(to_yaml(stage.config) + "\n", encoding="utf-8")
    words = [str(places.find_gateway()), "dlq", "groups", "-c", str(path)]
    told = held_up_on_a_terminal(words, b"reading dead letters: ", 3.5)
    shown = [int(number) for number in re.findall(r"\rreading dead letters: (\d+)\x1b\[K", told)]
    assert shown == sorted(shown) and 0 < shown[-1] <= total, told
    last = re.search(r"\r\x1b\[Koncegate: (\d+) dead letters and states were read from Kafka for this, in ", told)
    assert last and int(last.group(1)) >= total and "--route or --topic" in told, told
    plain = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=90)
    assert "\x1b" not in plain.stderr and "reading" not in plain.stderr and str(total) in plain.stdout.replace(",", "")


@pytest.mark.slow
def test_a_group_of_many_letters_is_walked_while_more_arrive(stage):
    """No gap and no repeat from the first page to the last; counts are what was written, and a console that begins
    with nothing counts the same."""
    console = stage.console().start()
    writer = Writer(stage, 0, MANY)
    writer.start()
    group = watch_until(console, MANY)
    writer.stop()
    assert (lines_of(group), group["keys"], sum(group["spark"])) == (MANY, KEYS, MANY)

    arriving = Writer(stage, MANY)
    arriving.start()
    wait_until(lambda: lines_of(the_group(console)[0]) > MANY, 20, "letters that arrive")
    begun_at = lines_of(the_group(console)[0])
    found = walk(console, signature=group["signature"], state="any")
    wait_until(lambda: lines_of(the_group(console)[0]) > begun_at, 20, "more of them beside the walk")
    arriving.stop()
    ids = [name for name, _ in found]
    assert len(ids) == len(set(ids)), "%d ids stand on two pages" % (len(ids) - len(set(ids)))
    missing = {"%s/%d/%d" % (stage.dlq, n % 2, n // 2) for n in range(MANY)} - set(ids)
    assert not missing, "%d are on no page, as %s" % (len(missing), sorted(missing)[:5])
    times = [written for _, written in found]
    assert times == sorted(times, reverse=True)

    total = MANY + arriving.sent
    group = watch_until(console, total)
    assert (lines_of(group), group["keys"], sum(group["spark"])) == (total, KEYS, total)
    wait_until(lambda: console.get("/api/v1/overview")["feed"]["caught_up"], 180, "the words of all")
    rare = {"%s/%d/%d" % (stage.dlq, n % 2, n // 2) for n in range(0, total, RARE_EVERY)}
    assert {name for name, _ in walk(console, limit=7, text="rare")} == rare
    page = console.get("/api/v1/letters?text=common&limit=1")
    assert page["covered"]["complete"] and page["covered"]["text_read"] == total
    console.stop()

    again = stage.console().start()
    watch_until(again, total)
    counted, covered = the_group(again)
    assert covered["rows_read"] == covered["rows_total"] == total
    # What stands for the group, and its times, are those of the same letters.
    for name in ("signature", "title", "open", "keys", "attempts", "first", "last"):
        assert counted[name] == group[name], name
    commands_read_them_by_themselves(stage, total)
