"""What tests need and may not find: that skips on a laptop and fails where CI=true."""

import os
import shutil

import pytest

from support import places, redis_server


def missing(what):
    if os.environ.get("CI") == "true":
        pytest.fail("%s is missing, and CI demands it" % what)
    pytest.skip("%s is missing" % what)


def installed(name):
    """The name of a program that is on the path."""
    return name if shutil.which(name) else missing("%s (scripts/deps all)" % name)


def schemathesis():
    """The program that `scripts/deps all` puts into the build tree, or one that is on the path."""
    return (places.find_schemathesis() or shutil.which("schemathesis")
            or missing("schemathesis (scripts/deps all)"))


def crashy():
    """The program with crash points: what is shipped has none."""
    return places.find_crashy() or missing("a build with crash points (cmake --preset dev)")


@pytest.fixture(scope="session")
def programs():
    """The program under test and its instruments are there. For a conftest to import."""
    if places.find_gateway() is None:
        missing("the program (scripts/build)")
    if places.find_support() is None:
        missing("og-support (built with the tests)")
    if not redis_server.available():
        missing("redis-server")
