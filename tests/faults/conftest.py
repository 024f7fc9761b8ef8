"""Fixtures of the fault tests: one bench for the session."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from faults.bench import Bench  # noqa: E402
from support import slow  # noqa: E402
from support.needs import programs  # noqa: E402,F401 pylint: disable=unused-import


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes long; left out unless CI=true or -m slow")


def pytest_collection_modifyitems(config, items):
    slow.leave_out(config, items)


@pytest.fixture(scope="session")
def bench(programs, tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("faults"))
    yield bench
    bench.close()
