"""The loop over epochs: minibatches, stopping, progress, and safe interruption."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

from fastgru.kernels import updates
from fastgru.kernels.losses import sum_in_order
from fastgru.layers.masks import Masks
from fastgru.layers.network import Network
from fastgru.losses import Loss
from fastgru.optimizers import Optimizer, clip_norm
from fastgru.training.checkpoint import Checkpoint
from fastgru.training.history import Callback, Epoch, History, Progress
from fastgru.training.interruption import Interruption
from fastgru.training.penalties import ElasticNet
from fastgru.training.samples import Batch, TrainingSet
from fastgru.training.schedules import LearningRate


class Trainer:
    """Fits a network to samples.

    Parameters
    ----------
    network : Network
    loss : Loss
        ``loss(outputs, targets, weights)`` returns the mean and its gradient.
    optimizer : Optimizer
        Of this network.
    learning_rate : LearningRate
        Gives the optimiser its rate before each epoch.
    penalty : ElasticNet
    batch_size, max_iter : int
    tol : float
        An epoch that does not better the best loss (or validation score) by this counts
        as no change.
    n_iter_no_change : int or infinity
        After more epochs in a row than this without change an adaptive learning rate is
        lowered, or training stops.
    max_norm : float or None
        Largest norm of a minibatch's gradient.
    random_state : RandomState or None
        Shuffles each epoch; None keeps the order.
    score : callable or None
        ``score()`` is the validation score of the network as it is.
    n_threads : int
    verbose : bool
        Whether to show a progress bar.
    name : str
        What messages call the estimator.
    stops_by_score : bool, default=True
        Whether training stops by the score, if there is one, and keeps the weights that
        scored best.
    dropout_seed : int or None, default=None
        Draws the masks, others in each epoch; None means no dropout.
    callbacks : sequence of callables
        Called with each finished :class:`~fastgru.training.Epoch`, in order; one that
        returns True ends the training.
    checkpoint : Checkpoint or None
        Where each finished epoch is written to.
    history : History
        Of earlier fits that this one goes on from.
    expects_convergence : bool, default=True
        Whether to warn when ``max_iter`` ends the training.

    Attributes
    ----------
    progress : Progress or None
        Where the training stands; None before the first epoch is finished.
    was_interrupted : bool
        Whether Ctrl-C ended the training.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        optimizer: Optimizer,
        *,
        learning_rate: LearningRate,
        penalty: ElasticNet,
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
        stops_by_score: bool = True,
        dropout_seed: int | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Checkpoint | None = None,
        history: History | None = None,
        expects_convergence: bool = True,
    ) -> None:
        self.network = network
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.penalty = penalty
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
        self.stops_by_score = score is not None and stops_by_score
        self.dropout_seed = dropout_seed
        self.callbacks = callbacks
        self.checkpoint = checkpoint
        self.expects_convergence = expects_convergence
        self._gradients = network._parameters.like()
        self._interruption = Interruption()
        self._earlier = history or History()
        # What an earlier fit reached is not given up for something worse.
        self._first_kept: np.ndarray | None = None
        if self.stops_by_score and self._earlier.scores:
            self._first_kept = network._parameters.flat.copy()
        # Always replaced as one: an interruption can come between any two lines.
        self.progress: Progress | None = None
        self.was_interrupted = False

    def fit(self, samples: TrainingSet) -> History:
        """Train until an epoch changes nothing any more or ``max_iter`` is reached.

        Ctrl-C ends training with a warning and keeps the last finished epoch (the best
        one when it stops by a score); so does a gradient that is not finite. Before
        the first epoch is finished there is nothing to keep, and both raise.  However
        training ends, the network is left with the parameters to keep, if there are
        any.

        Returns
        -------
        History
            With the epochs of earlier fits.

        Raises
        ------
        KeyboardInterrupt
            If it comes before the first epoch is finished.
        ValueError
            If the first epoch meets a loss or gradient that is not finite, or no sample
            has a target.
        """
        if self.checkpoint is not None:
            self.progress = self.checkpoint.resume(self)
        try:
            with self._interruption:
                self._run_epochs(samples)
        except KeyboardInterrupt:
            if self.progress is None:
                raise
            self.was_interrupted = True
            what = f"{self.name} was interrupted in epoch {self._n_finished + 1}; it"
            self._warn(what, UserWarning)
        except _Diverged as error:
            if self.progress is None:
                raise ValueError(f"{self.name}: {error}") from error
            self._warn(f"{self.name}: {error} It", ConvergenceWarning)
        finally:
            if self.progress is not None:
                self.network._parameters.flat[...] = self.progress.kept
                self.network._pack()
        assert self.progress is not None  # max_iter is at least 1
        return self.progress.history

    @property
    def _n_finished(self) -> int:
        return 0 if self.progress is None else self.progress.n_epochs

    def _warn(self, what: str, category: type[Warning]) -> None:
        kept = "best" if self.stops_by_score else "last"
        warnings.warn(
            f"{what} keeps the {kept} of {self._n_finished} finished epochs.",
            category,
            stacklevel=6,
        )

    def _make_bar(self) -> Any:
        """Return a progress bar, or what stands for none.

        A disabled bar would not do: even that waits for a lock which all processes
        share, and for ever if another one was forked while it was held.
        """
        if not self.verbose:
            return nullcontext()
        return tqdm(
            total=self.max_iter,
            initial=self._n_finished,
            desc=self.name,
            unit="epoch",
            leave=True,
        )

    def _run_epochs(self, samples: TrainingSet) -> None:
        with self._make_bar() as bar:
            while not self._is_done():
                if self._n_finished >= self.max_iter:
                    self._warn_of_max_iter()
                    return
                rate = self.learning_rate.value()
                self.optimizer.learning_rate = rate
                loss = self._run_epoch(samples)
                score = None if self.score is None else self.score()
                self._finish_epoch(loss, score, len(samples))
                if bar is not None:
                    bar.set_postfix(_shown(loss, score), refresh=False)
                    bar.update()
                wants_to_stop = self._call_back(loss, score, rate)
                self._interruption.check()
                if wants_to_stop:
                    return

    def _warn_of_max_iter(self) -> None:
        if self.expects_convergence:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) reached "
                "and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=7,
            )

    def _is_done(self) -> bool:
        """Whether nothing has changed for long and no lower rate is to be tried."""
        progress = self.progress
        return progress is not None and progress.unchanged > self.n_iter_no_change

    def _finish_epoch(self, loss: float, score: float | None, n_samples: int) -> None:
        """Record an epoch and keep its parameters if due."""
        if self.progress is None:
            history, kept, unchanged = self._earlier, self._first_kept, 0
        else:
            progress = self.progress
            history, kept, unchanged = (
                progress.history,
                progress.kept,
                progress.unchanged,
            )
        by_score = self.stops_by_score and score is not None
        if by_score:
            assert score is not None  # as just asked
            changed = score >= history.best_score + self.tol
            is_best = score > history.best_score
        else:
            changed, is_best = loss <= history.best_loss - self.tol, True
        if kept is None or is_best:
            kept = self.network._parameters.flat.copy()
        unchanged = 0 if changed else unchanged + 1
        self.learning_rate.finish_epoch(n_samples)
        if unchanged > self.n_iter_no_change and self.learning_rate.reduce():
            unchanged = 0
        self.progress = Progress(
            history.after(loss, score), self._n_finished + 1, unchanged, kept
        )
        if self.checkpoint is not None:
            self.checkpoint.write(self, self.progress)

    def _call_back(self, loss: float, score: float | None, rate: float) -> bool:
        """Show an epoch to all callbacks; return whether one wants to stop."""
        assert self.progress is not None  # there is an epoch
        number = len(self.progress.history.losses)
        epoch = Epoch(number, loss, score, rate, self.network)
        # All are called, whatever the first one returns.
        wishes = [callback(epoch) for callback in self.callbacks]
        return any(wish is True for wish in wishes)

    def _run_epoch(self, samples: TrainingSet) -> float:
        """Take one step per minibatch and return the mean loss."""
        total = total_weight = 0.0
        for batch in samples.minibatches(self.batch_size, self.random_state):
            self._interruption.check()
            loss, weight = self._run_batch(batch)
            total += loss
            total_weight += weight
        if total_weight == 0.0:
            raise ValueError(
                f"{self.name}: no step has a next one to predict; "
                "sequences of at least 2 steps are needed"
            )
        # The last step of an epoch has no next one to notice what it did.
        if not math.isfinite(updates.sum_of_squares(self.network._parameters.flat)):
            raise _Diverged
        return total / total_weight

    def _run_batch(self, batch: Batch) -> tuple[float, float]:
        """Take one step; return the summed loss, penalty included, and the weight."""
        network, gradients = self.network, self._gradients
        weight = sum_in_order(batch.weights)
        if weight == 0.0:
            return 0.0, 0.0

        def loss(d_outputs: np.ndarray, outputs: np.ndarray) -> float:
            mean, d_outputs[...] = self.loss(outputs, batch.targets, batch.weights)
            return mean * weight

        total = network.loss_and_gradients(
            batch.values,
            batch.lengths,
            loss,
            gradients,
            self.n_threads,
            self._masks(batch.numbers),
            batch.states,
        )
        total += self.penalty.add(network._parameters, gradients, weight)
        norm = clip_norm(gradients, self.max_norm)
        if not (math.isfinite(norm) and math.isfinite(total)):
            raise _Diverged
        self.optimizer.step(gradients)
        return total, weight

    def _masks(self, numbers: np.ndarray) -> Masks | None:
        """Return what draws a minibatch's masks: others for each sample and epoch."""
        if self.dropout_seed is None:
            return None
        seed = (self.dropout_seed + self.learning_rate.epochs) % 2**64
        return Masks(seed, numbers.astype(np.int64))


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
