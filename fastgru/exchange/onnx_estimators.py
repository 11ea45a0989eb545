"""Fitted estimators as nodes of an ONNX graph, from users' X to what they return."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from fastgru.estimators._base import GRUEstimator
from fastgru.estimators._tasks import Classes, Labels, Numbers, Task
from fastgru.estimators.scaler import SequenceScaler
from fastgru.estimators.transformer import GRUTransformer
from fastgru.exchange._models import network_of
from fastgru.exchange.onnx_graph import GraphBuilder, value_info
from fastgru.exchange.onnx_layers import Outputs, add_choice, add_network
from fastgru.layers.dropout import Dropout
from fastgru.layers.network import Network


def float32_layers(network: Network) -> list[Any]:
    """Return copies of the layers in float32, without those that only training has."""
    layers = [layer for layer in network.layers if not isinstance(layer, Dropout)]
    return [as_float32(layer) for layer in layers]


def as_float32(layer: Any) -> Any:
    """Return a copy of a layer in float32."""
    state = layer.state_dict().items()
    return type(layer)._restored(
        layer.settings() | {"dtype": "float32"},
        {name: array.astype(np.float32) for name, array in state},
    )


# -- what goes in and comes out --


def input_info(model: GRUEstimator | SequenceScaler) -> onnx.ValueInfoProto:
    """Return what a graph says of X."""
    form = model._form
    if form.kind == "tokens":
        return value_info("X", np.int64, "batch", "time")
    if form.kind == "univariate":
        return value_info("X", np.float32, "batch", "time")
    return value_info("X", np.float32, "batch", "time", form.n_features_in)


def output_infos(model: GRUEstimator) -> list[onnx.ValueInfoProto]:
    """Return what a graph says of what an estimator returns."""
    network, task = network_of(model), model._task
    rows = ("batch", "time") if network._output.per == "step" else ("batch",)
    size = network.output_size
    if isinstance(model, GRUTransformer):
        return [value_info("vectors", np.float32, *rows, size)]
    if isinstance(task, Numbers):
        columns = () if task.n_targets is None else (size,)
        return [value_info("prediction", np.float32, *rows, *columns)]
    probabilities = value_info("probabilities", np.float32, *rows, size)
    if isinstance(task, Labels):
        return [value_info("label", np.int64, *rows, size), probabilities]
    label = value_info("label", class_labels(task).dtype, *rows)
    return [label, probabilities]


def class_labels(task: Any) -> np.ndarray:
    """Return a task's classes as ONNX can hold them, int64 or texts."""
    classes = np.array(task.classes.tolist())
    if classes.dtype.kind == "U":
        return classes.astype(object)
    if classes.dtype.kind in "buif":
        whole = classes.astype(np.int64)
        if np.array_equal(whole, classes):
            return whole
    raise ValueError(
        "class labels must be whole numbers or texts for ONNX, got "
        f"{classes.tolist()}: fit on y encoded by sklearn.preprocessing.LabelEncoder"
    )


# -- nodes --


def add_estimator(
    graph: GraphBuilder, model: GRUEstimator, x: str, lengths: str | None
) -> list[str]:
    """Add a fitted estimator and return the names of what it returns.

    Parameters
    ----------
    graph : GraphBuilder
    model : GRUClassifier, GRURegressor or GRUTransformer
    x : str
        Name of X: (n, T, F) or univariate (n, T), float32, or tokens, (n, T), int64.
    lengths : str or None
        Name of the lengths, (n,), int32; None: all steps are valid.

    Returns
    -------
    list of str
        In the order of ``output_infos``.
    """
    kind = model._form.kind
    if kind == "univariate":
        x = graph.add("Unsqueeze", x, graph.integers(2))
    x = graph.add("Transpose", x, perm=[1, 0] if kind == "tokens" else [1, 0, 2])
    outputs = add_network(graph, float32_layers(network_of(model)), x, lengths)
    if isinstance(model, GRUTransformer):
        return [outputs.name]
    task = model._task
    if isinstance(task, Numbers):
        return [_add_numbers(graph, task, outputs)]
    return _add_classes(graph, task, outputs)


