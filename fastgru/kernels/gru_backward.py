"""The backward pass of one direction of one GRU layer, both cells.

With d the gradient of the state h' after a step, gates as in ``gru_forward`` and ' of a gate meaning the
gradient of its pre-activation:

    n' = d (1 - z) (1 - n^2)         z' = d (h - n) z (1 - z)

    reset_after                                        otherwise
    r' = n' hn r (1 - r)                               q = n' U_n,  r' = q h r (1 - r)
    gradient of h = d z + (n' r) U_n + r' U_r + z' U_z    d z + q r + r' U_r + z' U_z

Three parallel passes: the reversed time loop over blocks of sequences, which writes the gradients of the gates
over the tape; the gradient of the input, over packed rows; the gradients of the weights, each thread owning
numbers of the result.  After the first pass a tape row holds [n'r r' z' n'] with ``reset_after`` and
[rh r' z' n'] otherwise, so the recurrent and the input side each read what they need.
"""

import numpy as np
from numba import prange

from fastgru._jit import compiled_once, helper, inline, kernel, parallel_kernel
from fastgru.kernels.packing import (
    backward_candidate_weights,
    backward_weights,
    input_gradient_weights,
)
from fastgru.kernels.products import (
    TERMS,
    add_products,
    copy_row,
    fill,
    pack_terms,
    panel_start,
    panels_for,
    part_start,
    product,
    tiles_for,
    vectors_for,
)
from fastgru.kernels.simd import (
    aligned,
    fma,
    lanes,
    load,
    load_lanes,
    pointer,
    slack,
    store,
    store_lanes,
)
from fastgru.kernels.steps import (
    Steps,
    active,
    is_uniform,
    start,
    user_number,
    user_row,
)

_ROWS_TOGETHER = 64


# -- the gradients of the gates ----------------------------------------------------------------


@inline
def _one_minus_square(n):
    return fma(-n, n, 1.0)


@inline
def _state_gradient(d_state, d_output, has_d_output, unit, valid):
    """Return the gradient of one register of the state: from later steps and from the output."""
    d = load(d_state + unit)
    if has_d_output:
        if valid == lanes(d_state):
            d = d + load(d_output + unit)
        else:
            d = d + load_lanes(d_output + unit, valid)
    return d


@inline
def _store_valid(target, value, valid):
    if valid == lanes(target):
        store(target, value)
    else:
        store_lanes(target, value, valid)


@compiled_once
def _gates_reset_after(tape, h, d_state, d_output, has_d_output: int, n_units: int):
    """Write one row's gate gradients over its tape; d_state becomes d z."""
    wide = lanes(h)
    for vector in range(vectors_for(n_units, h)):
        unit = vector * wide
        valid = min(wide, n_units - unit)
        record = tape + unit
        hn, r = load(record), load(record + n_units)
        z, n = load(record + 2 * n_units), load(record + 3 * n_units)
        d = _state_gradient(d_state, d_output, has_d_output, unit, valid)
        dn = d * (1.0 - z) * _one_minus_square(n)
        dz = d * (load(h + unit) - n) * z * (1.0 - z)
        dr = dn * hn * r * (1.0 - r)
        _store_valid(record, dn * r, valid)
        _store_valid(record + n_units, dr, valid)
        _store_valid(record + 2 * n_units, dz, valid)
        _store_valid(record + 3 * n_units, dn, valid)
        store(d_state + unit, d * z)


@compiled_once
def _gates_reset_before(tape, h, d_state, d_output, has_d_output: int, n_units: int):
    """Write one row's z' and n' over its tape; d_state becomes d z.  r' needs n' U_n first."""
    wide = lanes(h)
    for vector in range(vectors_for(n_units, h)):
        unit = vector * wide
        valid = min(wide, n_units - unit)
        record = tape + unit
        z, n = load(record + 2 * n_units), load(record + 3 * n_units)
        d = _state_gradient(d_state, d_output, has_d_output, unit, valid)
        dn = d * (1.0 - z) * _one_minus_square(n)
        dz = d * (load(h + unit) - n) * z * (1.0 - z)
        _store_valid(record + 2 * n_units, dz, valid)
        _store_valid(record + 3 * n_units, dn, valid)
        store(d_state + unit, d * z)


