"""Planted faults: a gateway with a known mistake, under the bench, must not pass for a good one.

The mistakes are compiled into Debug builds only (src/base/crash_point.h). Each is seen in the column
that is for it; without its mistake the same row is clean, which test_rows.py shows."""

import pytest

from faults import bench as benches
from faults import catalog
from support.needs import missing

ROWS = catalog.load()
PLANTS = [
    # the offset is settled when the copy is sent, not when it is acknowledged
    ("settle-before-ack", "6-refused-and-kill", "lost"),
    # the record is marked done before it is delivered
    ("mark-first", "3-one-join", "lost"),
    # FENCED is taken for GO
    ("no-fence", "2-zombie-worker", "overlap"),
    # a fenced partition takes a new token at once, without a commit that proves it its owner's
    ("no-proof", "2-zombie-worker", "heirs_fenced"),
    # BUSY is taken for GO; requests go on for long after a partition was handed over
    ("no-lease-wait", "3-one-join", "overlap", {
        "timeout_ms": 13000, "rules": ('0.1:{"fail_for_ms":900}', '0.03:{"delay_ms":10000}')}),
    # the number is marked seen, without the entry that says that a copy waits
    ("seen-without-parked", "3-one-join", "lost"),
    # consumption starts anew below what was committed
    ("rewind", "3-one-join", "rewound"),
    # one partition's offsets are never committed beyond what its owner began with
    ("never-commit", "8-script-flush", "stuck", {"settle_s": 15}),
]


# One waits for what never settles, the other is the neighbour of no-fence: left to --all.
SLOW = ("never-commit", "no-proof")


@pytest.mark.parametrize("planted", [
    pytest.param(planted, id=planted[0], marks=[pytest.mark.slow] if planted[0] in SLOW else [])
    for planted in PLANTS])
def test_planted_fault_is_caught(bench, planted):
    plant, name, column, *changes = planted
    changes = {"settle_s": 25, **dict(*changes)}
    spec = catalog.dataclasses.replace(ROWS[name], crash_points=True,
                                       environment={"ONCEGATE_PLANT": plant}, **changes)
    try:
        row = bench.play(spec, 1)
    except benches.Skipped as why:
        missing(str(why))
    print(row.text())
    assert not row.good and {**row.values, **row.notes}.get(column) not in (None, "?", 0), row.text()
    assert any(problem.startswith(column + "=") for problem in row.problems), row.problems
    if column == "stuck":
        assert any(problem.startswith("not settled") for problem in row.problems), row.problems
