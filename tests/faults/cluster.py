"""One or three real brokers, each with a second listener that is advertised through a proxy."""

import base64
import json
import os
import re
import signal
import subprocess

from support import places
from support.broker import Broker
from support.process import free_port

from faults.proxy import Proxy

LOG4J = places.ROOT / "tests" / "faults" / "kafka.log4j2.xml"


class Cluster(Broker):
    """bootstrap goes straight to the brokers, proxied through the proxies."""

    def __init__(self, directory, loop, brokers=1, small_disk=None, properties=""):
        """small_disk: the number of the broker whose log is on a file system of 200 MB."""
        self.loop = loop
        self.brokers = brokers
        self.small_disk = small_disk
        self.small_path = directory / "small"
        self.properties = properties
        self.proxies = []
        for _ in range(5):
            self._choose(directory)
            try:
                super().__init__(directory)
                return
            except subprocess.CalledProcessError as error:  # a port was taken in between
                said = error.stderr
        raise AssertionError("the brokers did not start: " + said)

    def _choose(self, directory):
        """Writes DIR/cluster, which scripts/kafka takes over, and the properties of the listeners."""
        self.ports, controllers, far = ([free_port() for _ in range(self.brokers)]
                                        for _ in range(3))
        for proxy in self.proxies:
            proxy.close()
        self.proxies = [Proxy(self.loop, ("127.0.0.1", port)) for port in far]
        directory.mkdir(parents=True, exist_ok=True)
        if self.small_disk and not os.path.ismount(self.small_path):
            self.small_path.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "none",
                            str(self.small_path)], check=True)
        (directory / "cluster").write_text(
            "brokers=%d\nports=(%s)\ncontroller_ports=(%s)\ncluster_id=%s\n" % (
                self.brokers, " ".join(map(str, self.ports)), " ".join(map(str, controllers)),
                "A" + base64.urlsafe_b64encode(os.urandom(16)).decode()[1:22]), encoding="utf-8")
        for node in range(self.brokers):
            path = directory / ("node-%d" % (node + 1))
            path.mkdir(exist_ok=True)
            near = "BROKER://127.0.0.1:%d" % self.ports[node]
            lines = ["listeners=%s,CONTROLLER://127.0.0.1:%d,PROXIED://127.0.0.1:%d" % (
                near, controllers[node], far[node]),
                "advertised.listeners=%s,PROXIED://%s" % (near, self.proxies[node].address),
                "listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,"
                "PROXIED:PLAINTEXT", self.properties]
            if node + 1 == self.small_disk:  # the metadata log stays where there is room
                lines += ["log.dirs=%s" % self.small_path,
                          "metadata.log.dir=%s" % (path / "data")]
            (path / "extra.properties").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _script(self, *args):
        env = {**os.environ, "ONCEGATE_KAFKA_LOG4J": str(LOG4J)}
        more = ["--brokers", str(self.brokers)] if args[0] == "start" else []
        return subprocess.run(
            [str(places.KAFKA), *args, *more, "--dir", str(self.directory)], text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=180, env=env).stdout

    def use_filter(self, kafka_filter):
        """From the next connections on; None ends it."""
        for proxy in self.proxies:
            proxy.filter = kafka_filter
            proxy.reset()

    @property
    def proxied(self):
        return ",".join(proxy.address for proxy in self.proxies)

    # One broker, by its number from 1

    def pid(self, node):
        return int((self.directory / ("node-%d" % node) / "pid").read_text())

    def kill_node(self, node):
        self._script("stop", "--node", str(node), "--kill")

    def stop_node(self, node):
        self._script("stop", "--node", str(node))

    def start_node(self, node):
        self._script("start", "--node", str(node))

    def freeze_node(self, node):
        os.kill(self.pid(node), signal.SIGSTOP)

    def thaw_node(self, node):
        os.kill(self.pid(node), signal.SIGCONT)

    def delete_records(self, below, directory):
        """Trims partitions: {(topic, partition): the first offset that stays}."""
        path = directory / "delete-records.json"
        path.write_text(json.dumps({"version": 1, "partitions": [
            {"topic": topic, "partition": partition, "offset": offset}
            for (topic, partition), offset in below.items()]}), encoding="utf-8")
        subprocess.run([str(places.KAFKA), "tool", "DeleteRecordsCommand", "--bootstrap-server",
                        self.bootstrap, "--offset-json-file", str(path)], check=True,
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=120)

    def is_running(self, node):
        try:
            os.kill(self.pid(node), 0)
        except (OSError, ValueError):
            return False
        return True

    def controller(self):
        """The number of the active controller."""
        said = subprocess.run([str(places.KAFKA), "tool", "MetadataQuorumCommand",
                               "--bootstrap-server", self.bootstrap, "describe", "--status"],
                              check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120).stdout
        return int(re.search(r"LeaderId:\s*(\d+)", said).group(1))

    def request_logs(self):
        return sorted(self.directory.glob("node-*/requests.log"))

    def close(self):
        for node in range(self.brokers):
            try:
                self.thaw_node(node + 1)
            except (OSError, ValueError):
                pass
        self.stop(kill=True)
        if self.small_disk:
            # Lazily: a broker that was just ended may hold it for a moment yet.
            subprocess.run(["umount", "-l", str(self.small_path)], check=False)
        for proxy in self.proxies:
            proxy.close()
