"""Forecasts of real series, beside the simple methods.

    python -m benchmarks.forecasting                     # all series, five seeds
    python -m benchmarks.forecasting --series airline    # one of them
    python -m benchmarks.forecasting --json found.json   # and keep the numbers

The last fifth of each series is held out.  Settings of the GRU (strategy, transform,
logarithms) are those with the lowest error on the last fifth of what is left, with
three other seeds; then it is fitted once and forecasts a horizon from every step of
what was held out, reading on between them.  Beside it, on the same origins: the last
period once more, a regressor of boosted trees per step of the horizon on as many last
values (as they are, and in the transform that was chosen for the GRU, without its
season), and the exponential smoothing of statsmodels with the lowest AIC.

Needs statsmodels, whose wheel has four of the series, and for the fifth the files of
sktime (``pip install --no-deps sktime`` is enough).
"""

import argparse
import importlib.util
import itertools
import json
import time
import warnings
from pathlib import Path

import numpy as np

from fastgru import GRUForecaster

HELD_OUT = 0.2
N_SEEDS, N_SEEDS_TO_CHOOSE = 5, 3
CHOICES = {
    "strategy": ("direct", "recursive"),
    "transform": ("standardize", "difference", "seasonal", "stl"),
    "log": (False, True),
}


class RealSeries:
    """A series, its period and how far ahead it is forecast."""

    def __init__(self, values, period, horizon):
        values = np.asarray(values, float)
        known = np.flatnonzero(~np.isnan(values))
        # The same gaps for all methods; only the weekly series has some.
        self.values = np.interp(np.arange(len(values)), known, values[known])
        self.period, self.horizon = period, horizon

    def before(self, n_steps):
        return RealSeries(self.values[:n_steps], self.period, self.horizon)

    @property
    def n_train(self):
        return len(self.values) - int(np.ceil(HELD_OUT * len(self.values)))

    @property
    def origins(self):
        return range(self.n_train, len(self.values) - self.horizon + 1)

    def mase(self, forecasts):
        """Score a row of forecasts for each origin."""
        train = self.values[: self.n_train]
        scale = np.mean(np.abs(train[self.period :] - train[: -self.period]))
        came = np.array([self.values[t : t + self.horizon] for t in self.origins])
        return float(np.mean(np.abs(came - np.array(forecasts))) / scale)


def load_series():
    """Return the series by name."""
    from statsmodels import datasets

    macro = datasets.macrodata.load_pandas().data
    series = {
        "sunspots": RealSeries(
            datasets.sunspots.load_pandas().data["SUNACTIVITY"], 11, 10
        ),
        "co2": RealSeries(datasets.co2.load_pandas().data["co2"], 52, 26),
        "gdp": RealSeries(macro["realgdp"], 4, 8),
        "unemployment": RealSeries(macro["unemp"], 4, 8),
    }
    found = importlib.util.find_spec("sktime")
    if found is None:
        print("airline is left out: its file comes with sktime, which is not installed")
        return series
    folder = Path(found.submodule_search_locations[0]) / "datasets/data/Airline"
    passengers = np.loadtxt(
        folder / "Airline.csv", delimiter=",", skiprows=1, usecols=1
    )
    return series | {"airline": RealSeries(passengers, 12, 12)}


# The GRU.


def backtest(series, settings, seed, coverage=None):
    """Fit to what comes before the held-out steps, and forecast from each of them."""
    forecaster = GRUForecaster(
        series.horizon, period=series.period, random_state=seed, **settings
    )
    return forecaster.backtest(
        series.values, len(series.origins), step=1, coverage=coverage
    )


def choose(series):
    """Return the settings with the lowest error within the training part."""
    inside = series.before(series.n_train)
    rows = itertools.product(*CHOICES.values())
    candidates = [dict(zip(CHOICES, row, strict=True)) for row in rows]
    if not (series.values > 0).all():
        candidates = [c for c in candidates if not c["log"]]
    seeds = range(100, 100 + N_SEEDS_TO_CHOOSE)
    errors = [
        np.mean([backtest(inside, candidate, seed).mase for seed in seeds])
        for candidate in candidates
    ]
    return candidates[int(np.argmin(errors))]


