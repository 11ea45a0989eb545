"""Large scratch arrays, used again, since fresh memory costs a training step time.

The system hands out zeroed pages, one fault at a time.  Tapes are taken and given back
in the order of a stack (layer by layer forward, then backward), so a stack of free
arrays finds each its own again.
"""

from __future__ import annotations

from collections import deque

import numpy as np

# Arrays kept at most, and the size of the largest one worth keeping.
_KEPT = 8
_LARGEST = 2**28

# Appending and popping are atomic, so threads may share it without a lock (which a fork
# could find held).
_free: deque[np.ndarray] = deque(maxlen=_KEPT)


def take(n: int, dtype: np.dtype) -> np.ndarray:
    """Return a 1-D array of at least ``n`` numbers with any content."""
    try:
        memory = _free.pop()
    except IndexError:
        memory = np.empty(0, np.uint8)
    n_bytes = n * dtype.itemsize
    if memory.size < n_bytes:
        # Somewhat larger, so that the next batch fits when its sequences are longer.
        memory = np.empty((n_bytes + n_bytes // 8) // 8 * 8 + 8, np.uint8)
    return memory[: memory.size // dtype.itemsize * dtype.itemsize].view(dtype)


def give(array: np.ndarray) -> None:
    """Hand back an array that ``take`` returned and nobody reads any more."""
    memory = array.view(np.uint8)
    if memory.size <= _LARGEST:
        _free.append(memory)
