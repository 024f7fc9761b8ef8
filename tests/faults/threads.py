"""Stops single threads of a process (ptrace): a member whose Kafka client stands still while its
worker goes on. That is the zombie that nothing but the ledger can stop: it holds records, a Redis
connection and a handler, and has no way to learn that the group has expelled it."""

import ctypes
import os
import queue
import threading

SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
WALL = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long] + [ctypes.c_void_p] * 3


def threads_of(pid, prefix):
    """Ids of the threads whose names begin so."""
    found = []
    for tid in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/comm" % (pid, tid), encoding="utf-8") as file:
            if file.read().startswith(prefix):
                found.append(int(tid))
    return found


def _trace(request, tid):
    if _libc.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace(%#x)" % request)


class Stopped:
    """The threads stand still until go(). One thread of ours does all of it, as ptrace demands."""

    def __init__(self, tids):
        self.tids = tids
        self.error = None
        self.stopped, self.resume, self.gone = threading.Event(), queue.Queue(), threading.Event()
        threading.Thread(target=self._hold, daemon=True).start()
        self.stopped.wait()
        if self.error is not None:
            raise self.error

    def _hold(self):
        held = []
        try:
            for tid in self.tids:
                _trace(SEIZE, tid)
                _trace(INTERRUPT, tid)
                os.waitpid(tid, WALL)
                held.append(tid)
        except OSError as error:
            self.error = error
        self.stopped.set()
        if self.error is None:
            self.resume.get()
        for tid in held:
            try:
                _trace(DETACH, tid)
            except OSError:
                pass  # it died meanwhile
        self.gone.set()

    def go(self):
        self.resume.put(None)
        self.gone.wait()
