"""How states stand in buckets: small where they can, never larger than a packed hash takes, gone when they are too old."""

import os
import random
import re
import struct

import pytest

import difftest
import model
import script

SEED = int(os.environ.get("ONCEGATE_SEED", random.SystemRandom().randrange(10**9)))
NOW, LEASE, TOKEN = 10**9, 60, 1000
OWNER = "orders/0"

CONVERT = """#!lua
local pack, unpack = struct.pack, struct.unpack
local byte, sub, char, format = string.byte, string.sub, string.char, string.format
local band, bor, lshift, rshift = bit.band, bit.bor, bit.lshift, bit.rshift
local call, now = redis.call, 0
--@include place
--@include numbers
--@include small
if ARGV[1] == 'narrow' then
    return narrow(ARGV[2])
end
return widen(ARGV[2])
"""


class World:
    def __init__(self, redis):
        self.redis, self.scope, self.copies = redis, model.Scope(model.SEQUENCE, True, 1000, 1000), 0
        self.sha = redis.call("SCRIPT", "LOAD", script.source("apply_ops")).decode()
        redis.call("FLUSHDB")
        redis.call("HSET", "{x}:fence", OWNER, TOKEN)

    def do(self, verb, key, number, now, **more):
        op = model.Op(verb, self.scope, key, OWNER, TOKEN, (number, script.source_of("orders", 0)), number=number, leader_epoch=0,
                      **{"lease": LEASE if verb == model.CLAIM else 0, **more})
        reply = self.redis.call(*script.pack_call(self.sha, "{x}", [op], now))
        return script.unpack_answers(reply, 1)[0].code

    def deliver(self, key, number, now, keep_ms=0):
        assert self.do(model.CLAIM, key, number, now) == "GO"
        assert self.do(model.SUCCEEDED, key, number, now, lease=keep_ms) == "OK"

    def park(self, key, number, now):
        assert self.do(model.CLAIM, key, number, now) == "GO"
        self.copies += 1
        assert self.do(model.PARKED, key, number, now, tier=10000, copy_offset=self.copies, hop=1) == "OK"

    def stands(self, key):
        return self.redis.call("HGET", self.bucket(), "=" + key)

    def bucket(self):
        return script.bucket_of("{x}", self.scope)

    def exists_apart(self, key):
        return self.redis.call("EXISTS", script.keys_of("{x}", self.scope, key)[0][1])


@pytest.fixture
def world(redis):
    return World(redis)


def test_state_goes_apart_and_comes_back(world):
    world.deliver("a", 1, NOW)
    assert (world.stands("a")[0], world.exists_apart("a")) == (script.FREE, 0)
    world.park("a", 2, NOW)
    assert (world.stands("a")[0], world.exists_apart("a")) == (script.APART, 1)
    assert world.do(model.CLAIM, "a", 2, NOW, source=model.TIER, hop=1) == "GO"
    assert world.do(model.SUCCEEDED, "a", 2, NOW, source=model.TIER, hop=1) == "OK"
    assert (world.stands("a")[0], world.exists_apart("a")) == (script.WHOLE, 0)
    world.deliver("a", 3, NOW)
    assert world.do(model.CLAIM, "a", 2, NOW) == "DUP"


def test_list_that_no_state_knows_of_is_a_leftover(world):
    world.park("a", 2, NOW)
    names, field = script.keys_of("{x}", world.scope, "a")
    world.redis.call("HDEL", names[0], field)
    world.redis.call("DEL", names[1])
    world.park("a", 7, NOW)
    assert world.redis.call("ZCARD", names[2]) == 1


def test_no_state_makes_its_bucket_large(world):
    """One value of more than 64 bytes makes a table of the whole hash for good."""
    for i in range(180):
        key = "k%d" % i
        if i % 2:
            world.deliver(key, 1, NOW)
        if i % 9 == 0:
            world.park(key, 2, NOW)
        elif i % 3:
            assert world.do(model.CLAIM, key, 2, NOW) == "GO"
    assert world.do(model.CLAIM, "huge", 2**50, NOW) == "GO"    # too large to be written small
    forms, longest = script.forms_of(world.redis, "{x}")
    assert forms == {script.APART: 21, script.NEW: 60, script.CLAIMED: 60, script.FREE: 20}
    assert longest <= 64
    assert world.redis.call("OBJECT", "ENCODING", world.bucket()) == b"listpack"


