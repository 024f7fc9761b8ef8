"""Tests marked slow run with `-m slow`, with ONCEGATE_LONG=1, or when named; otherwise they are left out."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import script  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(scope="module")
def redis():
    try:
        server = script.Redis()
    except FileNotFoundError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("redis-server is missing")
    with server:
        yield server


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: minutes, for --all")


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr or os.environ.get("ONCEGATE_LONG") or any("::" in a for a in config.args):
        return
    slow = [i for i in items if i.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [i for i in items if i not in slow]
