"""Models as ONNX graphs."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from sklearn.utils.validation import check_is_fitted

from fastgru.estimators._base import GRUEstimator
from fastgru.estimators.language_model import GRULanguageModel
from fastgru.estimators.scaler import SequenceScaler
from fastgru.exchange import onnx_check
from fastgru.exchange._models import network_of, refuse_forecaster
from fastgru.exchange.container import write_whole
from fastgru.exchange.onnx_estimators import (
    add_estimator,
    add_lengths,
    add_scaler,
    as_float32,
    compute_estimator,
    float32_layers,
    input_info,
    output_infos,
    wrong_labels,
)
from fastgru.exchange.onnx_graph import GraphBuilder, value_info
from fastgru.exchange.onnx_layers import add_choice, add_gru, add_network
from fastgru.layers._checks import check_flag
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell
from fastgru.layers.network import Network

# Under which a model says what network it was, for from_onnx.
NETWORK_KEY = "fastgru.network"

_ESTIMATORS = (GRUEstimator, GRULanguageModel)

_Arrays = dict[str, np.ndarray]


@dataclass
class _Export:
    """A graph with its ends named, and what fastgru makes of the same inputs."""

    inputs: list[onnx.ValueInfoProto]
    outputs: list[onnx.ValueInfoProto]
    compute: Callable[[_Arrays], _Arrays]
    graph: GraphBuilder = field(default_factory=GraphBuilder)
    metadata: dict[str, str] = field(default_factory=dict)
    n_tokens: int = 0  # of tokens as input
    task: Any = None  # of labels as output
    is_padded: bool = False  # whether lengths are read from X

    def finish(self, *names: str) -> _Export:
        """Let the outputs be what has these names."""
        for name, output in zip(names, self.outputs, strict=True):
            self.graph.add("Identity", name, output=output.name)
        return self


def to_onnx(
    model: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    lengths: bool = True,
    initial_state: bool = True,
) -> onnx.ModelProto:
    """Write a model as an ONNX graph, with time and batch of any size.

    Parameters
    ----------
    model : GRU, GRUCell, Network, GRUClassifier, GRURegressor, GRUTransformer, \
