"""What a fitted forecaster is made of besides its network: arrays, and back from them.

States are no part: they follow from the network and the series, to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgru.forecasting._histories import ExogScale
from fastgru.forecasting._intervals import Errors
from fastgru.forecasting._model import Memory, Model
from fastgru.forecasting._series import Series
from fastgru.forecasting._strategies import Direct, Strategy
from fastgru.forecasting._transforms import Transform
from fastgru.layers.network import Network

Shape = tuple[int, ...]

_OF_TRANSFORMS = ("season", "offset", "drift", "scale")


@dataclass(frozen=True)
class Sizes:
    """What the shapes of the arrays follow from.

    Parameters
    ----------
    lengths : list of int
        Steps of each series.
    season_length : int
        Steps of a season, 1 where none is taken out.
    n_errors : list of int or None
        Forecasts of each series whose errors make the intervals; None without
        calibration.
    """

    lengths: list[int]
    season_length: int
    n_errors: list[int] | None


def arrays_of(
    model: Model, memory: Memory, scales: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the arrays of a fitted forecaster by name, all float64.

    scales : what the errors of each series are divided by
    """
    series = [history.series for history in memory.histories]
    transforms = [history.transform for history in memory.histories]
    arrays = {
        "series.values": np.concatenate([one.values for one in series]),
        "scales": scales,
    }
    for name in _OF_TRANSFORMS:
        parts = [getattr(transform, name) for transform in transforms]
        arrays[f"transforms.{name}"] = np.stack(parts)
    if model.strategy.n_exog:
        arrays["series.exog"] = np.concatenate([one.exog for one in series])
        arrays["exog.mean"] = model.exog_scale.mean
        arrays["exog.scale"] = model.exog_scale.scale
    if isinstance(model.strategy, Direct):
        arrays["growth"] = model.strategy.growth
    if memory.errors is not None:
        arrays["errors"] = memory.errors.values
    return arrays


def shapes_of(strategy: Strategy, sizes: Sizes) -> dict[str, Shape]:
    """Return what ``arrays_of`` returns the arrays of, taking no memory."""
    n_series, n_steps = len(sizes.lengths), sum(sizes.lengths)
    n_targets, n_exog = strategy.n_targets, strategy.n_exog
    shapes: dict[str, Shape] = {
        "series.values": (n_steps, n_targets),
        "scales": (n_series, n_targets),
        "transforms.season": (n_series, sizes.season_length, n_targets),
        "transforms.offset": (n_series, n_targets),
        "transforms.drift": (n_series, n_targets),
        "transforms.scale": (n_series, n_targets),
    }
    if n_exog:
        shapes["series.exog"] = (n_steps, n_exog)
        shapes |= {"exog.mean": (n_exog,), "exog.scale": (n_exog,)}
    if isinstance(strategy, Direct):
        shapes["growth"] = (strategy.horizon, n_targets)
    if sizes.n_errors is not None:
        shapes["errors"] = (sum(sizes.n_errors), strategy.horizon, n_targets)
    return shapes


def check_arrays(arrays: Mapping[str, np.ndarray], *, log: bool) -> None:
    """Refuse numbers that no forecaster has.

    Errors may be anything, as weights may: a training can have run into NaN.
    """
    for name, array in arrays.items():
        if name != "errors" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds numbers that are not finite")
    for name in ("transforms.scale", "exog.scale", "growth"):
        if name in arrays and not (arrays[name] > 0).all():
            raise ValueError(f"{name} must be above 0")
    if not (arrays["scales"] >= 0).all():
        raise ValueError("scales must not be below 0")
    if log and not (arrays["series.values"] > 0).all():
        raise ValueError("series.values must be above 0, as their logarithms are taken")


def from_arrays(
    network: Network,
    strategy: Strategy,
    arrays: Mapping[str, np.ndarray],
    sizes: Sizes,
    indexes: Sequence[Any],
    names: Sequence[tuple[Any, ...]],
    n_judged: list[int] | None,
    *,
    log: bool,
    n_threads: int,
) -> tuple[Model, Memory]:
    """Return what ``arrays_of`` was given; the strategy gets its growth."""
    n_exog = strategy.n_exog
    exog_scale = ExogScale(np.empty(0), np.empty(0))
    exog = np.empty((sum(sizes.lengths), n_exog))
    if n_exog:
        exog_scale = ExogScale(arrays["exog.mean"], arrays["exog.scale"])
        exog = arrays["series.exog"]
    if isinstance(strategy, Direct):
        strategy.growth = arrays["growth"]
    model = Model(network, strategy, exog_scale)
    ends = np.cumsum(sizes.lengths)[:-1]
    values, exogs = np.split(arrays["series.values"], ends), np.split(exog, ends)
    columns = values, exogs, indexes, names
    series = [Series(*parts) for parts in zip(*columns, strict=True)]
    found = [arrays[f"transforms.{name}"] for name in _OF_TRANSFORMS]
    transforms = [Transform(log, *parts) for parts in zip(*found, strict=True)]
    histories = model.histories(series, transforms)
    errors = None
    if sizes.n_errors is not None:
        errors = Errors(arrays["errors"], np.array(sizes.n_errors))
    return model, model.begin(histories, errors, n_threads, n_judged)
