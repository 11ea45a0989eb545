"""A stack of layers: sequences in, one row of outputs per step or per sequence.

The parameters of all layers are one flat vector.  Inside, only valid steps exist: what
a caller pads is left out on the way in and put back, as zeros, on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgru import _buffers
from fastgru._threads import get_num_threads
from fastgru.layers._checks import check_array, check_flag, check_shape
from fastgru.layers._layer import Form, Layer, Parametrized, Rows
from fastgru.layers._layout import Layout
from fastgru.layers._tape import SingleUse
from fastgru.layers.dense import Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.embedding import Embedding
from fastgru.layers.geometry import Geometry
from fastgru.layers.gru import GRU
from fastgru.layers.gru_stack import AnyTape
from fastgru.layers.masks import Masks, check_masks
from fastgru.layers.one_hot import OneHot
from fastgru.layers.pooling import Pooling
from fastgru.layers.stream import Stream
from fastgru.parameters import ParameterSet

# (d_outputs, outputs) -> sum of the rows' losses; writes the gradient to the first.
BatchLoss = Callable[[np.ndarray, np.ndarray], float]
# By the number of each GRU its states, (num_layers, B, H), as ``Stream.state`` has
# them.  A run begins with them and leaves its last ones in their place.
States = dict[str, np.ndarray]


@dataclass(frozen=True)
class NetworkGradients:
    """Gradients that a pullback of :meth:`Network.vjp` returns.

    Attributes
    ----------
    x : ndarray of the shape of x, or None for tokens
        Gradient of the input; 0 past the end of a sequence.
    parameters : mapping of str to ndarray
        Gradient of each parameter, by the names and shapes of ``state_dict``.
    """

    x: np.ndarray | None
    parameters: ParameterSet


class Network(Parametrized):
    """Layers one after the other, of sizes as different as you like.

    Parameters
    ----------
    layers : sequence of Embedding, OneHot, GRU, Pooling, Dense and Dropout
        They are copied; the copies are ``layers`` of the network.  Each must fit what
        the one before hands on.  The first is an Embedding or a OneHot (then the input
        is tokens), a GRU or a Dense.
    batch_first : bool, default=False
        Whether input and outputs per step are (B, T, ...) and not (T, B, ...).

    Attributes
    ----------
    layers : tuple of Layer
        They share their parameters with the network.

    Raises
    ------
    TypeError
        If something is not a layer.
    ValueError
        If there is no layer, or one does not fit the one before it; the message names
        both.

    Notes
    -----
    Any number of threads may call one network at once.  A row's outputs are the same
    bits whatever batch it sits in.  A ``Pooling("last")`` behind a GRU, with nothing
    but dropout between them, takes the final state of each direction, that of the
    reverse one having read the whole sequence; it costs nothing, since the GRU then
    keeps no outputs of other steps.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> network = fastgru.Network(
    ...     [
    ...         fastgru.Embedding(50, 8, random_state=0),
    ...         fastgru.GRU(8, 32, bidirectional=True, random_state=0),
    ...         fastgru.GRU(64, 16, random_state=0),
    ...         fastgru.Pooling("last"),
    ...         fastgru.Dense(16, 3, random_state=0),
    ...     ],
    ...     batch_first=True,
    ... )
    >>> tokens = np.zeros((4, 20), int)  # 4 sequences of 20 tokens
    >>> network(tokens, lengths=[20, 7, 1, 12]).shape
    (4, 3)
    """

    def __init__(self, layers: Iterable[Layer], *, batch_first: bool = False) -> None:
        given = _check_layers(layers)
        own = [type(layer)._without_parameters(layer.settings()) for layer in given]
        self._configure(own, batch_first)
        parameters = ParameterSet(dict(self._shapes()), self.dtype)
        for number, layer in enumerate(given):
            parameters.part(f"{number}.").flat[...] = layer._parameters.flat
        self._bind(parameters)

    def _configure(self, layers: list[Layer], batch_first: Any) -> None:
        """Check that layers fit one another; they need no parameters yet."""
        self.batch_first = check_flag("batch_first", batch_first)
        self._input, self._output = _check_forms(layers)
        self.layers = tuple(layers)
        self.dtype = self._output.dtype

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield names and shapes of the parameters in order, taking no memory."""
        for number, layer in enumerate(self.layers):
            for name, shape in layer._shapes():
                yield f"{number}.{name}", shape

    def _bind(self, parameters: ParameterSet) -> None:
        """Use these arrays as the layers' parameters, with the values they hold."""
        self._parameters = parameters
        for number, layer in enumerate(self.layers):
            layer._bind(parameters.part(f"{number}."))
        self._stages = _stages(self.layers)
        self._first_trained = _first_trained(self.layers)

    @classmethod
    def _sharing(cls, layers: Iterable[Layer], parameters: ParameterSet) -> Network:
        """Return a network of the first layers of another, itself and not copies.

        parameters : of the other network
        """
        network = cls.__new__(cls)
        network._configure(list(layers), False)
        shapes = dict(network._shapes())
        end = parameters.place(list(shapes)).stop
        network._parameters = ParameterSet(
            shapes, parameters.dtype, parameters.flat[:end]
        )
        network._stages = _stages(network.layers)
        network._first_trained = _first_trained(network.layers)
        return network

    def __repr__(self) -> str:
        layers = ", ".join(repr(layer) for layer in self.layers)
        return f"Network([{layers}], batch_first={self.batch_first})"

    def __getstate__(self) -> dict[str, Any]:
        return {"layers": self.layers, "batch_first": self.batch_first}

    def __setstate__(self, state: dict[str, Any]) -> None:
        Network.__init__(self, state["layers"], batch_first=state["batch_first"])

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters.

        Returns
        -------
        dict of str to ndarray
            Each layer's names behind its number, ``0.weight_ih_l0``, as in
            ``torch.nn.Sequential``.
        """
        return super().state_dict()

    def _pack(self) -> None:
        for layer in self.layers:
            layer._pack()

    @property
    def output_size(self) -> int:
        """Number of outputs of a row."""
        assert self._output.n_features is not None
        return self._output.n_features

    def __call__(self, x: np.ndarray, lengths: Any = None) -> np.ndarray:
        """Run the network.

        Parameters
        ----------
        x : ndarray of shape (T, B, I), (B, T, I) with ``batch_first``, or (T, I)
            Input, of the network's dtype; for an Embedding or OneHot tokens, whole
            numbers of shape (T, B), (B, T) or (T,).
        lengths : array-like of int of shape (B,), default=None
            Number of valid steps of each sequence, in any order, from 0 to T; None
            means T.

        Returns
        -------
        ndarray
            One row per step, (T, B, output_size) or as x is, 0 past the end of a
            sequence; or one per sequence, (B, output_size) or (output_size,), if the
            network pools.

        Raises
        ------
        TypeError
            If x does not hold numbers.
        ValueError
            If a shape, a dtype, a token or a length does not fit.
        """
        inside = self._check_call(x, lengths)
        rows = self._run(inside.rows, get_num_threads())
        return inside.outputs_to_user(rows)

    def vjp(
        self,
        x: np.ndarray,
        lengths: Any = None,
        *,
        dropout_seed: int | None = None,
        sequence_ids: Any = None,
    ) -> tuple[np.ndarray, NetworkPullback]:
        """Run the network and return, besides, what takes gradients back through it.

        Parameters
        ----------
        x, lengths
            As for a call.
        dropout_seed, sequence_ids
            As for :meth:`GRU.vjp`.

        Returns
        -------
        outputs : ndarray
            As for a call, and without dropout the same bits; read-only, since the tape
            may share its memory.
        pullback : callable
            ``pullback(d_outputs)`` returns :class:`NetworkGradients`; it can be called
            once.

        Raises
        ------
        TypeError, ValueError
            As for a call, and if the seed or an id is not a whole number.

        Examples
        --------
        >>> import numpy as np
        >>> import fastgru
        >>> network = fastgru.Network([fastgru.GRU(3, 4), fastgru.Dense(4, 2)])
        >>> outputs, pullback = network.vjp(np.ones((7, 5, 3), np.float32))
        >>> pullback(np.ones_like(outputs)).parameters["1.weight"].shape
        (2, 4)
        """
        inside = self._check_call(x, lengths)
        masks = check_masks(dropout_seed, sequence_ids, inside.layout.geometry.batch)
        rows = inside.rows
        if isinstance(self.layers[0], Dense):
            # Its tape is its input itself; that of a GRU or an Embedding is a copy.
            rows = Rows(np.array(rows.values), rows.geometry)
        rows, tapes = self._record(rows, masks, get_num_threads())
        outputs = inside.outputs_to_user(rows)
        outputs.flags.writeable = False
        return outputs, NetworkPullback(self, inside, tapes)

    def stream(self, batch_size: int | None = None) -> Stream:
        """Return what runs the network one step at a time.

        Parameters
        ----------
        batch_size : int, default=None
            Number of sequences side by side; None means one, without an axis for it.

        Returns
        -------
        Stream
            ``stream.step(x_t)`` returns the outputs after that step.

        Raises
        ------
        ValueError
            If a layer needs steps to come or all at once (a bidirectional GRU, pooling
            by attention).
        """
        return Stream(self.layers, self._input, batch_size)

    def zero_states(self, batch_size: int) -> States:
        """Return the states of sequences that begin.

        Given to ``outputs`` or ``loss_and_gradients`` they become those after the
        sequences' steps, with which their next steps go on.  No gradient passes from
        one call to the one before.

        Parameters
        ----------
        batch_size : int
            Number of sequences, B.

        Returns
        -------
        dict of str to ndarray
            By the number of each GRU in the network its states (num_layers, B, H).

        Raises
        ------
        ValueError
            If a layer needs steps to come or all at once (a bidirectional GRU, a
            pooling).
        """
        states: States = {}
        for number, layer in enumerate(self.layers):
            if isinstance(layer, Pooling) or getattr(layer, "bidirectional", False):
                raise ValueError(f"{layer!r} needs whole sequences, not parts of them")
            if isinstance(layer, GRU):
                shape = (layer.num_layers, batch_size, layer.hidden_size)
                states[str(number)] = np.zeros(shape, layer.dtype)
        return states

    def outputs(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        n_threads: int,
        states: States | None = None,
    ) -> np.ndarray:
        """Run the network on sequences that stand one after the other.

        Parameters
        ----------
        values : ndarray of shape (sum of lengths, input_size), or tokens
        lengths : ndarray of shape (n,), int64
        n_threads : int
        states : dict of str to ndarray, default=None
            First states, in whose place the last ones are left; ``zero_states`` makes
            them.  None means zeros.

        Returns
        -------
        ndarray of shape (n, output_size), or (sum of lengths, output_size)
        """
        rows = Rows(values, Geometry.concatenated(lengths))
        return self._run(rows, n_threads, states).values

    def loss_and_gradients(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        loss: BatchLoss,
        gradients: ParameterSet,
        n_threads: int,
        masks: Masks | None = None,
        states: States | None = None,
    ) -> float:
        """Return the summed loss of a batch and write the gradients of all parameters.

        Parameters
        ----------
        values, lengths
            As for ``outputs``.
        loss : callable
            ``loss(d_outputs, outputs)`` returns the sum and writes the gradient to its
            first argument.
        gradients : ParameterSet
            Written; made by ``like()`` of the parameters.
        n_threads : int
            As for ``outputs``.
        masks : Masks, default=None
            Draws the dropout masks; None means no dropout.
        states : dict of str to ndarray, default=None
            As for ``outputs``; the gradients are those for first states that are given.

        Returns
        -------
        float
            What the loss returned.
        """
        rows = Rows(values, Geometry.concatenated(lengths))
        rows, tapes = self._record(rows, masks, n_threads, states)
        d_outputs = np.empty_like(rows.values)
        total = loss(d_outputs, rows.values)
        self._back(tapes, d_outputs, gradients, n_threads, wants_input=False)
        return total

    def _check_call(self, x: Any, lengths: Any) -> _Inside:
        """Check the arguments of a call and bring them to rows."""
        n_features = self._input.n_features
        if n_features is None:
            x = np.asarray(x)
            if x.dtype.kind not in "iu":
                raise TypeError(
                    f"x must hold tokens, whole numbers, got dtype {x.dtype}"
                )
            x = x.astype(np.int64, copy=False)
            return _Inside(*Layout.of(x, 2, lengths, self.batch_first))
        x = check_array("x", x, self.dtype)
        values, layout = Layout.of(x, 3, lengths, self.batch_first)
        if x.shape[-1] != n_features:
            raise ValueError(
                f"the last axis of x must be {n_features}, as the first layer reads, "
                f"got {x.shape[-1]}: shape {x.shape}"
            )
        return _Inside(values, layout)

    def _run(self, rows: Rows, n_threads: int, states: States | None = None) -> Rows:
        for number, stage in self._stages:
            rows = stage._infer(rows, n_threads, *_own(states, number))
        return rows

    def _record(
        self,
        rows: Rows,
        masks: Masks | None,
        n_threads: int,
        states: States | None = None,
    ) -> tuple[Rows, list[Any]]:
        tapes = []
        for number, stage in self._stages:
            own = None if masks is None else masks.of_layer(number)
            rows, tape = stage._record(rows, own, n_threads, *_own(states, number))
            tapes.append(tape)
        return rows, tapes

    def _back(
        self,
        tapes: list[Any],
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        d: np.ndarray | None = d_values
        for number, stage in reversed(self._stages):
            if d is None:  # nobody wants the gradient of what is one-hot
                break
            part = gradients.part(f"{number}.")
            wants = wants_input or number > self._first_trained
            d = stage._back(tapes.pop(), d, part, n_threads, wants_input=wants)
        return d


class NetworkPullback(SingleUse[list[Any]]):
    """Takes gradients of a network's outputs back to input and parameters, once."""

    def __init__(self, network: Network, inside: _Inside, tapes: list[Any]) -> None:
        self._network = network
        self._inside = inside
        self._tape = tapes

    def __call__(self, d_outputs: np.ndarray) -> NetworkGradients:
        """Return the gradients of x and every parameter.

        Parameters
        ----------
        d_outputs : ndarray of the shape of the outputs
            Gradient of the outputs.  What stands past the end of a sequence is not
            read.

        Returns
        -------
        NetworkGradients

        Raises
        ------
        RuntimeError
            If it is called a second time (the first overwrote the tape), or if
            parameters were set since.
        TypeError, ValueError
            If the gradient does not hold numbers of the network's dtype in the right
            shape.
        """
        network = self._network
        tapes = self._look_at_tape()
        d_rows = self._inside.outputs_from_user(d_outputs, network._output)
        self._use_tape_up()
        gradients = network._parameters.empty_like()
        has_x = network._input.n_features is not None
        d_x = network._back(
            tapes, d_rows, gradients, get_num_threads(), wants_input=has_x
        )
        if not has_x or d_x is None:
            return NetworkGradients(None, gradients)
        return NetworkGradients(self._inside.steps_to_user(d_x), gradients)


