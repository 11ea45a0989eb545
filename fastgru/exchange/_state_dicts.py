"""PyTorch's state_dicts: from files, and to layers whose kind the names tell.

Files of safetensors, and mappings to NumPy arrays, need no PyTorch.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastgru.exchange import _reference
from fastgru.exchange._models import Part
from fastgru.exchange._self_check import (
    N_SEQUENCES,
    check_agreement,
    draw_states,
    draw_step,
    draw_steps,
)
from fastgru.layers.dense import Dense
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell
from fastgru.layers.network import Network

_OF_GRU = re.compile(r"(weight|bias)_(ih|hh)_l\d+(_reverse)?")
_OF_CELL = re.compile(r"(weight|bias)_(ih|hh)")
_NUMBERED = re.compile(r"(.*\.)?(\d+)\.")

_PICKLED = (".pt", ".pth", ".bin")


# -- files --


def read_state_dict(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return what a file holds.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its name ends otherwise, or it holds more than tensors, or is damaged.
    """
    path = Path(path)
    if path.suffix not in (".safetensors", *_PICKLED):
        raise ValueError(
            f"expected a file that ends in .safetensors, {', '.join(_PICKLED)}, "
            f"got {path.name!r}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no file at {path}")
    return _read_safetensors(path) if path.suffix == ".safetensors" else _unpickle(path)


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            kinds = {name: file.get_slice(name).get_dtype() for name in file.keys()}
            for name, kind in kinds.items():
                if kind not in ("F32", "F64"):
                    raise _wrong_dtype(f"{path.name}: {name}", kind)
            tensors = {name: file.get_tensor(name) for name in kinds}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or not a safetensors file: {error}"
        ) from error
    if str(header.get("format")).startswith("fastgru"):
        raise ValueError(f"{path} was written by fastgru.save: use fastgru.load")
    return tensors


