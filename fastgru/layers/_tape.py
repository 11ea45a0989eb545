"""What a pullback holds: a tape that can be used once."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class SingleUse(Generic[T]):
    """A tape, which going back overwrites."""

    __slots__ = ("_tape",)

    def __init__(self, tape: T) -> None:
        self._tape: T | None = tape

    def check(self) -> None:
        """Raise RuntimeError if it was used; for before arguments are looked at."""
        if self._tape is None:
            raise RuntimeError(
                "this pullback was already called and its tape is used up; "
                "call vjp again"
            )

    def take(self) -> T:
        """Return the tape, once."""
        self.check()
        tape, self._tape = self._tape, None
        assert tape is not None  # as just checked
        return tape
