"""A fully connected layer on rows, y = f(x W + b): forward and backward.

``weight`` is stored as (inputs, outputs), the transpose of PyTorch's.  The packed array
holds the bias, padded to whole registers, the panels of W for the forward product and
those of its transpose for the gradient of x.

Threads own rows of y and of the gradient of x, and then tiles of the gradient of W,
each summed over all rows: no atomics, the same bits for any number of threads.
"""

import numpy as np
from numba import prange

from fastgru._jit import (
    Line,
    Table,
    helper,
    inline,
    kernel,
    parallel_kernel,
    thread_work,
)
from fastgru.kernels.activations import sigmoid, tanh
from fastgru.kernels.packing import lanes_of, parts_of, put_panels
from fastgru.kernels.products import (
    ROWS_AHEAD,
    TERMS,
    add_row,
    begin_panel,
    copy_row,
    fill,
    pack_terms,
    panel_size,
    panel_start,
    panels_for,
    part_start,
    product,
    sum_products,
    tiles_for,
    vectors_for,
)
from fastgru.kernels.simd import (
    REGISTERS,
    TILE_VECTORS,
    aligned,
    fma,
    keep_alive,
    lanes,
    load,
    load_lanes,
    pointer,
    slack,
    store,
    store_lanes,
    where_less,
)

# The activations f.
IDENTITY, RELU, TANH, LOGISTIC = range(4)

# Rows that go through the product together, so that they stay in the cache.
_ROWS = 64


