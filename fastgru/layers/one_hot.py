"""A row of zeros with a single 1 for each token."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgru.kernels.embedding import find_unknown
from fastgru.layers._checks import check_dtype, check_size
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet


class OneHot(Layer):
    """Replace each token by a row that is 1 at the token's place and 0 elsewhere.

    Nothing is learned here: the GRU behind has a column of its input weights for each
    token, which takes the part of an embedding.

    Parameters
    ----------
    n_tokens : int
        Number of tokens, V, which are the whole numbers from 0 to V - 1.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of outputs.

    Raises
    ------
    TypeError
        If ``n_tokens`` is not a whole number.
    ValueError
        If ``n_tokens`` is below 1, or ``dtype`` is another float type.

    See Also
    --------
    Embedding : For thousands of tokens.

    Examples
    --------
    >>> import fastgru
    >>> one_hot = fastgru.OneHot(4)
    >>> fastgru.Network([one_hot])([2, 0])
    array([[0., 0., 1., 0.],
           [1., 0., 0., 0.]], dtype=float32)
    >>> network = fastgru.Network([one_hot, fastgru.GRU(4, 8), fastgru.Dense(8, 4)])
    >>> network([[3, 1], [0, 2], [0, 0]]).shape  # 3 steps of 2 sequences
    (3, 2, 4)
    """

    _settings = ("n_tokens", "dtype")
    _draws = False

    def __init__(self, n_tokens: int, *, dtype: Any = np.float32) -> None:
        self.n_tokens = check_size("n_tokens", n_tokens)
        self.dtype = check_dtype(dtype)
        self._parameters = ParameterSet({}, self.dtype)

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters

    def _pack(self) -> None:
        pass

    def _follow(self, form: Form) -> Form:
        if form.per != "step" or form.n_features is not None:
            raise ValueError(
                "OneHot expects tokens, one per step, but rows of "
                f"{form.n_features} features per {form.per} come in"
            )
        return Form("step", self.n_tokens, self.dtype)

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        tokens, geometry = rows
        assert geometry is not None  # as _follow asked for
        row, t, b = find_unknown(tokens, self.n_tokens, geometry.table)
        if row >= 0:
            raise ValueError(
                f"tokens must be from 0 to {self.n_tokens - 1}, got {tokens[row]} "
                f"at step {t} of sequence {b}"
            )
        y = np.zeros((tokens.size, self.n_tokens), self.dtype)
        y[np.arange(tokens.size), tokens] = 1.0
        return Rows(y, geometry)

    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, Any]:
        return self._infer(rows, n_threads), None

    def _back(
        self,
        tape: Any,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        return None
