"""Fixtures of the end-to-end tests: one broker for the session, a fresh world for each test.

What is missing (Java, Redis, the built program) skips on a laptop and fails where CI=true."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import slow  # noqa: E402
from support.broker import Broker  # noqa: E402
from support.needs import programs  # noqa: E402,F401 pylint: disable=unused-import
from support.world import World  # noqa: E402


# The readline of some Pythons tells its children of a terminal that is not there.
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; left out unless CI=true or -m slow")
    config.addinivalue_line("markers", "long: begun first, so that the short ones fill up the rest")
    config.addinivalue_line("markers", "xdist_group: run by one process, where there are several")


def _turn(item):
    """The longest first; last what starts no server, so that the end is not spent on waiting for one."""
    if {"long", "slow", "xdist_group"} & set(item.keywords):
        return 0
    return 1 if "broker" in item.fixturenames else 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        if "module_world" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group(item.path.name))
    items.sort(key=_turn)
    slow.leave_out(config, items)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its gateways say at that moment, and the ends of their logs."""
    report = (yield).get_result()
    if report.when != "call" or not report.failed:
        return
    for name in ("fresh_world", "module_world"):
        world = getattr(item, "funcargs", {}).get(name)
        if world is not None:
            report.sections.append(("the gateways of this test", world.show()))


@pytest.fixture(scope="session")
def broker(programs, tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("kafka"))
    yield broker
    broker.stop(kill=True)


@pytest.fixture
def fresh_world(tmp_path, broker):
    world = World(tmp_path, broker)
    yield world
    world.close()


@pytest.fixture
def world(fresh_world):
    """What most tests use; files whose tests share one world define their own."""
    return fresh_world


@pytest.fixture(scope="module")
def module_world(tmp_path_factory, broker):
    """One world for all tests of a file, where they only look at different records."""
    world = World(tmp_path_factory.mktemp("world"), broker)
    yield world
    world.close()
