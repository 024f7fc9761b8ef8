"""The ledger protocol, executable: what lua/apply_ops.lua must answer, written to be read.

One `Ledger` is one Redis. It holds a `State` per key and answers two verbs on it:

  claim   may I deliver this record now? It is the only verb that is fenced.
  finish  a fact: SUCCEEDED, GIVEN_UP (dead-lettered or dropped by policy), BLOCKING (dead-lettered, and the key is to wait for a
          person), PARKED (a retry copy is acknowledged), RELEASE (the claim only). Facts join by maximum, so late, repeated and zombie facts are safe.

Two notions carry everything:

  identity  what the producer says makes two records the same (sequence, version, event-id, offset, none). It decides what is a
            duplicate, and nothing else.
  rank      where the record stood in its source partition: (offset, source), carried by every copy. It decides order, finds a
            record's own parked entry, and proves what an identity cannot.

The promise of the code DUP: it is answered only for what is proven finished, or proven to have an acknowledged copy. Whatever
removes a parked entry without finishing it (a ghost) therefore raises a floor below which nothing is proven any more.

The script is compared with this file operation by operation (difftest.py), and the simulation of gateways (tests/sim) runs on it.
Rules can be switched off by name (`off`), to show there what each of them is for.
"""

from bisect import bisect_left, insort

WINDOW = 64          # how many numbers above L are remembered one by one
OVER_CAP = 64        # finish(PARKED) is taken this far beyond the cap, for claims that passed it at the same time
MARKS = 8            # source partitions that a key remembers its highest finished record of
RANGES = 64          # done ranges of an unordered partition (identity offset)

SEQUENCE, VERSION, EVENT_ID, OFFSET, NONE = "sequence", "version", "event-id", "offset", "none"
SOURCE, TIER, REDRIVE = "source", "tier", "redrive"
CLAIM, SUCCEEDED, GIVEN_UP, PARKED, RELEASE, BLOCKING = "claim", "succeeded", "given-up", "parked", "release", "blocking"

CODES = {
    "GO": 0, "DUP": 1, "DUP_PARKED": 2, "INDETERMINATE": 3, "STALE": 4, "BLOCKED": 5, "NOT_HEAD": 6, "BUSY": 7,
    "SUPERSEDED": 8, "PARK_FULL": 9, "FENCED": 10, "OUTDATED": 11, "MOVED_ON": 12, "CORRUPT": 13,
    "OK": 20, "LOST": 21, "DONE": 22, "REFUSED": 23,
}

# Every rule that can be switched off, with what it says.
RULES = {
    "floor": "a removed ghost raises the floor of its own epoch's block (and of its source's mark)",
    "cap": "the script keeps the cap: PARK_FULL before anything is produced, REFUSED without the seen bit beyond it",
    "evidence": "an entry is a ghost only where its tier partition is settled beyond its copy",
    "hop": "a copy with a lower hop than its entry's is SUPERSEDED",
    "owner": "a claim belongs to (rank, owner, token), not to the token alone",
    "fence": "a claim with an older fence token of the consumed partition is FENCED",
    "fence-missing": "a missing fence is FENCED too: Redis was wiped",
    "head-all": "INDETERMINATE, and STALE from a tier, obey the head rule like GO",
    "rank-order": "the parked list is sorted by rank, and a copy below its head is the head",
    "not-head": "an ordered retry copy that is not the head answers NOT_HEAD",
    "mark": "the highest finished record of each source partition proves re-read records whatever their identity says",
    "done-parked": "finish(PARKED) of what is done appends nothing",
    "moved-on": "a redriven record at or below the highest success of its key is MOVED_ON",
    "tombstone": "a finished retry copy is remembered by rank",
    "ghost": "a parked entry whose copy is gone is removed",
    "window": "a rolled epoch keeps its window",
    "busy": "a live claim of another keeps a record of the key waiting",
    "seen-entry": "the seen bit is never set without the parked entry",
    "block-once": "a record that was released or finished otherwise does not block its key again",
    "block-stays": "a late finish(PARKED) of a record that blocks its key changes nothing",
    "block-redrive": "the redriven copy of a record that blocks its key is not held up by its entry",
    "kept-fence": "a claim is kept for the successor only by the newest owner of the partition",
    "kept-plain": "a claim is kept only where nothing is parked, out of order or from elsewhere",
    "kept-busy": "a kept claim keeps others waiting, as any claim",
    "kept-zombie": "an owner's release voids what was kept with its token, not what was kept with older ones",
    "kept-wanted": "a kept claim for which another waits is not kept again",
}

