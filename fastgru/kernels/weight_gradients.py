"""The gradients of the weights and biases, from a tape that holds the gates' gradients.

Each thread owns some tiles of the result and sums over all packed rows, most of which
others have just written, or all tiles and some of the rows; no atomics, the same bits
for any number of threads.  See ``weight_sums`` for their order.
"""

import numpy as np

from fastgru._jit import Indices, Line, helper, inline, thread_work
from fastgru.kernels.one_hot import is_one_hot
from fastgru.kernels.products import (
    ROWS_AHEAD,
    TERMS,
    TILE_DISTANCE,
    begin_panel,
    copy_row,
    fold_row,
    pack_columns,
    pack_terms,
    packed_columns_size,
    panel_size,
    panel_start,
    panels_for,
    part_start,
    sum_products,
    tiles_for,
    vectors_for,
)
from fastgru.kernels.simd import (
    TILE_ROWS,
    TILE_VECTORS,
    aligned,
    lanes,
    pointer,
    slack,
)
from fastgru.kernels.steps import is_uniform, read_steps, start
from fastgru.kernels.tape_rows import write_gate_rows
from fastgru.kernels.weight_sums import (
    BLOCKS,
    copy_columns,
    first_rows,
    place_of_column,
    row_of_sums,
    rows_of_part,
    stand_together,
)

# Panels of a worker, and terms, from which on it first packs the columns that it
# multiplies with each of the panels: fewer are in the cache as they stand.
_FEWEST_PANELS, _FEWEST_TERMS = 2, 64


@inline
def _fold(sums, distance, n, block):
    fold_row(sums + distance, sums + 2 * distance, sums, n, block >= BLOCKS)


@helper
def _gather_previous(target, states, steps, t, row, n_terms, n_units):
    """Copy the states before some packed rows; t is at most the first one's step."""
    for k in range(n_terms):
        while row + k >= start(steps, t + 1):
            t += 1
        previous = row + k - start(steps, t)
        if t > 0:
            previous += steps.batch + start(steps, t - 1)
        copy_row(target + k * n_units, states + previous * n_units, n_units)
    return t


@inline
def _panel_sums_size(n_inputs, n_units, address):
    """Return the numbers of the sums of one panel, and of those of its columns."""
    return (max(n_inputs, n_units) + 1) * TILE_VECTORS * lanes(address)


@inline
def _columns_size(n_inputs, n_units, n_rows, address):
    """Return the numbers of the columns that are packed."""
    if n_rows < _FEWEST_TERMS:
        return 0
    return packed_columns_size(max(n_inputs, n_units), address)


@inline
def _count_shares(n_products, n_units, reset_after, address):
    """Count the tiles of the results: those of the input side, of that and h, of all.

    With reset_after the recurrent side is one product, of [n'r r' z'] with h; otherwise
    it is two, of [r' z'] with h and of n' with r * h, which the tape kept.
    """
    tiles = tiles_for(n_units)
    panels, candidate_panels = panels_for(vectors_for(3 * n_units, address)), 0
    if not reset_after:
        panels = panels_for(vectors_for(2 * n_units, address))
        candidate_panels = panels_for(vectors_for(n_units, address))
    inputs = panels_for(vectors_for(3 * n_units, address)) * tiles_for(n_products)
    both = inputs + panels * tiles
    return inputs, both, both + candidate_panels * tiles