def packed_dense_size(n_inputs: int, n_outputs: int, itemsize: int) -> int:
    """Return how many numbers the packed weights take."""
    wide = REGISTERS.size // itemsize
    padded_inputs = -(-n_inputs // wide) * wide
    padded_outputs = -(-n_outputs // wide) * wide
    return (1 + n_inputs) * padded_outputs + n_outputs * padded_inputs


@inline
def _padded(n, address):
    return vectors_for(n, address) * lanes(address)


def pack_dense(packed: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> None:
    """Write the packed weights.

    packed : ``aligned_zeros`` at first, of ``packed_dense_size``
    weight : (inputs, outputs); bias : (outputs,)
    """
    wide, (n_inputs, n_outputs) = lanes_of(packed), weight.shape
    padded_inputs, padded = (-(-n // wide) * wide for n in weight.shape)
    first, forward, backward = parts_of(
        packed, padded, n_inputs * padded, n_outputs * padded_inputs
    )
    first[:n_outputs] = bias
    put_panels(forward, (weight,))
    put_panels(backward, (weight.T,))


# -- the activation --------------------------------------------------------------------


@helper
def _activate(values, activation, n):
    """Apply f to n numbers, whole registers."""
    wide = lanes(values)
    if activation == RELU:
        for i in range(0, n, wide):
            x = load(values + i)
            store(values + i, where_less(x, 0.0, 0.0, x))
    elif activation == TANH:
        for i in range(0, n, wide):
            store(values + i, tanh(load(values + i)))
    elif activation == LOGISTIC:
        for i in range(0, n, wide):
            store(values + i, sigmoid(load(values + i)))


@inline
def _slope_times(d, y, activation):
    """Return the gradient before f from that after it and from f's value."""
    if activation == RELU:
        # NaN in y lets the gradient through.
        return where_less(y, 1.0, where_less(0.0, y, d, 0.0), d)
    if activation == TANH:
        return d * fma(-y, y, 1.0)
    return d * (y * (1.0 - y))


@helper
def _multiply_by_slope(d_y, y, activation, n):
    """Multiply n gradients by the slope of f, reading and writing none behind them."""
    wide = lanes(d_y)
    i = 0
    while i + wide <= n:
        store(d_y + i, _slope_times(load(d_y + i), load(y + i), activation))
        i += wide
    if i < n:
        d, value = load_lanes(d_y + i, n - i), load_lanes(y + i, n - i)
        store_lanes(d_y + i, _slope_times(d, value, activation), n - i)


# -- forward ---------------------------------------------------------------------------


@thread_work
def _forward_rows(
    y: Table, x: Table, packed: Line, activation: int, begin: int, end: int
):
    """Compute rows begin to end - 1 of y."""
    n_inputs, n_outputs = x.shape[1], y.shape[1]
    bias = pointer(packed)
    padded = _padded(n_outputs, bias)
    work = np.empty(_ROWS * padded + slack(bias), y.dtype)
    scratch = aligned(pointer(work))
    for row in range(begin, end, _ROWS):
        rows = min(_ROWS, end - row)
        product(
            rows,
            scratch,
            padded,
            bias,
            0,
            pointer(x) + row * n_inputs,
            n_inputs,
            bias + padded,
            vectors_for(n_outputs, scratch),
            n_inputs,
        )
        _activate(scratch, activation, rows * padded)
        for i in range(rows):
            target = pointer(y) + (row + i) * n_outputs
            copy_row(target, scratch + i * padded, n_outputs)
    keep_alive(work)


@kernel
def dense_forward(y, x, packed, activation):
    """Compute y = f(x W + b).

    y : (rows, outputs), written; x : (rows, inputs); activation : int, one of those
    above
    """
    _forward_rows(y, x, packed, activation, 0, x.shape[0])


@parallel_kernel
def dense_forward_parallel(y, x, packed, activation, n_workers):
    """Do what ``dense_forward`` does, a part of the rows per thread."""
    for index in prange(n_workers):
        worker = np.int64(index)  # Numba's parallel index is unsigned
        begin = part_start(x.shape[0], n_workers, worker)
        end = part_start(x.shape[0], n_workers, worker + 1)
        _forward_rows(y, x, packed, activation, begin, end)


# -- backward --------------------------------------------------------------------------


@thread_work
def _backward_rows(
    d_x: Table,
    d_y: Table,
    y: Table,
    packed: Line,
    activation: int,
    begin: int,
    end: int,
):
    """Turn rows begin to end - 1 of d_y to gradients before f, and compute d_x's."""
    n_outputs = d_y.shape[1]
    if activation != IDENTITY:
        place = begin * n_outputs
        n = (end - begin) * n_outputs
        _multiply_by_slope(pointer(d_y) + place, pointer(y) + place, activation, n)
    if d_x.shape[0] == 0:
        return
    n_inputs = d_x.shape[1]
    bias = pointer(packed)
    transposed = bias + (1 + n_inputs) * _padded(n_outputs, bias)
    padded = _padded(n_inputs, bias)
    work = np.empty((_ROWS + 1) * padded + slack(bias), d_x.dtype)
    scratch = aligned(pointer(work))
    zeros = scratch + _ROWS * padded
    fill(zeros, 0.0, padded)
    for row in range(begin, end, _ROWS):
        rows = min(_ROWS, end - row)
        product(
            rows,
            scratch,
            padded,
            zeros,
            0,
            pointer(d_y) + row * n_outputs,
            n_outputs,
            transposed,
            vectors_for(n_inputs, scratch),
            n_outputs,
        )
        for i in range(rows):
            target = pointer(d_x) + (row + i) * n_inputs
            copy_row(target, scratch + i * padded, n_inputs)
    keep_alive(work)


@helper
def _share_of_panel(
    d_weight, d_bias, x, d_y, column, width, tile_begin, tile_end, rows, work
):
    """Compute some tiles of one panel of W's gradient; the first brings the bias'.

    rows : address of 0, 1, 2, ..., as ``pack_terms`` takes them
    work : sums of all inputs, of the bias and of a block's columns, a copy of d_y's
        columns where these end within a register, and a panel of terms
    """
    n_rows, n_inputs = x.shape
    n_outputs = d_y.shape[1]
    panel_row = width * lanes(work)
    n_columns = min(panel_row, n_outputs - column)
    bias_sum = work + n_inputs * panel_row
    column_sums = bias_sum + panel_row
    padded_terms = column_sums + panel_row
    panel = begin_panel(padded_terms + panel_size(n_rows, work))
    if n_rows == 0:
        fill(work, 0.0, (n_inputs + 1) * panel_row)
    if n_columns < panel_row:
        fill(padded_terms, 0.0, min(TERMS, n_rows) * panel_row)
    for row in range(0, n_rows, TERMS):
        n_terms = min(TERMS, n_rows - row)
        terms, terms_row = pointer(d_y) + row * n_outputs + column, n_outputs
        if n_columns < panel_row:
            for k in range(n_terms):
                target = padded_terms + k * panel_row
                copy_row(target, terms + k * n_outputs, n_columns)
            terms, terms_row = padded_terms, panel_row
        pack_terms(panel, width, terms, terms_row, rows, n_terms, column_sums)
        if row == 0:
            copy_row(bias_sum, column_sums, panel_row)
        else:
            add_row(bias_sum, column_sums, panel_row)
        sum_products(
            work,
            panel_row,
            pointer(x) + row * n_inputs,
            n_inputs,
            0,
            panel,
            width,
            tile_begin,
            tile_end,
            n_inputs,
            0,
            n_terms,
            row > 0,
        )
    n_tiles = tiles_for(n_inputs)
    first = part_start(n_inputs, n_tiles, tile_begin)
    for i in range(first, part_start(n_inputs, n_tiles, tile_end)):
        target = pointer(d_weight) + i * n_outputs + column
        copy_row(target, work + i * panel_row, n_columns)
    if tile_begin == 0 and d_bias.size > 0:
        copy_row(pointer(d_bias) + column, bias_sum, n_columns)


@thread_work
def _weight_gradient_share(
    d_weight: Table, d_bias: Line, x: Table, d_y: Table, worker: int, n_workers: int
):
    """Compute one worker's tiles, counted panel after panel, of the gradient of W."""
    n_inputs, n_outputs = d_weight.shape
    address = pointer(x)
    sums = (n_inputs + 2) * TILE_VECTORS * lanes(address)
    size = sums + 2 * panel_size(x.shape[0], address) + slack(address)
    work = np.empty(size, x.dtype)
    rows = np.arange(TERMS + ROWS_AHEAD)
    n_vectors, n_tiles = vectors_for(n_outputs, address), tiles_for(n_inputs)
    n_shares = panels_for(n_vectors) * n_tiles
    begin = part_start(n_shares, n_workers, worker)
    end = part_start(n_shares, n_workers, worker + 1)
    for panel in range(begin // n_tiles, panels_for(n_vectors)):
        tile_begin = max(0, begin - panel * n_tiles)
        tile_end = min(n_tiles, end - panel * n_tiles)
        if tile_end <= tile_begin:
            break
        first = panel_start(n_vectors, panel)
        _share_of_panel(
            d_weight,
            d_bias,
            x,
            d_y,
            first * lanes(address),
            panel_start(n_vectors, panel + 1) - first,
            tile_begin,
            tile_end,
            pointer(rows),
            aligned(pointer(work)),
        )
    keep_alive(work)
    keep_alive(rows)


@kernel
def dense_backward(d_x, d_weight, d_bias, x, y, d_y, packed, activation):
    """Compute the gradients of x, weight and bias from that of y.

    d_x : (rows, inputs), written, or no rows if it is not wanted
    d_weight : (inputs, outputs), written
    d_bias : (outputs,), written, or empty if there is none
    x : (rows, inputs); y : (rows, outputs), not read for the identity
    d_y : (rows, outputs), overwritten unless for the identity
    """
    _backward_rows(d_x, d_y, y, packed, activation, 0, d_y.shape[0])
    _weight_gradient_share(d_weight, d_bias, x, d_y, 0, 1)


@parallel_kernel
def dense_backward_parallel(
    d_x, d_weight, d_bias, x, y, d_y, packed, activation, n_workers
):
    """Do what ``dense_backward`` does, on ``n_workers`` threads."""
    for index in prange(n_workers):
        worker = np.int64(index)  # Numba's parallel index is unsigned
        begin = part_start(d_y.shape[0], n_workers, worker)
        end = part_start(d_y.shape[0], n_workers, worker + 1)
        _backward_rows(d_x, d_y, y, packed, activation, begin, end)
    for index in prange(n_workers):
        worker = np.int64(index)
        _weight_gradient_share(d_weight, d_bias, x, d_y, worker, n_workers)
