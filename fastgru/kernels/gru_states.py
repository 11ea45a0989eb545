"""States handed in and out of a run over the steps, and the memory that it needs."""

from fastgru._jit import inline
from fastgru.kernels.input_products import (
    plan_ahead,
    rows_ahead_at_most,
)
from fastgru.kernels.products import copy_row, fill, vectors_for
from fastgru.kernels.simd import TILE_ROWS, lanes, pointer, slack
from fastgru.kernels.steps import (
    active,
    is_uniform,
    read_steps,
    start,
    user_number,
    user_row,
)

# Sequences that a thread takes through time together, so that their states and a panel
# of weights stay in its cache.
ROWS_TOGETHER = 128


@inline
def inputs_of(tape, geometry, n_columns):
    """Return the inputs on a tape: they are behind the gates.

    Behind each of the two there is room for a register, which may be read.
    """
    steps = read_steps(geometry)
    n_numbers = start(steps, steps.n_steps) * n_columns
    return tape[tape.size - lanes(pointer(tape)) - n_numbers :]


@inline
def seen_states(states, mask):
    """Return the states as the products see them: ``states``, or its second half."""
    return states[states.size // 2 if mask.shape[0] > 0 else 0 :]


@inline
def stand_alike(output, state_row, n_own, steps):
    """Whether a step's rows of the output stand as those of the states do."""
    is_dense = output.size == state_row == n_own and steps.row_step == 1
    return is_dense and is_uniform(steps)


@inline
def write_states(
    output, column, h_n, state, state_row, share, steps, t, first, last, running
):
    """Hand out the states after step t; return how many sequences go on."""
    own, n_own = share.first_unit, share.n_own
    if output.n_rows > 0:
        base = output.address + column + own
        if stand_alike(output, state_row, n_own, steps):
            target = base + user_row(steps, t, first) * output.size
            copy_row(target, state, running * state_row)
        else:
            for b in range(running):
                target = base + user_row(steps, t, first + b) * output.size
                copy_row(target, state + b * state_row + own, n_own)
    going_on = 0
    if t + 1 < steps.n_steps:
        going_on = active(steps, t + 1, first, last)
    hand_out(h_n, state, state_row, share, steps, first, going_on, running)
    return going_on


@inline
def hand_out(h_n, state, state_row, share, steps, first, begin, end):
    """Write the final states of some sequences."""
    own = share.first_unit
    for b in range(begin, end):
        target = h_n.address + user_number(steps, first + b) * h_n.size + own
        copy_row(target, state + b * state_row + own, share.n_own)


@inline
def first_states(target, target_row, h_0, share, steps, first, rows, n_units):
    """Write the states before the first step."""
    own = share.first_unit
    for b in range(rows):
        place = target + b * target_row + own
        if h_0.n_rows > 0:
            source = h_0.address + user_number(steps, first + b) * n_units + own
            copy_row(place, source, share.n_own)
        else:
            fill(place, 0.0, share.n_own)


@inline
def work_size(rows, steps, n_columns, n_inputs, n_units, reset_after, address):
    """Return how many numbers of scratch each thread needs for ``rows`` sequences."""
    wide = lanes(address)
    padded = vectors_for(n_units, address) * wide
    ahead = plan_ahead(n_columns, n_inputs, n_units, reset_after, address)
    rows_ahead = rows_ahead_at_most(rows, steps, ahead)
    gathered = 0 if is_uniform(steps) else max(rows, rows_ahead)
    return (
        max(TILE_ROWS * 4 * wide, rows * padded)
        + rows_ahead * ahead.row_size
        + gathered * n_columns
        + slack(address)
    )
