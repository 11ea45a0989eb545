"""A fully connected layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fastgru import initializers
from fastgru._checks import check_random_state
from fastgru._threads import parallel_region
from fastgru.kernels.dense import (
    IDENTITY,
    LOGISTIC,
    RELU,
    TANH,
    dense_backward,
    dense_backward_parallel,
    dense_forward,
    dense_forward_parallel,
    pack_dense,
    packed_dense_size,
)
from fastgru.kernels.packing import aligned_zeros
from fastgru.layers._checks import check_dtype, check_flag, check_form, check_size
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet

ACTIVATIONS = {"identity": IDENTITY, "relu": RELU, "tanh": TANH, "logistic": LOGISTIC}

# Multiply-adds below which entering a parallel region costs more than it saves.
_SMALLEST_PARALLEL = 10_000_000


class _Tape(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    version: int  # of the weights


class Dense(Layer):
    """Compute ``y = f(x W' + b)``: ``torch.nn.Linear`` and an activation.

    It works on each step of a sequence by itself, or on one row per sequence.

    Parameters
    ----------
    input_size : int
        Number of features of the input, I.
    output_size : int
        Number of features of the output, O.
    bias : bool, default=True
        Whether to add b.
    activation : {"identity", "relu", "tanh", "logistic"}, default="identity"
        The function f, by scikit-learn's names; the logistic function is
        ``1 / (1 + exp(-x))``.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of parameters, inputs and outputs.
    random_state : int, RandomState instance or None, default=None
        Draws the first parameters, uniform in plus or minus ``1 / sqrt(input_size)`` as
        PyTorch's are.

    Raises
    ------
    TypeError
        If a size is not a whole number, ``bias`` not a bool or ``activation`` not a
        string.
    ValueError
        If a size is below 1, ``activation`` none of those above, or ``dtype`` another
        float type.

    Notes
    -----
    The parameters are ``weight`` of shape (O, I) and ``bias`` of shape (O,).  A row's
    result is the same bits whatever rows are around it and however many threads run.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> dense = fastgru.Dense(input_size=8, output_size=3, activation="relu")
    >>> {name: array.shape for name, array in dense.state_dict().items()}
    {'weight': (3, 8), 'bias': (3,)}
    >>> network = fastgru.Network([fastgru.GRU(5, 8), fastgru.Pooling("last"), dense])
    >>> network(np.ones((7, 2, 5), np.float32)).shape  # 7 steps of 2 sequences
    (2, 3)
    """

    _settings = ("input_size", "output_size", "bias", "activation", "dtype")

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        bias: bool = True,
        activation: str = "identity",
        dtype: Any = np.float32,
        random_state: Any = None,
    ) -> None:
        self._configure(
            input_size=input_size,
            output_size=output_size,
            bias=bias,
            activation=activation,
            dtype=dtype,
        )
        parameters = ParameterSet(dict(self._shapes()), self.dtype)
        random_state = check_random_state(random_state)
        bound = 1.0 / np.sqrt(self.input_size)
        for name, shape in self._shapes():
            parameters[name][...] = initializers.uniform(shape, bound, random_state)
        self._bind(parameters)

    def _configure(
        self,
        *,
        input_size: Any,
        output_size: Any,
        bias: Any,
        activation: Any,
        dtype: Any,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.output_size = check_size("output_size", output_size)
        self.bias = check_flag("bias", bias)
        if not isinstance(activation, str):
            raise TypeError(f"activation must be a string, got {activation!r}")
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, "
                f"got {activation!r}"
            )
        self.activation = activation
        self.dtype = check_dtype(dtype)
        self._version = 0

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield "weight", (self.output_size, self.input_size)
        if self.bias:
            yield "bias", (self.output_size,)

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters
        size = packed_dense_size(self.input_size, self.output_size, self.dtype.itemsize)
        self._packed = aligned_zeros(size, self.dtype)
        self._pack()

    def _pack(self) -> None:
        weight = self._parameters.stored("weight")
        if self.bias:
            bias = self._parameters.stored("bias")
        else:
            bias = np.zeros(self.output_size, self.dtype)
        pack_dense(self._packed, weight, bias)
        self._version += 1

    def _follow(self, form: Form) -> Form:
        check_form("Dense", form, self.input_size, self.dtype)
        return Form(form.per, self.output_size, self.dtype)

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        x, geometry = rows
        y = np.empty((len(x), self.output_size), self.dtype)
        arguments = (y, x, self._packed, ACTIVATIONS[self.activation])
        worth = self._worth(len(x), n_threads)
        if worth == 1:  # as it mostly is: asking for threads takes longer than this
            dense_forward(*arguments)
            return Rows(y, geometry)
        with parallel_region(worth) as granted:
            if granted == 1:
                dense_forward(*arguments)
            else:
                dense_forward_parallel(*arguments, granted)
        return Rows(y, geometry)

    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, Any]:
        output = self._infer(rows, n_threads)
        return output, _Tape(rows.values, output.values, self._version)

    def _back(
        self,
        tape: Any,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        x, y, version = tape
        if version != self._version:
            raise RuntimeError(
                "the parameters were set after vjp recorded this tape; call vjp again"
            )
        d_x = np.empty((len(x) if wants_input else 0, self.input_size), self.dtype)
        if self.bias:
            d_bias = gradients.stored("bias")
        else:
            d_bias = np.empty(0, self.dtype)
        d_weight = gradients.stored("weight")
        activation = ACTIVATIONS[self.activation]
        arguments = (d_x, d_weight, d_bias, x, y, d_values, self._packed, activation)
        with parallel_region(self._worth(len(x), n_threads)) as granted:
            if granted == 1:
                dense_backward(*arguments)
            else:
                dense_backward_parallel(*arguments, granted)
        return d_x if wants_input else None

    def _worth(self, n_rows: int, n_threads: int) -> int:
        """Return ``n_threads``, or 1 where the work is too small to share."""
        return 1 if self._is_small(n_rows) else n_threads

    def _is_small(self, n_rows: int) -> bool:
        """Whether the work on so many rows is too small to share between threads."""
        return n_rows * self.input_size * self.output_size <= _SMALLEST_PARALLEL
