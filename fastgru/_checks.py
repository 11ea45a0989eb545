"""Checks of single values that users pass; errors name what came and what may come."""

from __future__ import annotations

from numbers import Real
from typing import Any


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
