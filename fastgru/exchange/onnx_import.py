"""GRUs and networks from ONNX graphs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from fastgru.exchange import onnx_check
from fastgru.exchange.onnx_export import NETWORK_KEY
from fastgru.exchange.onnx_nodes import Chain, GraphReader
from fastgru.exchange.onnx_weights import node_state, state_dict_of, suffixes_of
from fastgru.layers.dense import Dense
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.network import Network
from fastgru.layers.one_hot import OneHot
from fastgru.layers.pooling import Pooling

_LAYERS = {kind.__name__: kind for kind in (Dense, Embedding, GRU, OneHot, Pooling)}

_Arrays = dict[str, np.ndarray]


def from_onnx(
    source: onnx.ModelProto | str | os.PathLike[str],
    *,
    weights: Mapping[str, Any] | None = None,
) -> GRU | Network:
    """Make a GRU of the GRU nodes of an ONNX graph, or a Network of fastgru's own.

    Parameters
    ----------
    source : onnx.ModelProto, str or path-like
        A model or its file: one GRU node, or several of which each reads Y of the one
        before, with operators between them that only change shapes, as PyTorch and
        :func:`to_onnx` write them; or a Network that :func:`to_onnx` wrote.
    weights : mapping of str to array-like, default=None
        Values of the graph's inputs that hold weights, if they are no constants.

    Returns
    -------
    GRU or Network
        Compared with the graph on random sequences, by ONNX Runtime or, where it is
        not installed or does not run the graph (float64, ``layout=1``), by ONNX's own
        reference.  A GRU if all nodes have one hidden size, direction and cell, else a
        Network of GRUs.  It is ``batch_first`` if the graph's X is (B, T, I), and of
        the weights' dtype.

    Raises
    ------
    TypeError
        If ``source`` or ``weights`` is of another type.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no valid model, or the graph has what fastgru does not:
        ``clip``, activations other than Sigmoid and Tanh or with parameters,
        ``direction="reverse"``, weights of other types than float32 and float64 or
        computed by the graph, operators that compute, GRUs side by side.
    RuntimeError
        If the result does not compute what the graph does.

    Notes
    -----
    What a graph does with outputs that stand past a sequence's end, or with a sequence
    of no steps, is not compared: :func:`to_onnx` has the differences.

    See Also
    --------
    to_onnx : The other way.

    Examples
    --------
    >>> import fastgru
    >>> from fastgru.exchange import from_onnx, to_onnx
    >>> gru = fastgru.GRU(3, 4, bidirectional=True, random_state=0)
    >>> same = from_onnx(to_onnx(gru))
    >>> same.bidirectional, same.hidden_size
    (True, 4)
    >>> saved, loaded = gru.state_dict(), same.state_dict()
    >>> all((loaded[name] == saved[name]).all() for name in saved)
    True
    """
    model = _open(source)
    if weights is None:
        weights = {}
    elif not isinstance(weights, Mapping):
        raise TypeError(
            "weights must be a mapping of names to arrays, "
            f"got {type(weights).__name__}"
        )
    described = {entry.key: entry.value for entry in model.metadata_props}
    if NETWORK_KEY in described:
        return _read_network(model, described[NETWORK_KEY])
    chain = GraphReader(model.graph, weights).read()
    layers = _layers_of(chain)
    _compare_chain(chain, layers, model, weights)
    if len(layers) == 1:
        return layers[0]
    return Network(layers, batch_first=chain.batch_first)


def _open(source: Any) -> onnx.ModelProto:
    """Return a valid model."""
    model = source
    if isinstance(source, (str, os.PathLike)):
        try:
            model = onnx.load(source)
        except OSError:
            raise
        except Exception as error:  # protobuf's own, whichever of it is installed
            raise ValueError(
                f"{os.fspath(source)} is no ONNX model: {error}"
            ) from error
    if not isinstance(model, onnx.ModelProto):
        raise TypeError(
            "expected an onnx.ModelProto or the path of one, "
            f"got {type(source).__name__}"
        )
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"the ONNX model is not valid: {error}") from error
    return model


# -- chains of GRU nodes --


def _layers_of(chain: Chain) -> list[GRU]:
    """Return one GRU, or one per node where they are not alike."""
    nodes = chain.nodes
    alike = all(node.kind == nodes[0].kind for node in nodes)
    if not alike and chain.initial_h:
        raise ValueError(
            "GRU nodes of different kinds make a Network, which takes no states: leave "
            "initial_h out of the graph"
        )
    layers = []
    for group in [nodes] if alike else [[node] for node in nodes]:
        first = group[0]
        has_bias = any(node.b is not None for node in group)
        gru = GRU(
            first.w.shape[2],
            first.hidden_size,
            len(group),
            has_bias,
            chain.batch_first and alike,  # of a Network it is a setting of its own
            bidirectional=first.bidirectional,
            reset_after=first.reset_after,
            dtype=first.w.dtype,
            random_state=0,
        )
        state: _Arrays = {}
        for number, node in enumerate(group):
            b = node.b
            if has_bias and b is None:
                b = np.zeros((len(node.w), 6 * node.hidden_size), node.w.dtype)
            suffixes = suffixes_of(number, bidirectional=node.bidirectional)
            state |= node_state(node.w, node.r, b, suffixes)
        gru.load_state_dict(state)
        layers.append(gru)
    return layers


def _compare_chain(
    chain: Chain, layers: list[GRU], model: onnx.ModelProto, weights: Mapping[str, Any]
) -> None:
    """Raise RuntimeError unless the layers compute what the graph does."""
    is_refused = layers[0].dtype != np.float32 or any(x.layout for x in chain.nodes)
    by_runtime = onnx_check.has_runtime() and not is_refused
    x, lengths, h_0 = _draw(chain, layers, model.graph, by_runtime=by_runtime)
    feeds = {name: np.asarray(values) for name, values in weights.items()}
    feeds |= dict.fromkeys(chain.lengths, lengths) | {chain.x: x}
    if h_0 is not None:
        feeds |= _states_to_graph(chain, h_0)
    actual = _run(model, feeds, by_runtime=by_runtime)
    if chain.batch_first and not layers[0].batch_first:
        x = x.swapaxes(0, 1)
    for layer in layers:
        x, h_n = layer(x, h_0, lengths if chain.lengths else None)
    _match(actual, _output_forms(x, h_n, layers[-1]))


def _draw(
    chain: Chain, layers: list[GRU], graph: onnx.GraphProto, *, by_runtime: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Draw x, lengths and states, of the sizes that the graph fixes."""
    (value,) = (value for value in graph.input if value.name == chain.x)
    tensor = value.type.tensor_type
    dims = [dim.dim_value for dim in tensor.shape.dim]
    if not tensor.HasField("shape"):  # anything
        dims = [0, 0, 0]
    if len(dims) != 3:
        raise ValueError(
            f"X of a GRU has 3 axes, but the graph's input {chain.x!r} has {len(dims)}"
        )
    rows = dims[1::-1] if chain.batch_first else dims[:2]
    steps, batch = rows[0] or onnx_check.STEPS, rows[1] or onnx_check.BATCH
    rng, gru = np.random.default_rng(0), layers[0]
    axes = (batch, steps) if chain.batch_first else (steps, batch)
    x = rng.standard_normal((*axes, gru.input_size)).astype(gru.dtype)
    lengths = onnx_check.draw_lengths(rng, steps, batch, by_runtime=by_runtime)
    if not chain.initial_h:
        return x, lengths, None
    shape = (gru._stack.n_states, batch, gru.hidden_size)
    return x, lengths, rng.standard_normal(shape).astype(gru.dtype)


