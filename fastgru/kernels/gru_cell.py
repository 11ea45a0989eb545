"""One step of the two cells, forward and backward.

With s the logistic sigmoid, for each unit (Cho et al. 2014, arXiv:1406.1078, section
2.3, and its variant with the reset gate after the product):

    r  = s(W_r x + b_ir + U_r h + b_hr)
    z  = s(W_z x + b_iz + U_z h + b_hz)
    n  = tanh(W_n x + b_in + r * (U_n h + b_hn))      reset_after
    n  = tanh(W_n x + b_in + b_hn + U_n (r * h))      otherwise
    h' = (1 - z) * n + z * h

Dropout on the recurrent side multiplies h by a mask wherever it meets U, and nowhere
else.  With d the gradient of h', and ' of a gate meaning the gradient of its
pre-activation:

    n' = d (1 - z) (1 - n^2)         z' = d (h - n) z (1 - z)

    reset_after:    r' = n' hn r (1 - r)
                    gradient of h = d z + (n' r) U_n + r' U_r + z' U_z
    otherwise:      r' = q h r (1 - r) with q = n' U_n
                    gradient of h = d z + q r + r' U_r + z' U_z

A row of the tape holds [hn r z n], each H numbers, where hn = U_n h + b_hn with
``reset_after`` and r * h otherwise.  Backward writes [n'r r' z' n'] over it, or
[rh r' z' n'], so that the recurrent and the input side each read what they need.
"""

from fastgru._jit import compiled_once, inline
from fastgru.kernels.activations import gate, gate_and_tanh, inverse_gate, tanh
from fastgru.kernels.assembly_gates import HAS_GATES, new_states_of_4_rows
from fastgru.kernels.packing import biases, recurrent_weights
from fastgru.kernels.products import (
    in_turn,
    part_ahead,
    part_start,
    product_share,
    tiles_for,
    to_next_panel,
    vectors_for,
)
from fastgru.kernels.simd import (
    REGISTERS,
    REGISTERS_PER_LINE,
    TILE_VECTORS,
    beside,
    first_half,
    fma,
    lanes,
    load,
    load_1_row,
    load_2_rows,
    load_4_rows,
    load_lanes,
    prefetch,
    prefetch_to_write,
    second_half,
    store,
    store_lanes,
    store_rows,
    store_rows_lanes,
    stream_rows,
)
from fastgru.kernels.tile import (
    WIDE_PANELS,
    gates_tile,
    tile_2,
    tile_3,
    wide_tile_3,
)

# Bytes of a panel's weights for one term, and of the first cache of most CPUs.
_BYTES_OF_TERM = TILE_VECTORS * REGISTERS.size
_FIRST_CACHE = 32768
# Panels of a single row side by side while weights come from the second cache: two as
# wide as a cache line are sums enough then, or as much of narrower ones.
_FEW_PANELS = min(WIDE_PANELS, 2 * REGISTERS_PER_LINE)


@inline
def _store_valid(target, value, valid):
    """Write the units that exist: a row's last register may reach into the next row."""
    if valid == lanes(target):
        store(target, value)
    else:
        store_lanes(target, value, valid)


# -- forward ---------------------------------------------------------------------------


@inline
def _new_state(z, n, h):
    return fma(z, h - n, n)


@inline
def _store_valid_rows(target, distance, value, valid):
    """Write registers so many numbers apart, the units that exist."""
    if valid == lanes(target):
        store_rows(target, distance, value)
    else:
        store_rows_lanes(target, distance, value, valid)


@inline
def _write_records(record, record_row, n_units, hn, r, z, n, valid, streams):
    """Write registers of some rows of the tape."""
    if streams:
        stream_rows(record, record_row, hn)
        stream_rows(record + n_units, record_row, r)
        stream_rows(record + 2 * n_units, record_row, z)
        stream_rows(record + 3 * n_units, record_row, n)
    else:
        _store_valid_rows(record, record_row, hn, valid)
        _store_valid_rows(record + n_units, record_row, r, valid)
        _store_valid_rows(record + 2 * n_units, record_row, z, valid)
        _store_valid_rows(record + 3 * n_units, record_row, n, valid)


