#!/usr/bin/env python3
"""Simulation of the whole protocol: many gateways, one Redis (the model), one broker, crashes between any two steps.

    sim.py --runs N --seed S [--profile P]     random runs; prints what broke
    sim.py --off RULE [--runs N]               the same with one rule switched off: it must break something
    sim.py --matrix                            the table rule -> what broke without it
    sim.py --seed S --runs 1 --profile P -v    one run, with the first counterexample of each kind
"""

import argparse
import collections
import os
import pickle
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "lua")]

import gateway
import marks
import model
from gateway import Gateway
from model import Ledger, Scope
from world import Record, World, check


class Redis:
    """The model as a server that can lose its last writes (failover) or everything (restart without data)."""

    KEPT = 40

    def __init__(self, off, can_roll_back):
        self.model = Ledger(off)
        self.fenced, self.clock = 0, 1        # clock: how coarse the time of fence tokens is
        self.trace = None        # a key whose operations are printed
        self.journal = collections.deque(maxlen=self.KEPT) if can_roll_back else None

    def remember(self, op):
        if self.journal is not None:
            m, at = self.model, (op.scope.name, op.key)
            ident = (*at, op.event_id)
            self.journal.append((at, pickle.dumps(m.states.get(at)), ident, m.ids.get(ident), dict(m.fences), set(m.redriven)))

    def claim(self, op, now):
        self.remember(op)
        answer = self.model.claim(op, now)
        self.fenced += answer.code == "FENCED"
        if self.trace == op.key:
            self.show(op, now, answer)
        return answer

    def finish(self, op, now):
        self.remember(op)
        answer = self.model.finish(op, now)
        if self.trace == op.key:
            self.show(op, now, answer)
        return answer

    @staticmethod
    def show(op, now, answer):
        copy = f" t{op.tier}@{op.copy_offset}" if op.verb == model.PARKED else ""
        print(f"  {now:6} {op.verb:9} {op.source:7} e{op.epoch} n{op.number} {op.event_id or ''} rank={op.rank} hop={op.hop}{copy}"
              f" by {op.owner}#{op.token} -> {answer}")

    def is_newest(self, owner, token):
        """A lower one is older: a fail-over brought it back."""
        known = self.model.fences.get(("g", owner))
        return known is not None and known <= token

    def tell_mark(self, owner, token, scope, key, numbers):
        """What is known of a key, once it was told which numbers the caller finished; False: fenced."""
        if not self.is_newest(owner, token):
            return False
        for own in marks.of_numbers(numbers):
            self.join_mark(scope, key, own, True)
        return marks.of_state(self.model.states.get((scope.name, key)))

    def join_mark(self, scope, key, mark, own=False):
        self.remember(model.Op(model.RELEASE, scope, key, None, 0, (0, 0)))
        marks.join(self.model.states.setdefault((scope.name, key), model.State()), mark, own)

    def take_fence(self, owner, now):
        return self.model.take_fence("g", owner, now - now % self.clock)

    def confirm_rebuilt(self, owner, token):
        self.model.confirm_rebuilt("g", owner, token)

    def release_kept(self, owner, token):
        self.model.release_kept("g", owner, token)

    def roll_back(self, steps):
        m = self.model
        for _ in range(min(steps, len(self.journal))):
            at, state, ident, known, m.fences, m.redriven = self.journal.pop()
            state = pickle.loads(state)
            if state is None:
                m.states.pop(at, None)
            else:
                m.states[at] = state
            m.ids.pop(ident, None) if known is None else m.ids.update({ident: known})

    def wipe(self):
        self.model.states.clear()
        self.model.ids.clear()
        self.model.redriven.clear()
        self.model.fences.clear()
        self.model.rebuilt.clear()
        self.model.released.clear()
        if self.journal is not None:
            self.journal.clear()


