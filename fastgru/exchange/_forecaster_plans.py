"""The plan of a forecaster, and what a file says of one; see ``_plans``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgru.exchange._indexes import IndexPlans
from fastgru.exchange._plans import (
    ParametersPlan,
    Plan,
    Source,
    Wanted,
    check_parameters,
    plan_network,
    plan_settings,
    plan_training,
)
from fastgru.exchange._values import check_count, check_list, check_type, take
from fastgru.exchange.container import shortened

if TYPE_CHECKING:
    from fastgru.forecasting._series import SeriesForm
    from fastgru.forecasting._strategies import Strategy

_KEYS = ("class", "settings", "form", "network", "strategy", "series", "fitted")
_SIZES_OF_FORM = ("is_list", "container", "is_flat", "n_targets", "n_exog")
_FORM = (*_SIZES_OF_FORM, "columns", "exog_columns")
_SERIES = ("lengths", "log", "n_errors", "n_judged", "indexes", "names")
_CONTAINERS = ("array", "Series", "DataFrame")


# -- to JSON ---------------------------------------------------------------------------


def describe_parts(model: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return what only a forecaster has: arrays, and the rest as JSON values."""
    from fastgru.forecasting._parts import arrays_of

    strategy, memory, form = model._model.strategy, model._memory, model._form
    series = [history.series for history in memory.histories]
    indexes = None
    if form.container != "array":
        plans = IndexPlans(0)
        indexes = [plans.describe(one.index) for one in series]
    has_errors = memory.errors is not None
    described = {
        "form": {name: getattr(form, name) for name in _SIZES_OF_FORM}
        | {
            "columns": _plain_names(form.columns),
            "exog_columns": _plain_names(form.exog_columns),
        },
        "strategy": {
            "class": type(strategy).__name__,
            "horizon": int(strategy.horizon),
            "lags": int(strategy.lags),
            "of_changes": strategy.of_changes,
        },
        "series": {
            "lengths": [len(one) for one in series],
            "log": memory.histories[0].transform.log,
            "n_errors": memory.errors.counts.tolist() if has_errors else None,
            "n_judged": [int(n) for n in memory.n_judged] if has_errors else None,
            "indexes": indexes,
            "names": [_plain_names(one.names) for one in series],
        },
    }
    return arrays_of(model._model, memory, model._scales), described


def _plain_names(names: tuple[Any, ...]) -> list[Any]:
    return [_plain_name(name) for name in names]


def _plain_name(name: Any) -> Any:
    """Return the name of a variable, if a file can give it back."""
    name = name.item() if isinstance(name, np.generic) else name
    if name is not None and type(name) not in (str, int):
        raise TypeError(
            "a file holds names of columns that are text or whole numbers, got "
            f"{name!r} of type {type(name).__name__}"
        )
    return name


# -- from JSON -------------------------------------------------------------------------


