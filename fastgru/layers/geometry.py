"""Where the steps of each sequence stand, and how a batch is shared between threads.

The Python side of ``kernels.steps``: it makes the numbers that the kernels read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Geometry:
    """Where the row of each step of each sequence stands in a table of rows.

    Attributes
    ----------
    n_steps : int
        Steps of the longest sequence.
    batch : int
        Number of sequences.
    n_rows : int
        Valid steps of all sequences together.
    row_step, step : int
        Distance in rows between sequences (equally long ones only), and between steps.
    order, first, starts : ndarray of int64
        See ``kernels.steps``; empty when all sequences are equally long.
    """

    n_steps: int
    batch: int
    n_rows: int
    row_step: int
    step: int
    order: np.ndarray = field(default_factory=lambda: _NONE)
    first: np.ndarray = field(default_factory=lambda: _NONE)
    starts: np.ndarray = field(default_factory=lambda: _NONE)

    @classmethod
    def equal(cls, n_steps: int, batch: int, *, batch_first: bool) -> Geometry:
        """Describe a 3-D array of equally long sequences."""
        row_step, step = (n_steps, 1) if batch_first else (1, batch)
        return cls(n_steps, batch, n_steps * batch, row_step, step)

    @classmethod
    def padded(
        cls, lengths: np.ndarray, n_steps: int, *, batch_first: bool
    ) -> Geometry:
        """Describe a 3-D array whose sequences end at their lengths."""
        batch = lengths.size
        if batch > 0 and lengths.min() == n_steps:
            return cls.equal(n_steps, batch, batch_first=batch_first)
        row_step, step = (n_steps, 1) if batch_first else (1, batch)
        return cls._sorted(lengths, np.arange(batch) * row_step, step)

    @classmethod
    def concatenated(cls, lengths: np.ndarray) -> Geometry:
        """Describe sequences that stand one after the other in one table."""
        batch = lengths.size
        if batch > 0 and lengths.min() == lengths.max():
            return cls.equal(int(lengths[0]), batch, batch_first=True)
        return cls._sorted(lengths, np.cumsum(lengths) - lengths, 1)

    @classmethod
    def _sorted(cls, lengths: np.ndarray, first: np.ndarray, step: int) -> Geometry:
        order = np.argsort(-lengths, kind="stable")
        # How many have ended by step t; there is a step 0 even when all lengths are 0.
        ended = np.cumsum(np.bincount(lengths, minlength=2))[:-1]
        starts = np.concatenate([[0], np.cumsum(lengths.size - ended)]).astype(np.int64)
        n_rows = int(starts[-1])
        first = np.ascontiguousarray(first[order], np.int64)
        return cls(ended.size, lengths.size, n_rows, 0, step, order, first, starts)

    @property
    def is_equal(self) -> bool:
        """Whether all sequences are equally long."""
        return self.first.size == 0

    def arguments(self) -> tuple:
        """Return what the kernels take."""
        return (
            self.n_steps,
            self.row_step,
            self.step,
            self.order,
            self.first,
            self.starts,
        )

    def bounds(self, n_blocks: int) -> np.ndarray:
        """Cut the sequences into blocks of about equally many steps."""
        if self.is_equal:
            return np.arange(n_blocks + 1) * self.batch // n_blocks
        # The first b sequences (the longest) have this many steps together.
        active = np.diff(self.starts)
        lengths = np.searchsorted(-active, -np.arange(self.batch), side="left")
        work = np.concatenate([[0], np.cumsum(lengths + 1)])
        shares = np.arange(1, n_blocks) * work[-1] / n_blocks
        inner = np.searchsorted(work, shares)
        return np.concatenate([[0], inner, [self.batch]]).astype(np.int64)
