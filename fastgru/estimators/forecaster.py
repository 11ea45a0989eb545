"""The forecaster: how one series or many go on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from fastgru._threads import resolve_n_jobs
from fastgru.estimators._base import GRUEstimator, _positive_int
from fastgru.estimators._forecast_training import LOSSES, ForecastTraining, shortest
from fastgru.estimators._going_on import fitted_of
from fastgru.estimators._networks import summary
from fastgru.estimators._training import callbacks_of
from fastgru.forecasting._indexes import next_index
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
    columns_of,
    members_of_exog,
)
from fastgru.forecasting._transforms import KINDS, SEASONAL, Transform
from fastgru.forecasting.backtest import Backtest
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


# What a fitted forecaster cannot change.
LASTING = ("horizon", "strategy", "transform", "log", "period")


class GRUForecaster(BaseEstimator):
    """Forecasts how a series goes on, with a gated recurrent unit.

    Learns from one series, from several variables of one, or from many series together
    (one global model), and forecasts several steps ahead, with intervals.

    Parameters
    ----------
    horizon : int, default=1
        How many steps to forecast.
    lags : int or None, default=None
        Steps of a window: how far back the network looks while it is trained, and with
        the direct strategy for each forecast.  None means two periods, or without a
        period 10 times the decimal logarithm of the length; at most half of the series.
    strategy : {"direct", "recursive"}, default="direct"
        Whether all steps of the horizon are forecast at once, or one after the other,
        each read as if it had come.  The recursive strategy forecasts any number of
        steps, and keeps the state that it has reached from update to update.
    transform : {"standardize", "difference", "seasonal", "stl", None}, \
            default="difference"
        What the network is shown.  "standardize": values less their mean, over their
        deviation.  "difference": changes from step to step, less their mean, over their
        deviation; what a trend needs.  "seasonal": the same of what is left without the
        season, which classical decomposition finds.  "stl": so too, with the season of
        statsmodels' STL.  None: values as they are.  It is undone in forecasts.
    log : bool, default=False
        Whether logarithms are transformed: for positive series whose swings grow with
        them.
    period : int or None, default=None
        Steps after which a series is like before, 12 for months of a year.  It is the
        season's, that of the seasonal naive forecast by which errors are scaled, and
        sets ``lags``.
    fill : {"linear", "last", None}, default=None
        What to do about gaps, which are NaN: interpolate, repeat what came before, or
        refuse them.
    hidden_size, num_layers : int, default=32, 1
        Units of each recurrent layer, and number of layers.
    reset_after, dropout, recurrent_dropout : default=True, 0.0, 0.0
        As for :class:`fastgru.GRUClassifier`.
    initializer : str, default="uniform"
        As for :class:`fastgru.GRUClassifier`.
    loss : {"absolute_error", "squared_error", "huber"}, default="absolute_error"
        What is minimised, see :mod:`fastgru.losses`.
    calibration_fraction : float or None, default=0.2
        Part at the end of each series, at least a horizon, that a first training does
        not see.  Errors of forecasts there make the intervals, and ``early_stopping``
        scores epochs by it.  None means no intervals.  Where too little would be left
        to learn from, nothing is held out either.
    refit : bool, default=True
        Whether the network is then trained anew on all steps.
    solver, alpha, l1_ratio : default="adam", 0.0001, 0.0
        As for :class:`fastgru.GRUClassifier`.
    batch_size : int or "auto", default=32
        Windows per minibatch.
    learning_rate, learning_rate_init : default="cosine", 0.005
        As for :class:`fastgru.GRUClassifier`.
    power_t, decay_rate : default=0.5, 0.95
        As for :class:`fastgru.GRUClassifier`.
    max_iter : int, default=50
        Epochs; one shows each window once.
    shuffle, random_state, tol, verbose : default=True, None, 1e-4, False
        As for :class:`fastgru.GRUClassifier`.
    momentum, nesterovs_momentum : default=0.9, True
        As for :class:`fastgru.GRUClassifier`.
    early_stopping : bool, default=False
        Whether the first training stops when forecasts of the held-out steps no longer
        become better.  The second one then has as many epochs as were best.
    n_iter_no_change, beta_1, beta_2, epsilon : default=10, 0.9, 0.999, 1e-8
        As for :class:`fastgru.GRUClassifier`.
    clip_norm, callbacks : default=1.0, None
        As for :class:`fastgru.GRUClassifier`; callbacks see the epochs of both
        trainings.
    n_jobs, dtype : default=None, "float32"
        As for :class:`fastgru.GRUClassifier`.

    Attributes
    ----------
    lags_ : int
        Steps of a window.
    n_features_in_ : int
        Variables of a step.
    loss_curve_, loss_, best_loss_, n_iter_, t_
        As for :class:`fastgru.GRUClassifier`, of the last training.
    validation_scores_, best_validation_score_
        As for :class:`fastgru.GRUClassifier`; None after a second training.

    See Also
    --------
    GRURegressor : Targets that are not the series' own next steps.
    fastgru.plotting.ForecastDisplay : Draws forecasts and backtests.

    Notes
    -----
    A transform is fitted to the series of ``fit`` and then stays, so that the same
    steps give the same forecast to the bit, whether they came in ``fit``, in one
    ``update`` or in many.

    With the direct strategy and a transform of changes the network gives, for each step
    of the horizon, how far the series will be from its last value, in units of how far
    it usually is after as many steps.

    Intervals are split conformal [1]_: forecasts of steps that the network was not
    trained on were off by so much in a share ``coverage`` of all cases.  They promise
    that coverage if errors come in any order, which those of a series do only about;
    that errors of j steps ahead overlap is made up for by counting n of them as n / j.
    Errors of later steps, which ``update`` brings, take the places of the oldest ones
    of their series.  The network of the second training has seen more than the one that
    they were measured with.  With several series the errors of all are pooled, each in
    units of its own transform.

    Ctrl-C ends a training with a warning and keeps its last finished epoch; one that
    ends the first training leaves out the second.

    References
    ----------
    .. [1] Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free
       predictive inference for regression", JASA 113, section 2.2.
    .. [2] Cho et al. (2014), arXiv:1406.1078, section 2.3 (the unit).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRUForecaster
    >>> series = 100 + np.arange(120) + 10 * np.sin(np.arange(120) * np.pi / 6)
    >>> forecaster = GRUForecaster(horizon=6, period=12, random_state=0)
    >>> forecaster = forecaster.fit(series[:108])
    >>> forecaster.predict().shape
    (6,)
    >>> lower, upper = forecaster.predict_interval(coverage=0.8)
    >>> bool((lower < upper).all())
    True
    >>> forecaster.mase(series[108:]) < 1.0
    True
    """

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
    _fitted_with: dict[str, Any]

    # Series stand where others have X, which is no metadata.
    __metadata_request__fit: ClassVar[dict] = {"series": UNUSED}
    __metadata_request__predict: ClassVar[dict] = {"series": UNUSED}
    __metadata_request__score: ClassVar[dict] = {"series": UNUSED}

    def __init__(
        self,
        horizon: int = 1,
        *,
        lags: int | None = None,
        strategy: str = "direct",
        transform: str | None = "difference",
        log: bool = False,
        period: int | None = None,
        fill: str | None = None,
        hidden_size: int = 32,
        num_layers: int = 1,
        reset_after: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        initializer: str = "uniform",
        loss: str = "absolute_error",
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
        max_iter: int = 50,
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

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.allow_nan = self.fill is not None
        return tags

    # -- fitting --

    def fit(self, series: Any, y: Any = None, *, exog: Any = None) -> GRUForecaster:
        """Learn from one series or many.

        Parameters
        ----------
        series : array-like of shape (n_steps,) or (n_steps, n_variables), or list
            One series, of one variable or of several that are forecast together; or a
            list of series of any lengths, from which one model learns.  A pandas Series
            or DataFrame keeps its index, which must be sorted and regular.
        y : None
            Not used; pipelines and searches pass it.
        exog : array-like of shape (n_steps,) or (n_steps, n_exog), or list of them
            Features that are known ahead for steps to come (a holiday, a price), a row
            for each step of the series; None, the default, means none.

        Returns
        -------
        GRUForecaster
            The fitted estimator.

        Raises
        ------
        TypeError
            If something does not hold numbers.
        ValueError
            If a parameter is not as described; if a series is too short, has gaps that
            are not to be filled, infinity, or with ``log`` numbers that are not
            positive; if an index is not sorted or not regular; or if exog does not have
            a row for each step.  The message names the place.
        ImportError
            For ``transform="stl"`` without statsmodels.
        """
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
            errors,
            resolve_n_jobs(self.n_jobs),
        )
        self.__dict__.update(
            fitted_of(trained.trainer, partial=False),
            _model=model,
            _memory=memory,
            _form=form,
            _scales=np.array([naive_error(s.values, self._period) for s in checked]),
            _fitted_with={name: settings[name] for name in LASTING},
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
        """Forecast the next steps.

        Parameters
        ----------
        n_steps : int, default=None
            How many; None means ``horizon``.  With the direct strategy at most that.
        exog : array-like of shape (n_steps, n_exog), or list of them, default=None
            The known features of the steps to come, if ``fit`` was given any; with the
            direct strategy of all steps of the horizon.
        series : as for ``fit``, default=None
            Series to forecast instead of those of ``fit``.  Their own values set their
            transform.  Not for forecasters with exog.

        Returns
        -------
        ndarray of shape (n_steps,) or (n_steps, n_variables), or list of them
            In the form of the series; pandas objects with the index that follows.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        TypeError, ValueError
            If n_steps is no such number, exog does not have a row for each step, or
            ``series`` is not as ``fit`` takes it.
        """
        self._check_fitted()
        (values,), to_user = self._forecast(n_steps, exog, series, None)
        return to_user(values)

    def predict_interval(
        self,
        coverage: float = 0.9,
        n_steps: int | None = None,
        exog: Any = None,
        *,
        series: Any = None,
    ) -> tuple[Any, Any]:
        """Return intervals in which the next steps lie with some probability.

        Parameters
        ----------
        coverage : float, default=0.9
            That probability, for each step by itself.
        n_steps, exog, series
            As for :meth:`predict`; at most ``horizon`` steps with either strategy.

        Returns
        -------
        lower, upper : as ``predict`` returns
            Ends of the intervals.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As ``predict``; and if coverage is not between 0 and 1, if nothing was held
            out, or if too little was for such a coverage.
        """
        self._check_fitted()
        self._check_coverage(coverage)
        (_, lower, upper), to_user = self._forecast(n_steps, exog, series, coverage)
        return to_user(lower), to_user(upper)

    def _forecast(
        self, n_steps: int | None, exog: Any, series: Any, coverage: float | None
    ) -> tuple[tuple[list[np.ndarray], ...], Callable[[list[np.ndarray]], Any]]:
        """Return forecasts and ends of intervals, and what gives them their form."""
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
        series = [history.series for history in memory.histories]
        indexes = [next_index(one.index, n_steps) for one in series]
        names = [one.names for one in series]
        return results, partial(form.to_user, indexes=indexes, names=names)

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
        columns = self._form.columns
        if form.columns and columns and form.columns != columns:
            raise ValueError(
                f"series has the columns {list(form.columns)}, expected {list(columns)}"
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

    def _check_fitted(self) -> None:
        """Refuse what is not fitted, or was fitted as something else."""
        check_is_fitted(self)
        for name, value in self._fitted_with.items():
            if getattr(self, name) != value:
                raise ValueError(
                    f"{name} was {value!r} in fit and is {getattr(self, name)!r} now; "
                    "call fit again"
                )

    def _check_coverage(self, coverage: Any) -> None:
        _check_probability(coverage)
        if self._memory.errors is None:
            raise ValueError(
                "there are no intervals: "
                + (
                    "calibration_fraction=None held nothing out"
                    if self.calibration_fraction is None
                    else "the series were too short to hold steps out, or fit was "
                    "interrupted before it had forecast them"
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
        exogs = members_of_exog(exog, n_series, is_list=form.is_list)
        checked = []
        for k, (one, history) in enumerate(zip(exogs, memory.histories, strict=True)):
            place = f"exog[{k}]" if form.is_list else "exog"
            index = next_index(history.series.index, n_rows)
            values = check_exog(one, n_rows, index, place)
            if values.shape[1] != form.n_exog:
                raise ValueError(
                    f"{place} has {values.shape[1]} features, expected {form.n_exog}"
                )
            columns = columns_of(one)
            if columns and form.exog_columns and columns != form.exog_columns:
                raise ValueError(
                    f"{place} has the columns {list(columns)}, expected "
                    f"{list(form.exog_columns)}"
                )
            checked.append(values)
        return checked

    def summary(self) -> str:
        """Return a table of the fitted network: layers, shapes, parameter counts.

        Returns
        -------
        str
            To print.  In the shapes, n stands for the samples and T for the steps.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        """
        check_is_fitted(self)
        form = SequenceForm("sequences", self._model.strategy.n_inputs)
        return summary(self._model.network, form)

    def update(self, series: Any, exog: Any = None) -> GRUForecaster:
        """Read what came after the series, without training.

        Forecasts then begin behind the new steps, to the same bits as if all had been
        read at once; intervals learn from how far off the forecasts of the new steps
        were.

        Parameters
        ----------
        series : as for ``fit``
            The steps that follow, at least one of each series.
        exog : as for ``fit``, default=None
            Their known features.

        Returns
        -------
        GRUForecaster
            The estimator itself.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        TypeError, ValueError
            If the steps are not of the form of those of ``fit``, or an index does not
            go on where the series ended.
        """
        self._check_fitted()
        new = self._check_new(series, exog)
        self._memory = self._model.update(
            self._memory, new, resolve_n_jobs(self.n_jobs)
        )
        return self

    def _check_new(self, series: Any, exog: Any) -> list[Series]:
        """Return what follows the series."""
        histories = self._memory.histories
        new, _ = check_series(
            series,
            exog,
            fill=self.fill,
            expected=self._form,
            before=[history.series.values[-1] for history in histories],
        )
        if len(new) != len(histories):
            raise ValueError(
                f"series must go on with each of {len(histories)} series, got "
                f"{len(new)}"
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
        """Return the mean absolute scaled error of forecasts of what came later.

        The steps are forecast from the end of the fitted series, then read, a horizon
        at a time, and so on; the estimator itself stays where it is.  Errors are
        divided by the mean absolute error that repeating the last period had, one step
        ahead, on the series of ``fit`` [1]_: below 1 is better than that.

        Parameters
        ----------
        series, exog
            As for :meth:`update`.

        Returns
        -------
        float
            The mean over all steps, variables and series.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As ``update``; if a fitted series did not change over a period; and if the
            last forecast of the direct strategy would lack known features, because the
            steps are no multiple of ``horizon``.

        References
        ----------
        .. [1] Hyndman and Koehler (2006), "Another look at measures of forecast
           accuracy", International Journal of Forecasting 22, section 3.
        """
        self._check_fitted()
        new = self._check_new(series, exog)
        if self.strategy == "direct" and self._form.n_exog:
            self._check_whole_horizons(new)
        windows = self._roll(new, self.horizon, None)
        return side_by_side(windows, new, None).mase

    def _check_whole_horizons(self, new: list[Series]) -> None:
        for k, one in enumerate(new):
            if len(one) % self.horizon:
                place = f"series[{k}]" if self._form.is_list else "series"
                raise ValueError(
                    f"{place} has {len(one)} steps; the direct strategy reads the "
                    "known features of all steps of the horizon, so that their number "
                    f"must be a multiple of horizon={self.horizon}"
                )

    def score(self, series: Any, y: Any = None, exog: Any = None) -> float:
        """Return minus the MASE of forecasts of what came later, see :meth:`mase`.

        Parameters
        ----------
        series : as for ``update``
        y : None
            Not used; searches pass it.
        exog : as for ``update``, default=None

        Returns
        -------
        float
            At most 0; higher is better.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As ``mase``.
        """
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
        """Find out how good forecasts of the last steps of a series would have been.

        A clone is fitted to what comes before the first window; it forecasts the
        window, reads on to where the next one begins, and so on.  The estimator itself
        is not changed, and need not be fitted.

        Parameters
        ----------
        series : as for ``fit``
        n_windows : int, default=5
            Forecasts of each series; the last one ends with it.
        step : int, default=None
            Steps from one window's begin to the next one's; None means ``horizon``.
        exog : as for ``fit``, default=None
        coverage : float or None, default=0.8
            Of intervals; None makes none.
        refit : bool, default=False
            Whether a clone is fitted for each window anew.

        Returns
        -------
        Backtest
            Forecasts, intervals, what came, and the seasonal naive forecast; its
            ``mase`` and ``naive_mase`` say which was better.

        Raises
        ------
        TypeError, ValueError
            As ``fit``, and if a series is too short for the windows.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru import GRUForecaster
        >>> series = np.arange(90) + 5 * np.sin(np.arange(90) * np.pi / 6)
        >>> forecaster = GRUForecaster(horizon=6, period=12, random_state=0)
        >>> backtest = forecaster.backtest(series, n_windows=3)
        >>> backtest.mase < backtest.naive_mase
        True
        """
        self._check_parameters()
        step = self.horizon if step is None else step
        for name, number in (("n_windows", n_windows), ("step", step)):
            if not isinstance(number, Integral) or number < 1:
                raise ValueError(
                    f"{name} must be a whole number of at least 1, got {number!r}"
                )
        if coverage is not None:
            _check_probability(coverage)
        checked, form = check_series(series, exog, fill=self.fill)
        held_out = self.horizon + (n_windows - 1) * step
        needed = held_out + shortest(self.get_params(deep=False))
        self._check_learnable(
            checked, f"a backtest of {n_windows} windows: series", needed
        )
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
        return side_by_side(windows, checked, coverage)

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


def _check_probability(coverage: Any) -> None:
    if not isinstance(coverage, Real) or not 0 < float(coverage) < 1:
        raise ValueError(f"coverage must be between 0 and 1, got {coverage!r}")
