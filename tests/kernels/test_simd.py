"""Registers side by side: pairing them changes where numbers stand and nothing else."""

import numpy as np
import pytest
from numba import njit

from fastgru.kernels.activations import sigmoid
from fastgru.kernels.simd import (
    beside,
    first_half,
    lanes,
    load,
    pointer,
    second_half,
    store,
)


@njit(error_model="numpy")
def apply_to_four(out, x):
    """Put four registers side by side, take sigmoid and write them in reverse order."""
    wide = lanes(pointer(x))
    source, target = pointer(x), pointer(out)
    four = sigmoid(
        beside(
            beside(load(source), load(source + wide)),
            beside(load(source + 2 * wide), load(source + 3 * wide)),
        )
    )
    low, high = first_half(four), second_half(four)
    store(target, second_half(high))
    store(target + wide, first_half(high))
    store(target + 2 * wide, second_half(low))
    store(target + 3 * wide, first_half(low))
    return wide


@njit(error_model="numpy")
def apply_to_each(out, x, wide):
    """Do the same one register at a time."""
    for v in range(4):
        store(
            pointer(out) + (3 - v) * wide,
            sigmoid(load(pointer(x) + v * wide)),
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_registers_side_by_side_keep_their_lanes_and_bits(dtype, rng):
    x = rng.uniform(-5, 5, 64).astype(dtype)  # four of the widest registers
    together, apart = np.zeros_like(x), np.zeros_like(x)
    wide = apply_to_four(together, x)
    apply_to_each(apart, x, wide)
    assert np.unique(apart[: 4 * wide]).size == 4 * wide
    np.testing.assert_array_equal(together, apart)
