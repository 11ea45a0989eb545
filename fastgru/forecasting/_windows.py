"""Minibatches of windows of all series together.

A window is a number until its minibatch is copied, so that a training set takes the
memory of its series and of one number for each of their steps.  A window ends at a
step, its origin, whose forecast the targets are; it begins ``lags`` steps before, or
where the series begins, if that is too short for any longer one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fastgru.forecasting._histories import History, with_features
from fastgru.training.batches import minibatches
from fastgru.training.samples import Batch, TrainingSet

if TYPE_CHECKING:
    from fastgru.forecasting._strategies import Strategy


class Windows(TrainingSet):
    """Windows of some series, a sample each.

    Parameters
    ----------
    histories : list of History
    strategy : Strategy
        Knows the sizes of a window, and what its targets are.
    dtype : dtype
        Of the values of a minibatch.
    firsts : ndarray of shape (n_series,), int, default=None
        The first origin of each series; None means the first with a window of ``lags``
        steps, or the last possible one where the series is too short for that.

    Attributes
    ----------
    inputs, levels : ndarray of shape (steps of all series, n_targets), float64
    ends : ndarray of shape (n_series,), int
        Windows of the series up to each one.
    """

    def __init__(
        self,
        histories: list[History],
        strategy: Strategy,
        dtype: np.dtype,
        firsts: np.ndarray | None = None,
    ) -> None:
        sizes = np.array([len(history) for history in histories])
        reach = strategy.reach
        if firsts is None:
            firsts = np.minimum(strategy.lags, sizes - reach) - 1
        self._strategy = strategy
        self._dtype = dtype
        self._firsts = firsts
        self._begins = np.cumsum(sizes) - sizes  # of the series in the arrays below
        self.ends = np.cumsum(np.maximum(sizes - reach - firsts, 0))  # of its windows
        self.inputs = np.concatenate([history.inputs for history in histories])
        self.levels = np.concatenate([history.levels for history in histories])
        exogs = [history.exog[: len(history)] for history in histories]
        self._exog = np.concatenate(exogs)

    def __len__(self) -> int:
        return int(self.ends[-1])

    def arrays(self) -> Iterator[np.ndarray]:
        """Yield all that training depends on."""
        yield from (self.inputs, self.levels, self._exog, self._begins, self._firsts)

    def minibatches(
        self, batch_size: int, random_state: np.random.RandomState | None
    ) -> Iterator[Batch]:
        """Yield the minibatches of an epoch."""
        for numbers in minibatches(len(self), batch_size, random_state):
            yield self.take(numbers)

    def take(self, numbers: np.ndarray) -> Batch:
        """Copy windows and their targets."""
        values, lengths, rows = self.read(numbers)
        targets = self._strategy.targets(self, rows, lengths)
        return Batch(values, lengths, targets, np.ones(len(targets)), numbers)

    def read(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the steps of windows one after the other, their lengths and origins.

        Origins are rows of ``inputs`` and ``levels``.
        """
        series, origins = self.places(numbers)
        lengths = np.minimum(self._strategy.lags, origins + 1)
        rows = self._begins[series] + origins
        steps = rows_of_windows(rows, lengths)
        values = with_features(
            self.inputs[steps], self._exog, steps, self._strategy.lead
        )
        return values.astype(self._dtype), lengths, rows

    def places(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the series of windows, and the steps of their origins."""
        series = np.searchsorted(self.ends, numbers, side="right")
        before = np.where(series > 0, self.ends[series - 1], 0)
        return series, self._firsts[series] + numbers - before


def rows_of_windows(rows: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the rows of windows that end at some rows, one window after the other."""
    longest = lengths.max()
    if (lengths == longest).all():
        steps = rows[:, np.newaxis] + np.arange(1 - longest, 1)
        return steps.reshape(-1)
    ends = np.cumsum(lengths)
    return np.arange(ends[-1]) + np.repeat(rows + 1 - ends, lengths)