KEPT, WANTED = "kept", "wanted"      # in place of a claimant's rank
NO_HOP, FOREVER = 2**32 - 1, 2**48 - 1   # of the entry of a dead letter that blocks its key: no copy answers to it


class Block:
    """The numbers of one epoch: all of (I, L] is seen, so is bit i of W for L + 1 + i, nothing is known at or below I.

    cut: a number at or below I went away unfinished. Else I says only what was not told here."""

    __slots__ = ("E", "I", "L", "W", "cut")

    def __init__(self, epoch, number):
        self.E, self.I, self.L, self.W = epoch, number - 1, number - 1, 0
        self.cut = False

    def seen(self, s):
        """True: proven seen. False: unseen. None: cannot be known."""
        if s <= self.I:
            return None
        return s <= self.L or (s - self.L <= WINDOW and bool(self.W >> (s - self.L - 1) & 1))

    def join(self, s):
        if s <= self.L:
            return
        ahead = s - self.L - 1
        if ahead >= WINDOW:                       # what leaves the window is forgotten, so nothing below is known
            self.W >>= ahead - WINDOW + 1
            self.L += ahead - WINDOW + 1
            self.I = self.L
            ahead = WINDOW - 1
        self.W |= 1 << ahead
        self.slide()

    def raise_floor(self, s):
        self.cut = True
        self.I = max(self.I, s)
        if self.I > self.L:
            self.W >>= self.I - self.L
            self.L = self.I
            self.slide()

    def slide(self):
        while self.W & 1:
            self.W >>= 1
            self.L += 1


class Sequence:
    """State of identity sequence: the current epoch's block, the previous one's, and D, the highest success (epoch, number)."""

    kind = SEQUENCE

    def __init__(self, op):
        self.cur, self.prev, self.D = Block(op.epoch, op.number), None, None

    def block(self, epoch):
        if epoch == self.cur.E:
            return self.cur
        return self.prev if self.prev and self.prev.E == epoch else None

    def verdict(self, op):
        if op.epoch > self.cur.E:
            return "GO"
        block = self.block(op.epoch)
        seen = block.seen(op.number) if block else None
        if seen:
            return "DUP"
        if block is self.cur:
            return "INDETERMINATE" if seen is None else "GO"
        return "STALE"

    def roll(self, op, keep_window=True):
        if op.epoch > self.cur.E:
            self.prev, self.cur = self.cur, Block(op.epoch, op.number)
            if not keep_window:
                self.prev.W = 0

    def proven(self, op):
        block = self.block(op.epoch)
        return bool(block and block.seen(op.number))

    def join(self, op, keep_window=True):
        self.roll(op, keep_window)
        if block := self.block(op.epoch):
            block.join(op.number)

    parked = join                                 # the seen bit is set, together with the entry

    def succeeded(self, op):
        self.D = max(self.D or (0, 0), (op.epoch, op.number))

    def moved_on(self, op):
        return op.scope.ordered and self.D is not None and (op.epoch, op.number) <= self.D

    def unprove(self, entry):
        if block := self.block(entry.epoch):
            block.raise_floor(entry.number)


