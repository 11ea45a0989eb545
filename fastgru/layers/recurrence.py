"""One direction of one layer on tables of rows: what ``GRU`` and ``Network`` share.

It holds the packed weights and knows nothing of users' shapes: inputs are 2-D tables of
rows, and a ``Geometry`` says where each step stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastgru._threads import parallel_region
from fastgru.kernels.gru_backward import gru_backward, gru_backward_parallel
from fastgru.kernels.gru_forward import (
    gru_forward,
    gru_forward_parallel,
    gru_inference,
    gru_inference_parallel,
)
from fastgru.kernels.packing import pack_gru, packed_size
from fastgru.kernels.simd import REGISTERS
from fastgru.layers import _buffers
from fastgru.layers.geometry import Geometry
from fastgru.parameters import ParameterSet

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

# Multiply-adds below which entering a parallel region costs more than it saves, and
# sequences below which a block of them does not fill the register tile.
_SMALLEST_PARALLEL = 10_000_000
_SMALLEST_BLOCK = 4


def parameter_shapes(
    input_size: int, hidden_size: int, suffix: str = "_l0"
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the parameters of one direction of one layer."""
    rows = 3 * hidden_size
    shapes = ((rows, input_size), (rows, hidden_size), (rows,), (rows,))
    return {name + suffix: shape for name, shape in zip(NAMES, shapes, strict=True)}


@dataclass
class Tape:
    """What a forward pass keeps for the backward pass."""

    geometry: Geometry
    gates: np.ndarray  # (n_rows * 4H + slack,), packed rows of [hn r z n]
    # ((batch + n_rows) * H + slack,), initial states, then packed rows
    states: np.ndarray
    inputs: np.ndarray  # (n_rows * I,), packed rows
    version: int  # of the weights

    def packed_states(self, hidden_size: int) -> np.ndarray:
        """Return the state of each packed row, (n_rows, H), a view."""
        begin = self.geometry.batch * hidden_size
        end = begin + self.geometry.n_rows * hidden_size
        return self.states[begin:end].reshape(-1, hidden_size)