GRULanguageModel or SequenceScaler
        Estimators must be fitted.
    path : str or path-like, default=None
        File to write besides, whole or not at all; None writes none.
    lengths : bool, default=True
        Whether "sequence_lens" is an input.  Without it all steps are valid.  An input
        of a graph cannot be left out when it is run.
    initial_state : bool, default=True
        Whether "initial_h" is an input of the graph of a GRU or GRUCell.  Without it
        the first states are zeros.

    Returns
    -------
    onnx.ModelProto
        Checked by ``onnx.checker``, and compared with ``model`` on random sequences by
        ONNX Runtime or, if that is not installed, by ONNX's own reference, which knows
        no lengths.

    Raises
    ------
    TypeError
        If the model is of another class.
    ValueError
        If class labels are neither whole numbers nor texts.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    RuntimeError
        If the graph does not compute what the model does.
    OSError
        If the file cannot be written.

    Warns
    -----
    UserWarning
        If weights are float64: ONNX Runtime has no GRU of this type, so they are
        rounded to float32.

    Notes
    -----
    Inputs and outputs, with T steps, B sequences, L layers, D directions:

    ================  ==============================  ===============================
    Model             Inputs                          Outputs
    ================  ==============================  ===============================
    GRU               X, sequence_lens, initial_h     Y, Y_h as ``output, h_n``
    GRUCell           X, initial_h                    Y_h
    Network           X, sequence_lens                Y
    GRUClassifier     X, sequence_lens                label, probabilities
    GRURegressor      X, sequence_lens                prediction
    GRUTransformer    X, sequence_lens                vectors
    GRULanguageModel  X, sequence_lens                label, probabilities, each step's
    SequenceScaler    X                               scaled
    ================  ==============================  ===============================

    X is float32, or int64 for tokens, and of the shape that a call of the model takes:
    (T, B, I), (B, T, I) with ``batch_first``, of estimators (B, T, I) or (B, T).
    sequence_lens is int32 (B,), initial_h float32 (L*D, B, H).  What stands past the
    end of a sequence does not matter, except to the scaler, which takes all steps.
    Labels are int64, True and False as 1 and 0, or texts; predictions are float32.
    Past the end of a sequence outputs are 0, and labels without meaning.

    Dropout is left out.  The operators are those of ONNX's version 22, which ONNX
    Runtime reads from 1.21 on.  A sequence of no steps has zeros in ONNX Runtime's Y_h,
    and not its initial state.  Graphs do not refuse NaN, as estimators do.

    See Also
    --------
    from_onnx : A GRU or Network from such a graph.
    register_converters : Whole pipelines by skl2onnx.

    Examples
    --------
    >>> import fastgru
    >>> from fastgru.exchange import to_onnx
    >>> gru = fastgru.GRU(3, 4, num_layers=2, random_state=0)
    >>> graph = to_onnx(gru).graph
    >>> [node.op_type for node in graph.node if node.op_type == "GRU"]
    ['GRU', 'GRU']
    >>> [value.name for value in graph.input]
    ['X', 'sequence_lens', 'initial_h']
    """
    check_flag("lengths", lengths)
    check_flag("initial_state", initial_state)
    if isinstance(model, (*_ESTIMATORS, SequenceScaler)):
        check_is_fitted(model)
    export = _export(model, lengths, initial_state)
    proto = _compared(export)
    if path is not None:
        write_whole(Path(path), proto.SerializeToString())
    return proto


def _export(model: Any, lengths: bool, initial_state: bool) -> _Export:
    if isinstance(model, SequenceScaler):
        return _export_scaler(model)
    if isinstance(model, _ESTIMATORS):
        warn_of_rounding(network_of(model).dtype, stacklevel=4)
        return _export_estimator(model, lengths)
    if isinstance(model, (GRU, GRUCell, Network)):
        warn_of_rounding(model.dtype, stacklevel=4)
    if isinstance(model, GRU):
        return _export_gru(as_float32(model), lengths, initial_state)
    if isinstance(model, GRUCell):
        return _export_cell(as_float32(model), initial_state)
    if isinstance(model, Network):
        return _export_network(model, lengths)
    refuse_forecaster(model)
    raise TypeError(
        "expected a GRU, GRUCell, Network, GRUClassifier, GRURegressor, "
        "GRUTransformer, GRULanguageModel or SequenceScaler, got "
        f"{type(model).__module__}.{type(model).__qualname__}"
    )


def warn_of_rounding(dtype: np.dtype, stacklevel: int) -> None:
    """Warn if weights of this type are not written as they are."""
    if dtype != np.float32:
        warnings.warn(
            f"ONNX Runtime has no GRU of {dtype}: the graph's weights are rounded to "
            "float32",
            UserWarning,
            stacklevel=stacklevel,
        )


def _lengths_info(wanted: bool) -> list[onnx.ValueInfoProto]:
    return [value_info("sequence_lens", np.int32, "batch")] if wanted else []


# -- one kind of model each --


def _export_gru(gru: GRU, lengths: bool, initial_state: bool) -> _Export:
    axes = ("batch", "time") if gru.batch_first else ("time", "batch")
    n_states, size = gru._stack.n_states, gru.hidden_size
    states = (n_states, "batch", size)
    inputs = [value_info("X", np.float32, *axes, gru.input_size)]
    inputs += _lengths_info(lengths)
    if initial_state:
        inputs.append(value_info("initial_h", np.float32, *states))
    outputs = [
        value_info("Y", np.float32, *axes, gru._output_size),
        value_info("Y_h", np.float32, *states),
    ]

    def compute(feeds: _Arrays) -> _Arrays:
        h_0, lens = feeds.get("initial_h"), feeds.get("sequence_lens")
        return dict(zip(("Y", "Y_h"), gru(feeds["X"], h_0, lens), strict=True))

    export = _Export(inputs, outputs, compute)
    graph, x = export.graph, "X"
    if gru.batch_first:
        x = graph.add("Transpose", x, perm=[1, 0, 2])
    lens = "sequence_lens" if lengths else None
    y, parts = add_gru(graph, gru, x, lens, "initial_h" if initial_state else None)
    if gru.batch_first:
        y = graph.add("Transpose", y, perm=[1, 0, 2])
    y_h = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=0)
    return export.finish(y, y_h)


def _export_cell(cell: GRUCell, initial_state: bool) -> _Export:
    inputs = [value_info("X", np.float32, "batch", cell.input_size)]
    states = value_info("Y_h", np.float32, "batch", cell.hidden_size)
    if initial_state:
        inputs.append(value_info("initial_h", np.float32, "batch", cell.hidden_size))

    def compute(feeds: _Arrays) -> _Arrays:
        return {"Y_h": cell(feeds["X"], feeds.get("initial_h"))}

    export = _Export(inputs, [states], compute)
    graph = export.graph
    first = graph.integers(0)
    x = graph.add("Unsqueeze", "X", first)
    h = graph.add("Unsqueeze", "initial_h", first) if initial_state else None
    y, _ = add_gru(graph, cell, x, None, h)
    return export.finish(graph.add("Squeeze", y, first))


def _export_network(network: Network, lengths: bool) -> _Export:
    network = Network(float32_layers(network), batch_first=network.batch_first)
    axes = ("batch", "time") if network.batch_first else ("time", "batch")
    n_features = network._input.n_features
    if n_features is None:
        x_info = value_info("X", np.int64, *axes)
    else:
        x_info = value_info("X", np.float32, *axes, n_features)
    rows = axes if network._output.per == "step" else ("batch",)
    y_info = value_info("Y", np.float32, *rows, network.output_size)

    def compute(feeds: _Arrays) -> _Arrays:
        return {"Y": network(feeds["X"], feeds.get("sequence_lens"))}

    described = {
        "batch_first": network.batch_first,
        "layers": [[type(x).__name__, x.settings()] for x in network.layers],
    }
    export = _Export(
        [x_info, *_lengths_info(lengths)],
        [y_info],
        compute,
        metadata={NETWORK_KEY: json.dumps(described)},
        n_tokens=getattr(network.layers[0], "n_tokens", 0),
    )
    graph, x = export.graph, "X"
    perm = [1, 0] if n_features is None else [1, 0, 2]
    if network.batch_first:
        x = graph.add("Transpose", x, perm=perm)
    lens = "sequence_lens" if lengths else None
    y, per_step, valid = add_network(graph, network.layers, x, lens)
    if valid is not None:
        y = add_choice(graph, valid, y, 0.0)
    if network.batch_first and per_step:
        y = graph.add("Transpose", y, perm=[1, 0, 2])
    return export.finish(y)


def _export_estimator(model: GRUEstimator, lengths: bool) -> _Export:
    export = _Export(
        [input_info(model), *_lengths_info(lengths)],
        output_infos(model),
        lambda feeds: compute_estimator(model, feeds),
        n_tokens=getattr(network_of(model).layers[0], "n_tokens", 0),
        task=model._task,
    )
    lens = "sequence_lens" if lengths else None
    return export.finish(*add_estimator(export.graph, model, "X", lens))


def _export_scaler(scaler: SequenceScaler) -> _Export:
    x_info = input_info(scaler)
    scaled = onnx.ValueInfoProto()
    scaled.CopyFrom(x_info)
    scaled.name = "scaled"

    def compute(feeds: _Arrays) -> _Arrays:
        return {"scaled": scaler._standardise(feeds["X"]).astype(np.float32)}

    export = _Export([x_info], [scaled], compute)
    graph = export.graph
    x = graph.add("Cast", "X", to=TensorProto.DOUBLE)
    x = add_scaler(graph, scaler, x)
    return export.finish(graph.add("Cast", x, to=TensorProto.FLOAT))


def _export_padded(model: GRUEstimator) -> _Export:
    """Take the lengths from X, where steps that are NaN are padding."""

    def compute(feeds: _Arrays) -> _Arrays:
        is_step = ~np.isnan(feeds["X"]).all(axis=2)
        return compute_estimator(model, feeds | {"sequence_lens": is_step.sum(axis=1)})

    export = _Export(
        [input_info(model)],
        output_infos(model),
        compute,
        task=model._task,
        is_padded=True,
    )
    lengths = add_lengths(export.graph, "X")
    return export.finish(*add_estimator(export.graph, model, "X", lengths))


# -- the comparison --


def compare_in_pipeline(model: GRUEstimator | SequenceScaler) -> None:
    """Raise RuntimeError unless a pipeline's graph of an estimator computes the same.

    It has one input: the lengths are read from it if it may be padded.
    """
    if isinstance(model, SequenceScaler):
        export = _export_scaler(model)
    elif model._form.kind == "sequences":
        export = _export_padded(model)
    else:
        export = _export_estimator(model, lengths=False)
    _compared(export)


def _compared(export: _Export) -> onnx.ModelProto:
    """Return the model, or raise RuntimeError if it computes something else."""
    proto = export.graph.model(export.inputs, export.outputs, export.metadata)
    by_runtime = onnx_check.has_runtime()
    feeds = _draw_feeds(export, by_runtime=by_runtime)
    actual = onnx_check.run_graph(proto, feeds, by_runtime=by_runtime)
    expected = export.compute(feeds)
    referee = "ONNX Runtime" if by_runtime else "ONNX's reference"
    for name, array in expected.items():
        if not onnx_check.agrees(actual[name], array):
            error = onnx_check.largest_error(actual[name], array)
            raise RuntimeError(
                f"{name} of the graph, run by {referee}, differs from fastgru's by "
                f"{error:.1e} of its largest number"
            )
    if "label" in actual:
        label, probabilities = actual["label"], expected["probabilities"]
        tolerance = onnx_check.TOLERANCES[probabilities.dtype]
        if n_wrong := wrong_labels(export.task, label, probabilities, tolerance):
            raise RuntimeError(
                f"{n_wrong} of {label.size} labels of the graph, run by {referee}, are "
                "not the most probable ones"
            )
    return proto


def _draw_feeds(export: _Export, *, by_runtime: bool) -> _Arrays:
    """Draw random inputs."""
    rng = np.random.default_rng(0)
    sizes = {"time": onnx_check.STEPS, "batch": onnx_check.BATCH}
    lengths = onnx_check.draw_lengths(
        rng, onnx_check.STEPS, onnx_check.BATCH, by_runtime=by_runtime
    )
    feeds = {}
    for value in export.inputs:
        tensor = value.type.tensor_type
        shape = [sizes.get(dim.dim_param, dim.dim_value) for dim in tensor.shape.dim]
        if value.name == "sequence_lens":
            feeds[value.name] = lengths
        elif tensor.elem_type == TensorProto.INT64:
            feeds[value.name] = rng.integers(0, export.n_tokens, shape)
        else:
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
    if export.is_padded:
        past_the_end = np.arange(onnx_check.STEPS) >= lengths[:, np.newaxis]
        feeds["X"][past_the_end] = np.nan
    return feeds
