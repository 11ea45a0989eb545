"""Tokens as rows of features of which one is 1, which are never made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgru.layers._checks import check_dtype, check_size
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.embedding import check_tokens
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet


class OneHot(Layer):
    """Turn tokens into features of which one is 1 and all others are 0.

    Only a GRU can follow.  It takes the row of its input weights that belongs to the
    token, which is the product with such features to the bit, so the features are never
    made, however many there are.

    Parameters
    ----------
    n_tokens : int
        Number of different tokens, V; tokens are numbers from 0 to V - 1.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of the GRU behind it.

    Raises
    ------
    TypeError
        If ``n_tokens`` is not a whole number.
    ValueError
        If ``n_tokens`` is below 1 or above 2**24, or ``dtype`` another float type.

    See Also
    --------
    Embedding : Learned features for each token.

    Examples
    --------
    >>> import fastgru
    >>> network = fastgru.Network([fastgru.OneHot(50), fastgru.GRU(50, 8)])
    >>> network([[5, 49], [0, 7], [0, 0]]).shape  # 3 steps, 2 sequences
    (3, 2, 8)
    """

    _settings = ("n_tokens", "dtype")

    def __init__(self, n_tokens: int, *, dtype: Any = np.float32) -> None:
        self._configure(n_tokens=n_tokens, dtype=dtype)
        self._bind(ParameterSet({}, self.dtype))

    def _configure(self, *, n_tokens: Any, dtype: Any) -> None:
        self.n_tokens = check_size("n_tokens", n_tokens)
        if self.n_tokens > 2**24:  # above, float32 does not hold every whole number
            raise ValueError(f"n_tokens must be at most 2**24, got {n_tokens}")
        self.dtype = check_dtype(dtype)

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        return iter(())

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
        return Form("step", self.n_tokens, self.dtype, is_one_hot=True)

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        tokens, geometry = rows
        assert geometry is not None  # as _follow asked for
        check_tokens(tokens, self.n_tokens, geometry)
        if self.n_tokens == 1:
            # To kernels one column is then the feature itself.
            return Rows(np.ones((tokens.size, 1), self.dtype), geometry)
        return Rows(tokens.astype(self.dtype).reshape(-1, 1), geometry)

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
    ) -> None:
        """Do nothing: tokens have no gradient, and there are no parameters."""