def _make_finish(load_rows, two_at_a_time):
    """Make what computes registers of new states from their finished sums.

    Several registers, so that a CPU finds operations that do not wait for each other;
    ``two_at_a_time`` computes two gates side by side.
    """

    @inline
    def finish(
        sums,
        sums_row,
        before_n,
        before_row,
        h,
        h_next,
        h_row,
        record,
        record_row,
        n_units,
        valid,
        training,
        streams,
    ):
        wide = lanes(h)
        if two_at_a_time:
            sums_of_both = beside(
                load_rows(sums, sums_row), load_rows(sums + wide, sums_row)
            )
            inverses = inverse_gate(sums_of_both)
            inverse_r, inverse_z = first_half(inverses), second_half(inverses)
        else:
            inverse_r = inverse_gate(load_rows(sums, sums_row))
            inverse_z = inverse_gate(load_rows(sums + wide, sums_row))
        r = 1.0 / inverse_r
        hn = load_rows(sums + 2 * wide, sums_row)
        z, n = gate_and_tanh(inverse_z, fma(r, hn, load_rows(before_n, before_row)))
        new = _new_state(z, n, load_rows(h, h_row))
        if training:
            _store_valid_rows(h_next, h_row, new, valid)
            _write_records(record, record_row, n_units, hn, r, z, n, valid, streams)
        else:
            store_rows(h_next, h_row, new)

    return finish


_finish_1, _finish_2 = (
    _make_finish(load_1_row, True),
    _make_finish(load_2_rows, True),
)


@inline
def _finish_4_in_assembly(
    sums,
    sums_row,
    before_n,
    before_row,
    h,
    h_next,
    h_row,
    record,
    record_row,
    n_units,
    valid,
    training,
    streams,
):
    wide = lanes(h)
    new = new_states_of_4_rows(sums, sums_row, before_n, before_row, h, h_row)
    if training:
        hn = load_4_rows(sums + 2 * wide, sums_row)
        r, z = load_4_rows(sums, sums_row), load_4_rows(sums + wide, sums_row)
        n = load_4_rows(before_n, before_row)
        _store_valid_rows(h_next, h_row, new, valid)
        _write_records(record, record_row, n_units, hn, r, z, n, valid, streams)
    else:
        store_rows(h_next, h_row, new)


_finish_4 = _finish_4_in_assembly if HAS_GATES else _make_finish(load_4_rows, False)


@inline
def _finish_reset_after(
    rows,
    sums,
    sums_row,
    before_n,
    before_row,
    h,
    h_next,
    h_row,
    record,
    record_row,
    n_units,
    valid,
    training,
    streams,
):
    """Compute new states of some rows, a register each, and the tape when training."""
    i = 0
    while i + 4 <= rows:
        _finish_4(
            sums + i * sums_row,
            sums_row,
            before_n + i * before_row,
            before_row,
            h + i * h_row,
            h_next + i * h_row,
            h_row,
            record + i * record_row,
            record_row,
            n_units,
            valid,
            training,
            streams,
        )
        i += 4
    if i + 2 <= rows:
        _finish_2(
            sums + i * sums_row,
            sums_row,
            before_n + i * before_row,
            before_row,
            h + i * h_row,
            h_next + i * h_row,
            h_row,
            record + i * record_row,
            record_row,
            n_units,
            valid,
            training,
            streams,
        )
        i += 2
    if i < rows:
        _finish_1(
            sums + i * sums_row,
            sums_row,
            before_n + i * before_row,
            before_row,
            h + i * h_row,
            h_next + i * h_row,
            h_row,
            record + i * record_row,
            record_row,
            n_units,
            valid,
            training,
            streams,
        )


@inline
def _keeps_panels(n_panels, n_units):
    """Whether the first cache keeps the weights of so many panels for the next step."""
    return n_panels * n_units * _BYTES_OF_TERM <= _FIRST_CACHE


@inline
def _fetch_states(rows, h_next, h_row):
    """Fetch the lines of states that a tile is going to write.

    Caches do not hold a long output: writing it would wait for its lines.
    """
    for i in range(rows):
        prefetch_to_write(h_next + i * h_row)


