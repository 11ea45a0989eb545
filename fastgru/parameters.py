"""One flat vector with named views: the parameters of a network, or their gradients.

An optimiser works on the flat vector; layers and users see the names, shapes and gate
order of PyTorch.  A weight is stored as the transpose of PyTorch's (one row per input
of the product), because the kernels read and write rows of gates; the view under its
name is transposed back.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fastgru import _buffers


class RowMajor(tuple[int, ...]):
    """A shape whose array is stored as it is: a table whose rows are looked up."""

    __slots__ = ()


class ParameterSet(Mapping[str, np.ndarray]):
    """Named arrays in one flat vector.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        Name and shape of each array in PyTorch's convention, in order; a ``RowMajor``
        one is not stored transposed.
    dtype : numpy dtype
        float32 or float64.
    flat : ndarray of shape (n_numbers,), default=None
        The vector to use; None allocates zeros.

    Attributes
    ----------
    flat : ndarray of shape (n_numbers,)
        All numbers, one array after the other.
    """

    # One is made in each training step, which of a small layer takes microseconds.
    __slots__ = ("_places", "flat", "shapes")

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        dtype: Any,
        flat: np.ndarray | None = None,
    ) -> None:
        self.shapes = dict(shapes)
        self._places: dict[str, slice] = {}
        begin = 0
        for name, shape in self.shapes.items():
            self._places[name] = slice(begin, begin + math.prod(shape))
            begin = self._places[name].stop
        self.flat = np.zeros(begin, dtype) if flat is None else flat

    # A mapping compares its values, which arrays do not do with one answer.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def dtype(self) -> np.dtype:
        """Type of every number."""
        return self.flat.dtype

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the array of a name in PyTorch's shape, a view."""
        stored = self.stored(name)
        return stored if isinstance(self.shapes[name], RowMajor) else stored.T

    def stored(self, name: str) -> np.ndarray:
        """Return an array as it is stored: C-contiguous."""
        shape = self.shapes[name]
        stored = shape if isinstance(shape, RowMajor) else shape[::-1]
        return self.flat[self._places[name]].reshape(stored)

    def place(self, names: Sequence[str]) -> slice:
        """Return where arrays that stand one after the other begin and end."""
        return slice(self._places[names[0]].start, self._places[names[-1]].stop)

    def part(self, prefix: str) -> ParameterSet:
        """Return the arrays with a prefix, under names without it, sharing memory."""
        names = [name for name in self.shapes if name.startswith(prefix)]
        shapes = {name.removeprefix(prefix): self.shapes[name] for name in names}
        place = self.place(names) if names else slice(0, 0)
        return ParameterSet(shapes, self.dtype, self.flat[place])

    def like(self) -> ParameterSet:
        """Return arrays of the same names and shapes, all zero."""
        return ParameterSet(self.shapes, self.dtype)

    def empty_like(self) -> ParameterSet:
        """Return arrays of the same names and shapes with any content."""
        like = ParameterSet.__new__(ParameterSet)
        like.shapes, like._places = self.shapes, self._places
        like.flat = _buffers.empty((self.flat.size,), self.flat.dtype)
        return like

    def weights(self) -> list[slice]:
        """Return the stretches of the flat vector that hold weights (not biases)."""
        return [self._places[name] for name, s in self.shapes.items() if len(s) > 1]

    def copy_out(self) -> dict[str, np.ndarray]:
        """Return a copy of every array by name, C-contiguous, in PyTorch's shapes."""
        return {name: np.array(self[name], order="C") for name in self}

    def copy_in(self, arrays: Mapping[str, Any]) -> None:
        """Set every array by name; when anything does not fit, nothing is changed.

        Parameters
        ----------
        arrays : mapping of str to array-like
            Exactly the names of this set, each in its shape and dtype.

        Raises
        ------
        TypeError
            If ``arrays`` is not a mapping.
        ValueError
            If a name is missing or unknown, or a shape or dtype differs.
        """
        if not isinstance(arrays, Mapping):
            raise TypeError(
                f"expected a mapping of names to arrays, got {type(arrays).__name__}"
            )
        missing = [name for name in self if name not in arrays]
        unknown = [name for name in arrays if name not in self.shapes]
        if missing or unknown:
            raise ValueError(
                f"names do not match: missing {missing}, unexpected {unknown}; "
                f"expected {list(self)}"
            )
        checked = {}
        for name, shape in self.shapes.items():
            array = np.asarray(arrays[name])
            if array.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape}, got shape {array.shape}"
                )
            if array.dtype != self.dtype:
                raise ValueError(
                    f"{name} must have dtype {self.dtype}, got dtype {array.dtype}"
                )
            checked[name] = array
        for name, array in checked.items():
            self[name][...] = array
