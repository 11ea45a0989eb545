"""All layers and directions of a GRU on tables of rows.

The usual GRU has one layer of one direction.  It has a class of its own with few words,
since a small call is mostly those; ``make_stack`` chooses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fastgru import _buffers
from fastgru.kernels.dropout import apply_mask
from fastgru.layers.geometry import Geometry
from fastgru.layers.masks import Masks
from fastgru.layers.recurrence import Recurrence, Tape, parameter_shapes
from fastgru.parameters import ParameterSet


@dataclass(frozen=True)
class StackSettings:
    """Sizes and kinds, named as the arguments of ``GRU``."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    dropout: float
    bidirectional: bool
    recurrent_dropout: float
    reset_after: bool

    @property
    def directions(self) -> int:
        """Number of directions, D."""
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Columns of the output, D * H."""
        return self.directions * self.hidden_size

    def input_size_of(self, layer: int) -> int:
        """Return the number of columns that a layer reads."""
        return self.input_size if layer == 0 else self.output_size

    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield names and shapes of all parameters in PyTorch's order."""
        for layer in range(self.num_layers):
            for direction in range(self.directions):
                yield from parameter_shapes(
                    self.input_size_of(layer),
                    self.hidden_size,
                    _suffix(layer, direction),
                    bias=self.bias,
                ).items()


def _suffix(layer: int, direction: int) -> str:
    return f"_l{layer}" + ("_reverse" if direction == 1 else "")


@dataclass(slots=True)
class StackTape:
    """What a forward pass of all layers keeps."""

    # Of each layer, of each direction.
    tapes: list[list[Tape]]
    masks: list[np.ndarray | None]  # of what each layer hands to the next
    geometry: Geometry
    n_table_rows: int  # of x and output: steps past a sequence's end have rows too

    def last_states(self, hidden_size: int) -> np.ndarray:
        """Return the last layer's states, packed rows on and on, a view."""
        return self.tapes[-1][0].last_states(hidden_size)


AnyTape: TypeAlias = Tape | StackTape