class ForecasterPlan(Plan):
    """A fitted GRUForecaster, with the series that it goes on from."""

    def __init__(self, description: dict[str, Any]) -> None:
        take(description, "GRUForecaster", *_KEYS)
        self.model = plan_settings("GRUForecaster", description["settings"])
        check_parameters(self.model)
        self._form = _plan_form(description["form"])
        self._strategy = self._plan_strategy(description["strategy"])
        parts = take(description["network"], "network", "layers", "batch_first")
        self._network = ParametersPlan(plan_network(*parts))
        _check_network(self._network.model, self._strategy)
        self._plan_series(description["series"])
        self._training = plan_training(description["fitted"])
        self._arrays: dict[str, np.ndarray] = {}
        self._indexes: list[Any] = [None] * len(self._sizes.lengths)

    def _plan_strategy(self, description: Any) -> Strategy:
        from fastgru.forecasting._strategies import Direct, Recursive
        from fastgru.forecasting._transforms import OF_CHANGES

        names = ("class", "horizon", "lags", "of_changes")
        kind, horizon, lags, of_changes = take(description, "strategy", *names)
        model = self.model
        kinds = {"direct": Direct, "recursive": Recursive}
        if kind != kinds[model.strategy].__name__:
            raise ValueError(
                f"strategy={model.strategy!r}, but it was fitted as {shortened(kind)}"
            )
        check_count(horizon, 1, "horizon")
        if horizon != model.horizon:
            raise ValueError(
                f"horizon={model.horizon}, but it was fitted with horizon={horizon}"
            )
        check_type(of_changes, bool, "of_changes")
        if of_changes != (model.transform in OF_CHANGES):
            raise ValueError(
                f"transform={model.transform!r}, but it was fitted to "
                f"{'changes' if of_changes else 'values'}"
            )
        return kinds[model.strategy](
            horizon,
            check_count(lags, 1, "lags_"),
            self._form.n_targets,
            self._form.n_exog,
            of_changes=of_changes,
        )

    def _plan_series(self, description: Any) -> None:
        from fastgru.forecasting._parts import Sizes
        from fastgru.forecasting._transforms import SEASONAL

        lengths, log, n_errors, n_judged, indexes, names = take(
            description, "series", *_SERIES
        )
        self._check_lengths(lengths)
        if check_type(log, bool, "log") != bool(self.model.log):
            raise ValueError(f"log={self.model.log!r}, but it was fitted with {log}")
        if (n_errors is None) != (n_judged is None):
            raise ValueError("n_errors and n_judged are not both there")
        if n_errors is not None:
            self._check_judged(n_errors, n_judged, lengths)
        if (indexes is None) != (self._form.container == "array"):
            raise ValueError("indexes are those of pandas objects, which have them")
        if indexes is not None:
            check_list(indexes, list, "indexes")
            _check_number("indexes", indexes, lengths)
        season_length = 1
        if self.model.transform in SEASONAL:
            season_length = int(self.model.period)
        self._sizes = Sizes(lengths, season_length, n_errors)
        self._n_judged, self._described = n_judged, indexes
        _check_number("names", check_list(names, list, "names"), lengths)
        self._names = [self._plan_names(own) for own in names]

    def _plan_names(self, names: list[Any]) -> tuple[Any, ...]:
        """Check the names of a series."""
        form = self._form
        expected = 0 if form.container == "array" else form.n_targets
        _check_names("names", names, expected)
        return tuple(names)

    def _check_lengths(self, lengths: Any) -> None:
        """Check that there are series, and that each is one to learn from."""
        from fastgru.estimators._forecast_training import shortest

        needed = shortest(self.model.get_params(deep=False))
        for n in check_list(lengths, int, "lengths"):
            check_count(n, needed, "the length of a series")
        if not lengths or (len(lengths) > 1 and not self._form.is_list):
            raise ValueError(f"there are {len(lengths)} series")

    def _check_judged(self, n_errors: Any, n_judged: Any, lengths: list[int]) -> None:
        """Check that errors were taken of all forecasts whose steps have come."""
        for n in check_list(n_errors, int, "n_errors"):
            check_count(n, 1, "n_errors")
        _check_number("n_errors", n_errors, lengths)
        check_list(n_judged, int, "n_judged")
        _check_number("n_judged", n_judged, lengths)
        horizon = self._strategy.horizon
        for n, length in zip(n_judged, lengths, strict=True):
            if not length - horizon < n <= length:
                raise ValueError(f"n_judged of {length} steps is {shortened(n)}")

    def tensors(self) -> Iterator[Wanted]:
        """Yield the arrays of the network, the series and what was found of them."""
        yield from self._network.tensors()
        yield from self._own_tensors()

    def _own_tensors(self) -> Iterator[Wanted]:
        from fastgru.forecasting._parts import shapes_of

        for name, shape in shapes_of(self._strategy, self._sizes).items():
            yield Wanted(name, shape, np.dtype(np.float64))

    def check(self, source: Source) -> None:
        """Check the series, their indexes and what was found of them."""
        from fastgru.forecasting._parts import check_arrays

        for name, shape, dtype in self._own_tensors():
            self._arrays[name] = np.empty(shape, dtype)
            source.read_into(name, self._arrays[name])
        check_arrays(self._arrays, log=bool(self.model.log))
        if self._described is not None:
            plans = IndexPlans(self._strategy.horizon)
            pairs = zip(self._described, self._sizes.lengths, strict=True)
            self._indexes = [plans.build(index, n) for index, n in pairs]

    def build(self, source: Source) -> Any:
        """Make the forecaster."""
        from fastgru._threads import resolve_n_jobs
        from fastgru.estimators.forecaster import LASTING
        from fastgru.forecasting._parts import from_arrays

        network = self._network.build(source)
        model, memory = from_arrays(
            network,
            self._strategy,
            self._arrays,
            self._sizes,
            self._indexes,
            self._names,
            self._n_judged,
            log=bool(self.model.log),
            n_threads=resolve_n_jobs(self.model.n_jobs),
        )
        fitted_with = {name: getattr(self.model, name) for name in LASTING}
        self.model.__dict__.update(
            self._training,
            _fitted_with=fitted_with,
            _network=network,
            _model=model,
            _memory=memory,
            _form=self._form,
            _scales=self._arrays["scales"],
            lags_=self._strategy.lags,
            n_features_in_=self._form.n_targets,
        )
        return self.model