class _Inside:
    """A call's steps as a network sees them: valid ones only."""

    def __init__(self, values: np.ndarray, layout: Layout) -> None:
        self.layout = layout
        self._valid: np.ndarray | None = None
        geometry = layout.geometry
        if not geometry.is_equal:
            self._valid = geometry.valid_rows()
            values = values[self._valid]
            geometry = Geometry.concatenated(geometry.lengths())
        self.rows = Rows(values, geometry)

    def steps_to_user(self, values: np.ndarray) -> np.ndarray:
        """Give rows per step the caller's axes."""
        size = values.shape[1]
        if self._valid is None:
            return self.layout.to_user(values, size)
        padded = self.layout.empty_rows(size, values.dtype)
        padded[self._valid] = values
        return self.layout.to_user(padded, size)

    def outputs_to_user(self, rows: Rows) -> np.ndarray:
        """Give outputs the caller's axes."""
        if rows.geometry is not None:
            return self.steps_to_user(rows.values)
        return rows.values if self.layout.batched else rows.values[0]

    def outputs_from_user(self, d_outputs: Any, form: Form) -> np.ndarray:
        """Check a gradient of outputs and bring it to rows that may be overwritten."""
        size = form.n_features
        assert size is not None
        if form.per == "step":
            rows = self.layout.from_user("d_outputs", d_outputs, size, form.dtype)
            return np.array(rows if self._valid is None else rows[self._valid])
        d_outputs = check_array("d_outputs", d_outputs, form.dtype)
        batch = self.layout.geometry.batch
        expected = (batch, size) if self.layout.batched else (size,)
        check_shape("d_outputs", d_outputs, expected)
        return np.array(d_outputs.reshape(batch, size), order="C")


