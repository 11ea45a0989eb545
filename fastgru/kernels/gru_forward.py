"""The forward pass of one direction of one GRU layer for training: both cells.

The same loop as in ``gru_inference``, which keeps a tape.  The tape has what backward
needs: the gates of each row (see ``gru_cell``), the states, after B rows of initial
states, and the inputs; for their order see ``tape_rows``.
"""

import numpy as np
from numba import prange

from fastgru._jit import (
    Indices,
    Line,
    Table,
    helper,
    inline,
    kernel,
    parallel_kernel,
    thread_work,
)
from fastgru.kernels.gru_cell import (
    candidate_before,
    reset_before,
    step_reset_after,
    whole_step_reset_after,
)
from fastgru.kernels.gru_states import (
    ROWS_TOGETHER,
    first_states,
    hand_out,
    inputs_of,
    seen_states,
    work_size,
    write_states,
)
from fastgru.kernels.input_products import (
    inputs_ahead,
    inputs_of_step,
    is_whole,
    plan_ahead,
    prefill_bias_of_hn,
    record_inputs,
    rows_ahead_at_most,
    steps_ahead,
)
from fastgru.kernels.packing import biases, candidate_weights, recurrent_weights
from fastgru.kernels.products import (
    multiply_row,
    part_start,
    rows_of,
    vectors_for,
)
from fastgru.kernels.simd import (
    TILE_ROWS,
    aligned,
    can_stream,
    end_streams,
    keep_alive,
    lanes,
    pointer,
)
from fastgru.kernels.steps import (
    active,
    read_steps,
    start,
    user_number,
)
from fastgru.kernels.sync import (
    begin_counts,
    meet_after,
    place_of,
    share_of,
    were_held_up,
)
from fastgru.kernels.tape_rows import state_row, tape_row


@inline
def _mask_states(seen, state, mask, share, steps, first, rows, n_units):
    """Write states as the products see them; without a mask they are there already."""
    if mask.n_rows > 0:
        for b in range(rows):
            own = share.first_unit
            factors = mask.address + user_number(steps, first + b) * n_units + own
            place = b * n_units + own
            multiply_row(seen + place, state + place, factors, share.n_own)


@helper
def _train_together(
    tape,
    states,
    seen,
    output,
    column,
    h_n,
    x,
    h_0,
    mask,
    packed,
    n_inputs,
    steps,
    first,
    last,
    begin,
    end,
    reset_after,
    from_zeros,
    past_caches,
    share,
    work,
):
    """Run sequences first to last - 1 through all steps and keep the tape.

    begin, end : the tape's block that they are of
    output, h_n, x, h_0, mask : ``Rows``; the others are addresses
    """
    n_columns, n_units = x.size, h_n.size
    rows = last - first
    recurrent = recurrent_weights(packed, n_inputs, n_units)
    candidate = candidate_weights(packed, n_inputs, n_units)
    scratch = aligned(work)
    wide = lanes(scratch)
    padded = vectors_for(n_units, scratch) * wide
    ahead = plan_ahead(n_columns, n_inputs, n_units, reset_after, scratch)
    before_row = ahead.row_size
    rows_ahead = rows_ahead_at_most(rows, steps, ahead)

    sums = scratch
    before = sums + max(TILE_ROWS * 4 * wide, rows * padded)
    gathered = before + rows_ahead * before_row
    streams = past_caches and can_stream(tape, n_units)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        prefill_bias_of_hn(before, before_row, rows_ahead, bias, n_units)
    state = states + first * n_units
    state_seen = seen + first * n_units
    first_states(state, n_units, h_0, share, steps, first, rows, n_units)
    _mask_states(state_seen, state, mask, share, steps, first, rows, n_units)
    meeting = meet_after(share, 1)

    running = active(steps, 0, first, last)
    hand_out(h_n, state, n_units, share, steps, first, running, rows)
    t_ahead, place = 0, before
    for t in range(steps.n_steps):
        if running == 0:
            break
        whole = is_whole(running, ahead)
        if t == t_ahead and whole:
            t_ahead += 1
        elif t == t_ahead:
            t_ahead = steps_ahead(steps, t, first, last, ahead)
            place = before
            inputs_ahead(
                steps,
                t,
                t_ahead,
                first,
                last,
                x.address,
                gathered,
                before,
                n_columns,
                packed,
                n_inputs,
                n_units,
                reset_after,
                share,
                ahead,
            )
        next_row = state_row(steps, t + 1, first) * n_units
        next_state, next_seen = states + next_row, seen + next_row
        record = tape + tape_row(steps, begin, end, t, first) * 4 * n_units
        # Products with states of zeros are left out.
        n_seen = n_units if t > 0 or not from_zeros else 0
        if whole:
            inputs, inputs_row = inputs_of_step(
                x.address, gathered, steps, t, first, running, n_columns
            )
            whole_step_reset_after(
                running,
                next_state,
                state,
                state_seen,
                n_units,
                inputs,
                inputs_row,
                n_inputs,
                packed,
                n_units,
                n_seen,
                sums,
                record,
                True,
                True,
                streams,
                t % 2,
                share.begin,
                share.end,
            )
        elif reset_after:
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
                n_seen,
                sums,
                record,
                True,
                t % 2,
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
                t % 2,
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
                t % 2,
                share.begin,
                share.end,
            )
        place = place + running * before_row
        _mask_states(next_seen, next_state, mask, share, steps, first, running, n_units)
        meeting = meet_after(share, meeting)
        state, state_seen = next_state, next_seen
        running = write_states(
            output, column, h_n, state, n_units, share, steps, t, first, last, running
        )
    if streams:
        end_streams()


