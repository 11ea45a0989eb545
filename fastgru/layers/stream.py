"""A network that is fed one step at a time and remembers the states in between."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgru._threads import get_num_threads
from fastgru.layers._checks import check_array, check_shape, check_size, readable
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.geometry import Geometry
from fastgru.layers.gru import GRU
from fastgru.layers.pooling import Pooling


class Stream:
    """Runs a network step by step; :meth:`Network.stream` makes it.

    After each step the outputs are, bit for bit, those of the network for the steps so
    far: its last step's, or with ``Pooling("last")`` the sequence's.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> network = fastgru.Network([fastgru.GRU(3, 4), fastgru.Dense(4, 2)])
    >>> x = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    >>> stream = network.stream()
    >>> outputs = [stream.step(x_t) for x_t in x]
    >>> bool((network(x) == outputs).all())
    True
    """

    def __init__(
        self, layers: tuple[Layer, ...], form: Form, batch_size: int | None
    ) -> None:
        if batch_size is not None:
            check_size("batch_size", batch_size)
        for layer in layers:
            if isinstance(layer, GRU) and layer.bidirectional:
                raise ValueError(
                    f"a stream has no steps to come, which {layer!r} reads first"
                )
            if isinstance(layer, Pooling) and layer.how != "last":
                raise ValueError(
                    f'a stream pools to its last step only, got Pooling("{layer.how}")'
                )
        self._layers = layers
        self._form = form
        self._batch_size = batch_size
        self._geometry = Geometry.equal(1, batch_size or 1, batch_first=False)
        self._states: dict[int, np.ndarray] = {}

    def reset(self) -> None:
        """Forget the steps so far: states are zero again."""
        self._states = {}

    def step(self, x_t: np.ndarray) -> np.ndarray:
        """Return the outputs after one more step.

        Parameters
        ----------
        x_t : ndarray of shape (batch_size, input_size), or (input_size,) without it
            Input; tokens of shape (batch_size,) or a single token behind an Embedding.

        Returns
        -------
        ndarray of shape (batch_size, output_size), or (output_size,)

        Raises
        ------
        TypeError, ValueError
            If x_t is not what the network reads; the states then stay what they were.
        """
        rows = Rows(self._check(x_t), self._geometry)
        states = dict(self._states)
        for number, layer in enumerate(self._layers):
            if isinstance(layer, GRU):
                output = np.empty((len(rows.values), layer.hidden_size), layer.dtype)
                states[number] = layer._stack.infer(
                    rows.values,
                    self._geometry,
                    states.get(number),
                    output,
                    get_num_threads(),
                )
                rows = Rows(output, rows.geometry)
            else:
                rows = layer._infer(rows, get_num_threads())
        self._states = states
        return rows.values[0] if self._batch_size is None else rows.values

    def _check(self, x_t: Any) -> np.ndarray:
        n_features, batch = self._form.n_features, self._batch_size
        leading = () if batch is None else (batch,)
        if n_features is None:
            x_t = np.asarray(x_t)
            if x_t.dtype.kind not in "iu":
                raise TypeError(
                    f"x_t must hold tokens, whole numbers, got dtype {x_t.dtype}"
                )
            return check_shape("x_t", x_t, leading).astype(np.int64).reshape(-1)
        x_t = check_array("x_t", x_t, self._form.dtype)
        check_shape("x_t", x_t, (*leading, n_features))
        return readable(x_t).reshape(-1, n_features)
