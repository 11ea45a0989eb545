"""Layers as nodes of an ONNX graph, time-major inside.

Steps go from layer to layer as (T, B, F), rows of whole sequences as (B, F).  Past a
sequence's end anything may stand; poolings and outputs look at valid steps only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from fastgru.exchange.onnx_graph import GraphBuilder
from fastgru.exchange.onnx_weights import tensors_of
from fastgru.layers._layer import Layer
from fastgru.layers.dense import Dense
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell
from fastgru.layers.one_hot import OneHot
from fastgru.layers.pooling import Pooling

# fastgru's names -> ONNX's operators.
_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid"}


class Outputs(NamedTuple):
    """What comes out of layers."""

    name: str  # of (T, B, F), or pooled of (B, F)
    per_step: bool
    valid: str | None  # name of where the steps are valid, (T, B); None: everywhere


def add_network(
    graph: GraphBuilder, layers: Sequence[Layer], x: str, lengths: str | None
) -> Outputs:
    """Add layers and return what comes out.

    Parameters
    ----------
    graph : GraphBuilder
    layers : sequence of Embedding, OneHot, GRU, Pooling and Dense
    x : str
        Name of the steps, (T, B, F), or of tokens, (T, B), int64.
    lengths : str or None
        Name of the lengths, (B,), int32; None: all steps are valid.

    Returns
    -------
    Outputs
    """
    valid = None if lengths is None else add_valid_steps(graph, x, lengths)
    is_pooled = False
    states: list[str] | None = None  # of the GRU just added
    for number, layer in enumerate(layers):
        prefix, before, states = f"{number}.", states, None
        if isinstance(layer, GRU):
            x, states = add_gru(graph, layer, x, lengths, prefix=prefix)
        elif isinstance(layer, Embedding):
            x = _add_embedding(graph, layer, x, valid, prefix)
        elif isinstance(layer, OneHot):
            x = _add_one_hot(graph, layer, x, valid)
        elif isinstance(layer, Dense):
            x = _add_dense(graph, layer, x, prefix)
        elif isinstance(layer, Pooling):
            is_pooled = True
            if layer.how == "last" and before is not None:
                x = _add_final_states(graph, before[-1])
            else:
                x = _add_pooling(graph, layer, x, valid, lengths, prefix)
        else:
            raise TypeError(f"no operators are known for {layer!r}")
    return Outputs(x, not is_pooled, None if is_pooled else valid)


def add_valid_steps(graph: GraphBuilder, x: str, lengths: str) -> str:
    """Add what is true where a sequence has a step, (T, B)."""
    zero, one = (graph.constant(np.int64(number)) for number in (0, 1))
    n_steps = graph.add("Squeeze", graph.add("Shape", x, start=0, end=1))
    steps = graph.add("Range", zero, n_steps, one)
    column = graph.add("Unsqueeze", steps, graph.integers(1))
    lengths = graph.add("Cast", lengths, to=TensorProto.INT64)
    return graph.add("Less", column, lengths)


def add_choice(graph: GraphBuilder, valid: str, steps: str, otherwise: float) -> str:
    """Add a choice of steps, (T, B, F), where valid, and of a number elsewhere."""
    mask = graph.add("Unsqueeze", valid, graph.integers(2))
    return graph.add("Where", mask, steps, graph.constant(np.float32(otherwise)))


def add_gru(
    graph: GraphBuilder,
    gru: GRU | GRUCell,
    x: str,
    lengths: str | None,
    initial_h: str | None = None,
    *,
    prefix: str = "",
) -> tuple[str, list[str]]:
    """Add a GRU node for each layer.

    Returns
    -------
    steps : str
        Name of the last layer's output, (T, B, D*H).
    states : list of str
        Names of each layer's final states, (D, B, H).
    """
    weights = {
        name: graph.constant(tensor, prefix + name)
        for name, tensor in tensors_of(gru).items()
    }
    n_layers = getattr(gru, "num_layers", 1)
    is_bidirectional = getattr(gru, "bidirectional", False)
    starts = _split_states(graph, initial_h, n_layers)
    states = []
    for layer in range(n_layers):
        names = [weights.get(f"{name}_l{layer}", "") for name in ("W", "R", "B")]
        y, y_h = graph.fresh("Y_of_node"), graph.fresh("Y_h_of_node")
        graph.add_node(
            "GRU",
            _without_trailing([x, *names, lengths or "", starts[layer]]),
            [y, y_h],
            direction="bidirectional" if is_bidirectional else "forward",
            hidden_size=gru.hidden_size,
            linear_before_reset=int(gru.reset_after),
        )
        states.append(y_h)
        if is_bidirectional:
            y = graph.add("Transpose", y, perm=[0, 2, 1, 3])
            x = graph.add("Reshape", y, graph.integers(0, 0, -1))
        else:
            x = graph.add("Squeeze", y, graph.integers(1))
    return x, states


def _split_states(
    graph: GraphBuilder, initial_h: str | None, n_layers: int
) -> list[str]:
    """Return the names of each layer's first states; "" is that of zeros."""
    if initial_h is None:
        return [""] * n_layers
    if n_layers == 1:
        return [initial_h]
    parts = [graph.fresh("initial_h_of_node") for _ in range(n_layers)]
    graph.add_node("Split", [initial_h], parts, axis=0, num_outputs=n_layers)
    return parts


