"""Where each step of each sequence stands on a tape, and in which order rows are added.

The expected rows are lists of pairs of a step and a sequence.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgru._jit import kernel
from fastgru.kernels.simd import pointer
from fastgru.kernels.steps import read_steps
from fastgru.kernels.tape_rows import (
    read_blocks,
    stand_together,
    step_and_sequence,
    tape_row,
    write_rows,
)
from fastgru.layers.geometry import Geometry


@kernel
def read_row(geometry, begin, end, t, b):
    """Return one row."""
    return tape_row(read_steps(geometry), begin, end, t, b)


@kernel
def read_rows(rows, state_rows, geometry, blocks, bundle, first):
    """Write the rows that come from the first on in the order of sums."""
    write_rows(
        pointer(rows),
        pointer(state_rows),
        read_steps(geometry),
        read_blocks(blocks),
        bundle,
        first,
        rows.size,
    )


@kernel
def are_together(rows):
    """Return whether rows stand one behind the other."""
    return stand_together(pointer(rows), rows.size)


def rows_from(first, n, geometry, blocks, bundle):
    """Return n rows and those of states."""
    rows, state_rows = np.full((2, n), -1)
    read_rows(rows, state_rows, geometry.table, np.array(blocks), bundle, first)
    return rows.tolist(), state_rows.tolist()


def expected_order(n_steps, batch, bundle):
    """Return steps and sequences in the order of sums."""
    order = [(0, b) for b in range(batch)]
    for begin in range(0, batch, bundle):
        for t in range(1, n_steps):
            order += [(t, b) for b in range(begin, min(batch, begin + bundle))]
    return order


@kernel
def read_places(places, geometry, blocks):
    """Write step and sequence of each row."""
    steps, t = read_steps(geometry), 0
    for row in range(places.shape[0]):
        t, b = step_and_sequence(steps, read_blocks(blocks), row, t)
        places[row, 0], places[row, 1] = t, b


@pytest.mark.parametrize(
    "n_steps, blocks",
    [(5, [0, 7]), (5, [0, 3, 7]), (1, [0, 1, 2]), (4, [0, 1, 3, 6, 10]), (1, [0, 1])],
    ids=str,
)
def test_rows_of_a_block_stand_together_step_by_step(n_steps, blocks):
    bounds, batch = np.array(blocks), blocks[-1]
    table = Geometry.equal(n_steps, batch, batch_first=False).table
    # Block after block, of each step after step, of each the sequences.
    expected = [
        (t, b)
        for begin, end in zip(blocks, blocks[1:], strict=False)
        for t in range(n_steps)
        for b in range(begin, end)
    ]
    places = np.empty((n_steps * batch, 2), np.int64)
    read_places(places, table, bounds)
    assert list(map(tuple, places)) == expected
    for begin, end in zip(blocks, blocks[1:], strict=False):
        for t in range(n_steps):
            for b in range(begin, end):
                assert expected[read_row(table, begin, end, t, b)] == (t, b)


def test_sequences_of_unequal_length_are_packed():
    geometry = Geometry.concatenated(np.array([2, 0, 4, 3]))
    blocks = geometry.bounds(1)
    expected = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0)]
    places = np.empty((geometry.n_rows, 2), np.int64)
    read_places(places, geometry.table, blocks)
    assert list(map(tuple, places)) == expected
    for row, (t, b) in enumerate(expected):
        assert read_row(geometry.table, 0, 4, t, b) == row
    # Their own order is that of sums, too; states of a step follow the 4 first ones.
    before = [b if t == 0 else 4 + expected.index((t - 1, b)) for t, b in expected]
    for first in range(len(expected)):
        n = len(expected) - first
        rows, state_rows = rows_from(first, n, geometry, blocks, 4)
        assert rows == list(range(first, len(expected)))
        assert state_rows == before[first:]


@given(st.data())
def test_rows_are_added_bundle_by_bundle(data):
    n_steps, batch = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 12))
    inner = data.draw(st.sets(st.integers(1, batch - 1)) if batch > 1 else st.just(()))
    blocks, bundle = [0, *sorted(inner), batch], data.draw(st.integers(1, batch))
    geometry = Geometry.equal(n_steps, batch, batch_first=False)
    order = expected_order(n_steps, batch, bundle)
    first = data.draw(st.integers(0, len(order) - 1))
    n_listed = data.draw(st.integers(0, len(order) + 3 - first))
    rows, state_rows = rows_from(first, n_listed, geometry, blocks, bundle)
    places = np.empty((len(order), 2), np.int64)
    read_places(places, geometry.table, np.array(blocks))
    n = min(n_listed, len(order) - first)
    assert [tuple(places[row]) for row in rows[:n]] == order[first : first + n]
    # The state before step t is that of the row of step t - 1, behind the first ones.
    assert state_rows[:n] == [t * batch + b for t, b in order[first : first + n]]


@pytest.mark.parametrize("blocks", [[0, 6], [0, 2, 6]], ids=str)
@pytest.mark.parametrize("bundle", [1, 4, 6])
def test_any_order_holds_every_row_once(blocks, bundle):
    geometry = Geometry.equal(5, 6, batch_first=True)
    rows, state_rows = rows_from(0, 30, geometry, blocks, bundle)
    assert sorted(rows) == sorted(state_rows) == list(range(30))


@pytest.mark.parametrize(
    "rows, expected",
    [([3], True), ([3, 4, 5], True), ([3, 5, 4, 6], False), ([3, 4, 6], False)],
    ids=str,
)
def test_rows_that_stand_together(rows, expected):
    assert are_together(np.array(rows)) == expected
