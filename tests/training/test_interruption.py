"""Ctrl-C during a training: noted wherever it comes, and given back afterwards."""

import os
import signal
import sys
import threading

import pytest

from fastgru.training.interruption import Interruption

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="SIGINT to oneself: not on this system"
)


@pytest.fixture(autouse=True)
def default_handler():
    """Let Ctrl-C do what it does in a script."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Dying:
    """Presses Ctrl-C when it dies, where Python would drop it."""

    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)


def test_it_is_noted_where_python_would_drop_it():
    with Interruption() as interruption:
        interruption.check()
        Dying()
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        interruption.check()  # once


def test_a_second_one_acts_at_once():
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_handler_is_given_back():
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ZeroDivisionError), Interruption():
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_users_own_handler_stays():
    seen = []
    signal.signal(signal.SIGINT, lambda *arguments: seen.append(arguments))
    own = signal.getsignal(signal.SIGINT)
    with Interruption() as interruption:
        assert signal.getsignal(signal.SIGINT) is own
        os.kill(os.getpid(), signal.SIGINT)
        interruption.check()
    assert len(seen) == 1
    assert signal.getsignal(signal.SIGINT) is own


def test_other_threads_have_no_handlers():
    failures = []

    def enter():
        try:
            with Interruption() as interruption:
                interruption.check()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert failures == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
