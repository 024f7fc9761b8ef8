"""Fixtures of the fault tests: one bench for the session."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from faults.bench import Bench  # noqa: E402
from support.needs import programs  # noqa: E402,F401 pylint: disable=unused-import


@pytest.fixture(scope="session")
def bench(programs, tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("faults"))
    yield bench
    bench.close()
