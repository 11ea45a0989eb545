"""Losses of a batch against their textbook formulas and central differences."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.kernels.losses import (
    half_squared_error,
    softmax,
    softmax_cross_entropy,
    sum_in_order,
)
from gradcheck import assert_gradients, central_differences
from tolerances import assert_close


def plain_softmax(logits):
    """Compute each row's softmax as it is defined."""
    powers = np.exp(logits.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(logits, classes, weights, total):
    """Run the kernel; its loss and gradient."""
    gradient = np.full_like(logits, np.nan)
    loss = softmax_cross_entropy(gradient, logits, classes, weights, total)
    return loss, gradient


def squared_error(values, targets, weights, total):
    """Run the kernel; its loss and gradient."""
    gradient = np.full_like(values, np.nan)
    loss = half_squared_error(gradient, values, targets, weights, total)
    return loss, gradient


@pytest.fixture
def classification(rng):
    """Give logits, class numbers and weights of 7 rows and 5 classes."""
    logits = 3 * rng.standard_normal((7, 5))
    return logits, rng.integers(0, 5, 7), rng.uniform(0.5, 2, 7)


@pytest.fixture
def regression(rng):
    """Give values, targets and weights of 7 rows and 3 outputs."""
    values, targets = rng.standard_normal((2, 7, 3))
    return values, targets, rng.uniform(0.5, 2, 7)


@BOTH_DTYPES
def test_softmax(dtype, classification):
    logits = classification[0].astype(dtype)
    probabilities = np.full_like(logits, np.nan)
    softmax(probabilities, logits)
    assert_close("softmax", probabilities, plain_softmax(logits), dtype)
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=tolerance)


@BOTH_DTYPES
def test_softmax_of_huge_logits_does_not_overflow(dtype):
    logits = np.array([[0, 1e30, -1e30], [-1e30, -1e30, -1e30], [0, 1e4, 1e4]], dtype)
    probabilities = np.empty_like(logits)
    softmax(probabilities, logits)
    expected = [[0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0.5, 0.5]]
    np.testing.assert_array_equal(probabilities, np.array(expected, dtype))


@BOTH_DTYPES
def test_cross_entropy_is_the_negative_log_likelihood(dtype, classification):
    logits, classes, weights = classification
    logits = logits.astype(dtype)
    own = plain_softmax(logits)[np.arange(7), classes]
    loss, _ = cross_entropy(logits, classes, weights, weights.sum())
    assert loss == pytest.approx(-np.sum(weights * np.log(own)), rel=1e-13)


@BOTH_DTYPES
def test_cross_entropy_gradient_is_softmax_minus_one_hot(dtype, classification):
    logits, classes, weights = classification
    logits = logits.astype(dtype)
    expected = plain_softmax(logits) - np.eye(5)[classes]
    expected *= weights[:, np.newaxis] / weights.sum()
    _, gradient = cross_entropy(logits, classes, weights, weights.sum())
    assert_close("d_logits", gradient, expected, dtype)


def test_cross_entropy_gradient_agrees_with_central_differences(classification):
    logits, classes, weights = classification
    total = weights.sum()
    numeric = central_differences(
        lambda t: cross_entropy(t["logits"], classes, weights, total)[0] / total,
        {"logits": logits},
    )
    _, gradient = cross_entropy(logits, classes, weights, total)
    assert_gradients({"logits": gradient}, numeric)


@BOTH_DTYPES
def test_cross_entropy_of_certain_rows(dtype):
    # Right and certain costs nothing; wrong and certain costs the distance.
    logits, ones = np.array([[0.0, 1e4]], dtype), np.ones(1)
    loss, gradient = cross_entropy(logits, np.array([1]), ones, 1.0)
    assert loss == 0
    assert gradient.tolist() == [[0, 0]]
    loss, gradient = cross_entropy(logits, np.array([0]), ones, 1.0)
    assert loss == 1e4
    assert gradient.tolist() == [[-1, 1]]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_cross_entropy_of_logits_that_are_not_finite(place, bad):
    # Training stops where a loss or a gradient is not finite, so both must show it.
    logits = np.zeros((1, 3))
    logits[0, place] = bad
    loss, gradient = cross_entropy(logits, np.array([0]), np.ones(1), 1.0)
    assert not np.isfinite(loss)
    assert not np.isfinite(gradient).all()


@BOTH_DTYPES
def test_half_squared_error(dtype, regression):
    values, targets, weights = regression
    values = values.astype(dtype)
    error = values.astype(np.float64) - targets
    loss, gradient = squared_error(values, targets, weights, weights.sum())
    expected = np.sum(weights * 0.5 * np.mean(error**2, axis=1))
    assert loss == pytest.approx(expected, rel=1e-13)
    expected = error * weights[:, np.newaxis] / (3 * weights.sum())
    assert_close("d_values", gradient, expected, dtype)


def test_squared_error_gradient_agrees_with_central_differences(regression):
    values, targets, weights = regression
    total = weights.sum()
    numeric = central_differences(
        lambda t: squared_error(t["values"], targets, weights, total)[0] / total,
        {"values": values},
    )
    _, gradient = squared_error(values, targets, weights, total)
    assert_gradients({"values": gradient}, numeric)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e200])
def test_squared_error_of_values_that_are_not_finite(bad):
    loss, _ = squared_error(np.array([[bad]]), np.zeros((1, 1)), np.ones(1), 1.0)
    assert not np.isfinite(loss)


def test_sum_in_order_adds_first_to_last(rng):
    for _ in range(20):
        values = rng.standard_normal(50) * 10.0 ** rng.uniform(-3, 3, 50)
        total = 0.0
        for value in values.tolist():
            total += value
        assert sum_in_order(values) == total
