"""The handler: row 11. The right outcome for the record, and the others go on."""

import subprocess

from support import checker
from support.broker import Stream
from support.handler import Handler
from support.waiting import wait_until

from faults.catalog import row

# Each of these keeps its key waiting until the lease lapses: few, or the run takes for ever.
BROKEN = tuple('0.003:{"how":"%s","fail_first":1}' % how for how in (
    "reset_mid", "reset", "half", "short", "garbage", "close")) + ('0.05:{"how":"chunked"}',)


@row("11", "slow answers in a fifth of the requests", rules=('0.2:{"delay_ms":250}',), doubles=0)
def handler_slow(scene):
    scene.traffic(3000)


@row("11", "resets, half answers, short bodies and garbage", short=True, rules=BROKEN, rate=300,
     doubles=0, timeout_ms=1000)
def handler_broken_answers(scene):
    scene.traffic(1500)


@row("11", "succeeds, and the answer never comes", rate=200, ambiguous=True, timeout_ms=1500,
     rules=('0.02:{"how":"never","fail_first":1,"effect":true}',
            '0.02:{"how":"reset","fail_first":1,"effect":true}',
            '0.02:{"how":"reset_mid","status":200,"fail_first":1,"effect":true}'))
def handler_ambiguous(scene):
    """Each of these may be delivered twice, and no other. An idempotency key tells the handler."""
    scene.traffic(1500)


@row("11", "503 with Retry-After", rules=('0.05:{"fail_first":2,"status":503,"retry_after":"1"}',),
     doubles=0)
def retry_after(scene):
    scene.traffic(3000)
    scene.demand(scene.metric_of_all("dead_letters_total") == 0, "a Retry-After became a dead letter")


@row("11", "429 to everything for 8 s", short=True, doubles=0, rate=300)
def storm_of_429(scene):
    scene.handler.control(default={"status": 429})
    scene.pass_time(8)
    scene.handler.control(default=None)
    scene.traffic(300)
    scene.demand(scene.metric_of_all("dead_letters_total") == 0, "a 429 became a dead letter")


@row("11", "503 to everything for 10 s", doubles=0)
def outage_of_503(scene):
    scene.handler.control(outage=True)
    wait_until(lambda: scene.metric_of_all("breaker_open") > 0, 20, "the breaker opens")
    scene.pass_time(8)
    scene.handler.control(outage=False)
    scene.traffic(500)
    scene.demand(scene.metric_of_all("dead_letters_total") == 0, "an outage became dead letters")


@row("11", "answers of 1 GiB", rules=('0.01:{"how":"huge"}',), doubles=0, rate=300)
def huge_answers(scene):
    scene.traffic(2000)


@row("11", "no answer at all to 1 %", rules=('0.01:{"how":"never","fail_first":1}',), doubles=0,
     timeout_ms=1500, rate=200)
def no_answer(scene):
    scene.traffic(2000)


@row("11", "one key that always fails beside the others", doubles=0, rate=400)
def one_bad_key(scene):
    scene.handler.control(keys={"k7": {"status": 500}})
    before = {call.key for call in scene.handler.calls()}
    seen = len(scene.handler.effects())
    scene.traffic(2500)
    others = {record.split("/")[0] for record in scene.handler.effects()[seen:]}
    scene.demand(len(others) >= len(before) - 1, "only %d keys went on" % len(others))
    scene.handler.control(keys={"k7": None})


class Beside:
    """A second route of the same gateways, with a topic, a group and a handler of its own."""

    def __init__(self, scene, timeout):
        self.scene = scene
        self.handler = Handler(scene.directory / "beside.jsonl", capture=False)
        self.topic, self.account = scene.topic + "-b", scene.directory / "beside-acked.jsonl"
        route = scene.route(name="beside", topics=[self.topic], group=scene.group + "-b", handler={
            "url": self.handler.url, "timeout": timeout, "max_in_flight": 16})
        scene.make_topics(scene.config(scene.route(), route))
        for _ in range(2):
            gateway = scene.add_gateway()
            gateway.config["routes"].append(route)
            gateway.start()
        wait_until(lambda: all(gateway.metric("partitions_assigned", route=name) > 0
                               for gateway in scene.gateways for name in ("orders", "beside")), 40,
                   "both gateways have partitions of both routes")
        scene.start_traffic()
        self.stream = Stream(scene.broker, self.topic, self.account, rate=scene.spec.rate, keys=80, count=0,
                             seed=scene.schedule.seed, key_prefix="b")
        scene.streams.append(self.stream)
        scene.traffic(300)
        wait_until(lambda: len(self.handler.effects()) > 100, 30, "both routes deliver")

    def finish(self):
        """Healed: all of its records have their effect as well."""
        self.handler.control(default=None)
        self.stream.stop()
        ids = {line["id"] for line in checker.read_lines(self.account)}
        wait_until(lambda: ids <= set(self.handler.effects()), 120,
                   lambda: "%d effects of the route in trouble" % len(ids - set(self.handler.effects())))
        self.handler.stop()


def settles_meanwhile(scene, more=600):
    """What the judged route has now, and more, is delivered and committed while the trouble lasts."""
    scene.traffic(more, 30)
    ends = {(line["topic"], line["p"]): line["hi"] for line in scene.committed_lines()}
    wait_until(lambda: all(line["committed"] >= ends[line["topic"], line["p"]] or
                           ends[line["topic"], line["p"]] == 0 for line in scene.committed_lines()), 20,
               "the other route's records are committed meanwhile", every=0.2)


