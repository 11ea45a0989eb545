"""Checks of single values that users pass; errors name what came and what may come."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np


def check_number(name: str, value: Any, interval: str) -> float:
    """Return a number as a float if it lies in an interval such as ``"[0, 1)"``."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(
            f"{name} must be a number, got {value!r} of type {type(value).__name__}"
        )
    low, high = map(float, interval[1:-1].split(","))
    value = float(value)
    inside = low < value < high
    at_an_end = (value == low and interval[0] == "[") or (
        value == high and interval[-1] == "]"
    )
    if not (inside or at_an_end):
        raise ValueError(f"{name} must be in {interval}, got {value}")
    return value


def check_random_state(seed: Any) -> np.random.RandomState:
    """Return what draws numbers for a ``random_state``, as scikit-learn reads it.

    Layers use this one, since importing scikit-learn takes longer than all else that
    they need.
    """
    if seed is None:
        return np.random.mtrand._rand  # the global one
    if isinstance(seed, np.random.RandomState):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(
            "random_state must be an int, a numpy.random.RandomState or None, got "
            f"{seed!r} of type {type(seed).__name__}"
        )
    number = int(seed)
    if not 0 <= number < 2**32:
        raise ValueError(f"random_state must be from 0 to 2**32 - 1, got {number}")
    return np.random.RandomState(number)
