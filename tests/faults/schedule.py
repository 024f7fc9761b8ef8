"""What a seed decides: times, victims, kinds of fault. The same seed gives the same decisions.

Each subject draws from a stream of its own, so that one more draw in one place does not change what
another place decides."""

import os
import random


def fresh_seed():
    return int.from_bytes(os.urandom(4), "big")


class Schedule:
    def __init__(self, seed):
        self.seed = seed
        self._streams = {}

    def stream(self, name):
        """The random numbers of one subject."""
        if name not in self._streams:
            self._streams[name] = random.Random("%s/%s" % (self.seed, name))
        return self._streams[name]

    def between(self, name, low, high):
        return self.stream(name).uniform(low, high)

    def choose(self, name, items):
        return self.stream(name).choice(list(items))

    def number(self, name, low, high):
        """A whole number, both ends included."""
        return self.stream(name).randint(low, high)
