"""A fully connected layer on rows, y = x W + b: forward and backward.

``weight`` is stored as (inputs, outputs), the transpose of PyTorch's.  The packed array
holds the bias, padded to whole registers, the panels of W for the forward product and
those of its transpose for the gradient of x. Serial: a head works on one row per
sequence (or step) and is small beside the recurrence.
"""

import numpy as np

from fastgru._jit import helper, inline, kernel
from fastgru.kernels.packing import pack_columns, pack_transposed
from fastgru.kernels.products import (
    TERMS,
    add_outer_products,
    copy_row,
    fill,
    product,
    vectors_for,
)
from fastgru.kernels.simd import ALIGNMENT, REGISTERS, aligned, lanes, pointer, slack

_ROWS = 64


def packed_dense_size(n_inputs: int, n_outputs: int, itemsize: int) -> int:
    """Return how many numbers the packed weights take."""
    wide = REGISTERS.size // itemsize
    padded_inputs = -(-n_inputs // wide) * wide
    padded_outputs = -(-n_outputs // wide) * wide
    numbers = (1 + n_inputs) * padded_outputs + n_outputs * padded_inputs
    return numbers + ALIGNMENT // itemsize


@inline
def _padded(n, address):
    return vectors_for(n, address) * lanes(address)


@kernel
def pack_dense(packed, weight, bias):
    """Write the packed weights; weight : (inputs, outputs), bias : (outputs,)."""
    n_inputs, n_outputs = weight.shape
    target = aligned(pointer(packed))
    padded = _padded(n_outputs, target)
    fill(target, 0.0, padded)
    copy_row(target, pointer(bias), n_outputs)
    forward = target + padded
    pack_columns(forward, pointer(weight), n_inputs, n_outputs, 0, n_outputs)
    backward = forward + n_inputs * padded
    pack_transposed(
        backward, n_outputs, 0, pointer(weight), n_inputs, n_outputs, 0, n_outputs
    )


@helper
def _forward_rows(y, x, packed_array, work):
    n_rows, n_inputs = x.shape
    n_outputs = y.shape[1]
    bias = aligned(pointer(packed_array))
    scratch = aligned(pointer(work))
    padded = _padded(n_outputs, scratch)
    for row in range(0, n_rows, _ROWS):
        rows = min(_ROWS, n_rows - row)
        product(
            rows,
            scratch,
            padded,
            bias,
            0,
            pointer(x) + row * n_inputs,
            n_inputs,
            1,
            bias + padded,
            vectors_for(n_outputs, scratch),
            n_inputs,
        )
        for i in range(rows):
            copy_row(
                pointer(y) + (row + i) * n_outputs, scratch + i * padded, n_outputs
            )


@kernel
def dense_forward(y, x, packed):
    """Compute y = x W + b; y : (rows, outputs), written, x : (rows, inputs)."""
    address = pointer(x)
    work = np.empty(_ROWS * _padded(y.shape[1], address) + slack(address), x.dtype)
    _forward_rows(y, x, packed, work)


@helper
def _backward_rows(d_x, d_weight, d_bias, x, d_y, packed_array, work):
    n_rows, n_inputs = x.shape
    n_outputs = d_y.shape[1]
    scratch = aligned(pointer(work))
    padded_in, padded_out = _padded(n_inputs, scratch), _padded(n_outputs, scratch)
    transposed = aligned(pointer(packed_array)) + (1 + n_inputs) * padded_out

    # The rows of d_y with room behind them, which the sums over columns read past their
    # end.
    d_rows = scratch
    sums = d_rows + TERMS * padded_out
    bias_sum = sums + n_inputs * padded_out
    d_x_rows = bias_sum + padded_out
    zeros = d_x_rows + TERMS * padded_in
    panel = zeros + padded_in
    fill(d_rows, 0.0, TERMS * padded_out)
    fill(sums, 0.0, (n_inputs + 1) * padded_out)
    fill(zeros, 0.0, padded_in)
    for row in range(0, n_rows, TERMS):
        rows = min(TERMS, n_rows - row)
        for i in range(rows):
            source = pointer(d_y) + (row + i) * n_outputs
            copy_row(d_rows + i * padded_out, source, n_outputs)
        product(
            rows,
            d_x_rows,
            padded_in,
            zeros,
            0,
            d_rows,
            padded_out,
            1,
            transposed,
            vectors_for(n_inputs, scratch),
            n_outputs,
        )
        for i in range(rows):
            target = pointer(d_x) + (row + i) * n_inputs
            copy_row(target, d_x_rows + i * padded_in, n_inputs)
        add_outer_products(
            sums,
            padded_out,
            bias_sum,
            pointer(x) + row * n_inputs,
            n_inputs,
            n_inputs,
            d_rows,
            padded_out,
            n_outputs,
            rows,
            panel,
        )
    for i in range(n_inputs):
        copy_row(pointer(d_weight) + i * n_outputs, sums + i * padded_out, n_outputs)
    copy_row(pointer(d_bias), bias_sum, n_outputs)


@kernel
def dense_backward(d_x, d_weight, d_bias, x, d_y, packed):
    """Compute the gradients of x, weight and bias, all written, from that of y."""
    address = pointer(x)
    padded_in = _padded(x.shape[1], address)
    padded_out = _padded(d_y.shape[1], address)
    size = TERMS * padded_out + (x.shape[1] + 1) * padded_out
    size += (TERMS + 1) * padded_in + 3 * TERMS * lanes(address) + slack(address)
    work = np.empty(size, x.dtype)
    _backward_rows(d_x, d_weight, d_bias, x, d_y, packed, work)
