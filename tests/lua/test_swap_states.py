"""lua/swap_states.lua: claims that know no state, against the model on a real redis-server, and several in one call."""

import os
import random

import pytest

import difftest
import model
import script

SEED = int(os.environ.get("ONCEGATE_SEED", random.SystemRandom().randrange(10**9)))
NOW, OWNER, TOKEN = 10**9, "orders/0", 1000


def test_claims_of_one_that_remembers_nothing_equal_model(redis):
    print(f"seed {SEED}")
    unknowing = difftest.Unknowing(redis)
    _, _, found = difftest.run(redis, 50000, SEED, unknowing=unknowing)
    assert found is None, f"difftest.py --unknowing --seed {found[0]} --ops 1 shows it"
    assert unknowing.granted[script.CLAIMED_BEHIND] > 150
    assert unknowing.granted[script.CLAIMED_FIRST] > 150
    assert unknowing.missed > 150


class World:
    def __init__(self, redis):
        self.redis, self.scope, self.source = redis, model.Scope(model.SEQUENCE, True, 1000, 1000), script.source_of("orders", 0)
        self.general = redis.call("SCRIPT", "LOAD", script.source("apply_ops")).decode()
        self.swap = redis.call("SCRIPT", "LOAD", script.source("swap_states")).decode()
        redis.call("FLUSHDB")
        redis.call("HSET", "{x}:fence", OWNER, TOKEN)

    def op(self, verb, key, number):
        return model.Op(verb, self.scope, key, OWNER, TOKEN, (number, self.source), number=number, leader_epoch=0,
                        lease=60 * (verb == model.CLAIM))

    def deliver(self, key, number):
        ops = [self.op(verb, key, number) for verb in (model.CLAIM, model.SUCCEEDED)]
        self.redis.call(*script.pack_call(self.general, "{x}", ops, NOW))

    def claim(self, *records, now=NOW):
        claims = [self.op(model.CLAIM, *record) for record in records]
        return script.unpack_claims(self.redis.call(*script.pack_claims(self.swap, "{x}", claims, now)), len(claims))

    def stands(self, key):
        return self.redis.call("HGET", script.bucket_of("{x}", self.scope), "=" + key)

    def put(self, key, state):
        self.redis.call("HSET", script.bucket_of("{x}", self.scope), "=" + key, state)


@pytest.fixture
def world(redis):
    return World(redis)


def test_one_call_tells_each_claim_what_stood_there(world):
    for number in (1, 2):
        world.deliver("a", number)
        world.deliver("b", number + 1)
    before = [world.stands(key) for key in ("a", "b")]
    assert world.claim(("a", 3), ("new", 7), ("b", 9), ("b", 4)) == [
        (script.CLAIMED_BEHIND, before[0]), (script.CLAIMED_FIRST, None), (), (script.CLAIMED_BEHIND, before[1])]
    assert [world.stands(key)[0] for key in ("a", "new", "b")] == [script.CLAIMED, script.NEW, script.CLAIMED]


def test_foreign_bytes_are_left_to_apply_ops(world):
    world.deliver("a", 1)
    free = world.stands("a")
    for state in (b"", b"\x10", b"\x10" * 41, free[:-1], b"\x14" + free[1:], free + b"\0"):
        world.put("a", state)
        assert world.claim(("a", 2)) == [()]
        assert world.stands("a") == state
    world.put("a", free)
    assert world.claim(("a", 2)) == [(script.CLAIMED_BEHIND, free)]


def test_state_that_is_too_old_is_left_to_apply_ops(world):
    world.deliver("a", 1)
    world.deliver("b", 1)
    assert world.claim(("a", 2), now=NOW + script.TTL + 1) == [()]
    assert world.claim(("b", 2), now=NOW + script.TTL)[0][0] == script.CLAIMED_BEHIND


def test_owner_without_a_fence_claims_nothing(world):
    world.deliver("a", 1)
    world.redis.call("DEL", "{x}:fence")
    assert world.claim(("a", 2), ("new", 1)) == [(), ()]
    assert world.stands("new") is None
