"""Small data sets that a GRU learns in a moment, and sequences in other forms."""

import numpy as np

from fastgru import GRUClassifier, GRURegressor, GRUTransformer

# What learns the problems below: many small steps, and no end before them.
LEARNING = {
    "batch_size": 20,
    "learning_rate_init": 0.02,
    "max_iter": 100,
    "tol": 0.0,
    "n_iter_no_change": np.inf,
    "random_state": 0,
}


def classifier(hidden_size=16, **settings):
    """Make a classifier that learns quickly."""
    return GRUClassifier(hidden_size, **LEARNING | settings)


def regressor(hidden_size=16, **settings):
    """Make a regressor that learns quickly."""
    return GRURegressor(hidden_size, **LEARNING | settings)


def transformer(hidden_size=16, **settings):
    """Make a transformer that learns quickly from a target."""
    return GRUTransformer(hidden_size, **LEARNING | settings)


def draw_sequences(n=60, n_features=2, longest=12, seed=0):
    """Draw sequences of unequal lengths, as a list."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, longest + 1, n)
    return [rng.uniform(-1, 1, (length, n_features)) for length in lengths]


def draw_classes(n=60, seed=0):
    """Draw sequences whose first feature ends high in class 1 and low in class 0."""
    X = draw_sequences(n, seed=seed)
    y = np.random.default_rng(seed).permutation(np.arange(n) % 2)
    for x, label in zip(X, y, strict=True):
        x[-3:, 0] += 2 * label - 1
    return X, y


def last_sums(X):
    """Sum over the last three steps of the first feature."""
    return np.array([x[-3:, 0].sum() for x in X])


def pad(members, n_more=0, dtype=np.float64):
    """Make the NaN-padded 3-D array of a list."""
    n_timesteps = max(map(len, members)) + n_more
    X = np.full((len(members), n_timesteps, members[0].shape[1]), np.nan, dtype)
    for row, member in zip(X, members, strict=True):
        row[: len(member)] = member
    return X
