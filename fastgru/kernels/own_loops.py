"""One layer from users' own compiled loops: a step of some sequences, or a sequence.

``GRU.kernel_arrays`` makes what they take.  They give the bits of a call of the layer;
streams take the step from Python.
"""

from typing import NamedTuple

import numpy as np

from fastgru._jit import Line, inline, kernel, shared, thread_work
from fastgru.kernels.gru_cell import candidate_before, reset_before, step_reset_after
from fastgru.kernels.gru_inference import infer_block
from fastgru.kernels.input_products import (
    before_row_size,
    input_product,
    prefill_bias_of_hn,
)
from fastgru.kernels.packing import (
    biases,
    candidate_weights,
    packed_numbers,
    recurrent_weights,
)
from fastgru.kernels.products import copy_row, vectors_for
from fastgru.kernels.simd import (
    ALIGNMENT,
    REGISTERS,
    TILE_ROWS,
    aligned,
    is_aligned,
    lanes,
    pointer,
)
from fastgru.kernels.steps import HEADER
from fastgru.kernels.sync import share_of


class KernelArrays(NamedTuple):
    """What ``gru_step`` and ``gru_sequence`` take of a layer.

    Parameters
    ----------
    state : ndarray of shape (batch_size * H,)
        Zeros at first.
    weights : ndarray of 1 axis
        The layer's own, in an order and at an alignment that depend on the CPU: to be
        read only.
    work : ndarray of 1 axis
        Scratch; each thread needs its own.

    Examples
    --------
    >>> from fastgru import GRU
    >>> arrays = GRU(3, 32).kernel_arrays(batch_size=2)
    >>> arrays.state.shape
    (64,)
    """

    state: np.ndarray
    weights: np.ndarray
    work: np.ndarray


