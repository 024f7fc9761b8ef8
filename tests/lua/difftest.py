#!/usr/bin/env python3
"""lua/apply_ops.lua against model.py on a private redis-server: random histories, every answer compared.

    difftest.py [--ops N] [--seed S]     N operations (100,000); prints the seed, the codes reached, and on a difference the
                                         shortest history that still shows it
    difftest.py --unknowing              claims are asked of lua/swap_states.lua first, as by a gateway that remembers nothing
    difftest.py --self-test              each rule switched off in the model must be seen as a difference

The model runs first, so that histories are made with its answers in hand (what got GO is finished, what is parked comes back as a
copy); the script then gets a whole history pipelined. Times are passed to it.
"""

import argparse
import collections
import copy
import random
import sys
import time

import model
import script
from model import BLOCKING, CLAIM, GIVEN_UP, PARKED, REDRIVE, RELEASE, SOURCE, SUCCEEDED, TIER, Op, Scope

BASES = [0, 0, 1, 5, 2**31 - 4, 2**32 - 6, 2**32 + 3, 2**53 - 8, 2**53 + 1, 2**63 - 5, 2**64 - 400, 2**64 - 75]
TOP = 2**64 - 1
SOURCES = [script.source_of("orders", 0), script.source_of("orders", 1), script.source_of("bills", 0)]
OWNERS = ["orders/0", "orders/1", "retry.g.orders.10s/0", "redrive/0"]
STRANGER = "never/assigned"      # an owner whose fence Redis does not know
CALLS = 120                      # of a history
CODES = set(model.CODES)


class Rec:
    """A record that a history knows of."""

    __slots__ = ("key", "kind", "epoch", "number", "event_id", "rank", "leader_epoch", "hop")

    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)


class Garbage:
    """Instead of a call: foreign bytes in a key's state."""

    def __init__(self, scope, key, data):
        self.scope, self.key, self.data = scope, key, data


class LetGo:
    """Instead of a call: a person releases a key that dead letters block."""

    def __init__(self, scope, key):
        self.scope, self.key = scope, key


class Released:
    """Instead of a call: an owner gives up its partition, and with it the claims that it kept."""

    def __init__(self, owner, token):
        self.owner, self.token = owner, token


EVENTS = (Garbage, Released, LetGo)


class Setting:
    """What stays the same in one history."""

    def __init__(self, r):
        kind = r.choice([model.SEQUENCE] * 4 + [model.VERSION, model.VERSION, model.EVENT_ID, model.OFFSET, model.NONE])
        self.straight = r.random() < 0.3             # keys that walk in order, as nearly all do
        self.kind = kind = model.SEQUENCE if self.straight else kind
        self.scope = Scope(f"{kind}", r.random() < 0.65, r.choice([50, 300, 2000]), r.choice([0, 1, 2, 5, 1000]), "g")
        self.keys = [f"k{i}" for i in range(r.choice([1, 1, 2]))]
        self.base, self.first_offset = r.choice(BASES), r.choice([0, 10, 2**31 - 3, 2**32 - 5, 2**51])
        self.sources = r.choice([SOURCES[:1], SOURCES[:1], SOURCES])
        self.observe = 0 if self.straight else r.choice([0, 0, 0.3, 1])
        self.mixed_kinds = r.random() < 0.1          # the route changed its identity
        self.gaps = r.choice([0, 0.1, 0.4])
        if self.straight:
            self.scope.ordered, self.scope.cap = r.random() < 0.95, 1000
        self.blocking = not self.straight and r.random() < 0.3             # dead letters block their key
        self.crowd = not self.straight and r.random() < 0.04               # parks many at once, beyond the cap


def fences_of(seed):
    r = random.Random(seed ^ 0xFE9CE)
    return {name: 1000 + r.choice([0, 0, 1]) for name in OWNERS}


