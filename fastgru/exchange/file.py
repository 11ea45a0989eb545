"""Models in files: safetensors for the numbers, JSON in its header for the rest.

Loading runs no code from the file: it names one of a few classes known here, and its
content is checked against a digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

_FORMAT = "fastgru-1"


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a layer or a fitted estimator to a file.

    The file appears whole or not at all: an interruption leaves what stood there
    before.

    Parameters
    ----------
    model : layer, Network, GRUClassifier or GRURegressor
        Estimators must be fitted.
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
    A ``RandomState`` object as ``random_state`` is not kept; a number is.

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
    from safetensors.numpy import save as to_bytes

    tensors, description = _describe(model)
    text = json.dumps(description, sort_keys=True)
    header = {"format": _FORMAT, "model": text, "digest": _digest(text, tensors)}
    _write_whole(Path(path), to_bytes(tensors, metadata=header))


def load(path: str | os.PathLike[str]) -> Any:
    """Read what ``save`` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    layer, Network, GRUClassifier or GRURegressor
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
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or not a safetensors file: {error}"
        ) from error
    if header.get("format") != _FORMAT:
        raise ValueError(
            f"{path} was not written by fastgru.save: expected format {_FORMAT!r}, "
            f"got {header.get('format')!r}"
        )
    text = header.get("model", "")
    if header.get("digest") != _digest(text, tensors):
        raise ValueError(f"{path} is damaged: its content does not match its digest")
    try:
        return _rebuild(json.loads(text), tensors, path)
    except (KeyError, TypeError, MemoryError) as error:
        raise ValueError(f"{path} does not describe a model: {error!r}") from error


def _digest(text: str, tensors: dict[str, np.ndarray]) -> str:
    """Return a digest of all that a file says."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# -- what a model is made of --


def _describe(model: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return a model's tensors and the rest of it as JSON values."""
    from sklearn.utils.validation import check_is_fitted

    from fastgru.estimators import GRUClassifier, GRURegressor
    from fastgru.layers.network import Network

    kind = type(model)
    if kind in _layer_classes().values():
        return model.state_dict(), _describe_layer(model)
    if kind is Network:
        return model.state_dict(), {"class": "Network", **_describe_network(model)}
    if kind not in (GRUClassifier, GRURegressor):
        raise TypeError(
            "expected a layer, a Network, or a GRUClassifier or GRURegressor, "
            f"got {kind.__module__}.{kind.__qualname__}"
        )
    check_is_fitted(model)
    settings = model.get_params()
    if isinstance(settings["random_state"], np.random.RandomState):
        settings["random_state"] = None
    network = model._network
    description = {
        "class": kind.__name__,
        "settings": {name: _plain(name, value) for name, value in settings.items()},
        "network": _describe_network(network),
        "form": [model._form.kind, model._form.n_features_in],
        "fitted": {name: _plain(name, getattr(model, name)) for name in _FITTED},
    }
    if hasattr(model, "feature_names_in_"):
        names = [str(name) for name in model.feature_names_in_]
        description["feature_names_in"] = names
    if kind is GRUClassifier:
        description["classes"] = _describe_classes(model.classes_)
    else:
        description["is_1d"] = model._is_1d
    return network.state_dict(), description


def _layer_classes() -> dict[str, Any]:
    """Return the classes of layers that a file may name."""
    from fastgru.layers.dense import Dense
    from fastgru.layers.dropout import Dropout
    from fastgru.layers.embedding import Embedding
    from fastgru.layers.gru import GRU
    from fastgru.layers.gru_cell import GRUCell
    from fastgru.layers.pooling import Pooling

    classes = (Dense, Dropout, Embedding, GRU, GRUCell, Pooling)
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


_FITTED = (
    "n_features_in_",
    "n_outputs_",
    "out_activation_",
    "n_iter_",
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
    from fastgru.estimators import GRUClassifier, GRURegressor
    from fastgru.sequences import SequenceForm

    kind = description["class"]
    if kind in _layer_classes():
        layer = _rebuild_layer(description)
        layer.load_state_dict(tensors)
        return layer
    if kind == "Network":
        network = _rebuild_network(description)
        network.load_state_dict(tensors)
        return network
    classes = {"GRUClassifier": GRUClassifier, "GRURegressor": GRURegressor}
    if kind not in classes:
        raise ValueError(
            f"{path} holds a {kind!r}, which this version of fastgru does not know"
        )
    settings = description["settings"]
    model = classes[kind](**settings)
    network = _rebuild_network(description["network"])
    network.load_state_dict(tensors)
    model._network = network
    model._form = SequenceForm(*description["form"])
    for name, value in description["fitted"].items():
        setattr(model, name, value)
    if "feature_names_in" in description:
        model.feature_names_in_ = np.array(description["feature_names_in"], object)
    if kind == "GRUClassifier":
        model.classes_ = np.array(*description["classes"])
    else:
        model._is_1d = description["is_1d"]
    return model


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, list):
        return [_plain(name, item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{name} of type {type(value).__name__} cannot be saved to a file")


def _describe_classes(classes: np.ndarray) -> list[Any]:
    """Return class labels as a list and the dtype to read them back with."""
    return [[_plain("class label", label) for label in classes], classes.dtype.str]
