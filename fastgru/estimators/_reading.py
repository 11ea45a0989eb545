"""A network of steps run over one long sequence of tokens, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastgru.estimators._networks import numbers_per_step
from fastgru.kernels.losses import log_softmax, sum_in_order
from fastgru.layers.network import Network, States

# Most numbers of a part at once.
_NUMBERS_IN_PART = 2**18


def parts_of_outputs(
    network: Network, tokens: np.ndarray, n_threads: int, states: States
) -> Iterator[np.ndarray]:
    """Yield the outputs after each token, many at a time; states are carried on."""
    n = max(1, _NUMBERS_IN_PART // numbers_per_step(network))
    for begin in range(0, len(tokens), n):
        part = tokens[begin : begin + n].astype(np.int64)
        yield network.outputs(part, np.array([part.size]), n_threads, states)


def log_likelihood(network: Network, tokens: np.ndarray, n_threads: int) -> float:
    """Return the sum of the logarithms of each token's probability but the first's.

    It is added up token by token in float64: the same bits whatever the parts.
    """
    total, begin = 0.0, 1
    states = network.zero_states(1)
    for outputs in parts_of_outputs(network, tokens[:-1], n_threads, states):
        logarithms = np.empty(outputs.shape)
        log_softmax(logarithms, outputs)
        targets = tokens[begin : begin + len(outputs)]
        own = logarithms[np.arange(len(outputs)), targets]
        total = sum_in_order(np.concatenate([[total], own]))
        begin += len(outputs)
    return total