def _add_numbers(graph: GraphBuilder, task: Numbers, outputs: Outputs) -> str:
    values = outputs.name
    if task.loss.activation == "exp":
        values = graph.add("Exp", values)
    values = _to_user(graph, values, outputs)
    if task.n_targets is None:
        return graph.add("Squeeze", values, graph.integers(-1))
    return values


def _add_classes(graph: GraphBuilder, task: Task, outputs: Outputs) -> list[str]:
    """Add labels and probabilities."""
    logits = outputs.name
    if isinstance(task, Labels):
        positive = graph.add("Greater", logits, graph.constant(np.float32(0)))
        label = graph.add("Cast", positive, to=TensorProto.INT64)
        probabilities = graph.add("Sigmoid", logits)
        perm = [1, 0, 2]
    else:
        numbers = graph.add("ArgMax", logits, axis=-1, keepdims=0)
        label = graph.add("Gather", graph.constant(class_labels(task)), numbers)
        probabilities = graph.add("Softmax", logits, axis=-1)
        perm = [1, 0]
    if outputs.per_step:
        label = graph.add("Transpose", label, perm=perm)
    return [label, _to_user(graph, probabilities, outputs)]


def _to_user(graph: GraphBuilder, values: str, outputs: Outputs) -> str:
    """Add zeros past the ends of sequences, and the batch as the first axis."""
    if not outputs.per_step:
        return values
    if outputs.valid is not None:
        values = add_choice(graph, outputs.valid, values, 0.0)
    return graph.add("Transpose", values, perm=[1, 0, 2])


def add_scaler(graph: GraphBuilder, scaler: SequenceScaler, x: str) -> str:
    """Add a fitted scaler of steps, float64: a mean may be large in its units."""
    if scaler.with_mean:
        x = graph.add("Sub", x, graph.constant(scaler.mean_))
    if scaler.with_std:
        x = graph.add("Div", x, graph.constant(scaler.scale_))
    return x


def add_lengths(graph: GraphBuilder, x: str) -> str:
    """Add the lengths of sequences (n, T, F) padded with NaN, (n,), int32."""
    one = graph.constant(np.int64(1))
    is_nan = graph.add("Cast", graph.add("IsNaN", x), to=TensorProto.INT64)
    all_nan = graph.add("ReduceMin", is_nan, graph.integers(2), keepdims=0)
    n_steps = graph.add("Squeeze", graph.add("Shape", x, start=1, end=2))
    after = graph.add("Add", n_steps, one)
    ends = graph.add("Range", one, after, one)
    ends = graph.add("Mul", graph.add("Sub", one, all_nan), ends)
    lengths = graph.add("ReduceMax", ends, graph.integers(1), keepdims=0)
    return graph.add("Cast", lengths, to=TensorProto.INT32)


# -- the same by fastgru --


def compute_estimator(
    model: GRUEstimator, feeds: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return what a graph's outputs but labels should be, from weights in float32."""
    network = Network(float32_layers(network_of(model)), batch_first=True)
    x, lengths = feeds["X"], feeds.get("sequence_lens")
    if model._form.kind == "univariate":
        x = x[:, :, np.newaxis]
    outputs = network(x, lengths)
    if isinstance(model, GRUTransformer):
        return {"vectors": outputs}
    task = model._task
    values = task.loss.activate(outputs)
    if lengths is not None and network._output.per == "step":
        past_the_end = np.arange(x.shape[1]) >= lengths[:, np.newaxis]
        values = np.where(past_the_end[:, :, np.newaxis], np.float32(0), values)
    if not isinstance(task, Numbers):
        return {"probabilities": values}
    return {"prediction": values[..., 0] if task.n_targets is None else values}


def wrong_labels(
    task: Task, label: np.ndarray, probabilities: np.ndarray, tolerance: float
) -> int:
    """Count the labels that are less probable than others by more than rounding."""
    if isinstance(task, Labels):
        margin = np.where(label == 1, 0.5 - probabilities, probabilities - 0.5)
        return int(np.sum(margin > tolerance))
    assert isinstance(task, Classes)
    matches = np.asarray(label)[..., np.newaxis] == class_labels(task)
    chosen = np.sum(np.where(matches, probabilities, 0), axis=-1)
    return int(np.sum(probabilities.max(axis=-1) - chosen > tolerance))
