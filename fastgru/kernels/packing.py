"""Weights in the order in which the tiles read them, all in one array.

Parameters are stored with one row per input of a product: ``weight_ih`` as (I, 3H),
``weight_hh`` as (H, 3H), gates in the order r, z, n; PyTorch's shapes are their
transposes.

The packed array holds, each part beginning at a whole register (HP = H padded to whole
registers):

====================  ============================  ============================
part                  ``reset_after=True``          ``reset_after=False``
====================  ============================  ============================
input weights         per register of units: I      panels of I rows over [r z]
                      rows of [n r z]               of each register, then all n
recurrent weights     per register of units: H      per register of units: H
                      rows of [r z n]               rows of [r z]; then panels
                                                    of H rows over all n
bias                  per register of units [n r    [r z] of each register of
                      z], then the recurrent n's    units, then all n
for backward          panels of 3H rows (n, r, z)   panels of 2H rows (r, z),
                      over HP columns               then of H rows (n)
for x's gradient      panels of 3H rows (r, z, n)   the same
                      over I columns
====================  ============================  ============================

Padding is zero.
"""

from fastgru._jit import compiled_once, helper, inline, kernel, shared
from fastgru.kernels.products import (
    fill,
    panel_start,
    panels_for,
    vectors_for,
)
from fastgru.kernels.simd import ALIGNMENT, REGISTERS, aligned, lanes, pointer


