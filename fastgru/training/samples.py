"""What a minibatch is made of: sequences, a target row for each or each step, weights.

The trainer asks a set of samples for minibatches and knows nothing of where targets
come from: ``Samples`` was given them, ``NextSteps`` finds them in the sequences.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgru.sequences import Sequences


class Batch(NamedTuple):
    """One minibatch; targets and weights have a row per row of the outputs."""

    values: np.ndarray
    lengths: np.ndarray
    targets: np.ndarray
    weights: np.ndarray  # float64


class Samples:
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

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, numbers: np.ndarray) -> Batch:
        """Copy the samples of these numbers."""
        rows = self._rows(numbers)
        values, lengths = self.sequences.take(numbers)
        return Batch(values, lengths, self.targets[rows], self.weights[rows])

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


class NextSteps:
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

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, numbers: np.ndarray) -> Batch:
        """Copy the samples of these numbers."""
        values, lengths = self.sequences.take(numbers)
        weights = np.repeat(self.weights[numbers], lengths)
        weights[np.cumsum(lengths) - 1] = 0.0  # no sequence is empty
        return Batch(values, lengths, np.roll(values, -1, axis=0), weights)

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
