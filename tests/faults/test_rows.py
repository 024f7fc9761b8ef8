"""The short set: the rows of the matrix that are worth their seconds in every run of the tests.

The seed is fixed, so that a failure is of the change and not of the day; ONCEGATE_SEED=fresh draws
one, a number plays that one. The seed stands in the row."""

import os

import pytest

from faults import bench as benches
from faults import catalog, schedule
from support import places
from support.needs import missing

SHORT = [spec for spec in catalog.load().values() if spec.short]


def seed():
    said = os.environ.get("ONCEGATE_SEED", "1")
    return schedule.fresh_seed() if said == "fresh" else int(said)


@pytest.mark.parametrize("spec", SHORT, ids=[spec.name for spec in SHORT])
def test_row(bench, spec):
    try:
        row = bench.play(spec, seed())
    except benches.Skipped as why:
        missing(str(why))
    print(row.text())
    assert row.good, "%s\n%s" % (row.text(), benches.explain(row))


def test_what_is_shipped_has_no_crash_points(programs):
    program = places.find_gateway()
    if "release" not in program.parts:
        pytest.skip("%s is not the build that is shipped" % program)
    assert places.CRASH_MARK not in program.read_bytes()
