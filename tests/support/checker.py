#!/usr/bin/env python3
"""The independent checker: compares what was produced with what became of it.

It knows nothing of the gateway. It reads four accounts, each JSON lines, written by others:

  acked      one line a record that the broker acknowledged      (og-support produce)
  handler    begin and end of every request that the handler saw (og-support handler)
  copies     what retry, redrive and dead-letter topics hold     (og-support dump)
  committed  what the group has committed                        (og-support committed)

A record is known by its id, which the producer put into the value as "<key>/<epoch>/<sequence>";
a record without one is known by where it stands in its source topic. A producer's duplicate has the
id of its original and another offset.

Invariants, each of which is one column of the printed row and has a planted fault in the tests:

  lost              an acknowledged record has at least one effect, or a dead letter, or was dropped by
                    the handler's own word, or is still pending: at or above the committed offset in its
                    source partition, or in a retry partition
  doubled           no record has two effects (a test that kills something allows a number)
  out_of_order      the first effects of a key come in the order of (epoch, sequence)
  overlaps          no two requests of one key are open at once; a request counts as open until it ends
                    or its deadline passes, whichever is first
  early             no attempt that follows a failed one begins before its retry copy was due: the
                    broker's time of the copy plus the tier's delay, or what its not-before header
                    says where that is later (Retry-After)
  committed_beyond  every offset below a committed one is settled: the record has an effect, a dead
                    letter, a drop, or a copy that was written later
  both              no record has an effect and a dead letter
  idempotency       all requests of a record carry one idempotency key, and no other record has it

Reading order matters while the gateway runs: committed offsets first, then the topics, then the
handler's log. Facts only grow, so what was committed must be explained by what is read after.
"""

import argparse
import base64
import collections
import dataclasses
import json
import re
import sys

PREFIX = b'{"id":"'
DELAY = re.compile(r"\.(\d+)(ms|s|m|h|d)$")
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
VIOLATIONS = ("lost", "doubled", "out_of_order", "overlaps", "early", "committed_beyond", "both",
              "idempotency")


def read_lines(path):
    """All whole JSON lines of a file; the last may be half written."""
    with open(path, "rb") as file:
        data = file.read()
    return [json.loads(line) for line in data[:data.rfind(b"\n") + 1].splitlines() if line]


def id_in(value_b64):
    """The id at the start of a value, or None."""
    if value_b64 is None:
        return None
    value = base64.b64decode(value_b64[:4096 - 4096 % 4])
    if not value.startswith(PREFIX):
        return None
    return value[len(PREFIX):].split(b'"', 1)[0].decode("latin-1")


def split_id(record_id):
    """(key, epoch, sequence) of an id, or None where it is not of that form."""
    parts = record_id.split("/")
    if len(parts) != 3 or not parts[1].isdigit() or not parts[2].isdigit():
        return None
    return parts[0], int(parts[1]), int(parts[2])


@dataclasses.dataclass
class Call:
    """One request as the handler saw it."""
    n: int
    record_id: str
    key: str
    attempt: int
    idempotency_key: str
    begin_us: int
    begin_ms: int
    end_us: int = None
    end_ms: int = None
    status: int = None
    how: str = None
    outcome: str = ""
    effect: bool = False
    line: dict = None


@dataclasses.dataclass
class Copy:
    """A record in a retry, redrive or dead-letter topic."""
    kind: str
    topic: str
    partition: int
    offset: int
    time_ms: int
    record_id: str
    headers: dict
    line: dict

    def number(self, name, default=0):
        text = self.headers.get("oncegate-" + name)
        return int(text) if text not in (None, "") else default

    def delay_ms(self):
        """Its tier's, 0 where the topic's name does not say one."""
        delay = DELAY.search(self.topic)
        return 0 if delay is None else int(delay.group(1)) * UNITS_MS[delay.group(2)]

    def due_ms(self):
        """When the attempt that this copy of a tier asks for may begin."""
        by_header = self.number("not-before")
        if not self.line.get("log_append") or DELAY.search(self.topic) is None:
            return by_header
        return max(by_header, self.time_ms + self.delay_ms())


def read_calls(lines, calls=None):
    """Calls out of log lines, added to `calls` (by number) where that is given."""
    calls = {} if calls is None else calls
    for line in lines:
        if line["e"] == "b":
            record_id = line["id"]
            slash = record_id.find("/")
            key = record_id[:slash] if slash >= 0 else "%s|%s" % (
                line.get("topic"), line.get("k", line.get("p")))
            calls[line["n"]] = Call(
                n=line["n"], record_id=record_id, key=key, attempt=int(line.get("att") or 0),
                idempotency_key=line.get("ik"), begin_us=line["t"], begin_ms=line["w"], line=line)
        elif line["n"] in calls:
            call = calls[line["n"]]
            call.end_us, call.end_ms = line["t"], line["w"]
            call.status, call.how = line["st"], line["how"]
            call.outcome, call.effect = line.get("out", ""), bool(line["eff"])
    return list(calls.values())


