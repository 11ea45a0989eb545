"""The gradient of the input, from a tape that holds the gates' gradients.

For batches too small to compute it step by step on the way back: rows of many steps
fill the register tiles.
"""

import numpy as np

from fastgru._jit import Indices, Line, Table, helper, inline, thread_work
from fastgru.kernels.gru_states import ROWS_TOGETHER
from fastgru.kernels.packing import input_gradient_weights
from fastgru.kernels.products import add_row, copy_row, fill, product, vectors_for
from fastgru.kernels.simd import aligned, lanes, pointer, slack
from fastgru.kernels.steps import read_steps, user_row
from fastgru.kernels.tape_rows import read_blocks, step_and_sequence


@inline
def put_row(target, source, n, adds):
    """Write a row of the gradient of x, or add it to that of another direction."""
    if adds:
        add_row(target, source, n)
    else:
        copy_row(target, source, n)


@helper
def _input_gradient_rows(
    d_x, adds_d_x, tape, packed_array, steps, blocks, first_row, last_row, d_h_0, work
):
    """Compute the gradient of x for some rows of gates and put it where x stood."""
    n_inputs, n_units = d_x.shape[1], d_h_0.shape[1]
    packed = pointer(packed_array)
    weights = input_gradient_weights(packed, n_inputs, n_units)
    scratch = aligned(pointer(work))
    n_vectors = vectors_for(n_inputs, scratch)
    padded = n_vectors * lanes(scratch)
    zeros, products = scratch, scratch + padded
    fill(zeros, 0.0, padded)
    t = 0
    row = first_row
    while row < last_row:
        rows = min(ROWS_TOGETHER, last_row - row)
        product(
            rows,
            products,
            padded,
            zeros,
            0,
            pointer(tape) + row * 4 * n_units + n_units,
            4 * n_units,
            weights,
            n_vectors,
            3 * n_units,
        )
        for i in range(rows):
            t, b = step_and_sequence(steps, blocks, row + i, t)
            target = pointer(d_x) + user_row(steps, t, b) * n_inputs
            put_row(target, products + i * padded, n_inputs, adds_d_x)
        row += rows


@thread_work
def input_gradient_block(
    d_x: Table,
    adds_d_x: int,
    tape: Line,
    packed: Line,
    geometry: Indices,
    block_bounds: Indices,
    first_row: int,
    last_row: int,
    d_h_0: Table,
):
    """Compute the gradient of x for the tape's rows first_row to last_row - 1."""
    steps = read_steps(geometry)
    wide = lanes(pointer(tape))
    padded = vectors_for(d_x.shape[1], pointer(tape)) * wide
    rows = min(ROWS_TOGETHER, last_row - first_row)
    work = np.empty((rows + 1) * padded + slack(pointer(tape)), tape.dtype)
    _input_gradient_rows(
        d_x,
        adds_d_x,
        tape,
        packed,
        steps,
        read_blocks(block_bounds),
        first_row,
        last_row,
        d_h_0,
        work,
    )
