"""lua/apply_ops.lua against the model, on a real redis-server."""

import collections
import os
import random

import pytest

import difftest
import model
import script

SEED = int(os.environ.get("ONCEGATE_SEED", random.SystemRandom().randrange(10**9)))


def compare(redis, operations):
    print(f"seed {SEED}")
    forms = collections.Counter()
    _, codes, found = difftest.run(redis, operations, SEED, forms=forms)
    assert found is None, f"difftest.py --seed {found[0]} --ops 1 shows it"
    assert set(codes) == set(model.CODES), f"never reached: {set(model.CODES) - set(codes)}"
    assert set(forms) == set(script.FORMS), f"never left behind: {set(script.FORMS) - set(forms)}"


def test_script_over_100000_operations_equals_model(redis):
    compare(redis, 100000)


@pytest.mark.slow
def test_script_over_a_million_operations_equals_model(redis):
    compare(redis, 1000000)


@pytest.mark.parametrize("rule", sorted(model.RULES))
def test_model_with_a_rule_off_differs(redis, rule):
    _, _, found = difftest.run(redis, 60000, 5, {rule}, quiet=True)
    assert found, f"the comparison cannot see the rule: {model.RULES[rule]}"