class History:
    """Makes the calls of one history while the model plays it."""

    def __init__(self, seed, off=()):
        self.r = r = random.Random(seed)
        self.set = Setting(r)
        self.model = model.Ledger(off)
        self.fences = fences_of(seed)
        self.model.fences.update({("g", name): token for name, token in self.fences.items()})
        self.now, self.known, self.held, self.counts, self.walked = 10**6, [], [], {}, []
        self.calls, self.answers = [], []
        for _ in range(CALLS):
            self.now += r.choice([0, 1, 1, 5, 40, 400])
            if len(self.calls) > 100 and r.random() < 0.01:
                self.spoil()
                continue
            if r.random() < 0.03:
                self.release()
                continue
            if self.set.blocking and r.random() < 0.05:
                self.let_go()
                continue
            ops = self.walk() if self.set.straight else []
            if self.set.crowd and r.random() < 0.3:
                ops = [self.park(self.new_record()) for _ in range(20)]
            if not self.set.straight or r.random() < 0.03:
                ops += [self.next_op() for _ in range(r.choice([1, 1, 2, 3, 6]))]
            self.calls.append((self.now, ops))
            got = self.model.apply(ops, self.now)
            self.answers.append(got)
            self.learn(ops, got)

    def spoil(self):
        r = self.r
        key = r.choice(self.set.keys)
        data = r.choice([b"\x02abc", b"\xff", b"\x01", b"\x01\x01\xff12345", bytes(r.randrange(2, 256) for _ in range(30))])
        self.model.corrupt.add((self.set.scope.name, key))
        self.calls.append((self.now, Garbage(self.set.scope, key, data)))
        self.answers.append([])

    def release(self):
        owner = self.r.choice(OWNERS)
        token = self.fences[owner] - self.r.choice([0, 0, 1])
        self.model.release_kept("g", owner, token)
        self.calls.append((self.now, Released(owner, token)))
        self.answers.append([])

    def let_go(self):
        key = self.r.choice(self.set.keys)
        self.calls.append((self.now, LetGo(self.set.scope, key)))
        self.answers.append([self.model.release(self.set.scope, key)])

    # -- records ---------------------------------------------------------------------------------------------------------------

    def new_record(self):
        r, s = self.r, self.set
        key, src = r.choice(s.keys), r.choice(s.sources)
        epoch, number, offset = self.counts.get(key, (r.choice([0, 7, 2**32, 2**64 - 9]), s.base, s.first_offset))
        if r.random() < 0.04:
            epoch, number = min(epoch + r.choice([1, 1, 2]), TOP), r.choice([0, 1, s.base])
        number = min(number + (r.choice([2, 3, 63, 64, 65, 66, 130, 2**33]) if r.random() < s.gaps else 1), TOP)
        offset += r.choice([1, 1, 1, 2])
        self.counts[key] = (epoch, number, offset)
        kind = s.kind
        if s.mixed_kinds and r.random() < 0.3:
            kind = r.choice(list(script.KINDS))
        elif r.random() < 0.02:
            kind = model.NONE
        numbered = kind in (model.SEQUENCE, model.VERSION)
        rec = Rec(key=key, kind=kind, epoch=epoch if kind == model.SEQUENCE else 0, number=number if numbered else 0,
                  event_id=(number.to_bytes(16, "big") if kind == model.EVENT_ID else None), rank=(offset, src),
                  leader_epoch=r.choice([-1, 3, 3, 3, 4]), hop=0)
        if r.random() < 0.15 and numbered:       # out of order, or far below
            rec.number = max(0, rec.number - r.choice([1, 2, 40, 64, 65, 200]))
        self.known.append(rec)
        del self.known[:-40]
        return rec

    def record(self):
        r = self.r
        if not self.known or r.random() < 0.3:
            return self.new_record()
        rec = r.choice(self.known[-r.choice([1, 3, 8, 40]):])
        if r.random() < 0.06:                    # the producer's repetition, at another offset
            twin = copy.copy(rec)
            twin.rank = (self.counts[rec.key][2] + 1, rec.rank[1])
            self.counts[rec.key] = (*self.counts[rec.key][:2], twin.rank[0])
            self.known.append(twin)
            return twin
        if r.random() < 0.02:
            rec = copy.copy(rec)
            rec.leader_epoch = r.choice([-1, 2, 5])
        return rec

    def walk(self):
        """Keys whose records come one after the other, claimed and succeeded by one owner; now and then something is off."""
        r, ops = self.r, []
        for _ in range(r.choice([1, 1, 2, 4])):
            key = f"w{r.randrange(4)}.{len(self.calls) // r.choice([10, 10, 10, 40])}"
            start = (r.choice([0, 7, 2**32 - 1, 2**32]), self.set.base, self.set.first_offset)
            epoch, number, offset = self.counts.get(key, start)
            number, offset = min(number + 1, TOP), offset + r.choice([1, 1, 1, 3])
            self.counts[key] = (epoch, number, offset)
            rec = Rec(key=key, kind=model.SEQUENCE, epoch=epoch, number=number, event_id=None, rank=(offset, SOURCES[0]),
                      leader_epoch=3, hop=0)
            owner = (OWNERS[0], self.fences[OWNERS[0]])
            claim = self.op(CLAIM, rec, owner, source=SOURCE, lease=r.choice([1, 60, 300]))
            finish = self.op(SUCCEEDED, rec, owner, source=SOURCE, lease=r.choice([0, 0, 60, 300]))
            how = r.random()
            if how < 0.15:                           # the record itself is another than expected
                self.disturb(claim)
                for name in ("owner", "token", "leader_epoch", "offset", "rank", "epoch", "number", "observe"):
                    setattr(finish, name, getattr(claim, name))
            elif how < 0.25:
                self.disturb(claim)
            elif how < 0.35:
                self.disturb(finish)
                finish.verb = r.choice([SUCCEEDED, SUCCEEDED, SUCCEEDED, GIVEN_UP, PARKED, RELEASE])
                finish.hop, finish.tier = int(finish.verb == PARKED), 10000 if finish.verb == PARKED else 0
                finish.keep_claim = r.random() < 0.2
                finish.lease, finish.ghost = 0, None
            self.walked.append(claim)
            if r.random() < 0.2:                     # read once more, after a crash or from far below
                again = copy.copy(r.choice(self.walked[-20:]))
                again.lease, again.token = 1, self.fences[again.owner]
                ops.append(again)
            if r.random() < 0.1:                     # another waits for what was kept
                other = copy.copy(claim)
                other.owner, other.lease, other.offset = OWNERS[1], 1, offset + 1
                other.token, other.rank, other.number = self.fences[OWNERS[1]], (offset + 1, SOURCES[1]), min(number + 1, TOP)
                if r.random() < 0.3:                 # or the partition has a newer owner
                    self.fences[OWNERS[0]] += 1
                    other.owner, other.token, other.key = OWNERS[0], self.fences[OWNERS[0]], key + "'"
                ops += [other, finish, other]
                continue
            how = r.random()                         # a claim that was kept is not asked for
            ops += ([claim, finish] if how < 0.7 else [finish] if how < 0.95
                    else r.choice([[claim], [claim, claim, finish, finish]]))
        return ops

    def disturb(self, op):
        """Makes one field unlike the next record's."""
        r = self.r
        what = r.randrange(9)
        if what == 0:
            op.owner, op.token = r.choice([(OWNERS[1], self.fences[OWNERS[1]]), (OWNERS[0], self.fences[OWNERS[0]] - 1)])
        elif what == 1:
            self.fences[OWNERS[0]] += 1              # raised by an operation that comes in between, or by this one
            op.token = self.fences[OWNERS[0]] - r.choice([0, 0, 1])
        elif what == 2:
            op.leader_epoch = r.choice([-1, 2, 4])
        elif what == 3:
            op.offset = max(0, op.offset - r.choice([1, 2, 3, 5]))
            op.rank = (op.offset, op.rank[1])
        elif what == 4:
            op.number = min(op.number + r.choice([1, 1, 2, 2**32, 64, 70]), TOP)
        elif what == 5:
            op.number = max(op.number - r.choice([1, 2]), 0)
        elif what == 6:
            op.rank = (op.offset, SOURCES[1])
        elif what == 7:
            op.epoch = min(op.epoch + r.choice([1, 2**32]), TOP)
        elif op.verb == CLAIM:
            op.observe = True

    # -- operations --------------------------------------------------------------------------------------------------------------

    def next_op(self):
        r = self.r
        if self.held and r.random() < 0.55:
            op = self.held.pop(r.randrange(len(self.held)))
            return self.finish_of(op)
        if r.random() < 0.25:
            return self.finish_any()
        return self.claim()

    def owner(self):
        r = self.r
        name = r.choice(OWNERS)
        token = self.fences[name]
        if r.random() < 0.04:
            token += r.choice([-1, -1, 1])
            self.fences[name] = max(token, self.fences[name])
        return (STRANGER, 1000) if r.random() < 0.004 else (name, token)

    def op(self, verb, rec, owner, **more):
        return Op(verb, self.set.scope, rec.key, *owner, rec.rank, kind=rec.kind, epoch=rec.epoch, number=rec.number,
                  event_id=rec.event_id, leader_epoch=rec.leader_epoch, **more)

    def claim(self):
        r, rec = self.r, self.record()
        state = self.model.states.get((self.set.scope.name, rec.key))
        source = r.choice([SOURCE, SOURCE, SOURCE, TIER, TIER, TIER, REDRIVE]) if r.random() < 0.9 else SOURCE
        ghost, hop = None, rec.hop
        if state and state.parked:
            head = state.parked[0]
            if r.random() < 0.3:
                ghost = (head.tier, head.copy_offset + (r.random() < 0.1))
            if source == TIER and r.random() < 0.4:
                entry = head if r.random() < 0.6 else r.choice(state.parked)
                rec = next((k for k in self.known if k.rank == entry.rank), rec)
                hop = max(0, (rec.hop if entry.blocks else entry.hop) + r.choice([0, 0, 0, 0, -1, 1]))
        return self.op(CLAIM, rec, self.owner(), source=source, hop=hop, lease=r.choice([20, 60, 300]), ghost=ghost,
                       observe=r.random() < self.set.observe, force=source == REDRIVE and r.random() < 0.3,
                       redrive_id=f"j{r.randrange(3)}" if source == REDRIVE else None)

    def finish_of(self, held):
        """What a claim leads to."""
        r = self.r
        give_up = BLOCKING if self.set.blocking and r.random() < 0.8 else GIVEN_UP
        fact = r.choice([SUCCEEDED, SUCCEEDED, SUCCEEDED, give_up, PARKED, PARKED, PARKED, RELEASE])
        if held.source == REDRIVE and fact == PARKED:
            fact = give_up
        rec = next((k for k in self.known if k.rank == held.rank and k.kind == held.kind), None)
        hop = held.hop + (fact == PARKED)
        if rec and fact == PARKED:
            rec.hop = hop
        op = copy.copy(held)
        op.verb, op.hop, op.ghost, op.force = fact, hop, None, False
        op.lease = r.choice([0, 60, 300]) if fact == SUCCEEDED else 0
        op.keep_claim = r.random() < 0.1
        if fact in (PARKED, BLOCKING):
            op.tier, op.copy_offset = r.choice([10000, 60000]), r.randrange(50)
        return op

    def park(self, rec):
        r = self.r
        rec.hop += r.choice([0, 1, 1])
        return self.op(PARKED, rec, self.owner(), source=r.choice([SOURCE, SOURCE, TIER]), hop=rec.hop, tier=r.choice([10000, 60000]),
                       copy_offset=r.randrange(50), observe=r.random() < self.set.observe, keep_claim=r.random() < 0.05)

    def finish_any(self):
        """Late, repeated, of a zombie, after BLOCKED."""
        r, rec = self.r, self.record()
        if r.random() < 0.6:
            return self.park(rec)
        source = r.choice([SOURCE, TIER, TIER, REDRIVE])
        give_up = BLOCKING if self.set.blocking else GIVEN_UP
        return self.op(r.choice([SUCCEEDED, give_up, RELEASE]), rec, self.owner(), source=source, hop=rec.hop,
                       keep_claim=r.random() < 0.05, redrive_id=f"j{r.randrange(3)}" if source == REDRIVE else None)

    def learn(self, ops, answers):
        for op, a in zip(ops, answers):
            if op.verb == CLAIM and a.code in ("GO", "INDETERMINATE", "STALE"):
                self.held.append(op)
            elif op.verb == CLAIM and a.code in ("BLOCKED", "NOT_HEAD"):
                blocked = copy.copy(op)
                self.held.append(blocked)
        del self.held[:-6]