class Setup:
    """What one run looks like. A profile fixes some of it, the seed draws the rest."""

    def __init__(self, off=()):
        self.off = set(off)
        self.ordered, self.kind, self.at_most_once = True, "sequence", False
        self.partitions, self.owners, self.gateways = 1, "co", 2
        self.keys, self.records, self.gap = 3, 50, 12
        self.delays, self.timeout, self.lease = (30, 90), 24, 60
        self.ghost_ttl, self.give_up_after, self.cap = 2500, 2500, 1000
        self.outage, self.rollback, self.wipe, self.redrive, self.skew = None, 0, 0, 0, False
        self.faults, self.longest_stop, self.session = 6, 300, 30
        self.commit_every, self.on_full, self.on_superseded = 15, "pause", "drop"
        self.epochs, self.gaps, self.repeats, self.tiny_fails = 0.06, 0.05, 0.1, (0, 0, 0, 0, 1, 2, 3)
        self.poison, self.fence_clock = 0.04, 1
        self.max_steps, self.scope, self.most_twins = 90000, None, 6
        self.most_fenced, self.timeout_share = 120, 0.03
        self.marks = False


def profile_calm(s, r):
    s.epochs, s.gaps = r.choice([(s.epochs, s.gaps), (0, 0)])


def profile_split(s, r):
    s.owners, s.gateways, s.fence_clock = "split", 3, r.choice([1, 10 ** 6])     # the coarse clock: members draw equal tokens


def profile_twoparts(s, r):
    s.partitions, s.gateways, s.owners = 2, 3, r.choice(["co", "split"])


def profile_outage(s, r):
    start = r.randrange(50, 400)
    s.ghost_ttl, s.outage, s.owners = 150, (start, start + r.randrange(300, 1500)), r.choice(["co", "co", "split"])


def profile_long_outage(s, r):
    start = r.randrange(100, 300)
    s.outage, s.faults = (start, start + 4000), 2


def profile_rollback(s, r):
    s.rollback, s.ghost_ttl, s.owners = 5, 400, r.choice(["co", "split"])


def profile_failover(s, r):
    s.rollback, s.faults, s.most_twins = 3, 0, 100            # Redis loses writes, the owners live and remember


def profile_timeouts(s, r):
    s.timeout_share, s.lease = 0.25, 100


def profile_wipe(s, r):
    s.wipe, s.ghost_ttl, s.partitions = 2, 500, r.choice([1, 1, 2])


def profile_marks(s, r):
    """A wiped Redis with dedup.rebuild_from: topic, and a producer that repeats itself."""
    profile_wipe(s, r)
    s.partitions, s.marks, s.epochs, s.gaps, s.repeats = 1, True, 0, 0, 0.3


def profile_cap(s, r):
    s.cap, s.keys, s.tiny_fails, s.on_full = 2, 2, (0, 0, 1, 3, 4), r.choice(["pause", "pause", "dead-letter"])


def profile_kinds(s, r):
    s.kind = r.choice(["version", "event-id", "offset", "none"])
    s.owners, s.partitions = r.choice(["co", "split"]), r.choice([1, 1, 2])
    s.on_superseded = r.choice(["drop", "deliver"])


def profile_unordered(s, r):
    s.ordered, s.kind = False, r.choice(["sequence", "version", "event-id", "offset", "none"])
    s.owners = r.choice(["co", "split"])


def profile_gaps(s, r):
    s.gaps, s.epochs, s.tiny_fails = 0.3, 0.2, (0, 0, 1, 2)


def profile_redrive(s, r):
    s.redrive, s.poison, s.give_up_after, s.epochs = 12, 0.2, 200, 0.03


def profile_skew(s, r):
    s.skew = True


def profile_at_most_once(s, r):
    s.at_most_once, s.poison, s.rollback, s.repeats = True, 0, r.choice([0, 5]), 0


