"""Where the gates of step t of sequence b stand on a tape.

A thread takes a block of sequences through all steps and writes their gates.  The rows
of a block stand together, those of its first step first: were all rows of a step
together, threads would write to the same pages at every step, and what a core fetches
ahead it would take away from another.

There is one block alone when lengths differ, or when a team or a single thread has done
all; then gates are packed like states.
"""

from typing import Any, NamedTuple

from fastgru._jit import helper, inline
from fastgru.kernels.simd import pointer
from fastgru.kernels.steps import is_uniform, start


class Blocks(NamedTuple):
    """The blocks of a tape."""

    bounds: Any  # address of n + 1 numbers of sequences
    n: int


@inline
def read_blocks(bounds):
    """Return what loops over steps hand on of an array of bounds."""
    return Blocks(pointer(bounds), bounds.size - 1)


@inline
def gate_row(steps, begin, end, t, b):
    """Return the row of step t of sequence b, of the block begin to end - 1."""
    if is_uniform(steps):
        return begin * steps.n_steps + t * (end - begin) + b - begin
    return start(steps, t) + b


@inline
def are_packed(blocks):
    """Whether gates stand as the states do: all rows of a step together."""
    return blocks.n == 1


@helper
def write_gate_rows(rows, steps, blocks, first, n):
    """Write the rows of the gates of packed rows first to first + n - 1.

    rows : address of n int64 numbers
    """
    if are_packed(blocks):
        for k in range(n):
            rows[k] = first + k
        return
    t, b, block = first // steps.batch, first % steps.batch, 0
    done = 0
    while done < n:
        while b >= blocks.bounds[block + 1]:
            block += 1
        end = blocks.bounds[block + 1]
        row = gate_row(steps, blocks.bounds[block], end, t, b)
        together = min(end - b, n - done)
        for k in range(together):
            rows[done + k] = row + k
        done, b = done + together, b + together
        if b == steps.batch:
            t, b, block = t + 1, 0, 0


@inline
def step_and_sequence(steps, blocks, row, t):
    """Return of which step and sequence a row of gates is.

    t : at most that step, which is looked for from there on when lengths differ
    """
    if is_uniform(steps):
        block = 0
        while row >= blocks.bounds[block + 1] * steps.n_steps:
            block += 1
        begin, end = blocks.bounds[block], blocks.bounds[block + 1]
        place = row - begin * steps.n_steps
        return place // (end - begin), begin + place % (end - begin)
    while row >= start(steps, t + 1):
        t += 1
    return t, row - start(steps, t)
