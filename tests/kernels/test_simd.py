"""Registers side by side: pairing them changes where numbers stand and nothing else."""

import numpy as np
import pytest
from numba import njit

from fastgru.kernels.activations import sigmoid
from fastgru.kernels.simd import (
    beside,
    can_stream,
    end_streams,
    first_half,
    lanes,
    load,
    pointer,
    second_half,
    store,
    store_rows,
    stream_rows,
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


@njit(error_model="numpy")
def write_rows(out, x, distance, streams):
    """Write two registers so far apart, past the caches or not."""
    wide, place = lanes(pointer(x)), pointer(out)
    both = beside(load(pointer(x)), load(pointer(x) + wide))
    can = can_stream(place, distance)
    if streams and can:
        stream_rows(place, distance, both)
        end_streams()
    else:
        store_rows(place, distance, both)
    return can


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_written_past_the_caches_are_the_same(dtype, rng):
    line = 64 // np.dtype(dtype).itemsize
    x, memory = rng.uniform(-5, 5, 2 * line).astype(dtype), np.zeros(8 * line, dtype)
    begin = -memory.ctypes.data % 64 // memory.itemsize
    streamed, stored = memory[begin:][: 3 * line], np.zeros(3 * line, dtype)
    write_rows(streamed, x, 2 * line, True)
    write_rows(stored, x, 2 * line, False)
    assert np.count_nonzero(stored) > 0
    np.testing.assert_array_equal(streamed, stored)
    # Rows that do not all begin with a line.
    assert not write_rows(stored, x, line + 1, True)
    assert not write_rows(memory[begin + 1 :], x, line, True)
