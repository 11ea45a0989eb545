"""Where steps stand on a tape, and in which order its rows are added up.

A thread takes a block of sequences through all steps and writes their gates and inputs.
The rows of a block stand together, those of its first step first: were all rows of a
step together, threads would write to the same pages at every step, and what a core
fetches ahead it would take away from another.  There is one block alone when lengths
differ, or when a team or a single thread has done all; then they are packed.  States
always are, behind those before the first step, since they are often the output, too.

Sums over all rows run in an order that depends on no block, or their bits would: the
first step of all sequences, then, a *bundle* of sequences after the other, all further
steps.  So threads that share the rows mostly find those that they wrote themselves.
"""

from typing import Any, NamedTuple

from fastgru._jit import helper, inline
from fastgru.kernels.simd import pointer
from fastgru.kernels.steps import is_uniform, start, step_of


class Blocks(NamedTuple):
    """The blocks of a tape."""

    bounds: Any  # address of n + 1 numbers of sequences
    n: int


@inline
def read_blocks(bounds):
    """Return what loops over steps hand on of an array of bounds."""
    return Blocks(pointer(bounds), bounds.size - 1)


@inline
def tape_row(steps, begin, end, t, b):
    """Return the row of step t of sequence b, of the block begin to end - 1."""
    if is_uniform(steps):
        return begin * steps.n_steps + t * (end - begin) + b - begin
    return start(steps, t) + b


@inline
def state_row(steps, t, b):
    """Return the row of the state of sequence b before step t."""
    if t == 0:
        return b
    return steps.batch + start(steps, t - 1) + b


@inline
def is_one_block(blocks):
    """Whether all rows of a step stand together."""
    return blocks.n == 1


@inline
def _write_run(rows, row, n):
    for k in range(n):
        rows[k] = row + k


@helper
def _write_packed_rows(rows, state_rows, steps, first, n):
    """Do what ``write_rows`` does where lengths differ."""
    _write_run(rows, first, n)
    t = step_of(steps, first)
    for k in range(n):
        while t < steps.n_steps and first + k >= start(steps, t + 1):
            t += 1
        state_rows[k] = state_row(steps, t, first + k - start(steps, t))


@helper
def write_rows(rows, state_rows, steps, blocks, bundle, first, n):
    """Write the rows that come first to first + n - 1 in the order of sums.

    rows, state_rows : addresses of n int64 numbers: of rows, and of the states before;
        behind the last row there may be any
    bundle : sequences of a bundle
    """
    if not is_uniform(steps):
        _write_packed_rows(rows, state_rows, steps, first, n)
        return
    # A run of sequences of one step, which belong to one bundle and to one block.
    t, b, bundle_begin, bundle_end = 0, first, 0, steps.batch
    if first >= steps.batch:
        place = first - steps.batch
        bundle_begin = place // (bundle * (steps.n_steps - 1)) * bundle
        bundle_end = min(bundle_begin + bundle, steps.batch)
        place -= bundle_begin * (steps.n_steps - 1)
        t = 1 + place // (bundle_end - bundle_begin)
        b = bundle_begin + place % (bundle_end - bundle_begin)
    done, block = 0, 0
    while done < n and bundle_begin < steps.batch:
        while b >= blocks.bounds[block + 1]:
            block += 1
        begin, end = blocks.bounds[block], blocks.bounds[block + 1]
        together = min(min(end, bundle_end) - b, n - done)
        _write_run(rows + done, tape_row(steps, begin, end, t, b), together)
        _write_run(state_rows + done, state_row(steps, t, b), together)
        done, b = done + together, b + together
        if b == bundle_end:
            t, b, block = t + 1, bundle_begin, 0
            if t == 1:
                bundle_end = min(bundle, steps.batch)
            elif t == steps.n_steps:
                t, b, bundle_begin = 1, bundle_end, bundle_end
                bundle_end = min(bundle_begin + bundle, steps.batch)
    while done < n:
        rows[done], state_rows[done] = 0, 0
        done += 1


@inline
def stand_together(rows, n):
    """Whether rows stand one behind the other."""
    k = 1
    while k < n and rows[k] == rows[0] + k:
        k += 1
    return k >= n


@inline
def find_in_block(steps, begin, end, row, t):
    """Return of which step and sequence a row of the tape's block begin to end - 1 is.

    t : at most that step, which is looked for from there on when lengths differ
    """
    if is_uniform(steps):
        place = row - begin * steps.n_steps
        return place // (end - begin), begin + place % (end - begin)
    while row >= start(steps, t + 1):
        t += 1
    return t, row - start(steps, t)


@inline
def step_and_sequence(steps, blocks, row, t):
    """Return of which step and sequence a row of the tape is; t as above."""
    block = 0
    if is_uniform(steps):
        while row >= blocks.bounds[block + 1] * steps.n_steps:
            block += 1
    return find_in_block(steps, blocks.bounds[block], blocks.bounds[block + 1], row, t)
