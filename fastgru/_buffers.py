"""Large arrays in memory that is used again, since fresh memory costs a call time.

The system hands out zeroed pages, one fault at a time, which for a small layer takes as
long as a tenth of a training step.  An array from here is like any other; when nobody
holds it any more, its memory waits for the next of about its size.
"""

from __future__ import annotations

from collections import deque
from math import prod
from typing import NamedTuple

import numpy as np
from numpy import empty as np_empty

# Numbers below which the system's own allocator is quick (glibc's takes them from what
# it keeps), and bytes that may wait.
_FEWEST = 2**15
_MOST_WAITING = 2**29
_ALIGNMENT = 64


class _Block(NamedTuple):
    memory: np.ndarray
    address: int  # of its first aligned byte
    size: int  # in bytes from there on


# Free blocks by size.  Single operations on these are atomic, so threads may share them
# without a lock (which a fork could find held).
_waiting: dict[int, deque[_Block]] = {}


class _Lease:
    """Holds a block as long as any array made of it exists, then lets it wait."""

    def __init__(self, block: _Block, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._block = block
        self.__array_interface__ = {
            "data": (block.address, False),
            "shape": shape,
            "typestr": dtype.str,
            "version": 3,
        }

    # Arrays may outlive this module's names, when the interpreter ends.
    def __del__(
        self,
        waiting: dict[int, deque[_Block]] = _waiting,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        size = self._block.size
        for waiting_size, blocks in list(waiting.items()):
            size += waiting_size * len(blocks)
        if size <= most_waiting:
            waiting[self._block.size].append(self._block)


def empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an array with any content."""
    # A small call makes half a dozen: few words.
    n_numbers = prod(shape)
    if n_numbers < _FEWEST:
        return np_empty(shape, dtype)
    size = _rounded(n_numbers * dtype.itemsize)
    try:
        block = _waiting.setdefault(size, deque()).pop()
    except IndexError:
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