# -- comparing ------------------------------------------------------------------------------------------------------------------


def play_model(calls, seed, off):
    m = model.Ledger(off)
    m.fences.update({("g", name): token for name, token in fences_of(seed).items()})
    out = []
    for now, ops in calls:
        if isinstance(ops, Garbage):
            m.corrupt.add((ops.scope.name, ops.key))
            out.append([])
        elif isinstance(ops, Released):
            m.release_kept("g", ops.owner, ops.token)
            out.append([])
        elif isinstance(ops, LetGo):
            out.append([m.release(ops.scope, ops.key)])
        else:
            out.append(m.apply(ops, now))
    return out


def set_fences(prefix, seed):
    return ["HSET", f"{prefix}:fence", *[x for pair in fences_of(seed).items() for x in pair]]


def command_of(sha, prefix, now, ops):
    if isinstance(ops, Garbage):
        (bucket, key, _), field = script.keys_of(prefix, ops.scope, ops.key)
        return ["HSET", bucket, field, ops.data] if field else ["SET", key, ops.data]
    if isinstance(ops, Released):
        return ["HSET", f"{prefix}:fence", b"~" + script.owner_hash(ops.owner), ops.token]
    if isinstance(ops, LetGo):
        names, field = script.keys_of(prefix, ops.scope, ops.key)
        return ["EVAL", script.source("release_key"), 3, *names, field, script.TTL]
    return script.pack_call(sha, prefix, ops, now)


