"""A fitted estimator that is fed one step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastgru.layers.stream import Stream

if TYPE_CHECKING:
    from fastgru.estimators._base import GRUEstimator


class EstimatorStream(Stream):
    """Feeds a fitted estimator one step at a time; its ``stream`` method makes it.

    Each of ``step``, ``predict`` and ``predict_proba`` takes the next step of one
    sequence, or of ``batch_size`` sequences side by side.  What it returns are the bits
    that the estimator gives for the sequence so far.  A stream belongs to one thread at
    a time.

    Parameters
    ----------
    estimator : GRUClassifier, GRURegressor or GRUTransformer
        Fitted.
    batch_size : int or None
        Number of sequences side by side; None means one, without an axis for it.

    Attributes
    ----------
    state : dict of str to ndarray
        All that is remembered of the steps so far, by name; reading it gives copies,
        setting it takes the same names, shapes and types.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRUClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(40, 10, 2))
    >>> clf = GRUClassifier(8, tol=0.1, random_state=0).fit(X, X[:, :, 0].sum(1) > 0)
    >>> stream = clf.stream()
    >>> labels = [stream.predict(x_t) for x_t in X[0]]
    >>> bool(labels[-1] == clf.predict(X[:1])[0])
    True
    """

    def __init__(self, estimator: GRUEstimator, batch_size: int | None) -> None:
        network = estimator._network
        super().__init__(network.layers, network._input, batch_size, refuses_nan=True)
        self._task = estimator._task

    def step(self, x_t: Any) -> np.ndarray:
        """Take a step and return the state of the last recurrent layer.

        Parameters
        ----------
        x_t : array-like of shape (n_features,), or (batch_size, n_features)
            Numbers; for tokens a whole number, or (batch_size,) of them.

        Returns
        -------
        ndarray of shape (n_units,), or (batch_size, n_units)

        Raises
        ------
        TypeError, ValueError
            If x_t is not of that shape, or holds NaN, infinity or an unknown token; the
            states then stay what they were.
        """
        return self._to_user(self._advance(x_t))

    def predict(self, x_t: Any) -> Any:
        """Take a step and return the prediction for the steps so far.

        Parameters
        ----------
        x_t : as for ``step``

        Returns
        -------
        scalar or ndarray
            As the estimator predicts: a class or number, a row of several, or with
            ``batch_size`` an array of shape (batch_size,) or (batch_size, n_outputs).

        Raises
        ------
        TypeError, ValueError
            As ``step``.
        """
        outputs = self._outputs(x_t)
        if self._batch_size is None:
            return self._task.predict_one(outputs)
        return self._task.predict(outputs.reshape(self._n_rows, -1))

    def predict_proba(self, x_t: Any) -> np.ndarray:
        """Take a step and return the probabilities of the classes for the steps so far.

        Parameters
        ----------
        x_t : as for ``step``

        Returns
        -------
        ndarray of shape (n_classes,), or (batch_size, n_classes)

        Raises
        ------
        AttributeError
            If the estimator does not predict classes.
        TypeError, ValueError
            As ``step``.
        """
        if self._task.loss.activation not in ("softmax", "logistic"):
            raise AttributeError("there are no classes to predict probabilities of")
        outputs = self._outputs(x_t)
        if self._batch_size is not None:
            outputs = outputs.reshape(self._n_rows, -1)
        return self._task.loss.activate(outputs)

    def _check(self, x_t: Any) -> np.ndarray:
        if not self._reads_tokens:
            x_t = np.asarray(x_t)
            if x_t.dtype.kind not in "fiub":
                raise TypeError(f"x_t must hold numbers, got dtype {x_t.dtype}")
            with np.errstate(over="ignore"):  # infinity is refused
                x_t = x_t.astype(self._dtype)
        return super()._check(x_t)
