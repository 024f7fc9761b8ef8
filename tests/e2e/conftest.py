"""Fixtures of the end-to-end tests: one broker for the session, a fresh world for each test.

What is missing (Java, Redis, the built program) skips on a laptop and fails where CI=true."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from support import places, redis_server  # noqa: E402
from support.broker import Broker  # noqa: E402
from support.world import World  # noqa: E402


# About how many seconds each file takes, so that two shards end at about the same time.
SECONDS = {"test_at_most_once.py": 110, "test_bad_input.py": 25, "test_classify.py": 25,
           "test_delivery.py": 25, "test_identity.py": 55, "test_limits.py": 25,
           "test_operations.py": 80,
           "test_outage.py": 65, "test_redis.py": 130, "test_redis_topologies.py": 60, "test_restart.py": 80, "test_retry.py": 60,
           "test_spool.py": 60, "test_block_key.py": 25,
           "test_watchdog.py": 45}


def files_of_shard(shard, names):
    """shard is "1/2": the files that are its share, the longest dealt out first."""
    number, of = map(int, shard.split("/"))
    loads = [[0, []] for _ in range(of)]
    for name in sorted(names, key=lambda name: (-SECONDS.get(name, 5), name)):
        least = min(loads, key=lambda load: load[0])
        least[0] += SECONDS.get(name, 5)
        least[1].append(name)
    return set(loads[number - 1][1])


def pytest_addoption(parser):
    parser.addoption("--shard", metavar="I/N",
                     help="run only the I-th of N shares of the files, each with its own broker; "
                          "the tests wait more than they work, so two at once take half the time")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; left out unless CI=true or -m slow")


def pytest_collection_modifyitems(config, items):
    shard = config.getoption("--shard")
    if shard:
        mine = files_of_shard(shard, {item.path.name for item in items})
        config.hook.pytest_deselected(items=[i for i in items if i.path.name not in mine])
        items[:] = [item for item in items if item.path.name in mine]
    if config.getoption("-m") or os.environ.get("CI") == "true":
        return
    skip = pytest.mark.skip(reason="slow: run by scripts/test --all, or with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


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


def missing(what):
    if os.environ.get("CI") == "true":
        pytest.fail("%s is missing, and CI demands it" % what)
    pytest.skip("%s is missing" % what)


@pytest.fixture(scope="session")
def programs():
    """The program under test and its instruments are there."""
    if places.find_gateway() is None:
        missing("the program (scripts/build)")
    if places.find_support() is None:
        missing("og-support (built with the tests)")
    if not redis_server.available():
        missing("redis-server")


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
