"""Checks of what users pass to layers; errors name what came and what was expected."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastgru.layers._layer import Form


def check_size(name: str, value: Any) -> int:
    """Return a size as an int, or say why it is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral):
        raise TypeError(
            f"{name} must be a whole number, got {value!r} "
            f"of type {type(value).__name__}"
        )
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def check_flag(name: str, value: Any) -> bool:
    """Return a flag as a bool, or say why it is none."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"{name} must be True or False, got {value!r} "
            f"of type {type(value).__name__}"
        )
    return bool(value)


def check_rate(name: str, value: Any) -> float:
    """Return a probability from 0 to 1 as a float, or say why it is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise TypeError(
            f"{name} must be a number from 0 to 1, got {value!r} "
            f"of type {type(value).__name__}"
        )
    if not 0.0 <= float(value) <= 1.0:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")
    return float(value)


def check_dtype(value: Any) -> np.dtype:
    """Return float32 or float64 as a NumPy dtype, or say why it is neither."""
    try:
        dtype = np.dtype(value)
    except TypeError as error:
        raise TypeError(f"dtype must be float32 or float64, got {value!r}") from error
    if dtype not in (np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype}")
    return dtype


def check_array(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    """Return an array of exactly this dtype, or say what came instead."""
    if type(value) is np.ndarray and value.dtype == dtype:
        return value
    if not isinstance(value, np.ndarray):
        try:
            value = np.asarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{name} must be an array, got {type(value).__name__}"
            ) from error
    if value.dtype.kind not in "fiub":
        raise TypeError(
            f"{name} must hold numbers, got an array of dtype {value.dtype}"
        )
    if value.dtype != dtype:
        raise ValueError(
            f"{name} must have the layer's dtype {dtype}, got dtype {value.dtype}"
        )
    return value


def check_shape(name: str, array: np.ndarray, expected: tuple[int, ...]) -> np.ndarray:
    """Return the array if it has the expected shape."""
    if array.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, got shape {array.shape}")
    return array


def check_form(
    layer: str, form: Form, n_features: int | None, dtype: np.dtype | None
) -> None:
    """Check that rows of features come in, of this many and this dtype unless None."""
    if form.n_features is None:
        raise ValueError(f"{layer} works on features, but tokens come in")
    if form.is_one_hot:
        raise ValueError(f"only a GRU can follow a OneHot, not {layer}")
    if n_features is not None and form.n_features != n_features:
        raise ValueError(
            f"{layer} expects {n_features} features, but {form.n_features} come in"
        )
    if dtype is not None and form.dtype != dtype:
        raise ValueError(f"{layer} is of dtype {dtype}, but {form.dtype} comes in")


def check_lengths(lengths: Any, batch: int, n_steps: int) -> np.ndarray:
    """Return as int64 the lengths of ``batch`` sequences of at most ``n_steps``."""
    try:
        array = np.asarray(lengths)
    except ValueError as error:
        raise ValueError(
            f"lengths must be 1-D, one per sequence, got {lengths!r}"
        ) from error
    if array.ndim != 1:
        raise ValueError(
            f"lengths must be 1-D, one per sequence, got shape {array.shape}"
        )
    if array.size != batch:
        raise ValueError(
            f"lengths must name {batch} lengths, one per sequence, got {array.size}"
        )
    if array.dtype.kind not in "iu":
        whole = array.dtype.kind == "f" and bool(
            np.all(np.isfinite(array) & (array == np.floor(array)))
        )
        if array.size > 0 and not whole:
            raise ValueError(f"lengths must be whole numbers, got {lengths!r}")
    if array.size > 0 and (array.min() < 0 or array.max() > n_steps):
        wrong = int(np.flatnonzero((array < 0) | (array > n_steps))[0])
        raise ValueError(
            f"lengths must be from 0 to {n_steps} steps, got {array[wrong]} "
            f"for sequence {wrong}"
        )
    return array.astype(np.int64)


class _Alias:
    """Something NumPy makes an array of that shares memory and is writable."""

    def __init__(self, array: np.ndarray) -> None:
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface
        self.array = array  # keeps the memory alive


def readable(array: np.ndarray) -> np.ndarray:
    """Return the array C-contiguous and of the one type that kernels are compiled for.

    Numba takes a read-only array for another type, which would compile everything
    again; kernels only read what passes through here.
    """
    flags = array.flags
    if flags.carray:  # C-contiguous, aligned and writable
        return array
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Alias(array))
