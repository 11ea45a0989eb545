"""Inputs of which one feature is 1 and all others are 0: rows of weights, not products.

A row of such inputs is given by the number of its feature, in one column instead of I
(float numbers up to 2**24 are exact).  Its product with the input weights is one of
their rows, so the bits are those of the product.  The gradient of that row of weights
is the sum of the gates' gradients over the places where the feature is 1.
"""

import numpy as np

from fastgru._jit import Indices, Line, helper, inline, thread_work
from fastgru.kernels.packing import biases
from fastgru.kernels.products import (
    add_row,
    copy_row,
    panel_start,
    panels_for,
    part_start,
    sum_of_rows,
    vectors_for,
)
from fastgru.kernels.simd import keep_alive, lanes, load, pointer, store
from fastgru.kernels.steps import start
from fastgru.kernels.tape_rows import read_blocks, write_rows


@inline
def is_one_hot(n_columns, n_inputs):
    """Whether inputs of so many columns are numbers of features."""
    return n_columns < n_inputs


@helper
def one_hot_product(
    rows, before, before_row, x, x_row, packed, n_inputs, n_units, reset_after, share
):
    """Add rows of weights to their biases; arguments as for ``input_product``."""
    wide = lanes(x)
    n_vectors = vectors_for(n_units, x)
    bias = biases(packed, n_inputs, n_units)
    for row in range(rows):
        feature = np.int64(x[row * x_row])
        target = before + row * before_row
        if reset_after:
            for vector in range(share.begin, share.end):
                weights = packed + 3 * wide * (vector * n_inputs + feature)
                for gate in range(3):
                    place = (4 * vector + gate) * wide
                    value = load(bias + place) + load(weights + gate * wide)
                    store(target + place, value)
        else:
            # [r z] of each register of units, then n of each, in panels.
            for begin, end in (
                (2 * share.begin, 2 * share.end),
                (2 * n_vectors + share.begin, 2 * n_vectors + share.end),
            ):
                _add_columns(
                    target, bias, packed, n_inputs, feature, 3 * n_vectors, begin, end
                )


@helper
def _add_columns(target, bias, packed, n_inputs, feature, n_vectors, begin, end):
    """Add some registers of one row of weights in panels to their biases."""
    wide = lanes(target)
    for panel in range(panels_for(n_vectors)):
        first = panel_start(n_vectors, panel)
        width = panel_start(n_vectors, panel + 1) - first
        weights = packed + (first * n_inputs + feature * width) * wide
        for v in range(max(begin, first), min(end, first + width)):
            value = load(bias + v * wide) + load(weights + (v - first) * wide)
            store(target + v * wide, value)


# -- the gradient ----------------------------------------------------------------------


@helper
def sort_by_feature(inputs, n_inputs, steps, block_bounds):
    """Return the tape's rows feature by feature, and where each feature's begin."""
    n_rows = start(steps, steps.n_steps)
    rows, places = np.empty(n_rows, np.int64), np.empty(n_rows, np.int64)
    write_rows(
        pointer(rows),
        pointer(places),  # scratch until it is written below
        steps,
        read_blocks(block_bounds),
        steps.batch,
        0,
        n_rows,
    )
    starts = np.zeros(n_inputs + 1, np.int64)
    for row in range(n_rows):
        starts[np.int64(inputs[row]) + 1] += 1
    for feature in range(n_inputs):
        starts[feature + 1] += starts[feature]
    after = starts.copy()
    for row in range(n_rows):
        feature = np.int64(inputs[rows[row]])
        places[after[feature]] = rows[row]
        after[feature] += 1
    keep_alive(rows)
    return places, starts


@thread_work
def one_hot_gradient_share(
    gradient: Line,
    n_units: int,
    tape: Line,
    places: Indices,
    starts: Indices,
    worker: int,
    n_workers: int,
):
    """Compute the gradients of one worker's rows of the input weights."""
    size = 3 * n_units
    work = np.empty(size, tape.dtype)
    n_rows = places.size
    begin = part_start(n_rows, n_workers, worker)
    end = part_start(n_rows, n_workers, worker + 1)
    for feature in range(starts.size - 1):
        first = starts[feature]
        # Features that do not occur are at the place of the next one that does.
        is_own = begin <= first < end or (first == n_rows and worker == n_workers - 1)
        if is_own:
            sum_of_rows(
                pointer(gradient) + feature * size,
                pointer(tape) + n_units,
                4 * n_units,
                places[first : starts[feature + 1]],
                size,
                pointer(work),
            )
    keep_alive(work)


@helper
def add_up_bias(gradient, n_inputs, n_units):
    """Write the gradient of the input's biases: the sum over all features."""
    size = 3 * n_units
    if gradient.size > size * (n_inputs + n_units):
        weights = pointer(gradient)
        target = weights + size * (n_inputs + n_units)
        copy_row(target, weights, size)
        for feature in range(1, n_inputs):
            add_row(target, weights + feature * size, size)