@compiled_once
def step_reset_after(
    rows: int,
    h_next,
    h,
    seen,
    h_row: int,
    before,
    before_row: int,
    weights,
    n_units: int,
    n_seen: int,
    sums,
    tape,
    training: int,
    descends: int,
    begin: int,
    end: int,
):
    """One step of ``rows`` sequences, for registers of units begin to end - 1.

    seen : h as the products see it: h itself, or h times a dropout mask
    n_seen : numbers of it that count: n_units, or 0 while all states are zero
    before : per row and register of units [n r z hn]: the pre-activations so far, of
        hn its bias
    sums : scratch, TILE_ROWS * 3 registers
    tape : rows of 4H numbers, written when training
    descends : whether the last units come first, as in every other step; see
        ``products.in_turn``
    """
    wide = lanes(h)
    if rows == 1:
        # Of weights that the first cache does not keep, those of few panels are not too
        # much for it: who goes through panels forth and back finds the last ones there.
        together = WIDE_PANELS
        n_groups = (end - begin + WIDE_PANELS - 1) // WIDE_PANELS
        if not _keeps_panels(end - begin, n_units):
            together = _FEW_PANELS
            n_groups = (end - begin + _FEW_PANELS - 1) // _FEW_PANELS
        for k in range(n_groups):
            vector = begin + in_turn(k, 0, n_groups, descends) * together
            panels = min(together, end - vector)
            wide_tile_3(
                panels,
                sums,
                3 * wide,
                before + vector * 4 * wide + wide,
                4 * wide,
                seen,
                weights + vector * wide * 3 * n_units,
                wide * 3 * n_units,
                3 * wide,
                n_seen,
            )
            # Registers side by side; a last one that is not full stands alone.
            whole = min(panels, n_units // wide - vector)
            for p, count in ((0, whole), (whole, panels - whole)):
                unit = (vector + p) * wide
                _finish_reset_after(
                    count,
                    sums + p * 3 * wide,
                    3 * wide,
                    before + unit * 4,
                    4 * wide,
                    h + unit,
                    h_next + unit,
                    wide,
                    tape + unit,
                    wide,
                    n_units,
                    min(wide, n_units - unit),
                    training,
                    False,
                )
        return
    n_tiles = tiles_for(rows)
    n_vectors = 3 * vectors_for(n_units, h)
    to_next = to_next_panel(n_vectors, 3, n_units, descends, weights)
    for k in range(end - begin):
        vector = in_turn(k, begin, end, descends)
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
                seen + i * h_row,
                h_row,
                panel,
                3 * wide,
                n_seen,
                part_ahead(to_next, 3, tile, n_units, weights),
                tape,
                0,
                0,
            )
            place = i * h_row + unit
            _finish_reset_after(
                height,
                sums,
                3 * wide,
                first + i * before_row,
                before_row,
                h + place,
                h_next + place,
                h_row,
                tape + i * 4 * n_units + unit,
                4 * n_units,
                n_units,
                valid,
                training,
                False,
            )


@compiled_once
def whole_step_reset_after(
    rows: int,
    h_next,
    h,
    seen,
    h_row: int,
    x,
    x_row: int,
    n_inputs: int,
    weights,
    n_units: int,
    n_seen: int,
    sums,
    tape,
    training: int,
    fetches: int,
    streams: int,
    descends: int,
    begin: int,
    end: int,
):
    """Do the same with the products of the step's own inputs, not computed before.

    weights : as packed, of the inputs, the states and the biases
    sums : scratch, TILE_ROWS * 4 registers
    fetches : whether h_next is to be fetched first
    streams : whether the tape is to be written past the caches
    """
    wide = lanes(h)
    recurrent = recurrent_weights(weights, n_inputs, n_units)
    bias = biases(weights, n_inputs, n_units)
    n_tiles = tiles_for(rows)
    for k in range(end - begin):
        vector = in_turn(k, begin, end, descends)
        unit = vector * wide
        valid = min(wide, n_units - unit)
        for tile in range(n_tiles):
            i = part_start(rows, n_tiles, tile)
            height = part_start(rows, n_tiles, tile + 1) - i
            place = i * h_row + unit
            record = tape + i * 4 * n_units + unit
            begins_line = k % REGISTERS_PER_LINE == 0
            if fetches and begins_line:
                _fetch_states(height, h_next + place, h_row)
            n_lines = 4 * height if training and not streams and begins_line else 0
            gates_tile(
                height,
                sums,
                bias + unit * 4,
                x + i * x_row,
                x_row,
                weights + unit * 3 * n_inputs,
                n_inputs,
                seen + i * h_row,
                h_row,
                recurrent + unit * 3 * n_units,
                n_seen,
                record,
                n_units,
                n_lines,
            )
            _finish_reset_after(
                height,
                sums + wide,
                4 * wide,
                sums,
                4 * wide,
                h + place,
                h_next + place,
                h_row,
                record,
                4 * n_units,
                n_units,
                valid,
                training,
                streams,
            )


