"""The forward pass of one direction of one GRU layer: both cells, with or without tape.

Each thread takes some sequences through all time steps, so that no step waits for
another thread, and a few dozen of them at a time, so that states and pre-activations
stay in its cache.  The products of the inputs are computed for a few steps ahead.  Not
handled here: validation and stacking; the reversed direction is a matter of geometry.

The tape keeps what backward needs: the gates of each packed row (see ``gru_cell``), the
states, after B rows of initial states, and the inputs.
"""

import numpy as np
from numba import prange

from fastgru._jit import (
    Indices,
    Line,
    Table,
    compiled_once,
    helper,
    inline,
    kernel,
    parallel_kernel,
)
from fastgru.kernels.gru_cell import (
    candidate_before,
    reset_before,
    step_reset_after,
)
from fastgru.kernels.input_products import (
    before_row_size,
    inputs_ahead,
    prefill_bias_of_hn,
    record_inputs,
    recorded_inputs_ahead,
    rows_ahead_at_most,
    steps_ahead,
)
from fastgru.kernels.packing import biases, candidate_weights, recurrent_weights
from fastgru.kernels.products import (
    copy_row,
    fill,
    multiply_row,
    part_start,
    vectors_for,
)
from fastgru.kernels.simd import (
    ALIGNMENT,
    REGISTERS,
    TILE_ROWS,
    aligned,
    lanes,
    pointer,
    slack,
)
from fastgru.kernels.steps import (
    active,
    is_uniform,
    read_steps,
    start,
    user_number,
    user_row,
)
from fastgru.kernels.sync import meet_after, place_of, share_of

# Sequences that a thread takes through time together, so that their states and a panel
# of weights stay in its cache.
_ROWS_TOGETHER = 128


@inline
def _write_states(
    output, column, h_n, state, state_row, share, steps, t, first, last, running
):
    """Hand out the states after step t; return how many sequences go on."""
    own, n_own = share.first_unit, share.n_own
    if output.shape[0] > 0:
        base, distance = pointer(output) + column + own, output.shape[1]
        for b in range(running):
            target = base + user_row(steps, t, first + b) * distance
            copy_row(target, state + b * state_row + own, n_own)
    going_on = 0
    if t + 1 < steps.n_steps:
        going_on = active(steps, t + 1, first, last)
    _hand_out(h_n, state, state_row, share, steps, first, going_on, running)
    return going_on


@inline
def _hand_out(h_n, state, state_row, share, steps, first, begin, end):
    """Write the final states of some sequences."""
    own = share.first_unit
    for b in range(begin, end):
        target = pointer(h_n) + user_number(steps, first + b) * h_n.shape[1] + own
        copy_row(target, state + b * state_row + own, share.n_own)


@inline
def _first_states(target, target_row, h_0, share, steps, first, rows, n_units):
    """Write the states before the first step."""
    own = share.first_unit
    for b in range(rows):
        place = target + b * target_row + own
        if h_0.shape[0] > 0:
            source = pointer(h_0) + user_number(steps, first + b) * n_units + own
            copy_row(place, source, share.n_own)
        else:
            fill(place, 0.0, share.n_own)


# -- inference -------------------------------------------------------------------------


