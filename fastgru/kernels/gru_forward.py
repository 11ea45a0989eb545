"""The forward pass of one direction of one GRU layer, both cells, inference and training.

For each unit, with s the logistic sigmoid (Cho et al. 2014, arXiv:1406.1078, section 2.3, and its variant with
the reset gate after the product):

    r  = s(W_r x + b_ir + U_r h + b_hr)
    z  = s(W_z x + b_iz + U_z h + b_hz)
    n  = tanh(W_n x + b_in + r * (U_n h + b_hn))      reset_after
    n  = tanh(W_n x + b_in + b_hn + U_n (r * h))      otherwise
    h' = (1 - z) * n + z * h

Each thread takes some sequences through all time steps, so that no step waits for another thread, and a few
dozen of them at a time, so that states and pre-activations stay in its cache.  The products of the inputs are
computed for a few steps ahead.  Not handled here: validation, stacking, the reversed direction.

The tape keeps, per packed row, what backward needs: [hn r z n], each H numbers, where hn = U_n h + b_hn with
``reset_after`` and r * h otherwise; the states, after B rows of initial states; and the inputs.
"""

import numpy as np
from numba import prange

from fastgru._jit import compiled_once, helper, inline, kernel, parallel_kernel
from fastgru.kernels.activations import sigmoid, tanh
from fastgru.kernels.packing import biases, candidate_weights, recurrent_weights
from fastgru.kernels.products import (
    copy_row,
    fill,
    panel_product,
    part_start,
    product,
    tiles_for,
    vectors_for,
)
from fastgru.kernels.simd import (
    TILE_ROWS,
    aligned,
    fma,
    lanes,
    load,
    pointer,
    slack,
    store,
    store_lanes,
    tile_3,
)
from fastgru.kernels.steps import (
    Steps,
    active,
    is_uniform,
    start,
    user_number,
    user_row,
)

# Sequences that a thread takes through time together, and how much of the pre-activations it computes
# ahead; both sized so that the states, one panel of weights and the pre-activations fit in 1 MB.
_ROWS_TOGETHER = 64
_NUMBERS_AHEAD = 32768


# -- one step ----------------------------------------------------------------------------------


@inline
def _new_state(z, n, h):
    return fma(z, h - n, n)


@compiled_once
def _step_reset_after(
    rows: int,
    h_next,
    h,
    h_row: int,
    before,
    before_row: int,
    weights,
    n_units: int,
    sums,
    tape,
    training: int,
):
    """One step of ``rows`` sequences.

    before : per row and register of units [n r z hn]: the pre-activations so far, of hn its bias
    sums : scratch, TILE_ROWS * 3 registers; tape : row of 4H numbers each, written when training
    """
    wide = lanes(h)
    n_tiles = tiles_for(rows)
    for vector in range(vectors_for(n_units, h)):
        unit = vector * wide
        valid = min(wide, n_units - unit)
        panel = weights + unit * 3 * n_units
        first = before + unit * 4
        for tile in range(n_tiles):
            i = part_start(rows, n_tiles, tile)
            height = part_start(rows, n_tiles, tile + 1) - i
            tile_3(
                height,
                sums,
                3 * wide,
                first + i * before_row + wide,
                before_row,
                h + i * h_row,
                h_row,
                1,
                panel,
                3 * wide,
                n_units,
            )
            for q in range(height):
                s = sums + q * 3 * wide
                place = (i + q) * h_row + unit
                r = sigmoid(load(s))
                z = sigmoid(load(s + wide))
                hn = load(s + 2 * wide)
                n = tanh(fma(r, hn, load(first + (i + q) * before_row)))
                new = _new_state(z, n, load(h + place))
                if training:
                    record = tape + (i + q) * 4 * n_units + unit
                    if valid == wide:
                        store(h_next + place, new)
                        store(record, hn)
                        store(record + n_units, r)
                        store(record + 2 * n_units, z)
                        store(record + 3 * n_units, n)
                    else:
                        store_lanes(h_next + place, new, valid)
                        store_lanes(record, hn, valid)
                        store_lanes(record + n_units, r, valid)
                        store_lanes(record + 2 * n_units, z, valid)
                        store_lanes(record + 3 * n_units, n, valid)
                else:
                    store(h_next + place, new)


