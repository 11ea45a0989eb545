"""Vectors from sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.multiclass import type_of_target

from fastgru.estimators._base import GRUEstimator
from fastgru.estimators._networks import first_part
from fastgru.estimators._targets import weights_of
from fastgru.estimators._tasks import (
    Classes,
    Labels,
    NextNumbers,
    NextToken,
    Numbers,
    Task,
    check_numbers,
    classes_of,
    is_multilabel,
)
from fastgru.layers.network import Network
from fastgru.layers.pooling import Pooling
from fastgru.losses import SquaredError
from fastgru.sequences import SequenceForm, Sequences
from fastgru.training.samples import NextSteps, Samples


class GRUTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, GRUEstimator):
    """Turns sequences into vectors with a gated recurrent unit.

    The vector of a sequence is what pooling makes of the states of a GRU that has read
    it.  The GRU is trained on a target; without one it learns to predict the next step
    of each sequence (of tokens: the next token), for which no labels are needed.

    Parameters
    ----------
    hidden_size : int or sequence of int, default=64
        Number of units of the GRU; several numbers are a stack of GRUs of these sizes.
    num_layers : int, default=1
        Number of layers, each of ``hidden_size`` units.
    bidirectional : bool, default=False
        Whether each layer also reads the sequence from its end.
    reset_after : bool, default=True
        Whether the reset gate acts after the product with the recurrent weights, see
        :class:`fastgru.GRU`.
    dropout : float, default=0.0
        Part of the units, in [0, 1), dropped in training from what each recurrent layer
        and each layer of ``dense_sizes`` hands on.  One mask holds for all steps of a
        sequence.
    recurrent_dropout : float, default=0.0
        Part of the units of the state, in [0, 1), that the recurrent products do not
        see in training.
    pooling : {"last", "mean", "max", "attention"}, default="last"
        What is made of the states of all steps, see :class:`fastgru.Pooling`.
    dense_sizes : sequence of int, default=()
        Sizes of fully connected layers between the recurrent ones and the outputs.
    activation : {"identity", "logistic", "tanh", "relu"}, default="relu"
        Activation of these layers.
    n_tokens : int or None, default=None
        Number of different tokens; X then holds tokens, whole numbers from 0 to
        ``n_tokens - 1``, and an embedding is learned with the rest.
    embedding_dim : int or None, default=None
        Size of that embedding; None means the first hidden size.
    initializer : {"uniform", "glorot_orthogonal"}, default="uniform"
        How the first recurrent weights are drawn, see :class:`fastgru.GRU`.
    target_type : {"auto", "classes", "numbers"}, default="auto"
        What y is.  "auto" takes whole numbers, text and the like for classes and
        numbers with a fraction for numbers, as scikit-learn does.
    solver : {"adam", "adamw", "sgd", "rmsprop"}, default="adam"
        Optimiser, see :mod:`fastgru.optimizers`.
    alpha : float, default=0.0001
        Strength of the penalty on weights (not biases): ``alpha * (l1_ratio *
        sum(abs(w)) + (1 - l1_ratio) / 2 * sum(w**2))``, divided by the samples of a
        minibatch as in ``MLPClassifier``.  With ``solver="adamw"`` the squares are not
        in the loss: they are its weight decay, ``alpha * (1 - l1_ratio)``.
    l1_ratio : float, default=0.0
        Share of the absolute values in the penalty, in [0, 1].
    batch_size : int or "auto", default="auto"
        Samples of a minibatch; "auto" is ``min(200, n_samples)``.
    learning_rate : str, default="constant"
        How the learning rate goes on from ``learning_rate_init``, with every solver.
        "constant" keeps it; "invscaling" divides it by ``(samples + 1) ** power_t``
        after so many samples; "adaptive" divides it by 5 each time training would stop
        by ``tol``, until it is 1e-6; "exponential" multiplies it by ``decay_rate``
        after each epoch; "cosine" lowers it to 0 over ``max_iter`` epochs.
    learning_rate_init : float, default=0.001
        Learning rate of the first epoch.
    power_t : float, default=0.5
        Exponent of "invscaling".
    decay_rate : float, default=0.95
        Factor of "exponential", in (0, 1].
    max_iter : int, default=200
        Number of epochs at most.
    shuffle : bool, default=True
        Whether to shuffle the samples in each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the first weights, the validation split, dropout and the order of the
        samples.
    tol : float, default=1e-4
        Training stops when the loss (with ``early_stopping`` the validation score) has
        not become better by this for ``n_iter_no_change`` epochs.
    verbose : bool or int, default=False
        Whether to show a progress bar over the epochs, with loss, validation score and
        the time left.
    warm_start : bool, default=False
        Whether ``fit`` goes on with the fitted weights, with a new optimiser.
    momentum : float, default=0.9
        Momentum of "sgd", in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether that is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop by the score on a validation set and keep the weights that
        scored best.  The set is what ``fit`` gets as ``X_val, y_val``, or a part of
        the samples that is held out.
    validation_fraction : float, default=0.1
        Share of the samples to hold out, in (0, 1).
    n_iter_no_change : int or infinity, default=10
        See ``tol``.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of "adam" and "adamw", in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of "adam", "adamw" and "rmsprop".
    clip_norm : float or None, default=1.0
        Largest Euclidean norm of a minibatch's gradient, longer ones are scaled down;
        None for no limit.
    callbacks : callable, list of callables or None, default=None
        Each is called after each epoch with an object that has the attributes
        ``number`` (of epochs so far), ``loss``, ``validation_score``,
        ``learning_rate`` and ``network``; if it returns True, training ends.
    checkpoint : str, path-like or None, default=None
        File to which each finished epoch is written, whole or not at all.  A ``fit``
        that finds it, with the same parameters and data, goes on from it, and ends with
        the same bits as one that was never interrupted.
    n_jobs : int or None, default=None
        Threads; None is all that :func:`fastgru.get_num_threads` allows, 1 inside a
        joblib worker.
    dtype : {"float32", "float64"}, default="float32"
        Type of the network's numbers.

    Attributes
    ----------
    n_features_in_ : int
        Features per step; after 2-D input the number of steps, for tokens 1.
    n_outputs_ : int
        Number of outputs of the network.
    n_iter_ : int
        Number of epochs that were run, those of a warm start included.
    t_ : int
        Number of samples that the last training has seen, repetitions included.
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Lowest loss of an epoch; None with ``early_stopping``.
    loss_curve_ : list of float
        Mean loss of each epoch, penalty included.
    validation_scores_ : list of float or None
        Accuracy or R squared on the validation set after each epoch; None without one.
    best_validation_score_ : float or None
        Highest of these.
    out_activation_ : str
        "softmax", "logistic" or "identity".

    See Also
    --------
    GRUClassifier : Predicts classes itself.
    SequenceScaler : Standardises the features of sequences.

    Notes
    -----
    Without y, ``dense_sizes`` are layers between each step's state and the prediction
    of the next step; features are best scaled to unit variance first, since the loss
    adds up their squared errors.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRUTransformer
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in rng.integers(5, 15, size=40)]
    >>> transformer = GRUTransformer(16, pooling="mean", max_iter=5, tol=1)
    >>> transformer.fit_transform(X).shape
    (40, 16)
    """

    _parameter_constraints: ClassVar[dict] = {
        **GRUEstimator._parameter_constraints,
        "target_type": [StrOptions({"auto", "classes", "numbers"})],
    }

    def __init__(
        self,
        hidden_size: Any = 64,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        reset_after: bool = True,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        pooling: str = "last",
        dense_sizes: Sequence[int] = (),
        activation: str = "relu",
        n_tokens: int | None = None,
        embedding_dim: int | None = None,
        initializer: str = "uniform",
        target_type: str = "auto",
        solver: str = "adam",
        alpha: float = 0.0001,
        l1_ratio: float = 0.0,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        decay_rate: float = 0.95,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: float = 10,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        clip_norm: float | None = 1.0,
        callbacks: Any = None,
        checkpoint: Any = None,
        n_jobs: int | None = None,
        dtype: str = "float32",
    ) -> None:
        super().__init__(
            hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            reset_after=reset_after,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            pooling=pooling,
            dense_sizes=dense_sizes,
            activation=activation,
            n_tokens=n_tokens,
            embedding_dim=embedding_dim,
            initializer=initializer,
            solver=solver,
            alpha=alpha,
            l1_ratio=l1_ratio,
            batch_size=batch_size,
            learning_rate=learning_rate,
            learning_rate_init=learning_rate_init,
            power_t=power_t,
            decay_rate=decay_rate,
            max_iter=max_iter,
            shuffle=shuffle,
            random_state=random_state,
            tol=tol,
            verbose=verbose,
            warm_start=warm_start,
            momentum=momentum,
            nesterovs_momentum=nesterovs_momentum,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            beta_1=beta_1,
            beta_2=beta_2,
            epsilon=epsilon,
            clip_norm=clip_norm,
            callbacks=callbacks,
            checkpoint=checkpoint,
            n_jobs=n_jobs,
            dtype=dtype,
        )
        self.target_type = target_type

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        # The network's dtype is a parameter, whatever X is.
        tags.transformer_tags.preserves_dtype = []
        return tags

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> GRUTransformer:
        """Train on sequences, with or without targets.

        Parameters
        ----------
        X : array-like, or list of array-like
            Sequences: an array of shape (n_samples, n_timesteps, n_features), in which
            steps at the end that are NaN in every feature are padding; a list of arrays
            of shape (n_timesteps_i, n_features); an array of shape
            (n_samples, n_timesteps), one number per step; or with ``n_tokens`` tokens,
            an array of that shape or a list of arrays of shape (n_timesteps_i,).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets: class labels, several labels as 0 and 1, or numbers; None to learn
            to predict the next step.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sequence, not negative; None means 1.
        X_val, y_val : as X and y, default=None
            Validation set: its score after each epoch becomes ``validation_scores_``,
            and training stops by it with ``early_stopping``.

        Returns
        -------
        GRUTransformer
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as described; or if without y no sequence has
            2 steps, the GRU is bidirectional (it would see what it is to predict) or
            pools by attention (which only a target can train).
        """
        self._fit(X, y, sample_weight, X_val, y_val)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the vector of each sequence.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_units)
            ``n_units`` is the last hidden size, twice that if bidirectional.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity.
        """
        _, vectors = self._run(X, getattr(self, "_encoder", None))
        return vectors

    @property
    def _n_features_out(self) -> int:
        return self._encoder.output_size

    def _target_rows(self, y: Any, sequences: Sequences, name: str = "y") -> Any:
        return y

    def _make_task(self, y: Any, form: SequenceForm) -> Task:
        if y is None:
            return self._make_next_step_task(form)
        kind = self.target_type
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        if kind == "auto":
            is_number = type_of_target(y, input_name="y").startswith("continuous")
            kind = "numbers" if is_number else "classes"
        if kind == "numbers":
            y = check_numbers(y)
            return Numbers(SquaredError(), None if y.ndim == 1 else y.shape[1])
        if is_multilabel(y):
            return Labels(np.shape(y)[1])
        return Classes(classes_of(y, type(self).__name__))

    def _make_next_step_task(self, form: SequenceForm) -> Task:
        if self.bidirectional:
            raise ValueError(
                "without y the next step is predicted, which a bidirectional GRU has "
                "read already: set bidirectional=False, or pass y"
            )
        if self.pooling == "attention":
            raise ValueError(
                'pooling="attention" has weights that only a target trains: pass y, or '
                "pool by last, mean or max"
            )
        if self.n_tokens is not None:
            return NextToken(np.arange(self.n_tokens))
        return NextNumbers(SquaredError(), form.n_channels)

    def _make_samples(
        self, sequences: Sequences, rows: Any, task: Task, sample_weight: Any
    ) -> Samples | NextSteps:
        if not task.is_next_step:
            return super()._make_samples(sequences, rows, task, sample_weight)
        weights, used = weights_of(sample_weight, sequences, per_step=False)
        samples = NextSteps(sequences, weights)
        return samples if used.all() else samples.subset(np.flatnonzero(used))

    def _pools(self, task: Task) -> bool:
        return not task.is_next_step

    def _own_fitted(self, task: Task, network: Network) -> dict[str, Any]:
        if not task.is_next_step:
            return {"_encoder": first_part(network, pooled=True)}
        steps = first_part(network, pooled=False)
        return {"_encoder": Network([*steps.layers, Pooling(self.pooling)])}
