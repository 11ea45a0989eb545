"""Memory that is used again."""

import numpy as np
import pytest

from fastgru import _buffers

LARGE = (_buffers._FEWEST, 2)


def test_memory_of_an_array_waits_for_the_next_of_its_size():
    """What nobody holds any more is handed out again, aligned."""
    address = _buffers.empty(LARGE, np.dtype(np.float32)).ctypes.data
    again = _buffers.empty(LARGE, np.dtype(np.float32))
    assert again.ctypes.data == address
    assert address % _buffers._ALIGNMENT == 0


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_an_array_may_outlive_the_module(monkeypatch):
    """When the interpreter ends, a module's names become None before all arrays go."""
    array = _buffers.empty(LARGE, np.dtype(np.float32))
    for name in ("_waiting", "_MOST_WAITING"):
        monkeypatch.setattr(_buffers, name, None)
    del array