@compiled_once
def reset_before(
    rows: int,
    seen,
    h_row: int,
    before,
    before_row: int,
    weights,
    n_units: int,
    sums,
    gates,
    gates_row: int,
    training: int,
    descends: int,
    begin: int,
    end: int,
):
    """First half of a step of the cell that resets before the product: r * h and z.

    seen : h as the products see it
    before : per row [r z] of each register of units, then all of n
    sums : scratch, TILE_ROWS * 2 registers
    gates : per row r * h, and z two parts further: the tape, whose parts are H numbers,
        or without training scratch with parts of HP numbers
    """
    wide = lanes(seen)
    part = n_units if training else vectors_for(n_units, seen) * wide
    n_tiles = tiles_for(rows)
    n_vectors = 2 * vectors_for(n_units, seen)
    to_next = to_next_panel(n_vectors, 2, n_units, descends, weights)
    for k in range(end - begin):
        vector = in_turn(k, begin, end, descends)
        unit = vector * wide
        valid = min(wide, n_units - unit)
        for tile in range(n_tiles):
            i = part_start(rows, n_tiles, tile)
            height = part_start(rows, n_tiles, tile + 1) - i
            tile_2(
                height,
                sums,
                2 * wide,
                before + i * before_row + 2 * unit,
                before_row,
                seen + i * h_row,
                h_row,
                weights + 2 * unit * n_units,
                2 * wide,
                n_units,
                part_ahead(to_next, 2, tile, n_units, weights),
                gates,
                0,
                0,
            )
            for q in range(height):
                place = sums + q * 2 * wide
                both = gate(beside(load(place), load(place + wide)))
                r, z = first_half(both), second_half(both)
                reset = r * load(seen + (i + q) * h_row + unit)
                record = gates + (i + q) * gates_row + unit
                if training:
                    _store_valid(record, reset, valid)
                    _store_valid(record + part, r, valid)
                    _store_valid(record + 2 * part, z, valid)
                else:
                    store(record, reset)
                    store(record + 2 * part, z)


@compiled_once
def candidate_before(
    rows: int,
    h_next,
    h,
    h_row: int,
    before,
    before_row: int,
    candidate,
    n_units: int,
    sums,
    gates,
    gates_row: int,
    training: int,
    descends: int,
    begin: int,
    end: int,
):
    """Second half of such a step: the candidate over r * h, and the new state.

    sums : scratch, rows * HP numbers; the rest as in ``reset_before``
    """
    wide = lanes(h)
    n_vectors = vectors_for(n_units, h)
    part = n_units if training else n_vectors * wide
    sums_row = n_vectors * wide
    product_share(
        rows,
        sums,
        sums_row,
        before + 2 * sums_row,
        before_row,
        gates,
        gates_row,
        candidate,
        n_vectors,
        n_units,
        descends,
        begin,
        end,
    )
    for i in range(rows):
        for vector in range(begin, end):
            unit = vector * wide
            valid = min(wide, n_units - unit)
            record = gates + i * gates_row + unit
            place = i * h_row + unit
            n = tanh(load(sums + i * sums_row + unit))
            new = _new_state(load(record + 2 * part), n, load(h + place))
            if training:
                _store_valid(h_next + place, new, valid)
                _store_valid(record + 3 * part, n, valid)
            else:
                store(h_next + place, new)


