"""The web page on a real console: how it is served, and the whole story in a browser."""

import base64
import gzip
import json
import re

import pytest

from support.browser import need_page, play
from support.console import Console


@pytest.fixture
def console(world, tmp_path):
    world.start()
    console = Console(tmp_path, world.gateways[0].config, allow_changes=True, allow_edits=True).start()
    yield console
    console.close()


def test_how_it_is_served(console):
    status, headers, page = need_page(console)
    policy = headers["Content-Security-Policy"]
    assert status == 200 and "default-src 'none'" in policy and "unsafe" not in policy
    assert headers["Cache-Control"] == "no-cache"
    assert "://" not in re.sub(r'xmlns="[^"]*"', "", page), "it names another host"
    files = re.findall(r'"(/assets/[^"]+)"', page)
    assert len(files) == 3 and all(re.search(r"-[0-9a-f]{16}\.", name) for name in files)
    for name in files:
        status, headers, body = console.request("GET", name, headers={"Accept-Encoding": "gzip"})
        assert status == 200 and headers["Content-Encoding"] == "gzip" and gzip.decompress(body)
        assert "immutable" in headers["Cache-Control"] and headers["X-Content-Type-Options"] == "nosniff"
        tag = {"Accept-Encoding": "gzip", "If-None-Match": headers["ETag"]}
        assert console.request("GET", name, headers=tag)[0] == 304
        assert console.request("GET", name)[0] == 406
    for view in ("/groups", "/groups/3f0c", "/letters/dlq.a.b/0/1", "/keys/r/t/%FF", "/audit"):
        assert console.request("GET", view)[2].decode() == page, view
    assert console.request("GET", "/none")[0] == 404
    assert console.request("GET", "/assets/none.js")[0] == 404
    assert console.request("GET", "/api/v1/none")[0] == 404
    assert console.request("POST", "/groups", b"{}", {"Content-Type": "application/json"})[0] == 404


@pytest.mark.long
def test_the_whole_story(world, console):
    """A handler fails, the group appears by itself; export, dry run, redrive, progress, resolved; import, edited copy, audit."""
    console.wait_jobs_known()
    ids = []

    def fail():
        world.handler.control(default={"status": 422})
        ids.extend(world.send("k%d" % number, 1) for number in range(5))
        world.wait_dead(5)
        world.wait_committed()

    def spoil():
        refused = {"status": 422, "problem": {"type": "about:blank", "detail": "the total is a word"}}
        world.handler.control(keys={"k9": refused})
        ids.append(world.send("k9", 1, value='{"id":"k9/0/1","seq":1,"epoch":0,"total":"ten"}'))
        world.wait_dead(6)

    deeds = {"fail": fail, "mend": lambda: world.handler.control(default=None), "spoil": spoil,
             "accept": lambda: world.handler.control(keys={"k9": None})}
    play("story", console, deeds=deeds)
    world.wait_effects(ids)
    assert sorted(world.handler.effects()) == sorted(ids), "the imported letter is absorbed"
    states = [line["state"] for line in console.letters(state="any")]
    assert sorted(states) == ["archived"] + ["resolved"] * 7
    assert json.loads(base64.b64decode(world.handler.calls("k9/0/1")[-1].line["body"]))["total"] == 10.5
