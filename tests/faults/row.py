"""One row: what became of the records of one run, and whether that is what must hold."""

import collections
import dataclasses

# What must be 0 whatever the fault, unless a row says otherwise with its reason.
ZERO = ("pending", "lost", "order", "overlap", "unowned", "rewound", "stuck", "other")
UNBOUNDED = 9999  # a row that allows so many counts nothing in that column
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
    allow: dict = dataclasses.field(default_factory=dict)

    @property
    def good(self):
        return not self.problems

    def text(self):
        """The one line that a run prints."""
        words = ["%s=%s" % (name, self.values[name]) for name in COLUMNS]
        words += ["%s=%s" % (name, self.values[name]) for name in ("rewound", "other")]
        words += ["%s=%s" % item for item in self.notes.items()]
        words += ["%s<=%d" % item for item in self.allow.items()]
        if self.windows:
            words.append("windows=" + ",".join("%s:%d" % item for item in self.windows.items()))
        return "%s seed=%d %s %s" % (self.name, self.seed, "ok" if self.good else "FAILED",
                                     " ".join(words))

    def beyond(self):
        """What the columns of the table do not say: bounds that are not 0, and judged values that have
        no column and are not 0."""
        texts = []
        for name in ZERO:
            value, most = self.values[name], self.allow.get(name, 0)
            if most or (value and name not in COLUMNS):
                bound = "any number" if most >= UNBOUNDED else "at most %d" % most
                texts.append("%s: %s (allowed: %s)" % (name, value, bound))
        return texts

    def cells(self):
        return [str(self.values[name]) for name in COLUMNS]


def judge(row, allow, doubles, settle_s):
    """Adds to row.problems what must not be. allow: {column: most}; doubles: most inside windows;
    settle_s: how long it had to settle, where settled_s is "-"."""
    row.allow = dict(allow)
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
