"""Minibatches of windows of one long sequence of tokens, each to predict the next.

Of N tokens the first N - 1 are read and the last N - 1 predicted.  Unless windows are
to overlap, each of these is predicted once per epoch: the text is cut anew each time,
from a random place on, and what is left at its ends makes shorter windows.
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

    def _offset(self, random_state: np.random.RandomState | None) -> int:
        """Return how many tokens, fewer than a window, stand before the first cut."""
        if random_state is None:
            return 0
        return int(random_state.randint(self.num_steps))

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

    Behind a random offset the text is cut into as many equal parts as a minibatch has
    sequences, fewer if a part would be shorter than a window.  What stands before the
    offset is one sequence more of the first minibatch.

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
        offset = self._offset(random_state)
        bounds = offset + np.arange(n_streams + 1) * (n - offset) // n_streams
        begins, ends = bounds[:-1], bounds[1:]
        has_head = offset > 0
        if has_head:
            begins, ends = np.append(begins, 0), np.append(ends, offset)
        states = self._zero_states(begins.size)
        numbers = np.arange(begins.size)
        for begin in range(0, int((ends - begins).max()), self.num_steps):
            starts = np.minimum(begins + begin, ends)
            lengths = np.minimum(starts + self.num_steps, ends) - starts
            yield self._batch(starts, lengths, numbers, states)
            numbers = numbers + n_streams + 1
            if begin == 0 and has_head:
                # It is shorter than a window and ends here.
                begins, ends, numbers = begins[:-1], ends[:-1], numbers[:-1]
                states = {name: a[:, :-1].copy() for name, a in states.items()}


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
            missing = self._offset(random_state)  # of the first window
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
