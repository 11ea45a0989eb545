"""The products of the inputs with their weights, computed a few steps ahead.

Rows of many steps fill the register tiles and read the weights once; few enough of them
stay in the cache until their step comes.
"""

from typing import NamedTuple

from fastgru._jit import helper, inline
from fastgru.kernels.one_hot import is_one_hot, one_hot_product
from fastgru.kernels.packing import (
    bias_side_by_side,
    biases,
    registers_side_by_side,
    weights_side_by_side,
)
from fastgru.kernels.products import (
    are_large,
    copy_row,
    panel_product,
    product_share,
    vectors_for,
)
from fastgru.kernels.simd import TILE_ROWS, lanes, load, load_lanes, store
from fastgru.kernels.steps import active, is_uniform, step_of, user_row
from fastgru.kernels.tape_rows import find_in_block

# Rows of a step of which some tiles are so low that rows of several steps fill better
# ones: a few more than one tile.
_MOST_ROWS_AHEAD = 2 * TILE_ROWS - 1
# Numbers of pre-activations that are computed ahead, so that they stay in the cache;
# and rows of them, if weights are large, so that these are read for many rows at once.
_NUMBERS_AHEAD = 32768
_ROWS_OF_LARGE = 64


@inline
def before_row_size(n_units, reset_after, address):
    """Return the length of a row of pre-activations."""
    return vectors_for(n_units, address) * lanes(address) * (4 if reset_after else 3)


@inline
def input_product(
    rows,
    before,
    before_row,
    x,
    x_row,
    n_columns,
    packed,
    n_inputs,
    n_units,
    reset_after,
    share,
):
    """Add the products of ``rows`` rows of inputs to their biases.

    n_columns : numbers of a row of x, n_inputs, or 1 that tells a feature; see
        ``one_hot``
    """
    if is_one_hot(n_columns, n_inputs):
        one_hot_product(
            rows,
            before,
            before_row,
            x,
            x_row,
            packed,
            n_inputs,
            n_units,
            reset_after,
            share,
        )
        return
    wide = lanes(x)
    n_vectors = vectors_for(n_units, x)
    bias = biases(packed, n_inputs, n_units)
    if reset_after:
        for vector in range(share.begin, share.end):
            panel_product(
                3,
                rows,
                before + 4 * wide * vector,
                before_row,
                bias + 4 * wide * vector,
                0,
                x,
                x_row,
                packed + 3 * wide * vector * n_inputs,
                3 * wide,
                n_inputs,
                0,
                before,
                0,
            )
    else:
        # [r z] of each register of units, then n of each.
        for begin, end in (
            (2 * share.begin, 2 * share.end),
            (2 * n_vectors + share.begin, 2 * n_vectors + share.end),
        ):
            product_share(
                rows,
                before,
                before_row,
                bias,
                0,
                x,
                x_row,
                packed,
                3 * n_vectors,
                n_inputs,
                False,
                begin,
                end,
            )


class Ahead(NamedTuple):
    """How many rows of inputs are multiplied at once."""

    # Whether a step whose rows fill tiles computes its own products, none ahead.
    may_be_whole: bool
    n_rows: int  # at most, unless a step has more
    # Registers of the gates side by side, which are then computed so, or 0.
    n_beside: int
    row_size: int  # how far rows of pre-activations stand apart


@inline
def have_large_weights(n_inputs, n_units, address):
    """Whether the inputs' weights are too large to be read at every step."""
    return are_large(3 * n_units * n_inputs, address)


