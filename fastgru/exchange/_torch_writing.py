"""PyTorch's modules of layers and networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from fastgru.exchange._self_check import (
    N_STEPS,
    check_agreement,
    draw_states,
    draw_step,
    draw_steps,
)
from fastgru.exchange.torch_network import OneHot as TorchOneHot
from fastgru.exchange.torch_network import Pooling as TorchPooling
from fastgru.exchange.torch_network import TorchNetwork, run_module
from fastgru.layers.dense import Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell
from fastgru.layers.network import Network
from fastgru.layers.one_hot import OneHot
from fastgru.layers.pooling import Pooling


def _load(module: Any, state: Mapping[str, np.ndarray]) -> Any:
    module.load_state_dict({name: torch.from_numpy(w) for name, w in state.items()})
    return module.eval()


def _torch_dtype(model: Any) -> Any:
    return {"float32": torch.float32, "float64": torch.float64}[model.dtype.name]


def _check_cell(layer: Any, where: str) -> None:
    if not layer.reset_after:
        raise ValueError(
            f"{where} has reset_after=False, but in PyTorch the reset gate acts after "
            "the product: train with reset_after=True, or convert to Keras or ONNX"
        )


def _empty_gru(gru: GRU, where: str) -> Any:
    _check_cell(gru, where)
    return nn.GRU(
        gru.input_size,
        gru.hidden_size,
        gru.num_layers,
        bias=gru.bias,
        batch_first=gru.batch_first,
        # Which acts between layers, and PyTorch warns where there is one alone.
        dropout=gru.dropout if gru.num_layers > 1 else 0.0,
        bidirectional=gru.bidirectional,
        dtype=_torch_dtype(gru),
    )


def to_gru(gru: GRU) -> Any:
    module = _load(_empty_gru(gru, "the GRU"), gru.state_dict())
    x, h_0 = draw_steps(gru), draw_states(gru)
    check_agreement(gru, {"x": x, "h_0": h_0}, run_module(module, x, h_0))
    return module


def to_cell(cell: GRUCell) -> Any:
    _check_cell(cell, "the GRUCell")
    sizes = {"bias": cell.bias, "dtype": _torch_dtype(cell)}
    module = nn.GRUCell(cell.input_size, cell.hidden_size, **sizes)
    _load(module, cell.state_dict())
    arguments = draw_step(cell)
    expected = run_module(module, *arguments.values())
    check_agreement(cell, arguments, expected)
    return module


def to_network(network: Network) -> Any:
    modules = []
    for place, layer in enumerate(network.layers):
        modules += _modules_of(layer, f"layer {place}, {layer},", network.batch_first)
    module = TorchNetwork(modules, batch_first=network.batch_first).eval()
    x = draw_steps(network)
    check_agreement(network, {"x": x}, run_module(module, x))
    lengths = np.array([2, N_STEPS, 0])
    arguments = {"x": x, "lengths": lengths}
    check_agreement(network, arguments, run_module(module, x, lengths))
    return module


def _modules_of(layer: Any, where: str, batch_first: bool) -> list[Any]:
    """Return the modules that do what a layer does, with its parameters."""
    state = layer.state_dict()
    if isinstance(layer, GRU):
        gru = _empty_gru(layer, where)
        gru.batch_first = batch_first
        return [_load(gru, state)]
    if isinstance(layer, Dropout):
        return [nn.Dropout(layer.rate)]
    dtype = _torch_dtype(layer)
    if isinstance(layer, Embedding):
        embedding = nn.Embedding(layer.n_tokens, layer.embedding_dim, dtype=dtype)
        return [_load(embedding, state)]
    if isinstance(layer, OneHot):
        return [TorchOneHot(layer.n_tokens, dtype)]
    if isinstance(layer, Pooling):
        pooling = TorchPooling(layer.how, layer.n_features, dtype)
        names = {"weight": "score_weight"}
        return [_load(pooling, {names[name]: w for name, w in state.items()})]
    assert isinstance(layer, Dense)  # the last kind that there is
    sizes = layer.input_size, layer.output_size
    linear = _load(nn.Linear(*sizes, bias=layer.bias, dtype=dtype), state)
    # Activations have a place of their own, so that a state_dict shows that one is
    # missing.
    activations = {"relu": nn.ReLU, "tanh": nn.Tanh, "logistic": nn.Sigmoid}
    name = layer.activation
    return [linear] if name == "identity" else [linear, activations[name]()]
