"""The kernels of pooling write all of their results and nothing around them."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.kernels.pooling import (
    attention_backward,
    attention_forward,
    last_backward,
    last_forward,
    max_backward,
    max_forward,
    mean_backward,
    mean_forward,
)
from fastgru.layers.geometry import Geometry

LENGTHS = np.array([2, 0, 3, 1])
CANARY = 12345.0


class Guarded:
    """Tables that are NaN, with something before and behind each."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.memories = []

    def table(self, *shape):
        size = int(np.prod(shape))
        memory = np.full(size + 64, CANARY, self.dtype)
        memory[32 : 32 + size] = np.nan
        self.memories.append(memory)
        return memory[32 : 32 + size].reshape(shape)

    def check(self):
        for memory in self.memories:
            assert (memory[:32] == CANARY).all()
            assert (memory[-32:] == CANARY).all()
            assert not np.isnan(memory).any()


@pytest.mark.parametrize("n", [1, 3, 7, 8, 15, 16, 17, 50])
@BOTH_DTYPES
def test_all_is_written_and_nothing_outside(dtype, n, rng):
    geometry = Geometry.concatenated(LENGTHS).table
    x = rng.standard_normal((6, n)).astype(dtype)
    d_y = rng.standard_normal((4, n)).astype(dtype)
    weight = rng.standard_normal(n).astype(dtype)
    rows, shares = np.full((4, n), -9), np.full(6, np.nan)
    guarded = Guarded(dtype)

    last_forward(guarded.table(4, n), x, geometry)
    last_backward(guarded.table(6, n), d_y, geometry)
    mean_forward(guarded.table(4, n), x, geometry)
    mean_backward(guarded.table(6, n), d_y, geometry)
    max_forward(guarded.table(4, n), rows, x, geometry)
    assert (rows[1] == -1).all()
    assert (rows[[0, 2, 3]] >= 0).all()
    max_backward(guarded.table(6, n), d_y, rows)
    attention_forward(guarded.table(4, n), shares, x, weight, geometry)
    assert np.allclose([shares[:2].sum(), shares[2:5].sum(), shares[5]], 1)
    attention_backward(
        guarded.table(6, n), guarded.table(n), d_y, shares, x, weight, geometry
    )
    guarded.check()
