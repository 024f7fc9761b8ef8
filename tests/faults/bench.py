"""Plays rows: makes the clusters on first use, a fresh scene for each run, and the row of it."""

import pathlib
import shutil
import time
import traceback

from faults.cluster import Cluster
from faults.proxy import Loop
from faults.row import Row
from faults.scene import Scene
from faults.schedule import Schedule
from support import places


class Skipped(Exception):
    """A row that cannot be played here, and why."""


class Bench:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.loop = Loop()
        self.clusters = {}
        self.number = 0

    def cluster(self, spec):
        if spec.own_cluster is not None:
            return Cluster(self.directory / ("kafka-%s" % spec.name), self.loop,
                           **{"brokers": spec.brokers, **spec.own_cluster})
        if spec.brokers not in self.clusters:
            self.clusters[spec.brokers] = Cluster(
                self.directory / ("kafka-%d" % spec.brokers), self.loop, spec.brokers)
        return self.clusters[spec.brokers]

    def play(self, spec, seed):
        """One run of one row. What goes wrong in the run itself is a problem of the row."""
        why = spec.needs() if spec.needs else None
        if spec.crash_points and places.find_crashy() is None:
            why = "no build with crash points (cmake --preset dev)"
        if why:
            raise Skipped(why)
        self.number += 1
        directory = self.directory / ("%s-%d" % (spec.name, self.number))
        directory.mkdir()
        begin = time.monotonic()
        cluster = self.cluster(spec)
        scene = Scene(directory, cluster, Schedule(seed), spec)
        row = None  # where the run is ended from outside
        try:
            row = self._run(scene, spec)
        except Exception as error:  # pylint: disable=broad-except
            row = self._failed(scene, spec, error)
        finally:
            try:
                scene.close()
            except AssertionError as error:
                if row is not None:
                    row.problems.append(str(error).splitlines()[0])
            if spec.own_cluster is not None:
                cluster.close()
        row.seconds = time.monotonic() - begin
        row.directory = directory
        if row.good:
            shutil.rmtree(directory, ignore_errors=True)
        return row

    def _run(self, scene, spec):
        scene.start_all()
        if spec.traffic:
            scene.start_traffic()
            scene.traffic(min(300, spec.rate // 2))
        spec.function(scene)
        return scene.report(scene.settle())

    def _failed(self, scene, spec, error):
        said = "%s: %s" % (type(error).__name__, error)
        (scene.directory / "bench.txt").write_text(
            traceback.format_exc() + "\n" + scene.show(), encoding="utf-8")
        try:
            row = scene.report(None)
        except Exception as again:  # pylint: disable=broad-except
            row = Row(spec.name, scene.schedule.seed, dict.fromkeys(
                ("acked", "effects", "dead", "pending", "lost", "doubled", "inside", "order",
                 "overlap", "unowned", "rewound", "stuck", "other", "settled_s"), "?"))
            row.details = {}
            said += "; then %s" % again
        row.problems.insert(0, said)
        return row

    def close(self):
        for cluster in self.clusters.values():
            cluster.close()


def explain(row, lines=8):
    """What a failed row has to say, beyond its line."""
    text = ["  problem: %s" % problem for problem in row.problems]
    for name, details in row.details.items():
        text += ["  %s: %s" % (name, detail) for detail in details[:lines]]
    text.append("  left in %s" % row.directory)
    return "\n".join(text)
