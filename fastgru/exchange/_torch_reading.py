"""Layers and networks of PyTorch's modules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn

from fastgru.exchange._models import Part
from fastgru.exchange._self_check import (
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


def _copy_to_run(module: Any) -> Any:
    """Return a copy to run: the given module stays in its mode, and where it is."""
    return copy.deepcopy(module).cpu().eval()


def _arrays_of(module: Any, where: str) -> dict[str, np.ndarray]:
    """Return a module's parameters."""
    for name, tensor in module.state_dict().items():
        if tensor.dtype not in (torch.float32, torch.float64) or tensor.is_meta:
            raise ValueError(
                f"{name} of {where} must be a tensor of float32 or float64 with data, "
                f"got {tensor.dtype} on {tensor.device}: convert the module first, "
                "module.float()"
            )
    state = module.state_dict()
    return {name: tensor.cpu().numpy() for name, tensor in state.items()}


def _gru_part(module: Any, where: str) -> Part:
    state = _arrays_of(module, where)
    settings = {
        "input_size": module.input_size,
        "hidden_size": module.hidden_size,
        "num_layers": module.num_layers,
        "bias": module.bias,
        "dropout": float(module.dropout),
        "bidirectional": module.bidirectional,
        "dtype": _dtype_of(state),
    }
    return Part(GRU, settings, state)


def _dtype_of(state: Mapping[str, np.ndarray]) -> np.dtype:
    return next(iter(state.values())).dtype


def from_gru(module: Any, batch_first: bool | None) -> GRU:
    batch_first = module.batch_first if batch_first is None else batch_first
    gru: GRU = _gru_part(module, "the GRU").make(batch_first=batch_first)
    x, h_0 = draw_steps(gru), draw_states(gru)
    same_axes = batch_first == module.batch_first
    output, h_n = run_module(
        _copy_to_run(module), x if same_axes else x.swapaxes(0, 1), h_0
    )
    output = output if same_axes else output.swapaxes(0, 1)
    check_agreement(gru, {"x": x, "h_0": h_0}, (output, h_n))
    return gru


def from_cell(module: Any) -> GRUCell:
    state = _arrays_of(module, "the GRUCell")
    names = ("input_size", "hidden_size", "bias")
    settings = {name: getattr(module, name) for name in names}
    cell = Part(GRUCell, settings | {"dtype": _dtype_of(state)}, state).make()
    arguments = draw_step(cell)
    expected = run_module(_copy_to_run(module), *arguments.values())
    check_agreement(cell, arguments, expected)
    return cell


def from_chain(module: Any, batch_first: bool | None, drop_softmax: bool) -> Network:
    """Make a network of a Sequential, or of what to_torch made."""
    modules = list(module._modules.values())
    modules = _without_softmax(modules, drop_softmax)
    axes = {m.batch_first for m in modules if isinstance(m, nn.GRU)}
    if len(axes) == 2:
        raise ValueError(
            "the GRUs of a Sequential must agree on batch_first, since nothing between "
            "them swaps axes; make it the same for all"
        )
    own = axes.pop() if axes else bool(getattr(module, "batch_first", batch_first))
    batch_first = own if batch_first is None else batch_first
    parts = _parts(modules)
    network = Network([part.make() for part in parts], batch_first=batch_first)
    # PyTorch's Sequential cannot hand on what a GRU returns.
    runs = TorchNetwork([_copy_to_run(m) for m in modules], batch_first=own).eval()
    x = draw_steps(network)
    same_axes = batch_first == own
    (outputs,) = run_module(runs, x if same_axes else x.swapaxes(0, 1))
    if network._output.per == "step" and not same_axes:
        outputs = outputs.swapaxes(0, 1)
    check_agreement(network, {"x": x}, (outputs,))
    return network


