"""Minibatches of sample numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Samples of a minibatch where nobody asks for another number, as in MLPClassifier.
AUTO_BATCH_SIZE = 200


def minibatches(
    n_samples: int, batch_size: int, random_state: np.random.RandomState | None
) -> Iterator[np.ndarray]:
    """Yield the sample numbers of each minibatch of an epoch; the last may be smaller.

    Parameters
    ----------
    n_samples, batch_size : int
    random_state : RandomState or None
        Shuffles the samples; None keeps their order.
    """
    if random_state is None:
        order = np.arange(n_samples)
    else:
        order = random_state.permutation(n_samples)
    for begin in range(0, n_samples, batch_size):
        yield order[begin : begin + batch_size]