def play_script(redis, sha, prefix, calls, seed, forms=None, flush=True):
    replies = redis.pipeline([set_fences(prefix, seed)] + [command_of(sha, prefix, *call) for call in calls])[1:]
    if forms is not None:
        forms.update(script.forms_of(redis, prefix)[0])
    if flush:
        redis.call("FLUSHDB")
    out = []
    for (_, ops), reply in zip(calls, replies):
        if isinstance(ops, LetGo):
            out.append(["unreadable" if isinstance(reply, Exception) else reply])
        elif isinstance(ops, EVENTS):
            out.append([])
        elif isinstance(reply, Exception):
            out.append([str(reply)])
        else:
            out.append(script.unpack_answers(reply, len(ops)))
    return out


class Unknowing:
    """A gateway that remembers nothing: it asks swap_states for a claim first, where that may know it, and apply_ops where it does
    not. Item by item, since the second question comes after the first."""

    def __init__(self, redis):
        self.redis, self.granted, self.missed = redis, collections.Counter(), 0
        self.swap = redis.call("SCRIPT", "LOAD", script.source("swap_states")).decode()

    def play(self, sha, prefix, calls, seed):
        self.redis.call(*set_fences(prefix, seed))
        out = [self.play_call(sha, prefix, now, ops) for now, ops in calls]
        self.redis.call("FLUSHDB")
        return out

    def play_call(self, sha, prefix, now, ops):
        if not isinstance(ops, EVENTS):
            return [self.ask(sha, prefix, now, op) for op in ops]
        reply = self.redis.pipeline([command_of(sha, prefix, now, ops)])[0]
        if isinstance(ops, LetGo):
            return ["unreadable" if isinstance(reply, Exception) else reply]
        return []

    def ask(self, sha, prefix, now, op):
        if script.is_small_claim(op):
            told = script.unpack_claims(self.redis.call(*script.pack_claims(self.swap, prefix, [op], now)), 1)[0]
            self.granted.update(told[:1])
            if told:
                return model.Answer("GO")
            self.missed += 1
        return script.unpack_answers(self.redis.call(*script.pack_call(sha, prefix, [op], now)), 1)[0]


