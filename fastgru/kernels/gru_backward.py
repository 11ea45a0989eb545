"""The backward pass of one direction of one GRU layer, both cells.

Parallel passes: the reversed time loop over blocks of sequences, which writes the
gradients of the gates over the tape and, where a step has rows enough to fill a tile,
that of the input; else the gradient of the input over packed rows of all steps; the
gradients of the weights, each thread owning numbers of the result.  After the first
pass a tape row holds [n'r r' z' n'] with ``reset_after`` and [rh r' z' n'] otherwise,
so the recurrent and the input side each read what they need.
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
    gates_reset_after,
    gates_reset_before,
    reset_gate_before,
)
from fastgru.kernels.gru_states import ROWS_TOGETHER, inputs_of, seen_states
from fastgru.kernels.input_gradients import input_gradient_block, put_row
from fastgru.kernels.input_products import have_large_weights
from fastgru.kernels.one_hot import (
    add_up_bias,
    is_one_hot,
    one_hot_gradient_share,
    sort_by_feature,
)
from fastgru.kernels.packing import (
    backward_candidate_weights,
    backward_weights,
    input_gradient_weights,
)
from fastgru.kernels.products import (
    add_multiplied_row,
    copy_row,
    fetching_product_share,
    fill,
    numbers_of_line,
    part_start,
    product,
    product_share,
    rows_of,
    vectors_for,
)
from fastgru.kernels.simd import (
    TILE_ROWS,
    aligned,
    keep_alive,
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
from fastgru.kernels.sync import (
    begin_counts,
    is_team,
    meet_after,
    place_of,
    share_of,
    were_held_up,
)
from fastgru.kernels.tape_rows import is_one_block, read_blocks, state_row, tape_row
from fastgru.kernels.weight_gradients import weight_gradient_share
from fastgru.kernels.weight_sums import add_up_parts

# -- the reversed time loop ------------------------------------------------------------


@inline
def _gates(
    running,
    record,
    h,
    d_state,
    padded,
    d_output,
    column,
    steps,
    t,
    first,
    n_units,
    reset_after,
    share,
):
    """Compute the gate gradients of step t, all rows at once where possible."""
    has_d_output = d_output.n_rows > 0
    at_once = running if is_uniform(steps) or not has_d_output else 1
    for b in range(0, running, max(1, at_once)):
        dy = d_output.address
        if has_d_output:
            dy = dy + user_row(steps, t, first + b) * d_output.size + column
        tape, state, ds = (
            record + b * 4 * n_units,
            h + b * n_units,
            d_state + b * padded,
        )
        dy_row = steps.row_step * d_output.size
        to_next = -steps.step * d_output.size if t > 0 else 0
        if reset_after:
            gates_reset_after(
                at_once,
                tape,
                state,
                ds,
                padded,
                dy,
                dy_row,
                has_d_output,
                to_next,
                n_units,
                share.begin,
                share.end,
            )
        else:
            gates_reset_before(
                at_once,
                tape,
                state,
                ds,
                padded,
                dy,
                dy_row,
                has_d_output,
                to_next,
                n_units,
                share.begin,
                share.end,
            )


@helper
def _back_together(
    tape,
    d_x,
    adds_d_x,
    d_h_0,
    states,
    seen,
    d_output,
    column,
    d_h_n,
    mask,
    packed,
    n_inputs,
    steps,
    first,
    last,
    begin,
    end,
    reset_after,
    share,
    work,
):
    """Take sequences first to last - 1 back through all steps; work is scratch.

    begin, end : the tape's block that they are of
    d_x, d_h_0, d_output, d_h_n, mask : ``Rows``; the others are addresses
    d_x is written on the way, while a step's gate gradients are in the cache, unless it
    has no rows; without rows of d_h_0, the last product is left out.
    """
    n_units = d_h_0.size
    rows = last - first
    weights = backward_weights(packed, n_inputs, n_units)
    candidate = backward_candidate_weights(packed, n_inputs, n_units)
    d_state = aligned(work)
    wide = lanes(d_state)
    n_vectors = vectors_for(n_units, d_state)
    padded = n_vectors * wide
    d_reset = d_state + rows * padded
    # The gradient of h as the products saw it: without a mask, of h itself.
    masked = mask.n_rows > 0
    d_seen = d_state
    if masked:
        d_seen = d_reset + rows * padded
    zeros = d_reset + 2 * rows * padded
    record_size = 4 * n_units
    input_vectors = vectors_for(n_inputs, d_state) if d_x.n_rows > 0 else 0
    d_x_rows = zeros + max(padded, input_vectors * wide)

    fill(d_state, 0.0, 2 * rows * padded)
    fill(zeros, 0.0, max(padded, input_vectors * wide))
    meeting = 1
    if d_h_n.n_rows > 0:
        for b in range(rows):
            source = d_h_n.address + user_number(steps, first + b) * n_units
            copy_row(d_state + b * padded, source, n_units)
    for t in range(steps.n_steps - 1, -1, -1):
        running = active(steps, t, first, last)
        record = tape + tape_row(steps, begin, end, t, first) * record_size
        previous = state_row(steps, t, first) * n_units
        h, h_seen = states + previous, seen + previous
        _gates(
            running,
            record,
            h,
            d_state,
            padded,
            d_output,
            column,
            steps,
            t,
            first,
            n_units,
            reset_after,
            share,
        )
        meeting = meet_after(share, meeting)
        if masked:
            fill(d_seen, 0.0, running * padded)
        # The tape of the step before is fetched on the way from caches farther away.
        n_lines, before = 0, record
        if t > 0 and share.n_members == 1:
            before = tape + tape_row(steps, begin, end, t - 1, first) * record_size
            n_lines = running * record_size // numbers_of_line(tape)
        # Of products with the states before the first step nobody may want gradients.
        is_wanted = t > 0 or d_h_0.n_rows > 0
        if reset_after and is_wanted:
            fetching_product_share(
                running,
                d_seen,
                padded,
                d_seen,
                padded,
                record,
                record_size,
                weights,
                n_vectors,
                3 * n_units,
                t % 2,
                share.begin,
                share.end,
                before,
                n_lines,
            )
        elif not reset_after:
            fetching_product_share(
                running,
                d_reset,
                padded,
                zeros,
                0,
                record + 3 * n_units,
                record_size,
                candidate,
                n_vectors,
                n_units,
                t % 2,
                share.begin,
                share.end,
                before,
                n_lines,
            )
            reset_gate_before(
                running,
                record,
                h_seen,
                d_seen,
                d_reset,
                padded,
                n_units,
                share.begin,
                share.end,
            )
            meeting = meet_after(share, meeting)
            if is_wanted:
                product_share(
                    running,
                    d_seen,
                    padded,
                    d_seen,
                    padded,
                    record + n_units,
                    record_size,
                    weights,
                    n_vectors,
                    2 * n_units,
                    t % 2,
                    share.begin,
                    share.end,
                )
        if masked:
            for b in range(running):
                factors = mask.address + user_number(steps, first + b) * n_units
                place = b * padded
                add_multiplied_row(d_state + place, d_seen + place, factors, n_units)
        if d_x.n_rows > 0:
            product(
                running,
                d_x_rows,
                input_vectors * wide,
                zeros,
                0,
                record + n_units,
                record_size,
                input_gradient_weights(packed, n_inputs, n_units),
                input_vectors,
                3 * n_units,
            )
            for b in range(running):
                target = d_x.address + user_row(steps, t, first + b) * n_inputs
                source = d_x_rows + b * input_vectors * wide
                put_row(target, source, n_inputs, adds_d_x)
    own = share.first_unit
    for b in range(min(rows, d_h_0.n_rows)):
        target = d_h_0.address + user_number(steps, first + b) * n_units + own
        copy_row(target, d_state + b * padded + own, share.n_own)


@thread_work
def back_block(
    tape: Line,
    d_x: Table,
    adds_d_x: int,
    d_h_0: Table,
    states: Line,
    seen: Line,
    d_output: Table,
    column: int,
    d_h_n: Table,
    mask: Table,
    packed: Line,
    n_inputs: int,
    geometry: Indices,
    block_bounds: Indices,
    begin: int,
    end: int,
    reset_after: int,
    team: Indices,
    member: int,
    n_members: int,
):
    """Take sequences begin to end - 1, or a team's share of their units, back."""
    n_units = d_h_0.shape[1]
    steps = read_steps(geometry)
    wide = lanes(pointer(tape))
    padded = vectors_for(n_units, pointer(tape)) * wide
    padded_inputs = 0
    if d_x.shape[0] > 0:
        padded_inputs = vectors_for(n_inputs, pointer(tape)) * wide
    together = min(ROWS_TOGETHER, end - begin)
    size = 3 * together * padded + max(padded, padded_inputs)
    size += together * padded_inputs + slack(pointer(tape))
    work = np.empty(size, tape.dtype)
    share = share_of(n_units, pointer(tape), pointer(team), member, n_members)
    # The tape's blocks, if there are several, are those that threads take.
    has_one = is_one_block(read_blocks(block_bounds))
    first, last = (0, steps.batch) if has_one else (begin, end)
    n_parts = (end - begin + ROWS_TOGETHER - 1) // ROWS_TOGETHER
    for part in range(n_parts):
        _back_together(
            pointer(tape),
            rows_of(d_x),
            adds_d_x,
            rows_of(d_h_0),
            pointer(states),
            pointer(seen),
            rows_of(d_output),
            column,
            rows_of(d_h_n),
            rows_of(mask),
            pointer(packed),
            n_inputs,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            first,
            last,
            reset_after,
            share,
            pointer(work),
        )
    keep_alive(work)