def goes_wrong(scene, beside, trouble):
    """The other route's requests end so from now on, and none of them has an effect."""
    handler = beside.handler
    handler.control(default=trouble)
    requests, effects = handler.stats()["requests"], len(handler.effects())
    wait_until(lambda: handler.stats()["requests"] > requests + 3, 60, "its requests fail")
    settles_meanwhile(scene)
    scene.notes["beside_%s" % (trouble.get("how") or trouble["status"])] = (
        handler.stats()["requests"] - requests)
    scene.demand(len(handler.effects()) == effects, "the route in trouble delivered meanwhile")


@row("11", "two routes: one's handler answers 429, never, then resets; the other's records settle meanwhile",
     gateways=0, traffic=False, rate=200, doubles=0, settle_s=30)
def other_route_goes_on(scene):
    """Resets come last: after each of them its key waits until the claim's lease has lapsed, which is
    longer than the deadline for which the requests hang."""
    beside = Beside(scene, timeout="40s")
    handler = beside.handler
    goes_wrong(scene, beside, {"status": 429})
    handler.control(default=None)
    effects = len(handler.effects())
    wait_until(lambda: len(handler.effects()) > effects + 200, 60, "it delivers again")
    handler.control(default={"how": "never"})
    wait_until(lambda: handler.stats()["open"] == 32, 30, "all slots of that route are full")
    hanging = handler.stats()["requests"]
    settles_meanwhile(scene)
    scene.demand(handler.stats()["requests"] == hanging, "the route that hangs went on meanwhile")
    goes_wrong(scene, beside, {"how": "reset"})
    beside.finish()


@row("11", "the handler's host refuses connections for 5 s", doubles=0)
def handler_away(scene):
    scene.handler.control(refuse=True)
    wait_until(lambda: scene.metric_of_all("breaker_open") > 0, 20, "the breaker opens")
    scene.pass_time(4)
    scene.handler.control(refuse=False)
    scene.traffic(500)


@row("11", "the network to the handler: late, standing still, reset, half answers", rate=200,
     handler_proxy=True, ambiguous=True, timeout_ms=1500)
def handler_network(scene):
    proxy = scene.handler_proxy
    for _ in range(10):
        fault = scene.schedule.choose("faults", ["delay", "stall", "reset", "half", "swallow"])
        if fault == "delay":
            proxy.delay(scene.schedule.number("delays", 20, 400))
        elif fault in ("reset", "half"):
            getattr(proxy, fault)()
        else:
            getattr(proxy, fault)(scene.schedule.choose("sides", [["down"], ["up"]]))
        lost_answers(scene)
        scene.pass_time(0.3, 2)
        proxy.heal()
        scene.pass_time(0.5, 1)


def lost_answers(scene):
    """What the handler did from now on may be unknown to the gateway, until some time after."""
    window = scene.windows.open("ambiguous", before_us=scene.timeout_ms * 1000)
    window.end_us = window.begin_us + 2 * scene.timeout_ms * 1000 + 3_000_000


def expired(directory, cert, key):
    """The same name, key and issuer as another one's, but its time is over."""
    conf = directory / "ca.cnf"
    conf.write_text("[ca]\ndefault_ca=d\n[d]\ndatabase=%s/index.txt\nnew_certs_dir=%s\nserial=%s/serial\n"
                    "default_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n"
                    "[e]\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n" % ((directory,) * 3), encoding="utf-8")
    (directory / "index.txt").write_text("", encoding="utf-8")
    (directory / "serial").write_text("77\n", encoding="utf-8")
    request, old = directory / "old.csr", directory / "old.crt"
    subprocess.run(["openssl", "req", "-new", "-key", str(key), "-subj", "/CN=localhost", "-out",
                    str(request)], check=True, capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", str(conf), "-cert", str(cert), "-keyfile",
                    str(key), "-in", str(request), "-out", str(old), "-startdate", "20200101000000Z",
                    "-enddate", "20210101000000Z"], check=True, capture_output=True)
    return old, key


def certificate(directory, name, days):
    cert, key = directory / (name + ".crt"), directory / (name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", str(days),
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def play_certificates(scene, right, wrong):
    """The handler shows the wrong one for a while: nobody is believed, and nothing is sent."""
    scene.use_handler(tls=right, capture=False)
    impostor = Handler(scene.directory / "impostor.jsonl", tls=wrong, capture=False)
    plain = scene.handler_url()
    proxy, real = scene.handler_proxy, scene.handler_proxy.target
    for _ in range(2):
        scene.add_gateway(handler={"tls": {"ca_file": str(right[0])},
                                   "url": plain.replace("http:", "https:")}).start()
    scene.wait_shared()
    scene.start_traffic()
    scene.traffic(300)
    host, port = impostor.address.split(":")
    proxy.target = (host, int(port))
    proxy.reset()
    lost_answers(scene)
    wait_until(lambda: scene.metric_of_all("breaker_open") > 0, 20, "the breaker opens")
    scene.pass_time(2)
    scene.demand(impostor.stats()["requests"] == 0, "a request went to an impostor")
    impostor.stop()
    proxy.target = real
    scene.traffic(500)


@row("11", "the handler's certificate is another, and then the right one again", ambiguous=True,
     traffic=False, gateways=0, handler_proxy=True)
def certificate_changes(scene):
    play_certificates(scene, certificate(scene.directory, "good", 2),
                      certificate(scene.directory, "other", 2))


@row("11", "the handler's certificate has expired, and is renewed", ambiguous=True, traffic=False,
     gateways=0, handler_proxy=True)
def certificate_expires(scene):
    """By the right authority and for the right name."""
    good = certificate(scene.directory, "good", 2)
    play_certificates(scene, good, expired(scene.directory, *good))
