"""Rows of a table by their numbers, and the gradient of the table.

The gradient of a row of the table is the sum of the gradients of all places where its
token stands, in the order of these places: blocks of ``TERMS``, each summed from zero,
added up in order.  Places are sorted by token first, so a thread owns some tokens and
all of their places; nobody else writes to those rows.
"""

import numpy as np
from numba import prange

from fastgru._jit import Indices, Table, kernel, parallel_kernel, thread_work
from fastgru.kernels.products import copy_row, sum_of_rows
from fastgru.kernels.simd import keep_alive, pointer
from fastgru.kernels.steps import length, read_steps, user_number, user_row


@kernel
def find_unknown(tokens, n_tokens, geometry):
    """Return row, step and sequence of a token that is none of 0 to n_tokens - 1.

    A row of -1 if there is none; tokens : (rows,) int64
    """
    steps = read_steps(geometry)
    for b in range(steps.batch):
        for t in range(length(steps, b)):
            row = user_row(steps, t, b)
            if not 0 <= tokens[row] < n_tokens:
                return row, t, user_number(steps, b)
    return -1, -1, -1


@kernel
def embedding_forward(y, weight, tokens):
    """Write to each row of y the row of the table that its token names.

    y : (rows, E); weight : (tokens, E); tokens : (rows,) int64, all within the table
    """
    size = weight.shape[1]
    table, target = pointer(weight), pointer(y)
    for i in range(tokens.size):
        copy_row(target + i * size, table + tokens[i] * size, size)


@kernel
def sort_by_token(places, starts, tokens):
    """Write the places of each token, one token after the other, in order.

    places : (rows,) int64; those of token v begin at ``starts[v]``
    starts : (tokens + 1,) int64
    tokens : (rows,) int64, all within the table
    """
    n_tokens = starts.size - 1
    starts[...] = 0
    for token in tokens:
        starts[token + 1] += 1
    for v in range(n_tokens):
        starts[v + 1] += starts[v]
    after = starts[:n_tokens].copy()
    for i in range(tokens.size):
        places[after[tokens[i]]] = i
        after[tokens[i]] += 1


@thread_work
def _sum_tokens(
    d_weight: Table, d_y: Table, places: Indices, starts: Indices, begin: int, end: int
):
    """Compute the gradients of tokens begin to end - 1."""
    size = d_weight.shape[1]
    work = np.empty(size, d_weight.dtype)
    for v in range(begin, end):
        own = places[starts[v] : starts[v + 1]]
        target = pointer(d_weight) + v * size
        sum_of_rows(target, pointer(d_y), size, own, size, pointer(work))
    keep_alive(work)


@kernel
def embedding_backward(d_weight, d_y, places, starts):
    """Compute the gradient of the table from that of y; 0 for tokens without a place.

    d_weight : (tokens, E), written; d_y : (rows, E)
    places, starts : as ``sort_by_token`` wrote them
    """
    _sum_tokens(d_weight, d_y, places, starts, 0, d_weight.shape[0])


@parallel_kernel
def embedding_backward_parallel(d_weight, d_y, places, starts, bounds):
    """Do what ``embedding_backward`` does, tokens between two bounds per thread."""
    for block in prange(bounds.size - 1):
        _sum_tokens(d_weight, d_y, places, starts, bounds[block], bounds[block + 1])
