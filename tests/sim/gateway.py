"""One gateway process of the simulation: the life of a record as the flow must live it.

    produce, await the acknowledgement, finish in the ledger, settle, commit

A lane per key handles one record at a time, of source, tiers and redrive together. A parked record also stays in its lane as a
*twin*: the copy is its durable form, the twin lets the key go on at once when its head is done.

Every rule of the flow that can be switched off is asked for by name: `self.rule("drain")` is true while it holds.
"""

from collections import deque

import marks
import model
from model import CLAIM, GIVEN_UP, PARKED, REDRIVE, RELEASE, SOURCE, SUCCEEDED, TIER, Op

RULES = {
    "drain": "followers are kept in memory and drained at once when the head is done",
    "twin-hop": "a twin follows its copy: hop and place are updated when the copy moves on",
    "park-not-head": "NOT_HEAD ends in finish(parked), like BLOCKED",
    "owner-per-partition": "fences and claims are of the consumed partition, not of its index",
    "prove": "FENCED: a new token only after a commit in the current generation",
    "rebuild": "a wiped Redis is rebuilt from the tiers before anything is claimed",
    "reassert": "GO while twins of lower rank wait in the lane: Redis lost writes, park them again",
    "rank-only": "what is parked again from memory or from the tiers is parked by rank, its number is not called seen",
    "refund": "an outage spends no attempts, sets no first-failed time, does not count to give_up_after",
    "lease-cover": "the handler is called only where the lease covers its whole timeout",
    "keep-claim": "after an ambiguous timeout the claim stays until its lease lapses",
    "earliest": "tiers without a committed offset start at earliest",
    "same-partition": "a copy goes to the retry partition with its source partition's number",
    "commit-acked": "at most once: deliver after the commit is acknowledged",
    "append-time": "due = the broker's append time + delay, not a gateway's clock",
    "kept-cover": "a record goes unasked only where the kept claim covers its whole timeout",
    "kept-next": "only the direct successor, from the same owner, goes unasked",
    "kept-forget": "any other operation on the key ends what was kept",
    "marks-rebuild": "a wiped Redis is also told what the marks topic has, once the tiers were read",
    "marks-first": "what is committed is in the marks topic before",
    "marks-done": "a mark tells what the ledger knows, not what is under way",
    "release-drained": "an owner that gives up its partition voids what it kept only once nothing of it is under way",
    "produce-first": "known-bad order: parked before the copy is acknowledged",
    "deliver-first": "known-bad order: done before the delivery",
    "ack-first": "known-bad order: settled before the copy is acknowledged",
}


class Part:
    """An assignment of one consumed partition: its token, position and what is settled."""

    def __init__(self, gateway, tp):
        self.gateway, self.tp = gateway, tp
        self.topic, index = tp.rsplit("/", 1)
        self.index = int(index)
        self.source = {"src": SOURCE, "redrive": REDRIVE}.get(self.topic, TIER)
        self.owner = tp if gateway.rule("owner-per-partition") else f"index/{index}"
        self.token, self.pos, self.watermark, self.acknowledged = 0, 0, 0, 0
        self.settled, self.under_way = set(), 0
        self.dirty, self.marked = {}, 0           # keys without their mark; below it all have theirs
        self.open, self.fenced, self.revoking = True, True, False

    def settle(self, offset):
        self.settled.add(offset)
        while self.watermark in self.settled:
            self.settled.discard(self.watermark)
            self.watermark += 1

    def serving(self):
        return self.open and not self.revoking


class Work:
    """A record on its way through the lane, or (offset None) the twin of a parked one."""

    __slots__ = ("rec", "part", "offset", "source", "place", "observe")

    def __init__(self, rec, part, offset, source, place=None):
        self.rec, self.part, self.offset, self.source = rec, part, offset, source
        self.place = place                        # of a twin: (tier, offset) of its newest copy
        self.observe = False                      # delivered although superseded: claimed and finished with observe

    def twin(self):
        return self.offset is None


