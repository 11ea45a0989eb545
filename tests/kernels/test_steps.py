"""Where steps stand: what the kernels read from a geometry."""

import numpy as np
import pytest

from fastgru._jit import kernel
from fastgru.kernels.steps import length, read_steps, step_of, user_number
from fastgru.layers.geometry import Geometry


@kernel
def read_lengths(lengths, geometry):
    """Write the length of each sequence, in users' order."""
    steps = read_steps(geometry)
    for b in range(steps.batch):
        lengths[user_number(steps, b)] = length(steps, b)


@kernel
def read_steps_of_rows(found, geometry):
    """Write the step of each packed row, and of one behind the last."""
    steps = read_steps(geometry)
    for row in range(found.size):
        found[row] = step_of(steps, row)


@pytest.mark.parametrize(
    "lengths",
    [[3, 0, 5, 1, 5, 2], [0], [1], [0, 0], [4, 4, 4], [1, 0], [7, 1]],
    ids=str,
)
def test_lengths_are_those_that_came_in(lengths):
    expected = np.array(lengths)
    n_steps = max(lengths)
    geometries = [Geometry.concatenated(expected)]
    if n_steps > 0:
        geometries.append(Geometry.padded(expected, n_steps, batch_first=True))
        geometries.append(Geometry.padded(expected, n_steps, batch_first=False))
    for geometry in [*geometries, *(g.reversed() for g in geometries)]:
        found = np.full(len(lengths), -1)
        read_lengths(found, geometry.table)
        assert (found == expected).all()
        assert (geometry.lengths() == expected).all()


@pytest.mark.parametrize(
    "lengths", [[3, 0, 5, 1, 5, 2], [4, 4, 4], [0, 0], [1]], ids=str
)
def test_a_packed_row_is_of_its_step(lengths):
    geometry = Geometry.concatenated(np.array(lengths))
    running = [sum(length > t for length in lengths) for t in range(max(lengths))]
    expected = np.repeat(np.arange(len(running)), running).tolist()
    found = np.full(geometry.n_rows + 1, -1)
    read_steps_of_rows(found, geometry.table)
    assert found.tolist() == [*expected, geometry.n_steps]
