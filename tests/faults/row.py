"""One row: what became of the records of one run, and whether that is what must hold."""

import collections
import dataclasses

# What must be 0 whatever the fault, unless a row says otherwise with its reason.
ZERO = ("pending", "lost", "order", "overlap", "unowned", "rewound", "stuck", "other")
OTHER = ("early", "committed_beyond", "both", "idempotency")
COLUMNS = ("acked", "effects", "dead", "pending", "lost", "doubled", "inside", "order", "overlap",
           "unowned", "stuck", "settled_s")
HEADINGS = ("acknowledged", "effects", "dead letters", "pending", "lost", "doubled",
            "of them in a window", "out of order", "overlapping", "unowned commits", "stuck",
            "settled after, s")


@dataclasses.dataclass
class Row:
    name: str
    seed: int
    values: dict
    windows: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    problems: list = dataclasses.field(default_factory=list)
    notes: dict = dataclasses.field(default_factory=dict)
    seconds: float = 0.0

    @property
    def good(self):
        return not self.problems

    def text(self):
        """The one line that a run prints."""
        words = ["%s=%s" % (name, self.values[name]) for name in COLUMNS]
        words += ["%s=%s" % (name, self.values[name]) for name in ("rewound", "other")]
        words += ["%s=%s" % item for item in self.notes.items()]
        if self.windows:
            words.append("windows=" + ",".join("%s:%d" % item for item in self.windows.items()))
        return "%s seed=%d %s %s" % (self.name, self.seed, "ok" if self.good else "FAILED",
                                     " ".join(words))

    def cells(self):
        return [str(self.values[name]) for name in COLUMNS]


def judge(row, allow, doubles, settle_s):
    """Adds to row.problems what must not be. allow: {column: most}; doubles: most inside windows;
    settle_s: how long it had to settle, where settled_s is "-"."""
    for name in ZERO:
        if row.values[name] > allow.get(name, 0):
            row.problems.append("%s=%d" % (name, row.values[name]))
    outside = row.values["doubled"] - row.values["inside"]
    if outside > allow.get("outside", 0):
        row.problems.append("doubled outside of every window: %d" % outside)
    if doubles is not None and row.values["inside"] > doubles:
        row.problems.append("doubled=%d, at most %d" % (row.values["inside"], doubles))
    if row.values["settled_s"] == "-":
        row.problems.append("not settled within %g s" % settle_s)