def _unpickle(path: Path) -> Mapping[str, Any]:
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError) as error:
        raise ValueError(
            f"{path} is damaged, or holds more than tensors, such as a whole module, "
            "which could run any code: load it yourself if you trust it, and save its "
            "state_dict() instead"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(
            f"{path} must hold a state_dict, got {type(content).__name__}: save "
            "module.state_dict()"
        )
    return content


# -- names --


def model_of(state_dict: Mapping[str, Any], batch_first: bool | None) -> Any:
    """Return the GRU, GRUCell or Network that names and shapes describe, checked."""
    arrays = _arrays(state_dict)
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        end = name.rfind(".") + 1
        groups.setdefault(name[:end], {})[name[end:]] = array
    if len(groups) == 1:
        (own,) = groups.values()
        if all(_OF_CELL.fullmatch(name) for name in own):
            if batch_first is not None:
                raise ValueError("a GRUCell has no batch_first: leave it out")
            return _cell(own)
        if all(_OF_GRU.fullmatch(name) for name in own):
            return _gru(own, bool(batch_first))
    return _network(_in_order(groups), bool(batch_first))


def _arrays(state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the entries as arrays, all of float32 or all of float64."""
    arrays = {}
    for name, value in state_dict.items():
        if isinstance(value, Mapping):
            raise ValueError(
                f"entry {name!r} is itself a mapping: pass the one of the parameters "
                f"alone, of this one of {list(state_dict)}"
            )
        if hasattr(value, "detach"):  # a tensor
            dtype = str(value.dtype).removeprefix("torch.")
            if dtype not in ("float32", "float64"):
                raise _wrong_dtype(name, dtype)
            value = value.detach().cpu().numpy()
        arrays[str(name)] = np.asarray(value)
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise _wrong_dtype(name, array.dtype)
    dtypes = sorted({array.dtype.name for array in arrays.values()})
    if len(dtypes) != 1:
        raise ValueError(
            f"expected parameters of one dtype, got {' and '.join(dtypes) or 'none'}"
        )
    return arrays


def _wrong_dtype(name: str, dtype: Any) -> ValueError:
    return ValueError(
        f"{name} must be of dtype float32 or float64, got {dtype}: convert it first, "
        "tensor.float()"
    )


def _in_order(
    groups: Mapping[str, dict[str, np.ndarray]],
) -> list[dict[str, np.ndarray]]:
    """Return the parameters of each module of a Sequential."""
    found = {prefix: _NUMBERED.fullmatch(prefix) for prefix in groups}
    outer = {match[1] for match in found.values() if match}
    if not all(found.values()) or len(outer) != 1:
        raise ValueError(
            "expected the names of one GRU, such as 'weight_ih_l0', or numbered ones "
            "of an nn.Sequential, such as '0.weight_ih_l0', got those of the parts "
            f"{list(groups)}: how they are connected names do not tell. Pass those of "
            "the GRU alone, or put the modules into an nn.Sequential and pass that"
        )
    numbered = {int(match[2]): groups[p] for p, match in found.items() if match}
    missing = sorted(set(range(max(numbered) + 1)) - set(numbered))
    if missing:
        raise ValueError(
            f"nothing is named by the numbers {missing}: modules without parameters, "
            "perhaps activations, which a state_dict does not tell; pass the "
            "nn.Sequential itself"
        )
    return [numbered[number] for number in range(len(numbered))]


# -- layers --


def _gru(state: dict[str, np.ndarray], batch_first: bool) -> GRU:
    part = gru_part(state, "_l0")
    gru = part.make(batch_first=batch_first)
    x, h_0 = draw_steps(gru), draw_states(gru)
    steps = x.swapaxes(0, 1) if batch_first else x
    output, h_n = _reference.gru(steps, h_0, state)
    output = output.swapaxes(0, 1) if batch_first else output
    check_agreement(gru, {"x": x, "h_0": h_0}, (output, h_n))
    return gru


def _cell(state: dict[str, np.ndarray]) -> GRUCell:
    cell = gru_part(state, "").make()
    arguments = draw_step(cell)
    h = _reference.step(arguments["x"], arguments["h"], state)
    check_agreement(cell, arguments, (h,))
    return cell


def gru_part(state: Mapping[str, np.ndarray], suffix: str) -> Part:
    """Return a GRU, or with an empty suffix a GRUCell, by the shapes of its weights."""
    names = [f"weight_ih{suffix}", f"weight_hh{suffix}"]
    missing = [name for name in names if name not in state]
    if missing:
        raise ValueError(f"{missing} missing among {list(state)}")
    w_ih, w_hh = (state[name] for name in names)
    if w_ih.ndim != 2 or w_hh.ndim != 2 or len(w_hh) != 3 * w_hh.shape[1]:
        raise ValueError(
            f"{names[1]} of a GRU must have shape (3H, H) and {names[0]} (3H, I), got "
            f"{w_hh.shape} and {w_ih.shape}; an LSTM has 4H rows, a plain RNN H"
        )
    settings = {
        "input_size": w_ih.shape[1],
        "hidden_size": w_hh.shape[1],
        "bias": any(name.startswith("bias") for name in state),
        "dtype": w_ih.dtype,
    }
    if not suffix:
        return Part(GRUCell, settings, state)
    settings["num_layers"] = len({re.sub(r"\D", "", name) for name in state})
    settings["bidirectional"] = any(name.endswith("_reverse") for name in state)
    return Part(GRU, settings, state)


def _network(modules: list[dict[str, np.ndarray]], batch_first: bool) -> Network:
    parts = [_part(place, modules) for place in range(len(modules))]
    network = Network([part.make() for part in parts], batch_first=batch_first)
    inputs = draw_steps(network)
    x = inputs.swapaxes(0, 1) if batch_first else inputs
    for part in parts:
        if part.layer is GRU:
            n_states = sum(name.startswith("weight_hh") for name in part.state)
            h_0 = np.zeros((n_states, N_SEQUENCES, part.settings["hidden_size"]))
            x, _ = _reference.gru(x, h_0, part.state)
        elif part.layer is Embedding:
            x = _reference.embedding(x, part.state)
        else:
            x = _reference.linear(x, part.state)
    x = x.swapaxes(0, 1) if batch_first else x
    check_agreement(network, {"x": inputs}, (x,))
    return network


def _part(place: int, modules: list[dict[str, np.ndarray]]) -> Part:
    """Return the layer that the names of one module describe."""
    state = modules[place]
    if all(_OF_GRU.fullmatch(name) for name in state):
        return gru_part(state, "_l0")
    if not {"weight"} <= set(state) <= {"weight", "bias"} or state["weight"].ndim != 2:
        shapes = {name: array.shape for name, array in state.items()}
        raise ValueError(
            f"module {place} has parameters {shapes}, neither those of a GRU nor of a "
            "Linear or an Embedding, the modules with parameters that fastgru has"
        )
    rows, columns = state["weight"].shape
    dtype = {"dtype": state["weight"].dtype}
    # A table of tokens can only be the first module, and then one of a GRU follows.
    reads_tokens = place == 0 and any("weight_ih_l0" in other for other in modules)
    if reads_tokens and "bias" not in state:
        settings = {"n_tokens": rows, "embedding_dim": columns}
        return Part(Embedding, settings | dtype, state)
    settings = {"input_size": columns, "output_size": rows, "bias": "bias" in state}
    return Part(Dense, settings | dtype, state)
