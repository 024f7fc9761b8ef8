"""What the benchmarks start and ask: a broker, a Redis, a handler that keeps account, the program that is measured, the cores."""

import atexit
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GIVE_UP_S = 300
HEAD = """version: 1
kafka: {{bootstrap.servers: "{bootstrap}"{kafka}}}
redis: {{url: "unix://{redis}"}}
admin: {{listen: "127.0.0.1:{admin}"}}
log: {{format: json}}
routes:
"""
ROUTE = """  - name: bench-{number}
    topics: [{topic}]
    group: {topic}
    ordering: key
    dedup: {{identity: sequence, from: "header:seq"}}
    handler: {{url: "http://127.0.0.1:{port}/", max_in_flight: {slots}{handler}}}
    retry: {{{retry}}}
{more}"""


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_until(condition, what, seconds=GIVE_UP_S):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("bench: not within %d s: %s" % (seconds, what))
        time.sleep(0.02)


def leave(number, frame):
    """At the first of these signals; those that follow change nothing, so that all is ended in order."""
    for name in LEAVE_AT:
        signal.signal(name, signal.SIG_IGN)
    sys.exit(128 + number)


LEAVE_AT = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def scratch():
    """A directory for a run, the first thing it asks for: from here on it leaves nothing behind, neither files nor processes,
    however it ends short of SIGKILL."""
    directory = Path(tempfile.mkdtemp(prefix="oncegate-bench-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name in LEAVE_AT:
        signal.signal(name, leave)
    return directory


def cpu_of(pid):
    """Seconds so far of a process, in steps of the kernel's tick."""
    fields = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Cores:
    """How much of all processors was idle and how much was burnt, looked at twenty times a second from the start on."""

    def __init__(self):
        self.seen = []  # (when, seconds idle so far, seconds busy)
        self.look()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def look(self):
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = ticks[3] + ticks[4]  # user nice system idle iowait irq softirq steal
        hertz = os.sysconf("SC_CLK_TCK")
        self.seen.append((time.monotonic(), idle / hertz, (sum(ticks) - idle) / hertz))

    def watch(self):
        while not self.ended.wait(0.05):
            self.look()

    def stop(self):
        self.ended.set()
        self.thread.join()
        self.look()

    def idle(self, seconds):
        """Their share in percent over the last of these seconds, after stop()."""
        end, total, _ = self.seen[-1]
        begin, before, _ = min(self.seen, key=lambda seen: abs(end - seconds - seen[0]))
        return 100 * (total - before) / ((end - begin) * os.cpu_count())

    def burnt_beside(self, seconds):
        """The share in percent that was burnt beside so many CPU seconds that are accounted for, from the start to stop()."""
        (begin, _, before), (end, _, after) = self.seen[0], self.seen[-1]
        return max(0, 100 * (after - before - seconds) / ((end - begin) * os.cpu_count()))


class Broker:
    """One of its own, with a directory in the given one, made for load."""

    def __init__(self, directory):
        self.directory = directory
        atexit.register(self.stop)
        said = self.kafka("start", "--for-load")
        self.bootstrap, self.pid = said["bootstrap"], int(said["pids"])

    def kafka(self, verb, *options):
        # In a session of its own: Ctrl-C on a terminal is for us, who stop it in order.
        out = subprocess.run([ROOT / "scripts/kafka", verb, "--dir", self.directory / "kafka", *options], check=True,
                             stdout=subprocess.PIPE, text=True, start_new_session=True).stdout
        return dict(line.split("=", 1) for line in out.split())

    def cpu(self):
        return cpu_of(self.pid)

    def stop(self):
        atexit.unregister(self.stop)
        self.kafka("stop")


class Redis:
    """A private server without persistence, and as much of its protocol as is needed."""

    def __init__(self, directory):
        self.path = str(directory / "redis.sock")
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no",
             "--dir", str(directory), "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL, start_new_session=True)
        atexit.register(self.stop)
        wait_until(self.answers, "Redis answers", 20)

    def answers(self):
        try:
            return self.call("PING").startswith("+PONG")
        except OSError:
            return False

    def memory(self, name):
        """A figure of INFO memory, in bytes."""
        return int(self.call("INFO", "memory").split("\r\n%s:" % name)[1].split("\r\n")[0])

    def call(self, *words):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.path)
            sock.sendall((" ".join(words) + "\r\n").encode())
            text = sock.recv(65536).decode()
            while text.startswith("$") and len(text) < int(text[1:text.index("\r")]):
                text += sock.recv(65536).decode()
            return text

    def cpu(self):
        fields = dict(line.split(":", 1) for line in self.call("INFO", "cpu").split("\r\n") if ":" in line)
        return float(fields["used_cpu_sys"]) + float(fields["used_cpu_user"])

    def script_calls(self):
        found = [line for line in self.call("INFO", "commandstats").split("\r\n")
                 if line.startswith("cmdstat_evalsha:")]
        return int(found[0].split("calls=")[1].split(",")[0]) if found else 0

    def stop(self):
        atexit.unregister(self.stop)
        self.process.terminate()
        self.process.wait()


class Handler:
    """bench-handler, and what it counted."""

    def __init__(self, build, keys, size, expect=0, delay_us=0, options=()):
        self.process = subprocess.Popen(
            [build / "bench/bench-handler", "--keys", str(keys), "--size", str(size), "--expect",
             str(expect), "--delay-us", str(delay_us), *options], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split("=")[1])

    def ask(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path)
        text = connection.getresponse().read()
        connection.close()
        return text

    def stats(self):
        return json.loads(self.ask("/stats"))

    def wait_done(self, program):
        """Until all that is expected was answered. The run ends where the program has ended, or nothing comes for a minute."""
        stats = {"requests": -1}
        while not self.has_said_within(60, program):
            before, stats = stats["requests"], self.stats()
            if stats["requests"] == before:
                sys.exit("bench: %s: nothing comes any more, and so far: %s\n%s" % (program.process.args[0], stats, program.last_words()))
        if self.process.stdout.readline() != "done\n":
            sys.exit("bench: the handler ended")

    def has_said_within(self, seconds, program):
        for _ in range(seconds):
            if select.select([self.process.stdout], [], [], 1)[0]:
                return True
            program.check()
        return False

    def stop(self):
        self.process.terminate()
        _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        return usage.ru_utime + usage.ru_stime


class Program:
    """The program that is measured: its CPU is exact, from its end; its memory is the kernel's mark."""

    def __init__(self, words, log):
        self.log = log
        with open(log, "ab") as file:
            self.process = subprocess.Popen([str(word) for word in words], stdout=file, stderr=file)
        atexit.register(lambda: self.process.poll() is None and self.process.kill())

    def status_kib(self, name):
        text = Path("/proc/%d/status" % self.process.pid).read_text()
        return int(text.split(name + ":")[1].split()[0])

    def cpu(self):
        return cpu_of(self.process.pid)

    def check(self):
        if self.process.poll() is not None:
            sys.exit("bench: %s ended with %d:\n%s" % (self.process.args[0], self.process.returncode, self.last_words()))

    def last_words(self):
        return Path(self.log).read_text(errors="replace")[-2000:]

    def stop(self):
        """CPU seconds (user, system) and the peak of resident MB."""
        self.check()
        peak = self.status_kib("VmHWM") * 1024 / 1e6
        self.process.send_signal(signal.SIGTERM)
        _, code, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(code)
        if self.process.returncode != 0:
            sys.exit("bench: %s ended with %d" % (self.process.args[0], self.process.returncode))
        return usage.ru_utime, usage.ru_stime, peak


def write_config(path, bootstrap, redis, admin, port, topics, slots=64, kafka="", retry="tiers: [10s]", more="", handler=""):
    """A route and a group of its own for each topic, all else as by default. Besides: properties of Kafka, of retry and of the
    handler, as in braces, and lines for each route."""
    kafka, handler = (", " + text if text else "" for text in (kafka, handler))
    path.write_text(HEAD.format(bootstrap=bootstrap, redis=redis.path, admin=admin, kafka=kafka) + "".join(
        ROUTE.format(number=number, topic=topic, port=port, slots=slots, retry=retry, more=more, handler=handler)
        for number, topic in enumerate(topics)))


def apply_topics(words, config):
    done = subprocess.run(words + ["topics", "apply", "--yes", "-c", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode != 0:
        sys.exit("bench: topics apply ended with %d:\n%s" % (done.returncode, done.stdout))


def is_ready(program, port):
    program.check()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False


BREACHES = ("lost", "doubled", "out_of_order", "overlaps", "bad")


def verify(topic, stats):
    """Ends the run where the handler saw what the program promises will not be."""
    wrong = {name: stats[name] for name in BREACHES if stats[name]}
    if wrong:
        sys.exit("bench: %s: the handler saw what must not be: %s" % (topic, wrong))


def make(directory, *targets):
    """What builds these."""
    if directory:
        return ["cmake", "--build", directory, "-j2", "--target", *targets]
    return [ROOT / "scripts/build", "release", *targets]


def build(directory, *targets):
    """The build tree, with the benchmark's programs and these targets made; without one, build/release."""
    subprocess.run(make(directory, "bench", *targets), check=True, stdout=sys.stderr)
    return directory or ROOT / "build/release"


def can_build(directory, target):
    return subprocess.run(make(directory, target), stdout=sys.stderr).returncode == 0


def metric(port, name):
    """The sum of a metric's samples."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().split("\n")
    connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(r"oncegate_%s[ {]" % name, line))


def beside_aim(what, figure, aim, met):
    print("%-72s %s (aim: %s)%s" % (what, figure, aim, "" if met else "  MISSED"), flush=True)


class Site:
    """What a run stands on: a broker, a Redis, topics, gateways."""

    def __init__(self, build):
        self.directory, self.build, self.runs = scratch(), build, 0
        self.program = [build / "gateway/oncegate"]
        self.broker = Broker(self.directory)
        self.redis = Redis(self.directory)

    def load(self, topic, records, keys, size=256, options=()):
        """A producer that runs; told() waits for it."""
        return subprocess.Popen(
            [self.build / "bench/bench-load", "--bootstrap", self.broker.bootstrap, "--topic", topic, "--records", str(records),
             "--keys", str(keys), "--size", str(size), *map(str, options)], stdout=subprocess.PIPE, text=True)

    @staticmethod
    def told(producer):
        text = producer.communicate()[0]
        if producer.returncode != 0:
            sys.exit("bench: bench-load failed")
        return {name: float(value) if "." in value else int(value) for name, value in (word.split("=") for word in text.split())}

    def topic(self, records=0, keys=10000, size=256, partitions=8, options=()):
        """(a new one, what its producer told), and Redis is empty."""
        self.runs += 1
        self.redis.call("FLUSHALL")
        name = "bench-%d" % self.runs
        return name, self.told(self.load(name, records, keys, size, ("--partitions", partitions, *options)))

    def configure(self, topic, port, name=None, **settings):
        """(a file, the port of its admin endpoints); the topics that it wants are there."""
        config, admin = self.directory / ((name or topic) + ".yaml"), free_port()
        write_config(config, self.broker.bootstrap, settings.pop("redis", self.redis), admin, port, [topic], **settings)
        apply_topics(self.program, config)
        return config, admin

    def program_of(self, config):
        """A gateway that begins."""
        return Program(self.program + ["run", "-c", config], self.directory / (config.stem + ".log"))

    def start(self, config, admin):
        """A gateway that is ready."""
        program = self.program_of(config)
        wait_until(lambda: is_ready(program, admin), "oncegate is ready", 120)
        return program

    def verified(self, topic, told, handler, **but):
        """Waits for the last record and ends the handler; what it saw is right, but for what may be so often."""
        wait_until(lambda: handler.stats()["distinct"] >= told["distinct"], "the last record", GIVE_UP_S * 4)
        stats = handler.stats()
        handler.stop()
        return self.right(topic, told, stats, **but)

    @staticmethod
    def right(topic, told, stats, **but):
        """What was seen, which is right."""
        stats["lost"] = told["distinct"] - stats["distinct"]
        verify(topic, {name: max(0, value - but.get(name, 0)) for name, value in stats.items()})
        return stats
