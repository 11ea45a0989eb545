"""What the estimators share: parameters, fitting a network, running it in batches."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from fastgru._threads import resolve_n_jobs
from fastgru.layers.dense import Dense
from fastgru.layers.gru import GRU
from fastgru.layers.network import Network
from fastgru.layers.pooling import Pooling
from fastgru.losses import Loss
from fastgru.optimizers import Adam
from fastgru.sequences import SequenceForm, Sequences, check_sequences
from fastgru.training.trainer import History, Samples, Trainer

# Most numbers of input in a batch of ``predict``; one sequence may be longer.
_NUMBERS_IN_BATCH = 2**20


class GRUEstimator(BaseEstimator):
    """Base of the estimators; see ``GRUClassifier`` for the parameters."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "reset_after": ["boolean"],
        "solver": [StrOptions({"adam"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    # What the network is trained for; each estimator sets it.
    _loss: ClassVar[Loss]

    def __init__(
        self,
        hidden_size: int = 64,
        *,
        reset_after: bool = True,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        n_jobs: int | None = None,
        dtype: str = "float32",
    ) -> None:
        self.hidden_size = hidden_size
        self.reset_after = reset_after
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.clip_norm = clip_norm
        self.n_jobs = n_jobs
        self.dtype = dtype

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    # -- fitting --

    def _check_X(self, X: Any, y: Any) -> Sequences:
        """Check parameters and X of ``fit`` before anything else is done."""
        self._validate_params()
        sequences = check_sequences(
            X, dtype=self.dtype, estimator_name=type(self).__name__
        )
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        return sequences

    def _fit_network(
        self,
        X: Any,
        sequences: Sequences,
        targets: np.ndarray,
        n_outputs: int,
        **own: Any,
    ) -> None:
        """Train a new network, then set the fitted attributes, all or none of them."""
        check_consistent_length(sequences.lengths, targets)
        random_state = check_random_state(self.random_state)
        network = self._make_network(sequences.n_features, n_outputs, random_state)
        samples = Samples(sequences, targets, np.ones(len(targets)))
        score = None
        if self.early_stopping:
            samples, held_out = self._split(samples, random_state)

            def score() -> float:
                return self._score_outputs(
                    held_out.targets, self._run(network, held_out.sequences)
                )

        trainer = self._make_trainer(network, samples, score, random_state)
        history = trainer.fit(samples)
        validate_data(self, X, reset=True, skip_check_array=True, ensure_2d=False)
        self._set_fitted(network, sequences.form, history, own)

    def _make_network(
        self, n_features: int, n_outputs: int, random_state: Any
    ) -> Network:
        common = {"dtype": np.dtype(self.dtype), "random_state": random_state}
        size = self.hidden_size
        gru = GRU(n_features, size, reset_after=bool(self.reset_after), **common)
        return Network([gru, Pooling("last"), Dense(size, n_outputs, **common)])

    def _make_trainer(
        self, network: Network, samples: Samples, score: Any, random_state: Any
    ) -> Trainer:
        batch_size = 200 if isinstance(self.batch_size, str) else self.batch_size
        optimizer = Adam(
            network,
            self.learning_rate_init,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return Trainer(
            network,
            self._loss,
            optimizer,
            alpha=self.alpha,
            batch_size=min(batch_size, len(samples)),
            max_iter=self.max_iter,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            max_norm=self.clip_norm,
            random_state=random_state if self.shuffle else None,
            score=score,
            n_threads=resolve_n_jobs(self.n_jobs),
            verbose=bool(self.verbose),
            name=type(self).__name__,
        )

    def _split(
        self, samples: Samples, random_state: np.random.RandomState
    ) -> tuple[Samples, Samples]:
        """Hold out a part of the samples for validation."""
        numbers = np.arange(len(samples))
        train, held_out = train_test_split(
            numbers,
            test_size=self.validation_fraction,
            random_state=random_state,
            stratify=self._strata(samples.targets),
        )
        if len(held_out) < 2:
            raise ValueError(
                "early_stopping needs at least 2 samples to validate on; "
                f"validation_fraction={self.validation_fraction} of {len(samples)} "
                f"samples is {len(held_out)}"
            )

        def pick(picked: np.ndarray) -> Samples:
            return Samples(
                samples.sequences.subset(picked),
                samples.targets[picked],
                samples.weights[picked],
            )

        return pick(train), pick(held_out)

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return what a validation split is stratified by."""
        raise NotImplementedError

    def _score_outputs(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        """Return the validation score."""
        raise NotImplementedError

    def _set_fitted(
        self, network: Network, form: SequenceForm, history: History, own: dict
    ) -> None:
        """Set all fitted attributes at once, ``own`` ones included."""
        early = bool(history.scores)
        self.__dict__.update(
            _network=network,
            _form=form,
            n_features_in_=form.n_features_in,
            n_outputs_=network.output_size,
            out_activation_=self._loss.activation,
            n_iter_=len(history.losses),
            loss_curve_=history.losses,
            loss_=history.losses[-1],
            best_loss_=None if early else history.best_loss,
            validation_scores_=history.scores if early else None,
            best_validation_score_=history.best_score if early else None,
            **own,
        )

    # -- predicting --

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the network's outputs for X, (n_samples, n_outputs)."""
        check_is_fitted(self)
        validate_data(self, X, reset=False, skip_check_array=True, ensure_2d=False)
        sequences = check_sequences(
            X,
            dtype=self._network.dtype,
            estimator_name=type(self).__name__,
            expected=self._form,
        )
        return self._run(self._network, sequences)

    def _run(self, network: Network, sequences: Sequences) -> np.ndarray:
        """Run a network over sequences, a batch at a time."""
        n_threads = resolve_n_jobs(self.n_jobs)
        outputs = np.empty((len(sequences), network.output_size), network.dtype)
        for batch in _batches(sequences):
            outputs[batch] = network.outputs(*sequences.take(batch), n_threads)
        return outputs


def _batches(sequences: Sequences) -> Iterator[slice]:
    """Yield slices of sequences that together hold a bounded number of input values."""
    ends = np.cumsum(sequences.lengths) * sequences.n_features
    begin = 0
    while begin < len(sequences):
        before = 0 if begin == 0 else int(ends[begin - 1])
        end = int(np.searchsorted(ends, before + _NUMBERS_IN_BATCH, side="right"))
        end = max(end, begin + 1)
        yield slice(begin, end)
        begin = end
