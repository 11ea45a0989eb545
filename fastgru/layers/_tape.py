"""What a pullback holds: a tape that can be used once."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class SingleUse(Generic[T]):
    """What holds a tape, which going back overwrites: a base class of pullbacks."""

    _tape: T | None

    def _look_at_tape(self) -> T:
        """Return the tape, or raise RuntimeError if it was used up."""
        if self._tape is None:
            raise RuntimeError(
                "this pullback was already called and its tape is used up; "
                "call vjp again"
            )
        return self._tape

    def _use_tape_up(self) -> None:
        """Let go of the tape, whose numbers are overwritten from now on."""
        self._tape = None
