"""A regressor on sequences."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array

from fastgru.estimators._base import GRUEstimator
from fastgru.losses import SquaredError


class GRURegressor(RegressorMixin, GRUEstimator):
    """Regressor on sequences with a gated recurrent unit.

    A GRU reads each sequence; a fully connected layer on its last state gives the
    prediction.  Trained by minibatches on half the mean squared error.  The same
    ``random_state`` and data give the same model to the bit, on any CPU and with any
    number of threads.

    Parameters
    ----------
    hidden_size, reset_after
        As for :class:`fastgru.GRUClassifier`.
    solver, alpha, batch_size, learning_rate_init, max_iter, shuffle, random_state, tol
        As for :class:`fastgru.GRUClassifier`.
    verbose, early_stopping, validation_fraction, n_iter_no_change
        As for :class:`fastgru.GRUClassifier`; the validation score is R squared.
    beta_1, beta_2, epsilon, clip_norm, n_jobs, dtype
        As for :class:`fastgru.GRUClassifier`.

    Attributes
    ----------
    n_outputs_ : int
        Number of targets per sequence.
    n_features_in_, n_iter_, loss_, best_loss_, loss_curve_
        As for :class:`fastgru.GRUClassifier`.
    validation_scores_, best_validation_score_
        As for :class:`fastgru.GRUClassifier`.
    out_activation_ : str
        "identity".

    See Also
    --------
    GRUClassifier : The same for classes.

    Notes
    -----
    Targets are learned as they are: bring them to about unit variance, for example with
    ``sklearn.compose.TransformedTargetRegressor``.

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

    _loss: ClassVar = SquaredError()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any) -> GRURegressor:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : array-like, or list of array-like
            Sequences: an array of shape (n_samples, n_timesteps, n_features), in which
            steps at the end that are NaN in every feature are padding; a list of arrays
            of shape (n_timesteps_i, n_features); or an array of shape
            (n_samples, n_timesteps), one number per step.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        Returns
        -------
        GRURegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as described.
        """
        sequences = self._check_X(X, y)
        y = check_array(
            y, ensure_2d=False, dtype=np.float64, input_name="y", estimator=self
        )
        if y.ndim > 2:
            raise ValueError(
                "y must have shape (n_samples,) or (n_samples, n_outputs), "
                f"got shape {y.shape}"
            )
        targets = np.ascontiguousarray(y.reshape(len(y), -1))
        self._fit_network(X, sequences, targets, targets.shape[1], _is_1d=y.ndim == 1)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the prediction for each sequence.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the shape that y had in ``fit``.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity.
        """
        outputs = self._loss.activate(self._outputs(X))
        return outputs[:, 0] if self._is_1d else outputs

    def _strata(self, targets: np.ndarray) -> None:
        return None

    def _score_outputs(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        return float(r2_score(targets, outputs))