def test_state_counts_for_its_ttl_and_no_longer(world):
    world.deliver("a", 5, NOW)
    assert world.do(model.CLAIM, "a", 5, NOW + script.TTL) == "DUP"
    assert world.do(model.CLAIM, "a", 5, NOW + script.TTL + 1) == "GO"


def test_claim_counts_from_its_deadline(world):
    world.deliver("a", 5, NOW)
    assert world.do(model.CLAIM, "a", 6, NOW) == "GO"
    assert world.do(model.CLAIM, "a", 5, NOW + LEASE + script.TTL) == "DUP"
    assert world.do(model.CLAIM, "a", 5, NOW + LEASE + script.TTL + 1) == "GO"


def test_too_old_states_go_when_the_expiry_is_renewed(world):
    for key in ("a", "b", "c"):
        world.deliver(key, 1, NOW)
    world.deliver("d", 1, NOW + 10)
    late = NOW + script.TTL + 5
    world.deliver("c", 9, late)
    assert world.redis.call("HLEN", world.bucket()) == 4
    world.redis.call("PEXPIRE", world.bucket(), script.TTL)    # as if a sixteenth of the time had gone by
    world.deliver("e", 1, late)
    assert sorted(world.redis.call("HKEYS", world.bucket())) == [b"=c", b"=d", b"=e"]
    assert world.redis.call("PTTL", world.bucket()) > script.TTL + script.TTL // 16


