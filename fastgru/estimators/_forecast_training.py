"""How a forecaster is trained: once beside held-out steps, then on all of them.

The first training sees each series up to its held-out end.  Forecasts of that end tell
how wide intervals have to be, and with early stopping how many epochs are enough.  The
second training starts anew and sees everything.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgru._threads import resolve_n_jobs
from fastgru.estimators._networks import make_network
from fastgru.estimators._training import make_random_state, make_trainer
from fastgru.forecasting._histories import ExogScale
from fastgru.forecasting._intervals import Errors
from fastgru.forecasting._model import Model
from fastgru.forecasting._series import Series
from fastgru.forecasting._strategies import Direct, Recursive, Strategy
from fastgru.forecasting._transforms import OF_CHANGES, SEASONAL, Transform
from fastgru.forecasting._windows import Windows
from fastgru.kernels.losses import sum_in_order
from fastgru.losses import AbsoluteError, Huber, Loss, SquaredError
from fastgru.sequences import SequenceForm
from fastgru.training.trainer import Trainer

LOSSES: dict[str, Callable[[], Loss]] = {
    "squared_error": SquaredError,
    "absolute_error": AbsoluteError,
    "huber": Huber,
}
# What the networks of other estimators may be and these are not.
_FIXED = {
    "bidirectional": False,
    "pooling": "last",
    "dense_sizes": (),
    "n_tokens": None,
    "embedding_dim": None,
    "checkpoint": None,
}
# Windows whose validation score is computed at once.
_WINDOWS_AT_ONCE = 1024


@dataclass
class Trained:
    """What a training left behind.

    Parameters
    ----------
    trainer : Trainer
    model : Model
    transforms : list of Transform
        Of each series.
    error : BaseException or None
        What ended the training after its first epoch.
    """

    trainer: Trainer
    model: Model
    transforms: list[Transform]
    error: BaseException | None


class ForecastTraining:
    """Trains networks on some series.

    Parameters
    ----------
    settings : dict
        A forecaster's parameters by name.
    series : list of Series
    lags : int
        Steps of a window.
    name : str
        What messages call the estimator.
    """

    def __init__(
        self, settings: dict[str, Any], series: list[Series], lags: int, name: str
    ) -> None:
        self._settings = settings | _FIXED
        self._series = series
        self._lags = lags
        self._name = name
        self._random_state = make_random_state(self._settings)
        self._n_threads = resolve_n_jobs(settings["n_jobs"])

    def run(self) -> tuple[Trained, Errors | None]:
        """Train as the settings say.

        Returns
        -------
        trained : Trained
        errors : Errors or None
            Of forecasts of held-out steps, in the levels of ``trained``; None where
            nothing was held out.
        """
        n_known = self._split()
        if n_known is None:
            return self._train(self._series, self._settings["max_iter"]), None
        before = [s.before(n) for s, n in zip(self._series, n_known, strict=True)]
        first = self._train(before, self._settings["max_iter"], n_known)
        was_ended = first.error is not None or first.trainer.was_interrupted
        errors = None
        try:
            errors = self._errors(first, n_known)
            if not self._settings["refit"] or was_ended:
                return first, Errors.of(errors)
            second = self._train(self._series, self._n_epochs(first))
        except KeyboardInterrupt:
            warnings.warn(
                f"{self._name} was interrupted before its second training had finished "
                "an epoch; it keeps the network of the first one, which has not seen "
                "the steps that were held out",
                stacklevel=4,
            )
            return first, None if errors is None else Errors.of(errors)
        scales = zip(first.transforms, second.transforms, strict=True)
        rescaled = [
            own * (old.scale / new.scale)
            for own, (old, new) in zip(errors, scales, strict=True)
        ]
        return second, Errors.of(rescaled)

    def _split(self) -> list[int] | None:
        """Return how many steps of each series come before what is held out.

        None where nothing is to be held out, or too little would be left.
        """
        fraction = self._settings["calibration_fraction"]
        if fraction is None:
            return None
        needed = shortest(self._settings)
        n_known = []
        for one in self._series:
            n_held_out = math.ceil(len(one) * fraction)
            n_known.append(len(one) - max(n_held_out, self._settings["horizon"]))
        return n_known if min(n_known) >= needed else None

    def _train(
        self, series: list[Series], max_iter: int, n_known: list[int] | None = None
    ) -> Trained:
        """Train a new network on series.

        n_known : how many steps of the whole series these have, if not all
        """
        settings = self._settings | {"max_iter": max_iter}
        transforms = [
            Transform.fit(
                one.values,
                settings["transform"],
                log=bool(settings["log"]),
                period=settings["period"],
            )
            for one in series
        ]
        strategy = self._make_strategy()
        network = make_network(
            settings,
            SequenceForm("sequences", strategy.n_inputs),
            strategy.n_outputs,
            self._random_state,
            pools=not strategy.per_step,
        )
        model = Model(network, strategy, ExogScale.fit(series))
        histories = model.histories(series, transforms)
        strategy.fit(histories)
        windows = Windows(histories, strategy, network.dtype)
        loss = LOSSES[settings["loss"]]()
        score: Callable[[], float] | None = None
        changes: dict[str, Any] = {}
        if n_known is not None:
            score = self._make_score(model, transforms, n_known, loss)
        elif settings["early_stopping"]:
            # As many epochs as were enough, neither more nor fewer.
            changes = {"n_iter_no_change": math.inf, "expects_convergence": False}
        trainer = make_trainer(
            settings,
            network,
            loss,
            len(windows),
            self._random_state,
            name=self._name,
            score=score,
            **changes,
        )
        error = None
        try:
            trainer.fit(windows)
        except BaseException as ending:
            # What is trained is not lost; it is raised when that is kept.
            if trainer.progress is None:
                raise
            error = ending
        return Trained(trainer, model, transforms, error)

    def _make_strategy(self) -> Strategy:
        kind = Direct if self._settings["strategy"] == "direct" else Recursive
        return kind(
            self._settings["horizon"],
            self._lags,
            self._series[0].values.shape[1],
            self._series[0].exog.shape[1],
            of_changes=self._settings["transform"] in OF_CHANGES,
        )

    def _make_score(
        self,
        model: Model,
        transforms: list[Transform],
        n_known: list[int],
        loss: Loss,
    ) -> Callable[[], float] | None:
        """Return what scores the network by the held-out steps."""
        if not self._settings["early_stopping"]:
            return None
        histories = model.histories(self._series, transforms)
        firsts = np.array(n_known) - 1
        windows = Windows(histories, model.strategy, model.network.dtype, firsts)

        def score() -> float:
            total = total_weight = 0.0
            for batch in windows.minibatches(_WINDOWS_AT_ONCE, None):
                outputs = model.network.outputs(
                    batch.values, batch.lengths, self._n_threads
                )
                mean, _ = loss(outputs, batch.targets, batch.weights)
                weight = sum_in_order(batch.weights)
                total += mean * weight
                total_weight += weight
            return -total / total_weight

        return score

    def _n_epochs(self, trained: Trained) -> int:
        """Return after how many epochs the network was best."""
        assert trained.trainer.progress is not None  # it was trained
        history = trained.trainer.progress.history
        if not self._settings["early_stopping"]:
            return int(self._settings["max_iter"])
        return 1 + int(np.argmax(history.scores))

    def _errors(self, trained: Trained, n_known: list[int]) -> list[np.ndarray]:
        """Return the errors of forecasts of held-out steps, for each series."""
        model, transforms = trained.model, trained.transforms
        before = [s.before(n) for s, n in zip(self._series, n_known, strict=True)]
        early = model.histories(before, transforms)
        states = model.strategy.begin(model.network, early, self._n_threads)
        errors, _ = model.strategy.errors(
            model.network,
            model.histories(self._series, transforms),
            np.array(n_known) - 1,
            states,
            self._n_threads,
        )
        return errors


def shortest(settings: dict[str, Any]) -> int:
    """Return how many steps a series has at least, to learn from it."""
    period = settings["period"] or 1
    needed = max(settings["horizon"] + 2, period + 1)
    if settings["transform"] in SEASONAL:
        needed = max(needed, 2 * period + 1)
    return int(needed)
