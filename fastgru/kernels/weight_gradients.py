"""The gradients of the weights and biases, from a tape that holds the gates' gradients.

Each thread owns some tiles of the result and sums over all rows, most of which others
have just written, or all tiles and some of the rows; no atomics, the same bits for any
number of threads.  See ``weight_sums`` for their order.

Of a block of rows a few columns of the tape at a time are copied side by side, a panel,
and multiplied with all that they are multiplied with: the inputs, the states, or both.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgru._jit import Indices, Line, helper, inline, thread_work
from fastgru.kernels.one_hot import is_one_hot
from fastgru.kernels.products import (
    ROWS_AHEAD,
    TERMS,
    TILE_DISTANCE,
    add_row,
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
    keep_alive,
    lanes,
    pointer,
    slack,
)
from fastgru.kernels.steps import is_uniform, read_steps, start
from fastgru.kernels.tape_rows import read_blocks, write_gate_rows
from fastgru.kernels.weight_sums import (
    BLOCKS,
    COLUMN_GROUPS,
    columns_of_group,
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
def _columns_size(n, n_rows, address):
    """Return the numbers of so many columns that are packed."""
    return packed_columns_size(n, address) if n_rows >= _FEWEST_TERMS else 0


@inline
def _count_tiles(columns, n_products, n_units):
    """Count the tiles of products of one panel: with the inputs, and with states."""
    n_input_tiles = tiles_for(n_products) if columns.with_inputs else 0
    return n_input_tiles, tiles_for(n_units) if columns.with_states else 0


@inline
def _count_shares(n_products, n_units, reset_after, address):
    """Count the tiles of all results: panel after panel of each group of columns."""
    n_shares = 0
    for group in range(COLUMN_GROUPS):
        columns = columns_of_group(group, n_products, n_units, reset_after, address)
        n_input_tiles, n_state_tiles = _count_tiles(columns, n_products, n_units)
        n_panels = panels_for(vectors_for(columns.n, address))
        n_shares += n_panels * (n_input_tiles + n_state_tiles)
    return n_shares


@inline
def _share_at(position, n_rows, n_shares):
    """Return the share at a position; the last one's is the end of all."""
    return max(0, min(n_shares, position // n_rows))


class _Side(NamedTuple):
    """A weight and its bias: those of the inputs, or those of the states."""

    # Addresses of the gradients, and of the rows of sums.
    weight: Any
    bias: Any
    sums: Any
    n_rows: int  # of the weight's gradient
    wants_bias: bool


class _Panel(NamedTuple):
    """A few columns of a block of the tape's rows, side by side."""

    terms: Any  # address
    n_terms: int
    width: int  # registers
    column: int  # of the tape, the first
    end: int
    place: int  # of the first in a row of sums
    sums: Any  # address of those of the columns


class _Block(NamedTuple):
    """The rows of the tape that are added up from zero."""

    number: int
    n_blocks: int
    # How far totals stand behind sums, and behind those what rounding cut off of them.
    distance: int
    keeps_parts: bool


@helper
def _add_products(
    side,
    a,
    a_k,
    a_tile,
    n_zeros,
    panel,
    block,
    panel_sums,
    sums_row,
    tile_begin,
    tile_end,
    n_units,
):
    """Add products of a panel to some tiles of one weight's gradient.

    Sums are rows, and then the sum of the columns (the gradient of a bias).  Of a
    single block the gradient itself holds them where a panel's columns stand there side
    by side; else panel_sums does, one panel at a time, which stays in the cache.  Of
    more than ``BLOCKS`` blocks there are totals.  After the last block the numbers are
    copied to where they belong.  With ``keeps_parts`` neither is done: sums are those
    of a part, whose blocks are counted.

    a, a_k, a_tile : what the panel is multiplied with; see ``sum_products``
    n_zeros : first terms whose numbers of a are zeros, which are left out
    """
    size = panel.width * lanes(panel.terms)
    n_tiles, n_blocks = tiles_for(side.n_rows), block.n_blocks
    adds, is_last = block.number % BLOCKS > 0, block.number == n_blocks - 1
    folds = n_blocks > BLOCKS and (is_last or block.number % BLOCKS == BLOCKS - 1)
    if block.keeps_parts:
        is_last, folds = False, False
    place, row_size = side.sums + panel.place, sums_row
    if n_blocks == 1:
        place, row_size = panel_sums, size
    bias_place = place + side.n_rows * row_size
    is_in_place = (
        n_blocks == 1
        and panel.end - panel.column == size
        and stand_together(panel.column, panel.end, n_units)
    )
    if is_in_place:
        row_size = 3 * n_units
        place = side.weight + place_of_column(panel.column, n_units)
        bias_place = side.bias + place_of_column(panel.column, n_units)
    sum_products(
        place,
        row_size,
        a,
        a_k,
        a_tile,
        panel.terms,
        panel.width,
        tile_begin,
        tile_end,
        side.n_rows,
        n_zeros,
        panel.n_terms,
        adds,
    )
    row_begin = part_start(side.n_rows, n_tiles, tile_begin)
    row_end = part_start(side.n_rows, n_tiles, tile_end)
    has_bias = side.wants_bias and tile_begin == 0
    if has_bias and adds:
        add_row(bias_place, panel.sums, size)
    elif has_bias:
        copy_row(bias_place, panel.sums, size)
    if folds:
        for row in range(row_begin, row_end):
            _fold(place + row * row_size, block.distance, size, block.number)
        if has_bias:
            _fold(bias_place, block.distance, size, block.number)
        place, bias_place = place + block.distance, bias_place + block.distance
    if is_last and not is_in_place:
        for row in range(row_begin, row_end):
            target = side.weight + row * 3 * n_units
            source = place + row * row_size
            copy_columns(target, source, panel.column, panel.end, n_units)
        if has_bias:
            copy_columns(side.bias, bias_place, panel.column, panel.end, n_units)


@helper
def _sum_over_rows(
    gradient,
    has_bias,
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

    gradient, tape, seen, inputs, sums, rows, work : addresses
    seen : previous states as the recurrent products saw them
    sums : scratch of all workers of ``sums_size`` numbers: (I + 1) + (H + 1) rows for
        the two weights and their biases; so many again for totals and for what rounding
        cut off of those, if there are blocks enough, or for each further part
    keeps_parts : whether the rows are those of one part, whose sums are only kept
    from_zeros : whether the first states are zeros
    rows : scratch, TERMS + ROWS_AHEAD numbers
    work : scratch: a panel of terms, sums of its columns and of one panel, inputs and
        states packed, and rows gathered that do not stand together
    """
    bias = gradient + 3 * n_units * (n_inputs + n_units)
    terms = begin_panel(aligned(work))
    wide = lanes(terms)
    # Rows of the input weights that are products here; see ``one_hot`` for the others.
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    column_sums = aligned(work) + panel_size(n_rows, terms)
    panel_sums = column_sums + TILE_VECTORS * wide
    packed_inputs = panel_sums + _panel_sums_size(n_products, n_units, terms)
    packed_states = packed_inputs + _columns_size(n_products, n_rows, terms)
    gathered = packed_states + _columns_size(n_units, n_rows, terms)
    _, sums_row = row_of_sums(n_units, terms)
    distance = (n_products + n_units + 2) * sums_row
    sums = aligned(sums)
    if keeps_parts:
        sums = sums + first_row // rows_of_part(n_rows) * distance
    input_side = _Side(gradient, bias, sums, n_products, has_bias)
    state_side = _Side(
        gradient + 3 * n_units * n_inputs,
        bias + 3 * n_units,
        sums + (n_products + 1) * sums_row,
        n_units,
        has_bias,
    )
    has_panels = end - begin >= _FEWEST_PANELS * (
        tiles_for(n_products) + tiles_for(n_units)
    )
    n_blocks = (n_rows + TERMS - 1) // TERMS
    n_first = start(steps, 1) if from_zeros else 0  # rows of the first step
    t = 0
    for row in range(first_row, last_row, TERMS):
        n_terms = min(TERMS, last_row - row)
        n_zeros = max(0, min(n_terms, n_first - row))
        block = _Block((row - first_row) // TERMS, n_blocks, distance, keeps_parts)
        write_gate_rows(rows, steps, blocks, row, n_terms + ROWS_AHEAD)
        packs = has_panels and n_terms >= _FEWEST_TERMS
        x, x_k, x_tile = inputs + row * n_products, n_products, 0
        h, h_k, h_tile = seen + row * n_units, n_units, 0
        has_inputs, has_states = False, False
        first_share = 0
        for group in range(COLUMN_GROUPS):
            columns = columns_of_group(group, n_products, n_units, reset_after, terms)
            n_input_tiles, n_state_tiles = _count_tiles(columns, n_products, n_units)
            n_tiles = n_input_tiles + n_state_tiles
            n_vectors = vectors_for(columns.n, terms)
            n_panels = panels_for(n_vectors)
            share_begin = max(0, begin - first_share)
            share_end = min(end - first_share, n_panels * n_tiles)
            first_share += n_panels * n_tiles
            if share_begin >= share_end:
                continue
            if n_input_tiles > 0 and packs and not has_inputs:
                pack_columns(packed_inputs, x, x_k, n_products, n_terms)
                x, x_k, x_tile = packed_inputs, TILE_ROWS, TILE_DISTANCE
                has_inputs = True
            if columns.with_reset:
                # r * h, which the tape kept.
                for k in range(n_terms):
                    source = tape + rows[k] * 4 * n_units
                    copy_row(gathered + k * n_units, source, n_units)
                h, h_k, h_tile = gathered, n_units, 0
                has_states = False
            elif n_state_tiles > 0 and not has_states and not is_uniform(steps):
                t = _gather_previous(gathered, seen, steps, t, row, n_terms, n_units)
                h = gathered
            if n_state_tiles > 0 and not has_states:
                if packs:
                    pack_columns(packed_states, h, h_k, n_units, n_terms)
                    h, h_k, h_tile = packed_states, TILE_ROWS, TILE_DISTANCE
                has_states = True
            for p in range(share_begin // n_tiles, n_panels):
                tile_begin = max(0, share_begin - p * n_tiles)
                tile_end = min(n_tiles, share_end - p * n_tiles)
                if tile_end <= 0:
                    break
                vector = panel_start(n_vectors, p)
                width = panel_start(n_vectors, p + 1) - vector
                column = columns.first + vector * wide
                panel = _Panel(
                    terms,
                    n_terms,
                    width,
                    column,
                    min(column + width * wide, columns.first + columns.n),
                    columns.place + vector * wide,
                    column_sums,
                )
                pack_terms(
                    terms, width, tape + column, 4 * n_units, rows, n_terms, column_sums
                )
                if tile_begin < n_input_tiles:
                    _add_products(
                        input_side,
                        x,
                        x_k,
                        x_tile,
                        0,
                        panel,
                        block,
                        panel_sums,
                        sums_row,
                        tile_begin,
                        min(tile_end, n_input_tiles),
                        n_units,
                    )
                if tile_end > n_input_tiles:
                    _add_products(
                        state_side,
                        h,
                        h_k,
                        h_tile,
                        n_zeros,
                        panel,
                        block,
                        panel_sums,
                        sums_row,
                        max(0, tile_begin - n_input_tiles),
                        tile_end - n_input_tiles,
                        n_units,
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
    block_bounds: Indices,
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
    n_rows, wide = start(steps, steps.n_steps), lanes(pointer(tape))
    gathered = 0 if is_uniform(steps) and reset_after else TERMS * n_units
    panels = panel_size(n_rows, pointer(tape))
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    panels += _panel_sums_size(n_products, n_units, pointer(tape))
    panels += TILE_VECTORS * wide  # sums of columns
    panels += _columns_size(n_products, n_rows, pointer(tape))
    panels += _columns_size(n_units, n_rows, pointer(tape))
    size = panels + gathered + slack(pointer(tape))
    work = np.empty(size, tape.dtype)
    rows = np.empty(TERMS + ROWS_AHEAD, np.int64)
    has_bias = gradient.size > 3 * n_units * (n_inputs + n_units)
    blocks = read_blocks(block_bounds)
    n_shares = _count_shares(n_products, n_units, reset_after, pointer(tape))
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
                pointer(gradient),
                has_bias,
                n_inputs,
                n_units,
                pointer(tape),
                pointer(seen),
                pointer(inputs),
                n_columns,
                pointer(sums),
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
                pointer(rows),
                pointer(work),
            )
        first_row += n_own
        n_own = min(rows_of_part(n_rows), n_rows - first_row)
    keep_alive(rows)
    keep_alive(work)
