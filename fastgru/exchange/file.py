"""Models in files: safetensors for the numbers, JSON in its header for the rest.

Loading runs no code from the file: it names one of a few classes known here, and its
content is checked against a digest.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from fastgru.exchange.container import read_container, write_container

_FORMAT = "fastgru-1"


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a layer or a fitted estimator to a file.

    The file appears whole or not at all: an interruption leaves what stood there
    before.

    Parameters
    ----------
    model : layer, Network, GRUClassifier, GRURegressor, GRUTransformer
        or GRULanguageModel; estimators must be fitted.
    path : str or path-like
        Usually ending in ``.safetensors``.

    Raises
    ------
    TypeError
        If the model is of another class, or a parameter or class label of a kind that a
        file cannot hold.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    OSError
        If the file cannot be written.

    Notes
    -----
    A ``RandomState`` object as ``random_state`` is not kept; a number is.  Nor are
    callbacks kept, and what ``partial_fit`` remembers of former gradients.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "gru.safetensors"
    ...     fastgru.save(gru, path)
    ...     same = fastgru.load(path)
    >>> saved, loaded = gru.state_dict(), same.state_dict()
    >>> bool((loaded["weight_hh_l0"] == saved["weight_hh_l0"]).all())
    True
    """
    tensors, description = _describe(model)
    text = json.dumps(description, sort_keys=True)
    write_container(Path(path), _FORMAT, tensors, text)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what ``save`` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    layer, Network, GRUClassifier, GRURegressor, GRUTransformer or GRULanguageModel
        It gives the same bits as the one that was saved, on any CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, or not one that ``save`` wrote.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import fastgru
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "gru.safetensors"
    ...     fastgru.save(fastgru.GRU(3, 4), path)
    ...     gru = fastgru.load(path)
    >>> gru.hidden_size
    4
    """
    path = Path(path)
    tensors, text = read_container(path, _FORMAT, "fastgru.save")
    try:
        return _rebuild(json.loads(text), tensors, path)
    except (KeyError, TypeError, MemoryError) as error:
        raise ValueError(f"{path} does not describe a model: {error!r}") from error


# -- what a model is made of --


def _describe(model: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a model's tensors and the rest of it as JSON values."""
    from sklearn.utils.validation import check_is_fitted

    from fastgru.layers.network import Network

    kind = type(model)
    if kind in _layer_classes().values():
        return model.state_dict(), _describe_layer(model)
    if kind is Network:
        return model.state_dict(), {"class": "Network", **_describe_network(model)}
    if kind not in _estimator_classes().values():
        raise TypeError(
            "expected a layer, a Network, or a GRUClassifier, GRURegressor, "
            "GRUTransformer or GRULanguageModel, got "
            f"{kind.__module__}.{kind.__qualname__}"
        )
    check_is_fitted(model)
    settings = model.get_params()
    settings["callbacks"] = None
    if isinstance(settings["random_state"], np.random.RandomState):
        settings["random_state"] = None
    network = model._network
    description = {
        "class": kind.__name__,
        "settings": {name: _plain(name, value) for name, value in settings.items()},
        "network": _describe_network(network),
        "form": [model._form.kind, model._form.n_features_in],
        "task": _describe_task(model._task),
        "fitted": {
            name: _plain(name, getattr(model, name))
            for name in _FITTED
            if hasattr(model, name)  # a language model has no n_features_in_
        },
    }
    if hasattr(model, "feature_names_in_"):
        names = [str(name) for name in model.feature_names_in_]
        description["feature_names_in"] = names
    return network.state_dict(), description


def _estimator_classes() -> dict[str, Any]:
    """Return the classes of estimators that a file may name."""
    from fastgru.estimators import (
        GRUClassifier,
        GRULanguageModel,
        GRURegressor,
        GRUTransformer,
    )

    classes = (GRUClassifier, GRULanguageModel, GRURegressor, GRUTransformer)
    return {estimator.__name__: estimator for estimator in classes}


def _layer_classes() -> dict[str, Any]:
    """Return the classes of layers that a file may name."""
    from fastgru.layers.dense import Dense
    from fastgru.layers.dropout import Dropout
    from fastgru.layers.embedding import Embedding
    from fastgru.layers.gru import GRU
    from fastgru.layers.gru_cell import GRUCell
    from fastgru.layers.one_hot import OneHot
    from fastgru.layers.pooling import Pooling

    classes = (Dense, Dropout, Embedding, GRU, GRUCell, OneHot, Pooling)
    return {layer.__name__: layer for layer in classes}