@compiled_once
def _reset_gate_before(tape, h, d_state, d_reset, n_units: int):
    """Write one row's r' over its tape and add what the product r * h hands to the state."""
    wide = lanes(h)
    for vector in range(vectors_for(n_units, h)):
        unit = vector * wide
        valid = min(wide, n_units - unit)
        record = tape + n_units + unit
        r, q = load(record), load(d_reset + unit)
        _store_valid(record, q * load(h + unit) * r * (1.0 - r), valid)
        store(d_state + unit, fma(q, r, load(d_state + unit)))


# -- the reversed time loop --------------------------------------------------------------------


@helper
def _back_together(
    tape,
    d_h_0,
    states,
    d_output,
    d_h_n,
    packed_array,
    n_inputs,
    steps,
    first,
    last,
    reset_after,
    work,
):
    """Take sequences first to last - 1 back through all steps; work is scratch of this call."""
    n_units = d_h_0.shape[1]
    rows = last - first
    packed = aligned(pointer(packed_array))
    weights = backward_weights(packed, n_inputs, n_units)
    candidate = backward_candidate_weights(packed, n_inputs, n_units)
    d_state = aligned(pointer(work))
    wide = lanes(d_state)
    n_vectors = vectors_for(n_units, d_state)
    padded = n_vectors * wide
    d_reset = d_state + rows * padded
    zeros = d_reset + rows * padded
    has_d_output = d_output.shape[0] > 0
    tape_row = 4 * n_units

    fill(d_state, 0.0, (2 * rows + 1) * padded)
    if d_h_n.shape[0] > 0:
        for b in range(rows):
            source = pointer(d_h_n) + user_number(steps, first + b) * n_units
            copy_row(d_state + b * padded, source, n_units)
    for t in range(steps.n_steps - 1, -1, -1):
        running = active(steps, t, first, last)
        record = pointer(tape) + (start(steps, t) + first) * tape_row
        previous = first
        if t > 0:
            previous += steps.batch + start(steps, t - 1)
        h = pointer(states) + previous * n_units
        for b in range(running):
            d_row = pointer(d_output)
            if has_d_output:
                d_row = d_row + user_row(steps, t, first + b) * n_units
            row, state, ds = (
                record + b * tape_row,
                h + b * n_units,
                d_state + b * padded,
            )
            if reset_after:
                _gates_reset_after(row, state, ds, d_row, has_d_output, n_units)
            else:
                _gates_reset_before(row, state, ds, d_row, has_d_output, n_units)
        if reset_after:
            product(
                running,
                d_state,
                padded,
                d_state,
                padded,
                record,
                tape_row,
                1,
                weights,
                n_vectors,
                3 * n_units,
            )
        else:
            product(
                running,
                d_reset,
                padded,
                zeros,
                0,
                record + 3 * n_units,
                tape_row,
                1,
                candidate,
                n_vectors,
                n_units,
            )
            for b in range(running):
                _reset_gate_before(
                    record + b * tape_row,
                    h + b * n_units,
                    d_state + b * padded,
                    d_reset + b * padded,
                    n_units,
                )
            product(
                running,
                d_state,
                padded,
                d_state,
                padded,
                record + n_units,
                tape_row,
                1,
                weights,
                n_vectors,
                2 * n_units,
            )
    for b in range(rows):
        target = pointer(d_h_0) + user_number(steps, first + b) * n_units
        copy_row(target, d_state + b * padded, n_units)


@kernel
def gru_backward_rows(
    tape,
    d_h_0,
    states,
    d_output,
    d_h_n,
    packed,
    n_inputs,
    steps,
    first,
    last,
    reset_after,
):
    """Take sequences first to last - 1 back through time; see ``gru_backward``."""
    n_units = d_h_0.shape[1]
    wide = lanes(pointer(tape))
    padded = vectors_for(n_units, pointer(tape)) * wide
    together = min(_ROWS_TOGETHER, last - first)
    work = np.empty((2 * together + 1) * padded + slack(pointer(tape)), tape.dtype)
    n_parts = (last - first + _ROWS_TOGETHER - 1) // _ROWS_TOGETHER
    for part in range(n_parts):
        _back_together(
            tape,
            d_h_0,
            states,
            d_output,
            d_h_n,
            packed,
            n_inputs,
            steps,
            first + part_start(last - first, n_parts, part),
            first + part_start(last - first, n_parts, part + 1),
            reset_after,
            work,
        )


