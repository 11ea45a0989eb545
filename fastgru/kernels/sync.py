"""Threads that share the sequences of a call, or the steps of a few: how they agree.

Each thread takes a block of *sequences* through all steps.  Who has done its own takes
the next that nobody has begun, so that a call does not wait for a thread that still
sleeps, or that has no core to run on.

A few sequences cannot feed several cores by rows, so a *team* of threads shares the
units: each computes its own part of every step, and all meet before the next.  Waiting
for a thread that does not run would never end, and no threading layer promises that
the iterations of a parallel loop run at the same time.  Hence ``join``: the first to
come waits a bounded time for the others and then closes the team; who comes later
finds it closed and leaves its share to those inside.  Once in, all members do run, and
wait for each other in ``meet`` without a lock: spinning first, then giving the core
away at every look.

They agree by an array of int64 that starts as zeros.  A team's: the number of arrivals,
to which the closing member adds ``_CLOSED`` times the number of members; a cache line
further, the number of arrivals at meetings; behind it, how long members waited where
one waited long.  That of blocks counts for each who wanted to begin it, then the blocks
that others than their own threads did.
"""

import sys
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgru._jit import helper, inline, shared
from fastgru.kernels.products import part_start, vectors_for
from fastgru.kernels.simd import lanes, pointer

_TEAM_SIZE = 16  # int64 numbers: two cache lines
_MEETINGS = 8
_CLOSED = 2**32
# Looks at a number, of some 20 nanoseconds, before a waiting thread gives its core to
# others, and how many of them that takes if there are none.
_SPINS = 4000
_LOOKS_PER_YIELD = 20


@intrinsic
def atomic_add(typingctx, numbers, index, value):
    """Add to a number and return what it was; other threads see all writes before."""

    def codegen(context, builder, sig, args):
        place = builder.gep(args[0], [args[1]])
        return builder.atomic_rmw("add", place, args[2], "acq_rel")

    return types.int64(numbers, types.intp, types.int64), codegen


@intrinsic
def atomic_load(typingctx, numbers, index):
    """Read a number, and see what other threads wrote before they wrote it."""

    def codegen(context, builder, sig, args):
        place = builder.gep(args[0], [args[1]])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(numbers, types.intp), codegen


@intrinsic
def compare_and_swap(typingctx, numbers, index, expected, value):
    """Replace a number if it is the expected one; return what it was."""

    def codegen(context, builder, sig, args):
        place = builder.gep(args[0], [args[1]])
        result = builder.cmpxchg(place, args[2], args[3], "acq_rel", "acquire")
        return builder.extract_value(result, 0)

    return types.int64(numbers, types.intp, types.int64, types.int64), codegen


@intrinsic
def _give_core_away(typingctx):
    """Let another thread run on this core, if one waits for it."""

    def codegen(context, builder, sig, args):
        name = "SwitchToThread" if sys.platform == "win32" else "sched_yield"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.IntType(32), []), name
        )
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _pause(typingctx):
    """Tell the core that it waits in a loop, which leaves more to its other thread."""

    def codegen(context, builder, sig, args):
        triple = builder.module.triple
        name, arguments = "", []
        if "x86_64" in triple or "amd64" in triple:
            name = "llvm.x86.sse2.pause"
        elif "aarch64" in triple or "arm64" in triple:
            name, arguments = "llvm.aarch64.hint", [ir.Constant(ir.IntType(32), 1)]
        if name:
            kinds = [argument.type for argument in arguments]
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), kinds), name
            )
            builder.call(function, arguments)
        return context.get_dummy_value()

    return types.void(), codegen


@shared
def is_team(bounds):
    """Whether the threads of a parallel loop are a team: its bounds are zeros."""
    return bounds[bounds.size - 1] == 0


# Not part of its caller, in which Numba would make a parallel loop of the zeros.
@helper
def begin_counts(bounds):
    """Return what the threads of a call count in."""
    return np.zeros(max(_TEAM_SIZE, bounds.size), np.int64)


