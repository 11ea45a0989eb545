"""The error of a forecast in units of a simple one's."""

from __future__ import annotations

import numpy as np

from fastgru.forecasting._seasons import mean_in_order


def seasonal_naive(values: np.ndarray, n_steps: int, period: int) -> np.ndarray:
    """Repeat the last period.

    Parameters
    ----------
    values : ndarray of shape (at least period, ...)
    n_steps, period : int

    Returns
    -------
    ndarray of shape (n_steps, ...)
    """
    return values[len(values) - period :][np.arange(n_steps) % period]


def naive_error(values: np.ndarray, period: int) -> np.ndarray:
    """Return the mean absolute change over a period of each variable.

    values : (n_steps, n_targets), of more steps than the period

    References
    ----------
    .. [1] Hyndman and Koehler (2006), "Another look at measures of forecast accuracy",
       International Journal of Forecasting 22, section 3.
    """
    moves = np.abs(values[period:] - values[:-period])
    return np.array([mean_in_order(column) for column in moves.T])