@thread_work
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
    n_inputs: int,
    geometry: Indices,
    begin: int,
    end: int,
    reset_after: int,
    from_zeros: int,
    past_caches: int,
    team: Indices,
    member: int,
    n_members: int,
):
    """Run sequences begin to end - 1, or a team's share; see ``gru_forward``."""
    steps = read_steps(geometry)
    together = min(ROWS_TOGETHER, end - begin)
    size = work_size(
        together,
        steps,
        x.shape[1],
        n_inputs,
        h_n.shape[1],
        reset_after,
        pointer(x),
    )
    work = np.empty(size, x.dtype)
    share = share_of(h_n.shape[1], pointer(x), pointer(team), member, n_members)
    # Where lengths differ, these are not those of its own sequences, but about as many.
    n_rows = start(steps, steps.n_steps)
    first_row = n_rows * begin // steps.batch
    n_own = n_rows * end // steps.batch - first_row
    record_inputs(
        pointer(inputs),
        rows_of(x),
        steps,
        begin,
        end,
        first_row + part_start(n_own, n_members, member),
        first_row + part_start(n_own, n_members, member + 1),
    )
    n_parts = (end - begin + ROWS_TOGETHER - 1) // ROWS_TOGETHER
    for part in range(n_parts):
        _train_together(
            pointer(tape),
            pointer(states),
            pointer(seen),
            rows_of(output),
            column,
            rows_of(h_n),
            rows_of(x),
            rows_of(h_0),
            rows_of(mask),
            pointer(packed),
            n_inputs,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            begin,
            end,
            reset_after,
            from_zeros,
            past_caches,
            share,
            pointer(work),
        )
    keep_alive(work)


@kernel
def gru_forward(
    tape,
    states,
    output,
    column,
    h_n,
    x,
    h_0,
    mask,
    packed,
    n_inputs,
    geometry,
    reset_after,
    from_zeros,
    past_caches,
):
    """Run a batch of sequences and keep what backward needs.

    Parameters
    ----------
    tape : (N * 4H + lanes + N * columns of x + lanes,), written: per row [hn r z n],
        then rows of x, so that the caller may change x; both in the order of
        ``tape_rows``
    states : ((B + N) * H + lanes,), written: initial states in packed order, then each
        packed row's state; with a mask twice as many, behind them those times it
    mask : (B, H), what the recurrent products see h multiplied with; of 0 rows: none
    output, h_n, x, packed, n_inputs and geometry : as in ``gru_inference``
    h_0 : (B, H), or of 0 rows: zeros
    from_zeros : whether it is of 0 rows and all recurrent weights are finite
    past_caches : whether to write the tape past the caches, where that can be done
    """
    record_block(
        tape,
        states,
        seen_states(states, mask),
        inputs_of(tape, geometry, x.shape[1]),
        output,
        column,
        h_n,
        x,
        h_0,
        mask,
        packed,
        n_inputs,
        geometry,
        0,
        h_n.shape[0],
        reset_after,
        from_zeros,
        past_caches,
        geometry,
        0,
        1,
    )


@parallel_kernel
def gru_forward_parallel(
    tape,
    states,
    output,
    column,
    h_n,
    x,
    h_0,
    mask,
    packed,
    n_inputs,
    geometry,
    reset_after,
    from_zeros,
    past_caches,
    bounds,
    patience,
):
    """Do what ``gru_forward`` does, a block to each thread or all to a team.

    bounds, patience : as in ``gru_inference_parallel``; it returns the same
    """
    counts = begin_counts(bounds)
    for index in prange(bounds.size - 1):
        thread = np.int64(index)  # Numba's parallel index is unsigned
        for turn in range(bounds.size - 1):
            begin, end, member, n_members = place_of(
                counts, patience, bounds, thread, turn, h_n.shape[0]
            )
            if begin < end:
                record_block(
                    tape,
                    states,
                    seen_states(states, mask),
                    inputs_of(tape, geometry, x.shape[1]),
                    output,
                    column,
                    h_n,
                    x,
                    h_0,
                    mask,
                    packed,
                    n_inputs,
                    geometry,
                    begin,
                    end,
                    reset_after,
                    from_zeros,
                    past_caches,
                    counts,
                    member,
                    n_members,
                )
    return were_held_up(counts, bounds, patience)