@shared
def _work_numbers(n_rows, n_units, wide, itemsize, reset_after):
    """Return what ``step_work_size`` does, for registers of so many lanes."""
    padded = -(-n_units // wide) * wide
    states, gates = 2 * n_rows * padded, 3 * n_rows * padded
    sums = max(TILE_ROWS * 4 * wide, n_rows * padded)
    before = n_rows * padded * (4 if reset_after else 3)
    return states + gates + sums + before + ALIGNMENT // itemsize


def step_work_size(
    batch: int, hidden_size: int, itemsize: int, *, reset_after: bool
) -> int:
    """Return how many numbers of scratch ``gru_step`` needs for ``batch`` sequences."""
    wide = REGISTERS.size // itemsize
    return _work_numbers(batch, hidden_size, wide, itemsize, reset_after)


@thread_work
def step_rows(
    state: Line,
    x: Line,
    weights: Line,
    work: Line,
    n_rows: int,
    n_inputs: int,
    reset_after: int,
):
    """Do what ``gru_step`` and ``one_hot_step`` do, without looking at sizes."""
    n_units, n_columns = state.size // n_rows, x.size // n_rows
    packed, scratch = pointer(weights), aligned(pointer(work))
    wide = lanes(scratch)
    padded = vectors_for(n_units, scratch) * wide
    n_vectors = vectors_for(n_units, scratch)
    before_row = before_row_size(n_units, reset_after, scratch)
    h, h_next = scratch, scratch + n_rows * padded
    gates = h_next + n_rows * padded
    sums = gates + 3 * n_rows * padded
    before = sums + max(TILE_ROWS * 4 * wide, n_rows * padded)
    recurrent = recurrent_weights(packed, n_inputs, n_units)
    share = share_of(n_units, scratch, 0, 0, 1)
    for row in range(n_rows):
        copy_row(h + row * padded, pointer(state) + row * n_units, n_units)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        prefill_bias_of_hn(before, before_row, n_rows, bias, n_units)
    input_product(
        n_rows,
        before,
        before_row,
        pointer(x),
        n_columns,
        n_columns,
        packed,
        n_inputs,
        n_units,
        reset_after,
        share,
    )
    if reset_after:
        step_reset_after(
            n_rows,
            h_next,
            h,
            h,
            padded,
            before,
            before_row,
            recurrent,
            n_units,
            n_units,
            sums,
            gates,
            False,
            False,
            0,
            n_vectors,
        )
    else:
        reset_before(
            n_rows,
            h,
            padded,
            before,
            before_row,
            recurrent,
            n_units,
            sums,
            gates,
            3 * padded,
            False,
            False,
            0,
            n_vectors,
        )
        candidate_before(
            n_rows,
            h_next,
            h,
            padded,
            before,
            before_row,
            candidate_weights(packed, n_inputs, n_units),
            n_units,
            sums,
            gates,
            3 * padded,
            False,
            False,
            0,
            n_vectors,
        )
    for row in range(n_rows):
        copy_row(pointer(state) + row * n_units, h_next + row * padded, n_units)


@inline
def _are_weights(weights, n_inputs, n_units):
    """Whether an array can hold a layer's weights: a wrong one would crash."""
    address = pointer(weights)
    size = packed_numbers(n_inputs, n_units, lanes(address))
    return n_units > 0 and weights.size == size and is_aligned(address)


@inline
def _fits(state, x, weights, work, n_rows, reset_after):
    """Whether the arrays of a step belong together."""
    if n_rows < 1 or state.size % n_rows != 0 or x.size % n_rows != 0:
        return False
    n_units, wide = state.size // n_rows, lanes(pointer(x))
    scratch = _work_numbers(n_rows, n_units, wide, x.itemsize, reset_after)
    return work.size >= scratch and _are_weights(weights, x.size // n_rows, n_units)


@kernel
def gru_step(state, x, weights, work, n_rows=1, reset_after=True, checks=True):
    """Take the states of some sequences one step further.

    It can be called from Python and inside a function that Numba compiles.

    Parameters
    ----------
    state : ndarray of shape (n_rows * H,)
        One sequence after the other; updated.
    x : ndarray of shape (n_rows * I,)
        Input of the step, of the same dtype as all the others.
    weights, work : ndarray
        Of ``GRU.kernel_arrays``.
    n_rows : int, default=1
        Number of sequences side by side, B.
    reset_after : bool, default=True
        The layer's.
    checks : bool, default=True
        Whether to look for inputs that are not finite.

    Returns
    -------
    int
        -1, or with ``checks`` the place in x of the first input that is not finite; the
        state is what it was then.

    Raises
    ------
    ValueError
        If the sizes of the arrays do not belong together, or the weights are a copy
        that stands at another alignment.

    Examples
    --------
    >>> import numpy as np
    >>> from numba import njit
    >>> from fastgru import GRU
    >>> from fastgru.kernels import gru_step
    >>> @njit
    ... def count_positive(signal, state, weights, work):
    ...     n = 0
    ...     for t in range(len(signal)):
    ...         gru_step(state, signal[t], weights, work)
    ...         n += state[0] > 0
    ...     return n
    >>> gru = GRU(3, 32, random_state=0)
    >>> signal = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    >>> n = count_positive(signal, *gru.kernel_arrays())
    >>> bool(n == (gru(signal)[0][:, 0] > 0).sum())
    True
    """
    if not _fits(state, x, weights, work, n_rows, reset_after):
        raise ValueError(
            "gru_step: the sizes of state, x, weights and work do not belong together; "
            "state must hold n_rows * H numbers, x n_rows * I, and weights and work be "
            "of the layer's kernel_arrays, not copies of them"
        )
    if checks:
        for i in range(x.size):
            if not np.isfinite(x[i]):
                return i
    step_rows(state, x, weights, work, n_rows, x.size // n_rows, reset_after)
    return -1


@kernel
def one_hot_step(state, x, weights, work, n_rows, n_inputs, reset_after):
    """Do the same for inputs of one number each, as ``one_hot`` describes; for streams.

    x : (n_rows,), each below n_inputs
    """
    step_rows(state, x, weights, work, n_rows, n_inputs, reset_after)


@kernel
def gru_sequence(output, state, x, weights, reset_after=True):
    """Run a layer over one sequence.

    It can be called from Python and inside a function that Numba compiles.

    Parameters
    ----------
    output : ndarray of shape (T, H)
        Written: the state after each step.  Of shape (0, H) where it is not wanted.
    state : ndarray of shape (H,)
        The state to begin with, which becomes that after the last step.
    x : ndarray of shape (T, I)
        Input, of the same dtype as all the others.
    weights : ndarray
        Of ``GRU.kernel_arrays``.
    reset_after : bool, default=True
        The layer's.

    Raises
    ------
    ValueError
        If the shapes of the arrays do not belong together, or the weights are a copy
        that stands at another alignment.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru import GRU
    >>> from fastgru.kernels import gru_sequence
    >>> gru = GRU(3, 32, random_state=0)
    >>> x = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    >>> state, weights, _ = gru.kernel_arrays()
    >>> output = np.empty((100, 32), np.float32)
    >>> gru_sequence(output, state, x, weights)
    >>> bool((output == gru(x)[0]).all())
    True
    """
    n_steps, n_inputs = x.shape
    n_units = state.size
    fits = _are_weights(weights, n_inputs, n_units) and output.shape[1] == n_units
    if not fits or output.shape[0] not in (0, n_steps):
        raise ValueError(
            "gru_sequence: the shapes of output, state, x and weights do not belong "
            "together; output must be (T, H), or (0, H), state (H,), x (T, I), and "
            "weights be of the layer's kernel_arrays, not a copy of them"
        )
    if n_steps == 0:
        return
    geometry = np.zeros(HEADER, np.int64)
    geometry[0], geometry[1] = n_steps, 1
    geometry[3], geometry[4] = 1, 1
    h_n = state.reshape(1, n_units)
    infer_block(
        output,
        0,
        h_n,
        x,
        h_n.copy(),
        weights,
        n_inputs,
        geometry,
        0,
        1,
        reset_after,
        geometry,
        0,
        1,
        weights[:0],
        weights,
    )
