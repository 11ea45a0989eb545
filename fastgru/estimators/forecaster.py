"""The forecaster: how one series or many go on."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastgru._threads import resolve_n_jobs
from fastgru.estimators._base import GRUEstimator, _positive_int
from fastgru.estimators._forecast_training import LOSSES, ForecastTraining, shortest
from fastgru.estimators._going_on import fitted_of
from fastgru.estimators._networks import summary
from fastgru.estimators._training import callbacks_of
from fastgru.forecasting._intervals import Errors
from fastgru.forecasting._model import Memory, Model
from fastgru.forecasting._rolling import Window, roll, side_by_side, values_of
from fastgru.forecasting._scores import naive_error
from fastgru.forecasting._series import (
    FILLS,
    Series,
    SeriesForm,
    check_exog,
    check_follows,
    check_series,
    next_index,
)
from fastgru.forecasting._transforms import KINDS, SEASONAL, Transform
from fastgru.forecasting.backtest import Backtest
from fastgru.layers.network import Network
from fastgru.sequences import SequenceForm
from fastgru.training.history import History

_OWN_CONSTRAINTS: dict[str, Any] = {
    "horizon": [_positive_int],
    "lags": [_positive_int, None],
    "strategy": [StrOptions({"direct", "recursive"})],
    "transform": [StrOptions({kind for kind in KINDS if kind}), None],
    "log": ["boolean"],
    "period": [_positive_int, None],
    "fill": [StrOptions({fill for fill in FILLS if fill}), None],
    "hidden_size": [_positive_int],
    "loss": [StrOptions(set(LOSSES))],
    "calibration_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "refit": ["boolean"],
}
_NOT_OURS = (
    "bidirectional",
    "pooling",
    "dense_sizes",
    "activation",
    "n_tokens",
    "embedding_dim",
    "warm_start",
    "validation_fraction",
    "checkpoint",
)

class GRUForecaster(BaseEstimator):
    """Forecaster."""

    _parameter_constraints: ClassVar[dict] = {
        name: constraint
        for name, constraint in GRUEstimator._parameter_constraints.items()
        if name not in _NOT_OURS
    } | _OWN_CONSTRAINTS

    # What is fitted.
    _model: Model
    _memory: Memory
    _form: SeriesForm
    _scales: np.ndarray  # (n_series, n_targets): what errors are divided by
    _history: History

    def __init__(
        self,
        horizon: int = 1,
        *,
        lags: int | None = None,
        strategy: str = "direct",
        transform: str | None = "standardize",
        log: bool = False,
        period: int | None = None,
        fill: str | None = None,
        hidden_size: int = 32,
        num_layers: int = 1,
        reset_after: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initializer: str = "uniform",
        loss: str = "squared_error",
        calibration_fraction: float | None = 0.2,
        refit: bool = True,
        solver: str = "adam",
        alpha: float = 0.0001,
        l1_ratio: float = 0.0,
        batch_size: int | str = 32,
        learning_rate: str = "cosine",
        learning_rate_init: float = 0.005,
        power_t: float = 0.5,
        decay_rate: float = 0.95,
        max_iter: int = 100,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        n_iter_no_change: float = 10,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        callbacks: Any = None,
        n_jobs: int | None = None,
        dtype: str = "float32",
    ) -> None:
        arguments = locals()
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    # -- fitting --

    def fit(self, series: Any, y: Any = None, *, exog: Any = None) -> GRUForecaster:
        self._check_parameters()
        self._fit(*check_series(series, exog, fill=self.fill))
        return self

    def _fit(self, checked: list[Series], form: SeriesForm) -> None:
        """Train on checked series and set the fitted attributes."""
        settings = self.get_params(deep=False)
        self._check_learnable(checked, "series", shortest(settings))
        lags = self._choose_lags(checked)
        training = ForecastTraining(settings, checked, lags, type(self).__name__)
        trained, errors = training.run()
        model = trained.model
        memory = model.begin(
            model.histories(checked, trained.transforms),
            None if errors is None else Errors(errors),
            resolve_n_jobs(self.n_jobs),
        )
        self.__dict__.update(
            fitted_of(trained.trainer, partial=False),
            _model=model,
            _memory=memory,
            _form=form,
            _scales=np.array([naive_error(s.values, self._period) for s in checked]),
            lags_=lags,
            n_features_in_=form.n_targets,
        )
        if trained.error is not None:
            raise trained.error

    @property
    def _period(self) -> int:
        """Steps of the seasonal naive forecast."""
        return self.period or 1

    def _check_parameters(self) -> None:
        self._validate_params()
        callbacks_of(self.callbacks)
        if self.transform in SEASONAL and self._period < 2:
            raise ValueError(
                f"transform={self.transform!r} takes out a season: set period to its "
                f"number of steps, at least 2; got {self.period}"
            )
        if self.early_stopping and self.calibration_fraction is None:
            raise ValueError(
                "early_stopping needs steps that are held out: set "
                "calibration_fraction, 0.2 by default"
            )

    def _check_learnable(self, series: list[Series], what: str, needed: int) -> None:
        """Refuse series that are too short, or cannot be transformed."""
        for k, one in enumerate(series):
            place = f"{what}[{k}]" if len(series) > 1 else what
            if len(one) < needed:
                raise ValueError(
                    f"{place} has {len(one)} steps; horizon={self.horizon}, "
                    f"period={self.period} and transform={self.transform!r} need at "
                    f"least {needed}"
                )
            if self.log:
                self._check_positive(one, place)

    def _check_positive(self, series: Series, place: str) -> None:
        wrong = np.argwhere(series.values <= 0)
        if wrong.size:
            step, variable = wrong[0]
            raise ValueError(
                f"log=True takes logarithms, but {place} is "
                f"{series.values[step, variable]} at step {step}"
            )

    def _choose_lags(self, series: list[Series]) -> int:
        """Return the steps of a window: given, two periods, or from the length."""
        if self.lags is not None:
            return self.lags
        longest = max(len(one) for one in series)
        wanted = 2 * (self.period or 0) or int(10 * math.log10(longest))
        return max(1, min(wanted, (longest - self.horizon) // 2))

    # -- forecasting --

    def predict(
        self, n_steps: int | None = None, exog: Any = None, *, series: Any = None
    ) -> Any:
        check_is_fitted(self)
        (values,), form, indexes = self._forecast(n_steps, exog, series, None)
        return form.to_user(values, indexes)

    def predict_interval(
        self,
        coverage: float = 0.9,
        n_steps: int | None = None,
        exog: Any = None,
        *,
        series: Any = None,
    ) -> tuple[Any, Any]:
        check_is_fitted(self)
        self._check_coverage(coverage)
        results, form, indexes = self._forecast(n_steps, exog, series, coverage)
        _, lower, upper = (form.to_user(values, indexes) for values in results)
        return lower, upper

    def _forecast(
        self, n_steps: int | None, exog: Any, series: Any, coverage: float | None
    ) -> tuple[tuple[list[np.ndarray], ...], SeriesForm, list[Any]]:
        """Return forecasts and ends of intervals, their form and their indexes."""
        n_steps = self._check_n_steps(n_steps)
        if coverage is not None and n_steps > self.horizon:
            raise ValueError(
                f"n_steps={n_steps} is more than horizon={self.horizon}, for which "
                "intervals were calibrated"
            )
        n_threads = resolve_n_jobs(self.n_jobs)
        memory, form = self._memory, self._form
        if series is not None:
            memory, form = self._read(series, n_threads)
        future = self._check_future(memory, form, n_steps, exog)
        results = values_of(self._model, memory, n_steps, future, n_threads, coverage)
        indexes = [next_index(h.series.index, n_steps) for h in memory.histories]
        return results, form, indexes

    def _read(self, series: Any, n_threads: int) -> tuple[Memory, SeriesForm]:
        """Read other series than those of ``fit``."""
        if self._form.n_exog:
            raise ValueError(
                "series cannot be given to a forecaster of series with known features"
            )
        checked, form = check_series(series, fill=self.fill)
        if form.n_targets != self._form.n_targets:
            raise ValueError(
                f"series has {form.n_targets} variables, but fit saw "
                f"{self._form.n_targets}"
            )
        self._check_learnable(checked, "series", shortest(self.get_params(deep=False)))
        transforms = [
            Transform.fit(
                one.values, self.transform, log=bool(self.log), period=self.period
            )
            for one in checked
        ]
        histories = self._model.histories(checked, transforms)
        return self._model.begin(histories, self._memory.errors, n_threads), form

    def _check_n_steps(self, n_steps: int | None) -> int:
        if n_steps is None:
            return self.horizon
        if not isinstance(n_steps, Integral) or isinstance(n_steps, bool):
            raise TypeError(
                "n_steps must be a whole number, how many steps to forecast, got "
                f"{type(n_steps).__name__}"
            )
        if n_steps < 1:
            raise ValueError(f"n_steps must be at least 1, got {n_steps}")
        if self.strategy == "direct" and n_steps > self.horizon:
            raise ValueError(
                f"n_steps={n_steps} is more than horizon={self.horizon}, for which the "
                'direct strategy was trained; strategy="recursive" goes on for any '
                "number of steps"
            )
        return int(n_steps)

    def _check_coverage(self, coverage: Any) -> None:
        if not isinstance(coverage, Real) or not 0 < coverage < 1:
            raise ValueError(f"coverage must be between 0 and 1, got {coverage!r}")
        if self._memory.errors is None:
            raise ValueError(
                "there are no intervals: "
                + (
                    "calibration_fraction=None held nothing out"
                    if self.calibration_fraction is None
                    else "the series were too short to hold steps out"
                )
            )

    def _check_future(
        self, memory: Memory, form: SeriesForm, n_steps: int, exog: Any
    ) -> list[np.ndarray]:
        """Return the known features of the steps to come, of each series."""
        n_series = len(memory.histories)
        if not form.n_exog:
            if exog is not None:
                raise ValueError("exog was given, but fit saw none")
            return [np.empty((0, 0))] * n_series
        n_rows = self.horizon if self.strategy == "direct" else n_steps
        if exog is None:
            raise ValueError(
                f"fit saw {form.n_exog} known features, so predict needs exog: those "
                f"of the next {n_rows} steps"
            )
        exogs = list(exog) if form.is_list else [exog]
        if len(exogs) != n_series:
            raise ValueError(
                f"exog must have a member for each of {n_series} series, got "
                f"{len(exogs)}"
            )
        checked = []
        for k, (one, history) in enumerate(zip(exogs, memory.histories, strict=True)):
            place = f"exog[{k}]" if form.is_list else "exog"
            index = next_index(history.series.index, n_rows)
            values = check_exog(one, n_rows, index, place)
            if values.shape[1] != form.n_exog:
                raise ValueError(
                    f"{place} has {values.shape[1]} features, expected {form.n_exog}"
                )
            checked.append(values)
        return checked

    def update(self, series: Any, exog: Any = None) -> GRUForecaster:
        check_is_fitted(self)
        new = self._check_new(series, exog)
        self._memory = self._model.update(
            self._memory, new, resolve_n_jobs(self.n_jobs)
        )
        return self

    def _check_new(self, series: Any, exog: Any) -> list[Series]:
        """Return what follows the series."""
        new, _ = check_series(series, exog, fill=self.fill, expected=self._form)
        histories = self._memory.histories
        if len(new) != len(histories):
            raise ValueError(
                f"series must go on with each of {len(histories)} series, got {len(new)}"
            )
        followed = []
        for k, (history, one) in enumerate(zip(histories, new, strict=True)):
            place = f"series[{k}]" if self._form.is_list else "series"
            if self.log:
                self._check_positive(one, place)
            followed.append(check_follows(history.series, one, place))
        return followed

    # -- scores --

    def mase(self, series: Any, exog: Any = None) -> float:
        check_is_fitted(self)
        windows = self._roll(self._check_new(series, exog), self.horizon, None)
        return side_by_side(windows, None).mase

    def score(self, series: Any, y: Any = None, exog: Any = None) -> float:
        return -self.mase(series, exog)

    def backtest(
        self,
        series: Any,
        n_windows: int = 5,
        step: int | None = None,
        *,
        exog: Any = None,
        coverage: float | None = 0.8,
        refit: bool = False,
    ) -> Backtest:
        self._check_parameters()
        step = self.horizon if step is None else step
        for name, number in (("n_windows", n_windows), ("step", step)):
            if not isinstance(number, Integral) or number < 1:
                raise ValueError(
                    f"{name} must be a whole number of at least 1, got {number!r}"
                )
        checked, form = check_series(series, exog, fill=self.fill)
        held_out = self.horizon + (n_windows - 1) * step
        needed = held_out + shortest(self.get_params(deep=False))
        self._check_learnable(checked, f"a backtest of {n_windows} windows: series", needed)
        windows: list[Window] = []
        begins = range(0, n_windows * step, step) if refit else [0]
        for begin in begins:
            n_known = [len(one) - held_out + begin for one in checked]
            parts = list(zip(checked, n_known, strict=True))
            model = clone(self)
            model._fit([one.before(n) for one, n in parts], form)
            if coverage is not None:
                model._check_coverage(coverage)
            new = [one.after(n) for one, n in parts]
            windows += model._roll(new, step, coverage, 1 if refit else n_windows)
        return side_by_side(windows, coverage)

    def _roll(
        self,
        new: list[Series],
        step: int,
        coverage: float | None,
        n_windows: int | None = None,
    ) -> list[Window]:
        """Forecast what follows the fitted series, and again every few steps."""
        return roll(
            self._model,
            self._memory,
            new,
            self._scales,
            n_windows=n_windows,
            step=step,
            period=self._period,
            coverage=coverage,
            n_threads=resolve_n_jobs(self.n_jobs),
        )
