"""What a training step does to flat vectors, against plain formulas in float64."""

import math

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.kernels.updates import (
    adam,
    add_scaled,
    rmsprop,
    sgd,
    sgd_nesterov,
    sum_of_squares,
)
from tolerances import assert_close, assert_same_bits


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 16, 1003])
@BOTH_DTYPES
def test_sum_of_squares(dtype, n, rng):
    values = rng.standard_normal(n).astype(dtype)
    expected = math.fsum(float(v) ** 2 for v in values)
    assert sum_of_squares(values) == pytest.approx(expected, rel=1e-13, abs=0)


def sum_in_the_declared_order(values):
    """Add up eight interleaved sums of squares, then what is left, as Python floats."""
    squares = [float(v) * float(v) for v in values]
    whole = len(squares) - len(squares) % 8
    parts = [0.0] * 8
    for i in range(whole):
        parts[i % 8] += squares[i]
    total = (parts[0] + parts[1]) + (parts[2] + parts[3])
    total += (parts[4] + parts[5]) + (parts[6] + parts[7])
    for square in squares[whole:]:
        total += square
    return total


@pytest.mark.parametrize("n", [7, 50, 1003])
@BOTH_DTYPES
def test_sum_of_squares_adds_up_in_the_declared_order(dtype, n, rng):
    for _ in range(20):
        values = (rng.standard_normal(n) * 10.0 ** rng.uniform(-3, 3, n)).astype(dtype)
        assert sum_of_squares(values) == sum_in_the_declared_order(values)


def test_sum_of_squares_of_float32_does_not_overflow():
    values = np.full(10, 1e30, np.float32)
    expected = 10 * float(np.float32(1e30)) ** 2
    assert sum_of_squares(values) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 7, 8])
def test_sum_of_squares_shows_what_is_not_finite(place, bad):
    values = np.zeros(9, np.float32)
    values[place] = bad
    assert not math.isfinite(sum_of_squares(values))


@BOTH_DTYPES
def test_add_scaled(dtype, rng):
    target, source = rng.standard_normal((2, 37)).astype(dtype)
    expected = target.astype(np.float64) + 0.3 * source.astype(np.float64)
    before = source.copy()
    add_scaled(target, source, 0.3)
    assert_close("target", target, expected, dtype)
    assert_same_bits("source", source, before)


@BOTH_DTYPES
def test_add_scaled_to_itself(dtype, rng):
    target = rng.standard_normal(37).astype(dtype)
    expected = 0.7 * target.astype(np.float64)
    add_scaled(target, target, -0.3)
    assert_close("target", target, expected, dtype)


@BOTH_DTYPES
def test_adam_updates_both_means_and_the_parameters(dtype, rng):
    parameters, gradients, mean = rng.standard_normal((3, 37)).astype(dtype)
    square = rng.uniform(0.1, 2, 37).astype(dtype)
    p, g, m, v = (a.astype(np.float64) for a in (parameters, gradients, mean, square))
    m = 0.8 * m + 0.2 * g
    v = 0.9 * v + 0.1 * g**2
    p = p - 0.01 * m / (np.sqrt(v) + 1e-3)
    before = gradients.copy()
    adam(parameters, gradients, mean, square, 0.01, 0.8, 0.9, 1e-3)
    assert_close("mean", mean, m, dtype)
    assert_close("square", square, v, dtype)
    assert_close("parameters", parameters, p, dtype)
    assert_same_bits("gradients", gradients, before)


def test_adam_keeps_a_parameter_without_gradient():
    parameters, zeros = np.ones(3), np.zeros(3)
    adam(parameters, zeros, zeros.copy(), zeros.copy(), 0.01, 0.9, 0.999, 1e-8)
    assert parameters.tolist() == [1, 1, 1]


@BOTH_DTYPES
def test_sgd_updates_the_velocity_and_the_parameters(dtype, rng):
    for step, ahead in ((sgd, False), (sgd_nesterov, True)):
        parameters, gradients, velocity = rng.standard_normal((3, 37)).astype(dtype)
        p, g, v = (a.astype(np.float64) for a in (parameters, gradients, velocity))
        v = 0.8 * v - 0.1 * g
        p = p + (0.8 * v - 0.1 * g if ahead else v)
        before = gradients.copy()
        step(parameters, gradients, velocity, 0.1, 0.8)
        assert_close("velocity", velocity, v, dtype)
        assert_close("parameters", parameters, p, dtype)
        assert_same_bits("gradients", gradients, before)


@BOTH_DTYPES
def test_rmsprop_updates_the_mean_and_the_parameters(dtype, rng):
    parameters, gradients = rng.standard_normal((2, 37)).astype(dtype)
    square = rng.uniform(0.1, 2, 37).astype(dtype)
    p, g, v = (a.astype(np.float64) for a in (parameters, gradients, square))
    v = 0.9 * v + 0.1 * g**2
    p = p - 0.01 * g / (np.sqrt(v) + 1e-3)
    before = gradients.copy()
    rmsprop(parameters, gradients, square, 0.01, 0.9, 1e-3)
    assert_close("square", square, v, dtype)
    assert_close("parameters", parameters, p, dtype)
    assert_same_bits("gradients", gradients, before)
