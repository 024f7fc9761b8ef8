"""The test handler as a fixture: started, steered, and its log read."""

import http.client
import json
import subprocess

from support import checker, places
from support.process import free_port


class Handler:
    """og-support handler with its log; `listen` is host:port (by default one that stays its own while it
    refuses connections) or the path of a unix socket."""

    def __init__(self, log, listen=None, tls=None, capture=True, sync=False):
        self.log = log
        open(log, "ab").close()
        args = [str(places.find_support()), "handler", "--log", str(log), "--listen",
                listen or "127.0.0.1:%d" % free_port()]
        args += ["--capture"] if capture else []
        args += ["--sync"] if sync else []
        if tls is not None:
            args += ["--tls", ",".join(map(str, tls))]
        self.errors = open(str(log) + ".stderr", "wb")
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        words = self.process.stdout.readline().split()
        assert len(words) == 4, "the handler did not start: %s" % words
        self.address, self.control_address = words[1], words[3]
        self.scheme = "http" if tls is None else "https"
        self._offset, self._lines, self._calls, self._effects = 0, [], {}, []

    @property
    def url(self):
        return "%s://%s/in" % (self.scheme, self.address)

    def _request(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.control_address, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            data = json.loads(answer.read())
        finally:
            connection.close()
        assert answer.status == 200, data
        return data

    def control(self, **what):
        """default=, outage=, refuse=, keys=, open=, close_idle=, reset= (see handler_control.c)."""
        self._request("POST", "/_control", json.dumps(what))

    def stats(self):
        return self._request("GET", "/_stats")

    def lines(self):
        """All lines of the log so far; only what is new is read."""
        with open(self.log, "rb") as file:
            file.seek(self._offset)
            data = file.read()
        whole = data.rfind(b"\n") + 1
        new = [json.loads(line) for line in data[:whole].splitlines()]
        self._offset += whole
        self._lines += new
        checker.read_calls(new, self._calls)
        self._effects += [self._calls[line["n"]].record_id for line in new
                          if line["e"] == "e" and line["eff"]]
        return self._lines

    def calls(self, record_id=None):
        """Requests as checker.Call, of one record where an id is given."""
        self.lines()
        return [call for call in self._calls.values() if record_id in (None, call.record_id)]

    def effects(self):
        """Ids in the order of their effects."""
        self.lines()
        return self._effects

    def stop(self):
        self.process.terminate()
        code = self.process.wait(10)
        self.process.stdout.close()
        self.errors.close()
        with open(self.errors.name, encoding="utf-8", errors="replace") as file:
            said = file.read()
        assert code == 0, "the test handler failed: %s" % said


def headers_of(call):
    """The request's header lines as a dict of lower-case names; a name twice is an error."""
    headers = {}
    for name, value in call.line["h"]:
        assert name.lower() not in headers, "header twice: %s" % name
        headers[name.lower()] = value
    return headers
