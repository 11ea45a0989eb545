"""Dropout masks, and rows multiplied by them.

A number of a mask is a function of the seed, the layer, the sequence's id and the unit,
whatever else is drawn.  The first three, one after the other, are mixed into 64 bits by
the finaliser of SplitMix64 [1]_; these seed that generator, whose number k says whether
unit k is dropped.

References
----------
.. [1] Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators",
   OOPSLA, figures 16 and 17 (with Stafford's constants, as in Java).
"""

import numpy as np

from fastgru._jit import inline, kernel
from fastgru.kernels.products import multiply_row
from fastgru.kernels.simd import pointer
from fastgru.kernels.steps import length, read_steps, user_number, user_row

# All of uint64: Numba makes a float of a uint64 and an int64.
_INCREMENT = np.uint64(0x9E3779B97F4A7C15)
_FACTOR_1 = np.uint64(0xBF58476D1CE4E5B9)
_FACTOR_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_ONE = np.uint64(1)

# The upper 53 bits are a number from [0, 1), exactly.
_LOW_BITS = np.uint64(11)
_LAST_PLACE = 2.0**-53


@inline
def _number(seed, k):
    """Return number k of the generator with a seed."""
    x = seed + (k + _ONE) * _INCREMENT
    x = (x ^ (x >> _SHIFTS[0])) * _FACTOR_1
    x = (x ^ (x >> _SHIFTS[1])) * _FACTOR_2
    return x ^ (x >> _SHIFTS[2])


@kernel
def draw_mask(mask, seed, layer, sequence_ids, rate):
    """Write 0 where a unit is dropped, else 1 / (1 - rate), rounded once.

    mask : (B, units); sequence_ids : (B,) int64; seed : uint64
    layer : int64; rate : float64, from 0 to 1
    """
    of_layer = _number(_number(np.uint64(0), seed), np.uint64(layer))
    kept = mask.dtype.type(1.0 / (1.0 - rate))
    dropped = mask.dtype.type(0.0)
    for b in range(mask.shape[0]):
        of_sequence = _number(of_layer, np.uint64(sequence_ids[b]))
        for k in range(mask.shape[1]):
            bits = _number(of_sequence, np.uint64(k)) >> _LOW_BITS
            uniform = np.float64(bits) * _LAST_PLACE
            mask[b, k] = dropped if uniform < rate else kept


@kernel
def apply_mask(target, source, mask, geometry):
    """Multiply the rows of each sequence by its row of a mask.

    target, source : (rows, units), the former written, perhaps the same
    mask : (B, units), in users' order
    """
    steps = read_steps(geometry)
    n_units = mask.shape[1]
    to, origin = pointer(target), pointer(source)
    for b in range(steps.batch):
        factors = pointer(mask) + user_number(steps, b) * n_units
        for t in range(length(steps, b)):
            row = user_row(steps, t, b) * n_units
            multiply_row(to + row, origin + row, factors, n_units)
