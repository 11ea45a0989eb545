"""Adam against PyTorch's and scikit-learn's, and the limit of the gradient's norm."""

import math

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.training.optimizers import Adam, clip_norm
from tolerances import assert_close, assert_same_bits

RATE, BETA_1, BETA_2 = 0.01, 0.8, 0.95
STEPS = 20


def draw_gradients(rng, n=37):
    """Draw one gradient per step, of very different sizes."""
    return [rng.standard_normal(n) * 10.0 ** rng.uniform(-3, 3) for _ in range(STEPS)]


# -- Adam --


@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
@BOTH_DTYPES
def test_adam_takes_the_steps_of_torch(dtype, epsilon, rng):
    # PyTorch and the paper's algorithm 1 add epsilon to the root of the mean square
    # after its bias correction, scikit-learn and the end of the paper's section 2
    # before it: theirs with epsilon / sqrt(1 - beta_2**t) is ours with epsilon.
    torch = pytest.importorskip("torch")
    start = rng.standard_normal(37)
    parameters = start.astype(dtype)
    twin = torch.tensor(start, dtype=torch.float64)
    theirs = torch.optim.Adam([twin], lr=RATE, betas=(BETA_1, BETA_2))
    ours = Adam(RATE, BETA_1, BETA_2, epsilon)
    for step, gradient in enumerate(draw_gradients(rng), start=1):
        theirs.param_groups[0]["eps"] = epsilon / math.sqrt(1 - BETA_2**step)
        twin.grad = torch.tensor(gradient)
        theirs.step()
        ours.step(parameters, gradient.astype(dtype))
        assert_close(f"parameters after {step}", parameters, twin.numpy(), dtype)


def test_adam_takes_the_steps_of_scikit_learn(rng):
    module = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    parameters = rng.standard_normal(37)
    twin = parameters.copy()
    theirs = module.AdamOptimizer([twin], RATE, BETA_1, BETA_2, 1e-2)
    ours = Adam(RATE, BETA_1, BETA_2, 1e-2)
    for gradient in draw_gradients(rng):
        theirs.update_params([twin], [gradient])
        ours.step(parameters, gradient)
        assert_close("parameters", parameters, twin, np.float64)


def test_adams_defaults_are_those_of_scikit_learn():
    adam = Adam()
    values = (adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon)
    assert values == (0.001, 0.9, 0.999, 1e-8)


@BOTH_DTYPES
def test_adam_finds_a_minimum(dtype):
    parameters = np.array([3.0, -2.0], dtype)
    adam = Adam(0.1)
    for _ in range(500):
        adam.step(parameters, parameters - np.array([1, 2], dtype))
    np.testing.assert_allclose(parameters, [1, 2], atol=1e-3)


# -- the limit of the norm --


@BOTH_DTYPES
def test_a_long_gradient_is_scaled_down(dtype, rng):
    gradients = rng.standard_normal(37).astype(dtype)
    before = gradients.astype(np.float64)
    norm = clip_norm(gradients, 0.5)
    assert norm == pytest.approx(np.linalg.norm(before), rel=1e-12)
    expected = 0.5 * before / np.linalg.norm(before)
    assert_close("gradients", gradients, expected, dtype)


@pytest.mark.parametrize("max_norm", [None, 1e3])
def test_other_gradients_are_left_as_they_are(max_norm, rng):
    gradients = rng.standard_normal(37)
    before = gradients.copy()
    assert clip_norm(gradients, max_norm) == pytest.approx(np.linalg.norm(before))
    assert_same_bits("gradients", gradients, before)


def test_a_zero_gradient_stays_zero():
    gradients = np.zeros(5)
    assert clip_norm(gradients, 1.0) == 0
    assert not gradients.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_norm_shows_what_is_not_finite(bad):
    gradients = np.array([1.0, bad, 2.0], np.float32)
    assert not math.isfinite(clip_norm(gradients, 1.0))
    assert gradients[0] == 1
