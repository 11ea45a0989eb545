"""One direction of one layer on tables of rows.

It holds the packed weights and knows nothing of users' shapes: inputs are 2-D tables of
rows, and a ``Geometry`` says where each step stands.  For the reversed direction it
reads the same rows from their ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgru import _buffers, initializers
from fastgru._caches import read_last_cache_size
from fastgru._checks import check_random_state
from fastgru._threads import parallel_region
from fastgru.kernels.gru_backward import gru_backward, gru_backward_parallel
from fastgru.kernels.gru_forward import gru_forward, gru_forward_parallel
from fastgru.kernels.gru_inference import (
    gru_inference,
    gru_inference_parallel,
    team_scratch,
)
from fastgru.kernels.packing import aligned_zeros, pack_gru, packed_size
from fastgru.kernels.products import TERMS
from fastgru.kernels.shared_inputs import multiply_inputs_parallel, products_per_row
from fastgru.kernels.simd import ALIGNMENT, REGISTERS
from fastgru.kernels.weight_sums import sums_size, worth_keeping
from fastgru.layers.geometry import Geometry, equal_bounds
from fastgru.layers.sharing import Plan, Sharing
from fastgru.parameters import ParameterSet

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

# Steps from which on leaving out the products with first states of zeros saves too
# little to look first, in each step of training, whether the weights are finite.
_FEW_STEPS = 8
# Products of the inputs of one sequence, in numbers, up to which they are kept: 16 MiB
# of float32.
_MOST_PRODUCTS = 2**22
# Bytes of a tape above which no cache holds it until the way back, and writing it past
# them is faster; below, up to 1.4 times as slow.  A virtual machine is told the size of
# a cache that it shares with others: of 480 MiB some 100 were its own.
_LARGEST_CACHED_TAPE = min(read_last_cache_size(), 100 * 2**20)


def parameter_shapes(
    input_size: int, hidden_size: int, suffix: str, *, bias: bool
) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the parameters of one direction of one layer."""
    rows = 3 * hidden_size
    shapes = ((rows, input_size), (rows, hidden_size), (rows,), (rows,))
    named = zip(NAMES, shapes, strict=True)
    return {name + suffix: shape for name, shape in named if bias or len(shape) > 1}


def drawn_parameters(
    shapes: Mapping[str, tuple[int, ...]],
    initializer: str,
    dtype: np.dtype,
    random_state: Any,
) -> ParameterSet:
    """Return the first parameters of recurrent layers."""
    parameters = ParameterSet(shapes, dtype)
    random_state = check_random_state(random_state)
    for name, values in initializers.draw_gru(shapes, initializer, random_state):
        parameters[name][...] = values
    return parameters


@dataclass(slots=True)
class Tape:
    """What a forward pass keeps for the backward pass."""

    geometry: Geometry
    # Bounds of sequences whose gates and inputs stand together; see ``tape_rows``.
    blocks: np.ndarray
    # (n_rows * 4H + slack + n_rows * I + slack,), rows of [hn r z n], then of inputs
    gates: np.ndarray
    # ((batch + n_rows) * H + slack,), initial states, then packed rows; with a mask
    # twice as many, the second half times it
    states: np.ndarray
    mask: np.ndarray  # (B, H), or of no rows
    n_columns: int  # of the inputs
    n_table_rows: int  # of x and output: steps past a sequence's end have rows too
    from_zeros: bool  # whether no initial states were given
    version: int  # of the weights

    def last_states(self, hidden_size: int) -> np.ndarray:
        """Return the states of packed rows, on and on, (n_rows * H,), a view."""
        begin = self.geometry.batch * hidden_size
        return self.states[begin : begin + self.geometry.n_rows * hidden_size]