def profile_kept(s, r):
    """Keys that walk in order, nearly all of whose records go unasked."""
    s.tiny_fails, s.poison, s.timeout_share = (0,) * 40 + (1,), 0, r.choice([0.002, 0.05])
    s.epochs, s.gaps, s.repeats = r.choice([0, 0.02]), r.choice([0, 0.02]), r.choice([0.02, 0.1])
    s.keys, s.records, s.gap, s.faults = r.choice([2, 4]), 90, r.choice([4, 10]), 8
    s.timeout = r.choice([24, 24, 70])         # the longer one outlives a drain
    s.lease = 5 * s.timeout
    s.owners, s.partitions, s.gateways = r.choice(["co", "co", "split"]), r.choice([1, 1, 2]), r.choice([2, 3])
    s.repeats *= s.partitions == 1             # a repetition in another partition may be read first, and is indeterminate then


def profile_kept_rollback(s, r):
    profile_kept(s, r)
    s.rollback, s.faults, s.most_twins = 3, 0, 100


def profile_kept_wipe(s, r):
    profile_kept(s, r)
    s.wipe = 2


PROFILES = {name[8:]: f for name, f in globals().items() if name.startswith("profile_")}


class Run:
    def __init__(self, seed, profile, off=()):
        self.setup = s = Setup(off)
        self.world = w = World(seed, s.timeout)
        PROFILES[profile](s, w.r)
        s.scope = Scope("s", s.ordered, s.ghost_ttl, s.cap)
        w.ordered, w.timeout_share, w.timeout = s.ordered, s.timeout_share, s.timeout
        if s.outage:
            w.outages.append(s.outage)
        self.redis = Redis(s.off & set(model.RULES), s.rollback)
        self.redis.clock = s.fence_clock
        self.sources, self.gateways = [], []
        self.make_topics()
        self.make_records()
        self.pending = 0             # planned things that have not happened yet
        self.groups = self.groups_of_partitions()
        for i in range(s.gateways):
            self.start_gateway()
        for i, group in enumerate(self.groups):
            self.give(group, self.gateways[i % len(self.gateways)])
        self.plan_faults()

    # -- the stage -------------------------------------------------------------------------------------------------------------

    def make_topics(self):
        s = self.setup
        self.tps = [f"{topic}/{p}" for p in range(s.partitions)
                    for topic in ["src"] + [f"t{i}" for i in range(len(s.delays))] + ["redrive"]]
        for tp in self.tps:
            self.world.broker.create(tp)
        for p in range(s.partitions):
            self.world.broker.create(f"marks/{p}")

    def make_records(self):
        s, r, w = self.setup, self.world.r, self.world
        counts = {k: [1, 0] for k in range(s.keys)}
        when, made = 1, []
        for i in range(s.records):
            key = r.randrange(s.keys)
            epoch, number = counts[key]
            if s.kind == "sequence" and r.random() < s.epochs:
                epoch, number = epoch + 1, 0
            if s.kind == "version":
                number += r.choice([1, 3, 10, -1 if number > 1 else 1])
            else:
                number += 1 + (r.choice([1, 2, 80]) if r.random() < s.gaps else 0)
            counts[key] = [epoch, number]
            made.append((key, epoch, number, f"id{i}"))
            if r.random() < s.repeats:
                made.append(made[r.randrange(max(0, len(made) - 8), len(made))])
        for key, epoch, number, event_id in made:
            when += r.randrange(0, s.gap)
            p = r.randrange(s.partitions)
            log = w.broker.logs[f"src/{p}"]
            e, n = (epoch, number) if s.kind == "sequence" else (0, number if s.kind == "version" else 0)
            rec = Record(key, s.kind, e, n, event_id if s.kind == "event-id" else None, (len(log), p), when)
            log.append(rec)
            self.sources.append(rec)
            ident = rec.identity()
            if ident not in w.fails:
                w.fails[ident] = r.choice(s.tiny_fails)
                if r.random() < s.poison:
                    w.poison.add(ident)

    def groups_of_partitions(self):
        if self.setup.owners == "split":
            return [[tp] for tp in self.tps]
        return [[tp for tp in self.tps if tp.endswith(f"/{p}")] for p in range(self.setup.partitions)]

    def start_gateway(self):
        g = Gateway(self.world, self.redis, self.setup, f"g{len(self.gateways)}")
        self.gateways.append(g)
        return g

    def give(self, group, gw):
        for tp in group:
            self.world.broker.owner[tp] = gw
            gw.assign(tp)

    # -- what goes wrong -------------------------------------------------------------------------------------------------------

    def plan(self, delay, call):
        self.pending += 1

        def happen():
            self.pending -= 1
            call()
        self.world.at(self.world.now + delay, happen)

    def plan_faults(self):
        s, r = self.setup, self.world.r
        span = s.records * s.gap // 2 + 600
        for _ in range(r.randrange(s.faults + 1)):
            self.plan(r.randrange(span), r.choice([self.crash, self.crash, self.stop, self.stop, self.rebalance]))
        for _ in range(s.rollback):
            self.plan(r.randrange(span), lambda: self.redis.roll_back(r.randrange(1, 25)))
        for _ in range(r.randrange(1, s.wipe + 1) if s.wipe else 0):
            self.plan(r.randrange(span), self.wipe)
        for i in range(s.redrive):
            self.plan(r.randrange(200, span + 1500), lambda i=i: self.redrive(i))

    def wipe(self):
        self.world.losses.append(self.world.now)
        self.redis.wipe()

    def owners(self):
        return sorted({g for g in self.world.broker.owner.values() if g.alive}, key=lambda g: g.name)

    def heir(self, old):
        others = [g for g in self.gateways if g.alive and g is not old and g.stopped_until <= self.world.now]
        return self.world.r.choice(others) if others and self.world.r.random() < 0.7 else self.start_gateway()

    def move_from(self, old):
        """The group noticed that a member is gone: its partitions go to others."""
        for group in self.groups:
            if self.world.broker.owner[group[0]] is old:
                self.give(group, self.heir(old))

    def crash(self):
        if owners := self.owners():
            victim = self.world.r.choice(owners)
            victim.alive = False
            self.plan(self.setup.session + self.world.r.randrange(30), lambda: self.move_from(victim))

    def stop(self):
        """SIGSTOP: it will go on later and does not know that the world went on without it."""
        if owners := self.owners():
            victim, r = self.world.r.choice(owners), self.world.r
            victim.stopped_until = self.world.now + r.randrange(5, self.setup.longest_stop)
            if victim.stopped_until > self.world.now + self.setup.session:
                self.plan(self.setup.session, lambda: self.move_from(victim))

    def rebalance(self):
        group = self.world.r.choice(self.groups)
        old = self.world.broker.owner[group[0]]
        if not old.alive or old.stopped_until > self.world.now:
            return
        self.pending += 1

        def hand_over():
            for tp in group:
                if (part := old.parts.get(tp)) and part.open:
                    yield from old.revoke(part)
            done()

        def done():
            if self.world.broker.owner[group[0]] is old and moved == []:
                moved.append(1)
                self.give(group, self.heir(old))
        moved = []
        old.go(hand_over())

        def deadline():
            self.pending -= 1
            done()
        self.world.at(self.world.now + 200, deadline)       # the group does not wait for ever

    def redrive(self, i):
        dead = [rec for rec, why in self.world.dead if why == "give-up"]
        if not dead:
            return
        rec = self.world.r.choice(dead).copy()
        self.world.poison.discard(rec.identity())
        self.world.fails[rec.identity()] = 0
        rec.redrive_id, rec.delay, rec.visible = f"job{i}", 0, self.world.now
        self.world.broker.append(f"redrive/{rec.rank[1]}", rec)

    # -- a run -----------------------------------------------------------------------------------------------------------------

    def finished(self):
        b = self.world.broker
        return not self.pending and all(b.position(tp) >= len(b.logs[tp]) for tp in self.tps)

    def run(self):
        steps, world = 0, self.world
        while steps < self.setup.max_steps:
            steps += 1
            if not world.step() or (steps % 64 == 0 and self.finished()):
                break
        verdict = check(world, self.sources, self.setup)
        verdict.steps, verdict.fenced = steps, self.redis.fenced
        if self.redis.fenced > self.setup.most_fenced:
            verdict.add("storm", f"{self.redis.fenced} FENCED answers")
        if not self.finished():
            verdict.broken["lost"] = 0                       # it may yet come
            stuck = {tp: f"{world.broker.position(tp)}/{len(world.broker.logs[tp])}" for tp in self.tps
                     if world.broker.position(tp) < len(world.broker.logs[tp])}
            verdict.add("stuck", f"t={world.now} steps={steps} {stuck}")
        return verdict


