"""The check at the end of each conversion: both sides give the same numbers.

Inputs are drawn with a generator of their own, of sizes that differ from each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell
from fastgru.layers.network import Network
from fastgru.layers.one_hot import OneHot

Results = tuple[np.ndarray, ...]

N_STEPS, N_SEQUENCES = 5, 3

# The largest difference allowed, as a part of the largest number.
TOLERANCES = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
# The largest that is put down to rounding, likewise.
_LARGEST_ROUNDING = 1e-3


def draw(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    """Draw numbers from the standard normal distribution."""
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def draw_states(gru: GRU, n_sequences: int = N_SEQUENCES) -> np.ndarray:
    """Draw initial states, (D * L, B, H)."""
    shape = (gru._stack.n_states, n_sequences, gru.hidden_size)
    return draw(shape, gru.dtype, seed=1)


def draw_step(cell: GRUCell) -> dict[str, np.ndarray]:
    """Draw what a call of a cell takes, in its order."""
    x = draw((N_SEQUENCES, cell.input_size), cell.dtype)
    return {"x": x, "h": draw((N_SEQUENCES, cell.hidden_size), cell.dtype, seed=1)}


def draw_steps(
    model: GRU | Network, n_steps: int = N_STEPS, n_sequences: int = N_SEQUENCES
) -> np.ndarray:
    """Draw what a model reads, in its order of axes; tokens if it reads these."""
    axes = (n_sequences, n_steps) if model.batch_first else (n_steps, n_sequences)
    if isinstance(model, GRU):
        return draw((*axes, model.input_size), model.dtype)
    first = model.layers[0]
    if isinstance(first, (Embedding, OneHot)):
        return np.random.default_rng(0).integers(first.n_tokens, size=axes)
    assert model._input.n_features is not None  # as there are no tokens
    return draw((*axes, model._input.n_features), model.dtype)


def check_agreement(
    model: Any,
    arguments: dict[str, np.ndarray],
    expected: Results,
    tolerance: float | None = None,
    then: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Raise unless a model gives what its counterpart has given.

    Parameters
    ----------
    model : GRU, GRUCell or Network
        Ours, whichever of the two the other was made from.
    arguments : dict of str to ndarray
        Of the call.
    expected : tuple of ndarray
        The counterpart's results, or the first of them.
    tolerance : float, default=None
        In place of the dtype's own.
    then : callable, default=None
        What the counterpart does, besides, to each result.

    Raises
    ------
    ValueError
        If the counterpart's results are not finite.
    RuntimeError
        If the results differ by more than rounding.
    """
    if not all(np.isfinite(theirs).all() for theirs in expected):
        raise ValueError(
            "the outputs are not finite, so nothing can be checked: do the parameters "
            "hold NaN or infinity?"
        )
    results = _run(model, arguments, then)[: len(expected)]
    part = TOLERANCES[model.dtype] if tolerance is None else tolerance
    rounding = [0.0] * len(results)
    if _agree(results, expected, rounding, part):
        return
    if model.dtype == np.float32:
        # Large weights may make results of little precision: they agree to that then.
        exact = _run(_in_float64(model), arguments, then)[: len(expected)]
        rounding = [_distance(a, b) for a, b in zip(results, exact, strict=True)]
        if _agree(results, expected, rounding, part):
            return
    pairs = list(zip(results, expected, strict=True))
    differences = ", ".join(f"{_distance(*pair):.1e}" for pair in pairs)
    largest = ", ".join(f"{_largest(theirs):.1e}" for theirs in expected)
    raise RuntimeError(
        "the two models disagree, so none is returned: the largest difference is "
        f"{differences} where numbers reach {largest}. Either the given model "
        "computes something else than its layers say, or the conversion is wrong; "
        "please report that"
    )


def _agree(ours: Results, theirs: Results, rounding: list[float], part: float) -> bool:
    """Whether each result differs by no more than rounding explains."""
    for a, b, own in zip(ours, theirs, rounding, strict=True):
        allowed = max(part, min(10 * own / (_largest(b) or 1.0), _LARGEST_ROUNDING))
        if not _distance(a, b) <= allowed * _largest(b):  # so that NaN does not pass
            return False
    return True


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0.0))


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, infinite between different shapes."""
    if a.shape != b.shape:
        return np.inf
    return _largest(a.astype(np.float64) - b)


def _run(
    model: Any,
    arguments: dict[str, np.ndarray],
    then: Callable[[np.ndarray], np.ndarray] | None,
) -> Results:
    """Call a model, with numbers of its own dtype."""
    converted = {
        name: array.astype(model.dtype) if array.dtype.kind == "f" else array
        for name, array in arguments.items()
    }
    results = model(**converted)
    results = results if isinstance(results, tuple) else (results,)
    return results if then is None else tuple(map(then, results))


def _in_float64(model: Any) -> Any:
    """Return a copy of a model that computes in float64."""
    if isinstance(model, Network):
        layers = [_in_float64(layer) for layer in model.layers]
        return Network(layers, batch_first=model.batch_first)
    settings = model.settings()
    if "dtype" in settings:
        settings["dtype"] = "float64"
    state = model.state_dict().items()
    return type(model)._restored(
        settings, {name: w.astype(np.float64) for name, w in state}
    )
