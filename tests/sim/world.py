"""What surrounds the gateways in the simulation: time and its tasks, the broker, the handler, the checker.

Time is one integer; a task is a generator that yields nothing ("somebody else may run now") or a number ("wake me after so long").
Between any two yields of any task anything may happen: another task runs, its process is killed, is stopped for a while, loses its
partitions. So a yield stands wherever real code waits for an answer.
"""

import heapq
import random


class Record:
    """A record of a topic, source or copy. Copies carry their origin (rank), how many copies were made (hop), the attempts,
    and how often it was parked for a failure of its own (failures: that decides the tier)."""

    __slots__ = ("key", "kind", "epoch", "number", "event_id", "rank", "hop", "attempts", "failures", "first_failed", "visible", "due",
                 "delay", "redrive_id")

    def __init__(self, key, kind, epoch, number, event_id, rank, visible):
        self.key, self.kind, self.epoch, self.number, self.event_id, self.rank = key, kind, epoch, number, event_id, rank
        self.hop, self.attempts, self.failures, self.first_failed = 0, 0, 0, None
        self.visible = self.due = visible
        self.delay, self.redrive_id = 0, None

    def copy(self):
        other = object.__new__(Record)
        for name in Record.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def identity(self):
        """What the producer calls the same record; without a number every offset is its own."""
        if self.kind in ("sequence", "version"):
            return (self.key, self.epoch, self.number)
        if self.kind == "event-id":
            return (self.key, self.event_id)
        return (self.key, self.rank)


class Broker:
    """Topic-partitions as lists, committed offsets, and who owns what in the consumer group."""

    def __init__(self):
        self.logs, self.committed, self.owner = {}, {}, {}
        self.copies = 0
        self.commits = []            # (time, topic-partition, offset)

    def create(self, tp):
        self.logs[tp] = []
        self.committed[tp] = None

    def append(self, tp, rec):
        self.logs[tp].append(rec)
        self.copies += 1
        return len(self.logs[tp]) - 1

    def commit(self, member, tp, offset):
        """False: the member does not own the partition any more. A commit never rewinds."""
        if self.owner.get(tp) is not member:
            return False
        if offset > (self.committed[tp] or 0):
            self.commits.append((member.world.now, tp, offset))
        self.committed[tp] = max(self.committed[tp] or 0, offset)
        return True

    def position(self, tp):
        return self.committed[tp] or 0

    def committed_at(self, tp, offset):
        """When the record at the offset was committed, or None."""
        return next((when for when, of, up_to in self.commits if of == tp and up_to > offset), None)


class Request:
    """One request to the handler. `until` is how long it counts as open: to its end; where it runs on past its timeout, until its
    lease lapses."""

    __slots__ = ("rec", "start", "until", "source", "flagged", "marked", "claimed", "succeeded")

    def __init__(self, rec, start, until, source, flagged, claimed):
        self.rec, self.start, self.until, self.source, self.flagged = rec, start, until, source, flagged
        self.claimed = claimed                 # not later than the claim was granted
        self.marked = self.succeeded = None