def _states_to_graph(chain: Chain, h_0: np.ndarray) -> _Arrays:
    """Return first states as the graph's inputs take them."""
    names = list(dict.fromkeys(chain.initial_h))
    if len(chain.initial_h) != len(chain.nodes) or len(names) not in (
        1,
        len(chain.nodes),
    ):
        raise ValueError(
            "all GRU nodes must have initial_h, each as an input of its own or as part "
            f"of one, got {chain.initial_h} for {len(chain.nodes)} nodes"
        )
    parts = np.split(h_0, len(names))
    if chain.nodes[0].layout:
        parts = [part.swapaxes(0, 1) for part in parts]
    return dict(zip(names, parts, strict=True))


def _run(model: onnx.ModelProto, feeds: _Arrays, *, by_runtime: bool) -> _Arrays:
    """Run a graph of another's making."""
    try:
        return onnx_check.run_graph(model, feeds, by_runtime=by_runtime)
    except Exception as error:  # each runtime has its own
        raise ValueError(f"the graph does not run: {error}") from error


def _output_forms(
    output: np.ndarray, h_n: np.ndarray, gru: GRU
) -> dict[str, list[np.ndarray]]:
    """Return the forms that a graph may give output and states, by their names."""
    y = output.swapaxes(0, 1) if gru.batch_first else output
    by_direction = y.reshape(*y.shape[:2], -1, gru.hidden_size)
    last = h_n[-by_direction.shape[2] :]
    flat = last.swapaxes(0, 1).reshape(last.shape[1], -1)
    return {
        "the output": [
            y,
            y.swapaxes(0, 1),
            by_direction,
            by_direction.swapaxes(1, 2),
            by_direction.swapaxes(0, 1),
        ],
        "the final states": [h_n, h_n.swapaxes(0, 1)],
        "the last layer's final states": [last, last.swapaxes(0, 1), flat],
    }