@inline
def plan_ahead(n_columns, n_inputs, n_units, reset_after, address):
    """Return how the products of a layer's inputs are computed."""
    one_hot = is_one_hot(n_columns, n_inputs)
    large = not one_hot and have_large_weights(n_inputs, n_units, address)
    wide, n_beside = lanes(address), 0
    row_size = before_row_size(n_units, reset_after, address)
    if reset_after and not one_hot:
        n_beside = registers_side_by_side(n_inputs, n_units, wide)
    if n_beside > 0:
        row_size += n_beside * wide  # behind the others
    n_rows = max(_NUMBERS_AHEAD // row_size, TILE_ROWS)
    if large:
        n_rows = max(n_rows, _ROWS_OF_LARGE)
    may_be_whole = reset_after and not one_hot and not large and n_beside == 0
    return Ahead(may_be_whole, n_rows, n_beside, row_size)


@inline
def steps_ahead(steps, t, first, last, ahead):
    """Return up to which step the input products are computed at once."""
    end, rows = t, 0
    while end < steps.n_steps:
        rows += active(steps, end, first, last)
        if end > t and rows > ahead.n_rows:
            break
        end += 1
    return end


@inline
def is_whole(rows, ahead):
    """Whether a step of so many rows computes its own products."""
    fills_tiles = rows == TILE_ROWS or rows > _MOST_ROWS_AHEAD
    return ahead.may_be_whole and fills_tiles


@inline
def rows_ahead_at_most(rows, steps, ahead):
    """Return how many rows of pre-activations ``steps_ahead`` asks for at most."""
    if is_whole(rows, ahead):
        if is_uniform(steps):
            return 0
        rows = _MOST_ROWS_AHEAD  # may be left of sequences of unequal lengths
    return min(rows * steps.n_steps, max(rows, ahead.n_rows))


@inline
def inputs_of_step(x, gathered, steps, t, first, rows, n_columns):
    """Return where the inputs of one step stand, and how far its rows stand apart.

    Rows at unequal distances are first gathered to scratch.
    """
    if is_uniform(steps):
        return x + user_row(steps, t, first) * n_columns, steps.row_step * n_columns
    for b in range(rows):
        source = x + user_row(steps, t, first + b) * n_columns
        copy_row(gathered + b * n_columns, source, n_columns)
    return gathered, n_columns


@helper
def _product_ahead(
    rows,
    before,
    before_row,
    x,
    x_row,
    n_columns,
    packed,
    n_inputs,
    n_units,
    reset_after,
    share,
    ahead,
):
    """Do what ``input_product`` does, or do it with the gates side by side."""
    wide, n_vectors = lanes(x), vectors_for(n_units, x)
    if ahead.n_beside == 0 or share.end - share.begin < n_vectors:
        input_product(
            rows,
            before,
            before_row,
            x,
            x_row,
            n_columns,
            packed,
            n_inputs,
            n_units,
            reset_after,
            share,
        )
        return
    beside = before + 4 * wide * n_vectors
    product_share(
        rows,
        beside,
        before_row,
        bias_side_by_side(packed, n_inputs, n_units),
        0,
        x,
        x_row,
        weights_side_by_side(packed, n_inputs, n_units),
        ahead.n_beside,
        n_inputs,
        False,
        0,
        ahead.n_beside,
    )
    for row in range(rows):
        source, target = beside + row * before_row, before + row * before_row
        for vector in range(n_vectors):
            valid = min(wide, n_units - vector * wide)
            for gate in range(3):
                value = load_lanes(source + gate * n_units + vector * wide, valid)
                store(target + (4 * vector + gate) * wide, value)


@helper
def inputs_ahead(
    steps,
    t_begin,
    t_end,
    first,
    last,
    x,
    gathered,
    before,
    n_columns,
    packed,
    n_inputs,
    n_units,
    reset_after,
    share,
    ahead,
):
    """Compute the input products of steps t_begin to t_end - 1, active rows only.

    Equally spaced rows are read where they stand; others are first gathered to scratch.
    """
    before_row = ahead.row_size
    if not is_uniform(steps):
        done = 0
        for t in range(t_begin, t_end):
            rows = active(steps, t, first, last)
            for b in range(rows):
                source = x + user_row(steps, t, first + b) * n_columns
                copy_row(gathered + (done + b) * n_columns, source, n_columns)
            done += rows
        _product_ahead(
            done,
            before,
            before_row,
            gathered,
            n_columns,
            n_columns,
            packed,
            n_inputs,
            n_units,
            reset_after,
            share,
            ahead,
        )
        return
    rows, n_ahead = last - first, t_end - t_begin
    base = x + user_row(steps, t_begin, first) * n_columns
    if rows == 1 or steps.step == rows * steps.row_step:
        distance = steps.step if rows == 1 else steps.row_step
        _product_ahead(
            rows * n_ahead,
            before,
            before_row,
            base,
            distance * n_columns,
            n_columns,
            packed,
            n_inputs,
            n_units,
            reset_after,
            share,
            ahead,
        )
    elif rows >= n_ahead:
        for t in range(n_ahead):
            _product_ahead(
                rows,
                before + t * rows * before_row,
                before_row,
                base + t * steps.step * n_columns,
                steps.row_step * n_columns,
                n_columns,
                packed,
                n_inputs,
                n_units,
                reset_after,
                share,
                ahead,
            )
    else:
        for b in range(rows):
            _product_ahead(
                n_ahead,
                before + b * before_row,
                rows * before_row,
                base + b * steps.row_step * n_columns,
                steps.step * n_columns,
                n_columns,
                packed,
                n_inputs,
                n_units,
                reset_after,
                share,
                ahead,
            )


@inline
def prefill_bias_of_hn(before, before_row, rows, bias, n_units):
    """Put the bias of hn into each row; the input products leave it alone."""
    wide = lanes(before)
    for vector in range(vectors_for(n_units, before)):
        place = 4 * wide * vector + 3 * wide
        value = load(bias + place)
        for row in range(rows):
            store(before + row * before_row + place, value)


@inline
def record_inputs(inputs, x, steps, begin, end, first_row, last_row):
    """Copy the inputs of rows first_row to last_row - 1 of the tape to it.

    begin, end : the tape's block that they are of
    """
    n_columns = x.size
    # Rows of a step are those of the block, or when lengths differ of all sequences.
    last = end if is_uniform(steps) else steps.batch
    row, t = first_row, step_of(steps, first_row)
    while row < last_row:
        t, b = find_in_block(steps, begin, end, row, t)
        n_rows = min(last_row - row, active(steps, t, b, last))
        target = inputs + row * n_columns
        if is_uniform(steps) and steps.row_step == 1:
            source = x.address + user_row(steps, t, b) * n_columns
            copy_row(target, source, n_rows * n_columns)
        else:
            for i in range(n_rows):
                source = x.address + user_row(steps, t, b + i) * n_columns
                copy_row(target + i * n_columns, source, n_columns)
        row += n_rows
