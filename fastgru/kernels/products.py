"""Matrix products made of register tiles, and rows copied between tables.

``c[i, :] = init[i, :] + sum over k of a[i, k] * b[k, :]``, the sum starting from init
and running in order of k: one accumulator per number of c, whatever the shape of the
tile around it.

b is packed in panels: its columns are padded to whole registers and cut into panels of
up to three registers, as equal as possible; a panel holds its rows one after the other.
"""

from typing import Any, NamedTuple

from fastgru._jit import IndexPointer, compiled_once, helper, inline
from fastgru.kernels.simd import (
    REGISTERS,
    REGISTERS_PER_LINE,
    TILE_ROWS,
    TILE_VECTORS,
    fma,
    lanes,
    load,
    load_lanes,
    pointer,
    prefetch,
    store,
    store_lanes,
)
from fastgru.kernels.tile import (
    WIDE_PANELS,
    adding_tile_1,
    adding_tile_2,
    adding_tile_3,
    column_tile_1,
    column_tile_2,
    column_tile_3,
    panel_tile,
    wide_tile_2,
    wide_tile_3,
)

# Terms of a sum over rows that are added from zero in one go: longer sums lose
# accuracy, and the operands of this many stay in the cache.
TERMS = 256
# How far apart the numbers of tiles stand that are packed for such sums: a little more
# than they are, or all would fall on the same few places of a cache.
TILE_DISTANCE = (TERMS + 4) * TILE_ROWS
# Terms of sums of biases, which cost so little that they can be more exact.
TERMS_OF_BIAS = 16
# Registers of weights, of 6 MiB, that caches still hold when the next step needs them.
_LARGE = 6 * 2**20 // REGISTERS.size
# Rows that ``pack_terms`` fetches ahead.
ROWS_AHEAD = 12


@inline
def vectors_for(n, address):
    """Return how many registers hold n numbers."""
    return (n + lanes(address) - 1) // lanes(address)


@inline
def numbers_of_line(address):
    """Return how many numbers a cache line holds."""
    return lanes(address) * REGISTERS_PER_LINE


@inline
def panels_for(n_vectors):
    """Return into how many panels a row of registers is cut."""
    return (n_vectors + TILE_VECTORS - 1) // TILE_VECTORS