def _plan_form(description: Any) -> SeriesForm:
    from fastgru.forecasting._series import SeriesForm

    is_list, container, is_flat, n_targets, n_exog, columns, exog_columns = take(
        description, "form", *_FORM
    )
    check_type(is_list, bool, "is_list")
    check_type(is_flat, bool, "is_flat")
    check_count(n_targets, 1, "n_targets")
    check_count(n_exog, 0, "n_exog")
    if container not in _CONTAINERS:
        raise ValueError(f"series are {shortened(container)}")
    flat = {"array": is_flat, "Series": True, "DataFrame": False}[container]
    if is_flat != flat or (is_flat and n_targets > 1):
        raise ValueError(
            f"{n_targets} variables do not fit into {container} with is_flat={is_flat}"
        )
    _check_names("columns", columns, n_targets if container == "DataFrame" else 0)
    _check_names("exog_columns", exog_columns, n_exog if exog_columns else 0)
    if container != "array":
        _need_pandas()
    return SeriesForm(
        is_list,
        container,
        is_flat,
        n_targets,
        n_exog,
        tuple(columns),
        tuple(exog_columns),
    )


def _check_names(what: str, names: Any, expected: int) -> None:
    check_type(names, list, what)
    if len(names) != expected:
        raise ValueError(f"{what} are {len(names)}, expected {expected}")
    for name in names:
        _check_name(name)


def _check_name(name: Any) -> None:
    if type(name) is int:
        check_count(abs(name), 0, "the name of a column")
    elif name is not None:
        # Halves of letters, which JSON can hold, are no text to pandas.
        check_type(name, str, "the name of a column").encode()


def _need_pandas() -> None:
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "this forecaster was fitted to pandas objects and forecasts such ones: "
            "pip install 'fastgru[forecast]'"
        ) from error


def _check_network(network: Any, strategy: Strategy) -> None:
    """Check that a network is one that this strategy forecasts with."""
    kinds = [type(layer).__name__ for layer in network.layers]
    pooling = [] if strategy.per_step else ["Pooling"]
    first, last = ["GRU", *pooling], ["Dense"]
    if kinds not in ([*first, *last], [*first, "Dropout", *last]):
        raise ValueError("its layers are not those of a forecaster's network")
    if network.layers[0].bidirectional:
        raise ValueError("a forecaster's network does not read backwards")
    if pooling and network.layers[1].how != "last":
        raise ValueError("a forecaster's network pools to the last step")
    sizes = network._input.n_features, network.output_size
    expected = strategy.n_inputs, strategy.n_outputs
    if sizes != expected:
        raise ValueError(
            f"its network has {sizes[0]} inputs and {sizes[1]} outputs, expected "
            f"{expected[0]} and {expected[1]}"
        )


def _check_number(what: str, values: list[Any], lengths: list[int]) -> None:
    if len(values) != len(lengths):
        raise ValueError(f"{what} are {len(values)}, for {len(lengths)} series")
