"""A trained network that forecasts, and what it remembers of the series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastgru.forecasting._histories import ExogScale, History
from fastgru.forecasting._intervals import Errors
from fastgru.forecasting._series import Series
from fastgru.forecasting._strategies import Strategy
from fastgru.forecasting._transforms import Transform
from fastgru.layers.network import Network, States


@dataclass(frozen=True)
class Memory:
    """Where the series stand.  Updates make a new one.

    Parameters
    ----------
    histories : list of History
    states : dict or None
        Those with which forecasts begin.
    errors : Errors or None
        Of forecasts that were held out, and of those since; None without calibration.
    n_judged : list of int
        Steps of each series before the first origin whose errors are to come.
    judged_states : dict or None
        Those before these origins.
    """

    histories: list[History]
    states: States | None
    errors: Errors | None
    n_judged: list[int]
    judged_states: States | None


class Model:
    """A trained network with all that it takes to make forecasts.

    Parameters
    ----------
    network : Network
    strategy : Strategy
    exog_scale : ExogScale
    """

    def __init__(
        self, network: Network, strategy: Strategy, exog_scale: ExogScale
    ) -> None:
        self.network = network
        self.strategy = strategy
        self.exog_scale = exog_scale

    def histories(
        self, series: list[Series], transforms: list[Transform]
    ) -> list[History]:
        """Bring series to levels."""
        of_changes = self.strategy.of_changes
        return [
            History.of(one, transform, self.exog_scale, of_changes=of_changes)
            for one, transform in zip(series, transforms, strict=True)
        ]

    def begin(
        self,
        histories: list[History],
        errors: Errors | None,
        n_threads: int,
        n_judged: list[int] | None = None,
    ) -> Memory:
        """Read whole series.

        n_judged : as a ``Memory`` has it; None means all steps
        """
        states = judged_states = self.strategy.begin(self.network, histories, n_threads)
        if n_judged is None:
            n_judged = [len(history) for history in histories]
        else:
            early = [h.before(n) for h, n in zip(histories, n_judged, strict=True)]
            judged_states = self.strategy.begin(self.network, early, n_threads)
        return Memory(histories, states, errors, n_judged, judged_states)

    def update(self, memory: Memory, new: list[Series], n_threads: int) -> Memory:
        """Read what came after the series."""
        old = memory.histories
        histories = [
            history.followed_by(series, self.exog_scale)
            for history, series in zip(old, new, strict=True)
        ]
        states = self.strategy.go_on(
            self.network, histories, [len(h) for h in old], memory.states, n_threads
        )
        memory = replace(memory, histories=histories, states=states)
        return memory if memory.errors is None else self._judge(memory, n_threads)

    def _judge(self, memory: Memory, n_threads: int) -> Memory:
        """Add the errors of forecasts all of whose steps have come meanwhile."""
        assert memory.errors is not None  # as the caller asked
        histories = memory.histories
        firsts = np.array(memory.n_judged) - 1
        errors, states = self.strategy.errors(
            self.network, histories, firsts, memory.judged_states, n_threads
        )
        n_judged = [
            n + len(own) for n, own in zip(memory.n_judged, errors, strict=True)
        ]
        return replace(
            memory,
            errors=memory.errors.followed_by(errors),
            n_judged=n_judged,
            judged_states=states,
        )

    def forecast(
        self,
        memory: Memory,
        n_steps: int,
        exog: list[np.ndarray],
        n_threads: int,
    ) -> np.ndarray:
        """Return the levels to come: (n_series, n_steps, n_targets).

        exog : known features of the steps to come, of each series
        """
        histories = [
            history.with_future(self.exog_scale(future))
            for history, future in zip(memory.histories, exog, strict=True)
        ]
        return self.strategy.forecast(
            self.network, histories, n_steps, memory.states, n_threads
        )
