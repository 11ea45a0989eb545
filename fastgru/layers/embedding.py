"""A learned row of numbers for each token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgru import initializers
from fastgru._checks import check_random_state
from fastgru._threads import parallel_region
from fastgru.kernels.embedding import (
    embedding_backward,
    embedding_backward_parallel,
    embedding_forward,
    find_unknown,
    sort_by_token,
)
from fastgru.layers._checks import check_dtype, check_size
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.geometry import Geometry
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet, RowMajor

# Numbers read and written below which entering a parallel region costs more than it
# saves.
_SMALLEST_PARALLEL = 1_000_000


class Embedding(Layer):
    """Replace each token by a row of a learned table: ``torch.nn.Embedding``.

    Parameters
    ----------
    n_tokens : int
        Number of tokens, V, which are the whole numbers from 0 to V - 1.
    embedding_dim : int
        Numbers that stand for a token, E.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of parameters and outputs.
    random_state : int, RandomState instance or None, default=None
        Draws the table from the standard normal distribution, as PyTorch does.

    Raises
    ------
    TypeError
        If a size is not a whole number.
    ValueError
        If a size is below 1, or ``dtype`` is another float type.

    Notes
    -----
    The parameter is ``weight`` of shape (V, E).  Its gradient is 0 for tokens that do
    not occur; the others' are sums in the order of their places, the same bits for any
    number of threads.

    Examples
    --------
    >>> import fastgru
    >>> embedding = fastgru.Embedding(n_tokens=100, embedding_dim=8)
    >>> embedding.state_dict()["weight"].shape
    (100, 8)
    >>> network = fastgru.Network([embedding, fastgru.GRU(8, 4)])
    >>> network([[5, 99], [0, 7], [0, 0]], lengths=[1, 3]).shape  # 3 steps, 2 sequences
    (3, 2, 4)
    """

    _settings = ("n_tokens", "embedding_dim", "dtype")

    def __init__(
        self,
        n_tokens: int,
        embedding_dim: int,
        *,
        dtype: Any = np.float32,
        random_state: Any = None,
    ) -> None:
        self._configure(n_tokens=n_tokens, embedding_dim=embedding_dim, dtype=dtype)
        parameters = ParameterSet(dict(self._shapes()), self.dtype)
        shape = parameters.shapes["weight"]
        parameters["weight"][...] = initializers.standard_normal(
            shape, check_random_state(random_state)
        )
        self._bind(parameters)

    def _configure(self, *, n_tokens: Any, embedding_dim: Any, dtype: Any) -> None:
        self.n_tokens = check_size("n_tokens", n_tokens)
        self.embedding_dim = check_size("embedding_dim", embedding_dim)
        self.dtype = check_dtype(dtype)

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield "weight", RowMajor((self.n_tokens, self.embedding_dim))

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters

    def _pack(self) -> None:
        pass

    def _follow(self, form: Form) -> Form:
        if form.per != "step" or form.n_features is not None:
            raise ValueError(
                "Embedding expects tokens, one per step, but rows of "
                f"{form.n_features} features per {form.per} come in"
            )
        return Form("step", self.embedding_dim, self.dtype)

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        tokens, geometry = rows
        assert geometry is not None  # as _follow asked for
        check_tokens(tokens, self.n_tokens, geometry)
        y = np.empty((tokens.size, self.embedding_dim), self.dtype)
        embedding_forward(y, self._parameters.stored("weight"), tokens)
        return Rows(y, geometry)

    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, Any]:
        output = self._infer(rows, n_threads)
        # Now, since a caller may write to the tokens before _back.
        places = np.empty(rows.values.size, np.int64)
        starts = np.empty(self.n_tokens + 1, np.int64)
        sort_by_token(places, starts, rows.values)
        return output, (places, starts)

    def _back(
        self,
        tape: Any,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        places, starts = tape
        d_weight = gradients.stored("weight")
        work = (places.size + self.n_tokens) * self.embedding_dim
        worth = n_threads if work > _SMALLEST_PARALLEL else 1
        with parallel_region(worth) as granted:
            if granted == 1:
                embedding_backward(d_weight, d_values, places, starts)
            else:
                bounds = _bounds(starts, granted)
                embedding_backward_parallel(d_weight, d_values, places, starts, bounds)
        return None


def _bounds(starts: np.ndarray, n_blocks: int) -> np.ndarray:
    """Cut the tokens into blocks with about equally many tokens and places."""
    work = starts + np.arange(starts.size)
    shares = np.arange(n_blocks + 1) * work[-1] // n_blocks
    return np.searchsorted(work, shares)


def check_tokens(tokens: np.ndarray, n_tokens: int, geometry: Geometry) -> None:
    """Raise if a token of some step, (rows,) int64, is none of ``n_tokens``."""
    row, t, b = find_unknown(tokens, n_tokens, geometry.table)
    if row >= 0:
        raise ValueError(
            f"tokens must be from 0 to {n_tokens - 1}, got {tokens[row]} "
            f"at step {t} of sequence {b}"
        )
