"""Small series and forecasters, and what a forecast is in plain NumPy, in float64."""

import numpy as np
from statsmodels.tsa.seasonal import STL, seasonal_decompose

from fastgru import GRUForecaster
from reference import gru_forward

# Quick to fit; what it learns is not asked.
FEW = {"hidden_size": 5, "max_iter": 2, "batch_size": 16, "random_state": 0}
OF_CHANGES = ("difference", "seasonal", "stl")


def forecaster(horizon=3, **settings):
    """Make a small forecaster."""
    return GRUForecaster(horizon, **FEW | settings)


def draw_series(n_steps=50, n_variables=None, seed=0):
    """Draw positive series with trend and season of period 4."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_steps)[:, np.newaxis] + seed
    variables = np.arange(1, (n_variables or 1) + 1)
    season = 2 * variables * np.sin(t * np.pi / 2 + variables)
    noise = rng.normal(scale=0.5, size=season.shape)
    series = 20 + 0.1 * t * variables + season + noise
    return series if n_variables else series[:, 0]


# -- forecasts in plain NumPy --


class PlainTransform:
    """Levels of one series, by the formulas of the documentation."""

    def __init__(self, values, kind, *, log, period):
        self.log, self.period = log, period or 1
        known = np.log(values) if log else values
        n_variables = known.shape[1]
        self.season = np.zeros((self.period, n_variables))
        if kind in ("seasonal", "stl"):
            self.season = np.stack([self._season(x, kind) for x in known.T], axis=1)
        rest = known - self.season[np.arange(len(known)) % self.period]
        changes = np.diff(rest, axis=0)
        self.offset, self.drift, self.scale = np.zeros(n_variables), 0.0, 1.0
        if kind == "standardize":
            self.offset, self.scale = rest.mean(0), rest.std(0)
        elif kind in OF_CHANGES:
            self.offset, self.drift = rest[0], changes.mean(0)
            self.scale = changes.std(0)

    def _season(self, column, kind):
        if kind == "seasonal":
            found = seasonal_decompose(column, period=self.period).seasonal
            return found[: self.period]
        found = STL(column, period=self.period, robust=True).fit().seasonal
        n = len(column)
        return np.array(
            [found[n - 1 - (n - 1 - k) % self.period] for k in range(self.period)]
        )

    def _known(self, steps):
        season = self.season[steps % self.period]
        return season + self.offset + steps[:, np.newaxis] * self.drift

    def levels(self, values):
        """Give the levels of values from the first step on."""
        known = np.log(values) if self.log else values
        return (known - self._known(np.arange(len(values)))) / self.scale

    def values(self, levels, begin):
        """Give the values of levels from a step on."""
        values = levels * self.scale + self._known(
            np.arange(begin, begin + len(levels))
        )
        return np.exp(values) if self.log else values


class PlainNetwork:
    """The fitted network of a forecaster in float64."""

    def __init__(self, fitted):
        state = fitted._model.network.state_dict()
        parts = [name.partition(".")[::2] for name in state]
        last = max(number for number, _ in parts)
        self.gru = {own: state[f"0.{own}"] for number, own in parts if number == "0"}
        self.weight, self.bias = state[f"{last}.weight"], state[f"{last}.bias"]
        self.options = {
            "num_layers": fitted.num_layers,
            "reset_after": fitted.reset_after,
        }

    def __call__(self, steps):
        """Give the outputs after the last of some steps."""
        x = np.asarray(steps, np.float64)[:, np.newaxis]
        output, _ = gru_forward(x, None, self.gru, **self.options)
        return self.weight.astype(np.float64) @ output[-1, 0] + self.bias


def plain_forecasts(fitted, members, exogs=None, futures=None, n_fitted=None):
    """Forecast each member of a list, (n_steps, n_variables), in plain NumPy.

    Parameters
    ----------
    fitted : GRUForecaster
        Of which only parameters, lags and the network's arrays are read.
    members : list of 2-D arrays
        What it was fitted to.
    exogs, futures : list of 2-D arrays, or None
        Known features of these steps, and of those to come.
    n_fitted : list of int, or None
        Steps of each that it was fitted to; the others came in updates.
    """
    n_fitted = n_fitted or [len(x) for x in members]
    settings = {"log": fitted.log, "period": fitted.period}
    transforms = [
        PlainTransform(x[:n], fitted.transform, **settings)
        for x, n in zip(members, n_fitted, strict=True)
    ]
    levels = [t.levels(x) for t, x in zip(transforms, members, strict=True)]
    exogs = exogs or [np.empty((len(x), 0)) for x in members]
    futures = futures or [np.empty((99, 0)) for _ in members]
    every = np.concatenate([e[:n] for e, n in zip(exogs, n_fitted, strict=True)])
    features = [
        (np.concatenate(both) - every.mean(0)) / every.std(0)
        for both in zip(exogs, futures, strict=True)
    ]
    run = plain_direct if fitted.strategy == "direct" else plain_recursive
    known = [own[:n] for own, n in zip(levels, n_fitted, strict=True)]
    growth = plain_growth(fitted, known)
    network = PlainNetwork(fitted)
    return [
        transform.values(run(fitted, network, own, known, growth), len(own))
        for transform, own, known in zip(transforms, levels, features, strict=True)
    ]


def plain_growth(fitted, levels):
    """Give the root mean square of how far levels move, after 1, 2, ... steps."""
    if fitted.transform not in OF_CHANGES:
        return np.ones((fitted.horizon, levels[0].shape[1]))
    moves = [
        np.concatenate([own[k:] - own[:-k] for own in levels])
        for k in range(1, fitted.horizon + 1)
    ]
    return np.array([np.sqrt((move**2).mean(0)) for move in moves])


def read_as(fitted, levels):
    """Give what the network reads of levels."""
    if fitted.transform in OF_CHANGES:
        return np.concatenate([0 * levels[:1], np.diff(levels, axis=0)])
    return levels


def plain_direct(fitted, network, levels, features, growth):
    """Forecast the levels of the horizon from the last window."""
    horizon, n = fitted.horizon, len(levels)
    inputs = read_as(fitted, levels)
    window = [
        np.concatenate([inputs[t], features[t + 1 : t + 1 + horizon].reshape(-1)])
        for t in range(max(0, n - fitted.lags_), n)
    ]
    ahead = network(window).reshape(growth.shape) * growth
    return levels[-1] + ahead if fitted.transform in OF_CHANGES else ahead


def plain_recursive(fitted, network, levels, features, growth):
    """Forecast the levels of the horizon one after the other."""
    levels = levels.copy()
    for _ in range(fitted.horizon):
        inputs = read_as(fitted, levels)
        steps = np.concatenate([inputs, features[1 : len(inputs) + 1]], axis=1)
        output = network(steps)
        following = output + (levels[-1] if fitted.transform in OF_CHANGES else 0)
        levels = np.concatenate([levels, following[np.newaxis]])
    return levels[-fitted.horizon :]