class Recurrence:
    """One direction of one GRU layer.

    Parameters
    ----------
    parameters : ParameterSet
        Its four arrays; it reads them in ``pack`` only.
    suffix : str
        What follows the arrays' names.
    reset_after : bool
        Whether the reset gate comes after the product with the recurrent weights.
    """

    def __init__(
        self, parameters: ParameterSet, suffix: str, *, reset_after: bool
    ) -> None:
        self.parameters = parameters
        self.suffix = suffix
        self.reset_after = reset_after
        rows, self.input_size = parameters[f"weight_ih{suffix}"].shape
        self.hidden_size = rows // 3
        self.dtype = parameters.dtype
        size = packed_size(self.input_size, self.hidden_size, self.dtype.itemsize)
        self._packed = np.zeros(size, self.dtype)
        self._version = 0
        self.pack()

    def pack(self) -> None:
        """Bring the packed weights up to date; called whenever parameters were set."""
        stored = [self.parameters.stored(name + self.suffix) for name in NAMES]
        pack_gru(self._packed, *stored, self.reset_after)
        self._version += 1

    def empty(self, *shape: int) -> np.ndarray:
        """Return an array of this layer's dtype, not filled."""
        return np.empty(shape, self.dtype)

    @property
    def nothing(self) -> np.ndarray:
        """A table of no rows: what kernels take for "not given" and "not wanted"."""
        return np.empty((0, self.hidden_size), self.dtype)

    def infer(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        output: np.ndarray | None,
        n_threads: int,
    ) -> np.ndarray:
        """Run the layer and keep nothing.

        Parameters
        ----------
        x : (rows, I); output : (rows, H), written, or None; h_0 : (B, H) or None

        Returns
        -------
        h_n : (B, H)
        """
        h_n = self.empty(geometry.batch, self.hidden_size)
        arguments = (
            self.nothing if output is None else output,
            h_n,
            x,
            self.nothing if h_0 is None else h_0,
            self._packed,
            *geometry.arguments(),
        )
        with parallel_region(self._worth(geometry, n_threads)) as granted:
            blocks = self._blocks(geometry, granted)
            if blocks == 1:
                gru_inference(*arguments, 0, geometry.batch, self.reset_after)
            else:
                bounds = geometry.bounds(blocks)
                gru_inference_parallel(*arguments, bounds, self.reset_after)
        return h_n

    def record(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        output: np.ndarray | None,
        n_threads: int,
    ) -> tuple[np.ndarray, Tape]:
        """Run the layer and keep the tape; arguments as for ``infer``."""
        slack = REGISTERS.size // self.dtype.itemsize
        n_rows, batch = geometry.n_rows, geometry.batch
        tape = Tape(
            geometry,
            _buffers.take(n_rows * 4 * self.hidden_size + slack, self.dtype),
            self.empty((batch + n_rows) * self.hidden_size + slack),
            _buffers.take(n_rows * self.input_size, self.dtype),
            self._version,
        )
        h_n = self.empty(batch, self.hidden_size)
        arguments = (
            tape.gates,
            tape.states,
            tape.inputs,
            self.nothing if output is None else output,
            h_n,
            x,
            self.nothing if h_0 is None else h_0,
            self._packed,
            *geometry.arguments(),
        )
        with parallel_region(self._worth(geometry, n_threads)) as granted:
            blocks = self._blocks(geometry, granted)
            if blocks == 1:
                gru_forward(*arguments, 0, batch, self.reset_after)
            else:
                gru_forward_parallel(
                    *arguments, geometry.bounds(blocks), self.reset_after
                )
        return h_n, tape

    def back(
        self,
        tape: Tape,
        gradients: ParameterSet,
        d_output: np.ndarray | None,
        d_h_n: np.ndarray | None,
        d_x: np.ndarray | None,
        n_threads: int,
    ) -> np.ndarray:
        """Take gradients back through the layer; the tape is used up.

        Parameters
        ----------
        gradients : written under this layer's names
        d_output : (rows, H) or None; d_h_n : (B, H) or None
        d_x : (rows, I), written, or None

        Returns
        -------
        d_h_0 : (B, H)

        Raises
        ------
        RuntimeError
            If the weights were set since the tape was recorded.
        """
        if tape.version != self._version:
            raise RuntimeError(
                "the parameters were set after vjp recorded this tape; call vjp again"
            )
        geometry = tape.geometry
        d_h_0 = self.empty(geometry.batch, self.hidden_size)
        stored = [gradients.stored(name + self.suffix) for name in NAMES]
        if geometry.n_rows == 0:
            for gradient in stored:
                gradient.fill(0.0)
            d_h_0[...] = 0.0 if d_h_n is None else d_h_n
            return d_h_0
        arguments = (
            np.empty((0, self.input_size), self.dtype) if d_x is None else d_x,
            d_h_0,
            *stored,
            tape.gates,
            tape.states,
            tape.inputs,
            self.nothing if d_output is None else d_output,
            self.nothing if d_h_n is None else d_h_n,
            self._packed,
            *geometry.arguments(),
        )
        with parallel_region(self._worth(geometry, n_threads)) as granted:
            if granted == 1:
                gru_backward(*arguments, self.reset_after)
            else:
                bounds = geometry.bounds(self._blocks(geometry, granted))
                gru_backward_parallel(*arguments, bounds, granted, self.reset_after)
        _buffers.give(tape.inputs)
        _buffers.give(tape.gates)
        return d_h_0

    def _worth(self, geometry: Geometry, n_threads: int) -> int:
        """Return ``n_threads``, or 1 where the work is too small to share."""
        terms = 3 * self.hidden_size * (self.input_size + self.hidden_size)
        return n_threads if geometry.n_rows * terms > _SMALLEST_PARALLEL else 1

    @staticmethod
    def _blocks(geometry: Geometry, n_threads: int) -> int:
        return max(1, min(n_threads, geometry.batch // _SMALLEST_BLOCK))
