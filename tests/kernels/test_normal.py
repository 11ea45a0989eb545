"""Normal numbers from points of a square, against the formula in NumPy."""

import numpy as np
import pytest

from fastgru.kernels.normal import fill_normal


def expected_pairs(points):
    """Compute the two numbers of each point inside the circle, straight away."""
    square = (points**2).sum(axis=1)
    kept = (square > 0) & (square < 1)
    square = square[kept][:, np.newaxis]
    return points[kept] * np.sqrt(-2 * np.log(square) / square)


def test_the_polar_method(rng):
    points = rng.uniform(-1, 1, (1000, 2)) * 10.0 ** -rng.integers(0, 9, (1000, 1))
    expected = expected_pairs(points)
    assert len(expected) > 900
    normals = np.full(2000, np.nan)
    assert fill_normal(normals, 0, points) == expected.size
    # The logarithms may differ by some units in the last place.
    np.testing.assert_allclose(
        normals[: expected.size], expected.ravel(), rtol=2e-15, atol=0
    )
    assert np.isnan(normals[expected.size :]).all()


@pytest.mark.parametrize(
    "point", [(0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.8, 0.8), (np.nan, 0.5)], ids=str
)
def test_points_outside_of_the_circle_are_dropped(point):
    normals = np.zeros(4)
    assert fill_normal(normals, 1, np.array([point])) == 1
    assert not normals.any()


def test_the_smallest_circle_gives_finite_numbers():
    # The smallest difference of two of the generator's numbers, doubled.
    normals = np.zeros(2)
    fill_normal(normals, 0, np.array([[0.0, 2.0**-52]]))
    assert normals[0] == 0
    assert normals[1] == pytest.approx(np.sqrt(-2 * np.log(2.0**-104)), rel=1e-15)


def test_what_does_not_fit_is_dropped(rng):
    points = rng.uniform(-0.5, 0.5, (2, 2))
    whole = np.zeros(5)
    assert fill_normal(whole, 1, points) == 5
    assert whole[0] == 0
    assert whole[1:].all()
    for size, end in [(4, 5), (3, 3), (2, 3), (1, 1)]:
        part = np.zeros(5)
        assert fill_normal(part[:size], 1, points) == end
        assert part[:size].tolist() == whole[:size].tolist()
        assert not part[size:].any()
