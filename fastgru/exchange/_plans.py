"""From what a file says to models, in two parts.

A plan is made of the description first, all of which it checks: it holds layers that
have settings and no parameters, so that no size in a file takes memory until the file
is known to hold arrays of that size.  ``build`` then makes the model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from fastgru.exchange._describing import LAYERS
from fastgru.exchange._values import check_count, check_list, check_type, take, unplain
from fastgru.exchange.container import Tensor, shortened
from fastgru.parameters import ParameterSet

# Layers beyond which the many small steps of building them would take long.
_MOST_LAYERS = 1000


class Source(Protocol):
    """Where the arrays of a file are read from."""

    def read_into(self, name: str, target: np.ndarray) -> None:
        """Read an array to where one of its shape and dtype stands."""


class Wanted(NamedTuple):
    """An array that a model has."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


class Plan(ABC):
    """A model as a file describes it, before it is made."""

    @abstractmethod
    def tensors(self) -> Iterator[Wanted]:
        """Yield the arrays that the file must hold, taking no memory."""

    def check(self, source: Source) -> None:  # noqa: B027
        """Check the numbers of the arrays, which are known to be there, if need be.

        Those of weights are what they are; NaN gives NaN.
        """

    @abstractmethod
    def build(self, source: Source) -> Any:
        """Make the model; all has been checked."""


def check_tensors(plan: Plan, tensors: Mapping[str, Tensor]) -> None:
    """Compare the arrays that a file holds with those that its description calls for.

    It ends at the first that is missing, however many a lying description calls for.
    """
    left = dict(tensors)
    for name, shape, dtype in plan.tensors():
        found = left.pop(name, None)
        if found is None:
            raise ValueError(f"missing {shortened(name)} of shape {shape}")
        if found.shape != tuple(shape):
            raise ValueError(
                f"{shortened(name)} must have shape {tuple(shape)} by the model's "
                f"settings, got shape {found.shape}"
            )
        if found.dtype != dtype:
            raise ValueError(
                f"{shortened(name)} must have dtype {dtype}, got dtype {found.dtype}"
            )
    if left:
        raise ValueError(f"unexpected arrays: {', '.join(map(shortened, [*left][:8]))}")


# -- layers and networks ---------------------------------------------------------------


class ParametersPlan(Plan):
    """A layer or a network, which has no parameters yet."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def tensors(self) -> Iterator[Wanted]:
        """Yield the arrays of the parameters."""
        for name, shape in self.model._shapes():
            yield Wanted(name, shape, self.model.dtype)

    def build(self, source: Source) -> Any:
        """Give the model its parameters."""
        shapes = dict(self.model._shapes())
        # A layer of no parameters may have no dtype either.
        dtype = self.model.dtype if shapes else np.dtype(np.float32)
        parameters = ParameterSet(shapes, dtype)
        for name in parameters:
            source.read_into(name, parameters[name])
        self.model._bind(parameters)
        return self.model


def plan_layer(description: Any) -> Any:
    import fastgru

    kind, settings = take(description, "a layer", "class", "settings")
    if not isinstance(kind, str) or kind not in LAYERS:
        raise ValueError(f"there is no layer {shortened(kind)}")
    layer_class = getattr(fastgru, kind)
    names = layer_class._settings
    values = take(settings, f"the settings of a {kind}", *names)
    settings = dict(zip(names, values, strict=True))
    # NumPy takes many other things for dtypes.
    if "dtype" in settings and settings["dtype"] not in ("float32", "float64"):
        raise ValueError(
            f"dtype must be float32 or float64, got {shortened(settings['dtype'])}"
        )
    return layer_class._without_parameters(settings)


def plan_network(layers: Any, batch_first: Any) -> Any:
    from fastgru.layers._layer import Layer
    from fastgru.layers.network import Network

    check_type(layers, list, "the layers of a network")
    if not 1 <= len(layers) <= _MOST_LAYERS:
        raise ValueError(
            f"a network in a file has from 1 to {_MOST_LAYERS} layers: {len(layers)}"
        )
    own = [plan_layer(layer) for layer in layers]
    for layer in own:
        if not isinstance(layer, Layer):
            raise ValueError(f"a network has no {type(layer).__name__}")
    network = Network.__new__(Network)
    network._configure(own, batch_first)
    return network


# -- what estimators have in common ----------------------------------------------------


def plan_settings(kind: str, settings: Any) -> Any:
    """Return an estimator of fastgru with these parameters, yet to be checked."""
    import fastgru

    estimator_class = getattr(fastgru, kind)
    names = estimator_class._get_param_names()
    values = take(settings, f"the settings of {kind}", *names)
    pairs = zip(names, values, strict=True)
    return estimator_class(**{name: unplain(value) for name, value in pairs})


def check_parameters(estimator: Any) -> None:
    """Check the parameters of an estimator that trains."""
    if estimator.callbacks is not None:
        raise ValueError("a file holds no callbacks")
    estimator._check_parameters()


def plan_training(description: Any) -> dict[str, Any]:
    """Return the fitted attributes that say how a training went."""
    from fastgru.estimators._going_on import attributes_of
    from fastgru.training.history import History

    names = ("t", "losses", "scores", "stopped_by_score")
    t, losses, scores, by_score = take(description, "fitted", *names)
    check_count(t, 0, "t_")
    check_list(losses, float, "loss_curve_")
    check_list(scores, float, "validation_scores_")
    check_type(by_score, bool, "stopped_by_score")
    if not losses or len(scores) > len(losses):
        raise ValueError(f"{len(losses)} losses and {len(scores)} scores")
    return attributes_of(History.of(losses, scores), t, stops_by_score=by_score)
