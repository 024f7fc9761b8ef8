"""The marks topic in the simulation (docs/ledger.md, "Marks"), for identity sequence.

A mark is what does not pass with time of a key's state: its block. `join` is lua/join_marks.lua on the model's states. The topic is
read as if it were compacted: of each key only the last mark counts, whoever wrote it.
"""

import copy

import model


def of_state(state):
    return copy.deepcopy(state.block) if state and isinstance(state.block, model.Sequence) else None


def of_numbers(numbers):
    """The caller's own: [(epoch, number)] that it finished; a mark for each epoch, the older ones first."""
    by_epoch = {}
    for epoch, number in sorted(numbers):
        by_epoch.setdefault(epoch, []).append(number)
    for epoch, of_epoch in sorted(by_epoch.items()):
        mark = object.__new__(model.Sequence)
        mark.cur, mark.prev, mark.D = model.Block(epoch, of_epoch[0]), None, None
        for number in of_epoch:
            mark.cur.join(number)
        yield mark


def _numbers(block):
    """What is seen of it, in its order."""
    return [*range(block.I + 1, block.L + 1), *(block.L + 1 + i for i in range(model.WINDOW) if block.W >> i & 1)]


def _bridge(low, high):
    """high, whose floor only says what was not told, begins beyond what low knows: its numbers as bits of low, where they fit."""
    if high.cut or high.L + high.W.bit_length() - low.L > model.WINDOW:
        return None
    joined = copy.copy(low)
    for number in _numbers(high):
        joined.join(number)
    return joined


def _join_block(a, b, own):
    if b.I > a.L or a.I > b.L:
        joined = None if own else _bridge(a, b) if b.I > a.L else _bridge(b, a)
        if joined:
            a.I, a.L, a.W, a.cut = joined.I, joined.L, joined.W, joined.cut
            return
        a.I = max(a.I, b.I)
    elif own or a.cut == b.cut is False:
        a.I = min(a.I, b.I)
    elif a.cut and b.cut:
        a.I = max(a.I, b.I)
    elif b.cut:
        a.I = b.I
    a.cut = a.cut or b.cut
    last = max(a.L, b.L)
    a.W = a.W >> last - a.L | b.W >> last - b.L
    a.L = last
    a.slide()


def _join_epoch(seq, b, own):
    if b.E == seq.cur.E:
        _join_block(seq.cur, b, own)
    elif b.E > seq.cur.E:
        seq.cur, seq.prev = copy.copy(b), seq.cur
    elif seq.prev is None or b.E > seq.prev.E:
        seq.prev = copy.copy(b)
    elif b.E == seq.prev.E:
        _join_block(seq.prev, b, own)


def join(state, mark, own):
    """Of two floors that merely began the lower one holds, for it was told more. One where a number was cut out holds against them."""
    if not isinstance(state.block, model.Sequence):
        state.block = copy.deepcopy(mark)
        return
    for block in (mark.prev, mark.cur):
        if block:
            _join_epoch(state.block, copy.copy(block), own)
    if mark.D:
        state.block.D = max(state.block.D or mark.D, mark.D)
