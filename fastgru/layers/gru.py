"""The GRU layer: users' arrays in and out, parameters in PyTorch's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgru import initializers
from fastgru._threads import get_num_threads
from fastgru.layers._checks import (
    check_array,
    check_dtype,
    check_flag,
    check_lengths,
    check_shape,
    check_size,
    readable,
)
from fastgru.layers.geometry import Geometry
from fastgru.layers.recurrence import Recurrence, Tape, parameter_shapes
from fastgru.parameters import ParameterSet


@dataclass(frozen=True)
class GRUGradients:
    """Gradients that a pullback of :meth:`GRU.vjp` returns.

    Attributes
    ----------
    x : ndarray of the shape of x
        Gradient of the input; 0 past the end of a sequence.
    h_0 : ndarray of the shape of h_n
        Gradient of the initial state.
    parameters : dict of str to ndarray
        Gradient of each parameter, by the names and shapes of ``state_dict``.
    """

    x: np.ndarray
    h_0: np.ndarray
    parameters: dict[str, np.ndarray]


class GRU:
    """Gated recurrent unit over batches of sequences: ``torch.nn.GRU`` without torch.

    For each step, with s the logistic function::

        r = s(W_ir x + b_ir + W_hr h + b_hr)
        z = s(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))       reset_after=True
        n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)       reset_after=False
        h = (1 - z) * n + z * h

    Parameters
    ----------
    input_size : int
        Number of features of the input, I.
    hidden_size : int
        Number of units, H.
    batch_first : bool, default=False
        Whether x and output are (B, T, ...) and not (T, B, ...).
    reset_after : bool, default=True
        Whether the reset gate acts after the product with the recurrent weights, as in
        PyTorch and cuDNN, or before it, as in the paper [1]_.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of parameters, inputs and outputs.
    random_state : int, RandomState instance or None, default=None
        Draws the first parameters, uniform in plus or minus ``1 / sqrt(hidden_size)``
        as PyTorch's are.

    Raises
    ------
    TypeError
        If a size is not a whole number, or a flag not a bool.
    ValueError
        If a size is below 1, or ``dtype`` is another float type.

    Notes
    -----
    A call never writes to the layer, so any number of threads may call one layer at
    once.  A row's result is the same bits whatever batch it sits in and however many
    threads run.  NaN in a sequence stays in it.

    References
    ----------
    .. [1] Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder
       for statistical machine translation", arXiv:1406.1078, section 2.3.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRU
    >>> gru = GRU(input_size=3, hidden_size=4, random_state=0)
    >>> x = np.zeros((7, 2, 3), np.float32)  # 7 steps of 2 sequences
    >>> output, h_n = gru(x, lengths=[7, 5])
    >>> output.shape, h_n.shape
    ((7, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        batch_first: bool = False,
        reset_after: bool = True,
        dtype: Any = np.float32,
        random_state: Any = None,
    ) -> None:
        from sklearn.utils import check_random_state

        self.input_size = check_size("input_size", input_size)
        self.hidden_size = check_size("hidden_size", hidden_size)
        self.batch_first = check_flag("batch_first", batch_first)
        self.reset_after = check_flag("reset_after", reset_after)
        self.dtype = check_dtype(dtype)
        shapes = parameter_shapes(self.input_size, self.hidden_size)
        self._parameters = ParameterSet(shapes, self.dtype)
        random_state = check_random_state(random_state)
        bound = 1.0 / np.sqrt(self.hidden_size)
        for name, shape in shapes.items():
            values = initializers.uniform(shape, bound, random_state)
            self._parameters[name][...] = values
        self._recurrence = Recurrence(
            self._parameters, "_l0", reset_after=self.reset_after
        )

    def __repr__(self) -> str:
        return (
            f"GRU({self.input_size}, {self.hidden_size}, "
            f"batch_first={self.batch_first}, reset_after={self.reset_after}, "
            f"dtype={self.dtype})"
        )

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments but ``random_state`` as plain values.

        Returns
        -------
        dict of str to int, bool or str

        Examples
        --------
        >>> from fastgru import GRU
        >>> GRU(3, 4).settings()["hidden_size"]
        4
        """
        return {
            "input_size": self.input_size,
            "hidden_size": self.hidden_size,
            "batch_first": self.batch_first,
            "reset_after": self.reset_after,
            "dtype": self.dtype.name,
        }

    def __getstate__(self) -> dict[str, Any]:
        # Packed weights fit one CPU; the pickle may be read on another.
        return {"settings": self.settings(), "state_dict": self.state_dict()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        GRU.__init__(self, **state["settings"], random_state=0)
        self.load_state_dict(state["state_dict"])

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters.

        Returns
        -------
        dict of str to ndarray
            ``weight_ih_l0`` (3H, I), ``weight_hh_l0`` (3H, H), ``bias_ih_l0`` (3H,),
            ``bias_hh_l0`` (3H,), gates in the order r, z, n: the names, shapes and
            order of ``torch.nn.GRU``.

        Examples
        --------
        >>> from fastgru import GRU
        >>> GRU(3, 4).state_dict()["weight_ih_l0"].shape
        (12, 3)
        """
        return self._parameters.copy_out()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Set all parameters; when anything does not fit, none is changed.

        Parameters
        ----------
        state_dict : mapping of str to array-like
            As ``state_dict`` returns it; the one of a ``torch.nn.GRU`` of the same
            sizes fits.

        Raises
        ------
        TypeError
            If it is not a mapping.
        ValueError
            If a name is missing or unexpected, or a shape or dtype differs.

        Examples
        --------
        >>> from fastgru import GRU
        >>> gru, other = GRU(3, 4, random_state=0), GRU(3, 4, random_state=1)
        >>> gru.load_state_dict(other.state_dict())
        """
        self._parameters.copy_in(state_dict)
        self._recurrence.pack()

    def __call__(
        self, x: np.ndarray, h_0: np.ndarray | None = None, lengths: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the layer.

        Parameters
        ----------
        x : ndarray of shape (T, B, I), (B, T, I) with ``batch_first``, or (T, I)
            Input, of the layer's dtype.  Read where it stands, without a copy, if it is
            C-contiguous in either order of its first two axes and ``lengths`` is None.
        h_0 : ndarray of shape (1, B, H), or (1, H) for one sequence, default=None
            Initial state; None means zeros.
        lengths : array-like of int of shape (B,), default=None
            Number of valid steps of each sequence, in any order, from 0 to T; None
            means T.

        Returns
        -------
        output : ndarray of shape (T, B, H), (B, T, H) or (T, H)
            State after each step; 0 past the end of a sequence.
        h_n : ndarray of shape (1, B, H) or (1, H)
            State at each sequence's own end; ``h_0`` where the length is 0.

        Raises
        ------
        TypeError
            If x or h_0 does not hold numbers.
        ValueError
            If a shape, a dtype or a length does not fit; the message names what came.
        """
        call = self._check_call(x, h_0, lengths)
        output = call.empty_output(self.hidden_size, self.dtype)
        rows = output.reshape(-1, self.hidden_size)
        h_n = self._recurrence.infer(
            call.x, call.geometry, call.h_0, rows, get_num_threads()
        )
        return call.to_user(output), call.state_to_user(h_n)

    def vjp(
        self, x: np.ndarray, h_0: np.ndarray | None = None, lengths: Any = None
    ) -> tuple[np.ndarray, np.ndarray, Pullback]:
        """Run the layer and return, besides, what takes gradients back through it.

        Parameters
        ----------
        x, h_0, lengths
            As for a call.  The tape keeps its own copy of x, so the caller may change x
            afterwards.

        Returns
        -------
        output, h_n : ndarray
            As for a call, the same bits; ``output`` is read-only, since the tape may
            share its memory.
        pullback : callable
            ``pullback(d_output, d_h_n=None)`` returns :class:`GRUGradients`; it can be
            called once.

        Raises
        ------
        TypeError, ValueError
            As for a call.

        Notes
        -----
        The tape takes ``5 H + I`` numbers per valid step.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru import GRU
        >>> gru = GRU(3, 4, random_state=0)
        >>> output, h_n, pullback = gru.vjp(np.ones((7, 2, 3), np.float32))
        >>> gradients = pullback(np.ones_like(output))
        >>> gradients.x.shape, gradients.parameters["bias_ih_l0"].shape
        ((7, 2, 3), (12,))
        """
        call = self._check_call(x, h_0, lengths)
        # Packed rows of equally long sequences are time-major: then the tape's states
        # are the output.
        shares = call.geometry.is_equal and not call.batch_first
        output = None if shares else call.empty_output(self.hidden_size, self.dtype)
        rows = None if output is None else output.reshape(-1, self.hidden_size)
        h_n, tape = self._recurrence.record(
            call.x, call.geometry, call.h_0, rows, get_num_threads()
        )
        if output is None:
            states = tape.packed_states(self.hidden_size)
            output = states.reshape(call.shape[0], call.shape[1], self.hidden_size)
        user_output = call.to_user(output)
        user_output.flags.writeable = False
        return user_output, call.state_to_user(h_n), Pullback(self, call, tape)

    def _check_call(self, x: Any, h_0: Any, lengths: Any) -> _Call:
        """Check the arguments of a call and bring them to the form kernels read."""
        x = check_array("x", x, self.dtype)
        if x.ndim not in (2, 3):
            raise ValueError(
                "x must have 3 axes, or 2 for one sequence, "
                f"got {x.ndim} axes: shape {x.shape}"
            )
        if x.shape[-1] != self.input_size:
            raise ValueError(
                f"the last axis of x must be input_size={self.input_size}, "
                f"got {x.shape[-1]}: shape {x.shape}"
            )
        batched = x.ndim == 3
        batch_first = self.batch_first and batched
        shape = x.shape
        if not batched:
            x = x[:, np.newaxis]
        n_steps, batch = x.shape[1::-1] if batch_first else x.shape[:2]
        if n_steps == 0:
            raise ValueError(f"x must have at least 1 time step, got 0: shape {shape}")
        if h_0 is not None:
            h_0 = check_array("h_0", h_0, self.dtype)
            expected = (
                (1, batch, self.hidden_size) if batched else (1, self.hidden_size)
            )
            h_0 = readable(check_shape("h_0", h_0, expected))
            h_0 = h_0.reshape(batch, self.hidden_size)
        # An array that is contiguous with its first two axes swapped is read as it
        # stands.
        swapped = not x.flags.c_contiguous and x.transpose(1, 0, 2).flags.c_contiguous
        if swapped:
            x, batch_first = x.transpose(1, 0, 2), not batch_first
        if lengths is None:
            geometry = Geometry.equal(n_steps, batch, batch_first=batch_first)
        else:
            checked = check_lengths(lengths, batch, n_steps)
            geometry = Geometry.padded(checked, n_steps, batch_first=batch_first)
        rows = readable(x).reshape(-1, self.input_size)
        return _Call(rows, h_0, geometry, x.shape[:2], batch_first, swapped, batched)


@dataclass(frozen=True)
class _Call:
    """The checked arguments of one call, and the way back to the caller's shapes."""

    x: np.ndarray  # (rows, I)
    h_0: np.ndarray | None  # (B, H)
    geometry: Geometry
    shape: tuple[int, ...]  # first two axes of x as it stands in memory
    batch_first: bool  # of x as it stands in memory
    swapped: bool  # whether the caller sees those two axes swapped
    batched: bool

    def empty_output(self, size: int, dtype: np.dtype) -> np.ndarray:
        """Allocate what has a row per row of x, 0 where no step will write."""
        allocate = np.empty if self.geometry.is_equal else np.zeros
        return allocate((*self.shape, size), dtype)

    def to_user(self, array: np.ndarray) -> np.ndarray:
        """Give an array of rows the caller's axes."""
        if self.swapped:
            array = array.transpose(1, 0, 2)
        return array if self.batched else array[:, 0]

    def from_user(self, array: np.ndarray) -> np.ndarray:
        """Bring an array of the caller's axes to rows in the order of x."""
        if not self.batched:
            array = array[:, np.newaxis]
        if self.swapped:
            array = array.transpose(1, 0, 2)
        return readable(array).reshape(-1, array.shape[-1])

    def state_to_user(self, state: np.ndarray) -> np.ndarray:
        """Give states (B, H) the caller's axes."""
        return state[np.newaxis] if self.batched else state


class Pullback:
    """Takes gradients of a layer's outputs back to its inputs and parameters, once."""

    def __init__(self, layer: GRU, call: _Call, tape: Tape) -> None:
        self._layer = layer
        self._call = call
        self._tape: Tape | None = tape

    def __call__(
        self, d_output: np.ndarray | None, d_h_n: np.ndarray | None = None
    ) -> GRUGradients:
        """Return the gradients of x, h_0 and every parameter.

        Parameters
        ----------
        d_output : ndarray of the shape of output, or None
            Gradient of the output; None means zeros.  What stands past the end of a
            sequence is not read.
        d_h_n : ndarray of the shape of h_n, default=None
            Gradient of the final state; None means zeros.

        Returns
        -------
        GRUGradients

        Raises
        ------
        RuntimeError
            If it is called a second time: the first overwrote the tape.
        TypeError, ValueError
            If a gradient does not hold numbers of the layer's dtype in the right shape.
        """
        layer, call = self._layer, self._call
        batch = call.geometry.batch
        if self._tape is None:
            raise RuntimeError(
                "this pullback was already called and its tape is used up; "
                "call vjp again"
            )
        if d_output is not None:
            d_output = check_array("d_output", d_output, layer.dtype)
            expected = call.to_user(
                np.broadcast_to(0, (*call.shape, layer.hidden_size))
            )
            d_output = call.from_user(check_shape("d_output", d_output, expected.shape))
        if d_h_n is not None:
            d_h_n = check_array("d_h_n", d_h_n, layer.dtype)
            shape = (
                (1, batch, layer.hidden_size)
                if call.batched
                else (1, layer.hidden_size)
            )
            d_h_n = readable(check_shape("d_h_n", d_h_n, shape))
            d_h_n = d_h_n.reshape(batch, layer.hidden_size)
        tape, self._tape = self._tape, None
        d_x = call.empty_output(layer.input_size, layer.dtype)
        gradients = layer._parameters.like()
        d_h_0 = layer._recurrence.back(
            tape,
            gradients,
            d_output,
            d_h_n,
            d_x.reshape(-1, layer.input_size),
            get_num_threads(),
        )
        return GRUGradients(
            call.to_user(d_x),
            call.state_to_user(d_h_0),
            {name: gradients[name] for name in gradients},
        )
