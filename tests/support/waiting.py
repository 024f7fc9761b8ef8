"""Waiting for a condition with a deadline: the only way in which a test lets time pass."""

import os
import time

# Sanitizers and busy machines are slow; a deadline is no assertion about speed.
SLOWDOWN = float(os.environ.get("ONCEGATE_TEST_SLOWDOWN",
                                "3" if os.environ.get("CI") == "true" else "1"))


class Timeout(AssertionError):
    """A condition did not come true in time."""


def wait_until(condition, timeout, what, every=0.05):
    """Calls condition() until it returns something true, which is returned.

    `what` says in the failure what was waited for; where it is callable it is called then, to show
    the state at the end."""
    deadline = time.monotonic() + timeout * SLOWDOWN
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout("not within %g s: %s" % (timeout, what() if callable(what) else what))
        time.sleep(every)


def holds_for(condition, seconds, what, every=0.1):
    """Watches that a condition stays true for a while. For what must *not* happen; keep it short."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            raise AssertionError("did not stay so for %g s: %s" % (
                seconds, what() if callable(what) else what))
        time.sleep(every)
