"""Minibatches of windows of one long sequence of tokens, each to predict the next.

Of N tokens the first N - 1 are read and the last N - 1 predicted.  Unless windows are
to overlap, each of these is predicted once per epoch: the text is cut anew each time,
at a random place first, and what is left at its ends makes shorter windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastgru.layers.network import States
from fastgru.training.batches import minibatches
from fastgru.training.samples import Batch, TrainingSet


class _Windows(TrainingSet):
    """Windows of a text.

    Parameters
    ----------
    tokens : ndarray of shape (N,), int32
        At least ``num_steps + 1``.
    num_steps : int
        Longest window.
    """

    def __init__(self, tokens: np.ndarray, num_steps: int) -> None:
        self.tokens = tokens
        self.num_steps = num_steps

    def __len__(self) -> int:
        return len(self.tokens) - 1

    def arrays(self) -> Iterator[np.ndarray]:
        """Yield the tokens."""
        yield self.tokens

    def _first_cut(self, random_state: np.random.RandomState | None) -> int:
        """Return the length of the first window, 1 to ``num_steps``."""
        if random_state is None:
            return self.num_steps
        return int(random_state.randint(1, self.num_steps + 1))

    def _batch(
        self,
        starts: np.ndarray,
        lengths: np.ndarray,
        numbers: np.ndarray,
        states: States | None = None,
    ) -> Batch:
        """Copy windows, and the tokens that follow theirs."""
        before = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(starts - before, lengths)
        values = self.tokens[places].astype(np.int64)
        targets = self.tokens[places + 1].astype(np.int64)
        weights = np.ones(places.size)
        return Batch(values, lengths, targets, weights, numbers, states)


class SequentialWindows(_Windows):
    """Parallel streams of one text: each minibatch goes on where the last one ended.

    The text is cut into as many equal parts as a minibatch has sequences, fewer if a
    part would be shorter than a window.

    Parameters
    ----------
    tokens, num_steps
        As for all windows.
    zero_states : callable
        ``zero_states(batch_size)`` makes the states of an epoch's begin.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        num_steps: int,
        zero_states: Callable[[int], States],
    ) -> None:
        super().__init__(tokens, num_steps)
        self._zero_states = zero_states

    def minibatches(
        self, batch_size: int, random_state: np.random.RandomState | None
    ) -> Iterator[Batch]:
        """Yield windows side by side, and the states that are carried on."""
        n = len(self)
        n_streams = max(1, min(batch_size, n // self.num_steps))
        bounds = np.arange(n_streams + 1) * n // n_streams
        states = self._zero_states(n_streams)
        begins, ends = bounds[:-1], bounds[1:]
        longest = int((ends - begins).max())
        numbers = np.arange(n_streams)
        end = self._first_cut(random_state)
        begin = 0
        while begin < longest:
            starts = np.minimum(begins + begin, ends)
            lengths = np.minimum(begins + end, ends) - starts
            yield self._batch(starts, lengths, numbers, states)
            numbers = numbers + n_streams
            begin, end = end, end + self.num_steps


class RandomWindows(_Windows):
    """Windows in random order, each read from zero states.

    Parameters
    ----------
    tokens, num_steps
        As for all windows.
    stride : int or None
        Tokens from the begin of one window to that of the next, of the same windows in
        each epoch; the last one ends with the text.  None means windows that do not
        overlap, others in each epoch.
    """

    def __init__(self, tokens: np.ndarray, num_steps: int, stride: int | None) -> None:
        super().__init__(tokens, num_steps)
        self._stride = stride

    def minibatches(
        self, batch_size: int, random_state: np.random.RandomState | None
    ) -> Iterator[Batch]:
        """Yield windows in random order."""
        # Windows are numbers until they are taken: a text has as many as tokens.
        n, steps, stride = len(self), self.num_steps, self._stride
        if stride is None:
            missing = steps - self._first_cut(random_state)  # of the first window
            n_windows = -(-(n + missing) // steps)
        else:
            n_windows = 1 - (steps - n) // stride
        for numbers in minibatches(n_windows, batch_size, random_state):
            if stride is None:
                starts = numbers * steps - missing
                ends = np.minimum(starts + steps, n)
                starts = np.maximum(starts, 0)
            else:
                starts = np.minimum(numbers * stride, n - steps)
                ends = starts + steps
            yield self._batch(starts, ends - starts, numbers)
