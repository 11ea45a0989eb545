"""Forecasts of several steps: all at once, or one after the other.

``Direct``: the network reads the last ``lags`` steps and gives the levels of all steps
of the horizon at once; where it reads changes, from the last level on.

``Recursive``: the network reads a series from its first step on and gives after each
step the next one, which it is then shown as if it had come.  Its states after all steps
but the last are kept: the last one is read when a forecast is made, because with it the
network is shown the known features of the step to come.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from fastgru.forecasting._histories import History
from fastgru.forecasting._seasons import mean_in_order
from fastgru.forecasting._windows import Windows, rows_of_windows
from fastgru.layers.network import Network, States

# Most numbers of a run at once.
_NUMBERS_AT_ONCE = 2**20


class Strategy(ABC):
    """How a network forecasts.

    Parameters
    ----------
    horizon : int
    lags : int
        Steps of a window, at most.
    n_targets, n_exog : int
        Variables and known features of a step.
    of_changes : bool
        Whether the network reads and predicts changes of the levels.

    Attributes
    ----------
    reach : int
        Steps after its origin that a window needs for its targets.
    lead : int
        Of how many following steps each step shows the features.
    n_inputs, n_outputs : int
        Of the network.
    per_step : bool
        Whether the network has outputs after each step.
    """

    reach: int
    lead: int
    n_outputs: int
    per_step: bool

    def __init__(
        self, horizon: int, lags: int, n_targets: int, n_exog: int, *, of_changes: bool
    ) -> None:
        self.horizon = horizon
        self.lags = lags
        self.n_targets = n_targets
        self.n_exog = n_exog
        self.of_changes = of_changes

    @property
    def n_inputs(self) -> int:
        """Numbers of a step that the network reads."""
        return self.n_targets + self.lead * self.n_exog

    @abstractmethod
    def fit(self, histories: list[History]) -> None:
        """Find what the targets of a training set are measured in."""

    @abstractmethod
    def targets(
        self, windows: Windows, rows: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        """Return a row of targets for each row of outputs of some windows.

        rows : where in ``windows.levels`` the origins stand
        """

    @abstractmethod
    def begin(
        self, network: Network, histories: list[History], n_threads: int
    ) -> States | None:
        """Return the states with which forecasts of these histories begin."""

    @abstractmethod
    def go_on(
        self,
        network: Network,
        histories: list[History],
        n_old: list[int],
        states: States | None,
        n_threads: int,
    ) -> States | None:
        """Return the states after more steps than there were; the old ones stay."""

    @abstractmethod
    def forecast(
        self,
        network: Network,
        histories: list[History],
        n_steps: int,
        states: States | None,
        n_threads: int,
    ) -> np.ndarray:
        """Return the levels to come: (n_series, n_steps, n_targets)."""

    @abstractmethod
    def errors(
        self,
        network: Network,
        histories: list[History],
        firsts: np.ndarray,
        states: States | None,
        n_threads: int,
    ) -> tuple[list[np.ndarray], States | None]:
        """Return how far off the forecasts of known steps are.

        Parameters
        ----------
        firsts : ndarray of shape (n_series,), int
            The first origin of each series; the last is ``horizon`` steps before the
            end.
        states : dict or None
            Those after all steps before the first origins, as ``begin`` gives them for
            histories that end there.

        Returns
        -------
        errors : list of ndarray of shape (n_origins, horizon, n_targets)
            Level less forecast, for each series.
        states : dict or None
            Those after all steps before the next origins.
        """


class Direct(Strategy):
    """All steps of the horizon at once, from the last steps of a series.

    Attributes
    ----------
    growth : ndarray of shape (horizon, n_targets), float64
        How far levels move in so many steps, by their root mean square; 1 where the
        network predicts levels themselves.  Targets are divided by it.
    """

    per_step = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reach = self.lead = self.horizon
        self.n_outputs = self.horizon * self.n_targets
        # A view: sizes that a file claims take no memory.
        self.growth = np.broadcast_to(1.0, (self.horizon, self.n_targets))

    def fit(self, histories: list[History]) -> None:
        """Find the growth."""
        if not self.of_changes:
            return
        self.growth = np.empty((self.horizon, self.n_targets))
        for step in range(1, self.horizon + 1):
            moves = [h.levels[step:] - h.levels[:-step] for h in histories]
            for k, column in enumerate(np.concatenate(moves).T):
                size = mean_in_order(column * column) ** 0.5
                self.growth[step - 1, k] = size if size > 0 else 1.0

    def targets(
        self, windows: Windows, rows: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        """Return the levels to come, in units of the growth."""
        targets = self._ahead(windows, rows) / self.growth
        return targets.reshape(len(rows), -1)

    def _ahead(self, windows: Windows, rows: np.ndarray) -> np.ndarray:
        """Return the levels to come, of changes less the last one."""
        after = np.arange(1, self.horizon + 1)
        levels = windows.levels[rows[:, np.newaxis] + after]
        if self.of_changes:
            levels -= windows.levels[rows][:, np.newaxis]
        return levels

    def begin(self, network: Network, histories: list[History], n_threads: int) -> None:
        """Return nothing: each forecast reads its own window."""

    def go_on(
        self,
        network: Network,
        histories: list[History],
        n_old: list[int],
        states: States | None,
        n_threads: int,
    ) -> None:
        """Return nothing."""

    def forecast(
        self,
        network: Network,
        histories: list[History],
        n_steps: int,
        states: States | None,
        n_threads: int,
    ) -> np.ndarray:
        """Return the levels to come."""
        parts = []
        for begin in range(0, len(histories), self._n_at_once(network)):
            some = histories[begin : begin + self._n_at_once(network)]
            windows = [
                h.read(max(0, len(h) - self.lags), len(h), self.lead) for h in some
            ]
            levels = self._levels(_run(network, windows, None, n_threads))
            if self.of_changes:
                levels += np.stack([h.levels[-1:] for h in some])
            parts.append(levels)
        return np.concatenate(parts)[:, :n_steps]

    def errors(
        self,
        network: Network,
        histories: list[History],
        firsts: np.ndarray,
        states: States | None,
        n_threads: int,
    ) -> tuple[list[np.ndarray], None]:
        """Return how far off the forecasts of known steps are."""
        windows = Windows(histories, self, network.dtype, firsts)
        errors = np.empty((len(windows), self.horizon, self.n_targets))
        at_once = self._n_at_once(network)
        for begin in range(0, len(windows), at_once):
            numbers = np.arange(begin, min(begin + at_once, len(windows)))
            values, lengths, rows = windows.read(numbers)
            levels = self._levels(network.outputs(values, lengths, n_threads))
            errors[numbers] = self._ahead(windows, rows) - levels
        return np.split(errors, windows.ends[:-1]), None

    def _levels(self, outputs: np.ndarray) -> np.ndarray:
        shape = (len(outputs), self.horizon, self.n_targets)
        return outputs.astype(np.float64).reshape(shape) * self.growth

    def _n_at_once(self, network: Network) -> int:
        return max(1, _NUMBERS_AT_ONCE // (self.lags * (self.n_inputs + 1)))


class Recursive(Strategy):
    """One step after the other; what was forecast is read as if it had come."""

    per_step = True
    reach = lead = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.n_outputs = self.n_targets

    def fit(self, histories: list[History]) -> None:
        """Find nothing: targets are inputs."""

    def targets(
        self, windows: Windows, rows: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        """Return what each step's next one is read as."""
        return windows.inputs[rows_of_windows(rows, lengths) + 1]

    def begin(
        self, network: Network, histories: list[History], n_threads: int
    ) -> States:
        """Return the states after all steps but the last."""
        states = network.zero_states(len(histories))
        return self.go_on(network, histories, [1] * len(histories), states, n_threads)

    def go_on(
        self,
        network: Network,
        histories: list[History],
        n_old: list[int],
        states: States | None,
        n_threads: int,
    ) -> States:
        """Return the states after all steps but the last."""
        assert states is not None  # as begin makes them
        states = _copy(states)
        ends = [len(history) - 1 for history in histories]
        begins = [n - 1 for n in n_old]
        # In parts of some steps, so that long series take no more memory than short.
        size = sum(len(array) * array.shape[2] for array in states.values())
        n_steps = max(1, _NUMBERS_AT_ONCE // (len(histories) * size))
        while any(begin < end for begin, end in zip(begins, ends, strict=True)):
            stops = [min(b + n_steps, e) for b, e in zip(begins, ends, strict=True)]
            parts = [
                history.read(begin, stop, self.lead)
                for history, begin, stop in zip(histories, begins, stops, strict=True)
            ]
            _run(network, parts, states, n_threads)
            begins = stops
        return states

    def forecast(
        self,
        network: Network,
        histories: list[History],
        n_steps: int,
        states: States | None,
        n_threads: int,
    ) -> np.ndarray:
        """Return the levels to come."""
        assert states is not None  # as begin makes them
        origins = np.array([len(history) - 1 for history in histories])
        series = np.arange(len(histories))
        return self._follow(
            network, histories, series, origins, n_steps, _copy(states), n_threads
        )

    def _follow(
        self,
        network: Network,
        histories: list[History],
        series: np.ndarray,
        origins: np.ndarray,
        n_steps: int,
        states: States,
        n_threads: int,
    ) -> np.ndarray:
        """Return the levels after origins of series: (n, n_steps, n_targets).

        states : those before the origins, which are overwritten
        """
        pairs = list(zip(series.tolist(), origins.tolist(), strict=True))
        levels = np.empty((len(pairs), n_steps, self.n_targets))
        inputs = np.stack([histories[s].inputs[t] for s, t in pairs])
        level = np.stack([histories[s].levels[t] for s, t in pairs])
        ones = np.ones(len(pairs), np.int64)
        for step in range(n_steps):
            if self.n_exog:
                after = [histories[s].exog[t + step + 1] for s, t in pairs]
                inputs = np.concatenate([inputs, np.stack(after)], axis=1)
            values = inputs.astype(network.dtype)
            outputs = network.outputs(values, ones, n_threads, states)
            inputs = outputs.astype(np.float64)
            level = level + inputs if self.of_changes else inputs
            levels[:, step] = level
        return levels

    def errors(
        self,
        network: Network,
        histories: list[History],
        firsts: np.ndarray,
        states: States | None,
        n_threads: int,
    ) -> tuple[list[np.ndarray], States]:
        """Return how far off the forecasts of known steps are."""
        assert states is not None  # as begin makes them
        states = _copy(states)
        sizes = np.array([len(history) for history in histories])
        counts = np.maximum(sizes - self.horizon - firsts, 0)
        errors = [np.empty((n, self.horizon, self.n_targets)) for n in counts]
        for k in range(int(counts.max(initial=0))):
            series = np.flatnonzero(counts > k)
            origins = firsts[series] + k
            # Not by an index, which would leave the axes in another order in memory.
            before = {n: np.take(array, series, axis=1) for n, array in states.items()}
            levels = self._follow(
                network,
                histories,
                series,
                origins,
                self.horizon,
                _copy(before),
                n_threads,
            )
            for s, t, own in zip(series, origins, levels, strict=True):
                errors[s][k] = histories[s].levels[t + 1 : t + 1 + self.horizon] - own
            parts = [
                histories[s].read(t, t + 1, 1)
                for s, t in zip(series, origins, strict=True)
            ]
            _run(network, parts, before, n_threads)
            for name, array in before.items():
                states[name][:, series] = array
        return errors, states


def _run(
    network: Network, parts: list[np.ndarray], states: States | None, n_threads: int
) -> np.ndarray:
    """Return the outputs for some steps of each series; states are carried on."""
    lengths = np.array([len(part) for part in parts])
    values = np.concatenate(parts).astype(network.dtype)
    return network.outputs(values, lengths, n_threads, states)


def _copy(states: States) -> States:
    return {name: array.copy() for name, array in states.items()}
