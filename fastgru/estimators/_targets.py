"""From targets and weights as users pass them to rows, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import _check_sample_weight

from fastgru.sequences import Sequences


def rows_of(name: str, values: Any, sequences: Sequences) -> np.ndarray:
    """Return one row per valid step, those of the first sequence first.

    Parameters
    ----------
    name : str
        What messages call the values.
    values : array-like of shape (n_samples, n_timesteps, ...), or list of arrays
        One value, or one row of values, per step.  Past the end of a sequence of a 3-D
        X anything may stand.
    sequences : Sequences
        The sequences that the values belong to.

    Returns
    -------
    ndarray of shape (sum of lengths, ...)

    Raises
    ------
    ValueError
        If a step has no value, or a value no step.
    """
    lengths = sequences.lengths
    if len(values) != len(lengths):
        raise ValueError(
            "Found input variables with inconsistent numbers of samples: "
            f"[{len(lengths)}, {len(values)}]"
        )
    n_timesteps = sequences.n_timesteps
    members: list[np.ndarray] = []
    for number, length in enumerate(lengths.tolist()):
        member = np.asarray(values[number])
        if member.ndim == 0:
            raise ValueError(
                f"{name} must hold one value per step, got a single one for sequence "
                f"{number}: {member[()]!r}"
            )
        if len(member) not in (length, n_timesteps):
            raise ValueError(
                f"{name} must hold one value per step: {name}[{number}] has "
                f"{len(member)}, but sequence {number} has {length} steps"
            )
        if members and member.shape[1:] != members[0].shape[1:]:
            raise ValueError(
                f"{name}[{number}] has values of shape {member.shape[1:]} per step, "
                f"but {name}[0] of shape {members[0].shape[1:]}"
            )
        members.append(member[:length])
    return np.concatenate(members)


def steps_to_user(rows: np.ndarray, sequences: Sequences) -> Any:
    """Give rows per step the form of X: an array, or a list of arrays.

    A list is for X that is a list, and for a 3-D array with padding.
    """
    lengths = sequences.lengths
    if sequences.n_timesteps is not None and lengths.min() == sequences.n_timesteps:
        return rows.reshape(len(lengths), sequences.n_timesteps, *rows.shape[1:])
    return np.split(rows, np.cumsum(lengths)[:-1])


def weights_of(
    sample_weight: Any, sequences: Sequences, *, per_step: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Check weights; return those of the rows, and which sequences have any.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), or None
        With ``per_step`` also one weight per step, in the forms of targets.
    sequences : Sequences
    per_step : bool
        Whether rows are steps.

    Returns
    -------
    weights : ndarray of shape (rows,), float64
    used : ndarray of bool, shape (n_samples,)
        False where a sequence has no weight.
    """
    lengths = sequences.lengths
    n = len(lengths)
    if sample_weight is None:
        return np.ones(lengths.sum() if per_step else n), np.ones(n, bool)
    if per_step and _is_per_step(sample_weight):
        rows = rows_of("sample_weight", sample_weight, sequences)
        weights = _checked(rows, np.empty((len(rows), 1)))
        used = np.maximum.reduceat(weights, np.cumsum(lengths) - lengths) > 0
    else:
        weights = _checked(sample_weight, np.empty((n, 1)))
        used = weights > 0
        if per_step:
            weights = np.repeat(weights, lengths)
    if not used.any():
        raise ValueError(
            "sample_weight must be positive for at least one sample, but all are 0"
        )
    return weights, used


def _is_per_step(sample_weight: Any) -> bool:
    return len(sample_weight) > 0 and np.ndim(sample_weight[0]) > 0


def _checked(sample_weight: Any, X: np.ndarray) -> np.ndarray:
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
    if (weights < 0).any():
        raise ValueError(
            f"sample_weight must not be negative, got {weights[weights < 0][0]}"
        )
    return weights
