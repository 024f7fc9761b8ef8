"""A child process that is waited for with a deadline and never left behind."""

import ctypes
import errno
import fcntl
import os
import random
import signal
import socket
import subprocess

PR_SET_PDEATHSIG = 1


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _port_range():
    """From 10000 on, below scripts/kafka's and those that the kernel hands out to clients."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
            first = int(file.read().split()[0])
    except OSError:
        first = 22000
    return range(10000, first if 11000 <= first < 22000 else 22000)


def _take_ports():
    """Yields ports that no other test has, one after the other from somewhere on.

    A port that was merely free a moment ago is lost as soon as its server is killed: the kernel gives
    it to a connection as its own end, or another test chooses it. So the byte of its number stays
    locked in one file, as tests/integration/ports.c does it too. Such a lock ends with the process
    and is not inherited. It would end as well if any other descriptor of the file were closed: the
    file is opened once."""
    locks = os.open("/tmp/oncegate-ports-%d" % os.getuid(),
                    os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    ports = _port_range()
    start = random.SystemRandom().choice(ports)
    for port in [*range(start, ports.stop), *range(ports.start, start)]:
        try:
            fcntl.lockf(locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.socket() as sock:
                sock.bind(("0.0.0.0", port))
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EADDRINUSE):
                raise
            continue
        yield port
    raise AssertionError("no port is left")


_PORTS = _take_ports()


def free_port():
    """A port that nobody uses, and no other test before this process has ended: a server can be killed
    and started again on it."""
    return next(_PORTS)


def make_certificate(directory, name):
    """A certificate of its own authority for one host name; (certificate, key)."""
    cert, key = directory / (name + ".crt"), directory / (name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name,
                    "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def tail(path, lines=40):
    try:
        with open(path, "rb") as file:
            return b"\n".join(file.read().splitlines()[-lines:]).decode("utf-8", "replace")
    except FileNotFoundError:
        return "(no %s)" % path


class Child:
    """A started program whose output goes to a file."""

    def __init__(self, args, log, **options):
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                [str(arg) for arg in args], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, preexec_fn=_die_with_parent, **options)
        self.pid = self.process.pid

    def alive(self):
        return self.process.poll() is None

    def send(self, sig):
        if self.alive():
            self.process.send_signal(sig)

    def wait(self, timeout):
        """The exit code; raises subprocess.TimeoutExpired."""
        return self.process.wait(timeout)

    def kill(self):
        """SIGKILL, and reaped."""
        self.send(signal.SIGKILL)
        return self.process.wait(10)

    def stop(self, timeout=20):
        """SIGTERM and the exit code; SIGKILL where that does not help, and then None."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()
