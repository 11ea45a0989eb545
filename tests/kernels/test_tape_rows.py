"""Where the gates of each step of each sequence stand on a tape."""

import numpy as np
import pytest

from fastgru._jit import kernel
from fastgru.kernels.simd import pointer
from fastgru.kernels.steps import read_steps
from fastgru.kernels.tape_rows import (
    gate_row,
    read_blocks,
    step_and_sequence,
    write_gate_rows,
)
from fastgru.layers.geometry import Geometry


@kernel
def read_row(geometry, begin, end, t, b):
    """Return one row."""
    return gate_row(read_steps(geometry), begin, end, t, b)


@kernel
def read_rows(rows, geometry, blocks, first):
    """Write the rows of packed rows from the first on."""
    write_gate_rows(
        pointer(rows), read_steps(geometry), read_blocks(blocks), first, rows.size
    )


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
    for first in range(n_steps * batch):
        rows = np.empty(n_steps * batch - first, np.int64)
        read_rows(rows, table, bounds, first)
        found = [expected[row] for row in rows]
        assert found == [divmod(row, batch) for row in range(first, n_steps * batch)]
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
    rows = np.empty(geometry.n_rows, np.int64)
    read_rows(rows, geometry.table, blocks, 0)
    assert rows.tolist() == list(range(geometry.n_rows))
    for row, (t, b) in enumerate(expected):
        assert read_row(geometry.table, 0, 4, t, b) == row