@helper
def _infer_together(
    output,
    column,
    h_n,
    x,
    h_0,
    packed_array,
    steps,
    first,
    last,
    reset_after,
    share,
    shared,
    work,
):
    """Run sequences first to last - 1 through all steps.

    shared : scratch of all members of a team; work : scratch of this one
    """
    n_inputs, n_units = x.shape[1], h_n.shape[1]
    rows = last - first
    packed = aligned(pointer(packed_array))
    recurrent = recurrent_weights(packed, n_inputs, n_units)
    candidate = candidate_weights(packed, n_inputs, n_units)
    scratch = aligned(pointer(work))
    wide = lanes(scratch)
    padded = vectors_for(n_units, scratch) * wide
    before_row = before_row_size(n_units, reset_after, scratch)
    rows_ahead = rows_ahead_at_most(rows, before_row)

    states = aligned(pointer(shared))
    gates = states + 2 * rows * padded
    sums = scratch
    before = sums + max(TILE_ROWS * 3 * wide, rows * padded)
    gathered = before + rows_ahead * before_row

    _first_states(states, padded, h_0, share, steps, first, rows, n_units)
    meeting = meet_after(share, 1)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        prefill_bias_of_hn(before, before_row, rows_ahead, bias, n_units)

    running = active(steps, 0, first, last)
    _hand_out(h_n, states, padded, share, steps, first, running, rows)
    t_ahead, place = 0, before
    for t in range(steps.n_steps):
        if running == 0:
            break
        if t == t_ahead:
            t_ahead = steps_ahead(steps, t, first, last, before_row, scratch)
            place = before
            inputs_ahead(
                steps,
                t,
                t_ahead,
                first,
                last,
                pointer(x),
                gathered,
                not is_uniform(steps),
                before,
                before_row,
                packed,
                n_inputs,
                n_units,
                reset_after,
                share,
            )
        h = states + (t % 2) * rows * padded
        h_next = states + ((t + 1) % 2) * rows * padded
        if reset_after:
            step_reset_after(
                running,
                h_next,
                h,
                h,
                padded,
                place,
                before_row,
                recurrent,
                n_units,
                sums,
                gates,
                False,
                share.begin,
                share.end,
            )
        else:
            reset_before(
                running,
                h,
                padded,
                place,
                before_row,
                recurrent,
                n_units,
                sums,
                gates,
                3 * padded,
                False,
                share.begin,
                share.end,
            )
            meeting = meet_after(share, meeting)
            candidate_before(
                running,
                h_next,
                h,
                padded,
                place,
                before_row,
                candidate,
                n_units,
                sums,
                gates,
                3 * padded,
                False,
                share.begin,
                share.end,
            )
        meeting = meet_after(share, meeting)
        place = place + running * before_row
        running = _write_states(
            output, column, h_n, h_next, padded, share, steps, t, first, last, running
        )


@inline
def _work_size(rows, n_inputs, n_units, reset_after, address):
    """Return how many numbers of scratch each thread needs for ``rows`` sequences."""
    wide = lanes(address)
    padded = vectors_for(n_units, address) * wide
    before_row = before_row_size(n_units, reset_after, address)
    rows_ahead = rows_ahead_at_most(rows, before_row)
    return (
        max(TILE_ROWS * 3 * wide, rows * padded)
        + rows_ahead * (before_row + n_inputs)
        + slack(address)
    )


