"""What has to be learned over a hundred steps is learned."""

import numpy as np
import pytest

from fastgru import GRURegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def draw_adding(n, n_steps, seed):
    """Draw the adding problem: the sum of the two marked of many numbers.

    Hochreiter and Schmidhuber (1997), "Long short-term memory", section 5.4.
    """
    rng = np.random.default_rng(seed)
    X = np.zeros((n, n_steps, 2), np.float32)
    X[:, :, 0] = rng.uniform(0, 1, (n, n_steps))
    rows, half = np.arange(n), n_steps // 2
    first, second = rng.integers(0, half, n), rng.integers(half, n_steps, n)
    X[rows, first, 1] = X[rows, second, 1] = 1
    return X, X[rows, first, 0] + X[rows, second, 0]


def test_the_adding_problem():
    X, y = draw_adding(2000, 100, seed=0)
    X_new, y_new = draw_adding(500, 100, seed=1)
    errors = []

    def is_learned(epoch):
        outputs = epoch.network.outputs(X_new.reshape(-1, 2), np.full(500, 100), 1)
        errors.append(np.mean((outputs[:, 0] - y_new) ** 2))
        return errors[-1] < 1e-3

    model = GRURegressor(
        32,
        alpha=0.0,
        batch_size=20,
        learning_rate="cosine",
        learning_rate_init=0.005,
        max_iter=40,
        n_iter_no_change=np.inf,
        random_state=0,
        callbacks=is_learned,
        n_jobs=1,  # steps too small to share beside other tests
    ).fit(X, y)
    # Whoever forgets the first number is off by 1/12 at best, who forgets both by 1/6.
    assert errors[0] > 0.1
    assert np.mean((model.predict(X_new) - y_new) ** 2) < 1e-3
