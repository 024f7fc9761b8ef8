"""A real Kafka for the session, and what the tests ask of it."""

import json
import subprocess
import threading

from support import places
from support.waiting import wait_until


class Broker:
    """One broker in a directory of its own, started through scripts/kafka."""

    def __init__(self, directory):
        self.directory = directory
        self.bootstrap = None
        self.start()

    def _script(self, *args):
        return subprocess.run([str(places.KAFKA), *args, "--dir", str(self.directory)], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=True,
                              timeout=180).stdout

    def start(self):
        for line in self._script("start").splitlines():
            if line.startswith("bootstrap="):
                self.bootstrap = line.split("=", 1)[1]

    def stop(self, kill=False):
        self._script("stop", *(["--kill"] if kill else []))

    def tool(self, verb, *args, check=True):
        """Runs an instrument; its output as parsed JSON lines."""
        done = subprocess.run([str(places.find_support()), verb, "-b", self.bootstrap, *args],
                              text=True, stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=120)
        if check and done.returncode != 0:
            raise AssertionError("og-support %s: %s" % (verb, done.stderr))
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def topics(self):
        return {line["topic"]: line["partitions"] for line in self.tool("topics", "list")}

    def create_topics(self, *specs):
        """Each NAME:PARTITIONS[:key=value,...]."""
        self.tool("topics", "create", *specs)

    def configure_topic(self, name, config):
        """Sets one property, key=value."""
        self.tool("topics", "config", name, config)

    def delete_topics(self, *names):
        self.tool("topics", "delete", *names)

    def try_create(self, name, partitions):
        """Creates a topic; false where the broker is not ready for that (just deleted)."""
        try:
            self.create_topics("%s:%d" % (name, partitions))
        except AssertionError:
            return False
        return True

    def delete_group(self, group):
        self.tool("group", "delete", group)

    def dump(self, *topics):
        return self.tool("dump", *topics) if topics else []

    def committed(self, group, *topics):
        return self.tool("committed", "-g", group, *topics)

    def group(self, group):
        return self.tool("group", group)[0]


class ProducerEnded(AssertionError):
    """The producer gave up; what it said."""


class Producer:
    """A producer that stays open: send() returns at once, flush() waits for the account."""

    def __init__(self, broker, account):
        self.broker = broker
        self.account = account
        self.said = str(account) + ".err"
        self.lock = threading.Lock()
        open(account, "ab").close()
        self._start()

    def _start(self):
        self.sent = self.acknowledged()
        with open(self.said, "ab") as said:
            self.process = subprocess.Popen(
                [str(places.find_support()), "produce", "-b", self.broker.bootstrap, "--plan",
                 "--out", str(self.account)], stdin=subprocess.PIPE, stderr=said, text=True)

    def send(self, **plan):
        with self.lock:
            try:
                self.process.stdin.write(json.dumps(plan) + "\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                raise ProducerEnded(self._last_words()) from None
            self.sent += 1

    def _last_words(self):
        with open(self.said, encoding="utf-8", errors="replace") as said:
            return "the producer ended: " + said.read()[-2000:]

    def acknowledged(self):
        with open(self.account, "rb") as file:
            return file.read().count(b"\n")

    def _is_flushed(self):
        ended = self.process.poll() is not None
        if self.acknowledged() >= self.sent:
            return True
        if ended:
            raise ProducerEnded(self._last_words())
        return False

    def flush(self, timeout=30):
        """Waits until all that was sent is acknowledged; the account's lines."""
        wait_until(self._is_flushed, timeout,
                   lambda: "%d of %d records acknowledged" % (self.acknowledged(), self.sent),
                   every=0.01)
        with open(self.account, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def renew(self):
        """Another producer for the same account, which knows nothing of what its topics were."""
        self.close()
        self._start()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        self.process.wait(60)


class Stream:
    """A generated stream in the background; options as of og-support produce."""

    def __init__(self, broker, topic, account, **options):
        args = [str(places.find_support()), "produce", "-b", broker.bootstrap, "--topic", topic,
                "--out", str(account)]
        self.account = account
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                args += ["--" + name.replace("_", "-"), str(one)]
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True)

    def running(self):
        return self.process.poll() is None

    def wait(self, timeout=120):
        """Waits for the end of the count; all must have been acknowledged."""
        _, said = self.process.communicate(timeout=timeout)
        assert self.process.returncode == 0, said

    def stop(self):
        """Ends the stream where it is; what was sent is acknowledged first."""
        if self.running():
            self.process.terminate()
        self.wait(60)