def _without_trailing(names: list[str]) -> list[str]:
    """Leave out the names of nothing at the end, as tools expect."""
    while not names[-1]:
        names = names[:-1]
    return names


def _add_final_states(graph: GraphBuilder, states: str) -> str:
    """Add a row of the final states of all directions, (B, D*H)."""
    states = graph.add("Transpose", states, perm=[1, 0, 2])
    return graph.add("Reshape", states, graph.integers(0, -1))


def _add_embedding(
    graph: GraphBuilder, layer: Embedding, tokens: str, valid: str | None, prefix: str
) -> str:
    table = graph.constant(tensors_of(layer)["weight"], f"{prefix}weight")
    return _add_rows(graph, table, layer.n_tokens, tokens, valid)


def _add_one_hot(
    graph: GraphBuilder, layer: OneHot, tokens: str, valid: str | None
) -> str:
    # The operator takes an unknown token for a row of zeros; looked up, it is refused.
    known = graph.constant(np.arange(layer.n_tokens))
    tokens = _add_rows(graph, known, layer.n_tokens, tokens, valid)
    depth = graph.constant(np.int64(layer.n_tokens))
    return graph.add(
        "OneHot", tokens, depth, graph.constant(np.array([0, 1], np.float32))
    )


def _add_rows(
    graph: GraphBuilder, table: str, n_tokens: int, tokens: str, valid: str | None
) -> str:
    """Add the rows of a table that belong to tokens; those unknown are refused."""
    zero = graph.constant(np.int64(0))
    if valid is not None:  # so that padding may be any number
        tokens = graph.add("Where", valid, tokens, zero)
    # Gather would count a negative token from the table's end; this it refuses.
    outside = graph.constant(np.int64(n_tokens))
    is_negative = graph.add("Less", tokens, zero)
    tokens = graph.add("Where", is_negative, outside, tokens)
    return graph.add("Gather", table, tokens, axis=0)


def _add_dense(graph: GraphBuilder, layer: Dense, x: str, prefix: str) -> str:
    tensors = tensors_of(layer)
    y = graph.add("MatMul", x, graph.constant(tensors["weight"], f"{prefix}weight"))
    if layer.bias:
        y = graph.add("Add", y, graph.constant(tensors["bias"], f"{prefix}bias"))
    if layer.activation == "identity":
        return y
    return graph.add(_ACTIVATIONS[layer.activation], y)


def _add_pooling(
    graph: GraphBuilder,
    layer: Pooling,
    x: str,
    valid: str | None,
    lengths: str | None,
    prefix: str,
) -> str:
    """Add a row per sequence, (B, F), zeros for one of no steps."""
    if layer.how == "last" and lengths is None:
        return graph.add("Gather", x, graph.constant(np.int64(-1)), axis=0)
    time = graph.integers(0)
    if layer.how == "max":
        return _add_maximum(graph, x, valid, lengths, time)
    if layer.how == "last":
        assert valid is not None and lengths is not None  # as asked above
        rest = graph.add("Sub", lengths, graph.constant(np.int32(1)))
        before_last = add_valid_steps(graph, x, rest)
        is_last = graph.add("Xor", valid, before_last)
        x = add_choice(graph, is_last, x, 0.0)
        return graph.add("ReduceSum", x, time, keepdims=0)
    if layer.how == "attention":
        shares = _add_shares(graph, layer, x, valid, prefix)
        if valid is not None:
            x = add_choice(graph, valid, x, 0.0)
        return graph.add("ReduceSum", graph.add("Mul", shares, x), time, keepdims=0)
    if valid is None or lengths is None:
        return graph.add("ReduceMean", x, time, keepdims=0)
    x = add_choice(graph, valid, x, 0.0)
    total = graph.add("ReduceSum", x, time, keepdims=0)
    at_least_1 = graph.add("Max", lengths, graph.constant(np.int32(1)))
    divisor = graph.add("Cast", at_least_1, to=TensorProto.FLOAT)
    column = graph.add("Unsqueeze", divisor, graph.integers(1))
    return graph.add("Div", total, column)


def _add_maximum(
    graph: GraphBuilder, x: str, valid: str | None, lengths: str | None, time: str
) -> str:
    if valid is None or lengths is None:
        return graph.add("ReduceMax", x, time, keepdims=0)
    x = add_choice(graph, valid, x, -np.inf)
    rows = graph.add("ReduceMax", x, time, keepdims=0)
    has_steps = graph.add("Greater", lengths, graph.constant(np.int32(0)))
    column = graph.add("Unsqueeze", has_steps, graph.integers(1))
    return graph.add("Where", column, rows, graph.constant(np.float32(0)))


def _add_shares(
    graph: GraphBuilder, layer: Pooling, x: str, valid: str | None, prefix: str
) -> str:
    """Add the share of each step in its sequence's mean, (T, B, 1)."""
    weight = graph.constant(tensors_of(layer)["weight"], f"{prefix}weight")
    scores = graph.add("MatMul", x, weight)
    if valid is None:
        return graph.add("Softmax", scores, axis=0)
    scores = add_choice(graph, valid, scores, -np.inf)
    # NaN in a sequence of no steps, which has no share to give.
    return add_choice(graph, valid, graph.add("Softmax", scores, axis=0), 0.0)
