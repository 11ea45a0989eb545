"""Values of Python as JSON, and checks of what a JSON text says instead."""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

import numpy as np

from fastgru.exchange.container import shortened


def take(description: Any, what: str, *names: str) -> list[Any]:
    """Return the values of an object that has exactly these keys."""
    if not isinstance(description, dict):
        raise ValueError(f"{what} must be an object, got {shortened(description)}")
    missing = [name for name in names if name not in description]
    unknown = [name for name in description if name not in names]
    if missing or unknown:
        raise ValueError(
            f"{what} must have the keys {', '.join(names)}: "
            f"missing {shortened(missing)}, unexpected {shortened(unknown)}"
        )
    return [description[name] for name in names]


def check_type(value: Any, kind: type, what: str) -> Any:
    """Return a value of exactly this type: True is no number here."""
    if type(value) is not kind:
        raise ValueError(f"{what} must be of type {kind.__name__}: {shortened(value)}")
    return value


def check_list(values: Any, kind: type, what: str) -> list[Any]:
    """Return a list of values of exactly one type."""
    check_type(values, list, what)
    for value in values:
        if type(value) is not kind:
            raise ValueError(
                f"{what} must hold only {kind.__name__}, got {shortened(value)}"
            )
    return values


def check_count(value: Any, least: int, what: str) -> int:
    """Return a whole number that is not too small and fits into 64 bits."""
    check_type(value, int, what)
    if not least <= value < 2**63:
        raise ValueError(f"{what} must be at least {least}, got {shortened(value)}")
    return value


def plain(name: str, value: Any) -> Any:
    """Return a value as JSON can hold it; ``unplain`` gives it back."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list):
        return [plain(name, item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [plain(name, item) for item in value]}
    if isinstance(value, dict):
        pairs = value.items()
        return {"dict": [[plain(name, k), plain(name, v)] for k, v in pairs]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{name} of type {type(value).__name__} cannot be saved to a file")


def unplain(value: Any) -> Any:
    """Return what ``plain`` made JSON of."""
    if isinstance(value, list):
        return [unplain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        (items,) = take(value, "a tuple", "tuple")
        return tuple(unplain(item) for item in check_type(items, list, "a tuple"))
    (pairs,) = take(value, "a setting", "dict")
    for pair in check_list(pairs, list, "a dict"):
        if len(pair) != 2 or isinstance(pair[0], (dict, list)):
            raise ValueError("a dict must hold pairs of a plain key and a value")
    return {key: unplain(item) for key, item in pairs}


# -- class labels ----------------------------------------------------------------------

# The types of tokens that JSON gives back as they were.
_TOKENS = (str, int, float, bool)
_LABELS: dict[str, tuple[type, ...]] = {
    "b": (bool,),
    "i": (int,),
    "u": (int,),
    "f": (float,),
    "U": (str,),
    "O": (str, bool, int, float),
}
# Memory that labels may take besides the size of the file.
_SPARE_BYTES = 10_000_000


def describe_labels(labels: np.ndarray) -> list[Any]:
    """Return class labels as a list and the dtype to read them back with."""
    return [[plain("class label", label) for label in labels], labels.dtype.str]


def describe_tokens(tokens: list[Any]) -> list[Any]:
    """Return a vocabulary's tokens, which may be anything hashable, if a file can."""
    for token in tokens:
        if type(token) not in _TOKENS:
            raise TypeError(
                f"a token of type {type(token).__name__} cannot be saved to a file"
            )
    return list(tokens)


def check_tokens(tokens: Any, n_tokens: int) -> list[Any]:
    """Return a vocabulary that a file describes."""
    check_type(tokens, list, "vocabulary")
    if len(tokens) != n_tokens:
        raise ValueError(f"there are {n_tokens} outputs, but {len(tokens)} tokens")
    for token in tokens:
        if type(token) not in _TOKENS:
            raise ValueError(f"a token is {shortened(token)}")
    if len(set(tokens)) < n_tokens:
        raise ValueError("a token stands twice in the vocabulary")
    return tokens


def rebuild_labels(description: Any, n_labels: int, n_bytes: int) -> np.ndarray:
    """Return the class labels that a file of so many bytes describes."""
    check_type(description, list, "classes")
    if len(description) != 2:
        raise ValueError("classes must be labels and their type")
    labels = check_type(description[0], list, "classes")
    kind = check_type(description[1], str, "the type of the classes")
    if len(labels) != n_labels:
        raise ValueError(f"there are {n_labels} outputs, but {len(labels)} classes")
    dtype = _label_dtype(kind)
    # A text type gives every label the room of the longest, which may be a lie.
    if dtype.itemsize * len(labels) > n_bytes + _SPARE_BYTES:
        raise ValueError(f"{len(labels)} classes of type {kind} take too much memory")
    for label in labels:
        if type(label) not in _LABELS[dtype.kind]:
            raise ValueError(f"a class of type {kind} is {shortened(label)}")
    array = np.empty(len(labels), dtype)
    for place, label in enumerate(labels):
        array[place] = label
    if array.tolist() != labels:
        raise ValueError(f"classes do not fit their type {kind}")
    if any(not before < after for before, after in pairwise(labels)):
        raise ValueError("classes are not sorted")
    return array


def _label_dtype(kind: str) -> np.dtype:
    try:
        dtype = np.dtype(kind)
    except (TypeError, ValueError, SyntaxError, OverflowError) as error:
        raise ValueError(f"classes have no type {shortened(kind)}") from error
    if dtype.kind not in _LABELS or dtype.shape or dtype.str != kind:
        raise ValueError(f"classes cannot be of type {shortened(kind)}")
    return dtype
