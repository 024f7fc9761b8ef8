"""A child process that is waited for with a deadline and never left behind."""

import ctypes
import signal
import socket
import subprocess

PR_SET_PDEATHSIG = 1


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


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
