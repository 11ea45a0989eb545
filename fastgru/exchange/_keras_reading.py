"""Layers and networks of Keras's layers and models."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from fastgru.exchange._keras_layout import (
    ACTIVATIONS,
    TOLERANCE,
    array_of,
    run,
    swap_gates,
)
from fastgru.exchange._models import Part
from fastgru.exchange._self_check import (
    N_SEQUENCES,
    N_STEPS,
    check_agreement,
    draw_steps,
)
from fastgru.layers.dense import Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.network import Network
from fastgru.layers.pooling import Pooling

# What to do instead of a layer that has no counterpart.
_ADVICE = {
    kl.Masking: "pass lengths to the network instead of a mask",
    kl.Normalization: "scale the data first, with fastgru.SequenceScaler",
    kl.GRUCell: "use a GRU layer of the same weights",
    kl.Softmax: "one can be left out at the end alone",
}


def load(path: Path) -> Any:
    """Return the model in a file, without running code that the file may hold."""
    if path.suffix != ".keras":
        raise ValueError(
            f"expected a file that ends in .keras, got {path.name!r}: save the model "
            "with model.save(path) under such a name"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is damaged or not a file that Keras 3 wrote")
    return keras.models.load_model(path, compile=False, safe_mode=True)


def from_layer(layer: Any) -> GRU:
    """Make a GRU of a layer by itself."""
    if type(layer) not in (kl.GRU, kl.Bidirectional):
        kind = type(layer)
        raise TypeError(
            "expected a keras.layers.GRU, a Bidirectional of one, a model or a path, "
            f"got {kind.__module__}.{kind.__qualname__}; other layers can stand in a "
            "keras.Sequential"
        )
    _check_layer(layer)
    parts = _RECURRENT[type(layer)](layer)
    # What is compared is a network, since the layer may return final states only.
    network = Network([part.make() for part in parts], batch_first=True)
    x = draw_steps(network)
    check_agreement(network, {"x": x}, (run(layer, x),), TOLERANCE)
    gru: GRU = parts[0].make(batch_first=True)
    return gru


def from_model(model: Any, drop_softmax: bool) -> Network:
    """Make a network of a model whose layers stand one after the other."""
    layers = _layers_of(model)
    ends_with_softmax = bool(layers) and _is_softmax(layers[-1])
    if ends_with_softmax and not drop_softmax:
        raise ValueError(
            f"{_name(layers[-1])} is a softmax: networks of fastgru end with logits; "
            "drop_softmax=True leaves it out"
        )
    parts: list[Part] = []
    for layer in layers:
        is_softmax = ends_with_softmax and layer is layers[-1]
        _add(parts, layer, is_softmax=is_softmax)
    network = Network([part.make() for part in parts], batch_first=True)
    n_sequences, n_steps, *features = model.inputs[0].shape
    if len(features) != (network._input.n_features is not None):
        raise ValueError(
            f"the model must read sequences, got an input of shape "
            f"{model.inputs[0].shape}, without an axis of steps"
        )
    x = draw_steps(network, n_steps or N_STEPS, n_sequences or N_SEQUENCES)
    then = _softmax if ends_with_softmax else None
    check_agreement(network, {"x": x}, (run(model, x),), TOLERANCE, then)
    return network


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# -- models --


def _name(layer: Any) -> str:
    return f"layer {layer.name!r} ({type(layer).__name__})"


def _layers_of(model: Any) -> list[Any]:
    """Return the layers of a model behind its input, or say why they are no chain."""
    if type(model) is keras.Sequential:
        if not model.built:
            raise ValueError(
                f"{_name(model)} is not built: begin it with a keras.Input, or call it"
            )
        return list(model.layers)
    own = type(model).__module__.startswith("keras.")
    if not own or not hasattr(model, "operations"):
        raise TypeError(
            "expected a keras.Sequential or a functional model, got "
            f"{type(model).__module__}.{type(model).__qualname__}; put the layers into "
            "a keras.Sequential"
        )
    operations = list(model.operations)
    links = zip(operations[1:], operations, strict=False)
    is_chain = (
        len(model.inputs) == len(model.outputs) == 1
        and all(operation.input is before.output for operation, before in links)
        and model.outputs[0] is operations[-1].output
    )
    if not is_chain:
        raise ValueError(
            f"{_name(model)} must have one input, one output and each of its layers "
            f"once, one after the other, got {[o.name for o in operations]}; convert "
            "its parts one by one"
        )
    return operations[1:]


def _check_layer(layer: Any) -> None:
    """Refuse what holds for layers of any class."""
    if not layer.built:
        raise ValueError(
            f"{_name(layer)} is not built: call it, or layer.build(input_shape)"
        )
    dtypes = {layer.variable_dtype, layer.compute_dtype}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        raise ValueError(
            f"{_name(layer)} must be of dtype float32 or float64, got "
            f"{layer.dtype_policy.name}: make it with dtype='float32'"
        )
    if getattr(layer, "quantization_mode", None) is not None:
        raise ValueError(
            f"{_name(layer)} is quantised to {layer.quantization_mode}: convert the "
            "model from before that"
        )


def _add(parts: list[Part], layer: Any, *, is_softmax: bool) -> None:
    """Add what a layer of a model does to the layers before it."""
    kind = type(layer)
    if kind not in (*_RECURRENT, *_OTHERS, kl.Activation) and not is_softmax:
        advice = _ADVICE.get(kind, "leave it out, or do outside what it does")
        raise TypeError(
            f"{_name(layer)}, {kind.__module__}.{kind.__qualname__}, has no "
            f"counterpart in fastgru: {advice}"
        )
    if not isinstance(layer, keras.Model) and hasattr(layer, "dtype_policy"):
        _check_layer(layer)
    if kind in (kl.Activation, kl.Softmax):
        if not is_softmax:
            _add_activation(parts, layer)
    elif is_softmax:
        parts.append(_dense_part(layer, "identity"))
    elif kind in _RECURRENT:
        parts += _RECURRENT[kind](layer)
    else:
        parts.append(_OTHERS[kind](layer))


def _is_softmax(layer: Any) -> bool:
    if type(layer) is kl.Softmax:
        return layer.axis in (-1, [-1])
    layer = layer.layer if type(layer) is kl.TimeDistributed else layer
    activation = getattr(layer, "activation", None)
    return (
        type(layer) in (kl.Dense, kl.Activation)
        and activation is keras.activations.softmax
    )


def _add_activation(parts: list[Part], layer: Any) -> None:
    name = _activation(layer)
    if name == "identity":
        return
    if not parts or parts[-1].settings.get("activation") != "identity":
        raise ValueError(
            f"{_name(layer)} does not stand directly behind a Dense: in fastgru an "
            "activation is part of a Dense layer; put it there, or behind a Dense of "
            "its own"
        )
    parts[-1].settings["activation"] = name


def _activation(layer: Any) -> str:
    """Return the name that a Dense has for a layer's activation."""
    for name, ours in ACTIVATIONS.items():
        if layer.activation is getattr(keras.activations, name):
            return ours
    raise ValueError(
        f"{_name(layer)} has the activation {_said(layer.activation)}, fastgru has "
        f"{', '.join(ACTIVATIONS)}; a softmax can be left out at the end alone"
    )