def _describe_layer(layer: Any) -> dict[str, Any]:
    kind = type(layer)
    if kind not in _layer_classes().values():
        raise TypeError(
            f"a file holds layers of fastgru, got {kind.__module__}.{kind.__qualname__}"
        )
    return {"class": type(layer).__name__, "settings": layer.settings()}


def _describe_network(network: Any) -> dict[str, Any]:
    layers = [_describe_layer(layer) for layer in network.layers]
    return {"layers": layers, "batch_first": network.batch_first}


def _rebuild_layer(description: dict[str, Any]) -> Any:
    layer = _layer_classes()[description["class"]]
    seed = {"random_state": 0} if layer._draws else {}
    return layer(**description["settings"], **seed)


def _rebuild_network(description: dict[str, Any]) -> Any:
    from fastgru.layers.network import Network

    layers = [_rebuild_layer(layer) for layer in description["layers"]]
    return Network(layers, batch_first=description["batch_first"])


def _describe_task(task: Any) -> dict[str, Any]:
    from fastgru.estimators._tasks import Labels, Numbers

    description: dict[str, Any] = {"class": type(task).__name__}
    if isinstance(task, Numbers):
        description["loss"] = [type(task.loss).__name__, vars(task.loss)]
        description["n_targets"] = task.n_targets
    elif isinstance(task, Labels):
        description["n_labels"] = task.n_outputs
    else:
        description["classes"] = _describe_classes(task.classes)
    return description


def _rebuild_task(description: dict[str, Any]) -> Any:
    from fastgru import losses
    from fastgru.estimators._tasks import (
        Classes,
        Labels,
        NextNumbers,
        NextToken,
        Numbers,
    )

    kind = description["class"]
    if kind == "Labels":
        return Labels(description["n_labels"])
    of_numbers = {"Numbers": Numbers, "NextNumbers": NextNumbers}
    if kind in of_numbers:
        name, settings = description["loss"]
        if name not in losses.__all__:
            raise KeyError(name)
        loss = getattr(losses, name)(**settings)
        return of_numbers[kind](loss, description["n_targets"])
    of_classes = {"Classes": Classes, "NextToken": NextToken}
    return of_classes[kind](np.array(*description["classes"]))


_FITTED = (
    "n_features_in_",
    "n_outputs_",
    "out_activation_",
    "n_iter_",
    "t_",
    "loss_curve_",
    "loss_",
    "best_loss_",
    "validation_scores_",
    "best_validation_score_",
)


def _rebuild(
    description: dict[str, Any], tensors: dict[str, np.ndarray], path: Path
) -> Any:
    """Make the model that a file describes."""
    from fastgru.sequences import SequenceForm
    from fastgru.training.history import History

    kind = description["class"]
    if kind in _layer_classes():
        layer = _rebuild_layer(description)
        layer.load_state_dict(tensors)
        return layer
    if kind == "Network":
        network = _rebuild_network(description)
        network.load_state_dict(tensors)
        return network
    classes = _estimator_classes()
    if kind not in classes:
        raise ValueError(
            f"{path} holds a {kind!r}, which this version of fastgru does not know"
        )
    settings = {name: _unplain(v) for name, v in description["settings"].items()}
    model = classes[kind](**settings)
    network = _rebuild_network(description["network"])
    network.load_state_dict(tensors)
    task = _rebuild_task(description["task"])
    fitted = description["fitted"]
    losses, scores = fitted["loss_curve_"], fitted["validation_scores_"] or []
    model.__dict__.update(
        _network=network,
        _form=SequenceForm(*description["form"]),
        _task=task,
        _history=History(losses, scores, min(losses), max(scores, default=-math.inf)),
        **fitted,
        **model._own_fitted(task, network),
    )
    if "feature_names_in" in description:
        model.feature_names_in_ = np.array(description["feature_names_in"], object)
    return model


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON can hold it; ``_unplain`` gives it back."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list):
        return [_plain(name, item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_plain(name, item) for item in value]}
    if isinstance(value, dict):
        pairs = value.items()
        return {"dict": [[_plain(name, k), _plain(name, v)] for k, v in pairs]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{name} of type {type(value).__name__} cannot be saved to a file")


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        if "tuple" in value:
            return tuple(_unplain(item) for item in value["tuple"])
        return {_unplain(key): _unplain(item) for key, item in value["dict"]}
    return [_unplain(item) for item in value] if isinstance(value, list) else value


def _describe_classes(classes: np.ndarray) -> list[Any]:
    """Return class labels as a list and the dtype to read them back with."""
    for label in classes.tolist():
        if isinstance(label, (tuple, frozenset)):  # tokens may be anything hashable
            kind = type(label).__name__
            raise TypeError(f"class label of type {kind} cannot be saved to a file")
    return [[_plain("class label", label) for label in classes], classes.dtype.str]