@pytest.mark.parametrize("keep_ms", [0, script.TTL // 61])
def test_bucket_lives_on_while_it_is_written(world, keep_ms):
    """Also where a claim is always kept, so that the state's time is always one to come."""
    step = script.TTL // 61
    for n in range(1, 100):
        world.deliver("a", n, NOW + n * step, keep_ms)
        left = world.redis.call("PTTL", world.bucket())
        assert left > script.TTL
        world.redis.call("PEXPIRE", world.bucket(), left - step)


def plain(epoch, floor, last, partition, offset, leader):
    return b"\1" + (b"\x11" if floor < 0 else b"\1") + b"\x82" + struct.pack(">QqQ", epoch, floor, last) + b"\1" + script.source_of("orders", partition) \
        + struct.pack(">QI", offset, leader)


def claim(epoch, last, partition, offset, token, kept):
    rank = bytes(20) if kept else script.source_of("orders", partition) + struct.pack(">Q", offset)
    identity = bytes(17) if kept else b"\0" + struct.pack(">QQ", epoch, last + 1)
    return rank + script.owner_hash(OWNER) + struct.pack(">Q", token) + identity + struct.pack(">Q", NOW)[2:]


LIMITS = {"epoch": 48, "last": 48, "above": 32, "partition": 16, "offset": 48, "leader": 24, "token": 48, "at": 48}


def random_values(r):
    """Numbers of all sizes, borders too."""
    values = {}
    for name, bits in LIMITS.items():
        values[name] = r.choice([0, 1, r.randrange(2**r.choice([1, 8, bits - 1])), 2**bits - 1])
        if r.random() < 0.02:
            values[name] = 2**bits + r.choice([0, 1])
    values["last"] = max(values["last"], values["above"] - 1)    # nothing seen: -1
    return values


def is_small(v, claimed, kept):
    used = set(LIMITS) - (set() if claimed else {"token", "at"}) - ({"at"} if kept else set())
    return all(v[name] < 2**LIMITS[name] for name in used) and (not claimed or kept or v["last"] + 1 < 2**48)


def test_what_is_written_small_is_read_as_it_was(redis):
    r, small = random.Random(SEED), 0
    print("seed", SEED)
    sha = redis.call("SCRIPT", "LOAD", script.assembled(CONVERT)).decode()
    for _ in range(6000):
        v, claimed, kept = random_values(r), r.random() < 0.7, r.random() < 0.4
        whole = plain(v["epoch"], v["last"] - v["above"], v["last"], v["partition"], v["offset"], v["leader"])
        if claimed:
            whole += claim(v["epoch"], v["last"], v["partition"], v["at"], v["token"], kept)
        got = redis.call("EVALSHA", sha, 0, "narrow", whole)
        assert (got is not None) == is_small(v, claimed, kept), (v, claimed, kept)
        if got is None:
            continue
        small += 1
        stored = got if claimed else got + bytes(6)
        assert len(stored) == script.FORMS[stored[0]]
        assert redis.call("EVALSHA", sha, 0, "widen", stored) == whole, (v, claimed, kept)
    assert 3000 < small < 5900


def test_first_claim_of_a_key_is_written_small(redis):
    sha = redis.call("SCRIPT", "LOAD", script.assembled(CONVERT)).decode()
    for epoch, number in ((0, 0), (0, 1), (7, 5), (2**48 - 1, 2**48 - 1), (2**48, 1), (0, 2**48)):
        before = struct.pack(">q", number - 1)
        whole = bytes([1, 1 if number else 49, 0]) + struct.pack(">Q", epoch) + 2 * before + claim(epoch, number - 1, 3, 77, TOKEN, False)
        got = redis.call("EVALSHA", sha, 0, "narrow", whole)
        assert (got is not None) == (max(epoch, number) < 2**48)
        if got:
            assert len(got) == script.FORMS[script.NEW] and redis.call("EVALSHA", sha, 0, "widen", got) == whole
        for other in (whole[:12] + b"\1" + whole[13:], whole[:35] + b"\1" + whole[36:]):    # floor, partition
            assert redis.call("EVALSHA", sha, 0, "narrow", other) is None


def test_numbers_from_zero_stay_small(world):
    for n in range(5):
        world.deliver("a", n, NOW)
        assert world.stands("a")[0] == script.FREE
        assert world.do(model.CLAIM, "a", 0, NOW) == "DUP"


def test_what_is_not_in_order_is_not_written_small(redis):
    sha = redis.call("SCRIPT", "LOAD", script.assembled(CONVERT)).decode()
    whole = plain(1, 5, 9, 0, 70, 1)
    good = claim(1, 9, 0, 71, TOKEN, False)
    for state in (whole + claim(2, 9, 0, 71, TOKEN, False), whole + claim(1, 8, 0, 71, TOKEN, False),
                  whole + claim(1, 9, 1, 71, TOKEN, False), whole + b"\xff" * 20 + good[20:], whole + good + good,
                  b"\1\5" + whole[2:], b"\1\1\x86" + whole[3:], whole[:27] + b"\2" + whole[28:], whole[:-1], plain(1, 9, 5, 0, 70, 1)):
        assert redis.call("EVALSHA", sha, 0, "narrow", state) is None, state
    assert redis.call("EVALSHA", sha, 0, "narrow", whole + good) is not None


def left_behind(redis, text, calls, seed):
    """Every key and what stands there, once the history was played by that script."""
    redis.call("FLUSHDB")
    sha = redis.call("SCRIPT", "LOAD", text).decode()
    difftest.play_script(redis, sha, "{s}", calls, seed, flush=False)
    found = {}
    for key in redis.call("KEYS", "{s}:*"):
        kind = redis.call("TYPE", key)
        command = {"hash": ["HGETALL", key], "string": ["GET", key], "zset": ["ZRANGE", key, 0, -1, "WITHSCORES"]}[kind]
        found[key] = redis.call(*command)
        if kind == "hash":
            found[key] = dict(zip(found[key][::2], found[key][1::2]))
    return found


def test_straight_way_leaves_what_the_general_one_does(redis):
    text, seed = script.source("apply_ops"), SEED
    general = re.sub(r"(local function is_small\(\)\n    return )", r"\1false and ", text)
    assert general != text
    print("seed", SEED)
    walked = 0
    while walked < 60:
        history = difftest.History(seed)
        if history.set.straight:
            walked += 1
            assert left_behind(redis, text, history.calls, seed) == left_behind(redis, general, history.calls, seed), seed
        seed += 1
