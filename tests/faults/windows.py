"""The named windows in which a record may be delivered twice, and which doubles lie in one.

A fault that opens a window says so when it happens. A second effect of a record is inside a window
where an *earlier* effect of it ended while one was open:

  crash       the process that made the request was killed (SIGKILL) about then: the mark in Redis
              was not written. At most what was in flight there.
  left        the same for a process that ended in good order while Redis was away for longer than its
              drain: it could not tell what it had finished
  frozen      the same for a process that was stopped (SIGSTOP) and whose claims lapsed meanwhile
  ambiguous   the answer did not reach the gateway: its deadline passed, or the connection broke
  redis-lost  Redis lost what it had acknowledged

Times are of the monotonic clock, in microseconds, as in the handler's log."""

import collections
import dataclasses
import datetime
import time

# How long before a kill an effect may have ended without its mark: the answer, one turn of the loop
# and one batch to Redis, on a busy machine.
MARK_US = 700_000


def now_us():
    return time.monotonic_ns() // 1000


@dataclasses.dataclass
class Window:
    name: str
    begin_us: int
    end_us: int = None       # None: still open
    gateway: str = None      # None: any
    limit: int = None        # doubles that it may explain; None: no bound of its own
    used: int = 0

    def covers(self, call):
        end = call.end_us
        return (end is not None and self.begin_us <= end and
                (self.end_us is None or end <= self.end_us) and
                (self.gateway is None or self.gateway == call.line.get("gw")))


def was_late(call, timeout_us):
    """Answered when the gateway did not wait any more: the request was long on its way, and the answer's way
    back, through the same busy machine, is taken to be as long."""
    deadline = call.line.get("dl")
    if deadline is None or call.end_ms is None:
        return False
    deadline_ms = datetime.datetime.fromisoformat(deadline.replace("Z", "+00:00")).timestamp() * 1000
    way_ms = max(0, call.begin_ms - (deadline_ms - timeout_us / 1000))
    return call.end_ms + way_ms >= deadline_ms - 20


def is_ambiguous(call, timeout_us):
    """The gateway cannot have taken this request for a success."""
    if call.how not in ("answer", "chunked"):
        return True
    return call.end_us - call.begin_us >= timeout_us - 20_000 or was_late(call, timeout_us)


class Windows:
    def __init__(self, timeout_ms):
        self.timeout_us = timeout_ms * 1000
        self.all = []

    def open(self, name, before_us=0, **fields):
        window = Window(name, now_us() - before_us, **fields)
        self.all.append(window)
        return window

    def crash(self, gateway, limit, name="crash"):
        """What was in flight at a kill; its requests go on at the handler for a while."""
        window = self.open(name, MARK_US, gateway=gateway, limit=limit)
        window.end_us = window.begin_us + MARK_US + self.timeout_us
        return window

    def explain(self, calls):
        """The name of the window that explains a second effect after these earlier ones, or None."""
        for call in reversed(calls):  # the last one before it is the one that went unmarked
            for window in self.all:
                if window.covers(call) and (window.limit is None or window.used < window.limit):
                    window.used += 1
                    return window.name
        return "ambiguous" if any(is_ambiguous(c, self.timeout_us) for c in calls) else None

    def most(self):
        """How many doubles the windows can explain, None where one of them has no bound."""
        limits = [window.limit for window in self.all]
        return None if None in limits else sum(limits)

    def judge(self, checker):
        """(effects beyond the first, of them by window, texts of those outside)."""
        doubles, inside, outside = 0, collections.Counter(), []
        for record_id, count in checker.effects.items():
            if count < 2:
                continue
            calls = sorted((c for c in checker.calls_of[record_id] if c.effect),
                           key=lambda c: c.end_us)
            for number in range(1, len(calls)):
                doubles += 1
                name = self.explain(calls[:number])
                if name is None:
                    outside.append("%s: %s" % (record_id, ["%s att %d %.3f-%.3f" % (
                        c.line.get("gw"), c.attempt, c.begin_us / 1e6, c.end_us / 1e6)
                        for c in calls[:number + 1]]))
                else:
                    inside[name] += 1
        return doubles, inside, outside
