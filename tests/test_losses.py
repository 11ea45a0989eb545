"""Losses as the trainer calls them; their formulas are tested with the kernels."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.training.losses import CrossEntropy, SquaredError
from tolerances import assert_close, assert_same_bits


@BOTH_DTYPES
def test_cross_entropy_gives_the_sum_and_the_gradient_of_the_mean(dtype, rng):
    outputs, targets = rng.standard_normal((6, 3)).astype(dtype), rng.integers(0, 3, 6)
    weights = np.array([1.0, 1, 2, 1, 1, 2])
    rows = np.r_[0:6, 2, 5]  # a weight of 2 is the same row twice
    once, twice = np.empty_like(outputs), np.empty_like(outputs[rows])
    loss = CrossEntropy()
    total = loss(once, outputs, targets, weights)
    repeated = loss(twice, outputs[rows], targets[rows], np.ones(8))
    assert total == pytest.approx(repeated, rel=1e-13)
    assert_close("d_outputs", once[[0, 1, 3, 4]], twice[[0, 1, 3, 4]], dtype)
    assert_close("d_outputs", once[[2, 5]], 2 * twice[[2, 5]], dtype)


@BOTH_DTYPES
def test_squared_error_gives_the_sum_and_the_gradient_of_the_mean(dtype, rng):
    outputs = rng.standard_normal((6, 3)).astype(dtype)
    targets = rng.standard_normal((6, 3))
    gradient = np.empty_like(outputs)
    total = SquaredError()(gradient, outputs, targets, np.ones(6))
    error = outputs.astype(np.float64) - targets
    assert total == pytest.approx(6 * 0.5 * np.mean(error**2), rel=1e-13)
    assert_close("d_outputs", gradient, error / 18, dtype)


@BOTH_DTYPES
def test_probabilities_are_the_softmax_of_the_outputs(dtype, rng):
    outputs = rng.standard_normal((6, 3)).astype(dtype)
    before = outputs.copy()
    probabilities = CrossEntropy().activate(outputs)
    powers = np.exp(before.astype(np.float64))
    expected = powers / powers.sum(axis=1, keepdims=True)
    assert_close("probabilities", probabilities, expected, dtype)
    assert_same_bits("outputs", outputs, before)


def test_values_are_the_outputs(rng):
    outputs = rng.standard_normal((6, 3))
    assert_same_bits("values", SquaredError().activate(outputs), outputs)


def test_activations_have_the_names_of_scikit_learn():
    assert CrossEntropy().activation == "softmax"
    assert SquaredError().activation == "identity"
