"""The gradients of the weights and biases, from a tape that holds the gates' gradients.

Each thread owns some tiles of the result and sums over all rows, or all tiles and some
of the rows, mostly those that it wrote itself; no atomics, the same bits for any number
of threads.  See ``weight_sums`` and ``tape_rows`` for their order.

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
from fastgru.kernels.tape_rows import (
    is_one_block,
    read_blocks,
    stand_together,
    write_rows,
)
from fastgru.kernels.weight_sums import (
    BLOCKS,
    COLUMN_GROUPS,
    columns_of_group,
    copy_columns,
    first_rows,
    place_of_column,
    row_of_sums,
    rows_of_part,
    sequences_of_bundle,
    stand_side_by_side,
)

# Panels of a worker, and terms, from which on it first packs the columns that it
# multiplies with each of the panels: fewer are in the cache as they stand.
_FEWEST_PANELS, _FEWEST_TERMS = 2, 64


@inline
def _fold(sums, distance, n, block):
    fold_row(sums + distance, sums + 2 * distance, sums, n, block >= BLOCKS)


@inline
def _panel_sums_size(n_inputs, n_units, address):
    """Return the numbers of the sums of one panel, and of those of its columns."""
    return (max(n_inputs, n_units) + 1) * TILE_VECTORS * lanes(address)


@inline
def _columns_size(n, may_pack, address):
    """Return the numbers of so many columns, if they are packed."""
    return packed_columns_size(n, address) if may_pack else 0


@inline
def _count_tiles(columns, n_products, n_units):
    """Count the tiles of products of one panel: with the inputs, and with states."""
    n_input_tiles = tiles_for(n_products) if columns.with_inputs else 0
    return n_input_tiles, tiles_for(n_units) if columns.with_states else 0


@inline
def _shares_of_group(columns, n_products, n_units, address):
    """Count the registers of columns of a group's tiles, panel after panel.

    A tile of a panel of three registers is more work than one of two.
    """
    n_input_tiles, n_state_tiles = _count_tiles(columns, n_products, n_units)
    return vectors_for(columns.n, address) * (n_input_tiles + n_state_tiles)


@inline
def _count_shares(n_products, n_units, reset_after, address):
    """Count the registers of columns of all tiles, group after group."""
    n_shares = 0
    for group in range(COLUMN_GROUPS):
        columns = columns_of_group(group, n_products, n_units, reset_after, address)
        n_shares += _shares_of_group(columns, n_products, n_units, address)
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


class _Factors(NamedTuple):
    """What columns are multiplied with: inputs or states; see ``sum_products``."""

    a: Any  # address
    a_k: int
    a_tile: int
    n_zeros: int  # first terms that are zeros, which are left out


class _Rows(NamedTuple):
    """Rows of a table, one for each term."""

    address: Any
    size: int  # numbers of a row of the table
    numbers: Any  # address of the rows' numbers


class _Block(NamedTuple):
    """The rows of the tape that are added up from zero."""

    rows: Any  # address of their numbers
    n_terms: int
    number: int
    n_blocks: int
    sums_row: int
    # How far totals stand behind sums, and behind those what rounding cut off of them.
    distance: int
    keeps_parts: bool


class _Panel(NamedTuple):
    """A few columns of a block's rows."""

    width: int  # registers
    column: int  # of the tape, the first
    end: int
    place: int  # of the first in a row of sums


class _Scratch(NamedTuple):
    """Addresses of a worker's memory."""

    terms: Any  # a panel's columns, side by side
    column_sums: Any  # of a panel
    panel_sums: Any  # of one panel, of a single block
    packed_inputs: Any
    packed_states: Any


@inline
def _cut(work, n_products, n_units, n_rows, may_pack):
    """Return the parts of scratch of ``_scratch_size`` numbers."""
    terms = begin_panel(aligned(work))
    column_sums = aligned(work) + panel_size(n_rows, terms)
    panel_sums = column_sums + TILE_VECTORS * lanes(work)
    packed_inputs = panel_sums + _panel_sums_size(n_products, n_units, terms)
    packed_states = packed_inputs + _columns_size(n_products, may_pack, terms)
    return _Scratch(terms, column_sums, panel_sums, packed_inputs, packed_states)