class Version:
    """State of identity version: H the highest finished and where it came from, a floor, and D the highest success."""

    kind = VERSION

    def __init__(self, _op):
        self.H = self.origin = self.I = self.D = None

    def verdict(self, op):
        if self.I is not None and op.number <= self.I:
            return "INDETERMINATE"
        if self.H is not None and op.number < self.H:
            return "OUTDATED"
        if self.H == op.number and self.origin == op.rank:
            return "DUP"
        return "GO"

    def roll(self, op, keep_window=True):
        pass

    def proven(self, op):
        return self.verdict(op) in ("OUTDATED", "DUP")

    def join(self, op, keep_window=True):
        if self.H is None or op.number >= self.H:
            self.H, self.origin = op.number, op.rank

    def succeeded(self, op):
        self.D = op.number if self.D is None else max(self.D, op.number)

    def moved_on(self, op):
        return self.D is not None and op.number <= self.D

    def unprove(self, entry):
        self.I = entry.number if self.I is None else max(self.I, entry.number)


class Offsets:
    """State of identity offset where nothing is ordered: the ranges of seen offsets of one source partition, each with its leader
    epoch (after an unclean election the same offset is another record), above a floor I."""

    kind = OFFSET

    def __init__(self, op):
        self.I, self.ranges, self.D = op.offset - 1, [], None

    def find(self, offset):
        return next((r for r in self.ranges if r[0] <= offset <= r[1]), None)

    def verdict(self, op):
        if op.offset <= self.I:
            return "INDETERMINATE"
        r = self.find(op.offset)
        return "DUP" if r and op.leader_epoch <= r[2] else "GO"

    def roll(self, op, keep_window=True):
        pass

    def proven(self, op):
        return self.verdict(op) == "DUP"

    def join(self, op, keep_window=True):
        o, le = op.offset, op.leader_epoch
        if o <= self.I:
            return
        r = self.find(o)
        if r and r[2] >= le:
            return
        kept = []
        for first, last, e in self.ranges:
            if e < le and last >= o:              # an older leader's log was cut here
                if first < o:
                    kept.append([first, o - 1, e])
            else:
                kept.append([first, last, e])
        kept.append([o, o, le])
        kept.sort()
        self.ranges = []
        for first, last, e in kept:
            if self.ranges and self.ranges[-1][1] + 1 == first and self.ranges[-1][2] == e:
                self.ranges[-1][1] = last
            else:
                self.ranges.append([first, last, e])
        while len(self.ranges) > RANGES:
            self.I = self.ranges.pop(0)[1]

    parked = join

    def succeeded(self, op):
        pass

    def moved_on(self, op):
        return False

    def unprove(self, entry):
        out = []
        for first, last, e in self.ranges:
            if first <= entry.rank[0] <= last:
                if first < entry.rank[0]:
                    out.append([first, entry.rank[0] - 1, e])
                if entry.rank[0] < last:
                    out.append([entry.rank[0] + 1, last, e])
            else:
                out.append([first, last, e])
        self.ranges = out


class Entry:
    """A parked record: its rank and identity, and where its newest copy is."""

    __slots__ = ("rank", "leader_epoch", "kind", "epoch", "number", "event_id", "tier", "copy_offset", "hop", "expires")

    def __init__(self, op, expires):
        self.rank, self.leader_epoch = op.rank, op.leader_epoch
        self.kind, self.epoch, self.number, self.event_id = op.kind, op.epoch, op.number, op.event_id
        self.replace(op, expires)

    def replace(self, op, expires):
        self.tier, self.copy_offset, self.hop, self.expires = op.tier, op.copy_offset, op.hop, expires

    def block(self, op):
        self.tier, self.copy_offset, self.hop, self.expires = op.tier, op.copy_offset, NO_HOP, FOREVER

    @property
    def blocks(self):
        return self.hop == NO_HOP

    def __lt__(self, other):
        return self.rank < other.rank


class Mark:
    """The highest record of one source partition that was handled to the end, or to an acknowledged copy. It proves re-read
    source records above `floor`; it never proves a copy: a Redis that lost writes may have forgotten the copy's entry."""

    __slots__ = ("source", "leader_epoch", "offset", "floor")

    def __init__(self, op):
        self.source, self.leader_epoch, self.offset, self.floor = op.rank[1], op.leader_epoch, op.offset, -1


