"""What takes long is left out of a plain run: `scripts/test --all` runs it, or `-m slow`."""

import os

import pytest


def leave_out(config, items):
    """Marks what is slow as skipped, unless it was asked for."""
    if config.getoption("-m") or os.environ.get("CI") == "true":
        return
    skip = pytest.mark.skip(reason="slow: run by scripts/test --all, or with -m slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
