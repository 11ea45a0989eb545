"""What a picture of forecasts takes from a forecaster or a backtest."""

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastgru.estimators import GRUForecaster
    from fastgru.forecasting import Backtest

# Of the interval where nobody chose, that of ``GRUForecaster.backtest``.
_COVERAGE = 0.8
# Steps that stand for a period or a horizon where there is none worth the name.
_FEW_STEPS = 10


def of_forecaster(
    forecaster: "GRUForecaster",
    n_steps: int | None,
    exog: Any,
    coverage: Any,
    n_history: int | None,
    series: int,
    variable: int,
) -> dict[str, Any]:
    """Return what ``ForecastDisplay`` takes, by name: a forecast and what is before."""
    from sklearn.utils.validation import check_is_fitted

    from fastgru.estimators import GRUForecaster

    _check_kind("forecaster", forecaster, GRUForecaster)
    check_is_fitted(forecaster)
    histories, form = forecaster._memory.histories, forecaster._form
    _check_choice(n_history, series, variable, len(histories), form.n_targets)
    known = histories[series].series

    def pick(predicted: Any) -> np.ndarray:
        own = np.asarray(predicted[series] if form.is_list else predicted)
        return own.reshape(len(own), -1)[:, variable]

    forecast = _predict(forecaster, n_steps, exog, coverage, pick)
    horizon = len(forecast["forecasts"])
    if n_history is None:
        n_history = max(4 * horizon, 2 * (forecaster.period or _FEW_STEPS))
    shown = slice(max(0, len(known) - n_history), len(known))
    steps, xlabel = _positions(known.index, len(known) + horizon)
    return forecast | {
        "steps": steps[shown],
        "values": known.values[shown, variable],
        "forecast_steps": steps[len(known) :],
        "xlabel": xlabel,
        "ylabel": _name(known.names, variable),
    }


def of_backtest(
    backtest: "Backtest", n_history: int | None, series: int, variable: int
) -> dict[str, Any]:
    """Return what ``ForecastDisplay`` takes, by name: the windows of one series."""
    from fastgru.forecasting import Backtest

    _check_kind("backtest", backtest, Backtest)
    _, horizon, n_variables = backtest.forecasts.shape
    n_series = len(backtest.series_values)
    _check_choice(n_history, series, variable, n_series, n_variables)
    own = backtest.select(series, variable)
    values = own.series_values[series][:, 0]
    if n_history is None:
        n_history = 2 * max(horizon, _FEW_STEPS)
    shown = slice(max(0, own.origins.min() - n_history), len(values))
    steps, xlabel = _positions(own.series_indexes[series], len(values))
    drawn = {
        "steps": steps[shown],
        "values": values[shown],
        "forecast_steps": steps[own.origins[:, np.newaxis] + np.arange(horizon)],
        "forecasts": own.forecasts[..., 0],
        "naive": own.naive[..., 0],
        "xlabel": xlabel,
        "ylabel": _name(own.names[series], 0),
    }
    if own.lower is not None and own.upper is not None:
        drawn |= {
            "lower": own.lower[..., 0],
            "upper": own.upper[..., 0],
            "coverage": own.coverage,
            "coverage_reached": own.coverage_reached,
        }
    # Without a scale there is no scaled error, and the picture is drawn without it.
    if (own.scales > 0).all():
        drawn |= {"mase": own.mase, "naive_mase": own.naive_mase}
    return drawn


def _predict(
    forecaster: "GRUForecaster",
    n_steps: int | None,
    exog: Any,
    coverage: Any,
    pick: Callable[[Any], np.ndarray],
) -> dict[str, Any]:
    """Return a forecast and, where there is one to be, its interval.

    pick : takes what is drawn out of what ``predict`` returns
    """
    if isinstance(coverage, str) and coverage != "auto":
        raise ValueError(
            'coverage must be a number between 0 and 1, "auto" or None, got '
            f"{coverage!r}"
        )
    forecast = {"forecasts": pick(forecaster.predict(n_steps, exog))}
    if coverage is None:
        return forecast
    wanted = _COVERAGE if coverage == "auto" else coverage
    try:
        lower, upper = forecaster.predict_interval(wanted, n_steps, exog)
    except ValueError:
        # The forecast went well, so that only the interval can be the reason.
        if coverage == "auto":
            return forecast
        raise
    return forecast | {"lower": pick(lower), "upper": pick(upper), "coverage": wanted}


def _positions(index: Any, n_steps: int) -> tuple[np.ndarray, str]:
    """Return where steps stand on the x axis, and its name.

    Parameters
    ----------
    index : pandas Index or None
        Of the steps, or of the first of them.
    n_steps : int
    """
    if index is None:
        return np.arange(n_steps), "Step"
    import pandas as pd

    from fastgru.forecasting._indexes import next_index

    name = index.name
    if n_steps > len(index):
        index = index.append(next_index(index, n_steps - len(index)))
    unit = "Step"
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    if isinstance(index, pd.DatetimeIndex):
        unit = ""  # dates speak for themselves
    elif isinstance(index, pd.TimedeltaIndex):
        # Matplotlib has no axis of durations.
        index, unit = index.total_seconds(), "Seconds"
    return index.to_numpy(), unit if name is None else str(name)


def _name(names: tuple[Any, ...], variable: int) -> str:
    """Return the name of a variable, if it has one."""
    name = names[variable] if names else None
    return "Value" if name is None else str(name)


def _check_kind(name: str, given: Any, kind: type) -> None:
    if not isinstance(given, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(given).__name__}")


def _check_choice(
    n_history: Any, series: Any, variable: Any, n_series: int, n_variables: int
) -> None:
    """Refuse what is not there to be drawn."""
    from fastgru.forecasting.backtest import check_number

    check_number("series", series, n_series)
    check_number("variable", variable, n_variables)
    if n_history is None:
        return
    if not isinstance(n_history, Integral) or isinstance(n_history, bool):
        raise TypeError(
            f"n_history must be a whole number of steps, got {type(n_history).__name__}"
        )
    if n_history < 1:
        raise ValueError(f"n_history must be at least 1, got {n_history}")
