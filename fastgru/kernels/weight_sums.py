"""The sums that weights' gradients are made of: their order, their place, their parts.

Which row follows which, ``tape_rows`` tells.  Long sums lose digits, so they are cut:
``TERMS`` rows of the tape are added up from zero, ``BLOCKS`` such sums likewise, a
group, and of those the total is compensated for what rounding cuts off.

Where the weights are few, threads share the rows as well as the results, cut into
parts: the blocks of a single group, or the groups.  The parts' sums are kept until all
are there and added up in the same order as ever; the first blocks need not be kept,
where one thread has them all.

A row of sums holds what belongs to one row of a weight, or to a bias; rows of the
input's weight come first and then its bias, likewise those of the recurrent weight.
Groups of the tape's columns have their place in it.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from fastgru._jit import Line, inline, shared, thread_work
from fastgru.kernels.one_hot import is_one_hot
from fastgru.kernels.products import (
    TERMS,
    add_row,
    copy_row,
    fill,
    fold_row,
    part_start,
    vectors_for,
)
from fastgru.kernels.simd import (
    ALIGNMENT,
    REGISTERS,
    aligned,
    keep_alive,
    lanes,
    pointer,
    slack,
)

# Sums of ``TERMS`` rows that make a group, and its rows.
BLOCKS = 16
_GROUP = BLOCKS * TERMS
# Bytes of a group's sums up to which they are kept: what a core's own cache holds.
_LARGEST_KEPT = 2**20
# How many times as long as a block's sums its rows of the tape have to be: both are
# read by another core than wrote them.
_ROWS_PER_KEPT = 2
# Bundles of sequences and, of few sequences, how many those have: long runs of rows
# are read faster, and a core holds what it wrote of so many.
_BUNDLES, _FEWEST_OF_BUNDLE = 4, 16
# Registers of a tape, of 16 MiB, beyond which it comes from memory and not from another
# core's cache.
_LARGEST_BUNDLED = 16 * 2**20 // REGISTERS.size
# Groups of columns, of which each may be multiplied with inputs, states or both.
COLUMN_GROUPS = 3
# Registers, of 384 KiB, that inputs and states of ``TERMS`` rows may take where columns
# are multiplied with both in turn: a core's own cache holds both, then, and the sums.
_MOST_TOGETHER = 384 * 2**10 // REGISTERS.size


@inline
def copy_columns(target, sums, column, end, n_units):
    """Copy sums of tape columns to a row of a gradient, whose gates are r, z, n."""
    split = max(column, min(end, n_units))
    copy_row(target + place_of_column(column, n_units), sums, split - column)
    copy_row(
        target + place_of_column(split, n_units), sums + (split - column), end - split
    )


@inline
def place_of_column(column, n_units):
    """Return where a tape column stands in a row of a gradient."""
    return column + (2 * n_units if column < n_units else -n_units)


@inline
def stand_side_by_side(column, end, n_units):
    """Whether tape columns stand side by side in a row of a gradient, too."""
    return column >= n_units or end <= n_units


@inline
def row_of_sums(n_units, address):
    """Return where a row's candidate begins, if summed apart, and the row's size."""
    wide = lanes(address)
    candidate_begin = vectors_for(2 * n_units, address) * wide
    return candidate_begin, candidate_begin + vectors_for(n_units, address) * wide


class Columns(NamedTuple):
    """Columns of the tape that are multiplied with the same numbers."""

    first: int
    n: int  # 0: there is no such group
    place: int  # in a row of sums
    with_inputs: bool
    with_states: bool
    with_reset: bool  # with r * h, then, and not with h


@inline
def columns_of_group(group, n_products, n_units, reset_after, address):
    """Return one of ``COLUMN_GROUPS`` groups of columns of the tape.

    A tape row holds [n'r r' z' n'], or without ``reset_after`` [rh r' z' n'].  r' and
    z' are multiplied with inputs and states, n' with inputs and, if anything, rh.
    n_products : numbers of a row of the inputs, or 0
    """
    candidate, _ = row_of_sums(n_units, address)
    n_packed = (n_products + n_units) * TERMS
    fits = n_packed <= _MOST_TOGETHER * lanes(address)
    # Groups that end within a register would take one more than they need together.
    if n_units % lanes(address) == 0 and fits:
        if group == 0:
            return Columns(n_units, 2 * n_units, 0, True, True, False)
        if group == 1:
            with_reset = not reset_after
            return Columns(
                3 * n_units, n_units, candidate, True, with_reset, with_reset
            )
        n = n_units if reset_after else 0
        return Columns(0, n, candidate, False, True, False)
    if group == 0:
        return Columns(n_units, 3 * n_units, 0, True, False, False)
    if reset_after:
        n = 3 * n_units if group == 1 else 0
        return Columns(0, n, 0, False, True, False)
    if group == 1:
        return Columns(n_units, 2 * n_units, 0, False, True, False)
    return Columns(3 * n_units, n_units, candidate, False, True, True)


@inline
def sequences_of_bundle(n_inputs, n_units, batch, n_rows, address):
    """Return how many sequences make a bundle, in the order of sums of ``tape_rows``.

    All, if there is nothing to share, or no cache holds what threads have written.
    """
    n_numbers = n_rows * (n_inputs + 5 * n_units)
    if n_rows <= TERMS or n_numbers > _LARGEST_BUNDLED * lanes(address):
        return batch
    return min(batch, max(_FEWEST_OF_BUNDLE, (batch + _BUNDLES - 1) // _BUNDLES))


@shared
def rows_of_part(n_rows):
    """Return how many rows are added up before the sums of others are added."""
    return TERMS if n_rows <= _GROUP else _GROUP


@shared
def first_rows(n_rows, n_workers):
    """Return how many rows the first worker adds up without keeping their parts."""
    if n_rows > _GROUP:
        return _GROUP  # one part: totals of groups are compensated
    return max(1, n_rows // n_workers // TERMS) * TERMS


@thread_work
def add_up_parts(
    gradient: Line,
    n_inputs: int,
    n_units: int,
    n_columns: int,
    sums: Line,
    n_rows: int,
    worker: int,
    n_workers: int,
    reset_after: int,
):
    """Add up the sums kept of parts: one worker's rows of both gradients."""
    n_products = 0 if is_one_hot(n_columns, n_inputs) else n_inputs
    table = aligned(pointer(sums))
    wide = lanes(table)
    _, sums_row = row_of_sums(n_units, table)
    n_table_rows = n_products + n_units + 2
    n_part_rows = rows_of_part(n_rows)
    n_parts = (n_rows + n_part_rows - 1) // n_part_rows
    n_added = first_rows(n_rows, n_workers) // n_part_rows
    wants_bias = gradient.size > 3 * n_units * (n_inputs + n_units)
    lost_array = np.empty(sums_row + slack(table), gradient.dtype)
    lost = aligned(pointer(lost_array))
    begin = part_start(n_table_rows, n_workers, worker)
    end = part_start(n_table_rows, n_workers, worker + 1)
    for row in range(begin, end):
        is_input = row <= n_products
        is_bias = row == n_products or row == n_table_rows - 1
        # One-hot inputs have no sums here, nor has their bias; see ``one_hot``.
        has_sums = not is_bias or (wants_bias and not (is_input and n_products == 0))
        if not has_sums:
            continue
        size = sums_row
        if is_input or reset_after:
            size = vectors_for(3 * n_units, table) * wide
        fill(lost, 0.0, size)
        total = table + row * sums_row
        for part in range(n_added, n_parts):
            sums_of_part = total + part * n_table_rows * sums_row
            if n_rows <= _GROUP:
                add_row(total, sums_of_part, size)
            else:
                fold_row(total, lost, sums_of_part, size, True)
        place = row if is_input else row - n_products - 1 + n_inputs
        if is_bias:
            place = n_inputs + n_units + (0 if is_input else 1)
        target = pointer(gradient) + place * 3 * n_units
        for group in range(COLUMN_GROUPS):
            columns = columns_of_group(group, n_products, n_units, reset_after, table)
            if columns.with_inputs if is_input else columns.with_states:
                source, end = total + columns.place, columns.first + columns.n
                copy_columns(target, source, columns.first, end, n_units)
    keep_alive(lost_array)


@lru_cache(maxsize=256)
def worth_keeping(
    input_size: int, hidden_size: int, n_rows: int, itemsize: int
) -> bool:
    """Whether threads share the rows, too, and keep the sums of each part."""
    table = _table_size(input_size, hidden_size, itemsize)
    if n_rows > _GROUP:
        return table * itemsize <= _LARGEST_KEPT
    block_of_tape = TERMS * (input_size + 5 * hidden_size)
    return n_rows > TERMS and table * _ROWS_PER_KEPT <= block_of_tape


@lru_cache(maxsize=256)
def sums_size(
    input_size: int,
    hidden_size: int,
    n_rows: int,
    itemsize: int,
    *,
    keeps_parts: bool,
) -> int:
    """Return how many numbers of scratch the sums of the weights' gradients take.

    Up to ``TERMS`` rows take none.
    """
    # Of each part; or of all; or of the running group, the totals, and what those lost.
    n_tables = 1 if n_rows <= _GROUP else 3
    if keeps_parts:
        n_tables = -(-n_rows // rows_of_part(n_rows))
    table = _table_size(input_size, hidden_size, itemsize)
    return n_tables * table + ALIGNMENT // itemsize


def _table_size(input_size: int, hidden_size: int, itemsize: int) -> int:
    """Return how many numbers the sums of one group take."""
    wide = REGISTERS.size // itemsize
    row = (-(-2 * hidden_size // wide) + -(-hidden_size // wide)) * wide
    return (input_size + hidden_size + 2) * row
