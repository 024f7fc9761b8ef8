"""A private redis-server on a unix socket and a TCP port."""

import os
import shutil
import signal
import socket
import subprocess

from support.process import Child, free_port, tail
from support.waiting import wait_until


class Redis:
    """One server with its own directory. Its data survive restart(), unless asked otherwise."""

    def __init__(self, directory, tls=None, options=(), config=None, environment=None):
        """tls: (certificate, key), for a second port with TLS. options: more of the command line.
        config: the text of a configuration file, which a sentinel needs. environment: added to
        ours."""
        self.environment = environment or {}
        self.directory = directory
        self.config = config
        self.tls_port = None if tls is None else free_port()
        self.options = list(options) if tls is None else [
            "--tls-port", self.tls_port, "--tls-cert-file", tls[0], "--tls-key-file", tls[1],
            "--tls-ca-cert-file", tls[0], "--tls-auth-clients", "no"]
        self.socket_path = str(directory / "redis.sock")
        self.port = free_port()
        self.child = None
        directory.mkdir(parents=True, exist_ok=True)
        if config is not None:
            (directory / "redis.conf").write_text(config)
        self.start()

    @property
    def url(self):
        return "unix://" + self.socket_path

    @property
    def tcp_url(self):
        return "redis://127.0.0.1:%d/0" % self.port

    def start(self):
        self.child = Child(
            ["redis-server", *([] if self.config is None else [self.directory / "redis.conf"]),
             "--port", self.port, "--bind", "127.0.0.1", "--unixsocket",
             self.socket_path, "--dir", self.directory, "--save", "", "--appendonly", "yes",
             "--appendfsync", "everysec", "--maxmemory-policy", "noeviction", "--daemonize", "no",
             *self.options], self.directory / "redis.log",
            env={**os.environ, **self.environment})
        wait_until(self._answers, 20, lambda: "redis-server answers: " + tail(self.child.log))

    def _answers(self):
        status = self.child.process.poll()
        assert status is None, "redis-server ended at once, with %s %d\n%s" % (
            "exit status" if status >= 0 else "signal", abs(status), tail(self.child.log))
        try:
            return self.call("PING") == "PONG"
        except OSError:
            return False

    def call(self, *args):
        """One command; strings and integers as they are, arrays as lists, errors raised."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.socket_path)
            parts = [str(arg).encode() for arg in args]
            sock.sendall(b"*%d\r\n" % len(parts) +
                         b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
            with sock.makefile("rb") as file:
                return self._reply(file)

    def _reply(self, file):
        line = file.readline().rstrip(b"\r\n")
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise OSError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"*":
            return [self._reply(file) for _ in range(int(rest))]
        if int(rest) < 0:
            return None
        return file.read(int(rest) + 2)[:-2].decode("latin-1")

    def stop(self):
        if self.child.alive():
            self.child.stop()

    def kill(self):
        self.child.kill()

    def freeze(self):
        """SIGSTOP: connections stay, nothing answers."""
        self.child.send(signal.SIGSTOP)

    def thaw(self):
        self.child.send(signal.SIGCONT)

    def wipe_files(self):
        """Removes what is on disk; only while stopped."""
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.suffix in (".rdb", ".aof"):
                path.unlink()

    def restart(self, keep_data=True):
        self.stop()
        if not keep_data:
            self.wipe_files()
        self.start()


def available():
    return shutil.which("redis-server") is not None and subprocess.run(
        ["redis-server", "--version"], capture_output=True, check=False).returncode == 0
