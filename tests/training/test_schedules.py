"""The learning rate from epoch to epoch, by scikit-learn's rules where it has one."""

import numpy as np
import pytest
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

from fastgru.training.schedules import LearningRate


def rates(schedule, n_epochs, n_samples=7):
    """Give the rates of some epochs."""
    values = []
    for _ in range(n_epochs):
        values.append(schedule.value())
        schedule.finish_epoch(n_samples)
    return values


def test_constant():
    assert rates(LearningRate("constant", 0.3), 3) == [0.3] * 3


@pytest.mark.parametrize("power_t", [0.0, 0.5, 1.0])
def test_invscaling_is_that_of_mlpclassifier(power_t):
    theirs = SGDOptimizer([], 0.3, "invscaling", power_t=power_t)
    expected = [theirs.learning_rate]
    for epoch in range(1, 4):
        theirs.iteration_ends(7 * epoch)
        expected.append(theirs.learning_rate)
    ours = rates(LearningRate("invscaling", 0.3, power_t=power_t), 4)
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_exponential():
    ours = rates(LearningRate("exponential", 0.3, decay_rate=0.5), 4)
    np.testing.assert_allclose(ours, [0.3, 0.15, 0.075, 0.0375], rtol=1e-12)


def test_cosine_goes_to_0_at_max_iter_and_stays():
    ours = rates(LearningRate("cosine", 0.3, max_iter=4), 7)
    halves = 0.5 * (1 + np.cos(np.pi * np.array([0, 1, 2, 3, 4, 4, 4]) / 4))
    np.testing.assert_allclose(ours, 0.3 * halves, rtol=1e-11, atol=1e-16)
    assert ours[-1] == 0


def test_adaptive_is_that_of_mlpclassifier():
    theirs = SGDOptimizer([], 0.3, "adaptive")
    ours = LearningRate("adaptive", 0.3)
    for _ in range(20):
        stops = theirs.trigger_stopping("", verbose=False)
        assert ours.reduce() is not stops
        np.testing.assert_allclose(ours.value(), theirs.learning_rate, rtol=1e-12)
    assert stops


@pytest.mark.parametrize("kind", ["constant", "invscaling", "exponential", "cosine"])
def test_only_adaptive_is_reduced(kind):
    schedule = LearningRate(kind, 0.3)
    assert not schedule.reduce()
    assert schedule.value() == 0.3


@pytest.mark.parametrize("kind", ["invscaling", "exponential", "cosine", "adaptive"])
def test_it_goes_on_from_a_state(kind):
    first, second = (LearningRate(kind, 0.3, max_iter=10) for _ in range(2))
    rates(first, 3)
    first.reduce()
    second.set_state(first.state())
    assert rates(first, 3) == rates(second, 3)