def _match(actual: _Arrays, forms: dict[str, list[np.ndarray]]) -> None:
    """Raise RuntimeError unless each of a graph's outputs is one of these."""
    for name, array in actual.items():
        errors = {
            word: min(onnx_check.largest_error(array, form) for form in arrays)
            for word, arrays in forms.items()
        }
        tolerance = onnx_check.TOLERANCES[forms["the output"][0].dtype]
        if not min(errors.values()) <= tolerance:
            told = [f"{error:.1e} from {word}" for word, error in errors.items()]
            raise RuntimeError(
                f"the graph's output {name!r} of shape {array.shape} is none of what "
                f"fastgru gives; it differs by {', '.join(told)}, of the largest number"
            )


# -- networks --


def _read_network(model: onnx.ModelProto, text: str) -> Network:
    """Make the network that fastgru wrote as a graph."""
    tensors = {x.name: numpy_helper.to_array(x) for x in model.graph.initializer}
    try:
        described = json.loads(text)
        layers = [
            _read_layer(_LAYERS[kind], settings, tensors, f"{number}.")
            for number, (kind, settings) in enumerate(described["layers"])
        ]
        network = Network(layers, batch_first=described["batch_first"])
    except (KeyError, TypeError, ValueError, MemoryError) as error:
        raise ValueError(
            f"the graph was changed since fastgru wrote it: {error!r}; its metadata "
            f"{NETWORK_KEY!r} no longer describes it"
        ) from error
    _compare_network(network, model)
    return network


def _read_layer(
    kind: Any, settings: dict[str, Any], tensors: dict[str, np.ndarray], prefix: str
) -> Any:
    """Make a layer whose tensors have a prefix."""
    own = {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
    state = state_dict_of(kind._without_parameters(settings), own)
    return kind._restored(settings, state)


def _compare_network(network: Network, model: onnx.ModelProto) -> None:
    """Raise RuntimeError unless a network computes what the graph does."""
    by_runtime = onnx_check.has_runtime()
    rng = np.random.default_rng(0)
    steps, batch = onnx_check.STEPS, onnx_check.BATCH
    axes = (batch, steps) if network.batch_first else (steps, batch)
    if isinstance(network.layers[0], (Embedding, OneHot)):
        x = rng.integers(0, network.layers[0].n_tokens, axes)
    else:
        shape = (*axes, network._input.n_features or 1)
        x = rng.standard_normal(shape).astype(np.float32)
    feeds, lengths = {"X": x}, None
    if "sequence_lens" in [value.name for value in model.graph.input]:
        lengths = onnx_check.draw_lengths(rng, steps, batch, by_runtime=by_runtime)
        feeds["sequence_lens"] = lengths
    actual = _run(model, feeds, by_runtime=by_runtime)
    if list(actual) != ["Y"]:
        raise ValueError(f"expected a graph with output 'Y' alone, got {list(actual)}")
    expected = network(x, lengths)
    error = onnx_check.largest_error(actual["Y"], expected)
    if not onnx_check.agrees(actual["Y"], expected):
        raise RuntimeError(
            f"the network's outputs differ from the graph's by {error:.1e} of their "
            "largest number: the graph was changed since fastgru wrote it"
        )
