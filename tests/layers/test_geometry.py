"""Where steps stand: sequences of any lengths, in any layout, read from both ends."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastgru._jit import kernel
from fastgru.kernels.steps import active, read_steps, start, user_number, user_row
from fastgru.layers.geometry import Geometry

LAYOUTS = ("time_major", "batch_first", "concatenated")


@kernel
def read_rows(rows, numbers, geometry):
    """Write which row each packed row is, and which sequence it belongs to."""
    steps = read_steps(geometry)
    for t in range(steps.n_steps):
        for b in range(active(steps, t, 0, steps.batch)):
            rows[start(steps, t) + b] = user_row(steps, t, b)
            numbers[start(steps, t) + b] = user_number(steps, b)


def packed_rows(geometry):
    """Give the row and the sequence of each packed row."""
    rows = np.full(geometry.n_rows, -1)
    numbers = np.full(geometry.n_rows, -1)
    read_rows(rows, numbers, geometry.table)
    return rows, numbers


def make_geometry(lengths, n_steps, layout):
    """Make a geometry, and give which row each step of each sequence is."""
    lengths = np.array(lengths, np.int64)
    batch = lengths.size
    if layout == "concatenated":
        ends = np.cumsum(lengths)
        rows = [np.arange(end - n, end) for end, n in zip(ends, lengths, strict=True)]
        return Geometry.concatenated(lengths), rows
    table = np.arange(n_steps * batch)
    if layout == "batch_first":
        table = table.reshape(batch, n_steps)
        geometry = Geometry.padded(lengths, n_steps, batch_first=True)
    else:
        table = table.reshape(n_steps, batch).T
        geometry = Geometry.padded(lengths, n_steps, batch_first=False)
    return geometry, [row[:n] for row, n in zip(table, lengths, strict=True)]


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=9),
    more=st.integers(0, 2),
    layout=st.sampled_from(LAYOUTS),
    is_reversed=st.booleans(),
)
def test_every_step_is_found_once_and_in_order(lengths, more, layout, is_reversed):
    n_steps = max(1, max(lengths) + more)
    geometry, expected = make_geometry(lengths, n_steps, layout)
    if is_reversed:
        geometry = geometry.reversed()
        expected = [rows[::-1] for rows in expected]
    assert geometry.batch == len(lengths)
    assert geometry.n_rows == sum(lengths)
    assert geometry.table.dtype == np.int64
    rows, numbers = packed_rows(geometry)
    for b, wanted in enumerate(expected):
        # Packed rows run from step to step, so those of a sequence are in order.
        assert rows[numbers == b].tolist() == wanted.tolist()
    assert geometry.lengths().tolist() == lengths


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=9),
    more=st.integers(0, 2),
    layout=st.sampled_from(LAYOUTS),
)
def test_valid_rows_are_those_of_the_sequences_one_by_one(lengths, more, layout):
    geometry, rows = make_geometry(lengths, max(1, max(lengths) + more), layout)
    if not geometry.is_equal:
        expected = np.concatenate(rows).tolist()
        assert geometry.valid_rows().tolist() == expected


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=9),
    layout=st.sampled_from(LAYOUTS),
)
def test_reversed_twice_is_what_it_was(lengths, layout):
    geometry, _ = make_geometry(lengths, max(1, *lengths, 1), layout)
    before = geometry.table.copy()
    again = geometry.reversed().reversed()
    np.testing.assert_array_equal(again.table, before)
    np.testing.assert_array_equal(geometry.table, before)  # not written to


@pytest.mark.parametrize("batch_first", [False, True])
def test_all_lengths_full_are_equally_long(batch_first):
    equal = Geometry.equal(5, 3, batch_first=batch_first)
    padded = Geometry.padded(np.full(3, 5), 5, batch_first=batch_first)
    np.testing.assert_array_equal(padded.table, equal.table)
    assert equal.is_equal
    assert equal.n_rows == 15


def test_packed_are_equally_long_ones_step_by_step_only():
    lengths = np.array([4, 4, 4])
    assert Geometry.equal(4, 3, batch_first=False).is_packed
    assert not Geometry.equal(4, 3, batch_first=True).is_packed
    assert not Geometry.equal(4, 3, batch_first=False).reversed().is_packed
    assert not Geometry.concatenated(lengths).is_packed
    assert not Geometry.padded(lengths - 1, 4, batch_first=False).is_packed


def test_a_batch_of_no_sequences():
    nothing = np.zeros(0, np.int64)
    for geometry in (
        Geometry.padded(nothing, 3, batch_first=False),
        Geometry.padded(nothing, 3, batch_first=True),
        Geometry.concatenated(nothing),
    ):
        assert geometry.is_equal
        assert (geometry.batch, geometry.n_rows) == (0, 0)
        assert geometry.lengths().size == 0
        assert geometry.reversed().n_rows == 0


@given(
    lengths=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    n_blocks=st.integers(1, 9),
)
def test_blocks_cover_all_sequences_in_order(lengths, n_blocks):
    for layout in LAYOUTS:
        geometry, _ = make_geometry(lengths, max(1, *lengths, 1), layout)
        bounds = geometry.bounds(n_blocks)
        assert bounds.dtype == np.int64
        assert bounds.size == n_blocks + 1
        assert (bounds[0], bounds[-1]) == (0, len(lengths))
        assert (np.diff(bounds) >= 0).all()


def test_blocks_have_about_equally_many_steps():
    lengths = np.arange(1, 201)
    bounds = Geometry.concatenated(lengths).bounds(4)
    by_length = lengths[::-1]  # sequences are numbered by falling length
    shares = [by_length[i:j].sum() for i, j in zip(bounds, bounds[1:], strict=False)]
    assert max(shares) - min(shares) < 2 * lengths.max()
