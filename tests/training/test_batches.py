"""Minibatches of sample numbers."""

import numpy as np
import pytest

from fastgru.training.batches import minibatches

SIZES = pytest.mark.parametrize(
    ("n_samples", "batch_size"), [(1, 1), (10, 1), (10, 3), (10, 10), (10, 20)]
)


def random_state(seed=0):
    """Make the generator that estimators have."""
    return np.random.RandomState(seed)


@SIZES
@pytest.mark.parametrize("shuffle", [False, True])
def test_each_sample_comes_once(n_samples, batch_size, shuffle):
    state = random_state() if shuffle else None
    batches = list(minibatches(n_samples, batch_size, state))
    assert sorted(np.concatenate(batches)) == list(range(n_samples))


@SIZES
def test_only_the_last_batch_may_be_smaller(n_samples, batch_size):
    sizes = [len(b) for b in minibatches(n_samples, batch_size, random_state())]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert 1 <= sizes[-1] <= batch_size


def test_without_generator_the_order_is_kept():
    batches = [batch.tolist() for batch in minibatches(7, 3, None)]
    assert batches == [[0, 1, 2], [3, 4, 5], [6]]


def test_each_epoch_is_shuffled_anew_and_the_seed_decides():
    state, same = random_state(3), random_state(3)
    epochs = [np.concatenate(list(minibatches(50, 8, state))) for _ in range(3)]
    again = [np.concatenate(list(minibatches(50, 8, same))) for _ in range(3)]
    for epoch, other in zip(epochs, again, strict=True):
        np.testing.assert_array_equal(epoch, other)
    assert not np.array_equal(epochs[0], np.arange(50))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[1], epochs[2])