@compiled_once
def _step_reset_before(
    rows: int,
    h_next,
    h,
    h_row: int,
    before,
    before_row: int,
    weights,
    candidate,
    n_units: int,
    sums,
    gates,
    gates_row: int,
    training: int,
):
    """One step of ``rows`` sequences of the cell that resets before the product.

    before : per row [r z] of each register of units, then all of n
    sums : scratch, rows * HP numbers; gates : per row r * h, and z two parts further: the tape, a part being
    H numbers, or without training scratch with parts of HP numbers.
    """
    wide = lanes(h)
    n_vectors = vectors_for(n_units, h)
    part = n_units if training else n_vectors * wide
    n_tiles = tiles_for(rows)
    for vector in range(n_vectors):
        unit = vector * wide
        valid = min(wide, n_units - unit)
        for tile in range(n_tiles):
            i = part_start(rows, n_tiles, tile)
            height = part_start(rows, n_tiles, tile + 1) - i
            panel_product(
                2,
                height,
                sums,
                2 * wide,
                before + i * before_row + 2 * unit,
                before_row,
                h + i * h_row,
                h_row,
                1,
                weights + 2 * unit * n_units,
                n_units,
            )
            for q in range(height):
                r = sigmoid(load(sums + q * 2 * wide))
                z = sigmoid(load(sums + q * 2 * wide + wide))
                reset = r * load(h + (i + q) * h_row + unit)
                record = gates + (i + q) * gates_row + unit
                if not training:
                    store(record, reset)
                    store(record + 2 * part, z)
                elif valid == wide:
                    store(record, reset)
                    store(record + part, r)
                    store(record + 2 * part, z)
                else:
                    store_lanes(record, reset, valid)
                    store_lanes(record + part, r, valid)
                    store_lanes(record + 2 * part, z, valid)
    sums_row = n_vectors * wide
    product(
        rows,
        sums,
        sums_row,
        before + 2 * sums_row,
        before_row,
        gates,
        gates_row,
        1,
        candidate,
        n_vectors,
        n_units,
    )
    for i in range(rows):
        for vector in range(n_vectors):
            unit = vector * wide
            valid = min(wide, n_units - unit)
            record = gates + i * gates_row + unit
            place = i * h_row + unit
            n = tanh(load(sums + i * sums_row + unit))
            new = _new_state(load(record + 2 * part), n, load(h + place))
            if not training:
                store(h_next + place, new)
            elif valid == wide:
                store(h_next + place, new)
                store(record + 3 * part, n)
            else:
                store_lanes(h_next + place, new, valid)
                store_lanes(record + 3 * part, n, valid)


# -- the products of the inputs, a few steps ahead ---------------------------------------------


@inline
def _before_row(n_units, reset_after, address):
    """Return the length of a row of pre-activations."""
    return vectors_for(n_units, address) * lanes(address) * (4 if reset_after else 3)


@inline
def _input_product(
    rows, before, before_row, x, x_row, packed, n_inputs, n_units, reset_after
):
    """Add the products of ``rows`` rows of inputs to their biases."""
    wide = lanes(x)
    n_vectors = vectors_for(n_units, x)
    bias = biases(packed, n_inputs, n_units)
    if reset_after:
        for vector in range(n_vectors):
            panel_product(
                3,
                rows,
                before + 4 * wide * vector,
                before_row,
                bias + 4 * wide * vector,
                0,
                x,
                x_row,
                1,
                packed + 3 * wide * vector * n_inputs,
                n_inputs,
            )
    else:
        product(
            rows,
            before,
            before_row,
            bias,
            0,
            x,
            x_row,
            1,
            packed,
            3 * n_vectors,
            n_inputs,
        )


@inline
def _steps_ahead(steps, t, first, last, before_row, address):
    """Return up to which step the input products from step t on are computed at once."""
    end, rows = t, 0
    while end < steps.n_steps:
        rows += active(steps, end, first, last)
        if end > t and rows * before_row > max(_NUMBERS_AHEAD, TILE_ROWS * before_row):
            break
        end += 1
    return end