def kind_of(topic):
    if topic.startswith("dlq."):
        return "dead"
    if topic.startswith("retry."):
        return "redrive" if topic.endswith(".redrive") else "tier"
    return "source"


def read_copies(lines, id_at):
    """Copies of a dump; records of source topics in it are left out."""
    copies = []
    for line in lines:
        kind = kind_of(line["topic"])
        if kind == "source":
            continue
        headers = {}
        for name, value in line["headers"]:
            if name.startswith(("oncegate-", "__dlq.")):
                headers[name] = None if value is None else base64.b64decode(value).decode("latin-1")
        origin = (headers.get("oncegate-origin-topic"),
                  int(headers.get("oncegate-origin-partition") or -1),
                  int(headers.get("oncegate-origin-offset") or -1))
        record_id = id_at.get(origin) or id_in(line.get("value")) or "%s|%d|%d" % origin
        copies.append(Copy(kind, line["topic"], line["p"], line["o"], line["t"], record_id, headers,
                           line))
    return copies


class Checker:
    """Holds the four accounts and what follows from them; report() gives the row."""

    def __init__(self, acked, handler, copies, committed, timeout_ms=None):
        self.acked = [line for line in acked if "error" not in line]
        self.timeout_us = None if timeout_ms is None else timeout_ms * 1000
        self.id_at = {}
        for line in self.acked:
            record_id = line.get("id") or "%s|%d|%d" % (line["topic"], line["p"], line["o"])
            self.id_at[(line["topic"], line["p"], line["o"])] = record_id
        self.calls = read_calls(handler)
        self.copies = read_copies(copies, self.id_at)
        self.committed = {(line["topic"], line["p"]): line["committed"] for line in committed}
        self.copies_of = collections.defaultdict(list)
        for copy in self.copies:
            self.copies_of[copy.record_id].append(copy)
        self.calls_of = collections.defaultdict(list)
        for call in self.calls:
            self.calls_of[call.record_id].append(call)
        self.effects = collections.Counter(c.record_id for c in self.calls if c.effect)
        self.dropped = {c.record_id for c in self.calls if c.outcome == "drop" and c.how == "answer"}
        self.dead = collections.Counter(c.record_id for c in self.copies if c.kind == "dead")
        self.details = collections.defaultdict(list)
        self.early_ms = 0  # by so much an attempt may come before it is due

    def note(self, column, text):
        self.details[column].append(text)

    def has_end(self, record_id):
        return (self.effects[record_id] > 0 or self.dead[record_id] > 0 or
                record_id in self.dropped)

    def is_open(self, topic, partition, offset):
        """Whether the group has still to come past this offset."""
        return offset >= self.committed.get((topic, partition), -1)

    def pending_ids(self):
        pending = set()
        for (topic, partition, offset), record_id in self.id_at.items():
            if not self.has_end(record_id) and self.is_open(topic, partition, offset):
                pending.add(record_id)
        for copy in self.copies:
            if (copy.kind != "dead" and not self.has_end(copy.record_id) and
                    self.is_open(copy.topic, copy.partition, copy.offset)):
                pending.add(copy.record_id)
        return pending

    def check_lost(self, pending):
        for record_id in set(self.id_at.values()):
            if not self.has_end(record_id) and record_id not in pending:
                self.note("lost", record_id)

    def check_effects(self):
        for record_id, count in self.effects.items():
            if count > 1:
                self.note("doubled", "%s: %d effects" % (record_id, count))
            if self.dead[record_id] > 0:
                self.note("both", record_id)

    def check_order(self):
        highest, seen = {}, set()
        for call in sorted((c for c in self.calls if c.effect), key=lambda c: (c.end_us, c.n)):
            parts = split_id(call.record_id)
            if parts is None or call.record_id in seen:
                continue
            seen.add(call.record_id)
            key, rank = parts[0], parts[1:]
            if rank < highest.get(key, (-1, -1)):
                self.note("out_of_order", "%s after %s/%d/%d" % ((call.record_id, key) + highest[key]))
            highest[key] = max(highest.get(key, (-1, -1)), rank)

    def check_overlaps(self):
        open_until = {}
        for call in sorted(self.calls, key=lambda c: (c.begin_us, c.n)):
            end = call.end_us if call.end_us is not None else float("inf")
            if self.timeout_us is not None:
                end = min(end, call.begin_us + self.timeout_us)
            last_end, last = open_until.get(call.key, (-1, None))
            if last is not None and call.begin_us < last_end:
                self.note("overlaps", "%s: request %d (%s) begins %.1f ms before %d (%s) ends" % (
                    call.key, call.n, call.record_id, (last_end - call.begin_us) / 1000, last.n,
                    last.record_id))
            if end >= last_end:
                open_until[call.key] = (end, call)

    def check_early(self):
        for call in self.calls:
            due = self.due_ms(call)
            if due is not None and call.begin_ms < due - self.early_ms - 1:
                self.note("early", "%s attempt %d: %d ms before it was due" % (
                    call.record_id, call.attempt, due - call.begin_ms))

    def due_ms(self, call):
        """When this attempt was due by the retry copy that it follows, None where there is none.

        A copy without first-failed-at is of a follower that never failed itself: it waits for its
        key, not for a time. Of two copies of one hop (the first one's acknowledgement was not known)
        either may be followed."""
        before = [copy for copy in self.copies_of[call.record_id]
                  if copy.kind == "tier" and copy.headers.get("oncegate-first-failed-at") and
                  copy.number("attempt") == call.attempt - 1 and copy.time_ms <= call.begin_ms]
        if not before:
            return None
        newest = max(before, key=lambda copy: (copy.number("hop"), copy.time_ms))
        return min(copy.due_ms() for copy in before if copy.number("hop") == newest.number("hop"))

    def lateness_ms(self):
        """For each attempt made from a retry copy: how long after it was due it began."""
        late = ((call, self.due_ms(call)) for call in self.calls)
        return sorted(call.begin_ms - due for call, due in late if due is not None)

    def off_due_ms(self):
        """(most early, most late) of the attempts that follow a retry copy, neither below 0.

        Early by due_ms, as above. Late by the broker's clock alone, from the first copy that asked
        for the attempt: what a gateway's wrong clock wrote into a header may not excuse it."""
        early = late = 0
        for call in self.calls:
            due = self.due_ms(call)
            if due is None:
                continue
            first = min((copy for copy in self.copies_of[call.record_id] if copy.kind == "tier" and
                         copy.headers.get("oncegate-first-failed-at") and
                         copy.number("attempt") == call.attempt - 1),
                        key=lambda copy: copy.time_ms)
            early = max(early, due - call.begin_ms)
            late = max(late, call.begin_ms - first.time_ms - first.delay_ms())
        return early, late

    def check_committed(self):
        for (topic, partition, offset), record_id in self.id_at.items():
            if self.is_open(topic, partition, offset) or self.has_end(record_id):
                continue
            if not any(copy.kind == "tier" for copy in self.copies_of[record_id]):
                self.note("committed_beyond", "%s/%d/%d: %s" % (topic, partition, offset, record_id))
        for copy in self.copies:
            if (copy.kind == "dead" or self.is_open(copy.topic, copy.partition, copy.offset) or
                    self.has_end(copy.record_id)):
                continue
            later = [other for other in self.copies_of[copy.record_id]
                     if other is not copy and other.number("hop") > copy.number("hop")]
            if not later:
                self.note("committed_beyond", "%s/%d/%d: %s" % (
                    copy.topic, copy.partition, copy.offset, copy.record_id))

    def check_idempotency(self):
        owner = {}
        for call in self.calls:
            if call.idempotency_key is None or split_id(call.record_id) is None:
                continue
            first = owner.setdefault(call.idempotency_key, call.record_id)
            if first != call.record_id:
                self.note("idempotency", "%s: %s and %s" % (
                    call.idempotency_key, first, call.record_id))
        for record_id, calls in self.calls_of.items():
            keys = {call.idempotency_key for call in calls}
            if len(keys) > 1:
                self.note("idempotency", "%s: %s" % (record_id, sorted(map(str, keys))))

    def report(self):
        """The row as a dict, violations last; details of them are in .details."""
        self.details.clear()
        pending = self.pending_ids()
        self.check_lost(pending)
        self.check_effects()
        self.check_order()
        self.check_overlaps()
        self.check_early()
        self.check_committed()
        self.check_idempotency()
        row = {
            "acknowledged": len(self.acked),
            "records": len(set(self.id_at.values())),
            "effects": sum(self.effects.values()),
            "dead": len(self.dead),
            "pending": len(pending),
        }
        for column in VIOLATIONS:
            row[column] = len(self.details[column])
        return row