class State:
    """All that is known of one key of one scope."""

    def __init__(self):
        self.block = None        # Sequence, Version or Offsets
        self.marks = []          # of Mark, the one raised last first
        self.claims = {}         # (rank, owner, token) -> (identity, deadline)
        self.parked = []         # of Entry, by rank
        self.tombstones = []     # ranks of finished retry copies, the highest cap + OVER_CAP of them

    def entry(self, rank):
        for e in self.parked:
            if e.rank == rank:
                return e
        return None

    def mark(self, source):
        return next((m for m in self.marks if m.source == source), None)

    def raise_mark(self, op):
        m = self.mark(op.rank[1])
        if m is None:
            self.marks.insert(0, Mark(op))
            del self.marks[MARKS:]
        elif (op.leader_epoch, op.offset) > (m.leader_epoch, m.offset):
            m.leader_epoch, m.offset = op.leader_epoch, op.offset
            self.marks.remove(m)
            self.marks.insert(0, m)

    def marked(self, op):
        m = self.mark(op.rank[1])
        return m is not None and m.floor < op.offset <= m.offset and op.leader_epoch <= m.leader_epoch


class Scope:
    """What the records of one route and topic have in common."""

    __slots__ = ("name", "ordered", "ghost_ttl", "cap", "group")

    def __init__(self, name="s", ordered=True, ghost_ttl=1000, cap=10000, group="g"):
        self.name, self.ordered, self.ghost_ttl, self.cap, self.group = name, ordered, ghost_ttl, cap, group


class Op:
    """One operation. See struct ledger_op of src/ledger/ledger.h, whose fields these are."""

    __slots__ = ("verb", "scope", "key", "owner", "token", "source", "kind", "epoch", "number", "event_id", "rank", "offset",
                 "leader_epoch", "hop", "tier", "copy_offset", "lease", "observe", "ghost", "redrive_id", "force", "keep_claim")

    def __init__(self, verb, scope, key, owner, token, rank, source=SOURCE, kind=SEQUENCE, epoch=0, number=0, event_id=None,
                 leader_epoch=-1, hop=0, tier=0, copy_offset=0, lease=0, observe=False, ghost=None, redrive_id=None,
                 force=False, keep_claim=False):
        self.verb, self.scope, self.key, self.owner, self.token = verb, scope, key, owner, token
        self.rank, self.offset, self.leader_epoch, self.source = rank, rank[0], leader_epoch, source
        self.kind, self.epoch, self.number, self.event_id = kind, epoch, number, event_id
        self.hop, self.tier, self.copy_offset, self.lease = hop, tier, copy_offset, lease
        self.observe, self.ghost, self.redrive_id = observe, ghost, redrive_id
        self.force, self.keep_claim = force, keep_claim

    def identity(self):
        """What two different ranks may share and then must not be delivered at once, or None."""
        if self.kind == SEQUENCE:
            return (self.kind, self.epoch, self.number)
        if self.kind == VERSION:
            return (self.kind, 0, self.number)
        return (self.kind, self.event_id) if self.kind == EVENT_ID else None


class Answer:
    __slots__ = ("code", "would", "busy_ms", "head", "parked_count", "kept", "blocked")

    def __init__(self, code, would=None, busy_ms=0, head=None, parked_count=0, kept=False, blocked=False):
        self.code, self.would, self.busy_ms, self.head, self.parked_count = code, would or code, busy_ms, head, parked_count
        self.blocked = blocked                    # with a head: it is a dead letter
        self.kept = kept                          # the claim stays for the direct successor (the script tells by the state)

    def __repr__(self):
        return (f"{self.code} would={self.would} busy={self.busy_ms} head={self.head} parked={self.parked_count}"
                f"{' blocked' * self.blocked}")


BLOCKS = {SEQUENCE: Sequence, VERSION: Version, OFFSET: Offsets}


