"""The gates written in assembly give the bits of ``activations``, whatever goes in."""

import numpy as np
import pytest
from numba import njit

from cases import BOTH_DTYPES
from fastgru.kernels.activations import gate_and_tanh, inverse_gate
from fastgru.kernels.assembly_gates import HAS_GATES, new_states_of_4_rows
from fastgru.kernels.simd import fma, lanes, load, pointer, store, store_rows

pytestmark = pytest.mark.skipif(
    not HAS_GATES, reason="gates in assembly: not on this CPU"
)
ROWS = 4


@njit(error_model="numpy")
def in_assembly(new, sums, sums_row, n, n_row, h, h_row):
    """Compute a register of new states of each row; gates are written over sums."""
    states = new_states_of_4_rows(
        pointer(sums), sums_row, pointer(n), n_row, pointer(h), h_row
    )
    store_rows(pointer(new), lanes(pointer(new)), states)


@njit(error_model="numpy")
def by_activations(new, sums, sums_row, n, n_row, h, h_row):
    """Do the same one row at a time, as the equations read."""
    wide = lanes(pointer(new))
    for i in range(ROWS):
        place, place_n = pointer(sums) + i * sums_row, pointer(n) + i * n_row
        r = 1.0 / inverse_gate(load(place))
        argument = fma(r, load(place + 2 * wide), load(place_n))
        z, candidate = gate_and_tanh(inverse_gate(load(place + wide)), argument)
        store(place, r)
        store(place + wide, z)
        store(place_n, candidate)
        state = load(pointer(h) + i * h_row)
        store(pointer(new) + i * wide, fma(z, state - candidate, candidate))


def compare(values, dtype, rng):
    """Draw pre-activations from values, and compare bits of all that is written."""
    wide = 32 // np.dtype(dtype).itemsize
    sums_row, n_row, h_row = 3 * wide + 5, wide + 3, 2 * wide + 1
    sums, n = (
        rng.choice(values, ROWS * row).astype(dtype) for row in (sums_row, n_row)
    )
    h = rng.uniform(-1, 1, ROWS * h_row).astype(dtype)
    results = []
    for compute in (in_assembly, by_activations):
        new = np.empty(ROWS * wide, dtype)
        written = sums.copy(), n.copy()
        compute(new, written[0], sums_row, written[1], n_row, h, h_row)
        results.append([array.tobytes() for array in (new, *written)])
    assert results[0] == results[1]
    return new


@BOTH_DTYPES
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 30.0, 1e3, 1e30])
def test_same_bits_at_every_magnitude(dtype, scale, rng):
    for _ in range(20):
        compare(scale * rng.standard_normal(1000), dtype, rng)


@BOTH_DTYPES
def test_same_bits_at_the_edges(dtype, rng):
    info = np.finfo(dtype)
    edges = [0.0, info.smallest_subnormal, info.tiny, info.max, np.inf]
    edges += [8.66, 8.67, 20.0, 80.0, 80.1, 707.0, 707.1]
    values = np.array([*edges, *(-edge for edge in edges)], dtype)
    with np.errstate(invalid="ignore"):
        for _ in range(20):
            compare(values, dtype, rng)


@BOTH_DTYPES
def test_nan_comes_out(dtype, rng):
    wide = 32 // np.dtype(dtype).itemsize
    for place in range(3):  # r, z, hn
        sums, n, h = (
            np.zeros(12 * wide, dtype),
            np.zeros(4 * wide, dtype),
            np.ones(4 * wide, dtype),
        )
        sums[3 * wide + place * wide + 1] = np.nan
        new = np.empty(4 * wide, dtype)
        in_assembly(new, sums, 3 * wide, n, wide, h, wide)
        expected = np.arange(4 * wide) == wide + 1  # row 1, lane 1
        assert np.array_equal(np.isnan(new), expected)
