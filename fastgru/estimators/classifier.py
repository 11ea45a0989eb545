"""A classifier of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastgru.estimators._base import GRUEstimator, can_fit_in_parts
from fastgru.estimators._targets import rows_of, weights_of
from fastgru.estimators._tasks import (
    Classes,
    Labels,
    Task,
    check_labels,
    classes_of,
    is_multilabel,
)
from fastgru.kernels import losses as kernels
from fastgru.layers._checks import readable
from fastgru.layers.network import Network
from fastgru.sequences import SequenceForm


class GRUClassifier(ClassifierMixin, GRUEstimator):
    """Classifier of sequences with a gated recurrent unit.

    A GRU reads each sequence; a fully connected layer on its last state gives one logit
    per class.  Trained by minibatches on the softmax cross-entropy, or, if each sample
    may have several labels, on the binary one of each label.  The same ``random_state``
    and data give the same model to the bit, on any CPU and with any number of threads.

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
    return_sequences : bool, default=False
        Whether each step has its own target, and not each sequence.  Then y holds one
        per step, and predictions, probabilities and so on have the form of X: an array
        with the steps on its second axis for a 3-D or 2-D X without padding, else a
        list of arrays, one per sequence.
    class_weight : dict, "balanced" or None, default=None
        Weight of each class, by label; "balanced" weighs them inversely to how often
        they come, as in scikit-learn.  Not for several labels per sample.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels, sorted.
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
        Accuracy on the validation set after each epoch; None without one.
    best_validation_score_ : float or None
        Highest of these.
    out_activation_ : str
        "softmax", or "logistic" with several labels per sample.

    See Also
    --------
    GRURegressor : The same for numbers.
    GRUTransformer : Vectors from sequences.
    fastgru.GRU : The layer itself.

    Notes
    -----
    Ctrl-C during ``fit`` ends it with a warning and keeps the last finished epoch.  So
    does an exception in a callback, which is raised after that.

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

    _parameter_constraints: ClassVar[dict] = {
        **GRUEstimator._parameter_constraints,
        "return_sequences": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    return_sequences: bool
    class_weight: Any

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
        class_weight: Any = None,
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
        tags.classifier_tags.multi_label = True
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
    ) -> GRUClassifier:
        """Train on sequences and their classes.

        Parameters
        ----------
        X : array-like, or list of array-like
            Sequences: an array of shape (n_samples, n_timesteps, n_features), in which
            steps at the end that are NaN in every feature are padding; a list of arrays
            of shape (n_timesteps_i, n_features); an array of shape
            (n_samples, n_timesteps), one number per step; or with ``n_tokens`` tokens,
            an array of that shape or a list of arrays of shape (n_timesteps_i,).
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Class labels; or, for several labels per sample, 0 or 1 for each.  With
            ``return_sequences`` one per step: of shape (n_samples, n_timesteps), or a
            list of arrays of shape (n_timesteps_i,); past the end of a padded sequence
            anything may stand.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sequence, not negative; None means 1.
            With ``return_sequences`` also one per step, in the form of y.
        X_val, y_val : as X and y, default=None
            Validation set: its score after each epoch becomes ``validation_scores_``,
            and training stops by it with ``early_stopping``.

        Returns
        -------
        GRUClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is not as described, y has fewer than 2 classes, or
            ``checkpoint`` belongs to another fit.
        """
        self._fit(X, y, sample_weight, X_val, y_val)
        return self

    @available_if(can_fit_in_parts)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> GRUClassifier:
        """Train one epoch on some samples, going on from where the last call ended.

        Parameters
        ----------
        X, y
            As for :meth:`fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call, left out or the
            same in others.
        sample_weight : array-like of shape (n_samples,), default=None
            As for :meth:`fit`.

        Returns
        -------
        GRUClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            As for ``fit``; or if the first call has no ``classes``, or a later one
            others.
        AttributeError
            With ``early_stopping``, which needs all samples at once.
        """
        task = None
        if not hasattr(self, "classes_"):
            if classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
            task = self._task_of(classes, y)
        elif classes is not None and not np.array_equal(
            np.unique(classes), self.classes_
        ):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to "
                f"partial_fit, was: {self.classes_!r}"
            )
        self._partial_fit(X, y, sample_weight, task)
        return self

    def _task_of(self, classes: Any, y: Any) -> Task:
        """Return the task of a first partial fit."""
        if not self._per_step and is_multilabel(y):
            return Labels(len(np.unique(classes)))
        return Classes(classes_of(classes, type(self).__name__))

    def _make_task(self, y: Any, form: SequenceForm) -> Task:
        if is_multilabel(y):
            if self.class_weight is not None:
                raise ValueError(
                    "class_weight is for one class per sample, but y holds several "
                    "labels per sample; use sample_weight"
                )
            return Labels(np.shape(y)[1])
        return Classes(classes_of(y, type(self).__name__))

    def _own_fitted(self, task: Task, network: Network) -> dict[str, Any]:
        assert isinstance(task, (Classes, Labels))  # as _make_task returns
        return {"classes_": task.classes}

    def decision_function(self, X: Any) -> Any:
        """Return the logits.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            With two classes how much the second logit is larger than the first, else
            one logit per class or label.  With ``return_sequences`` per step, see
            there.

        Raises
        ------
        NotFittedError, ValueError
            As ``predict_proba``.
        """
        sequences, outputs = self._run(X)
        if isinstance(self._task, Classes) and len(self.classes_) == 2:
            outputs = outputs[:, 1] - outputs[:, 0]
        return self._to_user(outputs, sequences)

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``; rows add up to 1, but with several labels per
            sample each column is the probability of one.  With ``return_sequences``
            per step, see there.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity.
        """
        sequences, outputs = self._run(X)
        return self._to_user(self._task.loss.activate(outputs), sequences)

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of the probability of each class.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``, exact where the probability rounds to 0 or 1.

        Raises
        ------
        NotFittedError, ValueError
            As ``predict_proba``.
        """
        sequences, outputs = self._run(X)
        logarithms = np.empty_like(outputs)
        if isinstance(self._task, Classes):
            kernels.log_softmax(logarithms, readable(outputs))
        else:
            kernels.log_logistic(logarithms.reshape(-1), readable(outputs).reshape(-1))
        return self._to_user(logarithms, sequences)

    def predict(self, X: Any) -> Any:
        """Return the most probable class of each sequence.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_labels) of 0 and 1
            With ``return_sequences`` one per step, see there.

        Raises
        ------
        NotFittedError, ValueError
            As ``predict_proba``.
        """
        sequences, outputs = self._run(X)
        return self._to_user(self._task.predict(outputs), sequences)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the mean accuracy.

        Parameters
        ----------
        X, y, sample_weight
            As for ``fit``.

        Returns
        -------
        float
            Share of the samples, with ``return_sequences`` of the steps, whose class
            (or whose labels, all of them) is predicted.

        Raises
        ------
        NotFittedError, ValueError
            As ``predict_proba``, and if y does not fit X.
        """
        check_is_fitted(self)
        if not self._predicts_steps:
            return super().score(X, y, sample_weight)
        sequences, outputs = self._run(X)
        weights, _ = weights_of(sample_weight, sequences, per_step=True)
        y = check_labels(rows_of("y", y, sequences))
        predicted = self._task.predict(outputs)
        return float(accuracy_score(y, predicted, sample_weight=weights))
