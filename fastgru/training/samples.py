"""What a minibatch is made of: sequences, a target row for each or each step, weights.

The trainer asks a set of samples for minibatches and knows nothing of where targets
come from: ``Samples`` was given them, ``NextSteps`` finds them in the sequences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fastgru.layers.network import States
from fastgru.sequences import Sequences
from fastgru.training.batches import minibatches


class Batch(NamedTuple):
    """One minibatch; targets and weights have a row per row of the outputs."""

    values: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # float64
    numbers: np.ndarray  # tell the sequences of an epoch apart
    states: States | None = None  # first ones, which become the last ones


class TrainingSet(ABC):
    """What the trainer takes minibatches from."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @abstractmethod
    def minibatches(
        self, batch_size: int, random_state: np.random.RandomState | None
    ) -> Iterator[Batch]:
        """Yield the minibatches of an epoch.

        random_state : shuffles the samples; None keeps their order
        """

    @abstractmethod
    def arrays(self) -> Iterator[np.ndarray]:
        """Yield all that training depends on."""


class _Numbered(TrainingSet):
    """Sequences that are taken by their numbers."""

    sequences: Sequences
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.sequences)

    @abstractmethod
    def take(self, numbers: np.ndarray) -> Batch:
        """Copy the samples of these numbers."""

    def minibatches(
        self, batch_size: int, random_state: np.random.RandomState | None
    ) -> Iterator[Batch]:
        """Yield the minibatches of an epoch."""
        for numbers in minibatches(len(self), batch_size, random_state):
            yield self.take(numbers)

    def arrays(self) -> Iterator[np.ndarray]:
        """Yield all that training depends on."""
        yield self.sequences.lengths
        for block in self.sequences.blocks():
            values, _ = self.sequences.take(block)
            yield values
        yield self.weights


class Samples(_Numbered):
    """Sequences with given targets.

    Parameters
    ----------
    sequences : Sequences
    targets : ndarray of shape (rows, ...)
        One row per sequence, or with ``per_step`` one per step, those of the first
        sequence first.
    weights : ndarray of shape (rows,), float64
        Weight of each row.
    per_step : bool, default=False
        Whether rows belong to steps.
    """

    def __init__(
        self,
        sequences: Sequences,
        targets: np.ndarray,
        weights: np.ndarray,
        *,
        per_step: bool = False,
    ) -> None:
        self.sequences = sequences
        self.targets = targets
        self.weights = weights
        self.per_step = per_step

    def arrays(self) -> Iterator[np.ndarray]:
        """Yield all that training depends on."""
        yield from super().arrays()
        yield self.targets

    def take(self, numbers: np.ndarray) -> Batch:
        """Copy the samples of these numbers."""
        rows = self._rows(numbers)
        values, lengths = self.sequences.take(numbers)
        targets, weights = self.targets[rows], self.weights[rows]
        return Batch(values, lengths, targets, weights, numbers)

    def subset(self, numbers: np.ndarray) -> Samples:
        """Pick samples; their sequences are not copied."""
        rows = self._rows(numbers)
        return Samples(
            self.sequences.subset(numbers),
            self.targets[rows],
            self.weights[rows],
            per_step=self.per_step,
        )

    def _rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return where the targets of these samples stand."""
        if not self.per_step:
            return numbers
        return rows_of_steps(self.sequences.lengths, numbers)


class NextSteps(_Numbered):
    """Sequences whose targets are their own next steps; the last step has none.

    Parameters
    ----------
    sequences : Sequences
    weights : ndarray of shape (n_samples,), float64
        Weight of each sequence.
    """

    per_step = True

    def __init__(self, sequences: Sequences, weights: np.ndarray) -> None:
        self.sequences = sequences
        self.weights = weights

    def take(self, numbers: np.ndarray) -> Batch:
        """Copy the samples of these numbers."""
        values, lengths = self.sequences.take(numbers)
        weights = np.repeat(self.weights[numbers], lengths)
        weights[np.cumsum(lengths) - 1] = 0.0  # no sequence is empty
        return Batch(values, lengths, np.roll(values, -1, axis=0), weights, numbers)

    def subset(self, numbers: np.ndarray) -> NextSteps:
        """Pick samples; their sequences are not copied."""
        return NextSteps(self.sequences.subset(numbers), self.weights[numbers])


def rows_of_steps(lengths: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return where the steps of some sequences stand among the steps of all."""
    ends = np.cumsum(lengths)
    picked = lengths[numbers]
    first = ends[numbers] - picked
    before = np.cumsum(picked) - picked
    return np.arange(picked.sum()) + np.repeat(first - before, picked)