# -- backward --------------------------------------------------------------------------


@inline
def _one_minus_square(n):
    return fma(-n, n, 1.0)


@inline
def _state_gradient(d_state, d_output, has_d_output, to_next, valid):
    """Return a register of the state's gradient: from later steps and the output.

    That of the next step to come is fetched: rows of many sequences no CPU foresees.
    """
    d = load(d_state)
    if has_d_output:
        prefetch(d_output + to_next)
        if valid == lanes(d_state):
            d = d + load(d_output)
        else:
            d = d + load_lanes(d_output, valid)
    return d


@compiled_once
def gates_reset_after(
    rows: int,
    tape,
    h,
    d_state,
    d_state_row: int,
    d_output,
    d_output_row: int,
    has_d_output: int,
    to_next: int,
    n_units: int,
    begin: int,
    end: int,
):
    """Write the gate gradients of some rows over their tape; d_state becomes d z.

    to_next : how far behind rows of d_output those of the next step to come stand
    """
    wide = lanes(h)
    for i in range(rows):
        for vector in range(begin, end):
            unit = vector * wide
            valid = min(wide, n_units - unit)
            record = tape + i * 4 * n_units + unit
            ds = d_state + i * d_state_row + unit
            hn, r = load(record), load(record + n_units)
            z, n = load(record + 2 * n_units), load(record + 3 * n_units)
            dy = d_output + i * d_output_row + unit
            d = _state_gradient(ds, dy, has_d_output, to_next, valid)
            dn = d * (1.0 - z) * _one_minus_square(n)
            dz = d * (load(h + i * n_units + unit) - n) * z * (1.0 - z)
            dr = dn * hn * r * (1.0 - r)
            _store_valid(record, dn * r, valid)
            _store_valid(record + n_units, dr, valid)
            _store_valid(record + 2 * n_units, dz, valid)
            _store_valid(record + 3 * n_units, dn, valid)
            store(ds, d * z)


@compiled_once
def gates_reset_before(
    rows: int,
    tape,
    h,
    d_state,
    d_state_row: int,
    d_output,
    d_output_row: int,
    has_d_output: int,
    to_next: int,
    n_units: int,
    begin: int,
    end: int,
):
    """Write z' and n' of some rows over their tape; d_state becomes d z.

    r' comes later, since it needs n' U_n; to_next as in ``gates_reset_after``.
    """
    wide = lanes(h)
    for i in range(rows):
        for vector in range(begin, end):
            unit = vector * wide
            valid = min(wide, n_units - unit)
            record = tape + i * 4 * n_units + unit
            ds = d_state + i * d_state_row + unit
            z, n = load(record + 2 * n_units), load(record + 3 * n_units)
            dy = d_output + i * d_output_row + unit
            d = _state_gradient(ds, dy, has_d_output, to_next, valid)
            dn = d * (1.0 - z) * _one_minus_square(n)
            dz = d * (load(h + i * n_units + unit) - n) * z * (1.0 - z)
            _store_valid(record + 2 * n_units, dz, valid)
            _store_valid(record + 3 * n_units, dn, valid)
            store(ds, d * z)


@compiled_once
def reset_gate_before(
    rows: int,
    tape,
    seen,
    d_seen,
    d_reset,
    d_state_row: int,
    n_units: int,
    begin: int,
    end: int,
):
    """Write r' of some rows over their tape; add what r * h hands to what it saw."""
    wide = lanes(seen)
    for i in range(rows):
        for vector in range(begin, end):
            unit = vector * wide
            valid = min(wide, n_units - unit)
            record = tape + i * 4 * n_units + n_units + unit
            ds = d_seen + i * d_state_row + unit
            r, q = load(record), load(d_reset + i * d_state_row + unit)
            dr = q * load(seen + i * n_units + unit) * r * (1.0 - r)
            _store_valid(record, dr, valid)
            store(ds, fma(q, r, load(ds)))