@inline
def _is_on_the_way(steps, n_inputs, n_units, address):
    """Whether the gradient of x is computed step by step, on the way back.

    Its weights are then read at every step, which has to have rows enough.
    """
    large = have_large_weights(n_inputs, n_units, address)
    return steps.batch >= TILE_ROWS and not large


# -- all passes ------------------------------------------------------------------------


@kernel
def gru_backward(
    d_x,
    adds_d_x,
    d_h_0,
    gradient,
    tape,
    states,
    d_output,
    column,
    d_h_n,
    mask,
    packed,
    n_columns,
    geometry,
    block_bounds,
    reset_after,
    sums,
):
    """Compute the gradients of a layer's input, initial state and parameters.

    Parameters
    ----------
    d_x : (rows, I), where a sequence has a step written, or added to with ``adds_d_x``;
        of 0 rows when not wanted
    d_h_0 : (B, H), written, or of 0 rows: the initial states were zeros, and nobody
        wants their gradient
    gradient : 1-D, written: that of the parameters, in the order of ``pack_gru``
    tape, states : of ``gru_forward``; the tape is overwritten
    d_output : (rows, any), H columns from ``column`` on are read, or of 0 rows: zeros
    d_h_n : (B, H), or of 0 rows: zeros
    mask, packed and geometry : as in ``gru_forward``
    n_columns : numbers of a row of the inputs on the tape: I, or 1
    block_bounds : (blocks + 1,) int64, of the tape's blocks; see ``tape_rows``
    sums : scratch of ``sums_size`` numbers
    """
    steps = read_steps(geometry)
    n_inputs, n_rows = d_x.shape[1], start(steps, steps.n_steps)
    inputs, seen = inputs_of(tape, geometry, n_columns), seen_states(states, mask)
    is_on_the_way = _is_on_the_way(steps, n_inputs, d_h_0.shape[1], pointer(tape))
    on_the_way = d_x[: d_x.shape[0] if is_on_the_way else 0]
    for block in range(block_bounds.size - 1):
        back_block(
            tape,
            on_the_way,
            adds_d_x,
            d_h_0,
            states,
            seen,
            d_output,
            column,
            d_h_n,
            mask,
            packed,
            n_inputs,
            geometry,
            block_bounds,
            block_bounds[block],
            block_bounds[block + 1],
            reset_after,
            geometry,
            0,
            1,
        )
    if d_x.shape[0] > on_the_way.shape[0]:
        input_gradient_block(
            d_x,
            adds_d_x,
            tape,
            packed,
            geometry,
            block_bounds,
            0,
            n_rows,
            d_h_0,
        )
    weight_gradient_share(
        gradient,
        n_inputs,
        d_h_0.shape[1],
        tape,
        seen,
        inputs,
        n_columns,
        sums,
        geometry,
        block_bounds,
        0,
        1,
        False,
        d_h_0.shape[0] == 0,
        reset_after,
    )
    if is_one_hot(n_columns, n_inputs):
        places, starts = sort_by_feature(inputs, n_inputs, steps, block_bounds)
        one_hot_gradient_share(gradient, d_h_0.shape[1], tape, places, starts, 0, 1)
        add_up_bias(gradient, n_inputs, d_h_0.shape[1])


