"""The GRU layer: users' arrays in and out, parameters in PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from fastgru import _buffers, initializers
from fastgru.kernels.own_loops import KernelArrays, step_work_size
from fastgru.layers._checks import (
    check_array,
    check_dtype,
    check_flag,
    check_form,
    check_rate,
    check_size,
)
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers._layout import Layout
from fastgru.layers._tape import SingleUse
from fastgru.layers.gru_stack import AnyTape, StackSettings, make_stack
from fastgru.layers.masks import Masks, check_masks
from fastgru.layers.recurrence import drawn_parameters
from fastgru.parameters import ParameterSet

_MOST_LAYOUTS = 256  # that a layer remembers


@dataclass(slots=True)
class GRUGradients:
    """Gradients that a pullback of :meth:`GRU.vjp` returns.

    Attributes
    ----------
    x : ndarray of the shape of x
        Gradient of the input; 0 past the end of a sequence.
    h_0 : ndarray of the shape of h_n, or None
        Gradient of the initial state; None if ``vjp`` was given none.
    parameters : mapping of str to ndarray
        Gradient of each parameter, by the names and shapes of ``state_dict``.
    """

    x: np.ndarray
    h_0: np.ndarray | None
    parameters: ParameterSet


class GRU(Layer):
    """Gated recurrent unit over batches of sequences: ``torch.nn.GRU`` without torch.

    For each step of each layer, with s the logistic function::

        r = s(W_ir x + b_ir + W_hr h + b_hr)
        z = s(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))       reset_after=True
        n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)       reset_after=False
        h = (1 - z) * n + z * h

    Letters in shapes: T time steps, B batch, I input_size, H hidden_size, L num_layers,
    D directions (1 or 2).

    Parameters
    ----------
    input_size : int
        Number of features of the input, I.
    hidden_size : int
        Number of units of each layer and direction, H.
    num_layers : int, default=1
        Number of layers; each reads the output of the one below.
    bias : bool, default=True
        Whether there are biases.
    batch_first : bool, default=False
        Whether x and output are (B, T, ...) and not (T, B, ...).
    dropout : float, default=0.0
        Part of the units that are dropped between layers, from 0 to 1; see Notes.
    bidirectional : bool, default=False
        Whether each layer also reads its input from each sequence's end, with
        parameters of its own.
    recurrent_dropout : float, default=0.0
        Part of the units of the state that the recurrent products do not see, from 0
        to 1; see Notes.
    reset_after : bool, default=True
        Whether the reset gate acts after the product with the recurrent weights, as in
        PyTorch and cuDNN, or before it, as in the paper [1]_.
    initializer : {"uniform", "glorot_orthogonal"}, default="uniform"
        How the first parameters are drawn: uniform in plus or minus
        ``1 / sqrt(hidden_size)`` as PyTorch's, or each gate's input weights by Glorot's
        rule, its recurrent weights orthogonal and biases 0.
    dtype : {numpy.float32, numpy.float64}, default=numpy.float32
        Type of parameters, inputs and outputs.
    random_state : int, RandomState instance or None, default=None
        Draws the first parameters.

    Raises
    ------
    TypeError
        If a size is not a whole number, a flag not a bool, or a rate not a number.
    ValueError
        If a size is below 1, a rate outside of 0 to 1, ``initializer`` unknown, or
        ``dtype`` another float type.

    Notes
    -----
    A call never writes to the layer, so any number of threads may call one layer at
    once.  A row's result is the same bits whatever batch it sits in and however many
    threads run.  NaN in a sequence stays in it.

    Dropout acts in :meth:`vjp` with a ``dropout_seed`` only, and what is kept is scaled
    by ``1 / (1 - rate)``.  A mask depends on the seed, the layer, the sequence's id and
    the unit, so a sequence keeps its masks in any batch.  One mask holds over all steps
    of a sequence [2]_; PyTorch draws one per step.  That of ``recurrent_dropout`` is
    shared by the gates (Keras draws one per gate) and acts on what the recurrent
    products see, not on the state that is carried on.

    References
    ----------
    .. [1] Cho et al. (2014), "Learning phrase representations using RNN encoder-decoder
       for statistical machine translation", arXiv:1406.1078, section 2.3.
    .. [2] Gal and Ghahramani (2016), "A theoretically grounded application of dropout
       in recurrent neural networks", arXiv:1512.05287, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRU
    >>> gru = GRU(input_size=3, hidden_size=4, num_layers=2, random_state=0)
    >>> x = np.zeros((7, 2, 3), np.float32)  # 7 steps of 2 sequences
    >>> output, h_n = gru(x, lengths=[7, 5])
    >>> output.shape, h_n.shape
    ((7, 2, 4), (2, 2, 4))
    """

    _settings = (
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "recurrent_dropout",
        "reset_after",
        "initializer",
        "dtype",
    )

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        initializer: str = "uniform",
        dtype: Any = np.float32,
        random_state: Any = None,
    ) -> None:
        self._configure(
            input_size=input_size,
            hidden_size=hidden_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
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
        num_layers: Any,
        bias: Any,
        batch_first: Any,
        dropout: Any,
        bidirectional: Any,
        recurrent_dropout: Any,
        reset_after: Any,
        initializer: Any,
        dtype: Any,
    ) -> None:
        self.input_size = check_size("input_size", input_size)
        self.hidden_size = check_size("hidden_size", hidden_size)
        self.num_layers = check_size("num_layers", num_layers)
        self.bias = check_flag("bias", bias)
        self.batch_first = check_flag("batch_first", batch_first)
        self.dropout = check_rate("dropout", dropout)
        self.bidirectional = check_flag("bidirectional", bidirectional)
        self.recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)
        self.reset_after = check_flag("reset_after", reset_after)
        self.initializer = initializers.check_initializer(initializer)
        self.dtype = check_dtype(dtype)
        self._stack_settings = StackSettings(
            self.input_size,
            self.hidden_size,
            self.num_layers,
            self.bias,
            self.dropout,
            self.bidirectional,
            self.recurrent_dropout,
            self.reset_after,
        )
        self._output_size = self._stack_settings.output_size
        # Of inputs of equally long sequences, contiguous, by their shape.
        self._layouts: dict[tuple[int, ...], Layout] = {}

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        return self._stack_settings.shapes()

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters
        self._stack = make_stack(self._stack_settings, parameters)

    def _pack(self) -> None:
        self._stack.pack()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters.

        Returns
        -------
        dict of str to ndarray
            For each layer ``k`` ``weight_ih_lk`` (3H, I, or D*H from the second on),
            ``weight_hh_lk`` (3H, H), ``bias_ih_lk`` (3H,), ``bias_hh_lk`` (3H,), and
            the same with ``_reverse`` behind the name; gates in the order r, z, n: the
            names, shapes and order of ``torch.nn.GRU``.

        Examples
        --------
        >>> from fastgru import GRU
        >>> GRU(3, 4).state_dict()["weight_ih_l0"].shape
        (12, 3)
        """
        return super().state_dict()

    def __call__(
        self, x: np.ndarray, h_0: np.ndarray | None = None, lengths: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the layer.

        Parameters
        ----------
        x : ndarray of shape (T, B, I), (B, T, I) with ``batch_first``, or (T, I)
            Input, of the layer's dtype.  Read where it stands, without a copy, if it is
            C-contiguous in either order of its first two axes.
        h_0 : ndarray of shape (D*L, B, H), or (D*L, H) for one sequence, default=None
            Initial states, by layer, of each layer by direction; None means zeros.
        lengths : array-like of int of shape (B,), default=None
            Number of valid steps of each sequence, in any order, from 0 to T; None
            means T.

        Returns
        -------
        output : ndarray of shape (T, B, D*H), (B, T, D*H) or (T, D*H)
            State of the last layer after each step, of both directions side by side; 0
            past the end of a sequence.
        h_n : ndarray of shape (D*L, B, H) or (D*L, H)
            State of each layer and direction when it has read the whole sequence, its
            own length; ``h_0`` where the length is 0.

        Raises
        ------
        TypeError
            If x or h_0 does not hold numbers.
        ValueError
            If a shape, a dtype or a length does not fit; the message names what came.
        """
        rows, layout, states = self._check_call(x, h_0, lengths)
        output = layout.empty_rows(self._output_size, self.dtype)
        h_n = self._stack.infer(rows, layout.geometry, states, output, None)
        user_output = layout.to_user(output, self._output_size)
        return user_output, layout.states_to_user(h_n)

    def vjp(
        self,
        x: np.ndarray,
        h_0: np.ndarray | None = None,
        lengths: Any = None,
        *,
        dropout_seed: int | None = None,
        sequence_ids: Any = None,
    ) -> tuple[np.ndarray, np.ndarray, Pullback]:
        """Run the layer and return, besides, what takes gradients back through it.

        Parameters
        ----------
        x, h_0, lengths
            As for a call.  The tape keeps its own copy of x, so the caller may change x
            afterwards.
        dropout_seed : int, default=None
            Draws the dropout masks; None means no dropout.
        sequence_ids : array-like of int of shape (B,), default=None
            What tells the sequences apart when masks are drawn; None means their places
            in the batch, 0 to B - 1.

        Returns
        -------
        output, h_n : ndarray
            As for a call, and without dropout the same bits; ``output`` is read-only,
            since the tape may share its memory.
        pullback : callable
            ``pullback(d_output, d_h_n=None)`` returns :class:`GRUGradients`; it can be
            called once.

        Raises
        ------
        TypeError, ValueError
            As for a call, and if the seed or an id is not a whole number.

        Notes
        -----
        The tape takes ``5 H + I`` numbers per valid step of each layer and direction,
        with ``recurrent_dropout`` ``6 H + I``.

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
        rows, layout, states = self._check_call(x, h_0, lengths)
        geometry = layout.geometry
        masks = check_masks(dropout_seed, sequence_ids, geometry.batch)
        output = None
        if not self._stack.shares_states(geometry):
            output = layout.empty_rows(self._output_size, self.dtype)
        h_n, tape = self._stack.record(rows, geometry, states, output, masks, None)
        if output is None:
            output = tape.last_states(self.hidden_size)
        output = layout.to_user(output, self._output_size)
        output.setflags(write=False)
        return output, layout.states_to_user(h_n), Pullback(self, layout, tape)

    def kernel_arrays(
        self, layer: int = 0, *, reverse: bool = False, batch_size: int = 1
    ) -> KernelArrays:
        """Return what :func:`fastgru.kernels.gru_step` takes of one layer.

        Parameters
        ----------
        layer : int, default=0
            Number of the layer, from 0.
        reverse : bool, default=False
            Whether the weights are those of the layer's reversed direction.
        batch_size : int, default=1
            Number of sequences that go side by side.

        Returns
        -------
        KernelArrays
            A named tuple of ``state``, zeros, ``weights``, the layer's own, and
            ``work``, scratch.

        Raises
        ------
        ValueError
            If there is no such layer or direction, or ``batch_size`` is below 1.
        TypeError
            If a number is not a whole one.

        Examples
        --------
        >>> from fastgru import GRU
        >>> state, weights, work = GRU(3, 32).kernel_arrays()
        >>> state.shape
        (32,)
        """
        if isinstance(layer, bool) or not isinstance(layer, Integral):
            raise TypeError(f"layer must be a whole number, got {layer!r}")
        if not 0 <= layer < self.num_layers:
            raise ValueError(f"layer must be from 0 to {self.num_layers - 1}: {layer}")
        if check_flag("reverse", reverse) and not self.bidirectional:
            raise ValueError("reverse=True, but the layer is not bidirectional")
        check_size("batch_size", batch_size)
        size = step_work_size(
            batch_size,
            self.hidden_size,
            self.dtype.itemsize,
            reset_after=self.reset_after,
        )
        weights = self._stack.layers[int(layer)][int(reverse)]._packed
        state = np.zeros(batch_size * self.hidden_size, self.dtype)
        return KernelArrays(state, weights, np.zeros(size, self.dtype))

    def _check_call(
        self, x: Any, h_0: Any, lengths: Any
    ) -> tuple[np.ndarray, Layout, np.ndarray | None]:
        """Check the arguments of a call and bring x and h_0 to tables of rows."""
        is_usual = (
            lengths is None
            and type(x) is np.ndarray
            and x.dtype == self.dtype
            and x.flags.carray
        )
        # With few words where the shape has passed all checks before: a small call is
        # mostly this.
        layout = self._layouts.get(x.shape) if is_usual else None
        if layout is None:
            rows, layout = self._check_input(x, lengths)
            if is_usual:
                if len(self._layouts) == _MOST_LAYOUTS:
                    self._layouts.clear()
                self._layouts[x.shape] = layout
        else:
            rows = x.reshape(layout.rows_shape)
        states = None if h_0 is None else self._states(layout, "h_0", h_0)
        return rows, layout, states

    def _check_input(self, x: Any, lengths: Any) -> tuple[np.ndarray, Layout]:
        x = check_array("x", x, self.dtype)
        rows, layout = Layout.of(x, 3, lengths, self.batch_first)
        if x.shape[-1] != self.input_size:
            raise ValueError(
                f"the last axis of x must be input_size={self.input_size}, "
                f"got {x.shape[-1]}: shape {x.shape}"
            )
        return rows, layout

    def _states(self, layout: Layout, name: str, states: Any) -> np.ndarray:
        n = self._stack.n_states
        return layout.states_from_user(name, states, n, self.hidden_size, self.dtype)

    # -- in a network ------------------------------------------------------------------

    def _follow(self, form: Form) -> Form:
        if form.per != "step":
            raise ValueError("a GRU reads steps, but one row per sequence comes in")
        # Its kernels tell inputs of one number from those of all features.
        check_form(
            "a GRU", form._replace(is_one_hot=False), self.input_size, self.dtype
        )
        if self.batch_first:
            raise ValueError(
                "a GRU in a Network must not have batch_first=True: give batch_first "
                "to the Network"
            )
        return Form("step", self._output_size, self.dtype)

    def _infer(
        self, rows: Rows, n_threads: int, states: np.ndarray | None = None
    ) -> Rows:
        """Run the layer; states : (L, B, H), the first ones, become the last ones."""
        assert rows.geometry is not None
        shape = len(rows.values), self._output_size
        output = _buffers.empty(shape, self.dtype)
        h_n = self._stack.infer(rows.values, rows.geometry, states, output, n_threads)
        if states is not None:
            states[...] = h_n
        return Rows(output, rows.geometry)

    def _record(
        self,
        rows: Rows,
        masks: Masks | None,
        n_threads: int,
        states: np.ndarray | None = None,
    ) -> tuple[Rows, AnyTape]:
        """Run the layer for training; states : as for ``_infer``."""
        geometry = rows.geometry
        assert geometry is not None
        output, shape = None, (len(rows.values), self._output_size)
        if not self._stack.shares_states(geometry):
            output = _buffers.empty(shape, self.dtype)
        h_n, tape = self._stack.record(
            rows.values, geometry, states, output, masks, n_threads
        )
        if states is not None:
            states[...] = h_n  # the tape has its own copy of the first ones
        if output is None:
            output = tape.last_states(self.hidden_size).reshape(shape)
        return Rows(output, geometry), tape

    def _back(
        self,
        tape: AnyTape,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        d_x = None
        if wants_input:
            d_x = _buffers.empty((tape.n_table_rows, self.input_size), self.dtype)
        self._stack.back(tape, gradients, d_values, None, d_x, n_threads)
        return d_x


class Pullback(SingleUse[AnyTape]):
    """Takes gradients of a layer's outputs back to its inputs and parameters, once."""

    def __init__(self, layer: GRU, layout: Layout, tape: AnyTape) -> None:
        self._layer = layer
        self._layout = layout
        self._tape = tape

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
            Gradient of the final states; None means zeros.

        Returns
        -------
        GRUGradients

        Raises
        ------
        RuntimeError
            If it is called a second time (the first overwrote the tape), or if
            parameters were set since.
        TypeError, ValueError
            If a gradient does not hold numbers of the layer's dtype in the right shape.
        """
        layer, layout = self._layer, self._layout
        tape = self._look_at_tape()
        rows = None
        if d_output is not None:
            size = layer._output_size
            rows = layout.from_user("d_output", d_output, size, layer.dtype)
        d_states = None if d_h_n is None else layer._states(layout, "d_h_n", d_h_n)
        self._use_tape_up()
        d_x = layout.empty_rows(layer.input_size, layer.dtype)
        gradients = layer._parameters.empty_like()
        d_h_0 = layer._stack.back(tape, gradients, rows, d_states, d_x, None)
        return GRUGradients(
            layout.to_user(d_x, layer.input_size),
            None if d_h_0 is None else layout.states_to_user(d_h_0),
            gradients,
        )
