"""One step of one GRU layer, for loops that have a state and get an input at a time.

It is small enough to be called from a user's own compiled function, and gives the bits
of a run over whole sequences.
"""

import numpy as np

from fastgru._jit import Line, inline, kernel, shared, thread_work
from fastgru.kernels.gru_cell import candidate_before, reset_before, step_reset_after
from fastgru.kernels.input_products import (
    before_row_size,
    input_product,
    prefill_bias_of_hn,
)
from fastgru.kernels.packing import (
    biases,
    candidate_weights,
    packed_numbers,
    recurrent_weights,
)
from fastgru.kernels.products import copy_row, vectors_for
from fastgru.kernels.simd import (
    ALIGNMENT,
    REGISTERS,
    TILE_ROWS,
    aligned,
    lanes,
    pointer,
)
from fastgru.kernels.sync import share_of


@shared
def _work_numbers(n_rows, n_units, wide, itemsize, reset_after):
    """Return what ``step_work_size`` does, for registers of so many lanes."""
    padded = -(-n_units // wide) * wide
    states, gates = 2 * n_rows * padded, 3 * n_rows * padded
    sums = max(TILE_ROWS * 4 * wide, n_rows * padded)
    before = n_rows * padded * (4 if reset_after else 3)
    return states + gates + sums + before + ALIGNMENT // itemsize


def step_work_size(
    batch: int, hidden_size: int, itemsize: int, *, reset_after: bool
) -> int:
    """Return how many numbers of scratch ``gru_step`` needs for ``batch`` sequences."""
    wide = REGISTERS.size // itemsize
    return _work_numbers(batch, hidden_size, wide, itemsize, reset_after)


@thread_work
def step_rows(
    state: Line,
    x: Line,
    packed_array: Line,
    work: Line,
    n_rows: int,
    reset_after: int,
):
    """Do what ``gru_step`` does for ``n_rows`` sequences."""
    n_units, n_inputs = state.size // n_rows, x.size // n_rows
    packed, scratch = aligned(pointer(packed_array)), aligned(pointer(work))
    wide = lanes(scratch)
    padded = vectors_for(n_units, scratch) * wide
    n_vectors = vectors_for(n_units, scratch)
    before_row = before_row_size(n_units, reset_after, scratch)
    h, h_next = scratch, scratch + n_rows * padded
    gates = h_next + n_rows * padded
    sums = gates + 3 * n_rows * padded
    before = sums + max(TILE_ROWS * 4 * wide, n_rows * padded)
    recurrent = recurrent_weights(packed, n_inputs, n_units)
    share = share_of(n_units, scratch, 0, 0, 1)
    for row in range(n_rows):
        copy_row(h + row * padded, pointer(state) + row * n_units, n_units)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        prefill_bias_of_hn(before, before_row, n_rows, bias, n_units)
    input_product(
        n_rows,
        before,
        before_row,
        pointer(x),
        n_inputs,
        packed,
        n_inputs,
        n_units,
        reset_after,
        share,
    )
    if reset_after:
        step_reset_after(
            n_rows,
            h_next,
            h,
            h,
            padded,
            before,
            before_row,
            recurrent,
            n_units,
            sums,
            gates,
            False,
            0,
            n_vectors,
        )
    else:
        reset_before(
            n_rows,
            h,
            padded,
            before,
            before_row,
            recurrent,
            n_units,
            sums,
            gates,
            3 * padded,
            False,
            0,
            n_vectors,
        )
        candidate_before(
            n_rows,
            h_next,
            h,
            padded,
            before,
            before_row,
            candidate_weights(packed, n_inputs, n_units),
            n_units,
            sums,
            gates,
            3 * padded,
            False,
            0,
            n_vectors,
        )
    for row in range(n_rows):
        copy_row(pointer(state) + row * n_units, h_next + row * padded, n_units)


@inline
def _fits(state, x, packed, work, n_rows, reset_after):
    """Whether the arrays are as large as they have to be: a wrong one would crash."""
    if n_rows < 1 or state.size % n_rows != 0 or x.size % n_rows != 0:
        return False
    n_units, n_inputs, wide = state.size // n_rows, x.size // n_rows, lanes(pointer(x))
    weights = packed_numbers(n_inputs, n_units, wide, x.itemsize)
    scratch = _work_numbers(n_rows, n_units, wide, x.itemsize, reset_after)
    return n_units > 0 and packed.size == weights and work.size >= scratch


@kernel
def gru_step(state, x, packed, work, n_rows, reset_after, checks):
    """Take the states of some sequences one step further.

    Parameters
    ----------
    state : 1-D of B * H numbers, one sequence after the other; updated
    x : 1-D of B * I numbers
    packed : weights as ``pack_gru`` wrote them for this ``reset_after``
    work : scratch of ``step_work_size`` numbers
    n_rows : B
    reset_after : whether the reset gate comes after the product
    checks : whether to refuse inputs that are not finite

    Returns
    -------
    int
        -1, or with ``checks`` the place of the first input that is not finite; nothing
        is changed then.

    Raises
    ------
    ValueError
        If the sizes of the arrays do not belong together.
    """
    if not _fits(state, x, packed, work, n_rows, reset_after):
        raise ValueError(
            "gru_step: the sizes of state, x, packed and work do not belong together; "
            "state must hold n_rows * H numbers, x n_rows * I, packed be the kernel "
            "weights of a layer of these sizes, and work hold step_work_size numbers"
        )
    if checks:
        for i in range(x.size):
            if not np.isfinite(x[i]):
                return i
    step_rows(state, x, packed, work, n_rows, reset_after)
    return -1
