"""lua/join_marks.lua against the marks of the simulation: random blocks, each joined into another one."""

import copy
import os
import random
import struct
import sys

import model
import script

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sim"))

import marks  # noqa: E402  pylint: disable=wrong-import-position

SEED = int(os.environ.get("ONCEGATE_LUA_SEED", "0")) or random.SystemRandom().randrange(10**9)
JOINS = 4000
CUT, PREVIOUS_CUT = 4, 8


def made(r, epoch, base):
    block = model.Block(epoch, base + r.randrange(1, 90))
    for _ in range(r.choice([1, 1, 2, 5, 20])):
        block.join(max(1, block.L + r.choice([1, 1, 1, 2, 3, -4, 40, 70])))
    if r.random() < 0.3:
        block.raise_floor(block.I + r.randrange(-2, block.L + 2 - block.I))
    return block


def made_state(r, base):
    state = object.__new__(model.Sequence)
    epoch = r.choice([1, 1, 1, 2])
    state.cur, state.D = made(r, epoch, base), None
    state.prev = made(r, epoch - 1, base) if epoch > 1 and r.random() < 0.6 else None
    return state


def packed(state):
    cur, prev = state.cur, state.prev
    out = struct.pack(">QQQ", cur.E, cur.I, cur.L)
    kind, flags = 1 + CUT * cur.cut, 0
    if cur.W:
        out, flags = out + struct.pack(">Q", cur.W), 16
    if prev:
        out, flags = out + struct.pack(">QQQQ", prev.E, prev.I, prev.L, prev.W), flags + 32
        kind += PREVIOUS_CUT * prev.cut
    return bytes([1, kind, flags]) + out


def test_join_is_that_of_the_simulation():
    r = random.Random(SEED)
    with script.Redis() as redis:
        sha = redis.call("SCRIPT", "LOAD", script.source("join_marks")).decode()
        for number in range(JOINS):
            base = r.choice([0, 0, 2**32 - 100, 2**53 - 60])
            known, mark, own = model.State(), made_state(r, base), r.random() < 0.2
            known.block = made_state(r, base)
            redis.call("SET", "k", packed(known.block))
            said = "seed %d, join %d, own %s: %s and %s" % (SEED, number, own, packed(known.block).hex(),
                                                            packed(mark).hex())
            want = copy.deepcopy(known)
            marks.join(want, mark, own)
            told = redis.call("EVALSHA", sha, 4, "f", "b", "k", "p", "o", 0, 10**6, "", bytes([own, 0]) + packed(mark))[0]
            assert told.hex() == packed(want.block).hex(), said
            assert redis.call("GET", "k") == told, said
