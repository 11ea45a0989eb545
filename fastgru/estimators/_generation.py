"""Tokens drawn one after the other from what a network makes of those before."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral

import numpy as np

from fastgru._checks import check_number
from fastgru.kernels.losses import softmax
from fastgru.layers._checks import check_size


class Choice:
    """Chooses the next token by the network's outputs.

    Parameters
    ----------
    temperature : float
        What outputs are divided by before their softmax; 0 takes the largest.
    top_k : int or None
        How many tokens, those with the largest outputs, may come; None means all.
    random_state : RandomState
    """

    def __init__(
        self,
        temperature: float,
        top_k: int | None,
        random_state: np.random.RandomState,
    ) -> None:
        self._temperature = check_number("temperature", temperature, "[0, inf)")
        self._top_k = None if top_k is None else check_size("top_k", top_k)
        self._random_state = random_state

    def __call__(self, outputs: np.ndarray) -> int:
        """Return the number of a token; of equal outputs the first counts as larger."""
        if self._temperature == 0.0:
            return int(outputs.argmax())
        order = np.argsort(-outputs, kind="stable")[: self._top_k]
        logits = outputs[order].astype(np.float64)
        # Less the largest one first, so that a small temperature does not overflow.
        logits = (logits - logits[0]) / self._temperature
        shares = np.empty((1, logits.size))
        softmax(shares, logits[np.newaxis])
        bounds = np.cumsum(shares)
        place = np.searchsorted(bounds, self._random_state.uniform() * bounds[-1])
        return int(order[min(place, order.size - 1)])


def generate(
    outputs: np.ndarray,
    advance: Callable[[int], np.ndarray],
    n_tokens: int,
    choose: Choice,
) -> list[int]:
    """Return the numbers of tokens that follow.

    Parameters
    ----------
    outputs : after the tokens so far
    advance : returns the outputs after one token more
    """
    if isinstance(n_tokens, bool) or not isinstance(n_tokens, Integral):
        raise TypeError(f"n_tokens must be a whole number, got {n_tokens!r}")
    if n_tokens < 0:
        raise ValueError(f"n_tokens must be at least 0, got {n_tokens}")
    found: list[int] = []
    for _ in range(int(n_tokens)):
        if found:
            outputs = advance(found[-1])
        found.append(choose(outputs))
    return found
