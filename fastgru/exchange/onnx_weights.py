"""Parameters in the forms of ONNX: gates in the order z, r, h, directions on an axis.

W (D, 3H, I)    input weights
R (D, 3H, H)    recurrent weights
B (D, 6H)       input biases, behind them recurrent biases
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastgru.layers._layer import Configured
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell


def tensors_of(layer: Configured) -> dict[str, np.ndarray]:
    """Return a layer's parameters as ONNX's operators take them.

    Of a GRU ``W_l0``, ``R_l0`` and ``B_l0`` for each layer, of a GRUCell the same; of
    others fastgru's names, but weights with the outputs on the last axis.
    """
    state = layer.state_dict()
    if isinstance(layer, GRU):
        tensors: dict[str, np.ndarray] = {}
        for number in range(layer.num_layers):
            suffixes = suffixes_of(number, bidirectional=layer.bidirectional)
            parts = node_tensors(state, suffixes)
            tensors |= {f"{name}_l{number}": part for name, part in parts.items()}
        return tensors
    if isinstance(layer, GRUCell):
        parts = node_tensors(state, [""])
        return {f"{name}_l0": part for name, part in parts.items()}
    return _transposed(layer, state)


def state_dict_of(
    layer: Configured, tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return the parameters that ``tensors_of`` gave of a layer of these settings."""
    if not isinstance(layer, GRU):
        return _transposed(layer, tensors)
    state: dict[str, np.ndarray] = {}
    for number in range(layer.num_layers):
        suffixes = suffixes_of(number, bidirectional=layer.bidirectional)
        w, r = tensors[f"W_l{number}"], tensors[f"R_l{number}"]
        b = tensors[f"B_l{number}"] if layer.bias else None
        state |= node_state(w, r, b, suffixes)
    return state


def suffixes_of(layer: int, *, bidirectional: bool) -> list[str]:
    """Return what stands behind fastgru's names of each direction's parameters."""
    return [f"_l{layer}", f"_l{layer}_reverse"][: 1 + bidirectional]


def node_tensors(
    state: Mapping[str, np.ndarray], suffixes: list[str]
) -> dict[str, np.ndarray]:
    """Return W, R and, with biases, B of the directions of one layer."""

    def gather(name: str) -> np.ndarray:
        return np.stack([_swap_gates(state[name + suffix]) for suffix in suffixes])

    tensors = {"W": gather("weight_ih"), "R": gather("weight_hh")}
    if f"bias_ih{suffixes[0]}" in state:
        biases = [gather("bias_ih"), gather("bias_hh")]
        tensors["B"] = np.concatenate(biases, axis=1)
    return tensors


def node_state(
    w: np.ndarray, r: np.ndarray, b: np.ndarray | None, suffixes: list[str]
) -> dict[str, np.ndarray]:
    """Return the parameters of the directions of one layer by fastgru's names."""
    state = {}
    for direction, suffix in enumerate(suffixes):
        state[f"weight_ih{suffix}"] = _swap_gates(w[direction])
        state[f"weight_hh{suffix}"] = _swap_gates(r[direction])
        if b is not None:
            bias_ih, bias_hh = np.split(b[direction], 2)
            state[f"bias_ih{suffix}"] = _swap_gates(bias_ih)
            state[f"bias_hh{suffix}"] = _swap_gates(bias_hh)
    return state


def _swap_gates(rows: np.ndarray) -> np.ndarray:
    """Bring rows of three gates from r, z, n to z, r, h, or back."""
    first, second, candidate = np.split(rows, 3)
    return np.concatenate([second, first, candidate])


def _transposed(
    layer: Configured, tensors: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Turn matrices over, which a table of tokens is none of."""
    if isinstance(layer, Embedding):
        return dict(tensors)
    return {name: np.ascontiguousarray(array.T) for name, array in tensors.items()}
