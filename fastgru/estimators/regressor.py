"""A regressor on sequences."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastgru.estimators._base import GRUEstimator, can_fit_in_parts
from fastgru.estimators._targets import rows_of, weights_of
from fastgru.estimators._tasks import Numbers, Task, check_numbers
from fastgru.losses import AbsoluteError, Huber, Loss, Poisson, Quantile, SquaredError
from fastgru.sequences import SequenceForm


class GRURegressor(RegressorMixin, GRUEstimator):
    """Regressor on sequences with a gated recurrent unit.

    A GRU reads each sequence; a fully connected layer on its last state gives the
    prediction.  Trained by minibatches.  The same ``random_state`` and data give the
    same model to the bit, on any CPU and with any number of threads.

    Parameters
    ----------
    hidden_size, num_layers, bidirectional, reset_after, dropout, recurrent_dropout
        As for :class:`fastgru.GRUClassifier`.
    pooling, dense_sizes, activation, n_tokens, embedding_dim, initializer
        As for :class:`fastgru.GRUClassifier`.
    return_sequences : bool, default=False
        Whether each step has its own target, and not each sequence.  Then y holds one
        per step, and predictions, probabilities and so on have the form of X: an array
        with the steps on its second axis for a 3-D or 2-D X without padding, else a
        list of arrays, one per sequence.
    loss : str, default="squared_error"
        What is minimised, see :mod:`fastgru.losses`: "squared_error" (half of it),
        "absolute_error", "huber", "quantile", or "poisson" for counts, whose
        predictions are the exponential of the outputs.
    quantile : float, default=0.5
        Which quantile of the target ``loss="quantile"`` predicts, in (0, 1).
    delta : float, default=1.0
        Error from which ``loss="huber"`` is linear, in units of the target.
    solver, alpha, l1_ratio, batch_size, learning_rate, learning_rate_init, power_t
        As for :class:`fastgru.GRUClassifier`.
    decay_rate, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum
        As for :class:`fastgru.GRUClassifier`.
    nesterovs_momentum, early_stopping, validation_fraction, n_iter_no_change, beta_1
        As for :class:`fastgru.GRUClassifier`; the validation score is R squared.
    beta_2, epsilon, clip_norm, callbacks, checkpoint, n_jobs, dtype
        As for :class:`fastgru.GRUClassifier`.

    Attributes
    ----------
    n_features_in_, n_outputs_, n_iter_, t_, loss_, best_loss_, loss_curve_
        As for :class:`fastgru.GRUClassifier`.
    validation_scores_, best_validation_score_
        As for :class:`fastgru.GRUClassifier`.
    out_activation_ : str
        "identity", or "exp" for counts.

    See Also
    --------
    GRUClassifier : The same for classes.
    GRUTransformer : Vectors from sequences.

    Notes
    -----
    Targets are learned as they are: bring them to about unit variance, for example with
    ``sklearn.compose.TransformedTargetRegressor``.  Predictions are float64, whatever
    the ``dtype`` of the network, as scikit-learn's are.

    Ctrl-C during ``fit`` ends it with a warning and keeps the last finished epoch.  So
    does an exception in a callback, which is raised after that.

    References
    ----------
    .. [1] Cho et al. (2014), arXiv:1406.1078, section 2.3 (the unit).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRURegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(-1, 1, size=(60, 10, 1))
    >>> y = X[:, -3:, 0].sum(axis=1)
    >>> reg = GRURegressor(16, learning_rate_init=0.02, random_state=0).fit(X, y)
    >>> reg.score(X, y) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **GRUEstimator._parameter_constraints,
        "return_sequences": ["boolean"],
        "loss": [
            StrOptions(
                {"squared_error", "absolute_error", "huber", "quantile", "poisson"}
            )
        ],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    return_sequences: bool
    loss: str
    quantile: float
    delta: float

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
        return_sequences: bool = False,
        loss: str = "squared_error",
        quantile: float = 0.5,
        delta: float = 1.0,
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
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss == "poisson"
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> GRURegressor:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : array-like, or list of array-like
            Sequences: an array of shape (n_samples, n_timesteps, n_features), in which
            steps at the end that are NaN in every feature are padding; a list of arrays
            of shape (n_timesteps_i, n_features); an array of shape
            (n_samples, n_timesteps), one number per step; or with ``n_tokens`` tokens,
            an array of that shape or a list of arrays of shape (n_timesteps_i,).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.  With ``return_sequences`` one, or one row, per step: of shape
            (n_samples, n_timesteps) or (n_samples, n_timesteps, n_outputs), or a list
            of arrays; past the end of a padded sequence anything may stand.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sequence, not negative; None means 1.
            With ``return_sequences`` also one per step, in the form of y.
        X_val, y_val : as X and y, default=None
            Validation set: its score after each epoch becomes ``validation_scores_``,
            and training stops by it with ``early_stopping``.

        Returns
        -------
        GRURegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as described, or ``checkpoint`` belongs to
            another fit.
        """
        self._fit(X, y, sample_weight, X_val, y_val)
        return self

    @available_if(can_fit_in_parts)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> GRURegressor:
        """Train one epoch on some samples, going on from where the last call ended.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.

        Returns
        -------
        GRURegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            As for ``fit``.
        AttributeError
            With ``early_stopping``, which needs all samples at once.
        """
        self._partial_fit(X, y, sample_weight, None)
        return self

    def _make_task(self, y: Any, form: SequenceForm) -> Task:
        y = check_numbers(y)
        return Numbers(self._make_loss(), None if y.ndim == 1 else y.shape[1])

    def _task_to_go_on_with(self) -> Task:
        assert isinstance(self._task, Numbers)  # as _make_task returns
        return Numbers(self._make_loss(), self._task.n_targets)

    def _make_loss(self) -> Loss:
        """Return the loss that the parameters name."""
        if self.loss == "quantile":
            return Quantile(self.quantile)
        if self.loss == "huber":
            return Huber(self.delta)
        if self.loss == "absolute_error":
            return AbsoluteError()
        return Poisson() if self.loss == "poisson" else SquaredError()

    def predict(self, X: Any) -> Any:
        """Return the prediction for each sequence.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
            Of the shape that y had in ``fit``; with ``return_sequences`` per step, see
            there.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity.
        """
        sequences, outputs = self._run(X)
        return self._to_user(self._task.predict(outputs), sequences)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the coefficient of determination, R squared.

        Parameters
        ----------
        X, y, sample_weight
            As for ``fit``.

        Returns
        -------
        float
            At most 1; the mean over several outputs.  With ``return_sequences`` over
            all steps.

        Raises
        ------
        NotFittedError, ValueError
            As ``predict``, and if y does not fit X.
        """
        check_is_fitted(self)
        if not self._predicts_steps:
            return super().score(X, y, sample_weight)
        sequences, outputs = self._run(X)
        weights, _ = weights_of(sample_weight, sequences, per_step=True)
        y = check_numbers(rows_of("y", y, sequences))
        predicted = self._task.predict(outputs)
        return float(r2_score(y, predicted, sample_weight=weights))
