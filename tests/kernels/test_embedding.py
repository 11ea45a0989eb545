"""Rows looked up, places sorted by token, and sums over the places of each."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.kernels.embedding import (
    embedding_backward,
    embedding_backward_parallel,
    embedding_forward,
    find_unknown,
    sort_by_token,
)
from fastgru.kernels.products import TERMS
from fastgru.layers.geometry import Geometry
from tolerances import assert_close, assert_same_bits

SIZES = pytest.mark.parametrize("size", [1, 3, 7, 8, 15, 16, 17, 50])
CANARY = 12345.0


def guarded(rows, size, dtype):
    """Give a table to write to, and a check that nothing around it was written."""
    memory = np.full((rows + 2, size), CANARY, dtype)

    def check():
        assert (memory[[0, -1]] == CANARY).all(), "written outside"

    return memory[1:-1], check


def sort(tokens, n_tokens):
    """Sort the places of tokens with the kernel."""
    places = np.full(tokens.size, -1)
    starts = np.full(n_tokens + 1, -1)
    sort_by_token(places, starts, tokens)
    return places, starts


@SIZES
@BOTH_DTYPES
def test_rows_are_those_of_the_table(dtype, size, rng):
    weight = rng.standard_normal((11, size)).astype(dtype)
    tokens = rng.integers(0, 11, 40)
    y, check = guarded(40, size, dtype)
    embedding_forward(y, weight, tokens)
    check()
    assert_same_bits("y", y, weight[tokens])


@pytest.mark.parametrize("n_tokens", [1, 2, 5, 300])
@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_places_are_in_order_of_tokens_and_then_of_places(n, n_tokens, rng):
    tokens = rng.integers(0, n_tokens, n)
    places, starts = sort(tokens, n_tokens)
    assert (places == np.argsort(tokens, kind="stable")).all()
    assert (np.diff(starts) == np.bincount(tokens, minlength=n_tokens)).all()
    assert starts[0] == 0


def sum_by_hand(d_y):
    """Add rows up in their own dtype: blocks from zero, in order."""
    total = np.zeros_like(d_y[0])
    for begin in range(0, len(d_y), TERMS):
        block = np.zeros_like(d_y[0])
        for row in d_y[begin : begin + TERMS]:
            block = block + row
        total = total + block
    return total


@SIZES
@BOTH_DTYPES
def test_gradients_are_sums_of_blocks_in_order(dtype, size, rng):
    # Unseen, seen once, and one place less and more than one and two blocks.
    counts = [0, 1, TERMS - 1, TERMS, TERMS + 1, 2 * TERMS, 2 * TERMS + 1, 0]
    tokens = rng.permutation(np.repeat(np.arange(8), counts))
    d_y = rng.standard_normal((tokens.size, size)).astype(dtype)
    d_weight, check = guarded(8, size, dtype)
    embedding_backward(d_weight, d_y, *sort(tokens, 8))
    check()
    expected = np.zeros((8, size))
    np.add.at(expected, tokens, d_y.astype(np.float64))
    assert_close("d_weight", d_weight, expected, dtype)
    for v in range(1, 7):
        own = sum_by_hand(d_y[tokens == v])
        assert_same_bits(f"gradient of {v}", d_weight[v], own)


@BOTH_DTYPES
@pytest.mark.parametrize(
    "bounds", [[0, 9], [0, 4, 9], [0, 0, 1, 1, 8, 9, 9], list(range(10))], ids=str
)
def test_threads_give_the_bits_of_one(bounds, dtype, rng):
    tokens = rng.integers(0, 9, 5000)
    d_y = rng.standard_normal((5000, 17)).astype(dtype)
    arguments = (d_y, *sort(tokens, 9))
    serial, (parallel, check) = np.empty((9, 17), dtype), guarded(9, 17, dtype)
    embedding_backward(serial, *arguments)
    embedding_backward_parallel(parallel, *arguments, np.array(bounds))
    check()
    assert_same_bits("d_weight", parallel, serial)


@pytest.mark.parametrize(
    "geometry, expected",
    [
        (Geometry.concatenated(np.array([2, 0, 3, 4])), (7, 2, 3)),
        (Geometry.equal(3, 3, batch_first=True), (7, 1, 2)),
        (Geometry.equal(3, 3, batch_first=False), (7, 2, 1)),
    ],
)
@pytest.mark.parametrize("token", [-1, 5, 2**62, -(2**62)])
def test_an_unknown_token_is_found_with_its_place(token, geometry, expected):
    tokens = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3])
    assert find_unknown(tokens, 5, geometry.table) == (-1, -1, -1)
    tokens[7] = token
    assert find_unknown(tokens, 5, geometry.table) == expected