def first_difference(calls, wanted, got):
    for i, ((_, ops), a, b) in enumerate(zip(calls, wanted, got)):
        if isinstance(ops, LetGo) and a != b:
            return i, 0, a[0], b[0]
        if not isinstance(ops, EVENTS):
            for j, op in enumerate(ops):
                if j >= len(b) or repr(a[j]) != repr(b[j]) or b[j].kept not in (None, a[j].kept):
                    return i, j, a[j], b[j] if j < len(b) else b[0]
    return None


class Comparer:
    def __init__(self, redis, off=(), forms=None, unknowing=None):
        self.redis, self.off, self.n, self.forms, self.unknowing = redis, off, 0, forms, unknowing
        self.sha = redis.call("SCRIPT", "LOAD", script.source("apply_ops")).decode()

    def differs(self, calls, seed, wanted=None):
        self.n += 1
        wanted = wanted or play_model(calls, seed, self.off)
        return first_difference(calls, wanted, self.play(f"{{d{self.n}}}", calls, seed))

    def play(self, prefix, calls, seed):
        if self.unknowing:
            return self.unknowing.play(self.sha, prefix, calls, seed)
        return play_script(self.redis, self.sha, prefix, calls, seed, self.forms)

    def shrink(self, calls, seed):
        """The shortest history found: cut behind the difference, one item a call, then whatever can go."""
        found = self.differs(calls, seed)
        calls = [(now, op) if isinstance(op, EVENTS) else (now, [op])
                 for now, ops in calls[:found[0] + 1] for op in ([ops] if isinstance(ops, EVENTS) else ops)]
        found = self.differs(calls, seed)
        if found is None:
            return None
        calls = calls[:found[0] + 1]
        size = len(calls) // 2
        while size >= 1:
            i = 0
            while i < len(calls):
                tried = calls[:i] + calls[i + size:]
                found = self.differs(tried, seed) if tried else None
                if found:
                    calls = tried[:found[0] + 1]
                else:
                    i += size
            size //= 2
        return calls