def run_gru(series, settings):
    """Return what five seeds come to."""
    results = [backtest(series, settings, seed, 0.8) for seed in range(N_SEEDS)]
    errors = [result.mase for result in results]
    return {
        "gru": float(np.mean(errors)),
        "gru, best and worst seed": [min(errors), max(errors)],
        "seasonal naive": results[0].naive_mase,
        "coverage": float(np.mean([result.coverage_reached for result in results])),
        "n": int(np.isfinite(results[0].actuals).sum()),
    }


# The others.


def run_trees(series, settings, n_lags, *, transformed):
    """Return the error of boosted trees on the last values."""
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.multioutput import MultiOutputRegressor

    log = transformed and settings["log"]
    changes = transformed and settings["transform"] != "standardize"
    values = np.log(series.values) if log else series.values
    inputs = np.diff(values, prepend=values[0]) if changes else values

    def anchor(t):
        return values[t - 1] if changes else 0.0

    ends = range(n_lags, series.n_train - series.horizon + 1)
    X = np.array([inputs[t - n_lags : t] for t in ends])
    Y = np.array([values[t : t + series.horizon] - anchor(t) for t in ends])
    trees = GradientBoostingRegressor(random_state=0)
    model = MultiOutputRegressor(trees, n_jobs=-1).fit(X, Y)
    found = model.predict(np.array([inputs[t - n_lags : t] for t in series.origins]))
    found += np.array([[anchor(t)] for t in series.origins])
    return series.mase(np.exp(found) if log else found)


def run_smoothing(series):
    """Return the error and the name of the exponential smoothing of lowest AIC."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    train = series.values[: series.n_train]
    powers = [] if not (train > 0).all() else ["mul"]
    # Of a long season every first value would be a parameter.
    start = "estimated" if series.period <= 12 else "heuristic"
    best = None
    for error, trend, seasonal in itertools.product(
        ["add", *powers], [None, "add", "damped"], [None, "add", *powers]
    ):
        kind = {
            "error": error,
            "trend": trend and "add",
            "damped_trend": trend == "damped",
            "seasonal": seasonal,
            "seasonal_periods": series.period if seasonal else None,
            "initialization_method": start,
        }
        fitted = ETSModel(train, **kind).fit(disp=False)
        if np.isfinite(fitted.aic) and (best is None or fitted.aic < best[0]):
            best = fitted.aic, fitted.params, kind
    _, parameters, kind = best
    forecasts = [
        ETSModel(series.values[:t], **kind).smooth(parameters).forecast(series.horizon)
        for t in series.origins
    ]
    name = ", ".join(str(kind[part]) for part in ("error", "trend", "seasonal"))
    return series.mase(forecasts), name


def run(name, series):
    """Return all errors of one series."""
    begin = time.perf_counter()
    settings = choose(series)
    found = {"series": name, "settings": settings, **run_gru(series, settings)}
    n_lags = 2 * series.period
    for transformed in (False, True):
        key = "trees, transformed" if transformed else "trees"
        found[key] = run_trees(series, settings, n_lags, transformed=transformed)
    found["ets"], found["ets kind"] = run_smoothing(series)
    found["seconds"] = time.perf_counter() - begin
    return found


def show(found):
    columns = ("gru", "seasonal naive", "trees", "trees, transformed", "ets")
    print(" | ".join(["series", *columns, "inside 80 %", "settings"]))
    for one in found:
        chosen = ", ".join(f"{k}={v}" for k, v in one["settings"].items())
        low, high = one["gru, best and worst seed"]
        numbers = [f"{one[c]:.3f}" for c in columns]
        numbers[0] += f" ({low:.3f} to {high:.3f})"
        print(" | ".join([one["series"], *numbers, f"{one['coverage']:.0%}", chosen]))
    total = sum(one["n"] for one in found)
    share = sum(one["coverage"] * one["n"] for one in found) / total
    print(f"inside the 80 % intervals of all series together: {share:.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--series", nargs="*", help="by default all")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of optimisers that stop early
    series = load_series()
    names = arguments.series or list(series)
    found = []
    for name in names:
        found.append(run(name, series[name]))
        print(json.dumps(found[-1]), flush=True)
    show(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
