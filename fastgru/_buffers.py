"""Large arrays in memory that is used again, since fresh memory costs a call time.

The system hands out zeroed pages, one fault at a time, which for a small layer takes as
long as a tenth of a training step.  An array from here is like any other; when nobody
holds it any more, its memory waits for the next of about its size.
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import count
from math import prod

import numpy as np
from numpy import empty as np_empty
from numpy import ndarray

# Numbers below which the system's own allocator is quick (glibc's takes them from what
# it keeps); bytes that may wait; and as how many of the last blocks that came none may
# be of a size before it makes room.  A training step of twenty layers lets go of a
# hundred.
_FEWEST = 2**15
_MOST_WAITING = 2**29
_RECENT = 100
_ALIGNMENT = 64
_BYTE = np.dtype(np.uint8)


class _Block(ndarray):
    """Bytes to use again.

    NumPy lets go of what lies between an array and memory of a plain one, so neither
    this nor ``_Lease`` may be one.
    """

    __slots__ = ()


class _WaitingBlocks:
    """Free blocks by size; sizes that are no longer in use make room for others.

    Single operations on its parts are atomic, so threads may share it without a lock
    (which a fork could find held): a block is handed out once, and at worst forgotten.
    """

    def __init__(self, most_bytes: int, n_recent: int) -> None:
        self._most_bytes, self._n_recent = most_bytes, n_recent
        self._by_size: dict[int, deque[_Block]] = defaultdict(deque)
        self._n_places: dict[int, int] = defaultdict(int)  # by size
        self._clock = count()  # of blocks that came
        self._last_came: dict[int, int] = {}  # by size

    def take(self, size: int) -> _Block | None:
        """Return a block of a size, if one waits."""
        try:
            return self._by_size[size].pop()
        except IndexError:
            return None

    def put(self, block: _Block) -> None:
        """Let a block wait, if there is room."""
        size = block.size
        self._last_came[size] = now = next(self._clock)
        waiting = self._by_size[size]
        if len(waiting) < self._n_places[size] or self._add_place(size, now):
            waiting.append(block)

    def _add_place(self, size: int, now: int) -> bool:
        """Give one more block of a size room to wait, if there is or can be made."""
        n_bytes = size + sum(s * n for s, n in list(self._n_places.items()))
        if n_bytes > self._most_bytes:
            n_bytes -= self._make_room(now - self._n_recent)
        has_room = n_bytes <= self._most_bytes
        if has_room:
            self._n_places[size] += 1
        return has_room

    def _make_room(self, oldest: int) -> int:
        """Drop the blocks of sizes that last came before a time; return their bytes.

        Not simply those that came first: in turn, blocks of more bytes than may wait
        would each be dropped just before they are wanted again.
        """
        n_bytes = 0
        for size in list(self._by_size):
            if self._last_came.get(size, 0) < oldest:
                self._by_size.pop(size, None)
                n_bytes += size * self._n_places.pop(size, 0)
                self._last_came.pop(size, None)
        return n_bytes


_waiting = _WaitingBlocks(_MOST_WAITING, _RECENT)


class _Lease(ndarray):
    """Holds a block as long as any array made of it exists, then lets it wait."""

    __slots__ = ()

    # Arrays may outlive this module's names, when the interpreter ends.
    def __del__(self, waiting: _WaitingBlocks = _waiting) -> None:
        waiting.put(self.base)  # type: ignore[arg-type]


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array with any content."""
    # A small call makes half a dozen: few words.
    n_numbers = prod(shape)
    if n_numbers < _FEWEST:
        return np_empty(shape, dtype)
    size = _rounded(n_numbers * dtype.itemsize)
    block = _waiting.take(size)
    if block is None:
        memory = np_empty(size + _ALIGNMENT, _BYTE)
        block = _Block((size,), _BYTE, memory, -memory.ctypes.data % _ALIGNMENT)
    return ndarray(shape, dtype, _Lease((size,), _BYTE, block))


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array of zeros."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def _rounded(n_bytes: int) -> int:
    """Return a size that about equal numbers of bytes share, at most 1/8 larger."""
    step = 1 << (n_bytes.bit_length() - 4)
    return -(-n_bytes // step) * step
