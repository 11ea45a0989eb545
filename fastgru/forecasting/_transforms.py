"""Values of a series to levels and back.

Levels are what the network is trained on: of about unit size, without what repeats
itself, and in a "difference" kind without the steady drift.  A transform is fitted once
to the values of a series and then holds for all that follows, so that a forecast
depends on the steps before it alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgru.forecasting._seasons import classical_pattern, mean_in_order, stl_pattern
from fastgru.kernels.losses import exponential
from fastgru.kernels.values import logarithm

KINDS = ("standardize", "difference", "seasonal", "stl", None)
# Those that take the season out, and those whose network reads and predicts changes.
SEASONAL = ("seasonal", "stl")
OF_CHANGES = ("difference", "seasonal", "stl")


@dataclass(frozen=True)
class Transform:
    """Level = (value - season - offset - drift * step) / scale, perhaps of logarithms.

    Parameters
    ----------
    log : bool
        Whether logarithms of the values are transformed.
    season : ndarray of shape (period, n_targets)
        What repeats itself, from the first step on; a row of zeros for nothing.
    offset, drift, scale : ndarray of shape (n_targets,)
    """

    log: bool
    season: np.ndarray
    offset: np.ndarray
    drift: np.ndarray
    scale: np.ndarray

    @classmethod
    def fit(
        cls, values: np.ndarray, kind: str | None, *, log: bool, period: int | None
    ) -> Transform:
        """Return the transform of a series.

        Parameters
        ----------
        values : ndarray of shape (n_steps, n_targets), float64
        kind : one of ``KINDS``
        log : bool
        period : int or None
            For the seasonal kinds; at least two periods of values.
        """
        n_steps, n_targets = values.shape
        nothing, ones = np.zeros(n_targets), np.ones(n_targets)
        season = np.zeros((1, n_targets))
        if kind is None:
            return cls(log, season, nothing, nothing, ones)
        values = logarithms(values) if log else values
        if kind in SEASONAL:
            assert period is not None  # as the estimator checked
            find = stl_pattern if kind == "stl" else classical_pattern
            season = np.stack([find(column, period) for column in values.T], axis=1)
            values = values - season[np.arange(n_steps) % period]
        changes = np.diff(values, axis=0) if kind in OF_CHANGES else values
        means = np.array([mean_in_order(column) for column in changes.T])
        scale = np.array([_deviation(column) for column in (changes - means).T])
        scale = np.maximum(scale, smallest_scale(values))
        if kind in OF_CHANGES:
            return cls(log, season, values[0].copy(), means, scale)
        return cls(log, season, means, nothing, scale)

    def levels(self, values: np.ndarray, begin: int) -> np.ndarray:
        """Return the levels of values from a step on; (n_steps, n_targets)."""
        values = logarithms(values) if self.log else values
        return (values - self._steady(begin, len(values))) / self.scale

    def values(self, levels: np.ndarray, begin: int) -> np.ndarray:
        """Return the values of levels from a step on; (n_steps, n_targets)."""
        values = levels * self.scale + self._steady(begin, len(levels))
        if not self.log:
            return values
        result = np.empty(values.shape)
        exponential(result.reshape(-1), np.ascontiguousarray(values).reshape(-1))
        return result

    def _steady(self, begin: int, n_steps: int) -> np.ndarray:
        """Return what is known of steps without a network."""
        steps = begin + np.arange(n_steps)
        season = self.season[steps % len(self.season)]
        return season + self.offset + steps[:, np.newaxis] * self.drift


def logarithms(values: np.ndarray) -> np.ndarray:
    """Return natural logarithms, to the same bits on every CPU."""
    result = np.empty(values.shape)
    logarithm(result.reshape(-1), np.ascontiguousarray(values).reshape(-1))
    return result


def smallest_scale(values: np.ndarray) -> np.ndarray:
    """Return what rounding may make of constant columns, but no zeros.

    A constant divided by it stays near zero, and a forecast near the constant.
    """
    largest = np.abs(values).max(axis=0)
    return 1e-12 * np.where(largest > 0, largest, 1.0)


def _deviation(centred: np.ndarray) -> float:
    return float(np.sqrt(mean_in_order(centred * centred)))