@shared
def were_held_up(counts, bounds, patience):
    """Whether threads came late, or let others wait: the cores are busy.

    Others had done the blocks of half of the threads before these came, or a team had
    to do without a member, or its members waited twice as long as ``patience`` in all,
    not counting short waits.
    """
    n_threads = bounds.size - 1
    if is_team(bounds):
        were_missing = counts[0] // _CLOSED < n_threads
        return were_missing or counts[_MEETINGS + 1] > 2 * patience
    return 2 * counts[n_threads] >= n_threads


@inline
def join(team, n_wanted, patience):
    """Return this thread's number in the team and how many members it has.

    The number is at least that of the members if the team was closed before.
    patience : looks that the first to come spends on waiting for the others
    """
    number = atomic_add(team, 0, 1)
    if number >= _CLOSED:
        return n_wanted, 0
    if number == 0:
        looks = 0
        arrived = atomic_load(team, 0)
        while arrived < n_wanted and looks < patience:
            _pause()
            looks += 1
            arrived = atomic_load(team, 0)
        seen = compare_and_swap(team, 0, arrived, arrived + arrived * _CLOSED)
        while seen != arrived:
            arrived = seen
            seen = compare_and_swap(team, 0, arrived, arrived + arrived * _CLOSED)
        return number, arrived
    looks = 0
    closed = atomic_load(team, 0) // _CLOSED
    while closed == 0:
        _wait(looks)
        looks += 1
        closed = atomic_load(team, 0) // _CLOSED
    return number, closed


@inline
def _wait(looks):
    if looks < _SPINS:
        _pause()
    else:
        _give_core_away()


@inline
def meet(team, n_members, meeting):
    """Wait until all members have come to this meeting; they count from 1."""
    if n_members > 1:
        atomic_add(team, _MEETINGS, 1)
        looks = 0
        while atomic_load(team, _MEETINGS) < n_members * meeting:
            _wait(looks)
            looks += 1
        if looks > _SPINS:
            waited = _SPINS + (looks - _SPINS) * _LOOKS_PER_YIELD
            atomic_add(team, _MEETINGS + 1, waited)


class Share(NamedTuple):
    """What one member of a team computes of each step; a lone thread computes all."""

    begin: int  # registers of units, from begin to end - 1
    end: int
    first_unit: int
    n_own: int  # units
    n_members: int
    team: Any  # the address of its numbers


@inline
def share_of(n_units, address, team, member, n_members):
    """Return the share of a member."""
    n_vectors, wide = vectors_for(n_units, address), lanes(address)
    begin = part_start(n_vectors, n_members, member)
    end = part_start(n_vectors, n_members, member + 1)
    n_own = min(end * wide, n_units) - begin * wide
    return Share(begin, end, begin * wide, n_own, n_members, team)


@inline
def meet_after(share, meeting):
    """Wait for the other members; return the number of the next meeting."""
    meet(share.team, share.n_members, meeting)
    return meeting + 1


@inline
def place_of(counts, patience, bounds, thread, turn, batch):
    """Return which sequences a thread takes in a turn, and its role in a team.

    The threads of a team each take their share of all sequences in their first turn;
    one that came too late takes nothing.  Others take blocks, alone: their own first,
    then in each turn the next, if nobody has begun it.
    """
    n_blocks = bounds.size - 1
    if is_team(bounds):
        if turn > 0:
            return 0, 0, 0, 1
        member, n_members = join(pointer(counts), n_blocks, patience)
        if member >= n_members:
            return 0, 0, 0, 1
        return 0, batch, member, n_members
    block = (thread + turn) % n_blocks
    if turn > 0 and atomic_load(pointer(counts), block) > 0:
        return 0, 0, 0, 1
    if atomic_add(pointer(counts), block, 1) > 0:
        return 0, 0, 0, 1
    if turn > 0:
        atomic_add(pointer(counts), n_blocks, 1)
    return bounds[block], bounds[block + 1], 0, 1
