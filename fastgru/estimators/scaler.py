"""Standardising the features of sequences."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgru.estimators._targets import weights_of
from fastgru.sequences import SequenceForm, Sequences, check_sequences


class SequenceScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardises each feature over the steps of all sequences.

    What ``sklearn.preprocessing.StandardScaler`` is for tables, for sequences: a
    feature x becomes ``(x - mean) / deviation``, with the mean and the deviation of all
    valid steps.  A 2-D array holds sequences of one feature, so all its numbers share a
    mean and a deviation.

    Parameters
    ----------
    with_mean : bool, default=True
        Whether to subtract the mean.
    with_std : bool, default=True
        Whether to divide by the standard deviation; a constant feature is not divided.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,), float64
        Mean of each feature; of 2-D input of the only one.
    var_ : ndarray of shape (n_features,), float64
        Variance of each feature.
    scale_ : ndarray of shape (n_features,), float64
        Standard deviation, 1 where that is 0.
    n_steps_seen_ : int
        Number of steps that these come from.
    n_features_in_ : int
        Features per step; after 2-D input the number of steps.

    See Also
    --------
    GRUTransformer : Vectors from sequences.

    Notes
    -----
    The same data give the same bits on any CPU.  In a pipeline ``set_output`` works
    for 2-D input only, since no table holds sequences of several features.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import SequenceScaler
    >>> X = [np.array([[0.0], [2.0]]), np.array([[4.0]])]
    >>> scaler = SequenceScaler().fit(X)
    >>> scaler.mean_
    array([2.])
    >>> [x.round(2).tolist() for x in scaler.transform(X)]
    [[[-1.22], [0.0]], [[1.22]]]
    """

    _parameter_constraints: ClassVar[dict] = {
        "with_mean": ["boolean"],
        "with_std": ["boolean"],
    }

    def __init__(self, *, with_mean: bool = True, with_std: bool = True) -> None:
        self.with_mean = with_mean
        self.with_std = with_std

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> SequenceScaler:
        """Find mean and deviation of each feature.

        Parameters
        ----------
        X : array-like, or list of array-like
            Sequences: an array of shape (n_samples, n_timesteps, n_features), in which
            steps at the end that are NaN in every feature are padding; a list of arrays
            of shape (n_timesteps_i, n_features); or an array of shape
            (n_samples, n_timesteps), one number per step.
        y : ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each sequence, not negative; None means 1.

        Returns
        -------
        SequenceScaler
            The fitted scaler.

        Raises
        ------
        ValueError
            If X is not as described, or holds NaN elsewhere than in padding, or
            infinity.
        """
        self._validate_params()
        sequences = self._open(X, None)
        weights, _ = weights_of(sample_weight, sequences, per_step=False)
        total = np.sum(weights * sequences.lengths)
        mean = _weighted_sum(sequences, weights, None) / total
        variance = _weighted_sum(sequences, weights, mean) / total
        validate_data(self, X, reset=True, skip_check_array=True, ensure_2d=False)
        self.mean_ = mean
        self.var_ = variance
        # What rounding leaves of a constant feature is no deviation: the bound is that
        # of scikit-learn's scalers.
        self.n_steps_seen_ = int(sequences.lengths.sum())
        share = self.n_steps_seen_ * np.finfo(np.float64).eps
        is_constant = variance <= share * variance + np.square(share * mean)
        self.scale_ = np.where(is_constant, 1.0, np.sqrt(variance))
        self.n_features_in_ = sequences.form.n_features_in
        self._form = sequences.form
        return self

    def transform(self, X: Any) -> Any:
        """Standardise sequences.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray or list of ndarray
            Of the form of X, padding included; float32 for float32, else float64.

        Raises
        ------
        NotFittedError
            If ``fit`` was not called.
        ValueError
            If X is not of the form that ``fit`` saw, or holds NaN or infinity; or if
            ``set_output`` asked for a table and X is not 2-D.
        """
        return self._map(X, self._standardise)

    def inverse_transform(self, X: Any) -> Any:
        """Bring standardised sequences back to their units.

        Parameters
        ----------
        X : as for ``fit``

        Returns
        -------
        ndarray or list of ndarray
            Of the form of X.

        Raises
        ------
        NotFittedError, ValueError
            As for ``transform``.
        """
        return self._map(X, self._restore)

    def _standardise(self, values: np.ndarray) -> np.ndarray:
        if self.with_mean:
            values = values - self.mean_
        return values / self.scale_ if self.with_std else values

    def _restore(self, values: np.ndarray) -> np.ndarray:
        if self.with_std:
            values = values * self.scale_
        return values + self.mean_ if self.with_mean else values

    def _map(self, X: Any, function: Any) -> Any:
        check_is_fitted(self)
        validate_data(self, X, reset=False, skip_check_array=True, ensure_2d=False)
        sequences = self._open(X, self._form)
        self._refuse_tables()
        is_flat, n = sequences.form.kind == "univariate", len(sequences)
        n_timesteps = self.n_features_in_ if is_flat else sequences.n_timesteps
        if n_timesteps is None:
            results = []
            for number in range(n):
                values, _ = sequences.take([number])
                dtype = _result_type(X[number])
                results.append(function(values).astype(dtype, copy=False))
            return results
        shape = (n, n_timesteps, sequences.n_features)
        dtype = _result_type(X[0] if isinstance(X, (list, tuple)) else X)
        array = np.full(shape, np.nan, dtype)
        for number, row in enumerate(array):
            values, lengths = sequences.take([number])
            row[: lengths[0]] = function(values)
        return array[:, :, 0] if is_flat else array

    def _refuse_tables(self) -> None:
        wanted = _get_output_config("transform", self)["dense"]
        if self._form.kind != "univariate" and wanted != "default":
            raise ValueError(
                f"set_output(transform={wanted!r}) is for 2-D results, but X holds "
                f"{self._form}: use set_output(transform='default')"
            )

    def _open(self, X: Any, expected: SequenceForm | None) -> Sequences:
        return check_sequences(
            X,
            dtype=np.float64,
            estimator_name=type(self).__name__,
            expected=expected,
        )


def _result_type(values: Any) -> np.dtype:
    """Return float32 for values of that type, else float64."""
    is_single = getattr(values, "dtype", None) == np.float32
    return np.dtype(np.float32 if is_single else np.float64)


def _weighted_sum(
    sequences: Sequences, weights: np.ndarray, mean: np.ndarray | None
) -> np.ndarray:
    """Return the weighted sum of the steps, or of their squared distances from a mean.

    Step after step, so that the result has the same bits on any CPU.
    """
    total = np.zeros(sequences.n_features)
    for block in sequences.blocks():
        values, lengths = sequences.take(block)
        if mean is not None:
            values = np.square(values - mean)
        values = values * np.repeat(weights[block], lengths)[:, np.newaxis]
        # The running sum goes from row to row, whatever the number of columns.
        values[0] += total
        total = np.cumsum(values, axis=0)[-1]
    return total
