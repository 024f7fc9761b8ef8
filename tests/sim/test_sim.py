"""The simulation in CI: a short run of every profile, and the rules whose absence must be seen."""

import os
import random

import pytest

import gateway
import matrix
import sim

WANTED = os.environ.get("ONCEGATE_SEED", "1")
SEED = random.SystemRandom().randrange(10**9) if WANTED == "fresh" else int(WANTED)
QUICK = ["ack-first", "deliver-first", "produce-first", "ghost", "evidence", "hop", "not-head", "rebuild", "refund", "tombstone",
         "cap", "earliest", "seen-entry", "moved-on", "fence-missing", "done-parked", "append-time", "commit-acked",
         "marks-rebuild", "marks-first", "marks-done"]


def nothing_broke(profile, seed, runs):
    _, total, _, example = sim.batch(profile, seed, runs)
    bad = {kind: total[kind] for kind in sim.ALL if total[kind]}
    assert not bad, f"sim.py --profile {profile} --seed {seed} --runs {runs}: {bad} {example}"


@pytest.mark.parametrize("profile", sorted(sim.PROFILES))
def test_protocol_with_crashes_anywhere_breaks_nothing(profile):
    nothing_broke(profile, SEED, 12)


@pytest.mark.slow
@pytest.mark.parametrize("profile", sorted(sim.PROFILES))
def test_protocol_with_many_seeds_breaks_nothing(profile):
    """The same seeds every time, so that a build is judged by its own change; ONCEGATE_SEED=fresh goes looking."""
    nothing_broke(profile, SEED + 1000, 80)


@pytest.mark.parametrize("rule", QUICK)
def test_rule_switched_off_is_seen(rule):
    assert matrix.show(rule, SEED, 60), f"{rule}: {gateway.all_rules()[rule]}"


@pytest.mark.slow
@pytest.mark.parametrize("rule", sorted(set(gateway.all_rules()) - set(QUICK) - set(matrix.NOT_SHOWN)))
def test_rare_rule_switched_off_is_seen(rule):
    assert matrix.show(rule, SEED, 300, seconds=60), f"{rule}: {gateway.all_rules()[rule]}"


def test_every_rule_is_placed_in_the_matrix():
    assert set(matrix.WHERE) == set(gateway.all_rules())
