"""The web page on a real console: how it is served, and the whole story in a browser."""

import gzip
import os
import re
import subprocess
import threading

import pytest

from support import needs, places
from support.console import Console
from support.process import tail
from support.waiting import wait_until

WEB = places.ROOT / "web"
STORY_S = 240


@pytest.fixture
def console(world, tmp_path):
    world.start()
    console = Console(tmp_path, world.gateways[0].config, allow_changes=True).start()
    yield console
    console.close()


def need_page(console):
    status, headers, body = console.request("GET", "/")
    if not headers.get("Content-Type", "").startswith("text/html"):
        needs.missing("the web page (npm ci in web/, then build again)")
    return status, headers, body.decode()


def need_browser():
    needs.installed("node")
    needs.installed("chromium")
    if not (WEB / "test/node_modules/playwright-core").exists():
        needs.missing("playwright-core (npm ci in web/test)")


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


class Story:
    """The browser's half, web/test/story.mjs."""

    def __init__(self, url, log):
        self.log = open(log, "w", encoding="utf-8")  # pylint: disable=consider-using-with
        self.child = subprocess.Popen(  # pylint: disable=consider-using-with
            ["node", str(WEB / "test/story.mjs"), url], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self.log, text=True, env=dict(os.environ))
        self.late = threading.Timer(STORY_S, self.child.kill)
        self.late.start()

    def play(self, deeds):
        """Does what is wanted; what held, in order."""
        held = []
        for line in self.child.stdout:
            word, _, what = line.strip().partition(" ")
            assert word != "failed", "after %s: %s" % (held, what)
            if word == "want":
                deeds[what]()
                self.child.stdin.write("done %s\n" % what)
                self.child.stdin.flush()
            elif word == "ok":
                held.append(what)
        assert self.child.wait() == 0, held
        return held

    def close(self):
        self.late.cancel()
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.log.close()


def test_the_whole_story(world, console, tmp_path):
    """A handler fails, the group appears by itself; dry run, redrive, progress, resolved, audit."""
    need_page(console)
    need_browser()
    console.wait_jobs_known()
    ids = []

    def fail():
        world.handler.control(default={"status": 422})
        ids.extend(world.send("k%d" % number, 1) for number in range(5))
        world.wait_dead(5)
        world.wait_committed()

    story = Story("http://127.0.0.1:%d" % console.port, tmp_path / "story.log")
    try:
        held = story.play({"fail": fail, "mend": lambda: world.handler.control(default=None)})
    finally:
        story.close()
    assert held[-1] == "quiet", tail(tmp_path / "story.log")
    world.wait_effects(ids)
    wait_until(lambda: len(console.letters(state="resolved")) == 5, 20, "all are resolved")
