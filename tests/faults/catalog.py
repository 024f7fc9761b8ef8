"""The rows: what each composes, what it breaks, and what may then be seen.

    @row("2", "SIGSTOP beyond the session timeout", short=True)
    def zombie(scene): ...

The number is the fault's in docs/faults.md; several rows share one."""

import dataclasses
import importlib
import pathlib

ROWS = {}
FAMILIES = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("faults_*.py"))


@dataclasses.dataclass
class Spec:
    name: str
    number: str
    title: str
    function: object
    short: bool = False          # in scripts/test faults
    brokers: int = 1
    own_cluster: dict = None     # a cluster of its own, with these options
    gateways: int = 2
    partitions: int = 4
    rate: int = 500
    keys: int = 80
    rules: tuple = ()
    dup_share: float = 0.0
    timeout_ms: int = 3000
    route: dict = dataclasses.field(default_factory=dict)
    config: dict = dataclasses.field(default_factory=dict)
    redis: str = "alone"         # or sentinels, cluster
    kafka_proxy: bool = False
    redis_proxy: bool = False
    handler_proxy: bool = False
    crash_points: bool = False   # gateways of a build that has them
    environment: dict = dataclasses.field(default_factory=dict)
    static: bool = False         # group.instance.id
    traffic: bool = True         # a stream runs when the function is called
    ambiguous: bool = False      # answers get lost: doubles without a bound by number
    doubles: int = None          # most doubles, all inside windows; None: what was in flight
    allow: dict = dataclasses.field(default_factory=dict)
    naming: object = None        # what is a record of its own (naming.py); None: by the id it has
    account: object = None       # called with scene, checker and row: what else must hold
    due_within_s: float = None   # retries begin so near to their due time; None: never early
    settle_s: float = 60
    needs: object = None         # called first; a text says why the row is skipped


def row(number, title, **options):
    def keep(function):
        name = "%s-%s" % (number, function.__name__.replace("_", "-"))
        ROWS[name] = Spec(name, number, title, function, **options)
        return function
    return keep


def load():
    """All rows by name, in the order of their numbers."""
    for family in FAMILIES:
        importlib.import_module("faults." + family)
    return dict(sorted(ROWS.items(), key=lambda item: (int(item[1].number), item[0])))
