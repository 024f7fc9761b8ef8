"""What a run is composed of: brokers, Redis, gateways, a handler, a producer, proxies between them,
and the account at the end.

A row's function gets a scene with everything started and traffic under way; it breaks things and
mends them again. settle() then waits until the group has committed all there is, and report() makes
the row."""

import contextlib
import signal
import subprocess
import time

from support import checker, places
from support.gateway import merge
from support.handler import Handler
from support.redis_server import Redis
from support.redis_topology import RedisCluster, Sentinels
from support.waiting import SLOWDOWN, Timeout, wait_until
from support.world import World

from faults.commits import Account
from faults.proxy import Proxy
from faults.row import OTHER, Row, judge
from faults.windows import MARK_US, Windows, now_us

IN_FLIGHT = 32
LATE_S = 10         # what a turn of the key, a slot and a busy machine add to a due time
CLOCK_READ_MS = 10  # brokers and handler read the same clock, not at the same time


class Scene(World):
    def __init__(self, directory, cluster, schedule, spec):
        super().__init__(directory, cluster)
        self.schedule = schedule
        self.spec = spec
        self.partitions = spec.partitions
        self.timeout_ms = spec.timeout_ms
        self.windows = Windows(spec.timeout_ms)
        self.notes = {}
        self.problems = []
        self.redis_away_since = None
        self.redis_environment = {}
        self.excused = set()  # records that Kafka itself lost
        self.redis_proxy = self.handler_proxy = None
        self.at_end = []  # called with the checker, when all has settled

    # Composition

    @property
    def redis(self):
        if self._redis is None and self.spec.redis == "alone":
            self._redis = Redis(self.directory / "redis", environment=self.redis_environment)
        elif self._redis is None:
            made = {"sentinels": Sentinels, "cluster": RedisCluster}[self.spec.redis]
            self._redis = made(self.directory / "redis")
        return self._redis

    @property
    def handler(self):
        if self._handler is None:
            self._handler = Handler(self.handler_log, capture=False, sync=True)
        return self._handler

    def redis_url(self):
        if not self.spec.redis_proxy:
            return self.redis.url
        if self.redis_proxy is None:
            self.redis_proxy = Proxy(self.broker.loop, self.redis.socket_path)
        return "redis://%s/0" % self.redis_proxy.address

    def handler_url(self):
        if not self.spec.handler_proxy:
            return self.handler.url
        if self.handler_proxy is None:
            host, port = self.handler.address.split(":")
            self.handler_proxy = Proxy(self.broker.loop, (host, int(port)))
        return "http://%s/in" % self.handler_proxy.address

    def config(self, *routes, **changes):
        base = super().config(*(routes or [self.route()]))
        base["redis"]["url"] = self.redis_url()
        base["routes"][0]["handler"]["url"] = self.handler_url()
        if self.spec.kafka_proxy:
            base["kafka"]["bootstrap.servers"] = self.broker.proxied
        base = merge(base, self.spec.config)
        base["routes"][0] = merge(base["routes"][0], self.spec.route)
        return merge(base, changes)

    def add_gateway(self, name=None, handler=None, **changes):
        """A gateway that says its name to the handler and to the brokers; not started."""
        name = name or "g%d" % (len(self.gateways) + 1)
        config = merge(self.config(), {"kafka": {"client.id": name}})
        config["routes"][0]["handler"].update(
            {"request_headers": {"X-Gateway": name}, **(handler or {})})
        if self.spec.static:
            config["kafka"]["group.instance.id"] = name
        gateway = self.gateway(merge(config, changes), name)
        if self.spec.crash_points:
            gateway.program = places.find_crashy()
        gateway.environment = dict(self.spec.environment)
        return gateway

    def start_all(self):
        for _ in range(self.spec.gateways):
            self.add_gateway().start(wait=False)
        for gateway in self.gateways:
            gateway.wait_ready(40)
        if self.gateways:
            self.wait_shared()

    def start_traffic(self, **options):
        options = {"rate": self.spec.rate, "keys": self.spec.keys, "count": 0,
                   "seed": self.schedule.seed, "rule": list(self.spec.rules),
                   "dup_share": self.spec.dup_share, **options}
        return self.stream(**options)

    def copy_topics(self, config=None):
        """Those of the group that is judged; a route beside it has another group."""
        return [name for name in super().copy_topics(config) if name.split(".")[1] == self.group]

    def configured(self, topic, config):
        """Sets one property of a topic; false where the brokers do not take it now."""
        try:
            self.broker.configure_topic(topic, config)
        except (AssertionError, subprocess.TimeoutExpired):
            return False
        return True

    # What Kafka forgets

    def trim_source(self):
        """Deletes the records of the source topic so far; those that the group had not committed are
        Kafka's loss, and leave the account of what was acknowledged."""
        lines = self.broker.committed(self.group, self.topic)
        self.broker.delete_records({(self.topic, line["p"]): line["hi"] for line in lines},
                                   self.directory)
        committed = {line["p"]: line["committed"] for line in lines}
        self.excused |= {(self.topic, line["p"], o) for line in lines
                         for o in range(max(0, committed[line["p"]]), line["hi"])}

    def forget_records(self):
        """The account so far is closed: its topic goes, and offsets begin anew."""
        self.check()
        self.account.rename(self.account.with_suffix(".before"))

    def acked(self):
        lines = super().acked()
        if self.spec.naming is not None:
            names = self.spec.naming(lines)
            lines = [{**line, "id": names.of(line)} for line in lines if not names.needless(line)]
        if not self.excused:
            return lines
        return [line for line in lines if (line["topic"], line["p"], line["o"]) not in self.excused]

    def handled(self):
        lines = super().handled()
        if self.spec.naming is None:
            return lines
        names = self.spec.naming(super().acked())
        return [{**line, "id": names.of_call(line)} if line["e"] == "b" else line for line in lines]

    # Time and progress

    def effects_now(self):
        return len(self.handler.effects())

    def traffic(self, more, timeout=60):
        """Waits until so many more records had their effect."""
        goal = self.effects_now() + more
        wait_until(lambda: self.effects_now() >= goal, timeout,
                   lambda: "%d effects, there are %d" % (goal, self.effects_now()))

    def pass_time(self, low, high=None):
        """Lets a fault last: the length of an outage, not a wait for something."""
        seconds = low if high is None else self.schedule.between("times", low, high)
        time.sleep(seconds)
        return seconds

    def assigned(self, gateway):
        return gateway.metric("partitions_assigned") if gateway.alive() else 0

    def wait_shared(self, timeout=40):
        """Every running gateway has partitions."""
        wait_until(lambda: all(self.assigned(g) > 0 for g in self.running()), timeout,
                   lambda: "partitions of all: %s" % [self.assigned(g) for g in self.running()])

    def wait_everything_assigned(self, timeout=40, but=()):
        """The running gateways, but some, own every partition between them."""
        retry = self.config()["routes"][0].get("retry", {"tiers": []})
        total = self.partitions * (2 + len(retry["tiers"]))
        owners = [gateway for gateway in self.running() if gateway not in but]
        wait_until(lambda: sum(map(self.assigned, owners)) == total, timeout,
                   lambda: "%d partitions owned: %s" % (total, [self.assigned(g) for g in owners]))

    # Faults to processes

    def running(self):
        return [gateway for gateway in self.gateways if gateway.alive()]

    def victim(self):
        return self.schedule.choose("victims", self.running())

    def kill(self, gateway=None):
        gateway = gateway or self.victim()
        gateway.kill()
        self.crash_window(gateway)
        return gateway

    def crashed(self, gateway, within_s=0):
        """It ended by itself, so long ago at most."""
        self.crash_window(gateway).begin_us -= int(within_s * 1e6)

    def leave(self, gateway):
        """Ends it in good order; the ends that it cannot tell a Redis that is away happen again."""
        without_redis = self.redis_away_since is not None
        gateway.stop()
        if without_redis:
            self.crash_window(gateway, "left")

    def revive(self, gateway, wait=True):
        gateway.start(wait=False)
        if wait:
            gateway.wait_ready(60)
        return gateway

    def freeze(self, gateway=None):
        gateway = gateway or self.victim()
        gateway.freeze()
        self.crash_window(gateway, "frozen")
        return gateway

    def thaw(self, gateway):
        gateway.thaw()

    def metric_of_all(self, name, **labels):
        return sum(gateway.metric(name, **labels) for gateway in self.running())

    # What widens the windows

    @contextlib.contextmanager
    def without_redis(self):
        """While Redis is away nothing is marked: a kill then leaves more unmarked than usual."""
        self.redis_away_since = now_us()
        yield
        self.redis_away_since = None

    @contextlib.contextmanager
    def lost_answers(self):
        """What the handler did meanwhile may be unknown to the gateway, until some time after."""
        window = self.windows.open("ambiguous", before_us=self.timeout_ms * 1000)
        yield
        window.end_us = now_us() + 2 * self.timeout_ms * 1000 + 1_000_000

    def crash_window(self, gateway, name="crash"):
        window = self.windows.crash(gateway.name, IN_FLIGHT, name=name)
        if self.redis_away_since is not None:
            window.begin_us = min(window.begin_us, self.redis_away_since - MARK_US)
        return window

    # The end

    def is_settled(self):
        lines = self.committed_lines()
        return all(max(line["committed"], 0) >= line["hi"] for line in lines)

    def committed_lines(self):
        copies = [name for name in self.copy_topics() if name.startswith("retry.")]
        return self.broker.committed(self.group, self.topic, *copies)

    def settle(self):
        """Stops the traffic and waits; the seconds that it took, None where it did not."""
        begin = time.monotonic()
        for stream in self.streams:
            stream.stop()
        if self._producer is not None:
            self._producer.flush()
        try:
            wait_until(self.is_settled, self.spec.settle_s, "settled", every=0.25)
        except Timeout:
            return None
        return time.monotonic() - begin

    def stuck(self):
        """Partitions that are not committed to their end."""
        return ["%s/%d: %d of %d" % (line["topic"], line["p"], line["committed"], line["hi"])
                for line in self.committed_lines() if max(line["committed"], 0) < line["hi"]]

    def judge_due_times(self, found):
        """For a row whose clocks are wrong: how early and how late retries began, and the bound."""
        within_s = self.spec.due_within_s
        if within_s is None:
            return
        found.early_ms = within_s * 1000
        early, late = found.off_due_ms()
        self.notes["early_s"], self.notes["late_s"] = "%.1f" % (early / 1e3), "%.1f" % (late / 1e3)
        self.demand(early <= within_s * 1000 + CLOCK_READ_MS, "early by %.1f s" % (early / 1e3))
        self.demand(late <= (within_s + LATE_S * SLOWDOWN) * 1000, "late by %.1f s" % (late / 1e3))

    def report(self, settled_s):
        found = self.checker()
        self.judge_due_times(found)
        base = found.report()
        account = Account(self.broker.request_logs(), self.group)
        unowned, rewound = account.unowned(), account.rewound()
        stuck = [] if settled_s is not None else self.stuck()
        doubled, windows, outside = self.windows.judge(found)
        for look in self.at_end:
            look(found)
        row = Row(self.spec.name, self.schedule.seed, {
            "acked": base["acknowledged"], "effects": base["effects"], "dead": base["dead"],
            "pending": base["pending"], "lost": base["lost"], "doubled": doubled,
            "inside": sum(windows.values()), "order": base["out_of_order"],
            "overlap": base["overlaps"], "unowned": len(unowned), "rewound": len(rewound),
            "stuck": len(stuck), "other": sum(base[name] for name in OTHER),
            "settled_s": "-" if settled_s is None else "%.1f" % settled_s,
        }, windows=windows, notes=dict(self.notes))
        judge(row, self.spec.allow, self.doubles_allowed(), self.spec.settle_s * SLOWDOWN)
        if self.spec.account is not None:
            self.spec.account(self, found, row)
        row.problems += self.problems
        if not account.commits:
            row.problems.append("the brokers wrote down no commit")
        row.details = {"outside": outside, "unowned": list(map(str, unowned)),
                       "rewound": list(map(str, rewound)), "stuck": stuck, **found.details}
        return row

    def doubles_allowed(self):
        """At most what was in flight at each kill; None: no bound by number."""
        if self.spec.doubles is not None:
            return self.spec.doubles
        return None if self.spec.ambiguous else self.windows.most()

    def demand(self, condition, text):
        """What this row must show besides its columns."""
        if not condition:
            self.problems.append(text)

    def close(self):
        for gateway in self.gateways:
            if gateway.alive():
                gateway.child.send(signal.SIGCONT)
        for proxy in (self.redis_proxy, self.handler_proxy):
            if proxy is not None:
                proxy.heal()
        super().close()
        for proxy in (self.redis_proxy, self.handler_proxy):
            if proxy is not None:
                proxy.close()