class Ledger:
    def __init__(self, off=()):
        unknown = set(off) - set(RULES)
        if unknown:
            raise ValueError(f"no such rule: {', '.join(sorted(unknown))}")
        self.off = frozenset(off)
        self.states = {}         # (scope, key) -> State
        self.ids = {}            # (scope, key, event id) -> "D" done | rank of the parked record
        self.redriven = set()    # (scope, redrive id, rank)
        self.fences = {}         # (group, consumed topic-partition) -> token
        self.released = {}       # (group, consumed topic-partition) -> token: its kept claims are void
        self.rebuilt = set()     # (group, consumed topic-partition): its tiers were read since Redis last lost its data
        self.corrupt = set()     # (scope, key) whose bytes cannot be read

    # -- the verbs ---------------------------------------------------------------------------------------------------------

    def take_fence(self, group, owner, now):
        """A new owner's token, and whether the partition was rebuilt since Redis lost its data (or since it is known at all)."""
        token = max(self.fences.get((group, owner), 0) + 1, now)
        self.fences[group, owner] = token
        return token, (group, owner) in self.rebuilt

    def confirm_rebuilt(self, group, owner, token):
        """Of this token only: a rebuild from before another wipe, or of an older owner, says nothing."""
        if self.fences.get((group, owner)) == token:
            self.rebuilt.add((group, owner))

    def apply(self, ops, now):
        """One call, item by item; the client puts finishes before claims. A stale item fences only itself."""
        return [self.claim(op, now) if op.verb == CLAIM else self.finish(op, now) for op in ops]

    def claim(self, op, now):
        if self.fenced(op):
            return Answer("FENCED")
        at = (op.scope.name, op.key)
        if at in self.corrupt:
            return Answer("CORRUPT")
        st = self.states.get(at) or State()
        self.remove_ghost(st, op, now)

        code, would, granted = self.judge(st, op, now)
        busy = self.busy(st, op, now) if granted else 0
        if busy:
            code, granted = "BUSY", False
            self.want(st, op, now)
        if granted:
            self.states[at] = st
            if op.source != REDRIVE and op.kind != VERSION and (block := self.block_of(st, op, create=True)):
                block.roll(op, "window" not in self.off)
            st.claims = {c: v for c, v in st.claims.items() if v[1] > now and not self.void(c, op)}
            st.claims[self.claimant(op)] = (op.identity(), now + op.lease)
        answer = Answer(code, would, busy or self.used_again(st, op, code), None, len(st.parked))
        if code in ("BLOCKED", "NOT_HEAD", "PARK_FULL"):
            answer.head, answer.blocked = self.head_of(st, now), st.parked[0].blocks
        return answer

    def finish(self, op, now):
        at = (op.scope.name, op.key)
        if at in self.corrupt:
            return Answer("CORRUPT")
        st = self.states.get(at) or State()
        who = self.own_claim(st, op)
        mine = who is not None
        if mine:
            claim = st.claims.pop(who)
            if op.keep_claim:                     # the request may still run: busy for everyone until the lease lapses
                nobody = (op.rank, None, 0)
                st.claims[nobody] = max(claim, st.claims.get(nobody, claim), key=lambda c: c[1])
        code = "OK" if mine else "LOST"
        if op.verb == PARKED:
            code = self.park(st, op, now) or code
        elif op.verb == BLOCKING and op.scope.ordered:
            self.block(st, op)
        elif op.verb != RELEASE:
            self.done(st, op)
        if op.verb != RELEASE and code != "REFUSED":
            self.states[at] = st
            if op.scope.ordered and op.source == SOURCE and "mark" not in self.off:
                st.raise_mark(op)
        kept = mine and self.keeps(st, op, who)
        if kept:
            st.claims[KEPT, op.owner, op.token] = (None, now + op.lease)
        answer = Answer(code, None, 0, None, len(st.parked), kept)
        if st.parked:
            answer.head, answer.blocked = self.head_of(st, now), st.parked[0].blocks
        return answer

    # -- claim: fence, ghost, verdict, head rule, live claims -----------------------------------------------------------------

    def fenced(self, op):
        at = (op.scope.group, op.owner)
        stored = self.fences.get(at)
        if stored is None and "fence-missing" not in self.off:
            return True                           # wiped: the owner must rebuild before it claims
        if (stored or 0) > op.token and "fence" not in self.off:
            return True
        self.fences[at] = max(stored or 0, op.token)    # a Redis that lost the last writes heals upward
        return False

    def remove_ghost(self, st, op, now):
        """The head, where its time passed and the caller has seen its copy settled. At most one a call."""
        if not st.parked or "ghost" in self.off:
            return
        head = st.parked[0]
        gone = op.ghost == (head.tier, head.copy_offset) or "evidence" in self.off
        if gone and head.expires <= now:
            st.parked.pop(0)
            if "floor" in self.off:
                return
            if st.block is not None and st.block.kind == head.kind:
                st.block.unprove(head)
            if m := st.mark(head.rank[1]):
                m.floor = max(m.floor, head.rank[0])

    def judge(self, st, op, now):
        """(code, would, granted): granted where only a live claim can still refuse it."""
        verdict = "GO"
        entry = st.entry(op.rank)
        if entry and entry.blocks and op.source == REDRIVE and "block-redrive" not in self.off:
            entry = None
        if entry and op.source != TIER:
            return "DUP_PARKED", None, False
        if entry:
            if op.hop < entry.hop and "hop" not in self.off:
                return "SUPERSEDED", None, False
            if 2 * (entry.expires - now) < op.scope.ghost_ttl:
                entry.expires = now + op.scope.ghost_ttl    # seen alive
            if op.kind == VERSION and (block := self.block_of(st, op)) and block.verdict(op) in ("OUTDATED", "INDETERMINATE"):
                verdict = block.verdict(op)
            if verdict == "OUTDATED" and not op.observe:
                return verdict, None, False
        elif self.proven_by_rank(st, op):
            return "DUP", None, False
        else:
            verdict = self.verdict(st, op)
            if verdict in ("DUP", "DUP_PARKED", "OUTDATED", "MOVED_ON") and not op.observe:
                return verdict, None, False

        code, would = ("GO", verdict if verdict != "GO" else None) if op.observe else (verdict, None)
        if op.scope.ordered and op.source != REDRIVE and st.parked and not (code == "STALE" and op.source == SOURCE):
            if refusal := self.head_rule(st, op, entry, code):
                return refusal, would, False
        return code, would, True

    def proven_by_rank(self, st, op):
        if op.source != REDRIVE and op.rank in st.tombstones:
            return True
        if op.source == SOURCE and op.scope.ordered and op.kind != NONE:
            return st.marked(op)
        return False

    def verdict(self, st, op):
        if op.source == REDRIVE:
            return self.redrive_verdict(st, op)
        if op.kind == EVENT_ID:
            known = self.ids.get((op.scope.name, op.key, op.event_id))
            if known == "D":
                return "DUP"
            parked = known is not None and st.entry(known) is not None   # a ghost takes its id along
            return "DUP_PARKED" if parked and op.source == SOURCE else "GO"
        block = self.block_of(st, op)
        return block.verdict(op) if block else "GO"

    def used_again(self, st, op, code):
        """Of a DUP that was not read again (it stands beyond all that is known of its source): its number was used again. How many
        numbers there are from it to the last; 0 where nothing of this can be said. It stands in place of busy_ms."""
        if code != "DUP" or op.kind != SEQUENCE or op.source != SOURCE or not op.scope.ordered or not st.marks:
            return 0
        mark = st.mark(op.rank[1])
        if op.rank in st.tombstones or (mark and op.offset <= mark.offset):
            return 0
        return min(max(0, st.block.block(op.epoch).L - op.number + 1), 2**32 - 1)

    def redrive_verdict(self, st, op):
        """Dead letters count as done, so identity proves nothing here: only that this redrive was handled, or the key moved on."""
        if (op.scope.name, op.redrive_id, op.rank) in self.redriven:
            return "DUP"
        block = self.block_of(st, op)
        if not op.force and block and block.moved_on(op) and "moved-on" not in self.off:
            return "MOVED_ON"
        return "GO"

    def head_rule(self, st, op, entry, code):
        """None: it may go. Otherwise what to answer while an earlier record of the key is parked."""
        if code in ("INDETERMINATE", "STALE") and "head-all" in self.off:
            return None
        if op.source == SOURCE:
            full = len(st.parked) >= op.scope.cap and "cap" not in self.off
            return "PARK_FULL" if full else "BLOCKED"
        head = entry is st.parked[0]
        if entry is None and "rank-order" not in self.off:
            head = op.rank < st.parked[0].rank
        return None if head or "not-head" in self.off else "NOT_HEAD"

    def busy(self, st, op, now):
        me, identity, wait = self.claimant(op), op.identity(), 0
        for who, (other, deadline) in st.claims.items():
            if deadline > now and who != me and "busy" not in self.off and not self.void(who, op):
                if op.scope.ordered or who[0] == op.rank or (identity is not None and other == identity):
                    wait = max(wait, deadline - now)
        return wait

    # -- claims kept for the successor ------------------------------------------------------------------------------------------

    def void(self, who, op):
        """A kept claim that stands not in the op's way: its own, or of an owner that gave up the partition in order."""
        if who[0] not in (KEPT, WANTED):
            return False
        if who[1:] == (op.owner, op.token) or "kept-busy" in self.off:
            return True
        released = self.released.get((op.scope.group, who[1]), -1)
        if "kept-zombie" in self.off:
            return who[2] <= released
        return who[2] == released                 # an older token may be a zombie's, which has released nothing

    def want(self, st, op, now):
        """BUSY: kept claims that stand in the way are not to be kept again."""
        claims = {}
        for who, claim in st.claims.items():
            stands = who[0] == KEPT and claim[1] > now and not self.void(who, op) and "kept-wanted" not in self.off
            claims[(WANTED, *who[1:]) if stands else who] = claim
        st.claims = claims

    def own_claim(self, st, op):
        """The op's claim, or the one that was kept for it."""
        mine = [self.claimant(op)]
        if op.source == SOURCE:
            mine += [(KEPT, op.owner, op.token), (WANTED, op.owner, op.token)]
        return next((who for who in st.claims if who in mine), None)

    def keeps(self, st, op, who):
        """A finish with a lease: does the claim stay, for the direct successor? Only after the plain next record of a key."""
        if op.verb != SUCCEEDED or not op.lease or op.source != SOURCE or op.kind != SEQUENCE or not op.scope.ordered:
            return False
        if who[0] == WANTED or st.claims:
            return False
        if self.fences.get((op.scope.group, op.owner)) != op.token and "kept-fence" not in self.off:
            return False
        b = st.block
        plain = (not b.prev and not b.cur.W and b.D == (b.cur.E, b.cur.L) and not st.parked and not st.tombstones
                 and len(st.marks) == 1 and st.marks[0].floor < 0)
        mark = st.marks[0] if st.marks else None
        here = mark and (mark.source, mark.offset, mark.leader_epoch) == (op.rank[1], op.offset, op.leader_epoch)
        return ("kept-plain" in self.off or (plain and here)) and (b.cur.E, b.cur.L) == (op.epoch, op.number)

    def release_kept(self, group, owner, token):
        """The owner drained the partition and gives it up: what it kept is void. (One that comes late lets others wait, no more.)"""
        self.released[group, owner] = token

    # -- finish ---------------------------------------------------------------------------------------------------------------

    def block(self, st, op):
        """The dead letter stays at its place in the parked list, so that what comes after it waits, until a success of it (a
        redrive) or a person removes it."""
        entry = st.entry(op.rank)
        if entry or op.rank not in st.tombstones or "block-once" in self.off:
            if not entry:
                entry = Entry(op, FOREVER)
                insort(st.parked, entry)
            if not entry.blocks:
                entry.block(op)
        self.note_done(st, op)
        self.entomb(st, op)

    def release(self, scope, key):
        """A person lets the key go on: how many dead letters blocked it."""
        if (scope.name, key) in self.corrupt:
            return "unreadable"
        st = self.states.get((scope.name, key)) or State()
        kept = [e for e in st.parked if not e.blocks]
        released = len(st.parked) - len(kept)
        st.parked[:] = kept
        return released

    def done(self, st, op):
        entry = st.entry(op.rank)
        if entry:
            st.parked.remove(entry)
        self.note_done(st, op)
        if op.source == TIER or (entry and op.source == SOURCE):     # its late copy
            self.entomb(st, op)

    def note_done(self, st, op):
        if block := self.block_of(st, op, create=True):
            block.join(op, "window" not in self.off)
            if op.verb == SUCCEEDED:
                block.succeeded(op)
        if op.kind == EVENT_ID:
            self.ids[op.scope.name, op.key, op.event_id] = "D"
        if op.source == REDRIVE:
            self.redriven.add((op.scope.name, op.redrive_id, op.rank))

    def entomb(self, st, op):
        if op.rank not in st.tombstones and "tombstone" not in self.off:
            insort(st.tombstones, op.rank)
            del st.tombstones[:-(op.scope.cap + OVER_CAP)]

    def park(self, st, op, now):
        expires = now + op.scope.ghost_ttl
        entry = st.entry(op.rank)
        if entry and entry.blocks and "block-stays" not in self.off:
            return "DONE"
        if entry:
            if op.hop >= entry.hop:
                entry.replace(op, expires)
            else:
                entry.expires = expires
            if op.kind == EVENT_ID:
                self.ids[op.scope.name, op.key, op.event_id] = op.rank
            return None
        if self.proven_done(st, op) and "done-parked" not in self.off:
            return "DONE"
        full = len(st.parked) >= op.scope.cap + OVER_CAP
        if "cap" in self.off:                     # what a list that drops its overflow would do
            full = len(st.parked) >= op.scope.cap
        if full and "cap" not in self.off:
            return "REFUSED"
        if not full and "seen-entry" not in self.off:
            entry = Entry(op, expires)
            if "rank-order" in self.off:
                st.parked.append(entry)
            else:
                st.parked.insert(bisect_left(st.parked, entry), entry)
        if op.kind != VERSION and (block := self.block_of(st, op, create=True)):
            block.parked(op, "window" not in self.off)     # a version's H rises on done, never on parked
        if op.kind == EVENT_ID:
            self.ids[op.scope.name, op.key, op.event_id] = op.rank
        return None

    def proven_done(self, st, op):
        """Of a record without an entry: seen means done, for the seen bit is never set without the entry."""
        if op.rank in st.tombstones:
            return True
        if op.source == SOURCE and op.scope.ordered and st.marked(op):
            return True                           # a zombie's: whoever raised the mark has dealt with this record
        if op.observe:
            return False                          # the identity decides nothing there
        if op.kind == EVENT_ID:
            return self.ids.get((op.scope.name, op.key, op.event_id)) == "D"
        block = self.block_of(st, op)
        return bool(block and block.proven(op))

    # -- small things -----------------------------------------------------------------------------------------------------------

    def claimant(self, op):
        if "owner" in self.off:
            return (op.rank, None, op.token)
        return (op.rank, op.owner, op.token)

    @staticmethod
    def block_kind(op):
        """Ordered scopes prove offsets by their marks."""
        return op.kind in BLOCKS and not (op.kind == OFFSET and op.scope.ordered)

    def block_of(self, st, op, create=False):
        if not self.block_kind(op):
            return None
        if st.block is None or st.block.kind != op.kind:    # unseen, or the route changed its identity
            if not create:
                return None
            st.block = BLOCKS[op.kind](op)
        return st.block

    @staticmethod
    def head_of(st, now):
        head = st.parked[0]
        return (head.tier, head.copy_offset, head.expires <= now)
