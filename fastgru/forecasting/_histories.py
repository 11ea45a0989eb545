"""A series in levels, and what the network reads of each of its steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastgru.forecasting._seasons import mean_in_order
from fastgru.forecasting._series import Series
from fastgru.forecasting._transforms import Transform


@dataclass(frozen=True)
class ExogScale:
    """Brings known features to mean 0 and deviation 1.

    Parameters
    ----------
    mean, scale : ndarray of shape (n_exog,)
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(cls, series: list[Series]) -> ExogScale:
        """Find mean and deviation of each feature over all steps of all series."""
        columns = np.concatenate([one.exog for one in series]).T
        mean = np.array([mean_in_order(column) for column in columns])
        centred = [column - m for column, m in zip(columns, mean, strict=True)]
        scale = np.sqrt([mean_in_order(column * column) for column in centred])
        largest = np.abs(columns).max(axis=1, initial=0.0)
        return cls(mean, np.where(scale > 1e-12 * largest, scale, 1.0))

    def __call__(self, exog: np.ndarray) -> np.ndarray:
        """Return scaled features."""
        return (exog - self.mean) / self.scale


@dataclass(frozen=True)
class History:
    """What is known of one series.

    Parameters
    ----------
    series : Series
    transform : Transform
    of_changes : bool
        Whether the network reads and predicts changes of the levels.
    levels, inputs : ndarray of shape (n_steps, n_targets), float64
        Inputs are the levels, or their changes, 0 at the first step.
    exog : ndarray of shape (at least n_steps, n_exog), float64
        Scaled; may go on where the values end.
    """

    series: Series
    transform: Transform
    of_changes: bool
    levels: np.ndarray
    inputs: np.ndarray
    exog: np.ndarray

    @classmethod
    def of(
        cls,
        series: Series,
        transform: Transform,
        exog_scale: ExogScale,
        *,
        of_changes: bool,
    ) -> History:
        """Bring a series to levels."""
        levels = transform.levels(series.values, 0)
        inputs = levels
        if of_changes:
            inputs = np.diff(levels, axis=0, prepend=levels[:1])
        exog = exog_scale(series.exog)
        return cls(series, transform, of_changes, levels, inputs, exog)

    def __len__(self) -> int:
        return len(self.series)

    def before(self, n_steps: int) -> History:
        """Return the history of the first steps."""
        return replace(
            self,
            series=self.series.before(n_steps),
            levels=self.levels[:n_steps],
            inputs=self.inputs[:n_steps],
            exog=self.exog[:n_steps],
        )

    def followed_by(self, new: Series, exog_scale: ExogScale) -> History:
        """Return the history with some steps more; the old ones stay as they are."""
        levels = self.transform.levels(new.values, len(self))
        inputs = levels
        if self.of_changes:
            inputs = np.diff(levels, axis=0, prepend=self.levels[-1:])
        return replace(
            self,
            series=self.series.followed_by(new),
            levels=np.concatenate([self.levels, levels]),
            inputs=np.concatenate([self.inputs, inputs]),
            exog=np.concatenate([self.exog[: len(self)], exog_scale(new.exog)]),
        )

    def with_future(self, exog: np.ndarray) -> History:
        """Return the history with scaled features of steps to come."""
        return replace(self, exog=np.concatenate([self.exog[: len(self)], exog]))

    def read(self, begin: int, end: int, lead: int) -> np.ndarray:
        """Return what the network reads of some steps.

        Parameters
        ----------
        begin, end : int
        lead : int
            Of how many following steps each step shows the features.

        Returns
        -------
        ndarray of shape (end - begin, n_targets + lead * n_exog), float64
        """
        steps = np.arange(begin, end)
        return with_features(self.inputs[begin:end], self.exog, steps, lead)


def with_features(
    inputs: np.ndarray, exog: np.ndarray, rows: np.ndarray, lead: int
) -> np.ndarray:
    """Return inputs of steps, beside each the features of the steps after it.

    rows : ndarray of shape (n,), where in ``exog`` the steps stand
    """
    if exog.shape[1] == 0:
        return inputs
    after = exog[rows[:, np.newaxis] + np.arange(1, lead + 1)]
    return np.concatenate([inputs, after.reshape(len(rows), -1)], axis=1)
