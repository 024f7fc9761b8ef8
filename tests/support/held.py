"""A way to Redis whose answers can be held back: from a request on that is named by bytes in it, until
they are let go. So a test can stand in the middle of something that takes but a moment.

Requests are passed on all the time: Redis does what it is asked, and nobody hears of it."""

import socket
import threading


def _end(*socks):
    """Whoever waits for one of them does not wait any more."""
    for sock in socks:
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already


class HeldAnswers:
    """Listens on a unix socket for the one of a server. Ended by close()."""

    def __init__(self, path, target):
        self.target = target
        self.held = threading.Event()  # such a request was passed on, and no answer goes back any more
        self._flowing = threading.Event()
        self._flowing.set()
        self._mark = None
        self._lock = threading.Lock()  # a request that is looked at while they are let go holds none
        self._ends, self._threads = [], []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self.url = "unix://%s" % path
        self._run(self._accept)

    def hold_from(self, mark):
        """From the next request on that has these bytes in it."""
        self.held.clear()
        self._mark = mark

    def let_go(self):
        with self._lock:
            self._mark = None
            self._flowing.set()

    def close(self):
        self.let_go()
        _end(self._listener)
        self._threads[0].join()
        _end(*self._ends)
        for thread in self._threads:
            thread.join()
        for sock in [self._listener, *self._ends]:
            sock.close()

    def _run(self, work, *args):
        self._threads.append(threading.Thread(target=work, args=args, daemon=True))
        self._threads[-1].start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.target)
            except OSError:
                near.close()
                far.close()
                continue
            self._ends += [near, far]
            self._run(self._pass_requests, near, far)
            self._run(self._pass_answers, far, near)

    def _look(self, seen, data):
        """What is to be seen together with the next piece, and whether answers are held from now on."""
        with self._lock:
            mark = self._mark
            if mark is None:
                return b"", False
            seen += data
            if mark not in seen:
                return seen[-len(mark) + 1:], False
            self._mark = None
            self._flowing.clear()
            return b"", True

    def _pass_requests(self, near, far):
        seen = b""
        try:
            while data := near.recv(65536):
                seen, found = self._look(seen, data)
                far.sendall(data)
                if found:
                    self.held.set()
        except OSError:
            pass
        _end(near, far)

    def _pass_answers(self, far, near):
        try:
            while data := far.recv(65536):
                self._flowing.wait()
                near.sendall(data)
        except OSError:
            pass
        _end(near, far)
