"""A classifier of sequences."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from fastgru.estimators._base import GRUEstimator
from fastgru.losses import CrossEntropy


class GRUClassifier(ClassifierMixin, GRUEstimator):
    """Classifier of sequences with a gated recurrent unit.

    A GRU reads each sequence; a fully connected layer on its last state gives one logit
    per class.  Trained by minibatches on the softmax cross-entropy.  The same
    ``random_state`` and data give the same model to the bit, on any CPU and with any
    number of threads.

    Parameters
    ----------
    hidden_size : int, default=64
        Number of units of the GRU.
    reset_after : bool, default=True
        Whether the reset gate acts after the product with the recurrent weights, see
        :class:`fastgru.GRU`.
    solver : {"adam"}, default="adam"
        Optimiser.
    alpha : float, default=0.0001
        Strength of the L2 penalty on weights (not biases), divided by the samples of a
        minibatch as in ``MLPClassifier``.
    batch_size : int or "auto", default="auto"
        Samples of a minibatch; "auto" is ``min(200, n_samples)``.
    learning_rate_init : float, default=0.001
        Step size.
    max_iter : int, default=200
        Number of epochs at most.
    shuffle : bool, default=True
        Whether to shuffle the samples in each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the first weights, the validation split and the order of the samples.
    tol : float, default=1e-4
        Training stops when the loss (with ``early_stopping`` the validation score) has
        not become better by this for ``n_iter_no_change`` epochs.
    verbose : bool or int, default=False
        Whether to show a progress bar over the epochs, with loss and validation score.
    early_stopping : bool, default=False
        Whether to hold out a validation set, stop by its score and keep the weights
        that scored best.
    validation_fraction : float, default=0.1
        Share of the samples to hold out, in (0, 1); used with ``early_stopping``.
    n_iter_no_change : int, default=10
        See ``tol``.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of Adam, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of Adam.
    clip_norm : float or None, default=1.0
        Largest Euclidean norm of a minibatch's gradient, longer ones are scaled down;
        None for no limit.
    n_jobs : int or None, default=None
        Threads; None is all that :func:`fastgru.get_num_threads` allows, 1 inside a
        joblib worker.
    dtype : {"float32", "float64"}, default="float32"
        Type of the network's numbers.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
    n_features_in_ : int
        Features per step; after 2-D input the number of steps.
    n_outputs_ : int
        Number of outputs of the network.
    n_iter_ : int
        Number of epochs that were run.
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Lowest loss of an epoch; None with ``early_stopping``.
    loss_curve_ : list of float
        Mean loss of each epoch.
    validation_scores_ : list of float or None
        Accuracy on the validation set after each epoch; None without
        ``early_stopping``.
    best_validation_score_ : float or None
        Highest of these.
    out_activation_ : str
        "softmax".

    See Also
    --------
    GRURegressor : The same for numbers.
    fastgru.GRU : The layer itself.

    Notes
    -----
    Ctrl-C during ``fit`` ends it with a warning and keeps the last finished epoch.

    References
    ----------
    .. [1] Cho et al. (2014), arXiv:1406.1078, section 2.3 (the unit).
    .. [2] Kingma and Ba (2015), arXiv:1412.6980 (Adam).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRUClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=(length, 2)) for length in rng.integers(5, 15, size=40)]
    >>> y = ["rising" if x[:, 0].sum() > 0 else "falling" for x in X]
    >>> clf = GRUClassifier(16, learning_rate_init=0.02, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.9
    True
    """

    _loss: ClassVar = CrossEntropy()

    def fit(self, X: Any, y: Any) -> GRUClassifier:
        """Train on sequences and their classes.

        Parameters
        ----------
        X : array-like, or list of array-like
            Sequences: an array of shape (n_samples, n_timesteps, n_features), in which
            steps at the end that are NaN in every feature are padding; a list of arrays
            of shape (n_timesteps_i, n_features); or an array of shape
            (n_samples, n_timesteps), one number per step.
        y : array-like of shape (n_samples,)
            Class labels.

        Returns
        -------
        GRUClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as described, or y has fewer than 2 classes.
        """
        sequences = self._check_X(X, y)
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", estimator=self)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes, "
                f"got 1 class: {classes[0]!r}"
            )
        numbers = numbers.astype(np.int64)
        self._fit_network(X, sequences, numbers, len(classes), classes_=classes)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; rows add up to 1.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity.
        """
        return self._loss.activate(self._outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each sequence.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        NotFittedError, ValueError
            As ``predict_proba``.
        """
        outputs = self._outputs(X)
        return self.classes_[np.argmax(outputs, axis=1)]

    def _strata(self, targets: np.ndarray) -> np.ndarray:
        return targets

    def _score_outputs(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        return float(np.mean(np.argmax(outputs, axis=1) == targets))
