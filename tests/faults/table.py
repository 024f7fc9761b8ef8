"""The table of the matrix in docs/faults.md: a line a row, each as it was played last.

Several matrices may play rows in one tree at a time: a line is put into the page as it is then, and the
page is replaced whole."""

import contextlib
import datetime
import fcntl
import os
import re

from faults.row import HEADINGS

BEGIN, END = "<!-- matrix: begin -->", "<!-- matrix: end -->"


def known_lines(text):
    """What the table has, by the row's name."""
    table = text[text.index(BEGIN):text.index(END)]
    return {match.group(1): match.group(0)
            for match in re.finditer(r"^\|[^|]*\| `([^`]+)` \|.*$", table, re.M)}


def with_line(text, rows, name, line):
    """The page's text with that line for the row; in the order of rows, which others are dropped."""
    lines = {**known_lines(text), name: line}
    table = ["| fault | row | %s | seed | |" % " | ".join(HEADINGS),
             "|---|---|%s---|---|" % ("--:|" * len(HEADINGS))]
    table += [lines[row] for row in rows if row in lines]
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    said = "Last written %s by `tests/faults/matrix`.\n" % today
    head, rest = text[:text.index(BEGIN)], text[text.index(END):]
    return head + BEGIN + "\n" + said + "\n" + "\n".join(table) + "\n" + rest


@contextlib.contextmanager
def locked(folder):
    """Nobody else has the folder so. By its own descriptor: a file for it would be one more in the tree."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def put(page, rows, name, line):
    part = page.with_name("." + page.name + ".part")
    with locked(page.parent):
        part.write_text(with_line(page.read_text(encoding="utf-8"), rows, name, line), encoding="utf-8")
        os.replace(part, page)