@inline
def _share_at(position, n_rows, n_shares):
    """Return the share at a position; the last one's is the end of all."""
    return max(0, min(n_shares, position // n_rows))


@helper
def _share_of_product(
    gradient,
    bias_gradient,
    wants_bias,
    sums,
    sums_row,
    a,
    a_k,
    n_rows,
    tape,
    column,
    n_columns,
    n_units,
    rows,
    n_terms,
    n_zeros,
    share_begin,
    share_end,
    panel,
    panel_sums,
    columns,
    distance,
    block,
    n_blocks,
    keeps_parts,
):
    """Add one block of terms to some tiles of one weight's gradient.

    The gradient has ``n_rows`` rows; its columns are ``n_columns`` columns of the tape
    from ``column`` on, cut into panels and those into tiles, counted panel after panel.
    sums holds, on and on, the rows and then the sum of the columns (the gradient of a
    bias).  Of a single block the gradient itself holds them where a panel's columns
    stand there side by side; else panel_sums does, one panel at a time, which stays in
    the cache.  Totals of ``BLOCKS`` sums, if there are more blocks, stand ``distance``
    numbers behind the sums, and twice that far what rounding cut off of them.  After
    the last block the numbers are copied to where they belong.  With ``keeps_parts``
    neither is done: sums are those of a part, whose blocks ``block`` counts.
    rows : those of the tape, and some more; see ``pack_terms``
    n_zeros : first terms whose numbers of a are zeros, which are left out
    """
    wide = lanes(panel)
    n_vectors = vectors_for(n_columns, panel)
    n_tiles = tiles_for(n_rows)
    a_tile = 0
    has_panels = share_end - share_begin >= _FEWEST_PANELS * n_tiles
    if has_panels and n_terms >= _FEWEST_TERMS:
        pack_columns(columns, a, a_k, n_rows, n_terms)
        a, a_k, a_tile = columns, TILE_ROWS, TILE_DISTANCE
    adds, is_last = block % BLOCKS > 0, block == n_blocks - 1
    folds = n_blocks > BLOCKS and (is_last or block % BLOCKS == BLOCKS - 1)
    if keeps_parts:
        is_last, folds = False, False
    for p in range(share_begin // n_tiles, panels_for(n_vectors)):
        tile_begin = max(0, share_begin - p * n_tiles)
        tile_end = min(n_tiles, share_end - p * n_tiles)
        if tile_end <= 0:
            break
        begin = panel_start(n_vectors, p) * wide
        width = panel_start(n_vectors, p + 1) - begin // wide
        first = column + begin
        end = min(first + width * wide, column + n_columns)
        place, row_size = sums + begin, sums_row
        if n_blocks == 1:
            place, row_size = panel_sums, width * wide
        bias_place = place + n_rows * row_size
        is_in_place = (
            n_blocks == 1
            and end - first == width * wide
            and stand_together(first, end, n_units)
        )
        if is_in_place:
            place, row_size = gradient + place_of_column(first, n_units), 3 * n_units
            bias_place = bias_gradient + place_of_column(first, n_units)
        has_bias = wants_bias and tile_begin == 0
        pack_terms(
            panel,
            width,
            tape + column + begin,
            4 * n_units,
            rows,
            n_terms,
            bias_place,
            has_bias,
            adds,
        )
        sum_products(
            place,
            row_size,
            a,
            a_k,
            a_tile,
            panel,
            width,
            tile_begin,
            tile_end,
            n_rows,
            n_zeros,
            n_terms,
            adds,
        )
        row_begin = part_start(n_rows, n_tiles, tile_begin)
        row_end = part_start(n_rows, n_tiles, tile_end)
        if folds:
            for row in range(row_begin, row_end):
                _fold(place + row * row_size, distance, width * wide, block)
            if has_bias:
                _fold(bias_place, distance, width * wide, block)
        if is_last and not is_in_place:
            if folds:
                place, bias_place = place + distance, bias_place + distance
            for row in range(row_begin, row_end):
                target = gradient + row * 3 * n_units
                copy_columns(target, place + row * row_size, first, end, n_units)
            if has_bias:
                copy_columns(bias_gradient, bias_place, first, end, n_units)


@helper
def _sum_over_rows(
    gradient,
    n_inputs,
    n_units,
    tape_array,
    seen,
    inputs,
    n_columns,
    sums_array,
    steps,
    blocks,
    n_rows,
    first_row,
    last_row,
    begin,
    end,
    keeps_parts,
    from_zeros,
    reset_after,
    rows,
    work,
):
    """Sum over some rows for shares begin to end - 1, as ``_count_shares`` counts them.

    seen : previous states as the recurrent products saw them
    sums : scratch of all workers of ``sums_size`` numbers: (I + 1) + (H + 1) rows for
        the two weights and their biases; so many again for totals and for what rounding
        cut off of those, if there are blocks enough, or for each further part
    keeps_parts : whether the rows are those of one part, whose sums are only kept
    from_zeros : whether the first states are zeros
    rows : (TERMS + ROWS_AHEAD,) int64, scratch, as is work: a panel of terms, the sums
        of one, columns packed, and rows gathered that do not stand together
    """
    d_weight_ih = pointer(gradient)
    d_weight_hh = d_weight_ih + 3 * n_units * n_inputs
    d_bias_ih = d_weight_hh + 3 * n_units * n_units
    d_bias_hh = d_bias_ih + 3 * n_units
    wants_bias = gradient.size > 3 * n_units * (n_inputs + n_units)
    tape = pointer(tape_array)
    panel = begin_panel(aligned(pointer(work)))
    panel_sums = aligned(pointer(work)) + panel_size(n_rows, panel)
    # Rows of the input weights that are products here; see ``one_hot`` for the others.
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    columns = panel_sums + _panel_sums_size(n_products, n_units, panel)
    gathered = columns + _columns_size(n_products, n_units, n_rows, panel)
    candidate_begin, sums_row = row_of_sums(n_units, panel)
    distance = (n_products + n_units + 2) * sums_row
    input_sums = aligned(pointer(sums_array))
    if keeps_parts:
        input_sums = input_sums + first_row // rows_of_part(n_rows) * distance
    recurrent_sums = input_sums + (n_products + 1) * sums_row

    column, n_columns, n_candidate = 0, 3 * n_units, 0
    if not reset_after:
        column, n_columns, n_candidate = n_units, 2 * n_units, n_units
    input_share, both_shares, _ = _count_shares(n_products, n_units, reset_after, panel)
    n_blocks = (n_rows + TERMS - 1) // TERMS
    n_first = start(steps, 1) if from_zeros else 0  # rows of the first step
    t = 0
    for row in range(first_row, last_row, TERMS):
        n_terms, block = min(TERMS, last_row - row), (row - first_row) // TERMS
        n_zeros = max(0, min(n_terms, n_first - row))
        write_gate_rows(rows, steps, blocks, row, n_terms + ROWS_AHEAD)
        if begin < input_share:
            _share_of_product(
                d_weight_ih,
                d_bias_ih,
                wants_bias,
                input_sums,
                sums_row,
                pointer(inputs) + row * n_products,
                n_products,
                n_products,
                tape,
                n_units,
                3 * n_units,
                n_units,
                rows,
                n_terms,
                0,
                begin,
                min(end, input_share),
                panel,
                panel_sums,
                columns,
                distance,
                block,
                n_blocks,
                keeps_parts,
            )
        if begin < both_shares and end > input_share:
            previous = pointer(seen) + row * n_units
            if not is_uniform(steps):
                t = _gather_previous(
                    gathered, pointer(seen), steps, t, row, n_terms, n_units
                )
                previous = gathered
            _share_of_product(
                d_weight_hh,
                d_bias_hh,
                wants_bias,
                recurrent_sums,
                sums_row,
                previous,
                n_units,
                n_units,
                tape,
                column,
                n_columns,
                n_units,
                rows,
                n_terms,
                n_zeros,
                max(0, begin - input_share),
                min(end, both_shares) - input_share,
                panel,
                panel_sums,
                columns,
                distance,
                block,
                n_blocks,
                keeps_parts,
            )
        if end > both_shares:
            # r * h, which the tape kept.
            for k in range(n_terms):
                source = tape + rows[k] * 4 * n_units
                copy_row(gathered + k * n_units, source, n_units)
            _share_of_product(
                d_weight_hh,
                d_bias_hh,
                wants_bias,
                recurrent_sums + candidate_begin,
                sums_row,
                gathered,
                n_units,
                n_units,
                tape,
                3 * n_units,
                n_candidate,
                n_units,
                rows,
                n_terms,
                n_zeros,
                max(0, begin - both_shares),
                end - both_shares,
                panel,
                panel_sums,
                columns,
                distance,
                block,
                n_blocks,
                keeps_parts,
            )


@thread_work
def weight_gradient_share(
    gradient: Line,
    n_inputs: int,
    n_units: int,
    tape: Line,
    seen: Line,
    inputs: Line,
    n_columns: int,
    sums: Line,
    geometry: Indices,
    blocks: Indices,
    worker: int,
    n_workers: int,
    keeps_parts: int,
    from_zeros: int,
    reset_after: int,
):
    """Compute one worker's share of the gradients of the weights and biases.

    Each worker gets as much of the rows times the tiles of the results as any other:
    some of the tiles, or with ``keeps_parts`` all those of some parts and some of the
    first and the last; then sums are only kept, for ``add_up_parts``, the first
    worker's as one.
    """
    steps = read_steps(geometry)
    n_rows = start(steps, steps.n_steps)
    gathered = 0 if is_uniform(steps) and reset_after else TERMS * n_units
    panels = panel_size(n_rows, pointer(tape))
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    panels += _panel_sums_size(n_products, n_units, pointer(tape))
    panels += _columns_size(n_products, n_units, n_rows, pointer(tape))
    size = panels + gathered + slack(pointer(tape))
    work = np.empty(size, tape.dtype)
    rows = np.empty(TERMS + ROWS_AHEAD, np.int64)
    _, _, n_shares = _count_shares(n_products, n_units, reset_after, pointer(tape))
    begin = part_start(n_rows * n_shares, n_workers, worker)
    end = part_start(n_rows * n_shares, n_workers, worker + 1)
    first_row, n_own = 0, n_rows
    if keeps_parts:
        n_own = min(first_rows(n_rows, n_workers), n_rows)
    while first_row < n_rows:
        share_begin = _share_at(begin - first_row * n_shares, n_own, n_shares)
        share_end = _share_at(end - first_row * n_shares, n_own, n_shares)
        if share_begin < share_end:
            _sum_over_rows(
                gradient,
                n_inputs,
                n_units,
                tape,
                seen,
                inputs,
                n_columns,
                sums,
                steps,
                blocks,
                n_rows,
                first_row,
                first_row + n_own,
                share_begin,
                share_end,
                keeps_parts,
                from_zeros,
                reset_after,
                rows,
                work,
            )
        first_row += n_own
        n_own = min(rows_of_part(n_rows), n_rows - first_row)
