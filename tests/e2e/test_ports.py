"""The tests' own ports: what one process has taken no other gets, and no connection as its own end."""

import pathlib
import subprocess
import sys

from support.process import free_port

TAKE = """
import sys
sys.path.insert(0, sys.argv[1])
from support import process
process._port_range = lambda: range(int(sys.argv[2]), int(sys.argv[2]) + 40)
ports = []
try:
    while True:
        ports.append(process.free_port())
except AssertionError:
    print(*ports, flush=True)
sys.stdin.read()
"""


def test_a_port_that_is_taken_is_nobody_elses():
    root = str(pathlib.Path(__file__).resolve().parent.parent)
    mine = [free_port() for _ in range(4)]
    others = [subprocess.Popen([sys.executable, "-c", TAKE, root, str(min(mine))], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    try:
        ports = mine + [int(word) for other in others for word in other.stdout.readline().split()]
    finally:
        for other in others:
            other.communicate()
            assert other.returncode == 0
    assert len(set(ports)) == len(ports), ports
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    assert first < 11000 or max(ports) < first, "the kernel hands out ports from %d on" % first
