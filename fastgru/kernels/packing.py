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
side by side          panels of I rows over [n r z] zeros
                      without padding between them,
                      then their bias
====================  ============================  ============================

The last part is there only where it pays (``registers_side_by_side``): the padding of
few units, of each gate, can be more than their weights.

Padding is zero; the array begins where a cache line does.  NumPy writes all this, so
that making a layer compiles nothing and loads no compiled code.
"""

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fastgru._jit import inline, shared
from fastgru.kernels.products import vectors_for
from fastgru.kernels.simd import ALIGNMENT, REGISTERS, TILE_VECTORS, lanes

# Inputs of few registers of units, from which on their gates also stand side by side.
_FEWEST_INPUTS, _MOST_REGISTERS = 64, 3


@shared
def registers_side_by_side(n_inputs, n_units, wide):
    """Return how many registers hold the gates of units side by side.

    It is 0 where they are not kept so, since that would save none or too little.
    """
    of_gate, of_all = -(-n_units // wide), -(-3 * n_units // wide)
    pays = n_inputs >= _FEWEST_INPUTS and of_gate <= _MOST_REGISTERS
    return of_all if pays and of_all < 3 * of_gate else 0


@shared
def packed_numbers(n_inputs, n_units, wide):
    """Return what ``packed_size`` does, for registers of so many lanes."""
    padded_units = -(-n_units // wide) * wide
    padded_inputs = -(-n_inputs // wide) * wide
    forward = 3 * padded_units * (n_inputs + n_units) + 4 * padded_units
    backward = 3 * n_units * (padded_units + padded_inputs)
    beside = registers_side_by_side(n_inputs, n_units, wide) * wide * (n_inputs + 1)
    return forward + backward + beside


def packed_size(input_size: int, hidden_size: int, itemsize: int) -> int:
    """Return how many numbers the packed weights of one direction of one layer take."""
    wide = REGISTERS.size // itemsize
    return packed_numbers(input_size, hidden_size, wide)


def aligned_zeros(n_numbers: int, dtype: np.dtype) -> np.ndarray:
    """Return an array that begins where a cache line does, as packed weights do."""
    n_bytes = n_numbers * dtype.itemsize
    memory = np.zeros(n_bytes + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return memory[begin : begin + n_bytes].view(dtype)


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


@inline
def weights_side_by_side(packed, n_inputs, n_units):
    """Return the address of the input weights whose gates stand side by side."""
    wide = lanes(packed)
    padded = vectors_for(n_inputs, packed) * wide
    return input_gradient_weights(packed, n_inputs, n_units) + 3 * n_units * padded


@inline
def bias_side_by_side(packed, n_inputs, n_units):
    """Return the address of their bias."""
    n_registers = registers_side_by_side(n_inputs, n_units, lanes(packed))
    weights = weights_side_by_side(packed, n_inputs, n_units)
    return weights + n_registers * lanes(packed) * n_inputs


def lanes_of(array: np.ndarray) -> int:
    """Return how many numbers of an array one register holds."""
    return REGISTERS.size // array.itemsize


def parts_of(packed: np.ndarray, *sizes: int) -> list[np.ndarray]:
    """Return the parts of a packed array, views."""
    ends = itertools.accumulate(sizes)
    return [packed[end - size : end] for size, end in zip(sizes, ends, strict=True)]


@lru_cache(maxsize=1024)
def _panels(n_columns: int, wide: int) -> list[tuple[int, int]]:
    """Return the first column of each panel and the one behind its last."""
    n_vectors = -(-n_columns // wide)
    parts = np.array_split(np.arange(n_vectors) * wide, -(-n_vectors // TILE_VECTORS))
    return [(int(part[0]), int(part[-1]) + wide) for part in parts]


def put_panels(target: np.ndarray, blocks: Sequence[np.ndarray]) -> None:
    """Write blocks, one below the other and of equal width, as panels of columns."""
    n_rows, n_columns = sum(map(len, blocks)), blocks[0].shape[1]
    for begin, end in _panels(n_columns, lanes_of(target)):
        panel = target[n_rows * begin : n_rows * end].reshape(n_rows, end - begin)
        row, end = 0, min(end, n_columns)
        for block in blocks:
            below = row + len(block)
            panel[row:below, : end - begin] = block[:, begin:end]
            row = below


def _put_gates(target: np.ndarray, gates: Sequence[np.ndarray]) -> None:
    """Write, per register of units, rows with that register of each gate, (rows, H)."""
    wide, (n_rows, n_units) = lanes_of(target), gates[0].shape
    n_whole, n_left = divmod(n_units, wide)
    registers = target.reshape(-1, n_rows, len(gates), wide)
    for place, gate in enumerate(gates):
        whole = gate[:, : n_whole * wide].reshape(n_rows, n_whole, wide)
        registers[:n_whole, :, place] = whole.transpose(1, 0, 2)
        if n_left:
            registers[n_whole, :, place, :n_left] = gate[:, n_whole * wide :]


def _put_biases(
    target: np.ndarray, biases: np.ndarray, n_units: int, *, reset_after: bool
) -> None:
    """Write the biases, (6H,): those of the inputs, then the recurrent ones."""
    (r, z, n_input), (r_h, z_h, n_recurrent) = biases.reshape(2, 3, 1, n_units)
    if reset_after:
        _put_gates(target, (n_input, r + r_h, z + z_h, n_recurrent))
        return
    half = target.size // 2
    _put_gates(target[:half], (r + r_h, z + z_h))
    target[half : half + n_units] = (n_input + n_recurrent)[0]


def pack_gru(
    packed: np.ndarray,
    parameters: np.ndarray,
    n_inputs: int,
    n_units: int,
    *,
    reset_after: bool,
) -> None:
    """Write the packed weights of one direction of one layer.

    Parameters
    ----------
    packed : ``aligned_zeros`` at first, of ``packed_size``; written but for the padding
    parameters : 1-D, one after the other weight_ih (I, 3H), weight_hh (H, 3H) and,
        unless there are none, bias_ih (3H,) and bias_hh (3H,)
    n_inputs, n_units : I and H
    reset_after : which cell
    """
    wide = lanes_of(packed)
    padded_units, padded_inputs = (-(-n // wide) * wide for n in (n_units, n_inputs))
    beside = registers_side_by_side(n_inputs, n_units, wide) * wide
    (
        inputs,
        recurrent,
        bias,
        backward,
        input_gradient,
        weights_beside,
        bias_beside,
    ) = parts_of(
        packed,
        3 * padded_units * n_inputs,
        3 * padded_units * n_units,
        4 * padded_units,
        3 * n_units * padded_units,
        3 * n_units * padded_inputs,
        beside * n_inputs,
        beside,
    )
    row, n_weights = 3 * n_units, 3 * n_units * (n_inputs + n_units)
    weights = parameters[:n_weights].reshape(-1, row)
    w, u = weights[:n_inputs], weights[n_inputs:]
    r, z, n = (u[:, begin : begin + n_units] for begin in range(0, row, n_units))
    if reset_after:
        w_r, w_z, w_n = (w[:, i : i + n_units] for i in range(0, row, n_units))
        _put_gates(inputs, (w_n, w_r, w_z))
        _put_gates(recurrent, (r, z, n))
        put_panels(backward, (n.T, r.T, z.T))
        if beside:
            put_panels(weights_beside, (np.hstack((w_n, w_r, w_z)),))
    else:
        registers = np.zeros((n_inputs, 3, padded_units), packed.dtype)
        registers[:, :, :n_units] = w.reshape(n_inputs, 3, n_units)
        in_order = np.empty((n_inputs, 3 * padded_units), packed.dtype)
        pairs = in_order[:, : 2 * padded_units].reshape(n_inputs, -1, 2, wide)
        both = registers[:, :2].reshape(n_inputs, 2, -1, wide)
        pairs[...] = both.transpose(0, 2, 1, 3)
        in_order[:, 2 * padded_units :] = registers[:, 2]
        put_panels(inputs, (in_order,))
        of_both = 2 * padded_units * n_units
        _put_gates(recurrent[:of_both], (r, z))
        put_panels(recurrent[of_both:], (n,))
        put_panels(backward[:of_both], (r.T, z.T))
        put_panels(backward[of_both:], (n.T,))
    put_panels(input_gradient, (w.T,))
    if parameters.size > n_weights:
        biases_given = parameters[n_weights:]
        _put_biases(bias, biases_given, n_units, reset_after=reset_after)
        if reset_after and beside:
            b_ih, b_hh = biases_given.reshape(2, row)
            bias_beside[:n_units] = b_ih[2 * n_units :]
            bias_beside[n_units:row] = b_ih[: 2 * n_units] + b_hh[: 2 * n_units]
