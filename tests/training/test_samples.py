"""Minibatches with the targets of sequences, of steps, or of the steps to come."""

import numpy as np
import pytest

from fastgru.sequences import check_sequences
from fastgru.training.samples import NextSteps, Samples, rows_of_steps

LENGTHS = [3, 1, 4, 2]
X = [
    np.arange(10.0 * n, 10.0 * n + length)[:, np.newaxis]
    for n, length in enumerate(LENGTHS)
]
SEQUENCES = check_sequences(X, dtype="float32", estimator_name="Test")


def test_targets_of_sequences():
    samples = Samples(SEQUENCES, np.array([5, 6, 7, 8]), np.array([0.1, 0.2, 0.3, 0.4]))
    batch = samples.take(np.array([3, 0]))
    assert batch.values.ravel().tolist() == [30, 31, 0, 1, 2]
    assert batch.lengths.tolist() == [2, 3]
    assert batch.targets.tolist() == [8, 5]
    assert batch.weights.tolist() == [0.4, 0.1]


def test_targets_of_steps():
    rows = np.concatenate(X)[:, 0]
    samples = Samples(SEQUENCES, rows, rows / 100, per_step=True)
    for picked in ([3, 0], [1], [0, 1, 2, 3], [2, 2]):
        batch = samples.take(np.array(picked))
        assert batch.targets.tolist() == batch.values.ravel().tolist()
        assert batch.weights.tolist() == (batch.targets / 100).tolist()
    part = samples.subset(np.array([2, 1]))
    batch = part.take(np.array([1, 0]))
    assert batch.values.ravel().tolist() == [10, 20, 21, 22, 23]
    assert batch.targets.tolist() == [10, 20, 21, 22, 23]


def test_the_next_step_is_the_target():
    samples = NextSteps(SEQUENCES, np.array([1.0, 2.0, 3.0, 4.0]))
    batch = samples.subset(np.array([2, 0, 1])).take(np.array([1, 2, 0]))
    assert batch.values.ravel().tolist() == [0, 1, 2, 10, 20, 21, 22, 23]
    assert batch.weights.tolist() == [1, 1, 0, 0, 3, 3, 3, 0]
    counted = batch.weights > 0
    assert batch.targets[counted].ravel().tolist() == [1, 2, 21, 22, 23]


@pytest.mark.parametrize("picked", [[], [1], [3, 0, 3]])
def test_rows_of_steps(picked):
    lengths = np.array(LENGTHS)
    starts = np.cumsum(lengths) - lengths
    expected = [s for n in picked for s in range(starts[n], starts[n] + lengths[n])]
    assert rows_of_steps(lengths, np.array(picked, int)).tolist() == expected