class Lane:
    def __init__(self):
        self.copies, self.sources, self.twins = deque(), deque(), {}
        self.draining, self.running, self.hold_until = False, False, 0

    def pick(self, now):
        self.twins = {r: w for r, w in self.twins.items() if w.part.serving()}
        if self.draining and self.twins:
            return self.twins[min(self.twins)]
        if self.copies:
            return self.copies.popleft()
        if self.sources and self.hold_until <= now:
            return self.sources.popleft()
        return None


class Gateway:
    LOOK_AHEAD = 12

    def __init__(self, world, ledger, setup, name):
        self.world, self.ledger, self.setup, self.name = world, ledger, setup, name
        self.alive, self.stopped_until = True, 0
        self.skew = world.r.randrange(-200, 200) if setup.skew else 0
        self.parts, self.lanes, self.ranks_under_way = {}, {}, set()
        self.marking = False                      # one round at a time, so that a key's marks stand in order
        self.done = {}                            # key -> [(epoch, number)] finished since its last mark
        self.kept, self.unasked = {}, 0           # claims kept for the successor, by key; how often one was used

    def rule(self, name):
        return name not in self.setup.off

    def go(self, task):
        self.world.spawn(self, task)

    def wire(self):
        """A message on its way: others run meanwhile."""
        for _ in range(self.world.r.randrange(1, 3)):
            yield

    # -- assignment ----------------------------------------------------------------------------------------------------------

    def assign(self, tp):
        if tp in self.parts:
            self.parts[tp].open = False           # lost and come back: what the old assignment knew is void
        part = self.parts[tp] = Part(self, tp)
        self.go(self.serve(part))

    def serve(self, part):
        broker = self.world.broker
        yield from self.wire()
        start = broker.committed[part.tp]
        if start is None and part.source == TIER and not self.rule("earliest"):
            start = len(broker.logs[part.tp])
        part.pos = part.watermark = start or 0
        yield from self.take_token(part)
        self.go(self.committer(part))
        while part.serving():
            log = broker.logs[part.tp]
            in_hand = part.pos - part.watermark
            if part.fenced or part.pos >= len(log) or in_hand >= self.LOOK_AHEAD:
                yield 4 + self.world.r.randrange(8)
            elif self.due(log[part.pos]) > self.world.now:
                yield min(self.due(log[part.pos]) - self.world.now, 50)
            else:
                self.enqueue(Work(log[part.pos], part, part.pos, part.source))
                part.pos += 1
                yield

    def due(self, rec):
        if rec.delay and not self.rule("append-time"):
            return rec.due + self.skew            # the writer's clock plus this one's error
        return rec.visible + rec.delay

    def take_token(self, part):
        yield from self.wire()
        part.token, rebuilt = self.ledger.take_fence(part.owner, self.world.now)
        token = part.token
        yield
        if not rebuilt and self.setup.ordered and self.rule("rebuild"):
            yield from self.rebuild(part)
            yield from self.wire()
            self.ledger.confirm_rebuilt(part.owner, token)
        part.fenced = False

    def rebuild(self, part):
        """The parked list is a cache of the tiers: read them from committed to end and park each record's newest copy."""
        broker, newest = self.world.broker, {}
        for tier in range(len(self.setup.delays)):
            tp = f"t{tier}/{part.index}"
            mine = self.parts.get(tp)
            log = broker.logs[tp]
            for offset in range(broker.position(tp), len(log)):
                if mine and mine.open and (offset < mine.watermark or offset in mine.settled):
                    continue
                rec = log[offset]
                at = (rec.key, rec.rank)
                if at not in newest or rec.hop >= newest[at][0].hop:
                    newest[at] = (rec, tier, offset)
        for at in sorted(newest, key=lambda a: a[1]):
            rec, tier, offset = newest[at]
            yield from self.park_by_rank(Work(rec, part, None, TIER), tier, offset)
        if self.setup.marks and self.rule("marks-rebuild"):
            for key, mark in dict(broker.logs[f"marks/{part.index}"]).items():
                yield from self.wire()
                self.ledger.join_mark(self.setup.scope, key, mark)
                yield

    def write_marks(self, part):
        """One round: what was settled before it may be committed after it. False: nothing may."""
        while self.marking:
            yield 2
        if any(other.open and other.fenced for other in self.parts.values()):
            return False
        watermark, keys, part.dirty = part.watermark, part.dirty, {}
        self.marking = True
        for key in keys:
            yield from self.wire()
            told = list(self.done.get(key, ()))
            mark = self.ledger.tell_mark(part.owner, part.token, self.setup.scope, key, told)
            yield
            if mark is False or part.fenced:
                part.dirty, self.marking = {**keys, **part.dirty}, False
                return False
            if mark:
                yield from self.wire()
                self.world.broker.logs[f"marks/{part.index}"].append((key, mark))
                yield from self.wire()
            self.done[key] = self.done.get(key, [])[len(told):]
        part.marked, self.marking = watermark, False
        return True

    def plant_mark(self, work):
        """Known-bad: the number under way is called seen."""
        mark = self.ledger.tell_mark(work.part.owner, work.part.token, self.setup.scope, work.rec.key, ())
        if mark:
            mark.join(work.rec)
            self.world.broker.logs[f"marks/{work.part.index}"].append((work.rec.key, mark))

    def refence(self, part):
        """FENCED: somebody has a newer token, or Redis forgot ours. Only the real owner can commit."""
        part.fenced = True
        self.drop_twins(part)
        yield from self.wire()
        proven = part.marked if self.setup.marks else part.watermark
        if self.rule("prove") and not self.world.broker.commit(self, part.tp, proven):
            part.open = False
            return
        yield from self.take_token(part)

    def drop_twins(self, part):
        for lane in self.lanes.values():
            lane.twins = {r: w for r, w in lane.twins.items() if w.part is not part}

    def committer(self, part):
        while part.open:
            yield self.setup.commit_every
            if part.watermark > self.world.broker.position(part.tp):
                yield from self.commit(part)

    def commit(self, part):
        watermark = part.watermark
        if self.setup.marks and self.rule("marks-first"):
            if not (yield from self.write_marks(part)):
                return
            watermark = part.marked
        yield from self.wire()
        if part.open and not self.world.broker.commit(self, part.tp, watermark):
            part.open = False                     # the assignment is lost
        yield
        if part.open:
            part.acknowledged = max(part.acknowledged, watermark)
        if self.setup.marks and not self.rule("marks-first"):
            yield from self.write_marks(part)

    def revoke(self, part):
        part.revoking = True
        until = self.world.now + 40
        while part.under_way and self.world.now < until and part.open:
            yield 2
        drained = part.under_way == 0 or not self.rule("release-drained")
        if part.open:
            yield from self.commit(part)
        part.open = False
        if drained:
            yield from self.wire()
            self.ledger.release_kept(part.owner, part.token)

    # -- lanes -----------------------------------------------------------------------------------------------------------------

    def enqueue(self, work):
        lane = self.lanes.setdefault(work.rec.key, Lane())
        (lane.sources if work.source == SOURCE else lane.copies).append(work)
        if not self.setup.ordered:
            self.go(self.run_unordered(lane))
        elif not lane.running:
            lane.running = True
            self.go(self.run_lane(lane))

    def run_lane(self, lane):
        while True:
            work = lane.pick(self.world.now)
            if work is not None:
                yield from self.handle_counted(lane, work)
            elif lane.sources:
                yield 5                           # held: the key's parked list is full
            else:
                break
        lane.running = False

    def run_unordered(self, lane):
        work = (lane.copies or lane.sources).popleft()
        rank = work.rec.rank
        while rank in self.ranks_under_way:       # two copies of one record: the ledger would take them for one claim
            yield 5
        self.ranks_under_way.add(rank)
        yield from self.handle_counted(lane, work)
        self.ranks_under_way.discard(rank)

    def handle_counted(self, lane, work):
        if not work.part.serving():
            if work.twin():
                lane.twins.pop(work.rec.rank, None)
            return
        work.part.under_way += 1
        yield from self.handle(lane, work)
        work.part.under_way -= 1

    def handle(self, lane, work):
        """Until the record is settled, parked, put back, or its partition is gone."""
        evidence, first_visit = None, True
        if self.setup.at_most_once:
            yield from self.deliver_at_most_once(work)
            return
        while work.part.serving():
            if work.part.fenced:
                yield 5
                if work.twin():
                    return
                continue
            if self.rule("refund") and self.world.outage():
                yield 10                          # breaker open; no claim is held
                continue
            sent = self.world.now
            answer = yield from self.claim(work, evidence)
            evidence = None
            if not work.part.serving():
                if answer.code in ("GO", "INDETERMINATE", "STALE"):
                    yield from self.finish(work, RELEASE)
                return
            code = answer.code
            if code == "FENCED":
                if not work.part.fenced:
                    yield from self.refence(work.part)
            elif code == "BUSY":
                yield min(answer.busy_ms, 10) + self.world.r.randrange(3)
            elif code in ("DUP", "DUP_PARKED", "SUPERSEDED", "MOVED_ON"):
                if work.twin() or code == "DUP":
                    lane.twins.pop(work.rec.rank, None)
                return self.settle(work)
            elif code == "OUTDATED":
                if self.setup.on_superseded == "deliver":
                    work.observe = True           # claimed again, so that a claim is held
                    continue
                self.world.dropped.add(work.rec.identity())
                yield from self.give_up(lane, work, None)
                return
            elif code == "PARK_FULL":
                if self.setup.on_full == "dead-letter":
                    yield from self.give_up(lane, work, "parked-full")
                    return
                lane.sources.appendleft(work)
                lane.hold_until = self.world.now + 30
                return
            elif code in ("BLOCKED", "NOT_HEAD"):
                tier, offset, expired = answer.head
                if expired and self.world.broker.position(f"t{tier}/{work.part.index}") > offset:
                    evidence = (tier, offset)
                    continue
                if work.twin():                   # its copy is durable and will bring it
                    lane.twins.pop(work.rec.rank, None)
                    lane.draining = False
                    return
                yield from self.park(lane, work, tier, code)
                return
            elif code == "STALE" and work.source == SOURCE:
                yield from self.give_up(lane, work, "stale")
                return
            else:
                if self.twins_forgotten(lane, work):
                    yield from self.reassert(lane, work)
                    continue
                deadline = answer.kept or sent + self.setup.lease
                uncovered = self.world.now + self.setup.timeout > deadline
                if uncovered and self.rule("kept-cover" if answer.kept else "lease-cover"):
                    yield
                    continue                      # too late to start: claim again
                flagged = "INDETERMINATE" in (code, answer.would) or code == "STALE"
                again = yield from self.deliver(lane, work, flagged, deadline, first_visit)
                first_visit = False
                if not again:
                    return

    def twins_forgotten(self, lane, work):
        return (work.source != REDRIVE and self.rule("reassert")
                and any(w.rec.rank[1] == work.rec.rank[1] and w.rec.rank < work.rec.rank and w.part.serving()
                        for w in lane.twins.values()))

    def reassert(self, lane, work):
        """Twins are parked by what this process knows, yet their follower may go: Redis lost writes, or others finished them."""
        yield from self.finish(work, RELEASE)
        for rank in sorted(lane.twins):
            twin = lane.twins.get(rank)
            if twin is None or not twin.part.serving():
                continue
            tier, offset = twin.place
            if self.world.broker.position(f"t{tier}/{rank[1]}") > offset:
                lane.twins.pop(rank, None)        # its copy was dealt with elsewhere: parked again it would be a ghost for ever
                continue
            answer = yield from self.park_by_rank(twin, tier, offset)
            if answer.code not in ("OK", "LOST"):
                lane.twins.pop(rank, None)        # finished elsewhere; the others are parked again: the claim says BLOCKED

    def park_by_rank(self, twin, tier, offset):
        """Parks what is believed to wait in a tier. Its order counts, its number not: were the copy gone after all, the number must
        not be called seen."""
        kind = model.NONE if self.rule("rank-only") else twin.rec.kind
        answer = yield from self.finish(twin, PARKED, kind=kind, tier=tier, copy_offset=offset)
        return answer

    # -- steps -----------------------------------------------------------------------------------------------------------------

    def op(self, verb, work, rec, **more):
        source = work.source if not work.twin() else TIER
        more.setdefault("hop", rec.hop)
        kind = more.pop("kind", rec.kind)
        return Op(verb, self.setup.scope, rec.key, work.part.owner, work.part.token, rec.rank, source, kind, rec.epoch,
                  rec.number, rec.event_id, redrive_id=rec.redrive_id, observe=work.observe, **more)

    def kept_for(self, work):
        """The deadline of the claim that was kept for this record, or None."""
        kept, rec = self.kept.get(work.rec.key), work.rec
        if not kept or work.twin() or work.source != SOURCE or rec.kind != model.SEQUENCE or work.observe or rec.redrive_id:
            return None
        owner, token, epoch, number, offset, until = kept
        if self.rule("kept-next") and ((owner, token) != (work.part.owner, work.part.token) or epoch != rec.epoch
                                       or rec.number != number + 1 or rec.rank[0] <= offset):
            return None
        if self.rule("kept-cover") and self.world.now + self.setup.timeout > until:
            return None
        return until

    def claim(self, work, evidence=None):
        if until := self.kept_for(work):
            self.kept.pop(work.rec.key)
            self.unasked += 1
            yield
            return model.Answer("GO", kept=until)
        op = self.op(CLAIM, work, work.rec, lease=self.setup.lease, ghost=evidence)
        if self.rule("kept-forget"):
            self.kept.pop(work.rec.key, None)
        yield from self.wire()
        if work.source == SOURCE:
            self.world.first_claimed.setdefault(work.rec.rank, self.world.now)
        answer = self.ledger.claim(op, self.world.now)
        yield
        return answer

    def finish(self, work, fact, rec=None, req=None, **more):
        if fact == SUCCEEDED and work.part.serving() and not self.setup.at_most_once:
            more["lease"] = self.setup.lease      # the claim may stay for the direct successor
        op = self.op(fact, work, rec or work.rec, **more)
        if self.rule("kept-forget"):
            self.kept.pop(work.rec.key, None)
        sent = self.world.now
        yield from self.wire()
        answer = self.ledger.finish(op, self.world.now)
        if req:
            req.marked = self.world.now
        yield
        if fact in (SUCCEEDED, GIVEN_UP) and answer.code in ("OK", "LOST"):
            self.done.setdefault(op.key, []).append((op.epoch, op.number))
        if answer.kept:
            self.kept[op.key] = (op.owner, op.token, op.epoch, op.number, op.offset, sent + self.setup.lease)
        return answer

    def settle(self, work):
        if self.setup.marks:
            work.part.dirty[work.rec.key] = None
        if work.offset is not None:
            work.part.settle(work.offset)

    def produce(self, tp, rec):
        yield from self.wire()
        rec.visible = self.world.now              # LogAppendTime
        offset = self.world.broker.append(tp, rec)
        yield from self.wire()
        return offset

    def deliver(self, lane, work, flagged, deadline, first_visit):
        """True: claim again (inline retry). Otherwise the record was dealt with."""
        world, rec = self.world, work.rec
        if not self.rule("deliver-first"):
            yield from self.finish(work, SUCCEEDED)
        if self.setup.marks and not self.rule("marks-done"):
            self.plant_mark(work)
        source = "tier" if work.twin() else work.source
        req, duration, outcome = world.request(rec if not work.twin() else self.undelayed(rec), source, flagged, deadline,
                                               deadline - self.setup.lease)
        yield duration
        if outcome == "ok" and world.now > req.start + self.setup.timeout and world.r.random() < 0.5:
            outcome = "timeout"                   # this process was stopped: timer and answer came together
        if outcome == "ok":
            answer = yield from self.finish(work, SUCCEEDED, req=req)
            self.settle(work)
            self.after_finish(lane, work, answer)
            return False
        if world.outage() and self.rule("refund"):
            yield from self.finish(work, RELEASE)
            return True
        failed = rec.copy()
        failed.attempts += 1
        failed.first_failed = failed.first_failed or world.now
        if first_visit and work.source == SOURCE and outcome == "fail" and world.r.random() < 0.4:
            work.rec = failed
            yield world.r.randrange(1, 6)
            return True
        spent = world.now - failed.first_failed
        if self.rule("refund"):
            spent -= world.outage_between(failed.first_failed, world.now)
        work.rec = failed
        if spent > self.setup.give_up_after or work.source == REDRIVE:
            yield from self.give_up(lane, work, "give-up", outcome == "timeout")
        else:
            tier = min(failed.failures, len(self.setup.delays) - 1)
            failed.failures += 1
            yield from self.park(lane, work, tier, "failed", outcome == "timeout")
        return False

    @staticmethod
    def undelayed(rec):
        plain = rec.copy()
        plain.delay = 0                           # a twin may be early: its copy's delay is not its own
        return plain

    def after_finish(self, lane, work, answer):
        lane.twins.pop(work.rec.rank, None)
        lane.hold_until = 0
        lane.draining = bool(lane.twins) and answer.parked_count > 0 and self.rule("drain")

    def park(self, lane, work, tier, why, timed_out=False):
        copy = work.rec.copy()
        copy.hop += 1
        copy.delay = self.setup.delays[tier]
        copy.due = self.world.now + self.skew + copy.delay
        count = self.setup.partitions
        index = work.rec.rank[1] if self.rule("same-partition") else self.world.r.randrange(count)
        tp = f"t{tier}/{index}"
        facts = dict(rec=copy, tier=tier, keep_claim=timed_out and self.rule("keep-claim"))
        if not self.rule("ack-first"):
            self.settle(work)
            yield from self.commit(work.part)
        if not self.rule("produce-first"):
            answer = yield from self.finish(work, PARKED, copy_offset=len(self.world.broker.logs[tp]), **facts)
            offset = yield from self.produce(tp, copy)
        else:
            offset = yield from self.produce(tp, copy)
            if why == "NOT_HEAD" and not self.rule("park-not-head"):
                self.settle(work)
                return
            answer = yield from self.finish(work, PARKED, copy_offset=offset, **facts)
        if answer.code == "REFUSED" and work.source == SOURCE:
            lane.sources.appendleft(work)
            lane.hold_until = self.world.now + 30
            return
        if answer.code in ("OK", "LOST"):
            self.world.parked[copy.key, copy.rank] = (copy.hop, copy.visible + copy.delay, self.world.now)
            self.keep_twin(lane, work, copy, (tier, offset))
        else:
            lane.twins.pop(copy.rank, None)
        lane.draining = False
        self.settle(work)

    def keep_twin(self, lane, work, copy, place):
        known = copy.rank in lane.twins
        if known and not self.rule("twin-hop") or not self.setup.ordered:
            return
        if known or len(lane.twins) < self.setup.most_twins:
            lane.twins[copy.rank] = Work(copy.copy(), work.part, None, TIER, place)

    def give_up(self, lane, work, why, timed_out=False):
        if why:
            yield from self.wire()
            self.world.dead.append((work.rec, why))
            yield
        answer = yield from self.finish(work, GIVEN_UP, keep_claim=timed_out and self.rule("keep-claim"))
        self.settle(work)
        self.after_finish(lane, work, answer)

    def deliver_at_most_once(self, work):
        part = work.part
        while part.serving():
            if part.fenced:
                yield 5
                continue
            answer = yield from self.claim(work)
            if answer.code == "FENCED":
                yield from self.refence(part)
            elif answer.code == "BUSY":
                yield min(answer.busy_ms, 10)
            elif answer.code in ("GO", "INDETERMINATE"):
                break
            else:
                return self.settle(work)
        else:
            return
        deadline = self.world.now + self.setup.lease
        yield from self.finish(work, SUCCEEDED)
        self.settle(work)
        while self.rule("commit-acked") and part.acknowledged <= work.offset:
            if not part.open:
                return                            # unknown or failed: not delivered
            if part.watermark > part.acknowledged:
                yield from self.commit(part)
            else:
                yield 2
        if not part.open:
            return
        _, duration, _ = self.world.request(work.rec, work.source, False, deadline, deadline)
        yield duration


def all_rules():
    return {**model.RULES, **RULES}
