"""The page of the matrix, written by several at a time."""

import subprocess
import sys

from faults import table
from support import places

ROWS = ["%d-row" % n for n in range(40)]
WRITER = """
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from faults import table
rows = ["%d-row" % n for n in range(40)]
for n in range(int(sys.argv[3]), 40, 4):
    table.put(pathlib.Path(sys.argv[2]), rows, rows[n], line=sys.argv[4] % (rows[n], "x" * 300))
"""
LINE = "| a fault | `%s` | %s |"


def test_lines_of_several_writers_all_stand_in_the_page(tmp_path):
    page = tmp_path / "faults.md"
    page.write_text("before\n%s\n%s\nafter\n" % (table.BEGIN, table.END), encoding="utf-8")
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(places.ROOT / "tests"), str(page), str(n), LINE])
               for n in range(4)]
    for writer in writers:
        assert writer.wait(60) == 0
    text = page.read_text(encoding="utf-8")
    assert list(table.known_lines(text)) == ROWS
    assert text.startswith("before\n") and text.endswith("\nafter\n")
    assert [path.name for path in tmp_path.iterdir()] == ["faults.md"]


def test_a_line_takes_the_place_of_the_one_before(tmp_path):
    page = tmp_path / "faults.md"
    page.write_text("%s\n%s\n%s" % (table.BEGIN, LINE % ("gone", "old"), table.END), encoding="utf-8")
    for line in ("first", "second"):
        table.put(page, ["1-row", "2-row"], "2-row", LINE % ("2-row", line))
        table.put(page, ["1-row", "2-row"], "1-row", LINE % ("1-row", line))
    assert table.known_lines(page.read_text(encoding="utf-8")) == {
        "1-row": LINE % ("1-row", "second"), "2-row": LINE % ("2-row", "second")}
