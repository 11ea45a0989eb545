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
from fastgru.estimators._networks import encoder
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
    hidden_size, num_layers, bidirectional, reset_after, dropout, recurrent_dropout
        As for :class:`fastgru.GRUClassifier`.
    pooling, dense_sizes, activation, n_tokens, embedding_dim, initializer
        As for :class:`fastgru.GRUClassifier`.
    target_type : {"auto", "classes", "numbers", "next_step"}, default="auto"
        What is learned.  "auto" takes whole numbers, text and the like for classes and
        numbers with a fraction for numbers, as scikit-learn does.  "next_step" ignores
        y, which a pipeline passes on to all its steps.
    solver, alpha, l1_ratio, batch_size, learning_rate, learning_rate_init, power_t
        As for :class:`fastgru.GRUClassifier`.
    decay_rate, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum
        As for :class:`fastgru.GRUClassifier`.
    nesterovs_momentum, early_stopping, validation_fraction, n_iter_no_change, beta_1
        As for :class:`fastgru.GRUClassifier`; the validation score is accuracy or R
        squared.
    beta_2, epsilon, clip_norm, callbacks, checkpoint, n_jobs, dtype
        As for :class:`fastgru.GRUClassifier`.

    Attributes
    ----------
    n_features_in_, n_outputs_, n_iter_, t_, loss_, best_loss_, loss_curve_
        As for :class:`fastgru.GRUClassifier`.
    validation_scores_, best_validation_score_
        As for :class:`fastgru.GRUClassifier`.
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
    >>> transformer = GRUTransformer(16, pooling="mean", n_iter_no_change=3, tol=0.1)
    >>> transformer.fit_transform(X).shape
    (40, 16)
    """

    _parameter_constraints: ClassVar[dict] = {
        **GRUEstimator._parameter_constraints,
        "target_type": [StrOptions({"auto", "classes", "numbers", "next_step"})],
    }

    target_type: str

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
        self._set_parameters(locals())

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
        return None if self.target_type == "next_step" else y

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
        return {"_encoder": encoder(network, self.pooling)}