# What must be 0 in each profile; the rest falls into named windows of the promise and is only counted.
ALL = ("lost", "stuck", "order", "overlap", "double", "dead", "early", "storm", "again")
MUST = {name: ALL for name in PROFILES}
MUST["rollback"] = ("lost", "stuck", "storm")
MUST["failover"] = ("lost", "stuck", "order", "storm")
MUST["wipe"] = ("lost", "stuck", "order", "storm")
MUST["marks"] = ("lost", "stuck", "order", "storm", "again")
MUST["kept_rollback"] = ("lost", "stuck", "order", "storm")
MUST["kept_wipe"] = ("lost", "stuck", "order", "storm")
MUST["at_most_once"] = ("double", "stuck", "storm")


def batch(profile, seed, runs, off=(), stop_at_first=False, seconds=None, trace=None):
    total, excluded, example, n = collections.Counter(), collections.Counter(), {}, 0
    start = time.process_time()
    for i in range(seed, seed + runs):
        if seconds and time.process_time() - start > seconds:
            break
        run = Run(i, profile, off)
        run.redis.trace = trace
        verdict = run.run()
        n += 1
        for kind, count in verdict.bad().items():
            if kind in MUST[profile]:
                total[kind] += count
                example.setdefault(kind, (i, verdict.detail.get(kind)))
            else:
                excluded[kind] += count
        total["copies"] += run.world.broker.copies
        total["deliveries"] += len(run.world.successes)
        total["unasked"] += sum(g.unasked for g in run.gateways)
        if stop_at_first and any(total[k] for k in ALL):
            break
    return n, total, excluded, example