# -- the gradient of the input -----------------------------------------------------------------


@helper
def _input_gradient_rows(
    d_x, tape, packed_array, steps, first_row, last_row, d_h_0, work
):
    """Compute the gradient of packed rows first_row to last_row - 1 and put it where x stood."""
    n_inputs, n_units = d_x.shape[1], d_h_0.shape[1]
    packed = aligned(pointer(packed_array))
    weights = input_gradient_weights(packed, n_inputs, n_units)
    scratch = aligned(pointer(work))
    n_vectors = vectors_for(n_inputs, scratch)
    padded = n_vectors * lanes(scratch)
    zeros = scratch + _ROWS_TOGETHER * padded
    fill(zeros, 0.0, padded)
    t = 0
    row = first_row
    while row < last_row:
        rows = min(_ROWS_TOGETHER, last_row - row)
        product(
            rows,
            scratch,
            padded,
            zeros,
            0,
            pointer(tape) + row * 4 * n_units + n_units,
            4 * n_units,
            1,
            weights,
            n_vectors,
            3 * n_units,
        )
        for i in range(rows):
            while row + i >= start(steps, t + 1):
                t += 1
            b = row + i - start(steps, t)
            target = pointer(d_x) + user_row(steps, t, b) * n_inputs
            copy_row(target, scratch + i * padded, n_inputs)
        row += rows


@kernel
def gru_input_gradient_rows(d_x, tape, packed, steps, first_row, last_row, d_h_0):
    """Compute the gradient of x for packed rows first_row to last_row - 1."""
    wide = lanes(pointer(tape))
    padded = vectors_for(d_x.shape[1], pointer(tape)) * wide
    work = np.empty((_ROWS_TOGETHER + 1) * padded + slack(pointer(tape)), tape.dtype)
    _input_gradient_rows(d_x, tape, packed, steps, first_row, last_row, d_h_0, work)


# -- the gradients of the weights --------------------------------------------------------------


@inline
def _copy_columns(target, sums, column, end, n_units):
    """Copy sums of tape columns to a row of a stored gradient, whose gates are in the order r, z, n."""
    split = max(column, min(end, n_units))
    copy_row(target + 2 * n_units + column, sums, split - column)
    copy_row(target + (split - n_units), sums + (split - column), end - split)


@helper
def _gather_previous(target, states, steps, t, row, n_terms, n_units):
    """Copy the states before packed rows row to row + n_terms - 1; t is at most the first one's step."""
    for k in range(n_terms):
        while row + k >= start(steps, t + 1):
            t += 1
        previous = row + k - start(steps, t)
        if t > 0:
            previous += steps.batch + start(steps, t - 1)
        copy_row(target + k * n_units, states + previous * n_units, n_units)
    return t