class _FinalStates:
    """A GRU whose output is pooled to the last step: no other step is kept."""

    def __init__(self, gru: GRU) -> None:
        self._gru = gru

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        assert rows.geometry is not None
        stack = self._gru._stack
        h_n = stack.infer(rows.values, rows.geometry, None, None, n_threads)
        return Rows(self._last(h_n), None)

    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, AnyTape]:
        assert rows.geometry is not None
        h_n, tape = self._gru._stack.record(
            rows.values, rows.geometry, None, None, masks, n_threads
        )
        return Rows(self._last(h_n), None), tape

    def _back(
        self,
        tape: AnyTape,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        gru = self._gru
        batch, size = len(d_values), gru.hidden_size
        directions = d_values.shape[1] // size
        d_h_n = np.zeros((gru.num_layers * directions, batch, size), gru.dtype)
        for d in range(directions):
            d_h_n[d - directions] = d_values[:, d * size : (d + 1) * size]
        d_x = None
        if wants_input:
            d_x = _buffers.empty((tape.n_table_rows, gru.input_size), gru.dtype)
        gru._stack.back(tape, gradients, None, d_h_n, d_x, n_threads)
        return d_x

    def _last(self, h_n: np.ndarray) -> np.ndarray:
        """Return the last layer's final states, directions side by side."""
        if not self._gru.bidirectional:
            return h_n[-1]
        return np.concatenate([h_n[-2], h_n[-1]], axis=1)


def _first_trained(layers: tuple[Layer, ...]) -> int:
    """Return the number of the first layer before which nothing needs gradients."""
    return 1 if isinstance(layers[0], OneHot) else 0


def _own(states: States | None, number: int) -> tuple[np.ndarray, ...]:
    """Return the states of one layer as the argument that it takes, if it has any."""
    key = str(number)
    return () if states is None or key not in states else (states[key],)


def _stages(layers: tuple[Layer, ...]) -> list[tuple[int, Any]]:
    """Return what runs, each with its layer's number.

    A GRU whose output is pooled to the last step hands on its final states alone; a
    dropout between the two, whose masks hold for all steps, then acts on these.
    """
    stages: list[tuple[int, Any]] = []
    for number, layer in enumerate(layers):
        if isinstance(layer, Pooling) and layer.how == "last":
            place = len(stages) - 1
            while place >= 0 and isinstance(stages[place][1], Dropout):
                place -= 1
            if place >= 0 and isinstance(stages[place][1], GRU):
                before, gru = stages[place]
                stages[place] = (before, _FinalStates(gru))
                continue
        stages.append((number, layer))
    return stages


def _check_layers(layers: Any) -> list[Layer]:
    """Return the layers as a list, or say what is none."""
    if isinstance(layers, (Layer, str, Mapping)) or not isinstance(layers, Iterable):
        raise TypeError(
            f"layers must be a sequence of layers, got {type(layers).__name__}"
        )
    given = list(layers)
    for number, layer in enumerate(given):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layer {number} must be an Embedding, OneHot, GRU, Pooling, Dense or "
                f"Dropout, got {type(layer).__name__}"
            )
    if not given:
        raise ValueError("a network needs at least one layer, got none")
    return given


def _check_forms(layers: list[Layer]) -> tuple[Form, Form]:
    """Return the forms of input and output, or say which layers do not fit."""
    first = layers[0]
    if isinstance(first, (Embedding, OneHot)):
        form = Form("step", None, first.dtype)
    elif isinstance(first, (GRU, Dense)):
        form = Form("step", first.input_size, first.dtype)
    else:
        raise ValueError(
            "the first layer must say what it reads: an Embedding, a OneHot, a GRU or "
            f"a Dense, got {first!r}"
        )
    came = form
    for number, layer in enumerate(layers):
        try:
            form = layer._follow(form)
        except ValueError as error:
            raise ValueError(
                f"layer {number} ({layer!r}) does not fit: {error}"
            ) from error
    return came, form