@shared
def packed_numbers(n_inputs, n_units, wide, itemsize):
    """Return what ``packed_size`` does, for registers of so many lanes."""
    padded_units = -(-n_units // wide) * wide
    padded_inputs = -(-n_inputs // wide) * wide
    forward = 3 * padded_units * (n_inputs + n_units) + 4 * padded_units
    backward = 3 * n_units * (padded_units + padded_inputs)
    return forward + backward + ALIGNMENT // itemsize


def packed_size(input_size: int, hidden_size: int, itemsize: int) -> int:
    """Return how many numbers the packed weights of one direction of one layer take."""
    wide = REGISTERS.size // itemsize
    return packed_numbers(input_size, hidden_size, wide, itemsize)


@inline
def recurrent_weights(packed, n_inputs, n_units):
    """Return the address of the recurrent weights; the input weights stand first."""
    return packed + 3 * vectors_for(n_units, packed) * lanes(packed) * n_inputs


@inline
def candidate_weights(packed, n_inputs, n_units):
    """Return the address of the weights of n, which the other cell keeps apart."""
    padded = vectors_for(n_units, packed) * lanes(packed)
    return recurrent_weights(packed, n_inputs, n_units) + 2 * padded * n_units


@inline
def biases(packed, n_inputs, n_units):
    """Return the address of the biases."""
    padded = vectors_for(n_units, packed) * lanes(packed)
    return packed + 3 * padded * (n_inputs + n_units)


@inline
def backward_weights(packed, n_inputs, n_units):
    """Return the address of the recurrent weights for the backward pass."""
    padded = vectors_for(n_units, packed) * lanes(packed)
    return biases(packed, n_inputs, n_units) + 4 * padded


@inline
def backward_candidate_weights(packed, n_inputs, n_units):
    """Return the address of those of n, which the other cell keeps apart."""
    padded = vectors_for(n_units, packed) * lanes(packed)
    return backward_weights(packed, n_inputs, n_units) + 2 * n_units * padded


@inline
def input_gradient_weights(packed, n_inputs, n_units):
    """Return the address of the input weights for the gradient of the input."""
    padded = vectors_for(n_units, packed) * lanes(packed)
    return backward_weights(packed, n_inputs, n_units) + 3 * n_units * padded


@compiled_once
def _pack_register(
    target,
    target_row: int,
    weights,
    n_rows: int,
    row_length: int,
    column: int,
    n_valid: int,
):
    """Copy one register's columns of all rows; columns from n_valid on are zero."""
    wide = lanes(target)
    for k in range(n_rows):
        for lane in range(wide):
            value = weights[k * row_length + column + lane] if lane < n_valid else 0.0
            target[k * target_row + lane] = value


@helper
def pack_columns(target, weights, n_rows, row_length, column, n_columns):
    """Pack ``n_columns`` columns of a row-major matrix into panels."""
    wide = lanes(target)
    n_vectors = vectors_for(n_columns, target)
    for panel in range(panels_for(n_vectors)):
        begin = panel_start(n_vectors, panel)
        width = panel_start(n_vectors, panel + 1) - begin
        for v in range(width):
            done = (begin + v) * wide
            _pack_register(
                target + begin * wide * n_rows + v * wide,
                width * wide,
                weights,
                n_rows,
                row_length,
                column + done,
                n_columns - done,
            )


@compiled_once
def pack_transposed(
    target,
    target_rows: int,
    first_row: int,
    weights,
    n_columns: int,
    row_length: int,
    column: int,
    n_rows: int,
):
    """Pack rows from columns: row ``first_row + k`` is column ``column + k``.

    weights has ``n_columns`` rows here, which become the columns of b; b has
    ``target_rows`` rows in all.
    """
    wide = lanes(target)
    n_vectors = vectors_for(n_columns, target)
    for panel in range(panels_for(n_vectors)):
        begin = panel_start(n_vectors, panel)
        width = panel_start(n_vectors, panel + 1) - begin
        for v in range(width):
            done = (begin + v) * wide
            valid = min(wide, n_columns - done)
            place = target + begin * wide * target_rows + v * wide
            for k in range(n_rows):
                row = place + (first_row + k) * width * wide
                for lane in range(valid):
                    row[lane] = weights[(done + lane) * row_length + column + k]
                for lane in range(valid, wide):
                    row[lane] = 0.0


@helper
def _pack_interleaved(target, weights, n_rows, n_units, gates, n_gates):
    """Pack, per register of units, rows with that register of each given gate."""
    wide = lanes(target)
    for vector in range(vectors_for(n_units, target)):
        place = target + vector * n_gates * wide * n_rows
        for g in range(n_gates):
            _pack_register(
                place + g * wide,
                n_gates * wide,
                weights,
                n_rows,
                3 * n_units,
                gates[g] * n_units + vector * wide,
                n_units - vector * wide,
            )


@helper
def _pack_input_reset_before(target, weights, n_rows, n_units):
    """Pack panels over the registers [r z] of each register of units, then all of n."""
    wide = lanes(target)
    per_gate = vectors_for(n_units, target)
    n_vectors = 3 * per_gate
    for panel in range(panels_for(n_vectors)):
        begin = panel_start(n_vectors, panel)
        width = panel_start(n_vectors, panel + 1) - begin
        for v in range(begin, begin + width):
            gate, unit = v % 2, v // 2 * wide
            if v >= 2 * per_gate:
                gate, unit = 2, (v - 2 * per_gate) * wide
            _pack_register(
                target + begin * wide * n_rows + (v - begin) * wide,
                width * wide,
                weights,
                n_rows,
                3 * n_units,
                gate * n_units + unit,
                n_units - unit,
            )


@helper
def _pack_biases(target, bias_ih, has_bias, n_units, reset_after):
    """Pack the biases, those of the recurrent side standing behind the others."""
    wide = lanes(target)
    per_gate = vectors_for(n_units, target)
    fill(target, 0.0, 4 * per_gate * wide)
    if not has_bias:
        return
    bias_hh = bias_ih + 3 * n_units
    for unit in range(n_units):
        vector, lane = unit // wide, unit % wide
        r = bias_ih[unit] + bias_hh[unit]
        z = bias_ih[n_units + unit] + bias_hh[n_units + unit]
        n_input, n_recurrent = bias_ih[2 * n_units + unit], bias_hh[2 * n_units + unit]
        if reset_after:
            place = target + vector * 4 * wide + lane
            place[0] = n_input
            place[wide] = r
            place[2 * wide] = z
            place[3 * wide] = n_recurrent
        else:
            place = target + vector * 2 * wide + lane
            place[0] = r
            place[wide] = z
            target[2 * per_gate * wide + unit] = n_input + n_recurrent


@kernel
def pack_gru(packed, parameters, n_inputs, n_units, reset_after):
    """Write the packed weights of one direction of one layer.

    Parameters
    ----------
    packed : written, ``packed_size`` numbers
    parameters : 1-D, one after the other weight_ih (I, 3H), weight_hh (H, 3H) and,
        unless there are none, bias_ih (3H,) and bias_hh (3H,)
    reset_after : bool, which cell
    """
    target = aligned(pointer(packed))
    w = pointer(parameters)
    u = w + 3 * n_units * n_inputs
    bias = u + 3 * n_units * n_units
    has_bias = parameters.size > 3 * n_units * (n_inputs + n_units)
    recurrent = recurrent_weights(target, n_inputs, n_units)
    backward = backward_weights(target, n_inputs, n_units)
    row = 3 * n_units
    if reset_after:
        _pack_interleaved(target, w, n_inputs, n_units, (2, 0, 1), 3)
        _pack_interleaved(recurrent, u, n_units, n_units, (0, 1, 2), 3)
        pack_transposed(backward, row, 0, u, n_units, row, 2 * n_units, n_units)
        pack_transposed(backward, row, n_units, u, n_units, row, 0, 2 * n_units)
    else:
        _pack_input_reset_before(target, w, n_inputs, n_units)
        _pack_interleaved(recurrent, u, n_units, n_units, (0, 1, 2), 2)
        candidate = candidate_weights(target, n_inputs, n_units)
        pack_columns(candidate, u, n_units, row, 2 * n_units, n_units)
        pack_transposed(backward, 2 * n_units, 0, u, n_units, row, 0, 2 * n_units)
        backward_n = backward_candidate_weights(target, n_inputs, n_units)
        pack_transposed(backward_n, n_units, 0, u, n_units, row, 2 * n_units, n_units)
    _pack_biases(
        biases(target, n_inputs, n_units),
        bias,
        has_bias,
        n_units,
        reset_after,
    )
    gradient = input_gradient_weights(target, n_inputs, n_units)
    pack_transposed(gradient, row, 0, w, n_inputs, row, 0, row)
