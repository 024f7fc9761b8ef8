"""The gateway under test as a process: configuration written, started, asked, ended."""

import copy
import http.client
import json
import os
import re
import signal
import subprocess

from support import places
from support.process import Child, free_port, tail
from support.waiting import wait_until

SANITIZER = re.compile(r"ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|"
                       r"ThreadSanitizer: |Assertion .* failed")
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def merge(base, changes):
    """A copy of base with changes laid over it, dicts member by member; None removes."""
    merged = copy.deepcopy(base)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = merge(merged[name], value)
        elif value is None:
            merged.pop(name, None)
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def to_yaml(value, indent=0):
    """Block YAML of dicts, lists, strings, numbers and booleans."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        lines = []
        for name, member in value.items():
            nested = isinstance(member, (dict, list)) and member
            lines.append("%s%s:%s" % (pad, name, "\n" + to_yaml(member, indent + 1)
                                      if nested else " " + json.dumps(member)))
        return "\n".join(lines)
    if isinstance(value, list) and value:
        return "\n".join("%s- %s" % (pad, to_yaml(member, indent + 1).lstrip()) for member in value)
    return pad + json.dumps(value)


def command(*args, config=None, timeout=60, check=None, env=None):
    """Runs another verb of the program; `check` is the exit code that it must end with."""
    words = [str(places.find_gateway()), *map(str, args)]
    if config is not None:
        words += ["-c", str(config)]
    done = subprocess.run(words, text=True, stdin=subprocess.DEVNULL, capture_output=True,
                          check=False, timeout=timeout, env=env)
    assert not SANITIZER.search(done.stderr), done.stderr
    if check is not None:
        assert done.returncode == check, "oncegate %s: exit %d\n%s%s" % (
            " ".join(map(str, args)), done.returncode, done.stdout, done.stderr)
    return done


class Gateway:
    """One `oncegate run`. Ended by stop(), which demands exit code 0, or by kill()."""

    def __init__(self, directory, config, name="gateway"):
        self.name = name
        self.directory = directory
        self.log = directory / (name + ".log")
        self.config_path = directory / (name + ".yaml")
        self.port = free_port()
        self.config = merge(config, {"admin": {"listen": "127.0.0.1:%d" % self.port}})
        self.child = None
        self.expected_exit = 0
        self.program = None  # another build than the one under test
        self.environment = {}

    def start(self, wait=True, timeout=20):
        self.config_path.write_text(to_yaml(self.config) + "\n", encoding="utf-8")
        env = {**os.environ, **self.environment}
        env.pop("ONCEGATE_CONFIG", None)
        self.child = Child([self.program or places.find_gateway(), "run", "-c", self.config_path],
                           self.log, env=env)
        if wait:
            self.wait_ready(timeout)
        return self

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child is not None and self.child.alive()

    # What it answers

    def ask(self, method, path, body=None, timeout=5):
        """(status, text) of an admin endpoint; (0, reason) where it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        finally:
            connection.close()

    def ready(self):
        return self.ask("GET", "/readyz")[0] == 200

    def wait_ready(self, timeout=20):
        def ready_or_dead():
            assert self.alive(), "the gateway ended with %s\n%s" % (
                self.child.process.returncode, tail(self.log))
            return self.ready()

        wait_until(ready_or_dead, timeout, lambda: "ready: %s\n%s" % (
            self.ask("GET", "/readyz"), tail(self.log, 15)))
        return self

    def status(self):
        code, text = self.ask("GET", "/status")
        assert code == 200, text
        return json.loads(text)

    def status_text(self):
        return self.ask("GET", "/status")[1]

    def wait_status(self, words, timeout=15):
        """Waits until /status holds all of the words; its text."""
        words = [words] if isinstance(words, str) else words
        return wait_until(lambda: (lambda text: text if all(word in text for word in words) else None)(
            self.status_text()), timeout, lambda: "%s in /status: %s" % (words, self.status_text()))

    def samples(self):
        """All metrics as (name without prefix, labels, value)."""
        found = []
        for line in self.ask("GET", "/metrics")[1].splitlines():
            match = SAMPLE.match(line)
            if match and not line.startswith("#"):
                name = match.group(1)
                name = name[len("oncegate_"):] if name.startswith("oncegate_") else name
                found.append((name, dict(LABEL.findall(match.group(2) or "")),
                              float(match.group(3))))
        return found

    def metric(self, metric, **labels):
        """The sum of a metric's samples that carry these labels; 0 where there are none."""
        return sum(value for found, have, value in self.samples()
                   if found == metric and labels.items() <= have.items())

    # How it ends

    def sanitizer_report(self):
        match = SANITIZER.search(self.child.output()) if self.child else None
        return match.group(0) if match else None

    def stop(self, timeout=25):
        """SIGTERM; the exit code must be 0."""
        code = self.child.stop(timeout)
        assert code is not None, "no end within %d s of SIGTERM\n%s" % (timeout, tail(self.log))
        assert not self.sanitizer_report(), tail(self.log, 80)
        assert code == self.expected_exit, "exit code %s\n%s" % (code, tail(self.log))

    def kill(self):
        self.child.kill()
        assert not self.sanitizer_report(), tail(self.log, 80)

    def freeze(self):
        self.child.send(signal.SIGSTOP)

    def thaw(self):
        self.child.send(signal.SIGCONT)
