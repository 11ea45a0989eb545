"""Forecasts from many origins beside what came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Backtest:
    """What forecasts from several origins came to; ``GRUForecaster.backtest`` makes it.

    A window is a forecast of all steps of the horizon from one origin.  Steps that did
    not come, because the series ends before them, are NaN in ``actuals``.

    Parameters
    ----------
    series : ndarray of shape (n_windows,), int
        The number of each window's series, in the order in which they were given.
    origins : ndarray of shape (n_windows,), int
        How many steps of it were known.
    forecasts, actuals, naive : ndarray of shape (n_windows, horizon, n_variables)
        What was forecast, what came, and the seasonal naive forecast: the last period
        once more.
    lower, upper : ndarray of that shape, or None
        Ends of the intervals; None without intervals.
    coverage : float or None
        The coverage that these were made for.
    scales : ndarray of shape (n_windows, n_variables)
        Mean absolute error of the seasonal naive forecast of one step on what the
        model was fitted to, which scales errors.
    indexes : list
        The index of each window's steps; None for series without one.

    See Also
    --------
    fastgru.plotting.ForecastDisplay : Draws it.
    """

    series: np.ndarray
    origins: np.ndarray
    forecasts: np.ndarray
    actuals: np.ndarray
    naive: np.ndarray
    lower: np.ndarray | None
    upper: np.ndarray | None
    coverage: float | None
    scales: np.ndarray
    indexes: list[Any]

    def __len__(self) -> int:
        return len(self.series)

    @property
    def mase(self) -> float:
        """Mean absolute scaled error of the forecasts, over all windows and steps."""
        return self._scaled(self.forecasts)

    @property
    def naive_mase(self) -> float:
        """The same of the seasonal naive forecast."""
        return self._scaled(self.naive)

    @property
    def mase_per_step(self) -> np.ndarray:
        """The error of each step of the horizon; (horizon,)."""
        return np.nanmean(self._errors(self.forecasts), axis=(0, 2))

    @property
    def coverage_reached(self) -> float:
        """Share of what came that lies inside its interval.

        Raises
        ------
        ValueError
            If the backtest was made without intervals.
        """
        if self.lower is None or self.upper is None:
            raise ValueError(
                "this backtest has no intervals: it was given coverage=None"
            )
        came = ~np.isnan(self.actuals)
        inside = (self.lower <= self.actuals) & (self.actuals <= self.upper)
        return float(np.mean(inside[came]))

    def _scaled(self, forecasts: np.ndarray) -> float:
        return float(np.nanmean(self._errors(forecasts)))

    def _errors(self, forecasts: np.ndarray) -> np.ndarray:
        errors = np.abs(self.actuals - forecasts)
        if not (self.scales > 0).all():
            raise ValueError(
                "the scaled error is not defined: what the model was fitted to did not "
                "change over a period"
            )
        return errors / self.scales[:, np.newaxis]

    def __str__(self) -> str:
        """Say how good the forecasts were."""
        lines = [
            f"{len(self)} windows of {self.forecasts.shape[1]} steps",
            f"MASE            {self.mase:.3f}",
            f"seasonal naive  {self.naive_mase:.3f}",
        ]
        if self.coverage is not None:
            reached = f"{self.coverage_reached:.0%}"
            lines.append(f"inside the {self.coverage:.0%} intervals  {reached}")
        return "\n".join(lines)