def team_scratch(batch: int, hidden_size: int, itemsize: int) -> int:
    """Return how many numbers of scratch a team needs together for inference."""
    wide = REGISTERS.size // itemsize
    padded = -(-hidden_size // wide) * wide
    return 5 * batch * padded + ALIGNMENT // itemsize


@inline
def _shared_size(rows, n_units, address):
    """Return how many numbers of scratch a team needs together: states and gates."""
    return 5 * rows * vectors_for(n_units, address) * lanes(address) + slack(address)


@compiled_once
def infer_block(
    output: Table,
    column: int,
    h_n: Table,
    x: Table,
    h_0: Table,
    packed: Line,
    geometry: Indices,
    begin: int,
    end: int,
    reset_after: int,
    team: Indices,
    member: int,
    n_members: int,
    shared: Line,
):
    """Run sequences begin to end - 1, or a team's share; see ``gru_inference``."""
    steps = read_steps(geometry)
    together = min(_ROWS_TOGETHER, end - begin)
    size = _work_size(together, x.shape[1], h_n.shape[1], reset_after, pointer(x))
    work = np.empty(size, x.dtype)
    share = share_of(h_n.shape[1], pointer(x), team, member, n_members)
    if n_members == 1:
        shared = np.empty(_shared_size(together, h_n.shape[1], pointer(x)), x.dtype)
    n_parts = (end - begin + _ROWS_TOGETHER - 1) // _ROWS_TOGETHER
    for part in range(n_parts):
        _infer_together(
            output,
            column,
            h_n,
            x,
            h_0,
            packed,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            reset_after,
            share,
            shared,
            work,
        )


@kernel
def gru_inference(
    output,
    column,
    h_n,
    x,
    h_0,
    packed,
    geometry,
    begin,
    end,
    reset_after,
):
    """Run sequences begin to end - 1 of a batch, keeping nothing for a backward pass.

    Parameters
    ----------
    output : (rows, any), H columns from ``column`` on are written where a sequence has
        a step; of 0 rows when not wanted
    h_n : (B, H), written: the state at each sequence's own end
    x : (rows, I)
    h_0 : (B, H), or of 0 rows: zeros
    packed : weights as ``pack_gru`` wrote them for this ``reset_after``
    geometry : see ``steps``
    """
    infer_block(
        output,
        column,
        h_n,
        x,
        h_0,
        packed,
        geometry,
        begin,
        end,
        reset_after,
        geometry,
        0,
        1,
        packed,
    )


@parallel_kernel
def gru_inference_parallel(
    output,
    column,
    h_n,
    x,
    h_0,
    packed,
    geometry,
    bounds,
    reset_after,
    team,
    patience,
    shared,
):
    """Do what ``gru_inference`` does, a thread to each block of sequences or a team.

    bounds : (blocks + 1,) int64, where each block begins and, last, where they end;
        with a team it counts the members wanted
    team : zeros, see ``sync``; of no numbers when each block is for one thread
    patience : how long a member waits for the others before it does without them
    shared : scratch of ``team_scratch`` numbers, with a team
    """
    for block in prange(bounds.size - 1):
        begin, end, member, n_members = place_of(
            team, patience, bounds, np.int64(block), h_n.shape[0]
        )
        infer_block(
            output,
            column,
            h_n,
            x,
            h_0,
            packed,
            geometry,
            begin,
            end,
            reset_after,
            team,
            member,
            n_members,
            shared,
        )


# -- training --------------------------------------------------------------------------


@inline
def _mask_states(seen, state, mask, share, steps, first, rows, n_units):
    """Write states as the products see them; without a mask they are there already."""
    if mask.shape[0] > 0:
        for b in range(rows):
            own = share.first_unit
            factors = pointer(mask) + user_number(steps, first + b) * n_units + own
            place = b * n_units + own
            multiply_row(seen + place, state + place, factors, share.n_own)


@helper
def _train_together(
    tape,
    states,
    seen,
    inputs,
    output,
    column,
    h_n,
    x,
    h_0,
    mask,
    packed_array,
    steps,
    first,
    last,
    reset_after,
    share,
    work,
):
    """Run sequences first to last - 1 through all steps and keep the tape."""
    n_inputs, n_units = x.shape[1], h_n.shape[1]
    rows = last - first
    packed = aligned(pointer(packed_array))
    recurrent = recurrent_weights(packed, n_inputs, n_units)
    candidate = candidate_weights(packed, n_inputs, n_units)
    scratch = aligned(pointer(work))
    wide = lanes(scratch)
    padded = vectors_for(n_units, scratch) * wide
    before_row = before_row_size(n_units, reset_after, scratch)
    rows_ahead = rows_ahead_at_most(rows, before_row)

    sums = scratch
    before = sums + max(TILE_ROWS * 3 * wide, rows * padded)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        prefill_bias_of_hn(before, before_row, rows_ahead, bias, n_units)
    state = pointer(states) + first * n_units
    state_seen = pointer(seen) + first * n_units
    _first_states(state, n_units, h_0, share, steps, first, rows, n_units)
    _mask_states(state_seen, state, mask, share, steps, first, rows, n_units)
    meeting = meet_after(share, 1)

    running = active(steps, 0, first, last)
    _hand_out(h_n, state, n_units, share, steps, first, running, rows)
    t_ahead, place = 0, before
    for t in range(steps.n_steps):
        if running == 0:
            break
        if t == t_ahead:
            t_ahead = steps_ahead(steps, t, first, last, before_row, scratch)
            place = before
            record_inputs(inputs, x, steps, t, t_ahead, first, last, n_inputs)
            recorded_inputs_ahead(
                inputs,
                steps,
                t,
                t_ahead,
                first,
                last,
                before,
                before_row,
                packed,
                n_inputs,
                n_units,
                reset_after,
                share,
            )
        row = start(steps, t) + first
        next_state = pointer(states) + (steps.batch + row) * n_units
        next_seen = pointer(seen) + (steps.batch + row) * n_units
        record = pointer(tape) + row * 4 * n_units
        if reset_after:
            step_reset_after(
                running,
                next_state,
                state,
                state_seen,
                n_units,
                place,
                before_row,
                recurrent,
                n_units,
                sums,
                record,
                True,
                share.begin,
                share.end,
            )
        else:
            reset_before(
                running,
                state_seen,
                n_units,
                place,
                before_row,
                recurrent,
                n_units,
                sums,
                record,
                4 * n_units,
                True,
                share.begin,
                share.end,
            )
            meeting = meet_after(share, meeting)
            candidate_before(
                running,
                next_state,
                state,
                n_units,
                place,
                before_row,
                candidate,
                n_units,
                sums,
                record,
                4 * n_units,
                True,
                share.begin,
                share.end,
            )
        place = place + running * before_row
        _mask_states(next_seen, next_state, mask, share, steps, first, running, n_units)
        meeting = meet_after(share, meeting)
        state, state_seen = next_state, next_seen
        running = _write_states(
            output, column, h_n, state, n_units, share, steps, t, first, last, running
        )


@compiled_once
def record_block(
    tape: Line,
    states: Line,
    seen: Line,
    inputs: Line,
    output: Table,
    column: int,
    h_n: Table,
    x: Table,
    h_0: Table,
    mask: Table,
    packed: Line,
    geometry: Indices,
    begin: int,
    end: int,
    reset_after: int,
    team: Indices,
    member: int,
    n_members: int,
):
    """Run sequences begin to end - 1, or a team's share; see ``gru_forward``."""
    steps = read_steps(geometry)
    together = min(_ROWS_TOGETHER, end - begin)
    size = _work_size(together, x.shape[1], h_n.shape[1], reset_after, pointer(x))
    work = np.empty(size, x.dtype)
    share = share_of(h_n.shape[1], pointer(x), team, member, n_members)
    n_parts = (end - begin + _ROWS_TOGETHER - 1) // _ROWS_TOGETHER
    for part in range(n_parts):
        _train_together(
            tape,
            states,
            seen,
            inputs,
            output,
            column,
            h_n,
            x,
            h_0,
            mask,
            packed,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            reset_after,
            share,
            work,
        )


@kernel
def gru_forward(
    tape,
    states,
    seen,
    inputs,
    output,
    column,
    h_n,
    x,
    h_0,
    mask,
    packed,
    geometry,
    begin,
    end,
    reset_after,
):
    """Run sequences begin to end - 1 of a batch and keep what backward needs.

    Parameters
    ----------
    tape : (N * 4H + lanes,), written: per packed row [hn r z n]
    states : ((B + N) * H + lanes,), written: initial states in packed order, then each
        packed row's state
    seen : those states times their sequence's mask, written; without a mask it is
        ``states``
    mask : (B, H), what the recurrent products see h multiplied with; of 0 rows: none
    inputs : (N * I,), written: x in packed rows, so that the caller may change x
    output, h_n, x, h_0, packed and the geometry : as in ``gru_inference``
    """
    record_block(
        tape,
        states,
        seen,
        inputs,
        output,
        column,
        h_n,
        x,
        h_0,
        mask,
        packed,
        geometry,
        begin,
        end,
        reset_after,
        geometry,
        0,
        1,
    )


@parallel_kernel
def gru_forward_parallel(
    tape,
    states,
    seen,
    inputs,
    output,
    column,
    h_n,
    x,
    h_0,
    mask,
    packed,
    geometry,
    bounds,
    reset_after,
    team,
    patience,
):
    """Do what ``gru_forward`` does, a thread to each block of sequences or a team."""
    for block in prange(bounds.size - 1):
        begin, end, member, n_members = place_of(
            team, patience, bounds, np.int64(block), h_n.shape[0]
        )
        record_block(
            tape,
            states,
            seen,
            inputs,
            output,
            column,
            h_n,
            x,
            h_0,
            mask,
            packed,
            geometry,
            begin,
            end,
            reset_after,
            team,
            member,
            n_members,
        )
