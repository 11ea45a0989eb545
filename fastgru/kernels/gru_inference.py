"""The forward pass of one direction of one GRU layer that keeps nothing: both cells.

Each thread takes some sequences through all time steps, so that no step waits for
another thread, and a few dozen of them at a time, so that states and pre-activations
stay in its cache; few sequences are taken by a team (see ``sync``).  The products of
the inputs are computed for a few steps ahead.  Not handled here: validation and
stacking; the reversed direction is a matter of geometry.
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
    stand_alike,
    work_size,
    write_states,
)
from fastgru.kernels.input_products import (
    inputs_ahead,
    inputs_of_step,
    is_whole,
    plan_ahead,
    prefill_bias_of_hn,
    rows_ahead_at_most,
    steps_ahead,
)
from fastgru.kernels.packing import biases, candidate_weights, recurrent_weights
from fastgru.kernels.products import (
    Rows,
    part_start,
    rows_of,
    vectors_for,
)
from fastgru.kernels.simd import (
    ALIGNMENT,
    REGISTERS,
    TILE_ROWS,
    aligned,
    is_aligned,
    keep_alive,
    lanes,
    pointer,
    slack,
)
from fastgru.kernels.steps import (
    active,
    read_steps,
    user_row,
)
from fastgru.kernels.sync import (
    begin_counts,
    meet_after,
    place_of,
    share_of,
    were_held_up,
)

# Registers of a page of 4 KiB, beyond which no CPU fetches ahead.
_REGISTERS_OF_PAGE = 4096 // REGISTERS.size


@helper
def _infer_together(
    output,
    column,
    h_n,
    x,
    h_0,
    packed,
    n_inputs,
    steps,
    first,
    last,
    reset_after,
    share,
    products,
    has_products,
    shared,
    work,
):
    """Run sequences first to last - 1 through all steps.

    output, h_n, x, h_0 : ``Rows``; the others are addresses
    products : those of all inputs, with ``has_products``; else they are computed here
    shared : scratch of all members of a team; work : scratch of this one
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

    states = aligned(shared)
    gates = states + 2 * rows * padded
    sums = scratch
    before = sums + max(TILE_ROWS * 4 * wide, rows * padded)
    gathered = before + rows_ahead * before_row

    # Where rows of the output stand like those of states, these are written there; but
    # not within a page that other threads write to and read their states from: a CPU
    # that fetches ahead takes lines away from them.
    n_registers = rows * vectors_for(n_units, scratch)
    is_apart = rows == steps.batch or n_registers >= _REGISTERS_OF_PAGE
    in_place = (
        output.n_rows > 0
        and stand_alike(output, padded, n_units, steps)
        and is_aligned(output.address)
        and is_apart
    )
    copied = Rows(output.address, 0 if in_place else output.n_rows, output.size)
    h = states

    first_states(states, padded, h_0, share, steps, first, rows, n_units)
    meeting = meet_after(share, 1)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        prefill_bias_of_hn(before, before_row, rows_ahead, bias, n_units)

    running = active(steps, 0, first, last)
    hand_out(h_n, states, padded, share, steps, first, running, rows)
    t_ahead, place = 0, before
    if has_products:
        t_ahead, place = steps.n_steps, aligned(products)
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
        # Products with states of zeros are left out.
        n_seen = n_units if t > 0 or h_0.n_rows > 0 else 0
        h_next = states + ((t + 1) % 2) * rows * padded
        if in_place:
            h_next = output.address + user_row(steps, t, first) * output.size
        if whole:
            inputs, inputs_row = inputs_of_step(
                x.address, gathered, steps, t, first, running, n_columns
            )
            whole_step_reset_after(
                running,
                h_next,
                h,
                h,
                padded,
                inputs,
                inputs_row,
                n_inputs,
                packed,
                n_units,
                n_seen,
                sums,
                gates,
                False,
                in_place,
                False,
                t % 2,
                share.begin,
                share.end,
            )
        elif reset_after:
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
                n_seen,
                sums,
                gates,
                False,
                t % 2,
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
                t % 2,
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
                t % 2,
                share.begin,
                share.end,
            )
        meeting = meet_after(share, meeting)
        place = place + running * before_row
        running = write_states(
            copied, column, h_n, h_next, padded, share, steps, t, first, last, running
        )
        h = h_next


