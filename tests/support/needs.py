"""What tests need and may not find: that skips on a laptop and fails where CI=true."""

import os

import pytest

from support import places, redis_server


def missing(what):
    if os.environ.get("CI") == "true":
        pytest.fail("%s is missing, and CI demands it" % what)
    pytest.skip("%s is missing" % what)


@pytest.fixture(scope="session")
def programs():
    """The program under test and its instruments are there. For a conftest to import."""
    if places.find_gateway() is None:
        missing("the program (scripts/build)")
    if places.find_support() is None:
        missing("og-support (built with the tests)")
    if not redis_server.available():
        missing("redis-server")
