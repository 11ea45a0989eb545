"""The elastic net: value and gradient by definition, weights only."""

import numpy as np
import pytest

from fastgru import GRU, Dense, Network, Pooling
from fastgru.training.penalties import ElasticNet
from tolerances import assert_close


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.25, 1.0])
def test_value_and_gradient(l1_ratio, decoupled):
    common = {"dtype": np.float64, "random_state": np.random.RandomState(0)}
    network = Network([GRU(2, 5, **common), Pooling("last"), Dense(5, 3, **common)])
    parameters = network._parameters
    parameters["2.weight"][0, 0] = 0.0  # has no sign
    gradients = parameters.like()
    gradients.flat[...] = 1.0
    penalty = ElasticNet(0.3, l1_ratio, decoupled=decoupled)
    gained = penalty.add(parameters, gradients, 4.0)
    square = 0.0 if decoupled else 1.0 - l1_ratio
    expected = 0.0
    for name, array in parameters.copy_out().items():
        slope = np.zeros_like(array)
        if "weight" in name:
            slope = 0.3 * (l1_ratio * np.sign(array) + square * array) / 4
            expected += 0.3 * l1_ratio * np.abs(array).sum()
            expected += 0.3 * square / 2 * np.square(array).sum()
        assert_close(name, gradients[name], 1.0 + slope, np.float64)
    assert gained == pytest.approx(expected, rel=1e-12)


def test_no_strength_changes_nothing():
    network = Network([GRU(2, 5)])
    gradients = network._parameters.like()
    assert ElasticNet(0.0, 0.5).add(network._parameters, gradients, 4.0) == 0.0
    assert not gradients.flat.any()