@inline
def _scratch_size(n_products, n_units, n_rows, may_pack, address):
    """Return how many numbers of scratch a worker needs."""
    return (
        panel_size(n_rows, address)
        + TILE_VECTORS * lanes(address)
        + _panel_sums_size(n_products, n_units, address)
        + _columns_size(n_products, may_pack, address)
        + _columns_size(n_units, may_pack, address)
        + slack(address)
    )


@inline
def _factors(rows, n, n_terms, n_zeros, packs, target):
    """Return the first n numbers of rows as factors.

    packs : whether to copy them to target first, in the order in which tiles read them;
        else they have to stand one behind the other
    """
    if packs:
        pack_columns(target, rows.address, rows.size, rows.numbers, n, n_terms)
        return _Factors(target, TILE_ROWS, TILE_DISTANCE, n_zeros)
    first = rows.address + rows.numbers[0] * rows.size
    return _Factors(first, rows.size, 0, n_zeros)


@helper
def _add_products(side, factors, panel, block, scratch, tile_begin, tile_end, n_units):
    """Add products of a panel to some tiles of one weight's gradient.

    Sums are rows, and then the sum of the columns (the gradient of a bias).  Of a
    single block the gradient itself holds them where a panel's columns stand there side
    by side; else scratch does, one panel at a time, which stays in the cache.  Of more
    than ``BLOCKS`` blocks there are totals.  After the last block the numbers are
    copied to where they belong.  With ``keeps_parts`` neither is done: sums are those
    of a part, whose blocks are counted.
    """
    size = panel.width * lanes(scratch.terms)
    n_tiles, n_blocks = tiles_for(side.n_rows), block.n_blocks
    adds, is_last = block.number % BLOCKS > 0, block.number == n_blocks - 1
    folds = n_blocks > BLOCKS and (is_last or block.number % BLOCKS == BLOCKS - 1)
    if block.keeps_parts:
        is_last, folds = False, False
    place, row_size = side.sums + panel.place, block.sums_row
    if n_blocks == 1:
        place, row_size = scratch.panel_sums, size
    bias_place = place + side.n_rows * row_size
    is_in_place = (
        n_blocks == 1
        and panel.end - panel.column == size
        and stand_side_by_side(panel.column, panel.end, n_units)
    )
    if is_in_place:
        row_size = 3 * n_units
        place = side.weight + place_of_column(panel.column, n_units)
        bias_place = side.bias + place_of_column(panel.column, n_units)
    sum_products(
        place,
        row_size,
        factors.a,
        factors.a_k,
        factors.a_tile,
        scratch.terms,
        panel.width,
        tile_begin,
        tile_end,
        side.n_rows,
        factors.n_zeros,
        block.n_terms,
        adds,
    )
    row_begin = part_start(side.n_rows, n_tiles, tile_begin)
    row_end = part_start(side.n_rows, n_tiles, tile_end)
    has_bias = side.wants_bias and tile_begin == 0
    if has_bias and adds:
        add_row(bias_place, scratch.column_sums, size)
    elif has_bias:
        copy_row(bias_place, scratch.column_sums, size)
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
def _sum_columns(
    columns,
    input_side,
    inputs,
    state_side,
    states,
    tape,
    block,
    scratch,
    share_begin,
    share_end,
    n_units,
):
    """Add products of a group of columns: its shares share_begin to share_end - 1.

    Each tile has as many shares as its panel has registers; one that is cut through is
    that of whoever has its last share.
    inputs, states : ``_Factors``
    """
    terms, wide = scratch.terms, lanes(tape)
    n_input_tiles, n_state_tiles = _count_tiles(columns, input_side.n_rows, n_units)
    n_tiles = n_input_tiles + n_state_tiles
    n_vectors = vectors_for(columns.n, tape)
    for p in range(panels_for(n_vectors)):
        vector = panel_start(n_vectors, p)
        width = panel_start(n_vectors, p + 1) - vector
        tile_begin = max(0, share_begin - vector * n_tiles) // width
        tile_end = min(n_tiles, max(0, share_end - vector * n_tiles) // width)
        if tile_begin >= tile_end:
            continue
        column = columns.first + vector * wide
        end = min(column + width * wide, columns.first + columns.n)
        panel = _Panel(width, column, end, columns.place + vector * wide)
        pack_terms(
            terms,
            width,
            tape + column,
            4 * n_units,
            block.rows,
            block.n_terms,
            scratch.column_sums,
        )
        if tile_begin < n_input_tiles:
            _add_products(
                input_side,
                inputs,
                panel,
                block,
                scratch,
                tile_begin,
                min(tile_end, n_input_tiles),
                n_units,
            )
        if tile_end > n_input_tiles:
            _add_products(
                state_side,
                states,
                panel,
                block,
                scratch,
                max(0, tile_begin - n_input_tiles),
                tile_end - n_input_tiles,
                n_units,
            )


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
    may_pack,
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
    rows : scratch, twice TERMS + ROWS_AHEAD numbers
    may_pack : whether work has room for factors that are packed
    work : scratch of this worker, ``_scratch_size`` numbers
    """
    # Rows of the input weights that are products here; see ``one_hot`` for the others.
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    scratch = _cut(work, n_products, n_units, n_rows, may_pack)
    _, sums_row = row_of_sums(n_units, tape)
    distance = (n_products + n_units + 2) * sums_row
    sums = aligned(sums)
    if keeps_parts:
        sums = sums + first_row // rows_of_part(n_rows) * distance
    bias = gradient + 3 * n_units * (n_inputs + n_units)
    input_side = _Side(gradient, bias, sums, n_products, has_bias)
    state_side = _Side(
        gradient + 3 * n_units * n_inputs,
        bias + 3 * n_units,
        sums + (n_products + 1) * sums_row,
        n_units,
        has_bias,
    )
    tiles = tiles_for(n_products) + tiles_for(n_units)
    has_panels = end - begin >= _FEWEST_PANELS * TILE_VECTORS * tiles
    n_blocks = (n_rows + TERMS - 1) // TERMS
    n_first = start(steps, 1) if from_zeros else 0  # rows of the first step
    bundle = sequences_of_bundle(n_products, n_units, steps.batch, n_rows, tape)
    state_rows = rows + TERMS + ROWS_AHEAD
    for row in range(first_row, last_row, TERMS):
        n_terms, number = min(TERMS, last_row - row), (row - first_row) // TERMS
        n_listed = n_terms + ROWS_AHEAD
        write_rows(rows, state_rows, steps, blocks, bundle, row, n_listed)
        block = _Block(rows, n_terms, number, n_blocks, sums_row, distance, keeps_parts)
        are_scattered = not (
            stand_together(rows, n_terms) and stand_together(state_rows, n_terms)
        )
        packs = are_scattered or (has_panels and n_terms >= _FEWEST_TERMS)
        n_zeros = max(0, min(n_terms, n_first - row))
        x = h = _Factors(tape, 0, 0, 0)
        has_inputs, has_states = False, False
        first_share = 0
        for group in range(COLUMN_GROUPS):
            columns = columns_of_group(group, n_products, n_units, reset_after, tape)
            n_shares = _shares_of_group(columns, n_products, n_units, tape)
            share_begin = max(0, begin - first_share)
            share_end = min(end - first_share, n_shares)
            first_share += n_shares
            if share_begin >= share_end:
                continue
            if columns.with_inputs and not has_inputs:
                has_inputs = True
                source = _Rows(inputs, n_products, rows)
                packed = scratch.packed_inputs
                x = _factors(source, n_products, n_terms, 0, packs, packed)
            if columns.with_states and (columns.with_reset or not has_states):
                has_states = True
                source = _Rows(seen, n_units, state_rows)
                if columns.with_reset:
                    # r * h, which the tape kept.
                    source = _Rows(tape, 4 * n_units, rows)
                packed = scratch.packed_states
                h = _factors(source, n_units, n_terms, n_zeros, packs, packed)
            _sum_columns(
                columns,
                input_side,
                x,
                state_side,
                h,
                tape,
                block,
                scratch,
                share_begin,
                share_end,
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
    n_rows = start(steps, steps.n_steps)
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    blocks = read_blocks(block_bounds)
    may_be_scattered = not (is_uniform(steps) and is_one_block(blocks))
    may_pack = n_rows >= _FEWEST_TERMS or may_be_scattered
    size = _scratch_size(n_products, n_units, n_rows, may_pack, pointer(tape))
    work = np.empty(size, tape.dtype)
    rows = np.empty(2 * (TERMS + ROWS_AHEAD), np.int64)
    has_bias = gradient.size > 3 * n_units * (n_inputs + n_units)
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
                may_pack,
                pointer(work),
            )
        first_row += n_own
        n_own = min(rows_of_part(n_rows), n_rows - first_row)
    keep_alive(rows)
    keep_alive(work)
