"""The products of all inputs of one sequence, shared by threads before it is run.

A single sequence of few units has nothing else that threads could share: its steps come
one after the other, and members of a team need units.  But the products of its inputs
do not depend on each other, and of many inputs they are most of the work.
"""

import numpy as np
from numba import prange

from fastgru._jit import Indices, Line, Table, parallel_kernel, thread_work
from fastgru.kernels.input_products import (
    inputs_ahead,
    plan_ahead,
    prefill_bias_of_hn,
)
from fastgru.kernels.packing import biases, registers_side_by_side
from fastgru.kernels.simd import REGISTERS, aligned, keep_alive, pointer
from fastgru.kernels.steps import is_uniform, read_steps, start
from fastgru.kernels.sync import begin_counts, place_of, share_of, were_held_up


def products_per_row(
    input_size: int, hidden_size: int, itemsize: int, *, reset_after: bool
) -> int:
    """Return how many numbers the products of one row of inputs take."""
    wide = REGISTERS.size // itemsize
    n_registers = -(-hidden_size // wide) * (4 if reset_after else 3)
    if reset_after:
        n_registers += registers_side_by_side(input_size, hidden_size, wide)
    return n_registers * wide


@thread_work
def multiply_inputs(
    products: Line,
    x: Table,
    packed: Line,
    n_inputs: int,
    n_units: int,
    geometry: Indices,
    begin: int,
    end: int,
    reset_after: int,
):
    """Multiply the inputs of steps begin to end - 1 of one sequence."""
    steps = read_steps(geometry)
    ahead = plan_ahead(n_inputs, n_inputs, n_units, reset_after, pointer(x))
    n_rows = end - begin
    before = aligned(pointer(products)) + start(steps, begin) * ahead.row_size
    gathered = np.empty(0 if is_uniform(steps) else n_rows * n_inputs, x.dtype)
    if reset_after:
        bias = biases(pointer(packed), n_inputs, n_units)
        prefill_bias_of_hn(before, ahead.row_size, n_rows, bias, n_units)
    inputs_ahead(
        steps,
        begin,
        end,
        0,
        1,
        pointer(x),
        pointer(gathered),
        before,
        n_inputs,
        pointer(packed),
        n_inputs,
        n_units,
        reset_after,
        share_of(n_units, pointer(x), pointer(geometry), 0, 1),
        ahead,
    )
    keep_alive(gathered)


@parallel_kernel
def multiply_inputs_parallel(
    products, x, packed, n_inputs, n_units, geometry, reset_after, bounds
):
    """Multiply the inputs of one sequence and their weights, for ``gru_inference``.

    products : ``products_per_row`` numbers of each step, written from where a line of
        the cache begins, and room for that
    x, packed, n_inputs and geometry : as in ``gru_inference``, but x of numbers
    n_units : H
    bounds : of blocks of steps; see ``gru_inference_parallel``
    Returns whether threads were held up.
    """
    counts = begin_counts(bounds)
    for index in prange(bounds.size - 1):
        thread = np.int64(index)  # Numba's parallel index is unsigned
        for turn in range(bounds.size - 1):
            begin, end, _, _ = place_of(counts, 0, bounds, thread, turn, 0)
            if begin < end:
                multiply_inputs(
                    products,
                    x,
                    packed,
                    n_inputs,
                    n_units,
                    geometry,
                    begin,
                    end,
                    reset_after,
                )
    return were_held_up(counts, bounds, 0)
