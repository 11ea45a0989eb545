"""Forecasts from many origins beside what came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
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
    series_values : list of ndarray of shape (n_steps, n_variables)
        The series, with what came before the first window.
    series_indexes : list
        The index of each series; None for series without one.
    names : list of tuple
        Names of the variables of each series, if they were pandas objects.

    See Also
    --------
    fastgru.plotting.ForecastDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRUForecaster
    >>> series = np.arange(90) + 5 * np.sin(np.arange(90) * np.pi / 6)
    >>> forecaster = GRUForecaster(horizon=6, period=12, random_state=0)
    >>> backtest = forecaster.backtest(series, n_windows=3)
    >>> len(backtest), backtest.forecasts.shape
    (3, (3, 6, 1))
    >>> backtest.origins
    array([72, 78, 84])
    >>> round(backtest.naive_mase, 3)
    1.0
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
    series_values: list[np.ndarray]
    series_indexes: list[Any]
    names: list[tuple[Any, ...]]

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

    def select(self, series: int, variable: int | None = None) -> Backtest:
        """Return the windows of one series, to judge it by itself.

        Parameters
        ----------
        series : int
            Its number, from 0 on.
        variable : int, default=None
            Number of the only variable to keep; None keeps all.

        Returns
        -------
        Backtest

        Raises
        ------
        TypeError, ValueError
            If there is no such series or variable.
        """
        check_number("series", series, len(self.series_values))
        columns = slice(None)
        if variable is not None:
            check_number("variable", variable, self.forecasts.shape[2])
            columns = slice(variable, variable + 1)
        rows = np.flatnonzero(self.series == series)

        def part(array: np.ndarray) -> np.ndarray:
            return array[rows][..., columns]

        return replace(
            self,
            series=self.series[rows],
            origins=self.origins[rows],
            forecasts=part(self.forecasts),
            actuals=part(self.actuals),
            naive=part(self.naive),
            lower=None if self.lower is None else part(self.lower),
            upper=None if self.upper is None else part(self.upper),
            scales=part(self.scales),
            indexes=[self.indexes[row] for row in rows],
            series_values=[values[:, columns] for values in self.series_values],
            names=[names[columns] for names in self.names],
        )

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


def check_number(name: str, number: Any, n: int) -> None:
    """Refuse what is not the number of one of n series or variables."""
    expected = "0, as there is only one" if n == 1 else f"a number from 0 to {n - 1}"
    if not isinstance(number, Integral) or isinstance(number, bool):
        raise TypeError(f"{name} must be {expected}, got {type(number).__name__}")
    if not 0 <= int(number) < n:
        raise ValueError(f"{name} must be {expected}, got {number}")
