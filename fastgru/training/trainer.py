"""The loop over epochs: minibatches, stopping, progress, and safe interruption."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from fastgru.kernels import updates
from fastgru.kernels.losses import sum_in_order
from fastgru.layers.network import Network
from fastgru.losses import Loss
from fastgru.optimizers import Optimizer, clip_norm
from fastgru.sequences import Sequences
from fastgru.training.batches import minibatches


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

    def after(self, loss: float, score: float | None) -> History:
        """Return the history with one more epoch."""
        return History(
            [*self.losses, loss],
            self.scores if score is None else [*self.scores, score],
            min(self.best_loss, loss),
            self.best_score if score is None else max(self.best_score, score),
        )


@dataclass(frozen=True)
class Samples:
    """Sequences with targets and weights, one of each per sequence."""

    sequences: Sequences
    targets: np.ndarray
    weights: np.ndarray  # float64

    def __len__(self) -> int:
        return len(self.sequences)


class Trainer:
    """Fits a network to samples.

    Parameters
    ----------
    network : Network
    loss : Loss
        ``loss(outputs, targets, weights)`` returns the mean and its gradient.
    optimizer : Optimizer
        Of this network.
    alpha : float
        Strength of the L2 penalty on weights (not biases): half of alpha times the sum
        of squares, divided by the samples of a minibatch, is added to its mean loss.
    batch_size, max_iter : int
    tol : float
        An epoch that does not better the best loss (or validation score) by this counts
        as no change.
    n_iter_no_change : int or infinity
        Training stops after more epochs in a row than this without change.
    max_norm : float or None
        Largest norm of a minibatch's gradient.
    random_state : RandomState or None
        Shuffles each epoch; None keeps the order.
    score : callable or None
        ``score()`` is the validation score of the network as it is; with it, training
        stops by it, and the weights kept are the best ones.
    n_threads : int
    verbose : bool
        Whether to show a progress bar.
    name : str
        What messages call the estimator.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        *,
        alpha: float,
        batch_size: int,
        max_iter: int,
        tol: float,
        n_iter_no_change: float,
        max_norm: float | None,
        random_state: np.random.RandomState | None,
        score: Callable[[], float] | None,
        n_threads: int,
        verbose: bool,
        name: str,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.alpha = alpha
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.max_norm = max_norm
        self.random_state = random_state
        self.score = score
        self.n_threads = n_threads
        self.verbose = verbose
        self.name = name
        self._gradients = network._parameters.like()
        self._weights = network._parameters.weights()
        # What the finished epochs came to and the parameters to leave the network with,
        # always replaced together: an interruption can come between any two lines.
        self._finished: tuple[History, np.ndarray] | None = None

    def fit(self, samples: Samples) -> History:
        """Train until an epoch changes nothing any more or ``max_iter`` is reached.

        Ctrl-C ends training with a warning and keeps the last finished epoch (the best
        one when there is a validation score); so does a gradient that is not finite.
        Before the first epoch is finished there is nothing to keep, and both raise.

        Raises
        ------
        KeyboardInterrupt
            If it comes before the first epoch is finished.
        ValueError
            If the first epoch meets a loss or gradient that is not finite.
        """
        try:
            self._run_epochs(samples)
        except KeyboardInterrupt:
            if self._finished is None:
                raise
            warnings.warn(
                f"{self.name} was interrupted in epoch {self._n_epochs + 1}; "
                f"it keeps the {self._kept_epoch()} of {self._n_epochs} finished "
                "epochs.",
                stacklevel=4,
            )
        except _Diverged as error:
            if self._finished is None:
                raise ValueError(f"{self.name}: {error}") from error
            warnings.warn(
                f"{self.name}: {error} It keeps the {self._kept_epoch()} of "
                f"{self._n_epochs} finished epochs.",
                ConvergenceWarning,
                stacklevel=4,
            )
        assert self._finished is not None  # max_iter is at least 1
        history, kept = self._finished
        self.network._parameters.flat[...] = kept
        self.network._pack()
        return history

    @property
    def _n_epochs(self) -> int:
        return 0 if self._finished is None else len(self._finished[0].losses)

    def _kept_epoch(self) -> str:
        return "last" if self.score is None else "best"

    def _run_epochs(self, samples: Samples) -> None:
        unchanged = 0
        with tqdm(
            total=self.max_iter,
            desc=self.name,
            unit="epoch",
            disable=not self.verbose,
            leave=True,
        ) as bar:
            for _ in range(self.max_iter):
                loss = self._run_epoch(samples)
                score = None if self.score is None else self.score()
                unchanged = 0 if self._finish_epoch(loss, score) else unchanged + 1
                bar.set_postfix(_shown(loss, score), refresh=False)
                bar.update()
                if unchanged > self.n_iter_no_change:
                    return
        warnings.warn(
            f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached and "
            "the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _finish_epoch(self, loss: float, score: float | None) -> bool:
        """Record an epoch, keep its parameters if due, return whether it got better."""
        history, kept = self._finished or (History(), None)
        if score is None:
            changed = loss <= history.best_loss - self.tol
        else:
            changed = score >= history.best_score + self.tol
        if kept is None or score is None or score > history.best_score:
            kept = self.network._parameters.flat.copy()
        self._finished = history.after(loss, score), kept
        return changed

    def _run_epoch(self, samples: Samples) -> float:
        """Take one step per minibatch and return the mean loss."""
        total = 0.0
        batches = minibatches(len(samples), self.batch_size, self.random_state)
        for batch in batches:
            total += self._run_batch(samples, batch)
        # The last step of an epoch has no next one to notice what it did.
        if not math.isfinite(updates.sum_of_squares(self.network._parameters.flat)):
            raise _Diverged
        return total / sum_in_order(samples.weights)

    def _run_batch(self, samples: Samples, batch: np.ndarray) -> float:
        """Take one step; return the batch's summed loss, the penalty included."""
        values, lengths = samples.sequences.take(batch)
        targets, weights = samples.targets[batch], samples.weights[batch]

        def loss(d_outputs: np.ndarray, outputs: np.ndarray) -> float:
            mean, d_outputs[...] = self.loss(outputs, targets, weights)
            return mean * sum_in_order(weights)

        network, gradients = self.network, self._gradients
        total = network.loss_and_gradients(
            values, lengths, loss, gradients, self.n_threads
        )
        if self.alpha > 0.0:
            factor = self.alpha / len(batch)
            for stretch in self._weights:
                part = network._parameters.flat[stretch]
                total += 0.5 * self.alpha * updates.sum_of_squares(part)
                updates.add_scaled(gradients.flat[stretch], part, factor)
        norm = clip_norm(gradients, self.max_norm)
        if not (math.isfinite(norm) and math.isfinite(total)):
            raise _Diverged
        self.optimizer.step(gradients)
        return total


class _Diverged(Exception):
    """A loss, gradient or parameter is not finite."""

    def __str__(self) -> str:
        return (
            "training diverged: a loss, gradient or parameter is not finite any more. "
            "Scale the input to about unit variance, lower learning_rate_init, or set "
            "clip_norm."
        )


def _shown(loss: float, score: float | None) -> dict[str, Any]:
    shown = {"loss": f"{loss:.4g}"}
    if score is not None:
        shown["score"] = f"{score:.4g}"
    return shown