class GRUStack:
    """The layers of a GRU, each of one or two directions.

    Parameters
    ----------
    settings : StackSettings
    parameters : ParameterSet
        Arrays of ``settings.shapes()``.
    """

    def __init__(self, settings: StackSettings, parameters: ParameterSet) -> None:
        self.settings = settings
        self.dtype = parameters.dtype
        self.n_states = settings.directions * settings.num_layers
        self._one_direction = not settings.bidirectional
        self._hidden_size = settings.hidden_size
        self.layers = [
            [
                Recurrence(
                    parameters,
                    _suffix(layer, direction),
                    reset_after=settings.reset_after,
                    backwards=direction == 1,
                )
                for direction in range(settings.directions)
            ]
            for layer in range(settings.num_layers)
        ]

    def pack(self) -> None:
        """Bring the packed weights up to date; called whenever parameters were set."""
        for layer in self.layers:
            for recurrence in layer:
                recurrence.pack()

    def shares_states(self, geometry: Geometry) -> bool:
        """Whether a tape's states of this geometry are the last layer's output."""
        return self._one_direction and geometry.is_packed

    def infer(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        output: np.ndarray | None,
        n_threads: int | None,
    ) -> np.ndarray:
        """Run all layers and keep nothing.

        Parameters
        ----------
        x : (rows, I)
        h_0 : (D * L, B, H) or None
        output : (rows, D * H), written, or None

        Returns
        -------
        h_n : (D * L, B, H)
        """
        h_n = self._empty_states(geometry)
        k = 0
        for directions in self.layers:
            is_last = directions is self.layers[-1]
            y: np.ndarray | None = output if is_last else self._empty_table(len(x))
            for d, recurrence in enumerate(directions):
                state = None if h_0 is None else h_0[k]
                column = d * recurrence.hidden_size
                recurrence.infer(x, geometry, state, h_n[k], y, column, n_threads)
                k += 1
            if y is not None:
                x = y
        return h_n

    def record(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        output: np.ndarray | None,
        masks: Masks | None,
        n_threads: int | None,
    ) -> tuple[np.ndarray, AnyTape]:
        """Run all layers and keep the tape; arguments as for ``infer``.

        masks : what draws the masks of both kinds of dropout, or None for no dropout
        """
        h_n = self._empty_states(geometry)
        tape = StackTape([], [], geometry, len(x))
        k = 0
        for layer, directions in enumerate(self.layers):
            is_last = directions is self.layers[-1]
            y = output
            if not is_last and not self.shares_states(geometry):
                y = self._empty_table(len(x))
            tapes = []
            for d, recurrence in enumerate(directions):
                state = None if h_0 is None else h_0[k]
                column = d * self._hidden_size
                mask = None if masks is None else self._recurrent_mask(masks, k)
                tapes.append(
                    recurrence.record(
                        x, geometry, state, h_n[k], y, column, mask, n_threads
                    )
                )
                k += 1
            tape.tapes.append(tapes)
            mask = None
            if masks is not None and not is_last:
                mask = self._output_mask(masks, layer)
            tape.masks.append(mask)
            if is_last:
                break
            if y is None:
                x = tapes[0].last_states(self._hidden_size)
                x = x.reshape(-1, self._hidden_size)
            else:
                x = y
            if mask is not None:
                # The states themselves are needed on the way back.
                masked = self._empty_table(len(x)) if y is None else x
                apply_mask(masked, x, mask, geometry.table)
                x = masked
        return h_n, tape

    def back(
        self,
        tape: AnyTape,
        gradients: ParameterSet,
        d_output: np.ndarray | None,
        d_h_n: np.ndarray | None,
        d_x: np.ndarray | None,
        n_threads: int | None,
    ) -> np.ndarray | None:
        """Take gradients back through all layers; the tape is used up.

        Parameters
        ----------
        gradients : written
        d_output : (rows, D * H) or None
        d_h_n : (D * L, B, H) or None
        d_x : (rows, I), written where a sequence has a step, or None

        Returns
        -------
        d_h_0 : (D * L, B, H), or None if there was no h_0
        """
        assert isinstance(tape, StackTape)
        from_zeros = tape.tapes[0][0].from_zeros
        d_h_0 = None if from_zeros else self._empty_states(tape.geometry)
        d_y = d_output
        for layer in range(len(self.layers) - 1, -1, -1):
            directions = self.layers[layer]
            mask = tape.masks[layer]
            if mask is not None:
                assert d_y is not None  # only the last layer's may be
                apply_mask(d_y, d_y, mask, tape.geometry.table)
            d_input = d_x if layer == 0 else self._empty_table(tape.n_table_rows)
            tapes = tape.tapes.pop()
            k = layer * len(directions)
            for d, recurrence in enumerate(directions):
                recurrence.back(
                    tapes[d],
                    gradients,
                    d_y,
                    d * self._hidden_size,
                    None if d_h_n is None else d_h_n[k + d],
                    None if d_h_0 is None else d_h_0[k + d],
                    d_input,
                    n_threads,
                    adds_d_x=d > 0,
                )
            d_y = d_input
        return d_h_0

    def _empty_states(self, geometry: Geometry) -> np.ndarray:
        shape = (self.n_states, geometry.batch, self._hidden_size)
        return _buffers.empty(shape, self.dtype)

    def _recurrent_mask(self, masks: Masks, k: int) -> np.ndarray | None:
        """Draw the mask of one direction of one layer, numbered as in h_n."""
        rate = self.settings.recurrent_dropout
        if rate == 0.0:
            return None
        return masks.of_layer(2 * k).draw(self.settings.hidden_size, rate, self.dtype)

    def _empty_table(self, n_rows: int) -> np.ndarray:
        return _buffers.empty((n_rows, self.settings.output_size), self.dtype)

    def _output_mask(self, masks: Masks, layer: int) -> np.ndarray | None:
        """Draw the mask of what a layer hands to the next."""
        rate = self.settings.dropout
        if rate == 0.0:
            return None
        number = 2 * layer + 1
        return masks.of_layer(number).draw(self.settings.output_size, rate, self.dtype)


class _OneLayer(GRUStack):
    """One layer of one direction, whose tape is the stack's."""

    def __init__(self, settings: StackSettings, parameters: ParameterSet) -> None:
        super().__init__(settings, parameters)
        self._layer = self.layers[0][0]

    def infer(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        output: np.ndarray | None,
        n_threads: int | None,
    ) -> np.ndarray:
        h_n = self._empty_states(geometry)
        state = None if h_0 is None else h_0[0]
        self._layer.infer(x, geometry, state, h_n[0], output, 0, n_threads)
        return h_n

    def record(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        output: np.ndarray | None,
        masks: Masks | None,
        n_threads: int | None,
    ) -> tuple[np.ndarray, AnyTape]:
        h_n = self._empty_states(geometry)
        state = None if h_0 is None else h_0[0]
        mask = None if masks is None else self._recurrent_mask(masks, 0)
        tape = self._layer.record(
            x, geometry, state, h_n[0], output, 0, mask, n_threads
        )
        return h_n, tape

    def back(
        self,
        tape: AnyTape,
        gradients: ParameterSet,
        d_output: np.ndarray | None,
        d_h_n: np.ndarray | None,
        d_x: np.ndarray | None,
        n_threads: int | None,
    ) -> np.ndarray | None:
        assert isinstance(tape, Tape)
        d_h_0 = None if tape.from_zeros else self._empty_states(tape.geometry)
        d_first = None if d_h_0 is None else d_h_0[0]
        d_last = None if d_h_n is None else d_h_n[0]
        self._layer.back(tape, gradients, d_output, 0, d_last, d_first, d_x, n_threads)
        return d_h_0


def make_stack(settings: StackSettings, parameters: ParameterSet) -> GRUStack:
    """Return the layers of a GRU."""
    is_one = settings.num_layers == settings.directions == 1
    return (_OneLayer if is_one else GRUStack)(settings, parameters)
