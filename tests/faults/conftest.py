"""Fixtures of the fault tests: one bench for the session."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from faults.bench import Bench  # noqa: E402
from support import places, redis_server  # noqa: E402


def missing(what):
    if os.environ.get("CI") == "true":
        pytest.fail("%s is missing, and CI demands it" % what)
    pytest.skip("%s is missing" % what)


@pytest.fixture(scope="session")
def programs():
    if places.find_gateway() is None:
        missing("the program (scripts/build)")
    if places.find_support() is None:
        missing("og-support (built with the tests)")
    if not redis_server.available():
        missing("redis-server")


@pytest.fixture(scope="session")
def bench(programs, tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("faults"))
    yield bench
    bench.close()
