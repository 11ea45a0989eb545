"""What the epochs of a training came to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastgru.layers.network import Network


@dataclass(frozen=True)
class History:
    """What the epochs so far came to.

    Attributes
    ----------
    losses : list of float
        Mean loss of each epoch's samples, the penalty included.
    scores : list of float
        Validation score after each epoch; empty without validation.
    best_loss, best_score : float
        Best of them.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_score: float = -math.inf

    @classmethod
    def of(cls, losses: list[float], scores: list[float]) -> History:
        """Return the history of epochs with these losses and scores, or none."""
        # From the left, as ``after`` goes: NaN is never the best.
        best_loss = min(chain([math.inf], losses))
        return cls(losses, scores, best_loss, max(chain([-math.inf], scores)))

    def after(self, loss: float, score: float | None) -> History:
        """Return the history with one more epoch."""
        return History(
            [*self.losses, loss],
            self.scores if score is None else [*self.scores, score],
            min(self.best_loss, loss),
            self.best_score if score is None else max(self.best_score, score),
        )


class Epoch(NamedTuple):
    """A finished epoch, as callbacks see it.

    Parameters
    ----------
    number : int
        Number of epochs so far, those of earlier fits of a warm start included.
    loss : float
        Mean loss of the epoch's samples, the penalty included.
    validation_score : float or None
        Score on the validation set; None without one.
    learning_rate : float
        Learning rate of the epoch.
    network : Network
        The network as the epoch left it: to look at, to save, not to change.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRURegressor
    >>> X = np.random.default_rng(0).normal(size=(40, 5, 2))
    >>> losses = []
    >>> def stop_below(epoch):
    ...     losses.append(epoch.loss)
    ...     return epoch.loss < 0.1
    >>> regressor = GRURegressor(8, learning_rate_init=0.05, callbacks=stop_below)
    >>> regressor = regressor.fit(X, X[:, -1, 0])
    >>> losses == regressor.loss_curve_
    True
    """

    number: int
    loss: float
    validation_score: float | None
    learning_rate: float
    network: Network


# Returns True to end the training after this epoch.
Callback = Callable[[Epoch], Any]


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a finished epoch."""

    history: History
    n_epochs: int  # of this fit
    unchanged: int  # epochs in a row that bettered nothing
    kept: np.ndarray  # the parameters to leave the network with
