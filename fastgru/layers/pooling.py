"""One row for each sequence, from the rows of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgru import initializers
from fastgru._checks import check_random_state
from fastgru.kernels.pooling import (
    attention_backward,
    attention_forward,
    last_backward,
    last_forward,
    max_backward,
    max_forward,
    mean_backward,
    mean_forward,
)
from fastgru.layers._checks import check_dtype, check_form, check_size
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.geometry import Geometry
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet

KINDS = ("last", "mean", "max", "attention")


class _Tape(NamedTuple):
    geometry: Geometry
    # max: the row of each number; attention: the share of each row.
    found: np.ndarray | None
    x: np.ndarray | None  # attention only
    version: int  # of the parameters


class Pooling(Layer):
    """Turn each sequence into one row: its last step, mean, maximum or weighted mean.

    Only valid steps count, in order of time, whatever the padding or the batch around a
    sequence.

    Parameters
    ----------
    how : {"last", "mean", "max", "attention"}, default="last"
        ``"last"`` takes the row of the last step, ``"mean"`` the mean of all and
        ``"max"`` the largest number of each feature.  ``"attention"`` takes the mean
        with the weights ``softmax(weight . h_t)``, a learned score of each step.
    n_features : int, default=None
        Features of a row, F; needed for attention, which has parameters.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of the parameters of attention; without parameters the type of what comes
        in is kept.
    random_state : int, RandomState instance or None, default=None
        Draws the first parameters, uniform in plus or minus ``1 / sqrt(n_features)``.

    Raises
    ------
    TypeError
        If ``how`` is not a string, or ``n_features`` not a whole number.
    ValueError
        If ``how`` is none of those above, or ``n_features`` below 1 or missing for
        attention, or ``dtype`` is another float type.

    Notes
    -----
    A sequence of no steps gives zeros.  NaN in a step makes its feature's mean and
    maximum NaN, and with attention the whole row.  The gradient of a maximum goes to
    the first step that has it.

    The parameter of attention is ``weight`` of shape (1, F).  It is that of [1]_
    without the hidden layer between states and scores; a bias would change no weight.

    References
    ----------
    .. [1] Yang et al. (2016), "Hierarchical attention networks for document
       classification", NAACL, section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> pooling = fastgru.Pooling("attention", n_features=4)
    >>> network = fastgru.Network([fastgru.GRU(3, 4), pooling])
    >>> x = np.ones((7, 2, 3), np.float32)  # 7 steps of 2 sequences
    >>> network(x, lengths=[7, 5]).shape
    (2, 4)
    """

    _settings = ("how", "n_features", "dtype")

    def __init__(
        self,
        how: str = "last",
        *,
        n_features: int | None = None,
        dtype: Any = np.float32,
        random_state: Any = None,
    ) -> None:
        self._configure(how=how, n_features=n_features, dtype=dtype)
        parameters = ParameterSet(dict(self._shapes()), self.dtype)
        for name, shape in self._shapes():
            parameters[name][...] = initializers.uniform(
                shape, 1.0 / np.sqrt(shape[1]), check_random_state(random_state)
            )
        self._bind(parameters)

    def _configure(self, *, how: Any, n_features: Any, dtype: Any) -> None:
        if not isinstance(how, str):
            raise TypeError(f"how must be a string, got {how!r}")
        if how not in KINDS:
            raise ValueError(f"how must be one of {', '.join(KINDS)}, got {how!r}")
        if n_features is not None:
            n_features = check_size("n_features", n_features)
        if how == "attention" and n_features is None:
            raise ValueError("n_features must be given for how='attention'")
        self.how: str = how
        self.n_features: int | None = n_features
        self.dtype = check_dtype(dtype)
        self._version = 0

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        if self.how == "attention":
            assert self.n_features is not None  # as _configure asks for
            yield "weight", (1, self.n_features)

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters
        self._pack()

    def _pack(self) -> None:
        self._version += 1

    def _follow(self, form: Form) -> Form:
        if form.per != "step":
            raise ValueError(
                "Pooling works on the steps of sequences, but one row per sequence "
                "comes in"
            )
        dtype = self.dtype if self.how == "attention" else None
        check_form("Pooling", form, self.n_features, dtype)
        return Form("sequence", form.n_features, form.dtype)

    def _attention_weights(self, rows: Rows) -> np.ndarray:
        """Return the share of each row in its sequence's mean, (rows,)."""
        _, tape = self._record(rows, None, 1)
        assert tape.found is not None  # as it is for attention
        return tape.found

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        pooled, _ = self._record(rows, None, n_threads)
        return pooled

    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, Any]:
        x, geometry = rows
        assert geometry is not None  # as _follow asked for
        shape = (geometry.batch, x.shape[1])
        y = np.empty(shape, x.dtype)
        found: np.ndarray | None = None
        kept: np.ndarray | None = None
        if self.how == "last":
            last_forward(y, x, geometry.table)
        elif self.how == "mean":
            mean_forward(y, x, geometry.table)
        elif self.how == "max":
            found = np.empty(shape, np.int64)
            max_forward(y, found, x, geometry.table)
        else:
            found, kept = np.empty(len(x)), x
            weight = self._parameters.stored("weight")
            attention_forward(y, found, x, weight.reshape(-1), geometry.table)
        return Rows(y, None), _Tape(geometry, found, kept, self._version)

    def _back(
        self,
        tape: Any,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        geometry, found, x, version = tape
        n_rows = geometry.n_rows if wants_input else 0
        d_x = np.empty((n_rows, d_values.shape[1]), d_values.dtype)
        if self.how == "attention":
            if version != self._version:
                raise RuntimeError(
                    "the parameters were set after vjp recorded this tape; "
                    "call vjp again"
                )
            d_weight, weight = (
                set_.stored("weight").reshape(-1)
                for set_ in (gradients, self._parameters)
            )
            arguments = (d_values, found, x, weight, geometry.table)
            attention_backward(d_x, d_weight, *arguments)
        elif not wants_input:
            return None
        elif self.how == "last":
            last_backward(d_x, d_values, geometry.table)
        elif self.how == "mean":
            mean_backward(d_x, d_values, geometry.table)
        else:
            max_backward(d_x, d_values, found)
        return d_x if wants_input else None