class Recurrence:
    """One direction of one GRU layer.

    Parameters
    ----------
    parameters : ParameterSet
        Its four arrays, or two without biases; it reads them in ``pack`` only.
    suffix : str
        What follows the arrays' names.
    reset_after : bool
        Whether the reset gate comes after the product with the recurrent weights.
    backwards : bool
        Whether it reads each sequence from its end.
    """

    def __init__(
        self,
        parameters: ParameterSet,
        suffix: str,
        *,
        reset_after: bool,
        backwards: bool = False,
    ) -> None:
        self.parameters = parameters
        names = [name + suffix for name in NAMES if name + suffix in parameters]
        self._place = parameters.place(names)
        self._recurrent_name = f"weight_hh{suffix}"
        self.reset_after = reset_after
        self.backwards = backwards
        rows, self.input_size = parameters[f"weight_ih{suffix}"].shape
        self.hidden_size = rows // 3
        self.dtype = parameters.dtype
        # What kernels take for "not given" and "not wanted".
        self._nothing = np.empty((0, self.hidden_size), self.dtype)
        self._no_input = np.empty((0, self.input_size), self.dtype)
        self._itemsize = self.dtype.itemsize
        size = packed_size(self.input_size, self.hidden_size, self._itemsize)
        self._packed = aligned_zeros(size, self.dtype)
        self._products_per_row = products_per_row(
            self.input_size, self.hidden_size, self._itemsize, reset_after=reset_after
        )
        self._no_numbers = np.empty(0, self.dtype)
        # Numbers past the end of an array that is written in whole vectors.
        self._slack = REGISTERS.size // self._itemsize
        self._version = 0
        self._sharing = Sharing(self.input_size, self.hidden_size, self._itemsize)
        self.pack()

    def pack(self) -> None:
        """Bring the packed weights up to date; called whenever parameters were set."""
        own = self.parameters.flat[self._place]
        sizes = self.input_size, self.hidden_size
        pack_gru(self._packed, own, *sizes, reset_after=self.reset_after)
        self._version += 1
        self._is_finite: bool | None = None  # not looked at yet

    def infer(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        h_n: np.ndarray,
        output: np.ndarray | None,
        column: int,
        n_threads: int | None,
    ) -> None:
        """Run the layer and keep nothing.

        Parameters
        ----------
        x : (rows, I), or (rows, 1) of numbers of features, all others being 0
        h_0 : (B, H) or None
        h_n : (B, H), written
        output : (rows, any), written from ``column`` on, or None
        n_threads : at most so many; None means what ``get_num_threads`` says
        """
        if self.backwards:
            geometry = geometry.reversed()
        arguments = (
            self._nothing if output is None else output,
            column,
            h_n,
            x,
            self._first_states(geometry) if h_0 is None else h_0,
            self._packed,
            self.input_size,
            geometry.table,
            self.reset_after,
        )
        plan = self._sharing.plan(geometry, n_threads, training=False)
        if plan.n_threads == 1:
            gru_inference(*arguments, self._no_numbers)
            return
        with parallel_region(plan.n_threads) as granted:
            bounds = self._sharing.split(geometry, plan, granted)
            if bounds.size == 2:
                products = self._multiply_inputs(x, geometry, plan, granted)
                gru_inference(*arguments, products)
                return
            shared = self._no_numbers
            if plan.has_team(bounds):
                size = team_scratch(geometry.batch, self.hidden_size, self._itemsize)
                shared = _buffers.empty((size,), self.dtype)
            held_up = gru_inference_parallel(*arguments, bounds, plan.patience, shared)
            self._sharing.report(plan, bounds, held_up)

    def record(
        self,
        x: np.ndarray,
        geometry: Geometry,
        h_0: np.ndarray | None,
        h_n: np.ndarray,
        output: np.ndarray | None,
        column: int,
        mask: np.ndarray | None,
        n_threads: int | None,
    ) -> Tape:
        """Run the layer and keep the tape; arguments as for ``infer``.

        mask : (B, H) or None, what the recurrent products see the state times
        """
        if self.backwards:
            geometry = geometry.reversed()
        n_units, slack, n_rows = self.hidden_size, self._slack, geometry.n_rows
        n_table_rows, n_columns = x.shape
        n_states = (geometry.batch + n_rows) * n_units + slack
        n_gates = n_rows * (4 * n_units + n_columns) + 2 * slack
        tape = Tape(
            geometry,
            geometry.bounds(1),
            _buffers.empty((n_gates,), self.dtype),
            _buffers.empty((n_states if mask is None else 2 * n_states,), self.dtype),
            self._nothing if mask is None else mask,
            n_columns,
            n_table_rows,
            h_0 is None,
            self._version,
        )
        is_worth_it = h_0 is None and geometry.n_steps <= _FEW_STEPS
        arguments = (
            tape.gates,
            tape.states,
            self._nothing if output is None else output,
            column,
            h_n,
            x,
            self._nothing if h_0 is None else h_0,
            tape.mask,
            self._packed,
            self.input_size,
            geometry.table,
            self.reset_after,
            is_worth_it and self._has_finite_weights(),
            tape.gates.nbytes + tape.states.nbytes > _LARGEST_CACHED_TAPE,
        )
        plan = self._sharing.plan(geometry, n_threads, training=True)
        if plan.n_threads == 1:
            gru_forward(*arguments)
            return tape
        with parallel_region(plan.n_threads) as granted:
            bounds = self._sharing.split(geometry, plan, granted)
            if bounds.size == 2:
                gru_forward(*arguments)
            else:
                if geometry.is_equal and not plan.has_team(bounds):
                    tape.blocks = bounds
                held_up = gru_forward_parallel(*arguments, bounds, plan.patience)
                self._sharing.report(plan, bounds, held_up)
        return tape

    def back(
        self,
        tape: Tape,
        gradients: ParameterSet,
        d_output: np.ndarray | None,
        column: int,
        d_h_n: np.ndarray | None,
        d_h_0: np.ndarray | None,
        d_x: np.ndarray | None,
        n_threads: int | None,
        *,
        adds_d_x: bool = False,
    ) -> None:
        """Take gradients back through the layer; the tape is used up.

        Parameters
        ----------
        gradients : written under this layer's names
        d_output : (rows, any), read from ``column`` on, or None
        d_h_n : (B, H) or None
        d_h_0 : (B, H), written, or None, which it may be only if there was no h_0
        d_x : (rows, I), written, or with ``adds_d_x`` added to, or None

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
        gradient = gradients.flat[self._place]
        if geometry.n_rows == 0:
            gradient.fill(0.0)
            if d_h_0 is not None:
                d_h_0[...] = 0.0 if d_h_n is None else d_h_n
            return
        arguments = (
            self._no_input if d_x is None else d_x,
            adds_d_x,
            self._nothing if d_h_0 is None else d_h_0,
            gradient,
            tape.gates,
            tape.states,
            self._nothing if d_output is None else d_output,
            column,
            self._nothing if d_h_n is None else d_h_n,
            tape.mask,
            self._packed,
            tape.n_columns,
            geometry.table,
            tape.blocks,
            self.reset_after,
        )
        plan = self._sharing.plan(geometry, n_threads, training=True)
        if plan.n_threads == 1:
            gru_backward(*arguments, self._empty_sums(tape)[0])
            return
        with parallel_region(plan.n_threads) as granted:
            sums, keeps_parts = self._empty_sums(tape, granted)
            if granted == 1:
                gru_backward(*arguments, sums)
                return
            bounds = self._sharing.split(geometry, plan, granted, tape.blocks)
            held_up = gru_backward_parallel(
                *arguments,
                sums,
                bounds,
                granted,
                keeps_parts,
                plan.patience,
            )
            self._sharing.report(plan, bounds, held_up)

    def _multiply_inputs(
        self, x: np.ndarray, geometry: Geometry, plan: Plan, n_threads: int
    ) -> np.ndarray:
        """Return the products of the inputs of one sequence, shared by threads.

        An empty array, where that would not pay.
        """
        n_steps = geometry.n_steps
        size = n_steps * self._products_per_row + ALIGNMENT // self._itemsize
        has_products = x.shape[1] == self.input_size  # else they are one-hot
        may_keep = has_products and size <= _MOST_PRODUCTS
        if not (may_keep and self._sharing.wants_inputs(geometry, n_threads)):
            return self._no_numbers
        products = _buffers.empty((size,), self.dtype)
        bounds = equal_bounds(n_steps, min(n_threads, n_steps))
        held_up = multiply_inputs_parallel(
            products,
            x,
            self._packed,
            self.input_size,
            self.hidden_size,
            geometry.table,
            self.reset_after,
            bounds,
        )
        self._sharing.report(plan, bounds, held_up)
        return products

    def _empty_sums(self, tape: Tape, n_threads: int = 1) -> tuple[np.ndarray, bool]:
        """Allocate scratch for the sums of the weights' gradients, if they need it.

        Returns it and whether the threads keep the sums of parts of the rows.
        """
        n_rows = tape.geometry.n_rows
        if n_rows <= TERMS:
            return self._no_numbers, False
        # Without products of the inputs there is nothing to sum for them.
        n_products = self.input_size if tape.n_columns == self.input_size else 0
        sizes = n_products, self.hidden_size, n_rows, self._itemsize
        keeps_parts = n_threads > 1 and worth_keeping(*sizes)
        size = sums_size(*sizes, keeps_parts=keeps_parts)
        return _buffers.empty((size,), self.dtype), keeps_parts

    def _first_states(self, geometry: Geometry) -> np.ndarray:
        """Return zeros as inference takes them.

        None at all, where it leaves their products out; but zero times a weight that is
        not finite is NaN.
        """
        if self._has_finite_weights():
            return self._nothing
        return np.zeros((geometry.batch, self.hidden_size), self.dtype)

    def _has_finite_weights(self) -> bool:
        """Whether all recurrent weights are finite."""
        if self._is_finite is None:
            weight = self.parameters[self._recurrent_name]
            self._is_finite = bool(np.isfinite(weight).all())
        return self._is_finite