def _said(activation: Any) -> str:
    return repr(getattr(activation, "__name__", activation))


# -- layers --


def _check_gru(gru: Any, name: str, *, backwards: bool = False) -> None:
    """Refuse settings that the GRU of fastgru does not have."""
    if type(gru) is not kl.GRU:
        raise TypeError(f"{name} must hold keras.layers.GRU, got {type(gru).__name__}")
    for setting, function in (
        ("activation", keras.activations.tanh),
        ("recurrent_activation", keras.activations.sigmoid),
    ):
        if getattr(gru, setting) is not function:
            raise ValueError(
                f"{name} has {setting} {_said(getattr(gru, setting))}, a GRU of "
                f"fastgru has {function.__name__!r} only"
            )
    if gru.go_backwards != backwards:
        raise ValueError(
            f"{name} has go_backwards=True: reverse the input itself, x[:, ::-1], and "
            "leave that out, or use a Bidirectional"
        )
    if gru.stateful:
        raise ValueError(
            f"{name} is stateful, so its results depend on what it has seen before: "
            "make it with stateful=False, and pass states as h_0 or use Network.stream"
        )
    if gru.dropout != 0:
        raise ValueError(
            f"{name} has dropout={gru.dropout} of its input: set it to 0 and put a "
            "Dropout layer before it"
        )


def _direction(gru: Any, suffix: str) -> dict[str, np.ndarray]:
    """Return the weights of one direction by fastgru's names."""
    cell = gru.cell
    state = {
        f"weight_ih{suffix}": swap_gates(array_of(cell.kernel).T),
        f"weight_hh{suffix}": swap_gates(array_of(cell.recurrent_kernel).T),
    }
    if gru.use_bias:
        bias = array_of(cell.bias)
        # Without reset_after one bias, to which the other would only be added.
        both = bias if gru.reset_after else np.stack([bias, np.zeros_like(bias)])
        state[f"bias_ih{suffix}"] = swap_gates(both[0])
        state[f"bias_hh{suffix}"] = swap_gates(both[1])
    return state


