"""What the estimators share: parameters, fitting a network, running it in batches.

How a fit goes: X becomes ``Sequences``, y becomes rows (``_targets``) that a ``Task``
encodes, the parameters become a network (``_networks``) and a trainer (``_training``);
all fitted attributes are set at once when there is something to set.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    Options,
    StrOptions,
)
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from fastgru._threads import resolve_n_jobs
from fastgru.estimators._going_on import (
    ONE_EPOCH,
    copy_parameters,
    fitted_of,
    take_up,
)
from fastgru.estimators._networks import (
    first_part,
    hidden_sizes,
    make_network,
    summary,
)
from fastgru.estimators._running import Score, run_batches
from fastgru.estimators._targets import rows_of, steps_to_user, weights_of
from fastgru.estimators._tasks import Task
from fastgru.estimators._training import (
    callbacks_of,
    identity_of,
    make_random_state,
    make_trainer,
)
from fastgru.estimators.stream import EstimatorStream
from fastgru.initializers import NAMES as INITIALIZERS
from fastgru.layers._layer import Rows
from fastgru.layers.dense import ACTIVATIONS
from fastgru.layers.geometry import Geometry
from fastgru.layers.network import Network
from fastgru.layers.pooling import KINDS as POOLINGS
from fastgru.layers.pooling import Pooling
from fastgru.sequences import SequenceForm, Sequences, check_sequences
from fastgru.training.checkpoint import Checkpoint
from fastgru.training.samples import NextSteps, Samples
from fastgru.training.schedules import KINDS as LEARNING_RATES
from fastgru.training.trainer import Trainer

_positive_int = Interval(Integral, 1, None, closed="left")
_not_negative = Interval(Real, 0, None, closed="left")
_positive = Interval(Real, 0, None, closed="neither")
_from_0_to_1 = Interval(Real, 0, 1, closed="both")
_below_1 = Interval(Real, 0, 1, closed="left")


class GRUEstimator(BaseEstimator):
    """Base of the estimators; see ``GRUClassifier`` for the parameters."""

    _parameter_constraints: ClassVar[dict] = {
        "hidden_size": [_positive_int, "array-like"],
        "num_layers": [_positive_int],
        "bidirectional": ["boolean"],
        "reset_after": ["boolean"],
        "dropout": [_below_1],
        "recurrent_dropout": [_below_1],
        "pooling": [StrOptions(set(POOLINGS))],
        "dense_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "n_tokens": [_positive_int, None],
        "embedding_dim": [_positive_int, None],
        "initializer": [StrOptions(set(INITIALIZERS))],
        "solver": [StrOptions({"adam", "adamw", "sgd", "rmsprop"})],
        "alpha": [_not_negative],
        "l1_ratio": [_from_0_to_1],
        "batch_size": [StrOptions({"auto"}), _positive_int],
        "learning_rate": [StrOptions(set(LEARNING_RATES))],
        "learning_rate_init": [_positive],
        "power_t": [_not_negative],
        "decay_rate": [Interval(Real, 0, 1, closed="right")],
        "max_iter": [_positive_int],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [_not_negative],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [_from_0_to_1],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [_positive_int, Options(Real, {np.inf})],
        "beta_1": [_below_1],
        "beta_2": [_below_1],
        "epsilon": [_positive],
        "clip_norm": [_positive, None],
        "callbacks": [callable, "array-like", None],
        "checkpoint": [str, os.PathLike, None],
        "n_jobs": [
            Interval(Integral, None, -1, closed="right"),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "dtype": [StrOptions({"float32", "float64"})],
    }

    # The parameters that all estimators have.
    hidden_size: Any
    num_layers: int
    bidirectional: bool
    reset_after: bool
    dropout: float
    recurrent_dropout: float
    pooling: str
    dense_sizes: Sequence[int]
    activation: str
    n_tokens: int | None
    embedding_dim: int | None
    initializer: str
    solver: str
    alpha: float
    l1_ratio: float
    batch_size: int | str
    learning_rate: str
    learning_rate_init: float
    power_t: float
    decay_rate: float
    max_iter: int
    shuffle: bool
    random_state: Any
    tol: float
    verbose: bool | int
    warm_start: bool
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    n_iter_no_change: float
    beta_1: float
    beta_2: float
    epsilon: float
    clip_norm: float | None
    callbacks: Any
    checkpoint: Any
    n_jobs: int | None
    dtype: str

    # What is fitted.
    _task: Task
    _network: Network
    _form: SequenceForm

    def _set_parameters(self, arguments: dict[str, Any]) -> None:
        """Set the constructor's arguments, all its local variables, as attributes."""
        for name in self._get_param_names():
            setattr(self, name, arguments[name])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags

    # -- what the estimators differ in --

    def _make_task(self, y: Any, form: SequenceForm) -> Task:
        """Return the task that targets of ``fit`` make, one row after the other."""
        raise NotImplementedError

    def _task_to_go_on_with(self) -> Task:
        """Return the fitted task, with what parameters may have changed of it."""
        return self._task

    def _own_fitted(self, task: Task, network: Network) -> dict[str, Any]:
        """Return the fitted attributes that only this estimator has."""
        return {}

    def _pools(self, task: Task) -> bool:
        """Whether the network has one row of outputs per sequence."""
        return not self._per_step

    @property
    def _per_step(self) -> bool:
        """Whether there is one target per step."""
        return bool(getattr(self, "return_sequences", False))

    # -- checks --

    def _check_parameters(self) -> None:
        """Check parameters by themselves and together."""
        self._validate_params()
        for name in ("hidden_size", "dense_sizes"):
            value = getattr(self, name)
            for size in value if np.iterable(value) else ():
                if not isinstance(size, Integral) or size < 1:
                    raise InvalidParameterError(
                        f"The {name!r} parameter of {type(self).__name__} must be "
                        f"whole numbers of at least 1, got {value!r}"
                    )
        hidden_sizes(self.hidden_size, self.num_layers)
        callbacks_of(self.callbacks)
        if self.embedding_dim is not None and self.n_tokens is None:
            raise ValueError(
                "embedding_dim is for tokens: set n_tokens, the number of different "
                "ones, as well"
            )
        if self._per_step and self.pooling != "last":
            raise ValueError(
                f"return_sequences=True gives each step its own output, so "
                f"pooling={self.pooling!r} would change nothing; leave it out"
            )

    def _open(
        self, X: Any, expected: SequenceForm | None = None, dtype: Any = None
    ) -> Sequences:
        """Check X and make it readable, by default in the dtype of the parameters."""
        return check_sequences(
            X,
            dtype=self.dtype if dtype is None else dtype,
            estimator_name=type(self).__name__,
            expected=expected,
            n_tokens=self.n_tokens,
        )

    def _target_rows(self, y: Any, sequences: Sequences, name: str = "y") -> Any:
        """Return one target after the other, per sequence or per step."""
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        if self._per_step:
            return rows_of(name, y, sequences)
        return y

    def _make_samples(
        self,
        sequences: Sequences,
        rows: Any,
        task: Task,
        sample_weight: Any,
    ) -> Samples | NextSteps:
        """Return checked samples; those without weight are left out."""
        targets = task.encode(rows)
        per_step = self._per_step
        if not per_step:
            check_consistent_length(sequences.lengths, targets)
        weights, used = weights_of(sample_weight, sequences, per_step=per_step)
        weights = weights * task.weights(getattr(self, "class_weight", None), targets)
        samples = Samples(sequences, targets, weights, per_step=per_step)
        return samples if used.all() else samples.subset(np.flatnonzero(used))

    # -- fitting --

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        *,
        partial: bool = False,
        task: Task | None = None,
    ) -> None:
        """Train a new network, or the fitted one, and set the fitted attributes.

        partial : whether to go on with what is fitted for one epoch
        task : of a first partial fit whose y does not show all classes
        """
        self._check_parameters()
        goes_on = hasattr(self, "_network") and (partial or bool(self.warm_start))
        sequences = self._open(X, self._form if goes_on else None)
        form = sequences.form
        if goes_on:
            self._remember_names(X, reset=False)
        rows = self._target_rows(y, sequences)
        if goes_on:
            task = self._task_to_go_on_with()
        elif task is None:
            task = self._make_task(rows, form)
        samples = self._make_samples(sequences, rows, task, sample_weight)
        held_out = self._open_validation(X_val, y_val, form, task)
        settings = self.get_params(deep=False)
        random_state = make_random_state(settings)
        checkpoint = None
        if self.checkpoint is not None:
            start = self._network._parameters.flat if goes_on else None
            name = type(self).__name__
            identity = identity_of(settings, name, start, samples, held_out)
            checkpoint = Checkpoint(self.checkpoint, identity, random_state)
        pools = self._pools(task)
        network = make_network(
            settings, form, task.n_outputs, random_state, pools=pools
        )
        if goes_on:
            copy_parameters(self, network)
        if self.early_stopping and held_out is None:
            samples, held_out = self._split(samples, task, random_state)
        score = None
        if held_out is not None:
            score = Score(network, task, held_out, resolve_n_jobs(self.n_jobs))
        trainer = make_trainer(
            settings,
            network,
            task.loss,
            len(samples),
            random_state,
            name=type(self).__name__,
            score=score,
            checkpoint=checkpoint,
            history=self._history if goes_on else None,
            **(ONE_EPOCH if partial else {}),
        )
        if partial:
            take_up(self, trainer)
        try:
            trainer.fit(samples)
        finally:
            # Whatever ended the training, finished epochs are not lost.
            if trainer.progress is not None:
                if not goes_on:
                    self._remember_names(X, reset=True)
                self._set_fitted(trainer, form, task, partial=partial)

    def _remember_names(self, X: Any, *, reset: bool) -> None:
        """Remember the names of a data frame's columns, or compare them."""
        if type(X) is np.ndarray and not hasattr(self, "feature_names_in_"):
            return  # asking all kinds of data frames takes as long as a small network
        validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=False)

    def _partial_fit(
        self, X: Any, y: Any, sample_weight: Any, task: Task | None
    ) -> None:
        """Train for one epoch, going on from the last call."""
        if self.checkpoint is not None:
            raise ValueError(
                "partial_fit does not write checkpoints: save the estimator instead"
            )
        self._fit(X, y, sample_weight, partial=True, task=task)

    def _open_validation(
        self, X_val: Any, y_val: Any, form: SequenceForm, task: Task
    ) -> Samples | NextSteps | None:
        if X_val is None:
            if y_val is not None:
                raise ValueError("y_val was given without X_val")
            return None
        sequences = self._open(X_val, form)
        rows = self._target_rows(y_val, sequences, "y_val")
        return self._make_samples(sequences, rows, task, None)

    def _split(
        self,
        samples: Samples | NextSteps,
        task: Task,
        random_state: np.random.RandomState,
    ) -> tuple[Samples | NextSteps, Samples | NextSteps]:
        """Hold out a part of the samples for validation."""
        strata = None
        if isinstance(samples, Samples) and not samples.per_step:
            strata = task.strata(samples.targets)
        train, held_out = train_test_split(
            np.arange(len(samples)),
            test_size=self.validation_fraction,
            random_state=random_state,
            stratify=strata,
        )
        if len(held_out) < 2:
            raise ValueError(
                "early_stopping needs at least 2 samples to validate on; "
                f"validation_fraction={self.validation_fraction} of {len(samples)} "
                f"samples is {len(held_out)}"
            )
        return samples.subset(train), samples.subset(held_out)

    def _set_fitted(
        self, trainer: Trainer, form: SequenceForm, task: Task, *, partial: bool
    ) -> None:
        """Set all fitted attributes at once."""
        fitted = fitted_of(trainer, partial=partial)
        self.__dict__.pop("_going_on", None)
        self.__dict__.update(
            _form=form,
            _task=task,
            n_features_in_=form.n_features_in,
            n_outputs_=task.n_outputs,
            out_activation_=task.loss.activation,
            **fitted,
            **self._own_fitted(task, trainer.network),
        )

    # -- predicting --

    def _run(self, X: Any, network: Network | None = None) -> tuple[Sequences, Any]:
        """Check X; return it and the rows that a network, by default ours, gives."""
        check_is_fitted(self)
        self._remember_names(X, reset=False)
        sequences = self._open(X, self._form, self._network.dtype)
        network = self._network if network is None else network
        return sequences, run_batches(network, sequences, resolve_n_jobs(self.n_jobs))

    def _to_user(self, rows: np.ndarray, sequences: Sequences) -> Any:
        """Give rows of outputs the form of X if they are steps."""
        return steps_to_user(rows, sequences) if self._predicts_steps else rows

    @property
    def _predicts_steps(self) -> bool:
        """Whether the fitted network has outputs for each step."""
        return self._network._output.per == "step"

    def hidden_states(self, X: Any) -> Any:
        """Return the state of the last recurrent layer after each step.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_timesteps, n_units), or list of ndarray
            For a list, or an array with padding, a list of arrays of shape
            (n_timesteps_i, n_units); n_units is the hidden size, twice that of a
            bidirectional layer.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity.
        """
        check_is_fitted(self)
        sequences, states = self._run(X, first_part(self._network, pooled=False))
        return steps_to_user(states, sequences)

    def attention_weights(self, X: Any) -> Any:
        """Return the share of each step in what attention pooled.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_timesteps), or list of ndarray
            For a list, or an array with padding, a list of arrays of shape
            (n_timesteps_i,).  The shares of a sequence add up to 1.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If the estimator was not fitted with ``pooling="attention"``, or X is not of
            the form that ``fit`` saw.
        """
        check_is_fitted(self)
        poolings = [p for p in self._network.layers if isinstance(p, Pooling)]
        if not poolings or poolings[0].how != "attention":
            raise ValueError(
                f'attention_weights needs pooling="attention"; this '
                f"{type(self).__name__} was fitted without it"
            )
        sequences, states = self._run(X, first_part(self._network, pooled=False))
        geometry = Geometry.concatenated(sequences.lengths)
        weights = poolings[0]._attention_weights(Rows(states, geometry))
        return steps_to_user(weights, sequences)

    def stream(self, batch_size: int | None = None) -> EstimatorStream:
        """Return what takes one step of a sequence at a time.

        Parameters
        ----------
        batch_size : int, default=None
            Number of sequences side by side; None means one, without an axis for it.

        Returns
        -------
        EstimatorStream
            ``step``, ``predict`` and ``predict_proba`` take the next step of each.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If the estimator is bidirectional or pools by attention: it then needs whole
            sequences.
        """
        check_is_fitted(self)
        return EstimatorStream(self, batch_size)

    def summary(self) -> str:
        """Return a table of the fitted network: layers, shapes, parameter counts.

        Returns
        -------
        str
            To print.  In the shapes, n stands for the samples and T for the steps.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru import GRURegressor
        >>> X, y = np.zeros((8, 5, 2)), np.zeros(8)
        >>> print(GRURegressor(16, random_state=0).fit(X, y).summary())
        Layer              Output shape  Parameters
        -------------------------------------------
        GRU                (n, T, 16)           960
        Pooling(how=last)  (n, 16)                0
        Dense              (n, 1)                17
        -------------------------------------------
        977 parameters, float32
        """
        check_is_fitted(self)
        return summary(self._network, self._form)


def can_fit_in_parts(estimator: GRUEstimator) -> bool:
    """Whether there is a ``partial_fit``; it has no samples to hold out."""
    if estimator.early_stopping:
        raise AttributeError("partial_fit does not support early_stopping=True")
    return True