@parallel_kernel
def gru_backward_parallel(
    d_x,
    adds_d_x,
    d_h_0,
    gradient,
    tape,
    states,
    d_output,
    column,
    d_h_n,
    mask,
    packed,
    n_columns,
    geometry,
    block_bounds,
    reset_after,
    sums,
    bounds,
    n_workers,
    keeps_parts,
    patience,
):
    """Do what ``gru_backward`` does, blocks or a team, then workers in parallel.

    bounds : ``block_bounds``, if these are of several, or any; see ``sync``
    Returns whether threads were held up.
    """
    steps = read_steps(geometry)
    n_inputs, n_rows = d_x.shape[1], start(steps, steps.n_steps)
    batch, n_units = steps.batch, d_h_0.shape[1]
    is_on_the_way = not is_team(bounds) and _is_on_the_way(
        steps, n_inputs, n_units, pointer(tape)
    )
    on_the_way = d_x[: d_x.shape[0] if is_on_the_way else 0]
    counts = begin_counts(bounds)
    for index in prange(bounds.size - 1):
        thread = np.int64(index)  # Numba's parallel index is unsigned
        for turn in range(bounds.size - 1):
            begin, end, member, n_members = place_of(
                counts, patience, bounds, thread, turn, batch
            )
            if begin < end:
                back_block(
                    tape,
                    on_the_way,
                    adds_d_x,
                    d_h_0,
                    states,
                    seen_states(states, mask),
                    d_output,
                    column,
                    d_h_n,
                    mask,
                    packed,
                    n_inputs,
                    geometry,
                    block_bounds,
                    begin,
                    end,
                    reset_after,
                    counts,
                    member,
                    n_members,
                )
    if d_x.shape[0] > on_the_way.shape[0]:
        for index in prange(n_workers):
            worker = np.int64(index)
            input_gradient_block(
                d_x,
                adds_d_x,
                tape,
                packed,
                geometry,
                block_bounds,
                part_start(n_rows, n_workers, worker),
                part_start(n_rows, n_workers, worker + 1),
                d_h_0,
            )
    for index in prange(n_workers):
        worker = np.int64(index)
        weight_gradient_share(
            gradient,
            n_inputs,
            d_h_0.shape[1],
            tape,
            seen_states(states, mask),
            inputs_of(tape, geometry, n_columns),
            n_columns,
            sums,
            geometry,
            block_bounds,
            worker,
            n_workers,
            keeps_parts,
            d_h_0.shape[0] == 0,
            reset_after,
        )
    if keeps_parts:
        for index in prange(n_workers):
            add_up_parts(
                gradient,
                n_inputs,
                d_h_0.shape[1],
                n_columns,
                sums,
                n_rows,
                np.int64(index),
                n_workers,
                reset_after,
            )
    if is_one_hot(n_columns, n_inputs):
        inputs = inputs_of(tape, geometry, n_columns)
        places, starts = sort_by_feature(inputs, n_inputs, steps, block_bounds)
        for index in prange(n_workers):
            one_hot_gradient_share(
                gradient,
                d_h_0.shape[1],
                tape,
                places,
                starts,
                np.int64(index),
                n_workers,
            )
        add_up_bias(gradient, n_inputs, d_h_0.shape[1])
    return were_held_up(counts, bounds, patience)
