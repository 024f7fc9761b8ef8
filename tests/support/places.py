"""Where the programs under test and the instruments are."""

import os
import pathlib

CRASH_MARK = b"ONCEGATE_CRASH_AT"  # in programs that have crash points
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KAFKA = ROOT / "scripts" / "kafka"


def build_dirs():
    if os.environ.get("ONCEGATE_BUILD"):
        yield pathlib.Path(os.environ["ONCEGATE_BUILD"])
    for name in ("release", "dev"):
        yield ROOT / "build" / name


def find_gateway():
    """The program under test, or None."""
    named = os.environ.get("ONCEGATE") or os.environ.get("ONCEGATE_BIN")
    paths = [pathlib.Path(named)] if named else [path / "gateway" / "oncegate"
                                                 for path in build_dirs()]
    return next((path for path in paths if path.is_file()), None)


def find_support():
    """The instruments, or None."""
    named = os.environ.get("ONCEGATE_SUPPORT")
    paths = [pathlib.Path(named)] if named else [path / "tests" / "support" / "og-support"
                                                 for path in build_dirs()]
    return next((path for path in paths if path.is_file()), None)


def find_crashy():
    """A program with crash points (see docs/faults.md), or None."""
    named = os.environ.get("ONCEGATE_CRASHY")
    paths = [pathlib.Path(named)] if named else [path / "gateway" / "oncegate"
                                                 for path in build_dirs()]
    return next((path for path in paths
                 if path.is_file() and CRASH_MARK in path.read_bytes()), None)


def find_schemathesis():
    """The one of the build tree, or None."""
    named = os.environ.get("ONCEGATE_SCHEMATHESIS")
    path = pathlib.Path(named) if named else ROOT / "build" / "venv" / "bin" / "schemathesis"
    return str(path) if path.is_file() else None


def find_clock_shift():
    """The library that shifts a program's wall clock, or None."""
    support = find_support()
    path = None if support is None else support.parent / "libog-clock-shift.so"
    return path if path is not None and path.is_file() else None
