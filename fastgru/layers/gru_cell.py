"""One step of the GRU: ``torch.nn.GRUCell`` without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgru import initializers
from fastgru.layers._checks import (
    check_array,
    check_dtype,
    check_flag,
    check_shape,
    check_size,
    readable,
)
from fastgru.layers._layer import Configured
from fastgru.layers._tape import SingleUse
from fastgru.layers.geometry import Geometry
from fastgru.layers.recurrence import (
    Recurrence,
    Tape,
    drawn_parameters,
    parameter_shapes,
)
from fastgru.parameters import ParameterSet


@dataclass(slots=True)
class GRUCellGradients:
    """Gradients that a pullback of :meth:`GRUCell.vjp` returns.

    Attributes
    ----------
    x : ndarray of the shape of x
        Gradient of the input.
    h : ndarray of the shape of h
        Gradient of the state before the step.
    parameters : mapping of str to ndarray
        Gradient of each parameter, by the names and shapes of ``state_dict``.
    """

    x: np.ndarray
    h: np.ndarray
    parameters: ParameterSet


class GRUCell(Configured):
    """One step of a GRU on a batch; see :class:`GRU` for the equations.

    A :class:`GRU` runs many steps far faster than a loop over cells, to the same bits.

    Parameters
    ----------
    input_size : int
        Number of features of the input, I.
    hidden_size : int
        Number of units, H.
    bias : bool, default=True
        Whether there are biases.
    reset_after, initializer, dtype, random_state
        As for :class:`GRU`.

    Raises
    ------
    TypeError
        If a size is not a whole number, or a flag not a bool.
    ValueError
        If a size is below 1, ``initializer`` unknown, or ``dtype`` another float type.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRUCell
    >>> cell = GRUCell(3, 4, random_state=0)
    >>> h = cell(np.zeros((2, 3), np.float32))
    >>> cell(np.ones((2, 3), np.float32), h).shape
    (2, 4)
    """

    _settings = (
        "input_size",
        "hidden_size",
        "bias",
        "reset_after",
        "initializer",
        "dtype",
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        reset_after: bool = True,
        initializer: str = "uniform",
        dtype: Any = np.float32,
        random_state: Any = None,
    ) -> None:
        self._configure(
            input_size=input_size,
            hidden_size=hidden_size,
            bias=bias,
            reset_after=reset_after,
            initializer=initializer,
            dtype=dtype,
        )
        self._bind(
            drawn_parameters(
                dict(self._shapes()), self.initializer, self.dtype, random_state
            )
        )

    def _configure(
        self,
        *,
        input_size: Any,
        hidden_size: Any,
        bias: Any,
        reset_after: Any,
        initializer: Any,
        dtype: Any,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.hidden_size = check_size("hidden_size", hidden_size)
        self.bias = check_flag("bias", bias)
        self.reset_after = check_flag("reset_after", reset_after)
        self.initializer = initializers.check_initializer(initializer)
        self.dtype = check_dtype(dtype)

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        sizes = self.input_size, self.hidden_size
        yield from parameter_shapes(*sizes, "", bias=self.bias).items()

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters
        self._recurrence = Recurrence(parameters, "", reset_after=self.reset_after)

    def _pack(self) -> None:
        self._recurrence.pack()

    def __call__(self, x: np.ndarray, h: np.ndarray | None = None) -> np.ndarray:
        """Return the state after one step.

        Parameters
        ----------
        x : ndarray of shape (B, I) or (I,)
            Input, of the cell's dtype.
        h : ndarray of shape (B, H) or (H,), default=None
            State before; None means zeros.

        Returns
        -------
        ndarray of shape (B, H) or (H,)

        Raises
        ------
        TypeError
            If x or h does not hold numbers.
        ValueError
            If a shape or a dtype does not fit; the message names what came.
        """
        rows, states, geometry, shape = self._check_call(x, h)
        h_n = np.empty((geometry.batch, self.hidden_size), self.dtype)
        self._recurrence.infer(rows, geometry, states, h_n, None, 0, None)
        return h_n.reshape(shape)

    def vjp(
        self, x: np.ndarray, h: np.ndarray | None = None
    ) -> tuple[np.ndarray, CellPullback]:
        """Return the state after one step and what takes gradients back through it.

        Parameters
        ----------
        x, h
            As for a call.

        Returns
        -------
        h : ndarray of shape (B, H) or (H,)
        pullback : callable
            ``pullback(d_h)`` returns :class:`GRUCellGradients`; it can be called once.

        Raises
        ------
        TypeError, ValueError
            As for a call.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru import GRUCell
        >>> h, pullback = GRUCell(3, 4).vjp(np.ones((2, 3), np.float32))
        >>> pullback(np.ones_like(h)).x.shape
        (2, 3)
        """
        rows, states, geometry, shape = self._check_call(x, h)
        h_n = np.empty((geometry.batch, self.hidden_size), self.dtype)
        tape = self._recurrence.record(rows, geometry, states, h_n, None, 0, None, None)
        return h_n.reshape(shape), CellPullback(self, tape, x.shape, shape)

    def _check_call(
        self, x: Any, h: Any
    ) -> tuple[np.ndarray, np.ndarray | None, Geometry, tuple[int, ...]]:
        """Return x and h as tables, their geometry, and the shape of the result."""
        x = check_array("x", x, self.dtype)
        if x.ndim not in (1, 2):
            raise ValueError(
                "x must have 2 axes, or 1 for one sequence, "
                f"got {x.ndim} axes: shape {x.shape}"
            )
        if x.shape[-1] != self.input_size:
            raise ValueError(
                f"the last axis of x must be input_size={self.input_size}, "
                f"got {x.shape[-1]}: shape {x.shape}"
            )
        shape = (*x.shape[:-1], self.hidden_size)
        rows = readable(x).reshape(-1, self.input_size)
        states = None
        if h is not None:
            h = check_shape("h", check_array("h", h, self.dtype), shape)
            states = readable(h).reshape(-1, self.hidden_size)
        geometry = Geometry.equal(1, len(rows), batch_first=False)
        return rows, states, geometry, shape


class CellPullback(SingleUse[Tape]):
    """Takes the gradient of a step's result back to its input and parameters, once."""

    def __init__(
        self,
        cell: GRUCell,
        tape: Tape,
        x_shape: tuple[int, ...],
        h_shape: tuple[int, ...],
    ) -> None:
        self._cell = cell
        self._tape = tape
        self._x_shape = x_shape
        self._h_shape = h_shape

    def __call__(self, d_h: np.ndarray) -> GRUCellGradients:
        """Return the gradients of x, h and every parameter.

        Parameters
        ----------
        d_h : ndarray of the shape of the result
            Gradient of the state after the step.

        Returns
        -------
        GRUCellGradients

        Raises
        ------
        RuntimeError
            If it is called a second time (the first overwrote the tape), or if
            parameters were set since.
        TypeError, ValueError
            If the gradient does not hold numbers of the cell's dtype in the right
            shape.
        """
        cell = self._cell
        tape = self._look_at_tape()
        d_h = check_shape("d_h", check_array("d_h", d_h, cell.dtype), self._h_shape)
        self._use_tape_up()
        d_state = readable(d_h).reshape(-1, cell.hidden_size)
        d_before = np.empty_like(d_state)
        d_x = np.empty((len(d_state), cell.input_size), cell.dtype)
        gradients = cell._parameters.empty_like()
        cell._recurrence.back(tape, gradients, None, 0, d_state, d_before, d_x, None)
        return GRUCellGradients(
            d_x.reshape(self._x_shape), d_before.reshape(self._h_shape), gradients
        )
