"""A list of 100,000 dead letters in a browser, on a real console."""

import json

import pytest
from test_console import Stage
from test_console_many import walk

from support.browser import need_browser, need_page, play
from support.waiting import wait_until

MANY = 100000


@pytest.fixture
def stage(fresh_world, tmp_path):
    stage = Stage(fresh_world, tmp_path)
    yield stage
    stage.close()


@pytest.mark.slow
def test_a_hundred_thousand_letters_are_scrolled(stage, tmp_path):
    """Rows are the right ones wherever one looks, the document stays small, back is where one was."""
    console = stage.console().start()
    need_page(console)
    need_browser()
    for number in range(MANY):
        stage.letter(key="customer-%d" % (number % 4096), value='{"n":%d}' % number, detail="order %d was refused" % number)
    stage.world.producer.flush(180)
    wait_until(lambda: console.get("/api/v1/overview")["routes"][0]["open"] == MANY, 180, "all letters")
    ids = [name for name, _ in walk(console)]
    assert len(ids) == len(set(ids)) == MANY
    (tmp_path / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    play("scroll", console, {"ids": str(tmp_path / "ids.json")})
