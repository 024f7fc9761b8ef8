"""A browser on a console: plays a part of web/test/parts, does what the part wants done, and tells what held."""

import json
import os
import subprocess
import threading

from support import needs, places
from support.process import tail

WEB = places.ROOT / "web"


def need_page(console):
    """(status, headers, text) of the page; without it the test is left out, and fails in CI."""
    status, headers, body = console.request("GET", "/")
    if not headers.get("Content-Type", "").startswith("text/html"):
        needs.missing("the web page (npm ci in web/, then build again)")
    return status, headers, body.decode()


def need_browser():
    needs.installed("node")
    needs.installed("chromium")
    if not (WEB / "test/node_modules/playwright-core").exists():
        needs.missing("playwright-core (npm ci in web/test)")


class Part:
    """The browser's half of a test, as a process; see web/test/play.mjs for what is said between the two."""

    def __init__(self, part, console, log, told=None, timeout=600):
        need_page(console)
        need_browser()
        self.log = log
        with open(log, "w", encoding="utf-8") as said:
            self.child = subprocess.Popen(  # pylint: disable=consider-using-with
                ["node", str(WEB / "test/play.mjs"), part, "http://127.0.0.1:%d" % console.port, json.dumps(told)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True, env=dict(os.environ))
        self.late = threading.Timer(timeout, self.child.kill)
        self.late.start()

    def play(self, deeds):
        held = []
        for line in self.child.stdout:
            word, _, what = line.strip().partition(" ")
            assert word != "failed", "after %s: %s\n%s" % (held, what, self._seen())
            if word == "want":
                self.child.stdin.write("done %s %s\n" % (what, json.dumps(deeds[what]())))
                self.child.stdin.flush()
            elif word == "ok":
                held.append(what)
        code = self.child.wait()
        assert code == 0 and held and held[-1] == "quiet", "%s, then exit code %s\n%s" % (held, code, tail(self.log))
        return held

    def _seen(self):
        """What stood on its pages."""
        self.child.wait()
        return self.log.read_text(encoding="utf-8")

    def close(self):
        self.late.cancel()
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


def play(part, console, told=None, deeds=None, **options):
    """Plays it to its end; what held, in order."""
    child = Part(part, console, console.index.parent / (part + ".log"), told, **options)
    try:
        return child.play(deeds or {})
    finally:
        child.close()