class World:
    def __init__(self, seed, handler_timeout):
        self.r = random.Random(seed)
        self.now = 1
        self.ready, self.sleeping, self.ids = [], [], 0
        self.broker = Broker()
        self.timeout, self.ordered = handler_timeout, True
        self.outages = []            # (from, to): the handler fails everything
        self.fails = {}              # identity -> attempts that still fail
        self.poison = set()
        self.heals = {}              # identity -> time until which it fails
        self.timeout_share = 0.03
        self.requests = {}           # key -> requests, the open ones are looked for
        self.successes = []          # (time, request)
        self.dead = []               # (record, why)
        self.dropped = set()         # identities dropped by policy (superseded)
        self.parked = {}             # (key, rank) -> (hop, due, when parked) of the newest copy
        self.overlaps = []
        self.early = []
        self.losses = []             # when Redis lost everything
        self.first_claimed = {}      # rank -> when its source record was first asked about

    # -- time and tasks --------------------------------------------------------------------------------------------------------

    def spawn(self, process, generator):
        self.ready.append((process, generator))

    def at(self, time, call):
        self.ids += 1
        heapq.heappush(self.sleeping, (time, self.ids, None, call))

    def step(self):
        """Runs one task a little. False: there is nothing left to run."""
        while self.sleeping and self.sleeping[0][0] <= self.now:
            _, _, process, what = heapq.heappop(self.sleeping)
            if process is None:
                what()
            elif process.alive:
                self.ready.append((process, what))
        ready = self.ready
        if not ready:
            if not self.sleeping:
                return False
            self.now = max(self.now, self.sleeping[0][0])
            return True
        i = int(self.r.random() * len(ready))
        process, task = ready[i]
        ready[i] = ready[-1]
        ready.pop()
        if not process.alive:
            return True
        if process.stopped_until > self.now:
            self.sleep(process, task, process.stopped_until - self.now)
            return True
        if self.r.random() < 0.5:
            self.now += 1
        try:
            wait = next(task)
        except StopIteration:
            return True
        if wait:
            self.sleep(process, task, wait)
        else:
            ready.append((process, task))
        return True

    def sleep(self, process, task, wait):
        self.ids += 1
        heapq.heappush(self.sleeping, (self.now + wait, self.ids, process, task))

    # -- the handler -----------------------------------------------------------------------------------------------------------

    def outage(self):
        return any(a <= self.now < b for a, b in self.outages)

    def outage_between(self, a, b):
        return sum(max(0, min(b, y) - max(a, x)) for x, y in self.outages)

    def request(self, rec, source, flagged, lease_deadline, claimed):
        """Starts one; returns (request, duration, outcome). The effect happens whatever becomes of the caller meanwhile."""
        ident = rec.identity()
        chance = self.r.random()
        if self.outage():
            duration, outcome, effect = 1, "fail", False
        elif chance < self.timeout_share:
            duration, outcome, effect = self.timeout, "timeout", ident not in self.poison and self.r.random() < 0.5
        else:
            duration = self.r.randrange(1, self.timeout // 2)
            failing = ident in self.poison or self.fails.get(ident, 0) > 0 or self.now < self.heals.get(ident, 0)
            if failing:
                self.fails[ident] = self.fails.get(ident, 0) - 1
            outcome, effect = ("fail", False) if failing else ("ok", True)
        runs = duration if outcome != "timeout" else self.timeout + self.r.randrange(0, 2 * self.timeout)
        until = min(self.now + runs, max(self.now + self.timeout, lease_deadline))
        req = Request(rec, self.now, until, source, flagged, claimed)
        open_ones = [q for q in self.requests.get(rec.key, ()) if q.until > self.now]
        if any(self.ordered or q.rec.rank == rec.rank for q in open_ones):
            self.overlaps.append((self.now, rec, open_ones[0].rec))
        self.requests[rec.key] = open_ones + [req]
        if source == "tier" and rec.delay:     # a twin has none: it is drained, not retried
            hop, due, when = self.parked.get((rec.key, rec.rank), (0, 0, 0))
            outpaced = hop > rec.hop and when < claimed and self.now < due
            if self.now < rec.visible + rec.delay or outpaced:
                self.early.append((self.now, rec))
        if effect:
            self.at(self.now + self.r.randrange(0, runs) if runs > 1 else self.now, lambda: self.effect(req))
        return req, duration, outcome

    def effect(self, req):
        req.succeeded = self.now
        self.successes.append((self.now, req))


class Verdict:
    """What a run broke. `excluded` counts what happened in runs where Redis lost writes: named windows of the promise."""

    KINDS = ("lost", "stuck", "order", "overlap", "double", "dead", "early", "storm", "again")

    def __init__(self):
        self.broken = {kind: 0 for kind in self.KINDS}
        self.detail = {}

    def add(self, kind, what):
        self.broken[kind] += 1
        self.detail.setdefault(kind, what)

    def bad(self):
        return {kind: n for kind, n in self.broken.items() if n}


def describe(rec):
    return f"{rec.key} e{rec.epoch} n{rec.number} id{rec.event_id} rank={rec.rank} hop={rec.hop}"


def check_marks(world, by_identity, out):
    """A producer's repetition of what was committed before it came is proven by the marks, whatever Redis lost since. What was under
    way or waited for its commit while Redis lost its data is a named window."""
    for all_of in by_identity.values():
        for (_, before), (_, again) in zip(all_of, all_of[1:]):
            rank = before.rec.rank
            committed = world.broker.committed_at(f"src/{rank[1]}", rank[0])
            came = world.first_claimed.get(again.rec.rank, 0)
            if again.rec.rank == rank or committed is None or committed >= came:
                continue
            if not any(world.first_claimed.get(rank, 0) <= loss <= committed for loss in world.losses):
                out.add("again", f"t={again.start} {describe(again.rec)}, of {rank} committed at {committed}")


def check(world, sources, setup):
    """Compares what was produced with what the handler and the dead-letter topic saw."""
    out = Verdict()
    first, order_seen, highest = {}, {}, {}
    dead = {rec.identity() for rec, _ in world.dead}
    home = {}
    for rec in sources:
        home.setdefault(rec.identity(), rec)

    by_identity = {}
    for when, req in world.successes:
        ident = req.rec.identity()
        by_identity.setdefault(ident, []).append((when, req))
        first.setdefault(ident, when)

    if not setup.at_most_once:
        for rec in home.values():
            ident = rec.identity()
            if ident not in first and ident not in dead and ident not in world.dropped:
                out.add("lost", describe(rec))

    if setup.ordered:
        for when, req in world.successes:
            ident = req.rec.identity()
            if first[ident] != when:
                continue                       # a repetition is judged below
            rec = req.rec
            if setup.kind == "version" and setup.on_superseded == "deliver" and rec.number < highest.get(rec.key, 0):
                continue                       # superseded, and delivered all the same: it has no place in the order
            highest[rec.key] = max(rec.number, highest.get(rec.key, 0))
            lane = (rec.key, rec.rank[1])
            if req.source == "redrive":            # it cannot know of a success that nobody could mark yet
                later = [q for _, q in world.successes if q.marked is not None and q.marked < req.claimed
                         and q.rec.key == rec.key and (q.rec.epoch, q.rec.number) > (rec.epoch, rec.number)]
                seen = later[0].rec.rank[0] + 10 ** 6 if later else -1
            else:
                seen = order_seen.get(lane, -1)
            if rec.rank[0] < seen:
                out.add("order", f"t={when} {describe(req.rec)} after offset {seen}")
            order_seen[lane] = max(order_seen.get(lane, -1), rec.rank[0])

    for ident, all_of in by_identity.items():
        all_of.sort(key=lambda x: x[1].start)
        for (_, before), (_, again) in zip(all_of, all_of[1:]):
            if setup.at_most_once:
                out.add("double", f"t={again.start} {describe(again.rec)}")
                continue
            proven = before.marked is not None and before.marked < again.claimed
            if not proven or again.flagged or setup.kind == "none" and (again.source == "source" or before.source == "source"):
                continue                       # a named window: crash before the mark, ambiguous timeout; or nothing to prove it by
            if before.rec.rank != again.rec.rank and (setup.epochs or setup.gaps or setup.kind not in ("sequence", "event-id")):
                continue                       # a producer's repetition of a number that may be out of the window
            late_copy = before.source == "source" and again.source == "tier"
            if late_copy and (setup.kind in ("offset", "version") or not setup.ordered):
                continue                       # a crash between the copy's acknowledgement and its mark, and nothing left to prove it
            if setup.kind == "version" and not setup.ordered:
                continue
            if again.source == "redrive":
                continue
            out.add("double", f"t={again.start} {describe(again.rec)} from {again.source}, marked at {before.marked} by {before.source}")

    if setup.marks:
        check_marks(world, by_identity, out)
    for when, rec, other in world.overlaps:
        out.add("overlap", f"t={when} {describe(rec)} while {describe(other)}")
    for when, rec in world.early:
        out.add("early", f"t={when} {describe(rec)} visible {rec.visible} delay {rec.delay}")
    for rec, why in world.dead:
        if why == "give-up" and rec.identity() not in world.poison and setup.partitions == 1 and not setup.redrive:
            out.add("dead", describe(rec))
    return out
