"""One call's arrays: from the caller's axes to tables of rows, and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgru import _buffers
from fastgru.kernels.steps import zero_padding
from fastgru.layers._checks import check_array, check_lengths, check_shape, readable
from fastgru.layers.geometry import Geometry


class Call(NamedTuple):
    """The checked sequences of one call, and the way back to the caller's axes."""

    rows: np.ndarray  # (rows, features), or tokens (rows,)
    geometry: Geometry
    shape: tuple[int, ...]  # first two axes of x as it stands in memory
    swapped: bool  # whether the caller sees those two axes swapped
    batched: bool

    @classmethod
    def of(cls, x: np.ndarray, n_axes: int, lengths: Any, *, batch_first: bool) -> Call:
        """Check sequences of the right dtype; ``n_axes`` is that of a batch."""
        if x.ndim == n_axes and lengths is None and x.flags.carray and x.size > 0:
            # The usual case, with few words: a small call is mostly this.
            shape = x.shape
            n_steps, batch = shape[1::-1] if batch_first else shape[:2]
            geometry = Geometry.equal(n_steps, batch, batch_first=batch_first)
            rows = x.reshape(n_steps * batch, *shape[2:])
            return cls(rows, geometry, shape[:2], False, True)
        if x.ndim not in (n_axes - 1, n_axes):
            raise ValueError(
                f"x must have {n_axes} axes, or {n_axes - 1} for one sequence, "
                f"got {x.ndim} axes: shape {x.shape}"
            )
        shape, batched = x.shape, x.ndim == n_axes
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
            geometry = Geometry.equal(n_steps, batch, batch_first=batch_first)
        else:
            checked = check_lengths(lengths, batch, n_steps)
            geometry = Geometry.padded(checked, n_steps, batch_first=batch_first)
        n_rows = x.shape[0] * x.shape[1]
        rows = readable(x).reshape(n_rows, *x.shape[2:])
        return cls(rows, geometry, x.shape[:2], swapped, batched)

    def empty_rows(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Allocate a row per row of x, 0 where no step will write."""
        rows = _buffers.empty((self.shape[0] * self.shape[1], size), dtype)
        if not self.geometry.is_equal:
            n_steps = len(rows) // max(1, self.geometry.batch)
            zero_padding(rows, self.geometry.table, n_steps)
        return rows

    def to_user(self, rows: np.ndarray) -> np.ndarray:
        """Give a table of rows the caller's axes."""
        n_first, n_second = self.shape
        array = rows.reshape(n_first, n_second, rows.shape[-1])
        if self.swapped:
            array = array.swapaxes(0, 1)
        return array if self.batched else array[:, 0]

    def from_user(self, name: str, array: Any, size: int, dtype: np.dtype) -> Any:
        """Check an array of the caller's axes and bring it to rows."""
        array = check_array(name, array, dtype)
        shape = self.shape[::-1] if self.swapped else self.shape
        expected = (*shape, size) if self.batched else (shape[0], size)
        check_shape(name, array, expected)
        if not self.batched:
            array = array[:, np.newaxis]
        if self.swapped:
            array = array.swapaxes(0, 1)
        return readable(array).reshape(-1, size)

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