def team_scratch(batch: int, hidden_size: int, itemsize: int) -> int:
    """Return how many numbers of scratch a team needs together for inference."""
    wide = REGISTERS.size // itemsize
    padded = -(-hidden_size // wide) * wide
    return 5 * batch * padded + ALIGNMENT // itemsize


@inline
def _shared_size(rows, n_units, address):
    """Return how many numbers of scratch a team needs together: states and gates."""
    return 5 * rows * vectors_for(n_units, address) * lanes(address) + slack(address)


@thread_work
def infer_block(
    output: Table,
    column: int,
    h_n: Table,
    x: Table,
    h_0: Table,
    packed: Line,
    n_inputs: int,
    geometry: Indices,
    begin: int,
    end: int,
    reset_after: int,
    team: Indices,
    member: int,
    n_members: int,
    products: Line,
    shared: Line,
):
    """Run sequences begin to end - 1, or a team's share; see ``gru_inference``."""
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
    if n_members == 1:
        shared = np.empty(_shared_size(together, h_n.shape[1], pointer(x)), x.dtype)
    n_parts = (end - begin + ROWS_TOGETHER - 1) // ROWS_TOGETHER
    for part in range(n_parts):
        _infer_together(
            rows_of(output),
            column,
            rows_of(h_n),
            rows_of(x),
            rows_of(h_0),
            pointer(packed),
            n_inputs,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            reset_after,
            share,
            pointer(products),
            products.size > 0,
            pointer(shared),
            pointer(work),
        )
    keep_alive(shared)
    keep_alive(work)


@kernel
def gru_inference(
    output,
    column,
    h_n,
    x,
    h_0,
    packed,
    n_inputs,
    geometry,
    reset_after,
    products,
):
    """Run a batch of sequences, keeping nothing for a backward pass.

    Parameters
    ----------
    output : (rows, any), H columns from ``column`` on are written where a sequence has
        a step; of 0 rows when not wanted
    h_n : (B, H), written: the state at each sequence's own end
    x : (rows, I), or (rows, 1) of numbers of features; see ``one_hot``
    h_0 : (B, H), or of 0 rows: zeros, if all recurrent weights are finite
    packed : weights as ``pack_gru`` wrote them for this ``reset_after``
    n_inputs : I
    geometry : see ``steps``
    products : those of the inputs of one sequence, as ``shared_inputs`` writes them, or
        empty
    """
    infer_block(
        output,
        column,
        h_n,
        x,
        h_0,
        packed,
        n_inputs,
        geometry,
        0,
        h_n.shape[0],
        reset_after,
        geometry,
        0,
        1,
        products,
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
    n_inputs,
    geometry,
    reset_after,
    bounds,
    patience,
    shared,
):
    """Do what ``gru_inference`` does, a block to each thread or all to a team.

    bounds : (blocks + 1,) int64, where each block begins and, last, where they end;
        zeros for a team: of its members wanted, and one more
    patience : how long a team's member waits for the others before it does without
    shared : scratch of ``team_scratch`` numbers, with a team
    Returns whether threads were held up; see ``sync``.
    """
    no_products = packed[:0]
    counts = begin_counts(bounds)
    for index in prange(bounds.size - 1):
        thread = np.int64(index)  # Numba's parallel index is unsigned
        for turn in range(bounds.size - 1):
            begin, end, member, n_members = place_of(
                counts, patience, bounds, thread, turn, h_n.shape[0]
            )
            if begin < end:
                infer_block(
                    output,
                    column,
                    h_n,
                    x,
                    h_0,
                    packed,
                    n_inputs,
                    geometry,
                    begin,
                    end,
                    reset_after,
                    counts,
                    member,
                    n_members,
                    no_products,
                    shared,
                )
    return were_held_up(counts, bounds, patience)