def words(op):
    parts = [op.verb, op.source, op.kind]
    if op.kind == model.SEQUENCE:
        parts.append(f"e={op.epoch}")
    if op.kind in (model.SEQUENCE, model.VERSION):
        parts.append(f"n={op.number}")
    if op.event_id:
        parts.append("id=" + op.event_id.hex().lstrip("0"))
    parts += [f"rank={op.offset}@{SOURCES.index(op.rank[1])}", f"le={op.leader_epoch}", f"hop={op.hop}", f"{op.owner}#{op.token}"]
    for name in ("tier", "copy_offset", "lease", "ghost", "observe", "force", "keep_claim", "redrive_id"):
        if value := getattr(op, name):
            parts.append(f"{name}={value}")
    return f"{op.key}: " + " ".join(parts)


def explain(comparer, calls, seed, off):
    scope = next(ops.scope if isinstance(ops, (Garbage, LetGo)) else ops[0].scope for _, ops in calls if not isinstance(ops, Released))
    print(f"scope: ordered={scope.ordered} ghost_ttl={scope.ghost_ttl} cap={scope.cap}; fences {fences_of(seed)}")
    wanted = play_model(calls, seed, off)
    got = comparer.play("{e}", calls, seed)
    for (now, ops), a, b in zip(calls, wanted, got):
        if isinstance(ops, Garbage):
            print(f"  {now} {ops.key}: state := {ops.data!r}")
            continue
        if isinstance(ops, LetGo):
            print(f"  {now} {ops.key}: let go: {b[0]}" + ("" if a == b else f", model {a[0]}"))
            continue
        if isinstance(ops, Released):
            print(f"  {now} released: {ops.owner}#{ops.token}")
            continue
        for op, x, y in zip(ops, a, b):
            print(f"  {now} {words(op)}\n      model  {x}" + ("" if repr(x) == repr(y) else f"\n      script {y}"))


def run(redis, count, seed, off=(), quiet=False, forms=None, unknowing=None):
    """(operations done, codes seen, the difference or None): the difference is (seed of the history, its calls). forms counts how
    states stood in buckets at the ends of histories. unknowing: plays them (and forms counts nothing)."""
    comparer, done, codes = Comparer(redis, off, forms, unknowing), 0, collections.Counter()
    while done < count:
        h = History(seed, off)
        done += sum(len(a) for a in h.answers)
        for a in h.answers:
            codes.update(x.code for x in a if isinstance(x, model.Answer))
        if found := comparer.differs(h.calls, seed, h.answers):
            if not quiet:
                i, j, want, got = found
                print(f"difference in the history of seed {seed}, call {i} item {j}: model {want}, script {got}")
                short = comparer.shrink(h.calls, seed)
                if short is None:
                    print("it goes away when each item is sent in a call of its own: batching matters")
                    short = h.calls[:i + 1]
                explain(comparer, short, seed, off)
            return done, codes, (seed, h.calls)
        seed += 1
    return done, codes, None


def self_test(redis, seed):
    """Every rule of the model, switched off, is seen."""
    unseen = []
    for rule in sorted(model.RULES):
        done, _, found = run(redis, 60000, seed, {rule}, quiet=True)
        print(f"  {rule:14} {'seen after ' + str(done) + ' operations' if found else 'NOT SEEN in ' + str(done)}", flush=True)
        if not found:
            unseen.append(rule)
    return not unseen


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--ops", type=int, default=100000)
    p.add_argument("--seed", type=int, default=None, help="of the first history; later ones count up")
    p.add_argument("--unknowing", action="store_true")
    p.add_argument("--self-test", action="store_true")
    args = p.parse_args(argv)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(10**9)
    print(f"seed {seed}", flush=True)
    start = time.monotonic()
    with script.Redis() as redis:
        if args.self_test:
            return 0 if self_test(redis, seed) else 1
        done, codes, found = run(redis, args.ops, seed, unknowing=Unknowing(redis) if args.unknowing else None)
    print(f"{done} operations in {time.monotonic() - start:.1f} s: {'DIFFERENT' if found else 'equal'}")
    print("codes: " + " ".join(f"{c}={codes[c]}" for c in model.CODES))
    missing = CODES - set(codes)
    if missing and args.ops >= 50000:
        print("never reached: " + " ".join(sorted(missing)))
    return 1 if found or (missing and args.ops >= 50000) else 0


if __name__ == "__main__":
    sys.exit(main())
