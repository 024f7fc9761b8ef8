"""Redis servers that belong together: a master with a replica and three sentinels, or a cluster of
three masters with a replica each. Real servers on 127.0.0.1; a server is a support.redis_server.Redis
and can be killed, frozen and started again."""

import os

from support.process import free_port
from support.redis_server import Redis
from support.waiting import wait_until

SLOTS = 16384


def _fields(text):
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def replication(server):
    return _fields(server.call("INFO", "replication"))


def _wait_for_replica(master, replica):
    """Until what is written to the master reaches the replica; the link alone comes up to a second
    before that."""
    wait_until(lambda: replication(replica).get("master_link_status") == "up", 20, "a linked replica")
    mark = os.urandom(4).hex()
    master.call("SET", "{topology}", mark, "PX", 60000)
    wait_until(lambda: replica.call("GET", "{topology}") == mark, 20, "a replica that reads on")


class Sentinels:
    """data[0] is the master at first; kill it, or fail_over(), and the sentinels take the other."""

    def __init__(self, directory, name="ledger"):
        self.name = name
        master = Redis(directory / "data-0")
        self.data = [master, Redis(directory / "data-1", options=[
            "--replicaof", "127.0.0.1", master.port])]
        _wait_for_replica(*self.data)
        config = ("sentinel monitor %s 127.0.0.1 %d 2\n"
                  "sentinel down-after-milliseconds %s 500\n"
                  "sentinel failover-timeout %s 2000\n" % (name, master.port, name, name))
        self.sentinels = [Redis(directory / ("sentinel-%d" % i), config=config, options=["--sentinel"])
                          for i in range(3)]
        for sentinel in self.sentinels:
            sentinel.call("SENTINEL", "DEBUG", "info-period", 200, "ping-period", 100,
                          "ask-period", 100, "publish-period", 100)
            # One that was not run for two seconds, on a busy machine, does nothing for half a minute.
            sentinel.call("SENTINEL", "DEBUG", "tilt-trigger", 20000, "tilt-period", 1000)
        wait_until(lambda: all("slaves=1,sentinels=3" in sentinel.call("INFO", "sentinel")
                               for sentinel in self.sentinels), 20, "sentinels that know each other")
        for sentinel in self.sentinels:
            # One that has not heard of a promotion within four periods takes it back.
            sentinel.call("SENTINEL", "DEBUG", "publish-period", 1000)

    @property
    def url(self):
        return "redis+sentinel://%s/%s" % (
            ",".join("127.0.0.1:%d" % sentinel.port for sentinel in self.sentinels), self.name)

    def master(self):
        """The server that all living sentinels name, or None while they disagree."""
        named = {int(sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])
                 for sentinel in self.sentinels if sentinel.child.alive()}
        found = [server for server in self.data if {server.port} == named]
        return found[0] if found else None

    def fail_over(self):
        """By hand, with both servers alive; returns when the sentinels agree on the other. Asked for
        again where it is refused or given up: on a busy machine a replica that was not heard for half
        a second is not good enough."""
        old = wait_until(self.master, 20, "sentinels that agree")

        def is_moved():
            if self._keeps(old):
                try:
                    self.sentinels[0].call("SENTINEL", "FAILOVER", self.name)
                except OSError as error:
                    assert "NOGOODSLAVE" in str(error), error
            return self.master() not in (None, old)

        wait_until(is_moved, 40, "another master", every=0.2)
        return self.master()

    def _keeps(self, server):
        """The first sentinel names this one, and is not about to change that."""
        words = self.sentinels[0].call("SENTINEL", "MASTER", self.name)
        told = dict(zip(words[::2], words[1::2]))
        return int(told["port"]) == server.port and "failover_in_progress" not in told["flags"]

    def wait_moved(self, old):
        wait_until(lambda: self.master() not in (None, old), 40, "another master")
        return self.master()

    def stop(self):
        for server in self.sentinels + self.data:
            server.thaw()
            server.stop()


class RedisCluster:
    """nodes[0..2] are masters at first, nodes[3..5] their replicas in the same order."""

    def __init__(self, directory):
        self.nodes = []
        for i in range(6):
            self.nodes.append(Redis(directory / ("node-%d" % i), options=[
                "--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", free_port(),
                "--cluster-config-file", "nodes.conf", "--cluster-require-full-coverage", "yes",
                "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"]))
        self.ids = [node.call("CLUSTER", "MYID") for node in self.nodes]
        for i, node in enumerate(self.nodes[:3]):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            node.call("CLUSTER", "ADDSLOTSRANGE", SLOTS * i // 3, SLOTS * (i + 1) // 3 - 1)
        for node in self.nodes[1:]:
            node.call("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port,
                      self.nodes[0].options[5])
        wait_until(lambda: all(_fields(node.call("CLUSTER", "INFO"))["cluster_known_nodes"] == "6"
                               for node in self.nodes), 40, "nodes that know each other")
        for i, node in enumerate(self.nodes[3:]):
            wait_until(lambda node=node, i=i: self._follow(node, self.ids[i]), 20, "a replica")
        self.wait_ok()
        wait_until(lambda: all("state=online" in replication(node).get("slave0", "")
                               for node in self.nodes[:3]), 20, "replicas that are online")

    @staticmethod
    def _follow(node, master):
        try:
            return node.call("CLUSTER", "REPLICATE", master) == "OK"
        except OSError:
            return False

    @property
    def url(self):
        return "redis+cluster://" + ",".join("127.0.0.1:%d" % node.port for node in self.nodes[:3])

    def living(self):
        return [node for node in self.nodes if node.child.alive()]

    def wait_ok(self):
        wait_until(lambda: all(_fields(node.call("CLUSTER", "INFO"))["cluster_state"] == "ok"
                               for node in self.living()), 40, "cluster_state ok")

    def owner(self, slot):
        """The master that serves a slot, as the first living node sees it."""
        for first, last, master, *_ in self.living()[0].call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == master[1])
        return None

    def slot(self, key):
        return self.living()[0].call("CLUSTER", "KEYSLOT", key)

    def fail_over(self, replica):
        """nodes[replica] becomes a master, by hand and without loss."""
        self.nodes[replica].call("CLUSTER", "FAILOVER")
        wait_until(lambda: replication(self.nodes[replica])["role"] == "master", 20, "a promotion")

    def move_slot(self, slot, target, first=(), between=None):
        """Reshards one slot to nodes[target] as redis-cli does; between() is called half-way, while
        the slot is being moved and some of its keys are gone, those of first among them. Not before all know the newest epoch: a
        target that takes the slot in an older one than its former owner has by then gives it up again at
        the next heartbeat that was on its way, and nobody serves it."""
        wait_until(lambda: len({_fields(node.call("CLUSTER", "INFO"))["cluster_current_epoch"]
                                for node in self.living()}) == 1, 20, "an epoch that all know")
        source, target_id = self.owner(slot), self.ids[target]
        to = self.nodes[target]
        to.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.call("CLUSTER", "MYID"))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        keys = {*first, *source.call("CLUSTER", "GETKEYSINSLOT", slot, 10)}
        if keys:
            source.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        if between:
            between()
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.call("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
        for node in [to, source] + [n for n in self.living() if n not in (to, source)]:
            if replication(node)["role"] == "master":
                node.call("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def stop(self):
        for node in self.nodes:
            node.thaw()
            node.stop()
