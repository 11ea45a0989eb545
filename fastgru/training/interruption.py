"""Ctrl-C that ends a training between two minibatches, and cannot be lost."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interruption:
    """Takes note of a first Ctrl-C while it is entered; a second one acts at once.

    Python raises KeyboardInterrupt wherever it happens to be, and drops it if that is
    in code that runs when an object dies, as memory that waits for its next use does.
    In threads other than the main one, and where Ctrl-C does something of the user's
    own, nothing is changed.
    """

    def __init__(self) -> None:
        self._is_noted = False
        self._is_ours = False

    def __enter__(self) -> Interruption:
        if (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        ):
            signal.signal(signal.SIGINT, self._note)
            self._is_ours = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()

    def check(self) -> None:
        """Raise KeyboardInterrupt if there was a Ctrl-C."""
        if self._is_noted:
            self._is_noted = False
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._is_noted = True
        self._give_back()

    def _give_back(self) -> None:
        if self._is_ours:
            self._is_ours = False
            signal.signal(signal.SIGINT, signal.default_int_handler)
