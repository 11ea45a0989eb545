"""From the axes of a caller's arrays to tables of rows, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from fastgru import _buffers
from fastgru.kernels.steps import zero_padding
from fastgru.layers._checks import check_array, check_lengths, check_shape, readable
from fastgru.layers.geometry import Geometry


class Layout:
    """How the axes of one call's arrays and its tables of rows belong together.

    It holds what follows from shape and lengths of x and no array of the call, so calls
    of the same shape share one: nobody may change it.

    Attributes
    ----------
    geometry : Geometry
        Where the steps stand in a table of rows.
    n_rows : int
        Rows of such a table.
    rows_shape : tuple of int
        Shape of that of x: (rows, features), or of tokens (rows,).
    batched : bool
        Whether there is an axis for the batch; without it, x is one sequence.
    """

    __slots__ = (
        "_axes",
        "_swapped",
        "_user_axes",
        "batched",
        "geometry",
        "n_rows",
        "rows_shape",
    )

    def __init__(
        self, shape: tuple[int, ...], geometry: Geometry, swapped: bool, batched: bool
    ) -> None:
        self.geometry = geometry
        self.n_rows = shape[0] * shape[1]
        self.rows_shape = (self.n_rows, *shape[2:])
        self.batched = batched
        # The leading axes as they stand in memory, and whether the caller sees them
        # swapped.
        self._axes = shape[:2] if batched else shape[:1]
        self._swapped = swapped
        self._user_axes = self._axes[::-1] if swapped else self._axes

    @staticmethod
    @lru_cache(maxsize=256)
    def equal(
        shape: tuple[int, ...], batch_first: bool, swapped: bool, batched: bool
    ) -> Layout:
        """Describe sequences that are all as long as their axis in memory."""
        n_steps, batch = shape[1::-1] if batch_first else shape[:2]
        geometry = Geometry.equal(n_steps, batch, batch_first=batch_first)
        return Layout(shape, geometry, swapped, batched)

    @classmethod
    def of(
        cls, x: np.ndarray, n_axes: int, lengths: Any, batch_first: bool
    ) -> tuple[np.ndarray, Layout]:
        """Check sequences of the right dtype; return their rows and their layout.

        n_axes : of a batch; one sequence has one less
        """
        shape = x.shape
        if x.ndim == n_axes and lengths is None and x.flags.carray and x.size > 0:
            # The usual case, with few words: a small call is mostly this.
            layout = cls.equal(shape, batch_first, False, True)
            return x.reshape(layout.rows_shape), layout
        if x.ndim not in (n_axes - 1, n_axes):
            raise ValueError(
                f"x must have {n_axes} axes, or {n_axes - 1} for one sequence, "
                f"got {x.ndim} axes: shape {shape}"
            )
        batched = x.ndim == n_axes
        batch_first = batch_first and batched
        if not batched:
            x = x[:, np.newaxis]
        n_steps, batch = x.shape[1::-1] if batch_first else x.shape[:2]
        if n_steps == 0:
            raise ValueError(f"x must have at least 1 time step, got 0: shape {shape}")
        # An array that is contiguous with its first two axes swapped is read as it
        # stands.
        swapped = False
        if not x.flags.c_contiguous and x.swapaxes(0, 1).flags.c_contiguous:
            swapped, batch_first = True, not batch_first
            x = x.swapaxes(0, 1)
        if lengths is None:
            layout = cls.equal(x.shape, batch_first, swapped, batched)
        else:
            checked = check_lengths(lengths, batch, n_steps)
            geometry = Geometry.padded(checked, n_steps, batch_first=batch_first)
            layout = cls(x.shape, geometry, swapped, batched)
        return readable(x).reshape(layout.rows_shape), layout

    def empty_rows(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Allocate a row per row of x, 0 where no step will write."""
        rows = _buffers.empty((self.n_rows, size), dtype)
        if not self.geometry.is_equal:
            n_steps = self.n_rows // max(1, self.geometry.batch)
            zero_padding(rows, self.geometry.table, n_steps)
        return rows

    def to_user(self, rows: np.ndarray, size: int) -> np.ndarray:
        """Give a table of rows the caller's axes."""
        array = rows.reshape((*self._axes, size))
        return array.swapaxes(0, 1) if self._swapped else array

    def from_user(
        self, name: str, array: Any, size: int, dtype: np.dtype
    ) -> np.ndarray:
        """Check an array of the caller's axes and bring it to rows."""
        array = check_array(name, array, dtype)
        check_shape(name, array, (*self._user_axes, size))
        if self._swapped:
            array = array.swapaxes(0, 1)
        return readable(array).reshape(self.n_rows, size)

    def states_to_user(self, states: np.ndarray) -> np.ndarray:
        """Give states (layers, B, H) the caller's axes."""
        return states if self.batched else states[:, 0]

    def states_from_user(
        self, name: str, states: Any, n: int, size: int, dtype: np.dtype
    ) -> np.ndarray:
        """Check states of the caller's axes and bring them to (layers, B, H)."""
        states = check_array(name, states, dtype)
        batch = self.geometry.batch
        expected = (n, batch, size) if self.batched else (n, size)
        check_shape(name, states, expected)
        return readable(states).reshape(n, batch, size)