@inline
def _rows_ahead(rows, before_row):
    """Return how many rows of pre-activations ``_steps_ahead`` asks for at most."""
    return max(rows, max(_NUMBERS_AHEAD, TILE_ROWS * before_row) // before_row)


@helper
def _inputs_ahead(
    steps,
    t_begin,
    t_end,
    first,
    last,
    x,
    gathered,
    gathers,
    before,
    before_row,
    packed,
    n_inputs,
    n_units,
    reset_after,
):
    """Compute the input products of steps t_begin to t_end - 1, step after step, active rows only.

    Equally spaced rows are read where they stand; others are first gathered (``gathers``), to scratch or to
    the tape, where step t's begin at row ``start(t) + first``.
    """
    if gathers:
        done = 0
        for t in range(t_begin, t_end):
            rows = active(steps, t, first, last)
            for b in range(rows):
                source = x + user_row(steps, t, first + b) * n_inputs
                copy_row(gathered + (done + b) * n_inputs, source, n_inputs)
            done += rows
        _input_product(
            done,
            before,
            before_row,
            gathered,
            n_inputs,
            packed,
            n_inputs,
            n_units,
            reset_after,
        )
        return
    rows, n_ahead = last - first, t_end - t_begin
    base = x + user_row(steps, t_begin, first) * n_inputs
    if rows == 1 or steps.step == rows * steps.row_step:
        distance = steps.step if rows == 1 else steps.row_step
        _input_product(
            rows * n_ahead,
            before,
            before_row,
            base,
            distance * n_inputs,
            packed,
            n_inputs,
            n_units,
            reset_after,
        )
    elif rows >= n_ahead:
        for t in range(n_ahead):
            _input_product(
                rows,
                before + t * rows * before_row,
                before_row,
                base + t * steps.step * n_inputs,
                steps.row_step * n_inputs,
                packed,
                n_inputs,
                n_units,
                reset_after,
            )
    else:
        for b in range(rows):
            _input_product(
                n_ahead,
                before + b * before_row,
                rows * before_row,
                base + b * steps.row_step * n_inputs,
                steps.step * n_inputs,
                packed,
                n_inputs,
                n_units,
                reset_after,
            )


@inline
def _prefill_bias_of_hn(before, before_row, rows, bias, n_units):
    """Put the bias of hn into each row of pre-activations; the input products leave it alone."""
    wide = lanes(before)
    for vector in range(vectors_for(n_units, before)):
        place = 4 * wide * vector + 3 * wide
        value = load(bias + place)
        for row in range(rows):
            store(before + row * before_row + place, value)


@inline
def _write_states(
    output, h_n, state, state_row, n_units, steps, t, first, last, running
):
    """Hand the states after step t to the user's arrays; return how many sequences go on."""
    if output.shape[0] > 0:
        for b in range(running):
            target = pointer(output) + user_row(steps, t, first + b) * n_units
            copy_row(target, state + b * state_row, n_units)
    going_on = 0
    if t + 1 < steps.n_steps:
        going_on = active(steps, t + 1, first, last)
    for b in range(going_on, running):
        target = pointer(h_n) + user_number(steps, first + b) * n_units
        copy_row(target, state + b * state_row, n_units)
    return going_on


# -- inference ---------------------------------------------------------------------------------


@helper
def _infer_together(
    output, h_n, x, h_0, packed_array, steps, first, last, reset_after, work
):
    """Run sequences first to last - 1 through all steps; work is scratch of this call."""
    n_inputs, n_units = x.shape[1], h_n.shape[1]
    rows = last - first
    packed = aligned(pointer(packed_array))
    recurrent = recurrent_weights(packed, n_inputs, n_units)
    candidate = candidate_weights(packed, n_inputs, n_units)
    scratch = aligned(pointer(work))
    wide = lanes(scratch)
    padded = vectors_for(n_units, scratch) * wide
    before_row = _before_row(n_units, reset_after, scratch)
    rows_ahead = _rows_ahead(rows, before_row)

    states = scratch
    sums = states + 2 * rows * padded
    gates = sums + max(TILE_ROWS * 3 * wide, rows * padded)
    before = gates + 3 * rows * padded
    gathered = before + rows_ahead * before_row

    fill(states, 0.0, 2 * rows * padded)
    if h_0.shape[0] > 0:
        for b in range(rows):
            source = pointer(h_0) + user_number(steps, first + b) * n_units
            copy_row(states + b * padded, source, n_units)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        _prefill_bias_of_hn(before, before_row, rows_ahead, bias, n_units)

    running = active(steps, 0, first, last)
    for b in range(running, rows):
        target = pointer(h_n) + user_number(steps, first + b) * n_units
        copy_row(target, states + b * padded, n_units)
    t_ahead, place = 0, before
    for t in range(steps.n_steps):
        if running == 0:
            break
        if t == t_ahead:
            t_ahead = _steps_ahead(steps, t, first, last, before_row, scratch)
            place = before
            _inputs_ahead(
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
            )
        h = states + (t % 2) * rows * padded
        h_next = states + ((t + 1) % 2) * rows * padded
        if reset_after:
            _step_reset_after(
                running,
                h_next,
                h,
                padded,
                place,
                before_row,
                recurrent,
                n_units,
                sums,
                gates,
                False,
            )
        else:
            _step_reset_before(
                running,
                h_next,
                h,
                padded,
                place,
                before_row,
                recurrent,
                candidate,
                n_units,
                sums,
                gates,
                3 * padded,
                False,
            )
        place = place + running * before_row
        running = _write_states(
            output, h_n, h_next, padded, n_units, steps, t, first, last, running
        )


@inline
def _work_size(rows, n_inputs, n_units, reset_after, address):
    """Return how many numbers of scratch a run of ``rows`` sequences together needs."""
    wide = lanes(address)
    padded = vectors_for(n_units, address) * wide
    before_row = _before_row(n_units, reset_after, address)
    rows_ahead = _rows_ahead(rows, before_row)
    return (
        2 * rows * padded
        + max(TILE_ROWS * 3 * wide, rows * padded)
        + 3 * rows * padded
        + rows_ahead * (before_row + n_inputs)
        + slack(address)
    )


@kernel
def gru_inference(
    output,
    h_n,
    x,
    h_0,
    packed,
    n_steps,
    row_step,
    step,
    order,
    first,
    starts,
    begin,
    end,
    reset_after,
):
    """Run sequences begin to end - 1 of a batch, keeping nothing for a backward pass.

    Parameters
    ----------
    output : (rows, H), written where a sequence has a step; of 0 rows when not wanted
    h_n : (B, H), written: the state at each sequence's own end
    x : (rows, I)
    h_0 : (B, H), or of 0 rows: zeros
    packed : weights as ``pack_gru`` wrote them for this ``reset_after``
    n_steps, row_step, step, order, first, starts : the geometry, see ``steps``
    """
    steps = Steps(n_steps, h_n.shape[0], row_step, step, order, first, starts)
    together = min(_ROWS_TOGETHER, end - begin)
    size = _work_size(together, x.shape[1], h_n.shape[1], reset_after, pointer(x))
    work = np.empty(size, x.dtype)
    n_parts = (end - begin + _ROWS_TOGETHER - 1) // _ROWS_TOGETHER
    for part in range(n_parts):
        _infer_together(
            output,
            h_n,
            x,
            h_0,
            packed,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            reset_after,
            work,
        )


@parallel_kernel
def gru_inference_parallel(
    output,
    h_n,
    x,
    h_0,
    packed,
    n_steps,
    row_step,
    step,
    order,
    first,
    starts,
    bounds,
    reset_after,
):
    """Do what ``gru_inference`` does, a thread to each block of sequences.

    bounds : (blocks + 1,) int64, where each block begins and, last, where they end
    """
    for block in prange(bounds.size - 1):
        gru_inference(
            output,
            h_n,
            x,
            h_0,
            packed,
            n_steps,
            row_step,
            step,
            order,
            first,
            starts,
            bounds[block],
            bounds[block + 1],
            reset_after,
        )


# -- training ----------------------------------------------------------------------------------


@helper
def _train_together(
    tape,
    states,
    inputs,
    output,
    h_n,
    x,
    h_0,
    packed_array,
    steps,
    first,
    last,
    reset_after,
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
    before_row = _before_row(n_units, reset_after, scratch)
    rows_ahead = _rows_ahead(rows, before_row)

    sums = scratch
    before = sums + max(TILE_ROWS * 3 * wide, rows * padded)
    if reset_after:
        bias = biases(packed, n_inputs, n_units)
        _prefill_bias_of_hn(before, before_row, rows_ahead, bias, n_units)
    state = pointer(states) + first * n_units
    for b in range(rows):
        if h_0.shape[0] > 0:
            source = pointer(h_0) + user_number(steps, first + b) * n_units
            copy_row(state + b * n_units, source, n_units)
        else:
            fill(state + b * n_units, 0.0, n_units)

    running = active(steps, 0, first, last)
    for b in range(running, rows):
        target = pointer(h_n) + user_number(steps, first + b) * n_units
        copy_row(target, state + b * n_units, n_units)
    t_ahead, place = 0, before
    for t in range(steps.n_steps):
        if running == 0:
            break
        if t == t_ahead:
            t_ahead = _steps_ahead(steps, t, first, last, before_row, scratch)
            place = before
            _record_inputs(inputs, x, steps, t, t_ahead, first, last, n_inputs)
            _recorded_inputs_ahead(
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
            )
        row = start(steps, t) + first
        next_state = pointer(states) + (steps.batch + row) * n_units
        record = pointer(tape) + row * 4 * n_units
        if reset_after:
            _step_reset_after(
                running,
                next_state,
                state,
                n_units,
                place,
                before_row,
                recurrent,
                n_units,
                sums,
                record,
                True,
            )
        else:
            _step_reset_before(
                running,
                next_state,
                state,
                n_units,
                place,
                before_row,
                recurrent,
                candidate,
                n_units,
                sums,
                record,
                4 * n_units,
                True,
            )
        place = place + running * before_row
        state = next_state
        running = _write_states(
            output, h_n, state, n_units, n_units, steps, t, first, last, running
        )


@inline
def _record_inputs(inputs, x, steps, t_begin, t_end, first, last, n_inputs):
    """Copy the inputs of some steps to the tape, whose rows are packed."""
    for t in range(t_begin, t_end):
        target = pointer(inputs) + (start(steps, t) + first) * n_inputs
        for b in range(active(steps, t, first, last)):
            source = pointer(x) + user_row(steps, t, first + b) * n_inputs
            copy_row(target + b * n_inputs, source, n_inputs)


@inline
def _recorded_inputs_ahead(
    inputs,
    steps,
    t_begin,
    t_end,
    first,
    last,
    before,
    before_row,
    packed,
    n_inputs,
    n_units,
    reset_after,
):
    """Compute the products of some steps' inputs, which stand packed on the tape."""
    base = pointer(inputs)
    if last - first == steps.batch:
        row = start(steps, t_begin)
        _input_product(
            start(steps, t_end) - row,
            before,
            before_row,
            base + row * n_inputs,
            n_inputs,
            packed,
            n_inputs,
            n_units,
            reset_after,
        )
        return
    done = 0
    for t in range(t_begin, t_end):
        rows = active(steps, t, first, last)
        _input_product(
            rows,
            before + done * before_row,
            before_row,
            base + (start(steps, t) + first) * n_inputs,
            n_inputs,
            packed,
            n_inputs,
            n_units,
            reset_after,
        )
        done += rows


@kernel
def gru_forward(
    tape,
    states,
    inputs,
    output,
    h_n,
    x,
    h_0,
    packed,
    n_steps,
    row_step,
    step,
    order,
    first,
    starts,
    begin,
    end,
    reset_after,
):
    """Run sequences begin to end - 1 of a batch and keep what backward needs.

    Parameters
    ----------
    tape : (N * 4H + lanes,), written: per packed row [hn r z n]
    states : ((B + N) * H + lanes,), written: initial states in packed order, then each packed row's state
    inputs : (N * I,), written: x in packed rows, so that the caller may change x afterwards
    output, h_n, x, h_0, packed and the geometry : as in ``gru_inference``
    """
    steps = Steps(n_steps, h_n.shape[0], row_step, step, order, first, starts)
    together = min(_ROWS_TOGETHER, end - begin)
    size = _work_size(together, x.shape[1], h_n.shape[1], reset_after, pointer(x))
    work = np.empty(size, x.dtype)
    n_parts = (end - begin + _ROWS_TOGETHER - 1) // _ROWS_TOGETHER
    for part in range(n_parts):
        _train_together(
            tape,
            states,
            inputs,
            output,
            h_n,
            x,
            h_0,
            packed,
            steps,
            begin + part_start(end - begin, n_parts, part),
            begin + part_start(end - begin, n_parts, part + 1),
            reset_after,
            work,
        )


@parallel_kernel
def gru_forward_parallel(
    tape,
    states,
    inputs,
    output,
    h_n,
    x,
    h_0,
    packed,
    n_steps,
    row_step,
    step,
    order,
    first,
    starts,
    bounds,
    reset_after,
):
    """Do what ``gru_forward`` does, a thread to each block of sequences."""
    for block in prange(bounds.size - 1):
        gru_forward(
            tape,
            states,
            inputs,
            output,
            h_n,
            x,
            h_0,
            packed,
            n_steps,
            row_step,
            step,
            order,
            first,
            starts,
            bounds[block],
            bounds[block + 1],
            reset_after,
        )
