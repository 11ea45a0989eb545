"""Keras's layers and models of layers and networks."""

from __future__ import annotations

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
from fastgru.exchange._self_check import check_agreement, draw_steps
from fastgru.layers.dense import Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.network import Network
from fastgru.layers.one_hot import OneHot
from fastgru.layers.pooling import Pooling

_POOLINGS = {"mean": kl.GlobalAveragePooling1D, "max": kl.GlobalMaxPooling1D}


def to_layer(gru: GRU) -> Any:
    """Make a layer of a GRU, or a model if it has several layers."""
    made = _recurrent(gru, final_only=False)
    result = made[0] if len(made) == 1 else _sequential(made, gru.input_size, gru.dtype)
    x = draw_steps(gru)
    expected = run(result, x if gru.batch_first else x.swapaxes(0, 1))
    expected = expected if gru.batch_first else expected.swapaxes(0, 1)
    check_agreement(gru, {"x": x}, (expected,), TOLERANCE)
    return result


def to_model(network: Network) -> Any:
    """Make a model of a network."""
    made: list[Any] = []
    for place, layer in enumerate(network.layers):
        name = f"layer {place}, {layer},"
        if isinstance(layer, GRU):
            made += _recurrent(layer, final_only=_is_pooled_to_last(network, place))
        elif isinstance(layer, Pooling):
            made += _pooling(network, place, name)
        elif isinstance(layer, OneHot):
            raise ValueError(
                f"{name} has no counterpart among Keras's layers; convert to PyTorch "
                "or ONNX, or train with an Embedding"
            )
        else:
            made.append(_by_rows(layer, network.dtype.name))
    model = _sequential(made, network._input.n_features, network.dtype)
    x = draw_steps(network)
    expected = run(model, x if network.batch_first else x.swapaxes(0, 1))
    if network._output.per == "step" and not network.batch_first:
        expected = expected.swapaxes(0, 1)
    check_agreement(network, {"x": x}, (expected,), TOLERANCE)
    return model


def _sequential(layers: list[Any], n_features: int | None, dtype: np.dtype) -> Any:
    if n_features is None:
        given = keras.Input((None,), dtype="int32")
    else:
        given = keras.Input((None, n_features), dtype=dtype.name)
    return keras.Sequential([given, *layers])


def _set(variable: Any, array: np.ndarray) -> None:
    """Give a variable its values, and see that it keeps them as they are."""
    variable.assign(array)
    kept = array_of(variable)
    if kept.dtype != array.dtype:
        raise ValueError(
            f"Keras's backend, {keras.backend.backend()}, keeps {array.dtype} as "
            f"{kept.dtype}: allow it there (JAX_ENABLE_X64=1 for JAX), or convert a "
            "model of float32"
        )
    if not np.array_equal(kept, array):
        raise RuntimeError(f"{variable.path} does not hold the weights it was given")


# -- recurrent layers --


def _recurrent(gru: GRU, *, final_only: bool) -> list[Any]:
    """Return the layers of a GRU, with dropout between."""
    made = []
    for number in range(gru.num_layers):
        is_last = number == gru.num_layers - 1
        made.append(_layer(gru, number, steps=not (is_last and final_only)))
        if gru.dropout > 0.0 and not is_last:
            made.append(kl.Dropout(gru.dropout, dtype=gru.dtype.name))
    return made


def _layer(gru: GRU, number: int, *, steps: bool) -> Any:
    """Return one layer of a GRU, of one direction or two, with its weights."""
    dtype = gru.dtype.name
    layer = kl.GRU(
        gru.hidden_size,
        use_bias=gru.bias,
        recurrent_dropout=gru.recurrent_dropout,
        return_sequences=steps,
        reset_after=gru.reset_after,
        dtype=dtype,
    )
    suffixes = [f"_l{number}"]
    if gru.bidirectional:
        layer = kl.Bidirectional(layer, merge_mode="concat", dtype=dtype)
        suffixes.append(f"_l{number}_reverse")
    state = gru.state_dict()
    layer.build((None, None, state[f"weight_ih_l{number}"].shape[1]))
    both = [layer.forward_layer, layer.backward_layer] if gru.bidirectional else [layer]
    for direction, suffix in zip(both, suffixes, strict=True):
        _set_direction(direction, state, suffix)
    return layer


def _set_direction(layer: Any, state: dict[str, np.ndarray], suffix: str) -> None:
    cell = layer.cell
    _set(cell.kernel, swap_gates(state[f"weight_ih{suffix}"]).T)
    _set(cell.recurrent_kernel, swap_gates(state[f"weight_hh{suffix}"]).T)
    if layer.use_bias:
        kinds = ("ih", "hh")
        both = np.stack([swap_gates(state[f"bias_{kind}{suffix}"]) for kind in kinds])
        _set(cell.bias, both if layer.reset_after else both.sum(axis=0))


# -- other layers --


def _gru_before(network: Network, place: int) -> int | None:
    """Return the place of the GRU whose output, dropout apart, comes in."""
    place -= 1
    while isinstance(network.layers[place], Dropout):
        place -= 1
    return place if isinstance(network.layers[place], GRU) else None


def _is_pooled_to_last(network: Network, place: int) -> bool:
    """Whether only the final states of the GRU at this place go on."""
    return any(
        isinstance(layer, Pooling)
        and layer.how == "last"
        and _gru_before(network, other) == place
        for other, layer in enumerate(network.layers)
    )


def _pooling(network: Network, place: int, name: str) -> list[Any]:
    how = network.layers[place].how  # type: ignore[attr-defined]
    if how in _POOLINGS:
        return [_POOLINGS[how](dtype=network.dtype.name)]
    if how == "attention":
        raise ValueError(
            f"{name} pools by attention, for which Keras has no layer: use another "
            "pooling, or convert to PyTorch"
        )
    if _gru_before(network, place) is None:
        raise ValueError(
            f"{name} takes the last step of a layer that is no GRU, for which Keras "
            "has no layer: pool directly behind the GRU, or convert to PyTorch"
        )
    return []  # the GRU itself returns its final states


def _by_rows(layer: Any, dtype: str) -> Any:
    """Return what works on each row by itself."""
    if isinstance(layer, Dropout):
        return kl.Dropout(layer.rate, dtype=dtype)
    state = layer.state_dict()
    if isinstance(layer, Embedding):
        embedding = kl.Embedding(layer.n_tokens, layer.embedding_dim, dtype=dtype)
        embedding.build()
        _set(embedding.embeddings, state["weight"])
        return embedding
    assert isinstance(layer, Dense)  # the last kind that there is
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    activation = names[layer.activation]
    settings = {"activation": activation, "use_bias": layer.bias, "dtype": dtype}
    dense = kl.Dense(layer.output_size, **settings)
    dense.build((None, layer.input_size))
    _set(dense.kernel, np.ascontiguousarray(state["weight"].T))
    if layer.bias:
        _set(dense.bias, state["bias"])
    return dense
