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
    for name in ("_waiting", "_Block", "deque"):
        monkeypatch.setattr(_buffers, name, None)
    del array


def put(waiting, size, number):
    """Let a block wait that is told from others by its first byte."""
    block = _buffers._Block((size,), np.dtype(np.uint8))
    block[0] = number
    waiting.put(block)


def test_no_more_bytes_wait_than_may():
    waiting = _buffers._WaitingBlocks(most_bytes=100, n_recent=10)
    for number in range(3):
        put(waiting, 40, number)
    assert [waiting.take(40)[0] for _ in range(2)] == [1, 0]
    assert waiting.take(40) is None
    put(waiting, 101, 0)
    assert waiting.take(101) is None


def test_a_size_that_is_no_longer_in_use_makes_room():
    # Else calls of another size would take fresh memory for ever.
    waiting = _buffers._WaitingBlocks(most_bytes=100, n_recent=10)
    put(waiting, 90, 0)
    for _ in range(11):
        put(waiting, 60, 1)
    assert waiting.take(60)[0] == 1
    assert waiting.take(90) is None


def test_sizes_in_use_do_not_push_each_other_out():
    waiting = _buffers._WaitingBlocks(most_bytes=100, n_recent=10)
    for _ in range(20):
        found = waiting.take(60), waiting.take(50)
        put(waiting, 60, 0)
        put(waiting, 50, 1)
    assert found[0][0] == 0
    assert found[1] is None
