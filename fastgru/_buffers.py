"""Large arrays in memory that is used again, since fresh memory costs a call time.

The system hands out zeroed pages, one fault at a time, which for a small layer takes as
long as a tenth of a training step.  An array from here is like any other; when nobody
holds it any more, its memory waits for the next of about its size.
"""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import count
from math import prod
from typing import NamedTuple

import numpy as np
from numpy import empty as np_empty

# Numbers below which the system's own allocator is quick (glibc's takes them from what
# it keeps); bytes that may wait; and as how many of the last blocks that came none may
# be of a size before it makes room.  A training step of twenty layers lets go of a
# hundred.
_FEWEST = 2**15
_MOST_WAITING = 2**29
_RECENT = 100
_ALIGNMENT = 64


class _Block(NamedTuple):
    memory: np.ndarray
    address: int  # of its first aligned byte
    size: int  # in bytes from there on


class _WaitingBlocks:
    """Free blocks by size; sizes that are no longer in use make room for others.

    Single operations on its parts are atomic, so threads may share it without a lock
    (which a fork could find held): a block is handed out once, and at worst forgotten.
    """

    def __init__(self, most_bytes: int, n_recent: int) -> None:
        self._most_bytes, self._n_recent = most_bytes, n_recent
        self._by_size: dict[int, deque[_Block]] = defaultdict(deque)
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
        self._last_came[block.size] = now = next(self._clock)
        n_bytes = block.size
        for size in list(self._by_size):
            n_bytes += size * len(self._by_size.get(size, ()))
        if n_bytes > self._most_bytes:
            n_bytes -= self._make_room(now - self._n_recent)
        if n_bytes <= self._most_bytes:
            self._by_size[block.size].append(block)

    def _make_room(self, oldest: int) -> int:
        """Drop the blocks of sizes that last came before a time; return their bytes.

        Not simply those that came first: in turn, blocks of more bytes than may wait
        would each be dropped just before they are wanted again.
        """
        n_bytes = 0
        for size in list(self._by_size):
            if self._last_came.get(size, 0) < oldest:
                n_bytes += size * len(self._by_size.pop(size, ()))
                self._last_came.pop(size, None)
        return n_bytes


_waiting = _WaitingBlocks(_MOST_WAITING, _RECENT)


class _Lease:
    """Holds a block as long as any array made of it exists, then lets it wait."""

    def __init__(self, block: _Block, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._block = block
        # Arrays may outlive this module's names, when the interpreter ends.
        self._waiting = _waiting
        self.__array_interface__ = {
            "data": (block.address, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    def __del__(self) -> None:
        self._waiting.put(self._block)


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array with any content."""
    # A small call makes half a dozen: few words.
    n_numbers = prod(shape)
    if n_numbers < _FEWEST:
        return np_empty(shape, dtype)
    size = _rounded(n_numbers * dtype.itemsize)
    block = _waiting.take(size)
    if block is None:
        memory = np.empty(size + _ALIGNMENT, np.uint8)
        address = memory.ctypes.data
        block = _Block(memory, address + -address % _ALIGNMENT, size)
    return np.asarray(_Lease(block, shape, dtype))


def zeros(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array of zeros."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def _rounded(n_bytes: int) -> int:
    """Return a size that about equal numbers of bytes share, at most 1/8 larger."""
    step = 1 << (n_bytes.bit_length() - 4)
    return -(-n_bytes // step) * step
