"""How the learning rate changes from epoch to epoch."""

from __future__ import annotations

import math

KINDS = ("constant", "invscaling", "adaptive", "exponential", "cosine")

# As in MLPClassifier: what an adaptive rate is divided by, and where it ends.
_ADAPTIVE_FACTOR = 5.0
_SMALLEST_ADAPTIVE = 1e-6


class LearningRate:
    """The learning rate of each epoch.

    Parameters
    ----------
    kind : {"constant", "invscaling", "adaptive", "exponential", "cosine"}
    initial : float
        Rate of the first epoch.
    power_t : float
        Of "invscaling": the rate is ``initial / (samples + 1) ** power_t`` after so
        many samples.
    decay_rate : float
        Of "exponential": the rate is ``initial * decay_rate ** epochs``.
    max_iter : int
        Of "cosine": the number of epochs after which the rate is 0.

    Attributes
    ----------
    epochs, samples : int
        What has been trained with.
    reductions : int
        How often ``reduce`` has lowered an adaptive rate.
    """

    def __init__(
        self,
        kind: str,
        initial: float,
        *,
        power_t: float = 0.5,
        decay_rate: float = 0.95,
        max_iter: int = 200,
    ) -> None:
        self.kind = kind
        self.initial = initial
        self.power_t = power_t
        self.decay_rate = decay_rate
        self.max_iter = max_iter
        self.epochs = 0
        self.samples = 0
        self.reductions = 0

    def value(self) -> float:
        """Return the rate of the next epoch."""
        return self.initial * _rounded(self._share())

    def _share(self) -> float:
        if self.kind == "invscaling":
            return 1.0 / (self.samples + 1) ** self.power_t
        if self.kind == "adaptive":
            return 1.0 / _ADAPTIVE_FACTOR**self.reductions
        if self.kind == "exponential":
            return self.decay_rate**self.epochs
        if self.kind == "cosine":
            past = min(self.epochs / self.max_iter, 1.0)
            return 0.5 * (1.0 + math.cos(math.pi * past))
        return 1.0

    def finish_epoch(self, n_samples: int) -> None:
        """Count an epoch."""
        self.epochs += 1
        self.samples += n_samples

    def reduce(self) -> bool:
        """Lower an adaptive rate when nothing changes any more, or return False."""
        if self.kind != "adaptive" or self.value() <= _SMALLEST_ADAPTIVE:
            return False
        self.reductions += 1
        return True

    def state(self) -> list[int]:
        """Return what the rates to come depend on besides the settings."""
        return [self.epochs, self.samples, self.reductions]

    def set_state(self, state: list[int]) -> None:
        """Go on from what ``state`` returned."""
        self.epochs, self.samples, self.reductions = state


def _rounded(value: float) -> float:
    """Return a number without its last digits, in which libraries of functions differ.

    A power or a cosine may end in other bits on another CPU.
    """
    return float(f"{value:.12e}")
