"""Where the steps of each sequence stand, and how a batch is shared between threads.

The Python side of ``kernels.steps``: it makes the numbers that the kernels read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from fastgru.kernels.steps import HEADER


class _remembered:
    """``cached_property`` without the lock of older Pythons.

    A child that is forked while another thread holds that lock would wait for it for
    ever.
    """

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        value = self._compute(instance)
        instance.__dict__[self._compute.__name__] = value  # is found first from now on
        return value


@lru_cache(maxsize=1024)
def equal_bounds(n: int, n_blocks: int) -> np.ndarray:
    """Cut so many sequences or steps into blocks of about equally many."""
    return np.arange(n_blocks + 1) * n // n_blocks


@dataclass(frozen=True)
class Geometry:
    """Where the row of each step of each sequence stands in a table of rows.

    Attributes
    ----------
    n_steps : int
        Steps of the longest sequence, at least 1.
    batch : int
        Number of sequences.
    n_rows : int
        Valid steps of all sequences together.
    table : ndarray of int64
        What the kernels take; see ``kernels.steps``.
    """

    n_steps: int
    batch: int
    n_rows: int
    table: np.ndarray
    # By number of blocks, once somebody asked.
    _bounds: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @staticmethod
    @lru_cache(maxsize=256)
    def equal(n_steps: int, batch: int, *, batch_first: bool) -> Geometry:
        """Describe a 3-D array of equally long sequences; nobody may change it."""
        row_step, step = (n_steps, 1) if batch_first else (1, batch)
        table = np.array([n_steps, batch, 0, row_step, step, 0])
        return Geometry(n_steps, batch, n_steps * batch, table)

    @classmethod
    def padded(
        cls, lengths: np.ndarray, n_steps: int, *, batch_first: bool
    ) -> Geometry:
        """Describe a 3-D array whose sequences end at their lengths."""
        batch = lengths.size
        if batch == 0 or lengths.min() == n_steps:
            return cls.equal(n_steps, batch, batch_first=batch_first)
        row_step, step = (n_steps, 1) if batch_first else (1, batch)
        return cls._sorted(lengths, np.arange(batch) * row_step, step)

    @classmethod
    def concatenated(cls, lengths: np.ndarray) -> Geometry:
        """Describe sequences that stand one after the other in one table."""
        batch = lengths.size
        if batch == 0 or 0 < lengths.min() == lengths.max():
            n_steps = 1 if batch == 0 else int(lengths[0])
            return cls.equal(n_steps, batch, batch_first=True)
        return cls._sorted(lengths, np.cumsum(lengths) - lengths, 1)

    @classmethod
    def _sorted(cls, lengths: np.ndarray, first: np.ndarray, step: int) -> Geometry:
        order = np.argsort(-lengths, kind="stable")
        # How many have ended by step t; there is a step 0 even when all lengths are 0.
        ended = np.cumsum(np.bincount(lengths, minlength=2))[:-1]
        n_steps, batch = ended.size, lengths.size
        starts = np.cumsum(batch - ended)
        header = [n_steps, batch, 0, 0, step, 1]
        table = np.concatenate([header, order, first[order], [0], starts])
        return cls(n_steps, batch, int(starts[-1]), table.astype(np.int64, copy=False))

    @_remembered
    def is_equal(self) -> bool:
        """Whether all sequences are equally long."""
        return bool(self.table[5] == 0)

    @_remembered
    def is_packed(self) -> bool:
        """Whether rows stand in the order in which kernels keep them: time-major."""
        return self.is_equal and self.table[3:5].tolist() == [1, self.batch]

    @property
    def order(self) -> np.ndarray:
        """Number in the user's arrays of each sequence, (B,), when lengths differ."""
        return self.table[HEADER : HEADER + self.batch]

    def lengths(self) -> np.ndarray:
        """Return the number of steps of each sequence, (B,) int64, in users' order."""
        if self.is_equal:
            return np.full(self.batch, self.n_steps)
        lengths = np.empty(self.batch, np.int64)
        lengths[self.order] = self._sorted_lengths()
        return lengths

    def valid_rows(self) -> np.ndarray:
        """Return where each step stands, sequence by sequence, when lengths differ."""
        first = np.empty(self.batch, np.int64)
        first[self.order] = self.table[HEADER + self.batch : HEADER + 2 * self.batch]
        lengths = self.lengths()
        steps = np.arange(self.n_rows) - np.repeat(
            np.cumsum(lengths) - lengths, lengths
        )
        return np.repeat(first, lengths) + steps * self.table[4]

    def _sorted_lengths(self) -> np.ndarray:
        # The first b sequences (the longest) have this many steps together.
        active = np.diff(self.table[HEADER + 2 * self.batch :])
        return np.searchsorted(-active, -np.arange(self.batch), side="left")

    def reversed(self) -> Geometry:
        """Describe the same sequences read from their ends."""
        found: Geometry = self._reversed
        return found

    @_remembered
    def _reversed(self) -> Geometry:
        table = self.table.copy()
        step = int(table[4])
        table[4] = -step
        if self.is_equal:
            table[2] += (self.n_steps - 1) * step
        else:
            first = table[HEADER + self.batch : HEADER + 2 * self.batch]
            first += np.maximum(self._sorted_lengths() - 1, 0) * step
        return Geometry(self.n_steps, self.batch, self.n_rows, table)

    def bounds(self, n_blocks: int) -> np.ndarray:
        """Cut the sequences into blocks of about equally many steps."""
        bounds = self._bounds.get(n_blocks)
        if bounds is None:
            bounds = self._bounds[n_blocks] = self._cut(n_blocks)
        return bounds

    def _cut(self, n_blocks: int) -> np.ndarray:
        if self.is_equal:
            return equal_bounds(self.batch, n_blocks)
        work = np.concatenate([[0], np.cumsum(self._sorted_lengths() + 1)])
        shares = np.arange(1, n_blocks) * work[-1] / n_blocks
        inner = np.searchsorted(work, shares)
        return np.concatenate([[0], inner, [self.batch]]).astype(np.int64)
