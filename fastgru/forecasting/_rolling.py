"""Forecasts from one origin after the other, while a series comes in."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgru.forecasting._indexes import next_index
from fastgru.forecasting._model import Memory, Model
from fastgru.forecasting._scores import seasonal_naive
from fastgru.forecasting._series import Series
from fastgru.forecasting.backtest import Backtest

# A forecast from one origin: what a ``Backtest`` has of each, by name.
Window = dict[str, Any]


def values_of(
    model: Model,
    memory: Memory,
    n_steps: int,
    exog: list[np.ndarray],
    n_threads: int,
    coverage: float | None = None,
) -> tuple[list[np.ndarray], ...]:
    """Return forecasts of each series, (n_steps, n_targets), in the series' own units.

    With a coverage, the lower and upper ends of the intervals follow.
    """
    levels = model.forecast(memory, n_steps, exog, n_threads)
    shifts: list[Any] = [0.0]
    if coverage is not None:
        assert memory.errors is not None  # as the estimator checked
        radius = memory.errors.radius(coverage)[:n_steps]
        shifts += [-radius, radius]
    return tuple(
        [
            history.transform.values(own + shift, len(history))
            for history, own in zip(memory.histories, levels, strict=True)
        ]
        for shift in shifts
    )


def roll(
    model: Model,
    memory: Memory,
    new: list[Series],
    scales: np.ndarray,
    *,
    n_windows: int | None,
    step: int,
    period: int,
    coverage: float | None,
    n_threads: int,
) -> list[Window]:
    """Forecast what follows the series, and again every few steps.

    Parameters
    ----------
    model, memory
        Where the series stand before the new steps.
    new : list of Series
        What follows each; the last forecasts may go beyond it.
    scales : ndarray of shape (n_series, n_targets)
        What errors are divided by.
    n_windows : int or None
        Forecasts of each series; None means as long as there are new steps.
    step : int
        Steps between two origins.
    period : int
        Of the seasonal naive forecast.
    coverage : float or None
        Of intervals, if there are to be any.
    n_threads : int
    """
    horizon = model.strategy.horizon
    windows: list[Window] = []
    longest = max(len(one) for one in new)
    if n_windows is not None:
        longest = min(longest, (n_windows - 1) * step + 1)
    for begin in range(0, longest, step):
        exog = [_padded(one.exog[begin : begin + horizon], horizon) for one in new]
        forecasts, *ends = values_of(model, memory, horizon, exog, n_threads, coverage)
        for k, (history, one) in enumerate(zip(memory.histories, new, strict=True)):
            came = one.values[begin : begin + horizon]
            if not len(came):
                continue
            known = history.series
            windows.append(
                {
                    "series": k,
                    "origins": len(known),
                    "forecasts": forecasts[k],
                    "actuals": _padded(came, horizon),
                    "naive": seasonal_naive(known.values, horizon, period),
                    "scales": scales[k],
                    "lower": ends[0][k] if ends else None,
                    "upper": ends[1][k] if ends else None,
                    "indexes": next_index(known.index, horizon),
                }
            )
        if begin + step < longest:
            parts = [one.after(begin).before(step) for one in new]
            memory = model.update(memory, parts, n_threads)
    return windows


def side_by_side(
    windows: list[Window],
    series: list[Series],
    coverage: float | None,
) -> Backtest:
    """Return windows side by side.

    Parameters
    ----------
    windows : list of Window
    series : list of Series
        What they are windows of.
    coverage : float or None
        Of the intervals, if there are any.
    """
    columns = {name: [window[name] for window in windows] for name in windows[0]}
    indexes = columns.pop("indexes")
    arrays: dict[str, Any] = {name: np.array(rows) for name, rows in columns.items()}
    if coverage is None:
        arrays |= {"lower": None, "upper": None}
    return Backtest(
        **arrays,
        coverage=coverage,
        indexes=indexes,
        series_values=[one.values for one in series],
        series_indexes=[one.index for one in series],
        names=[one.names for one in series],
    )


def _padded(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return rows with NaN for those that are missing."""
    missing = np.full((n_rows - len(rows), rows.shape[1]), np.nan)
    return np.concatenate([rows, missing])
