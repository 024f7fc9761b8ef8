"""What is under way when the other end is lost: an export without its brokers, a purge without its
console. On a broker of these tests' own, behind a proxy."""

import http.client
import json
import threading

import pytest

from faults.cluster import Cluster
from faults.kafka_filter import KafkaFilter
from faults.proxy import Loop
from support.console import JSON
from support.gateway import command
from support.process import tail
from support.stage import Stage
from support.waiting import wait_until
from support.world import World

pytestmark = pytest.mark.slow
DELETE_RECORDS = 21


@pytest.fixture
def stage(programs, tmp_path):
    """On a broker that may be killed."""
    cluster = Cluster(tmp_path / "kafka", Loop())
    world = World(tmp_path, cluster)
    stage = Stage(world, tmp_path)
    stage.cluster = cluster
    yield stage
    stage.close()
    world.close()
    cluster.stop(kill=True)
    for proxy in cluster.proxies:
        proxy.close()


class Swallowing(KafkaFilter):
    """Requests of one kind are never seen by the broker, so nothing answers them."""

    def __init__(self, api):
        super().__init__()
        self.api = api
        self.swallowed = threading.Event()

    def request(self, awaited, frame):
        if int.from_bytes(frame[:2], "big") == self.api:
            self.swallowed.set()
            return None
        return super().request(awaited, frame)


def read_export(console, pause):
    """The bytes of an export, and whether its answer was whole; pause(bytes so far) between reads."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=90)
    connection.request("GET", "/api/v1/export")
    answer = connection.getresponse()
    got, whole = bytearray(), True
    try:
        while piece := answer.read1(1 << 20):
            got += piece
            pause(len(got))
    except http.client.IncompleteRead as broken:
        got += broken.partial
        whole = False
    finally:
        connection.close()
    return bytes(got), whole


def test_an_export_whose_brokers_die_is_known_to_be_a_part(stage, tmp_path):
    """By its last line and by HTTP; an import of what came refuses it; with brokers it is whole again."""
    count, size = 2000, 16000
    for number in range(count):
        stage.letter(key="k%d" % number, value="v" * size)
    console = stage.console(limits={"request": "60s"}).start()
    wait_until(lambda: console.get("/api/v1/overview")["routes"][0]["open"] == count, 60, "all")
    killed = []

    def kill(got):
        if got > 1 << 20 and not killed:
            stage.cluster.kill_node(1)
            killed.append(got)

    got, whole = read_export(console, kill)
    lines = got.splitlines()
    end = json.loads(lines[-1])["end"]
    assert killed and not whole, "the answer ended as if it were whole"
    assert end["complete"] is False and "Kafka" in end["why"], end
    assert end["letters"] == len(lines) - 1 < count
    assert all(len(json.loads(line)["payload"]) == size for line in lines[:-1])  # no line is torn
    part = tmp_path / "part.jsonl"
    part.write_bytes(got)
    assert console.child.alive(), tail(console.log)
    stage.cluster.start_node(1)
    path = tmp_path / "here.yaml"
    path.write_text(console.config_path.read_text())
    refused = command("dlq", "import", part, "--dry-run", config=path, check=65)
    assert "part.jsonl:%d" % len(lines) in refused.stderr
    got, whole = read_export(console, lambda _: None)
    assert whole and json.loads(got.splitlines()[-1])["end"] == {
        "letters": count, "complete": True, "why": None}


def test_a_purge_that_is_open_ends_with_its_console(stage):
    """It waits for Kafka when the console is asked to end, which ends in order; nothing was deleted."""
    for number in range(3):
        stage.letter(key="k%d" % number)
    swallowing = Swallowing(DELETE_RECORDS)
    stage.cluster.use_filter(swallowing)
    stage.config["kafka"]["bootstrap.servers"] = stage.cluster.proxied
    console = stage.console(allow_changes=True).start()
    console.wait_letters(3)
    said = []

    def purge():
        said.append(console.request("POST", "/api/v1/purge", json.dumps({
            "topic": stage.dlq, "partition": 0, "before": 2, "confirm": stage.dlq}), JSON, timeout=90)[0])

    asking = threading.Thread(target=purge)
    asking.start()
    assert swallowing.swallowed.wait(60), tail(console.log)
    console.stop()
    asking.join(60)
    assert said and said[0] != 200, said
    assert len(stage.world.broker.dump(stage.dlq)) == 3
    assert len(stage.world.broker.dump("audit." + stage.world.group)) == 1
