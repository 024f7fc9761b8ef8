"""A console under test as a process, and what it answers, checked against its own document."""

import http.client
import json
import os
import socket
import ssl
import urllib.parse

import pytest

from support import places
from support.gateway import SANITIZER, merge, to_yaml
from support.process import Child, free_port, tail
from support.waiting import wait_until

try:
    import jsonschema
except ImportError:
    jsonschema = None

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
PROBLEM = "application/problem+json"


class Console:
    """One `oncegate console`. Ended by stop(), which demands exit code 0."""

    def __init__(self, directory, config, name="console", program=None, env=None, **settings):
        self.program = program
        self.env = env or {}
        self.log = directory / (name + ".log")
        self.index = directory / (name + ".db")
        self.config_path = directory / (name + ".yaml")
        self.port = free_port()
        self.tls = None
        self.config = merge(config, {"console": merge({
            "listen": "127.0.0.1:%d" % self.port, "index": str(self.index)}, settings)})
        self.child = None
        self.document = None

    def start(self, wait=True):
        self.config_path.write_text(to_yaml(self.config) + "\n", encoding="utf-8")
        env = {name: value for name, value in os.environ.items() if name != "ONCEGATE_CONFIG"}
        self.child = Child([self.program or places.find_gateway(), "console", "-c",
                            self.config_path], self.log, env={**env, **self.env})
        if wait:
            wait_until(lambda: self._live_or_dead(), 20, lambda: "live: " + tail(self.log))
        return self

    def _live_or_dead(self):
        assert self.child.alive(), "the console ended\n" + tail(self.log)
        return self.ask("/livez")[0] == 200

    def connect(self):
        """A socket, with TLS where the console has it."""
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=15)
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.tls))
            context.check_hostname = False
            sock = context.wrap_socket(sock)
        return sock

    def request(self, method, path, body=None, headers=None, timeout=15):
        """(status, headers, bytes); (0, {}, reason) where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            if self.tls:
                connection.sock = self.connect()
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, {}, str(error).encode()
        finally:
            connection.close()

    def ask(self, path, headers=None):
        """(status, JSON or text) of a GET. What is promised for the path is checked."""
        status, got, body = self.request("GET", path, headers=headers)
        kind = got.get("Content-Type", "")
        value = json.loads(body) if kind in ("application/json", PROBLEM) else body.decode(
            "utf-8", "replace")
        if status and self.document:
            self._check("get", path, status, kind, value)
        return status, value

    def send(self, path, body, headers=None):
        """(status, JSON) of a POST, checked like a GET."""
        status, got, answer = self.request("POST", path, json.dumps(body), {**JSON, **(headers or {})})
        value = json.loads(answer) if status else answer.decode("utf-8", "replace")
        if status and self.document:
            self._check("post", path, status, got.get("Content-Type", ""), value)
        return status, value

    def export(self, query="", body=None, headers=None):
        """(lines, what the last one says) of an export; it must be whole, by all that tells so."""
        status, got, answer = self.request(
            "GET" if body is None else "POST", "/api/v1/export" + query,
            None if body is None else json.dumps(body), {**(JSON if body else {}), **(headers or {})},
            timeout=60)
        assert status == 200, answer
        assert got["Transfer-Encoding"] == "chunked" and "attachment" in got["Content-Disposition"]
        assert got["Cache-Control"] == "no-store"
        lines = answer.splitlines(keepends=True)
        end = json.loads(lines.pop())["end"]
        assert end["letters"] == len(lines)
        return lines, end

    def import_lines(self, lines, query="", headers=None):
        """(status, JSON) of an import, checked like a POST."""
        status, got, answer = self.request("POST", "/api/v1/import" + query, lines,
                                           {**LINES, **(headers or {})}, timeout=60)
        value = json.loads(answer) if status else answer.decode("utf-8", "replace")
        if status and self.document:
            self._check("post", "/api/v1/import", status, got.get("Content-Type", ""), value)
        return status, value

    def post(self, path, body, headers=None):
        status, value = self.send(path, body, headers)
        assert status == 200, "%s: %s %s\n%s" % (path, status, value, tail(self.log))
        return value

    def wait_jobs_known(self, **headers):
        """The jobs of all groups were read; with changes allowed, somebody may still be joining."""
        wait_until(lambda: all(group["known"] for group in
                               self.get("/api/v1/jobs", **headers)["groups"]), 30,
                   lambda: "jobs: " + tail(self.log))

    def wait_job(self, job_id, timeout=60):
        """The job, when it has ended."""
        def look():
            status, job = self.ask("/api/v1/jobs/" + job_id)
            return job if status == 200 and job["status"] in ("finished", "cancelled", "failed") else None

        return wait_until(look, timeout, lambda: "the end of %s\n%s" % (job_id, tail(self.log)))

    def get(self, path, **headers):
        status, value = self.ask(path, headers)
        assert status == 200, "%s: %s %s\n%s" % (path, status, value, tail(self.log))
        return value

    def _check(self, method, path, status, kind, value):
        """The answer is one that the document promises."""
        segments = path.split("?")[0].split("/")
        for pattern, operations in self.document["paths"].items():
            parts = pattern.split("/")
            if method in operations and len(parts) == len(segments) and all(
                    have == want or want.startswith("{") for have, want in zip(segments, parts)):
                break
        else:
            assert status in (401, 403, 404, 421), (path, status)
            return
        answers = operations[method]["responses"]
        assert str(status) in answers, "%s: %d is not in the document" % (path, status)
        content = answers[str(status)]["content"]
        assert kind in content, (path, kind, list(content))
        schema = {"components": self.document["components"], **content[kind]["schema"]}
        jsonschema.validate(value, schema)

    def use_document(self):
        """From now on each answer is checked against /api/openapi.json."""
        if jsonschema is None:
            if os.environ.get("CI") == "true":
                pytest.fail("python3-jsonschema is missing, and CI demands it")
            pytest.skip("python3-jsonschema is missing")
        self.document = self.get("/api/openapi.json")
        return self.document

    def pages(self, path, name, **asked):
        """All lines of a list that comes in pages."""
        lines, cursor = [], ""
        while True:
            answer = self.get(path + "?" + urllib.parse.urlencode(
                {**asked, **({"cursor": cursor} if cursor else {})}, doseq=True))
            lines += answer[name]
            assert answer["next"] != cursor or not cursor, "the same page again: " + cursor
            cursor = answer["next"]
            if not cursor:
                return lines

    def letters(self, **filters):
        return self.get("/api/v1/letters?" + urllib.parse.urlencode(filters, doseq=True))["letters"]

    def wait_letters(self, count, headers=None, **filters):
        """Waits for so many lines and for all to be read; them, oldest first."""
        path = "/api/v1/letters?" + urllib.parse.urlencode({"limit": 500, **filters}, doseq=True)

        def got():
            page = self.get(path, **(headers or {}))
            return page["covered"]["complete"] and len(page["letters"]) >= count and page["letters"][::-1]

        return wait_until(lambda: got() or None, 30, lambda: "%d letters, there is %s\n%s" % (
            count, self.get(path, **(headers or {})), tail(self.log)), every=0.1)

    def letter(self, letter, **headers):
        return self.get("/api/v1/letters/" + letter["id"], **headers)

    def raw(self, *pieces):
        """What comes back for these bytes until the connection ends."""
        got = b""
        with self.connect() as sock:
            for piece in pieces:
                try:
                    sock.sendall(piece)
                except OSError:
                    break
            try:
                while chunk := sock.recv(65536):
                    got += chunk
            except OSError:
                pass
        return got

    def events(self, last_id=None):
        return Events(self, last_id)

    def stop(self):
        code = self.child.stop(20)
        assert not SANITIZER.search(self.child.output()), tail(self.log, 80)
        assert code == 0, "exit code %s\n%s" % (code, tail(self.log))

    def close(self):
        if self.child is not None and self.child.alive():
            self.stop()


class Events:
    """A stream of server-sent events."""

    def __init__(self, console, last_id=None):
        self.sock = console.connect()
        self.sock.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n" + (
            b"Last-Event-ID: %s\r\n" % last_id.encode() if last_id else b"") + b"\r\n")
        self.text = b""

    def wait(self, condition, what):
        """The first event (name, id, data) for which condition(name, data) holds."""
        self.sock.settimeout(0.2)

        def look():
            try:
                self.text += self.sock.recv(65536)
            except TimeoutError:
                pass
            for block in self.text.split(b"\n\n"):
                lines = dict(line.split(b": ", 1) for line in block.split(b"\n") if b": " in line)
                if b"event" in lines and condition(lines[b"event"].decode(),
                                                   json.loads(lines[b"data"])):
                    return lines[b"event"].decode(), lines[b"id"].decode(), json.loads(lines[b"data"])
            return None

        return wait_until(look, 20, lambda: "%s: %s" % (what, self.text[-2000:]))

    def close(self):
        self.sock.close()