@inline
def panel_start(n_vectors, panel):
    """Return the first register of a panel; panels are about equally wide."""
    count = panels_for(n_vectors)
    return panel * (n_vectors // count) + min(panel, n_vectors % count)


@inline
def part_start(n, n_parts, part):
    """Return where a part begins when n rows are cut into about equal parts."""
    return part * (n // n_parts) + min(part, n % n_parts)


@inline
def tiles_for(rows):
    """Return into how many tiles rows are cut."""
    return (rows + TILE_ROWS - 1) // TILE_ROWS


@inline
def are_large(n_numbers, address):
    """Whether no cache is likely to hold so many weights from one step to the next."""
    return n_numbers > _LARGE * lanes(address)


@inline
def to_next_panel(n_vectors, width, n_terms, descends, address):
    """Return how far behind a panel the one that is needed next stands.

    It is 0, since it need not be fetched, if the caches hold all ``n_vectors``.
    """
    size = lanes(address) * n_terms
    if not are_large(n_vectors * size, address):
        return 0
    return -width * size if descends else width * size


@inline
def part_ahead(to_next, width, tile, n_terms, address):
    """Return how far behind a panel that part of the next stands that a tile fetches.

    A tile fetches a register for each of its terms (see ``assembly``), so that of a
    panel ``width`` registers wide the first tiles fetch a part each.
    """
    if to_next == 0:
        return 0
    return to_next + min(tile, width - 1) * lanes(address) * n_terms


@compiled_once
def panel_product(
    width: int,
    rows: int,
    c,
    c_row: int,
    init,
    init_row: int,
    a,
    a_row: int,
    b,
    b_row: int,
    n_terms: int,
    to_next: int,
    lines,
    n_lines: int,
):
    """Compute ``width`` registers of each row of c from one panel.

    to_next : how far the next panel stands behind it, or 0; see ``to_next_panel``
    lines : so many cache lines to fetch on the way, which will be written
    """
    line = numbers_of_line(lines)
    n_tiles = tiles_for(rows)
    for tile in range(n_tiles):
        i = part_start(rows, n_tiles, tile)
        height = part_start(rows, n_tiles, tile + 1) - i
        ci, ii, ai = c + i * c_row, init + i * init_row, a + i * a_row
        ahead = part_ahead(to_next, width, tile, n_terms, b)
        first_line = part_start(n_lines, n_tiles, tile)
        panel_tile(
            width,
            height,
            ci,
            c_row,
            ii,
            init_row,
            ai,
            a_row,
            b,
            b_row,
            n_terms,
            ahead,
            lines + first_line * line,
            line,
            part_start(n_lines, n_tiles, tile + 1) - first_line,
        )


@inline
def in_turn(k, begin, end, descends):
    """Return the number that comes k-th of begin to end - 1, or counted back.

    Who goes through weights forth and back finds in the cache what was used last, of
    weights that it does not hold all.
    """
    return end - 1 - k if descends else begin + k


@inline
def _wide_panels(n_vectors):
    """Return how many of two panels or more have three registers: the first ones."""
    return n_vectors - (TILE_VECTORS - 1) * panels_for(n_vectors)


@inline
def _whole_panels(width, n_vectors, begin, end):
    """Return the first of the panels of two or three registers in a share, their end.

    Only those that lie in it as a whole.
    """
    n_wide = _wide_panels(n_vectors)
    if width == TILE_VECTORS:
        first = (begin + TILE_VECTORS - 1) // TILE_VECTORS
        return first, min(n_wide, end // TILE_VECTORS)
    first = (begin - n_wide + TILE_VECTORS - 2) // (TILE_VECTORS - 1)
    after = (end - n_wide) // (TILE_VECTORS - 1)
    return max(n_wide, first), min(panels_for(n_vectors), after)


@inline
def _row_of_panels(width, panels, c, init, a, b, n_terms):
    """Compute one row of a few panels that stand one behind the other."""
    c_panel = width * lanes(c)
    b_panel = c_panel * n_terms
    if width == TILE_VECTORS:
        wide_tile_3(panels, c, c_panel, init, c_panel, a, b, b_panel, c_panel, n_terms)
    else:
        wide_tile_2(panels, c, c_panel, init, c_panel, a, b, b_panel, c_panel, n_terms)


@compiled_once
def fetching_product_share(
    rows: int,
    c,
    c_row: int,
    init,
    init_row: int,
    a,
    a_row: int,
    b,
    n_vectors: int,
    n_terms: int,
    descends: int,
    begin: int,
    end: int,
    lines,
    n_lines: int,
):
    """Compute registers begin to end - 1 of the ``n_vectors`` of each row of c.

    descends : whether the last panel comes first; see ``in_turn``
    lines : so many cache lines to fetch on the way, which will be written
    """
    wide = lanes(c)
    n_panels = panels_for(n_vectors)
    n_wide = _wide_panels(n_vectors)
    for k in range(n_panels):
        panel = in_turn(k, 0, n_panels, descends)
        # Of one row, panels of a width go together, with the first of their group.
        in_group, together = 0, 0
        if rows == 1 and n_panels > 1:
            width = TILE_VECTORS if panel < n_wide else TILE_VECTORS - 1
            first_whole, end_whole = _whole_panels(width, n_vectors, begin, end)
            if first_whole <= panel < end_whole:
                in_group = (panel - first_whole) % WIDE_PANELS
                together = min(WIDE_PANELS, end_whole - (panel - in_group))
        if together > 1 and in_group > 0:
            continue
        first = panel_start(n_vectors, panel)
        after = panel_start(n_vectors, panel + 1)
        v = max(begin, first)
        width = min(end, after) - v
        if together > 1:
            place, weights = v * wide, b + v * wide * n_terms
            _row_of_panels(
                width, together, c + place, init + place, a, weights, n_terms
            )
        elif width > 0:
            first_line = part_start(n_lines, n_panels, panel)
            panel_product(
                width,
                rows,
                c + v * wide,
                c_row,
                init + v * wide,
                init_row,
                a,
                a_row,
                b + first * wide * n_terms + (v - first) * wide,
                (after - first) * wide,
                n_terms,
                to_next_panel(n_vectors, after - first, n_terms, descends, b),
                lines + first_line * numbers_of_line(lines),
                part_start(n_lines, n_panels, panel + 1) - first_line,
            )


@inline
def product_share(
    rows,
    c,
    c_row,
    init,
    init_row,
    a,
    a_row,
    b,
    n_vectors,
    n_terms,
    descends,
    begin,
    end,
):
    """Do the same without fetching lines."""
    fetching_product_share(
        rows,
        c,
        c_row,
        init,
        init_row,
        a,
        a_row,
        b,
        n_vectors,
        n_terms,
        descends,
        begin,
        end,
        c,
        0,
    )


@inline
def product(rows, c, c_row, init, init_row, a, a_row, b, n_vectors, n_terms):
    """Compute all ``n_vectors`` registers of each row of c; b holds all panels."""
    product_share(
        rows,
        c,
        c_row,
        init,
        init_row,
        a,
        a_row,
        b,
        n_vectors,
        n_terms,
        False,
        0,
        n_vectors,
    )


class Rows(NamedTuple):
    """A table of rows, one behind the other; see ``simd.Pointer`` for why no array."""

    address: Any
    n_rows: int
    size: int  # numbers of a row


@inline
def rows_of(table):
    """Return what loops over steps hand on of a 2-D array."""
    return Rows(pointer(table), table.shape[0], table.shape[1])


@inline
def zero(address):
    """Return a register of zeros."""
    return load_lanes(address, 0)


@inline
def copy_row(target, source, n):
    """Copy n numbers, reading and writing none behind them."""
    wide = lanes(target)
    i = 0
    while i + wide <= n:
        store(target + i, load(source + i))
        i += wide
    if i < n:
        store_lanes(target + i, load_lanes(source + i, n - i), n - i)


@inline
def add_row(target, source, n):
    """Add n numbers to those of target."""
    wide = lanes(target)
    i = 0
    while i + wide <= n:
        store(target + i, load(target + i) + load(source + i))
        i += wide
    if i < n:
        total = load_lanes(target + i, n - i) + load_lanes(source + i, n - i)
        store_lanes(target + i, total, n - i)


@inline
def multiply_row(target, source, factors, n):
    """Write the products of n numbers of source and their factors."""
    wide = lanes(target)
    i = 0
    while i + wide <= n:
        store(target + i, load(source + i) * load(factors + i))
        i += wide
    if i < n:
        product = load_lanes(source + i, n - i) * load_lanes(factors + i, n - i)
        store_lanes(target + i, product, n - i)


@inline
def add_multiplied_row(target, source, factors, n):
    """Add the products of n numbers of source and their factors to target."""
    wide = lanes(target)
    i = 0
    while i + wide <= n:
        total = fma(load(source + i), load(factors + i), load(target + i))
        store(target + i, total)
        i += wide
    if i < n:
        total = fma(
            load_lanes(source + i, n - i),
            load_lanes(factors + i, n - i),
            load_lanes(target + i, n - i),
        )
        store_lanes(target + i, total, n - i)


@inline
def fill(target, value, n):
    """Set n numbers to one value."""
    for i in range(n):
        target[i] = value


# -- sums over rows: the gradients of weights ------------------------------------------


@compiled_once
def pack_terms(
    panel, width: int, b, b_row: int, rows: IndexPointer, n_terms: int, column_sums
):
    """Copy a few columns of rows of b side by side, adding each column up on the way.

    Columns are added up ``TERMS_OF_BIAS`` at a time from zero, then those sums.
    rows : numbers of the rows, and of ``ROWS_AHEAD`` more, that need not exist
    """
    wide = lanes(panel)
    if width == 3:
        sum_0 = sum_1 = sum_2 = zero(panel)
        for begin in range(0, n_terms, TERMS_OF_BIAS):
            part_0 = part_1 = part_2 = zero(panel)
            for k in range(begin, min(begin + TERMS_OF_BIAS, n_terms)):
                row, place = b + rows[k] * b_row, panel + k * 3 * wide
                # Rows stand too far apart for the CPU to foresee the next; 3 registers
                # can touch 4 cache lines.
                for v in range(4):
                    prefetch(b + rows[k + ROWS_AHEAD] * b_row + v * wide)
                v_0, v_1, v_2 = load(row), load(row + wide), load(row + 2 * wide)
                store(place, v_0)
                store(place + wide, v_1)
                store(place + 2 * wide, v_2)
                part_0, part_1, part_2 = part_0 + v_0, part_1 + v_1, part_2 + v_2
            sum_0, sum_1, sum_2 = sum_0 + part_0, sum_1 + part_1, sum_2 + part_2
        store(column_sums, sum_0)
        store(column_sums + wide, sum_1)
        store(column_sums + 2 * wide, sum_2)
    elif width == 2:
        sum_0 = sum_1 = zero(panel)
        for begin in range(0, n_terms, TERMS_OF_BIAS):
            part_0 = part_1 = zero(panel)
            for k in range(begin, min(begin + TERMS_OF_BIAS, n_terms)):
                row, place = b + rows[k] * b_row, panel + k * 2 * wide
                for v in range(3):
                    prefetch(b + rows[k + ROWS_AHEAD] * b_row + v * wide)
                v_0, v_1 = load(row), load(row + wide)
                store(place, v_0)
                store(place + wide, v_1)
                part_0, part_1 = part_0 + v_0, part_1 + v_1
            sum_0, sum_1 = sum_0 + part_0, sum_1 + part_1
        store(column_sums, sum_0)
        store(column_sums + wide, sum_1)
    else:
        total = zero(panel)
        for begin in range(0, n_terms, TERMS_OF_BIAS):
            part = zero(panel)
            for k in range(begin, min(begin + TERMS_OF_BIAS, n_terms)):
                value = load(b + rows[k] * b_row)
                store(panel + k * wide, value)
                part = part + value
            total = total + part
        store(column_sums, total)


@inline
def packed_columns_size(n_columns, address):
    """Return how many numbers ``pack_columns`` writes at most."""
    return tiles_for(n_columns) * TILE_DISTANCE + lanes(address)


@compiled_once
def pack_columns(
    packed, a, a_row: int, rows: IndexPointer, n_columns: int, n_terms: int
):
    """Copy columns of rows of a so that a tile's numbers stand one behind the other."""
    wide = lanes(a)
    n_tiles = tiles_for(n_columns)
    for k in range(n_terms):
        row, place = a + rows[k] * a_row, packed + k * TILE_ROWS
        ahead = a + rows[k + ROWS_AHEAD] * a_row
        for tile in range(n_tiles):
            column = part_start(n_columns, n_tiles, tile)
            source, target = row + column, place + tile * TILE_DISTANCE
            prefetch(ahead + column)
            # What is too much is written over by the next term or tile.
            for v in range(0, TILE_ROWS, wide):
                store(target + v, load(source + v))


@compiled_once
def sum_products(
    sums,
    sums_row: int,
    a,
    a_k: int,
    a_tile: int,
    panel,
    width: int,
    tile_begin: int,
    tile_end: int,
    n_rows: int,
    first_term: int,
    end_term: int,
    adds: int,
):
    """Compute sums over some k of ``a[k, i] * panel[k, :]`` for rows i of some tiles.

    It is written to sums or, with ``adds``, added to them.  The panel is one that
    ``begin_panel`` made.
    a_tile : how far apart the numbers of tiles stand that ``pack_columns`` wrote; 0 of
        those that stand as they were
    """
    n_tiles = tiles_for(n_rows)
    panel_row = width * lanes(sums)
    zeros = panel + -TILE_VECTORS * lanes(sums)
    panel = panel + first_term * panel_row
    a, n_terms = a + first_term * a_k, end_term - first_term
    for tile in range(tile_begin, tile_end):
        i = part_start(n_rows, n_tiles, tile)
        rows = part_start(n_rows, n_tiles, tile + 1) - i
        c, ai = sums + i * sums_row, a + (tile * a_tile if a_tile > 0 else i)
        if width == 3 and adds:
            adding_tile_3(rows, c, sums_row, c, 0, ai, a_k, panel, panel_row, n_terms)
        elif width == 3:
            column_tile_3(
                rows, c, sums_row, zeros, 0, ai, a_k, panel, panel_row, n_terms
            )
        elif width == 2 and adds:
            adding_tile_2(rows, c, sums_row, c, 0, ai, a_k, panel, panel_row, n_terms)
        elif width == 2:
            column_tile_2(
                rows, c, sums_row, zeros, 0, ai, a_k, panel, panel_row, n_terms
            )
        elif adds:
            adding_tile_1(rows, c, sums_row, c, 0, ai, a_k, panel, panel_row, n_terms)
        else:
            column_tile_1(
                rows, c, sums_row, zeros, 0, ai, a_k, panel, panel_row, n_terms
            )


@inline
def panel_size(n_rows, address):
    """Return the numbers of a panel for sums over so many rows, and of its zeros."""
    return (min(TERMS, n_rows) + 1) * TILE_VECTORS * lanes(address)


@inline
def begin_panel(scratch):
    """Write a row of zeros and return where the panel begins, behind them."""
    row = TILE_VECTORS * lanes(scratch)
    fill(scratch, 0.0, row)
    return scratch + row


@inline
def fold_row(totals, lost, sums, n, adds):
    """Write n sums to their totals, or add them; lost keeps what rounding cuts off.

    Kahan (1965), "Further remarks on reducing truncation errors", CACM 8 (1).  All have
    room for whole registers.
    """
    wide = lanes(totals)
    for i in range(0, n, wide):
        if adds:
            total = load(totals + i)
            addend = load(sums + i) - load(lost + i)
            new = total + addend
            store(lost + i, (new - total) - addend)
            store(totals + i, new)
        else:
            store(lost + i, zero(lost))
            store(totals + i, load(sums + i))


@helper
def sum_of_rows(target, table, distance, places, size, work):
    """Write the sum of some rows of a table: blocks of ``TERMS``, each from zero."""
    fill(target, 0.0, size)
    for begin in range(0, places.size, TERMS):
        # The sum of the first block is that of zero and it.
        total = target if begin == 0 else work
        if begin > 0:
            fill(total, 0.0, size)
        for i in range(begin, min(begin + TERMS, places.size)):
            add_row(total, table + places[i] * distance, size)
        if begin > 0:
            add_row(target, total, size)