def _without_softmax(modules: list[Any], drop_softmax: bool) -> list[Any]:
    """Return the modules but a softmax at the end."""
    if not modules or type(modules[-1]) not in (nn.Softmax, nn.LogSoftmax):
        return modules
    last, where = modules[-1], f"module {len(modules) - 1}, {modules[-1]}"
    if not drop_softmax:
        raise ValueError(
            f"{where}: networks of fastgru end with logits; drop_softmax=True leaves "
            "it out"
        )
    if last.dim not in (-1, 2):
        raise ValueError(
            f"{where}, is not over the outputs of a step, axis -1; put it outside of "
            "the Sequential"
        )
    return modules[:-1]


def _parts(modules: Iterable[Any]) -> list[Part]:
    """Return the layers of a chain of modules, or say which has none."""
    activations = {nn.ReLU: "relu", nn.Tanh: "tanh", nn.Sigmoid: "logistic"}
    readers: dict[type, Callable[[Any, str], Part]] = {
        nn.Linear: _linear_part,
        nn.Embedding: _embedding_part,
        nn.Dropout: lambda module, _: Part(Dropout, {"rate": float(module.p)}, {}),
        nn.GRU: _gru_part,
        TorchOneHot: _one_hot_part,
        TorchPooling: _pooling_part,
    }
    parts: list[Part] = []
    for place, module in enumerate(modules):
        kind, where = type(module), f"module {place}, {module}"
        if kind is nn.Identity:
            continue
        if kind in activations:
            before = parts[-1] if parts else None
            if before is None or before.settings.get("activation") != "identity":
                raise ValueError(
                    f"{where}, does not stand directly behind a Linear: in fastgru an "
                    "activation is part of a Dense layer; put it there, or behind a "
                    "Linear of its own"
                )
            before.settings["activation"] = activations[kind]
        elif kind in readers:
            parts.append(readers[kind](module, where))
        else:
            _refuse(module, where)
    return parts


def _refuse(module: Any, where: str) -> NoReturn:
    advice = "leave it out, or convert the modules before and after it one by one"
    if isinstance(module, (nn.Softmax, nn.LogSoftmax)):
        advice = "a network of fastgru can leave out one at the end alone"
    if isinstance(module, nn.Sequential):
        advice = "put its modules into the outer one"
    raise TypeError(
        f"{where}, of class {type(module).__module__}.{type(module).__qualname__} has "
        "no counterpart in fastgru, which has Embedding, GRU, Linear, Dropout, "
        f"Identity and, behind a Linear, ReLU, Tanh and Sigmoid: {advice}"
    )


def _linear_part(module: Any, where: str) -> Part:
    state = _arrays_of(module, where)
    settings = {
        "input_size": module.in_features,
        "output_size": module.out_features,
        "bias": module.bias is not None,
        "activation": "identity",
        "dtype": _dtype_of(state),
    }
    return Part(Dense, settings, state)


def _embedding_part(module: Any, where: str) -> Part:
    for name in ("padding_idx", "max_norm"):
        value = getattr(module, name)
        if value is not None:
            advice = {
                "padding_idx": "pass lengths to the network instead of padding tokens",
                "max_norm": "scale the weights once and set max_norm=None",
            }[name]
            raise ValueError(f"{where}: fastgru has no {name} ({value}); {advice}")
    state = _arrays_of(module, where)
    settings = {
        "n_tokens": module.num_embeddings,
        "embedding_dim": module.embedding_dim,
        "dtype": _dtype_of(state),
    }
    return Part(Embedding, settings, state)


def _one_hot_part(module: Any, where: str) -> Part:
    dtype = str(module.dtype).removeprefix("torch.")
    return Part(OneHot, {"n_tokens": module.n_tokens, "dtype": dtype}, {})


def _pooling_part(module: Any, where: str) -> Part:
    if module.how != "attention":
        return Part(Pooling, {"how": module.how}, {})
    weight = _arrays_of(module, where)["score_weight"]
    settings = {"how": "attention", "n_features": weight.shape[1]}
    return Part(Pooling, settings | {"dtype": weight.dtype}, {"weight": weight})