def format_row(row):
    return " ".join("%s=%s" % item for item in row.items())


def violations(row, allow=None):
    """The columns that are above what is allowed (nothing, unless said)."""
    allow = allow or {}
    return {name: row[name] for name in VIOLATIONS if row[name] > allow.get(name, 0)}


def main(argv):
    parser = argparse.ArgumentParser(description="Checks what became of the records produced.")
    parser.add_argument("--acked", action="append", required=True)
    parser.add_argument("--handler", action="append", required=True)
    parser.add_argument("--copies", action="append", default=[])
    parser.add_argument("--committed", action="append", default=[])
    parser.add_argument("--timeout-ms", type=int, help="the handler's deadline")
    parser.add_argument("--allow", action="append", default=[], metavar="COLUMN=N")
    parser.add_argument("--settled", action="store_true", help="nothing may be pending")
    parser.add_argument("--details", type=int, default=10, help="lines shown of each column")
    args = parser.parse_args(argv)

    def gather(paths):
        return [line for path in paths for line in read_lines(path)]

    checker = Checker(gather(args.acked), gather(args.handler), gather(args.copies),
                      gather(args.committed), args.timeout_ms)
    row = checker.report()
    allow = {name: int(count) for name, count in (pair.split("=") for pair in args.allow)}
    print(format_row(row))
    for name in VIOLATIONS:
        for text in checker.details[name][:args.details]:
            print("  %s: %s" % (name, text), file=sys.stderr)
    return 1 if violations(row, allow) or (args.settled and row["pending"]) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
