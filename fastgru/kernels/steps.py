"""Which row of an array belongs to step t of sequence b.

Users' arrays are tables of rows, one row of features or units per step and sequence:
the row of step t of sequence b stands at ``first[b] + t * step``, which covers
time-major, batch-major and concatenated sequences alike; with a negative step,
sequences are read from their ends.  When all sequences are equally long, ``first`` is
empty and stands for ``offset + b * row_step``.

When lengths differ, sequences are numbered by falling length (``order`` holds their
numbers in the user's arrays), so that those still running at step t are the first
``active(t)``.  What the layer itself keeps is packed: rows of step 0 first, then of
step 1, valid ones only; those of step t begin at ``start(t)``.  Only the gates and
inputs of a tape may stand in another order; see ``tape_rows``.

Python hands all of this to the kernels as one array of int64: ``HEADER`` numbers, then,
when lengths differ, order, first and starts.
"""

from typing import Any, NamedTuple

from fastgru._jit import inline, kernel
from fastgru.kernels.simd import pointer

# n_steps, batch, offset, row_step, step, whether lengths differ.
HEADER = 6


class Steps(NamedTuple):
    """The geometry of a batch of sequences; see the module's text."""

    n_steps: int
    batch: int
    offset: int
    row_step: int
    step: int
    lengths_differ: int
    # Addresses, of numbers only when lengths differ.
    order: Any  # B numbers
    first: Any  # B numbers
    starts: Any  # T + 1 numbers


@inline
def read_steps(geometry):
    """Read the array that ``layers.geometry`` wrote."""
    batch = geometry[1]
    numbers = pointer(geometry) + HEADER
    return Steps(
        geometry[0],
        batch,
        geometry[2],
        geometry[3],
        geometry[4],
        geometry[5],
        numbers,
        numbers + batch,
        numbers + 2 * batch,
    )


@inline
def is_uniform(steps):
    """Whether all sequences are equally long and stand at equal distances."""
    return steps.lengths_differ == 0


@inline
def user_row(steps, t, b):
    """Return the row of step t of sequence b in the user's table."""
    if is_uniform(steps):
        return steps.offset + b * steps.row_step + t * steps.step
    return steps.first[b] + t * steps.step


@inline
def user_number(steps, b):
    """Return the number that sequence b has in the user's arrays."""
    if is_uniform(steps):
        return b
    return steps.order[b]


@inline
def start(steps, t):
    """Return the first packed row of step t."""
    if is_uniform(steps):
        return t * steps.batch
    return steps.starts[t]


@inline
def step_of(steps, row):
    """Return the step of a packed row, or ``n_steps`` of one behind the last."""
    if is_uniform(steps):
        return row // steps.batch
    begin, end = 0, steps.n_steps
    while begin < end:
        t = (begin + end) // 2
        if steps.starts[t + 1] <= row:
            begin = t + 1
        else:
            end = t
    return begin


@inline
def active(steps, t, first, last):
    """Return how many of the sequences first to last - 1 still run at step t."""
    running = steps.batch
    if not is_uniform(steps):
        running = steps.starts[t + 1] - steps.starts[t]
    return max(0, min(running, last) - first)


@inline
def length(steps, b):
    """Return how many steps sequence b has."""
    if is_uniform(steps):
        return steps.n_steps
    # As many as have more than b sequences running, whose number falls with t.
    begin, end = 0, steps.n_steps
    while begin < end:
        t = (begin + end) // 2
        if steps.starts[t + 1] - steps.starts[t] > b:
            begin = t + 1
        else:
            end = t
    return begin


@kernel
def zero_padding(table, geometry, n_steps):
    """Set to 0 the rows behind the ends of sequences of ``n_steps`` rows each."""
    steps = read_steps(geometry)
    for b in range(steps.batch):
        for t in range(length(steps, b), n_steps):
            row = user_row(steps, t, b)
            for i in range(table.shape[1]):
                table[row, i] = 0.0
