"""What conversions are made from and of: layers yet to be made, networks of models."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell
from fastgru.layers.network import Network


class Part(NamedTuple):
    """A layer that another framework's settings and arrays describe."""

    layer: Any  # the class
    settings: dict[str, Any]
    state: Mapping[str, np.ndarray]

    def make(self, **more: Any) -> Any:
        """Return the layer; ``more`` are further settings."""
        # A seed, so that nothing is drawn from NumPy's global generator.
        draws = "random_state" in signature(self.layer).parameters
        seed = {"random_state": 0} if draws else {}
        made = self.layer(**self.settings, **more, **seed)
        made.load_state_dict(self.state)
        return made


def network_of(model: Any) -> Network:
    """Return the network whose outputs a fitted estimator's results are made of."""
    # Of a transformer the part whose outputs users get.
    network: Network = getattr(model, "_encoder", model._network)
    return network


def refuse_forecaster(model: Any) -> None:
    """Refuse a forecaster, whose network alone forecasts nothing.

    Raises
    ------
    TypeError
        If the model is one; it says what goes instead.
    """
    from fastgru.estimators import GRUForecaster

    if isinstance(model, GRUForecaster):
        raise TypeError(
            f"a {type(model).__name__} cannot be exported: its forecasts are made of "
            "the series, their transforms and windows, and not by its network alone.  "
            "fastgru.save writes all of it to a file.  What can be exported is a "
            "GRURegressor that was fitted to windows of the series"
        )


def exchangeable(model: Any) -> GRU | GRUCell | Network:
    """Return what a model computes with: a layer as it is, a network, an estimator's.

    The network of an estimator is batch-first, as its sequences are.

    Raises
    ------
    TypeError
        If it is none of these; a forecaster is more than a network.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    """
    if isinstance(model, (GRU, GRUCell, Network)):
        return model
    from sklearn.utils.validation import check_is_fitted

    from fastgru.estimators import GRULanguageModel
    from fastgru.estimators._base import GRUEstimator

    refuse_forecaster(model)
    if not isinstance(model, (GRUEstimator, GRULanguageModel)):
        kind = type(model)
        raise TypeError(
            "expected a GRU, GRUCell, Network, GRUClassifier, GRURegressor, "
            "GRUTransformer or GRULanguageModel, got "
            f"{kind.__module__}.{kind.__qualname__}"
        )
    check_is_fitted(model)
    return Network(network_of(model).layers, batch_first=True)
