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


def _join_block(a, b, lower):
    touches = b.I <= a.L and a.I <= b.L
    a.I = min(a.I, b.I) if touches and lower else max(a.I, b.I)
    last = max(a.L, b.L)
    a.W = a.W >> last - a.L | b.W >> last - b.L
    a.L = last
    a.slide()


def _join_epoch(seq, b, lower):
    if b.E == seq.cur.E:
        _join_block(seq.cur, b, lower)
    elif b.E > seq.cur.E:
        seq.cur, seq.prev = copy.copy(b), seq.cur
    elif seq.prev is None or b.E > seq.prev.E:
        seq.prev = copy.copy(b)
    elif b.E == seq.prev.E:
        _join_block(seq.prev, b, lower)


def join(state, mark, own):
    """The floor of what merely began here (own marks, a state that a late finish left in an empty Redis) says only that it does not
    know what was before: where the two touch, the lower floor holds."""
    if not isinstance(state.block, model.Sequence):
        state.block = copy.deepcopy(mark)
        return
    lower = own or bool(state.marks)
    for block in (mark.prev, mark.cur):
        if block:
            _join_epoch(state.block, copy.copy(block), lower)
    if mark.D:
        state.block.D = max(state.block.D or mark.D, mark.D)