def report(profile, seed, runs, off, verbose, seconds=None, trace=None):
    start = time.monotonic()
    n, total, excluded, example = batch(profile, seed, runs, off, seconds=seconds, trace=trace)
    bad = {k: total[k] for k in ALL if total[k]}
    words = " ".join(f"{k}={v}" for k, v in bad.items()) or "all 0"
    extra = " ".join(f"{k}={v}" for k, v in excluded.items())
    print(f"{profile:13} runs={n:<5} {words}{'  (in excluded windows: ' + extra + ')' if extra else ''}"
          f"  [{total['copies'] // max(n, 1)} copies, {total['unasked'] // max(n, 1)} unasked a run, {time.monotonic() - start:.1f} s]", flush=True)
    for kind, (seed_of, what) in example.items():
        print(f"   {kind}: seed {seed_of}: {what}" if verbose else f"   {kind}: seed {seed_of}")
    return not bad


def main(argv=None):
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--runs", type=int, default=100, help="runs per profile")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--profile", choices=sorted(PROFILES))
    p.add_argument("--off", default="", help="rules to switch off, comma separated")
    p.add_argument("--matrix", action="store_true")
    p.add_argument("--seconds", type=float, help="at most so long per profile")
    p.add_argument("--trace", type=int, metavar="KEY", help="print the ledger operations of a key (0, 1, 2)")
    p.add_argument("-v", "--verbose", action="store_true")
    args = p.parse_args(argv)
    off = [r for r in args.off.split(",") if r]
    for rule in off:
        if rule not in gateway.all_rules():
            p.error(f"no such rule: {rule}; there are: {', '.join(sorted(gateway.all_rules()))}")
    if args.matrix:
        import matrix
        return matrix.main(args.seed, args.runs)
    print(f"seed {args.seed}" + (f", without: {', '.join(off)}" if off else ""))
    good = [report(name, args.seed, args.runs, off, args.verbose or bool(off), args.seconds, args.trace)
            for name in ([args.profile] if args.profile else PROFILES)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