@helper
def _share_of_product(
    gradient,
    bias_gradient,
    sums,
    sums_row,
    a,
    a_k,
    n_rows,
    tape,
    column,
    n_columns,
    n_units,
    n_terms,
    share_begin,
    share_end,
    panel,
    is_last,
):
    """Add one block of terms to tiles share_begin to share_end - 1 of one weight's gradient.

    The gradient has ``n_rows`` rows; its columns are ``n_columns`` columns of the tape from ``column`` on, cut
    into panels and those into tiles, counted panel after panel.  sums holds, on and on, the rows and then
    the sum of the columns (the gradient of a bias); after the last block they are copied to where they belong.
    """
    wide = lanes(panel)
    n_vectors = vectors_for(n_columns, panel)
    n_tiles = tiles_for(n_rows)
    for p in range(share_begin // n_tiles, panels_for(n_vectors)):
        tile_begin = max(0, share_begin - p * n_tiles)
        tile_end = min(n_tiles, share_end - p * n_tiles)
        if tile_end <= 0:
            break
        begin = panel_start(n_vectors, p) * wide
        width = panel_start(n_vectors, p + 1) - begin // wide
        place, bias_place = sums + begin, sums + n_rows * sums_row + begin
        has_bias = tile_begin == 0
        pack_terms(
            panel,
            width,
            tape + column + begin,
            4 * n_units,
            n_terms,
            bias_place,
            has_bias,
        )
        add_products(
            place, sums_row, a, a_k, panel, width, tile_begin, tile_end, n_rows, n_terms
        )
        if is_last:
            first = column + begin
            end = min(first + width * wide, column + n_columns)
            row_begin = part_start(n_rows, n_tiles, tile_begin)
            row_end = part_start(n_rows, n_tiles, tile_end)
            for row in range(row_begin, row_end):
                target = gradient + row * 3 * n_units
                _copy_columns(target, place + row * sums_row, first, end, n_units)
            if has_bias:
                _copy_columns(bias_gradient, bias_place, first, end, n_units)


@helper
def _weight_gradient_share(
    d_weight_ih,
    d_weight_hh,
    d_bias_ih,
    d_bias_hh,
    tape_array,
    states,
    inputs,
    sums_array,
    steps,
    n_rows,
    worker,
    n_workers,
    reset_after,
    work,
):
    """Compute one worker's share of the gradients of the weights and biases.

    sums : scratch of all workers, zeros: (I + 1) + (H + 1) rows for the two weights and their biases
    work : scratch of this worker: a panel of terms, and previous states gathered when lengths differ
    """
    n_inputs, n_units = d_weight_ih.shape[0], d_weight_hh.shape[0]
    tape = pointer(tape_array)
    panel = aligned(pointer(work))
    wide = lanes(panel)
    gathered = panel + TERMS * 3 * wide
    candidate_begin = vectors_for(2 * n_units, panel) * wide
    sums_row = candidate_begin + vectors_for(n_units, panel) * wide
    input_sums = aligned(pointer(sums_array))
    recurrent_sums = input_sums + (n_inputs + 1) * sums_row

    # With reset_after the recurrent side is one product, of [n'r r' z'] with h; otherwise it is two,
    # of [r' z'] with h and of n' with r * h, which the tape kept.
    column, n_columns, n_candidate = 0, 3 * n_units, 0
    if not reset_after:
        column, n_columns, n_candidate = n_units, 2 * n_units, n_units
    input_share = panels_for(vectors_for(3 * n_units, panel)) * tiles_for(n_inputs)
    recurrent_share = panels_for(vectors_for(n_columns, panel)) * tiles_for(n_units)
    both_shares = input_share + recurrent_share
    n_shares = both_shares
    if not reset_after:
        n_shares += panels_for(vectors_for(n_candidate, panel)) * tiles_for(n_units)
    begin = part_start(n_shares, n_workers, worker)
    end = part_start(n_shares, n_workers, worker + 1)

    t = 0
    for row in range(0, n_rows, TERMS):
        n_terms = min(TERMS, n_rows - row)
        is_last = row + n_terms == n_rows
        record = tape + row * 4 * n_units
        if begin < input_share:
            _share_of_product(
                pointer(d_weight_ih),
                pointer(d_bias_ih),
                input_sums,
                sums_row,
                pointer(inputs) + row * n_inputs,
                n_inputs,
                n_inputs,
                record,
                n_units,
                3 * n_units,
                n_units,
                n_terms,
                begin,
                min(end, input_share),
                panel,
                is_last,
            )
        if begin < both_shares and end > input_share:
            previous = pointer(states) + row * n_units
            if not is_uniform(steps):
                t = _gather_previous(
                    gathered, pointer(states), steps, t, row, n_terms, n_units
                )
                previous = gathered
            _share_of_product(
                pointer(d_weight_hh),
                pointer(d_bias_hh),
                recurrent_sums,
                sums_row,
                previous,
                n_units,
                n_units,
                record,
                column,
                n_columns,
                n_units,
                n_terms,
                max(0, begin - input_share),
                min(end, both_shares) - input_share,
                panel,
                is_last,
            )
        if end > both_shares:
            _share_of_product(
                pointer(d_weight_hh),
                pointer(d_bias_hh),
                recurrent_sums + candidate_begin,
                sums_row,
                record,
                4 * n_units,
                n_units,
                record,
                3 * n_units,
                n_candidate,
                n_units,
                n_terms,
                max(0, begin - both_shares),
                end - both_shares,
                panel,
                is_last,
            )


@kernel
def gru_weight_gradient_share(
    d_weight_ih,
    d_weight_hh,
    d_bias_ih,
    d_bias_hh,
    tape,
    states,
    inputs,
    sums,
    steps,
    n_rows,
    worker,
    n_workers,
    reset_after,
):
    """Compute one worker's share of the gradients of the weights and biases."""
    wide = lanes(pointer(tape))
    gathered = 0 if is_uniform(steps) else TERMS * d_weight_hh.shape[0]
    work = np.empty(TERMS * 3 * wide + gathered + slack(pointer(tape)), tape.dtype)
    _weight_gradient_share(
        d_weight_ih,
        d_weight_hh,
        d_bias_ih,
        d_bias_hh,
        tape,
        states,
        inputs,
        sums,
        steps,
        n_rows,
        worker,
        n_workers,
        reset_after,
        work,
    )


@inline
def _zero_sums(n_inputs, n_units, tape):
    """Allocate the sums of the weights' gradients."""
    wide = lanes(pointer(tape))
    row = (
        vectors_for(2 * n_units, pointer(tape)) + vectors_for(n_units, pointer(tape))
    ) * wide
    return np.zeros((n_inputs + n_units + 2) * row + slack(pointer(tape)), tape.dtype)


# -- all passes --------------------------------------------------------------------------------


@kernel
def gru_backward(
    d_x,
    d_h_0,
    d_weight_ih,
    d_weight_hh,
    d_bias_ih,
    d_bias_hh,
    tape,
    states,
    inputs,
    d_output,
    d_h_n,
    packed,
    n_steps,
    row_step,
    step,
    order,
    first,
    starts,
    reset_after,
):
    """Compute the gradients of the input, the initial state and all parameters of a layer.

    Parameters
    ----------
    d_x : (rows, I), written where a sequence has a step; of 0 rows when not wanted
    d_h_0 : (B, H), written
    d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh : written, stored like the parameters
    tape, states, inputs : of ``gru_forward``; the tape is overwritten
    d_output : (rows, H), or of 0 rows: zeros; d_h_n : (B, H), or of 0 rows: zeros
    packed and the geometry : as in ``gru_forward``
    """
    steps = Steps(n_steps, d_h_0.shape[0], row_step, step, order, first, starts)
    n_inputs, n_rows = d_weight_ih.shape[0], start(steps, n_steps)
    gru_backward_rows(
        tape,
        d_h_0,
        states,
        d_output,
        d_h_n,
        packed,
        n_inputs,
        steps,
        0,
        d_h_0.shape[0],
        reset_after,
    )
    if d_x.shape[0] > 0:
        gru_input_gradient_rows(d_x, tape, packed, steps, 0, n_rows, d_h_0)
    sums = _zero_sums(n_inputs, d_weight_hh.shape[0], tape)
    gru_weight_gradient_share(
        d_weight_ih,
        d_weight_hh,
        d_bias_ih,
        d_bias_hh,
        tape,
        states,
        inputs,
        sums,
        steps,
        n_rows,
        0,
        1,
        reset_after,
    )


@parallel_kernel
def gru_backward_parallel(
    d_x,
    d_h_0,
    d_weight_ih,
    d_weight_hh,
    d_bias_ih,
    d_bias_hh,
    tape,
    states,
    inputs,
    d_output,
    d_h_n,
    packed,
    n_steps,
    row_step,
    step,
    order,
    first,
    starts,
    bounds,
    n_workers,
    reset_after,
):
    """Do what ``gru_backward`` does: a thread to a block, then ``n_workers`` for what follows."""
    steps = Steps(n_steps, d_h_0.shape[0], row_step, step, order, first, starts)
    n_inputs, n_rows = d_weight_ih.shape[0], start(steps, n_steps)
    for block in prange(bounds.size - 1):
        gru_backward_rows(
            tape,
            d_h_0,
            states,
            d_output,
            d_h_n,
            packed,
            n_inputs,
            steps,
            bounds[block],
            bounds[block + 1],
            reset_after,
        )
    if d_x.shape[0] > 0:
        for index in prange(n_workers):
            worker = np.int64(index)  # Numba's parallel index is unsigned
            gru_input_gradient_rows(
                d_x,
                tape,
                packed,
                steps,
                part_start(n_rows, n_workers, worker),
                part_start(n_rows, n_workers, worker + 1),
                d_h_0,
            )
    sums = _zero_sums(n_inputs, d_weight_hh.shape[0], tape)
    for index in prange(n_workers):
        worker = np.int64(index)
        gru_weight_gradient_share(
            d_weight_ih,
            d_weight_hh,
            d_bias_ih,
            d_bias_hh,
            tape,
            states,
            inputs,
            sums,
            steps,
            n_rows,
            worker,
            n_workers,
            reset_after,
        )