def _gru_part(gru: Any, state: dict[str, np.ndarray], *, bidirectional: bool) -> Part:
    weight = state["weight_ih_l0"]
    settings = {
        "input_size": weight.shape[1],
        "hidden_size": gru.units,
        "bias": gru.use_bias,
        "bidirectional": bidirectional,
        "recurrent_dropout": float(gru.recurrent_dropout),
        "reset_after": gru.reset_after,
        "dtype": weight.dtype,
    }
    return Part(GRU, settings, state)


def _last_unless_steps(layer: Any) -> list[Part]:
    return [] if layer.return_sequences else [Part(Pooling, {"how": "last"}, {})]


def _from_gru(gru: Any) -> list[Part]:
    _check_gru(gru, _name(gru))
    part = _gru_part(gru, _direction(gru, "_l0"), bidirectional=False)
    return [part, *_last_unless_steps(gru)]


def _from_bidirectional(layer: Any) -> list[Part]:
    name = _name(layer)
    forward, backward = layer.forward_layer, layer.backward_layer
    _check_gru(forward, name)
    _check_gru(backward, name, backwards=True)
    _check_layer(forward)
    if layer.merge_mode != "concat":
        raise ValueError(
            f"{name} has merge_mode={layer.merge_mode!r}, fastgru has 'concat' only"
        )
    for setting in ("units", "use_bias", "reset_after", "recurrent_dropout", "dtype"):
        pair = getattr(forward, setting), getattr(backward, setting)
        if pair[0] != pair[1]:
            raise ValueError(
                f"{name} must have the same {setting} in both directions, got "
                f"{pair[0]} and {pair[1]}"
            )
    if forward.compute_dtype != layer.compute_dtype:
        raise ValueError(
            f"{name} is of dtype {layer.compute_dtype}, the GRU in it of "
            f"{forward.compute_dtype}: give both the same"
        )
    state = _direction(forward, "_l0") | _direction(backward, "_l0_reverse")
    part = _gru_part(forward, state, bidirectional=True)
    return [part, *_last_unless_steps(layer)]


def _dense_part(layer: Any, activation: str | None = None) -> Part:
    if type(layer) is kl.TimeDistributed:
        if type(layer.layer) is not kl.Dense:
            raise TypeError(
                f"{_name(layer)} must hold a Dense, got {type(layer.layer).__name__}"
            )
        layer = layer.layer
    kernel = array_of(layer.kernel)
    state = {"weight": kernel.T}
    if layer.use_bias:
        state["bias"] = array_of(layer.bias)
    settings = {
        "input_size": kernel.shape[0],
        "output_size": kernel.shape[1],
        "bias": layer.use_bias,
        "activation": activation or _activation(layer),
        "dtype": kernel.dtype,
    }
    return Part(Dense, settings, state)


def _embedding_part(layer: Any) -> Part:
    if layer.mask_zero:
        raise ValueError(
            f"{_name(layer)} has mask_zero=True: pass lengths to the network instead, "
            "and make it with mask_zero=False"
        )
    weight = array_of(layer.embeddings)
    sizes = {"n_tokens": weight.shape[0], "embedding_dim": weight.shape[1]}
    return Part(Embedding, sizes | {"dtype": weight.dtype}, {"weight": weight})


def _pooling_part(layer: Any) -> Part:
    if layer.data_format != "channels_last" or layer.keepdims:
        raise ValueError(
            f"{_name(layer)} must have data_format='channels_last' and keepdims=False"
        )
    how = "mean" if type(layer) is kl.GlobalAveragePooling1D else "max"
    return Part(Pooling, {"how": how}, {})


_RECURRENT: dict[Any, Callable[[Any], list[Part]]] = {
    kl.GRU: _from_gru,
    kl.Bidirectional: _from_bidirectional,
}
_OTHERS: dict[Any, Callable[[Any], Part]] = {
    kl.Dense: _dense_part,
    kl.TimeDistributed: _dense_part,
    kl.Embedding: _embedding_part,
    kl.Dropout: lambda layer: Part(Dropout, {"rate": float(layer.rate)}, {}),
    kl.GlobalAveragePooling1D: _pooling_part,
    kl.GlobalMaxPooling1D: _pooling_part,
}
