"""The part of a series that repeats itself after every period."""

from __future__ import annotations

import numpy as np

from fastgru.kernels.losses import sum_in_order


def classical_pattern(values: np.ndarray, period: int) -> np.ndarray:
    """Return the season of a period by classical decomposition.

    Each step less the mean of the period around it, averaged over all steps of its
    phase, less the mean of these averages.

    Parameters
    ----------
    values : ndarray of shape (n_steps,), float64
        At least two periods.
    period : int
        At least 2.

    Returns
    -------
    ndarray of shape (period,), float64
        The first belongs to the first step.
    """
    half = period // 2
    # An even period has no middle: its first and last step count half.
    weights = np.ones(2 * half + 1)
    if period % 2 == 0:
        weights[[0, -1]] = 0.5
    windows = np.lib.stride_tricks.sliding_window_view(values, len(weights))
    trend = np.zeros(len(windows))
    for weight, column in zip(weights, windows.T, strict=True):
        trend += weight * column
    rest = values[half : half + len(trend)] - trend / period
    phases = (half + np.arange(len(rest))) % period
    means = np.array([mean_in_order(rest[phases == k]) for k in range(period)])
    return means - mean_in_order(means)


def stl_pattern(values: np.ndarray, period: int) -> np.ndarray:
    """Return the season of the last period by statsmodels' STL, phase by phase.

    Parameters, returns
        As for ``classical_pattern``.

    Raises
    ------
    ImportError
        If statsmodels is not installed.

    References
    ----------
    .. [1] Cleveland, Cleveland, McRae and Terpenning (1990), "STL: a seasonal-trend
       decomposition procedure based on loess", Journal of Official Statistics 6.
    """
    try:
        from statsmodels.tsa.seasonal import STL
    except ImportError as error:
        raise ImportError(
            "transform='stl' needs statsmodels: pip install 'fastgru[forecast]'; "
            "transform='seasonal' does without"
        ) from error
    season = STL(values, period=period, robust=True).fit().seasonal
    last = season[-period:]
    return np.roll(last, len(values) % period)


def mean_in_order(values: np.ndarray) -> float:
    """Return the mean, added up first to last: the same bits on every CPU."""
    return sum_in_order(np.ascontiguousarray(values)) / values.size
