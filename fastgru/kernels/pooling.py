"""One row per sequence from the rows of its steps: last, mean, largest, weighted mean.

Each sequence is computed by itself, its steps in order of time.  Sums are kept in
float64 and rounded once; a sequence of no steps gives zeros.  Every row of the tables x
and d_x is a step of some sequence; y and d_y are in users' order.
"""

import numpy as np

from fastgru._jit import helper, inline, kernel
from fastgru.kernels.activations import exp_of_nonpositive
from fastgru.kernels.products import copy_row, fill
from fastgru.kernels.simd import keep_alive, pointer
from fastgru.kernels.steps import length, read_steps, user_number, user_row

# -- the last step ---------------------------------------------------------------------


@kernel
def last_forward(y, x, geometry):
    """Write each sequence's last row; y : (B, F), x : (rows, F)."""
    steps = read_steps(geometry)
    n = y.shape[1]
    for b in range(steps.batch):
        t = length(steps, b) - 1
        target = pointer(y) + user_number(steps, b) * n
        if t < 0:
            fill(target, 0.0, n)
        else:
            copy_row(target, pointer(x) + user_row(steps, t, b) * n, n)


@kernel
def last_backward(d_x, d_y, geometry):
    """Write the gradient of x, (rows, F), from that of y, (B, F)."""
    steps = read_steps(geometry)
    n = d_y.shape[1]
    d_x[...] = 0.0
    for b in range(steps.batch):
        t = length(steps, b) - 1
        if t >= 0:
            target = pointer(d_x) + user_row(steps, t, b) * n
            copy_row(target, pointer(d_y) + user_number(steps, b) * n, n)


# -- the mean --------------------------------------------------------------------------


@kernel
def mean_forward(y, x, geometry):
    """Write the mean of each sequence's rows; y : (B, F), x : (rows, F)."""
    steps = read_steps(geometry)
    n = y.shape[1]
    sums = np.empty(n)
    for b in range(steps.batch):
        n_steps = length(steps, b)
        sums[...] = 0.0
        for t in range(n_steps):
            row = x[user_row(steps, t, b)]
            for j in range(n):
                sums[j] += np.float64(row[j])
        target = y[user_number(steps, b)]
        for j in range(n):
            target[j] = sums[j] / max(n_steps, 1)


@kernel
def mean_backward(d_x, d_y, geometry):
    """Write the gradient of x, (rows, F), from that of y, (B, F)."""
    steps = read_steps(geometry)
    n = d_y.shape[1]
    share = np.empty(n, d_x.dtype)
    for b in range(steps.batch):
        n_steps = length(steps, b)
        source = d_y[user_number(steps, b)]
        for j in range(n):
            share[j] = np.float64(source[j]) / n_steps
        for t in range(n_steps):
            target = pointer(d_x) + user_row(steps, t, b) * n
            copy_row(target, pointer(share), n)
    keep_alive(share)


# -- the largest number of each feature ------------------------------------------------


@inline
def _exceeds(value, best):
    """Whether a later value takes the place of the best one; the first NaN stays."""
    return not value <= best and best == best


@kernel
def max_forward(y, rows, x, geometry):
    """Write the largest number of each feature, and in which row it first stands.

    y : (B, F); rows : (B, F) int64, -1 for a sequence of no steps; x : (rows, F)
    """
    steps = read_steps(geometry)
    n = y.shape[1]
    for b in range(steps.batch):
        number = user_number(steps, b)
        best, places = y[number], rows[number]
        best[...] = 0.0
        places[...] = -1
        for t in range(length(steps, b)):
            place = user_row(steps, t, b)
            row = x[place]
            for j in range(n):
                if t == 0 or _exceeds(row[j], best[j]):
                    best[j] = row[j]
                    places[j] = place


@kernel
def max_backward(d_x, d_y, rows):
    """Write the gradient of x, (rows, F), from that of y, (B, F)."""
    d_x[...] = 0.0
    for b in range(d_y.shape[0]):
        for j in range(d_y.shape[1]):
            if rows[b, j] >= 0:
                d_x[rows[b, j], j] = d_y[b, j]


# -- the mean with learned weights -----------------------------------------------------


@inline
def _dot(a, b):
    """Return the inner product in float64: eight interleaved sums, then theirs."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    n = a.size - a.size % 8
    for j in range(0, n, 8):
        s0 += np.float64(a[j]) * np.float64(b[j])
        s1 += np.float64(a[j + 1]) * np.float64(b[j + 1])
        s2 += np.float64(a[j + 2]) * np.float64(b[j + 2])
        s3 += np.float64(a[j + 3]) * np.float64(b[j + 3])
        s4 += np.float64(a[j + 4]) * np.float64(b[j + 4])
        s5 += np.float64(a[j + 5]) * np.float64(b[j + 5])
        s6 += np.float64(a[j + 6]) * np.float64(b[j + 6])
        s7 += np.float64(a[j + 7]) * np.float64(b[j + 7])
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for j in range(n, a.size):
        total += np.float64(a[j]) * np.float64(b[j])
    return total


@helper
def _softmax(shares, steps, b):
    """Turn the scores of a sequence's rows into shares of 1."""
    n_steps = length(steps, b)
    highest = -np.inf
    for t in range(n_steps):
        highest = max(highest, shares[user_row(steps, t, b)])
    total = 0.0
    for t in range(n_steps):
        row = user_row(steps, t, b)
        shares[row] = exp_of_nonpositive(shares[row] - highest)
        total += shares[row]
    for t in range(n_steps):
        shares[user_row(steps, t, b)] /= total


@kernel
def attention_forward(y, shares, x, weight, geometry):
    """Write the mean of each sequence's rows, weighted by the softmax of their scores.

    The score of a row is its inner product with weight.

    y : (B, F); shares : (rows,) float64, written; x : (rows, F); weight : (F,)
    """
    steps = read_steps(geometry)
    n = y.shape[1]
    sums = np.empty(n)
    for b in range(steps.batch):
        n_steps = length(steps, b)
        for t in range(n_steps):
            place = user_row(steps, t, b)
            shares[place] = _dot(x[place], weight)
        _softmax(shares, steps, b)
        sums[...] = 0.0
        for t in range(n_steps):
            place = user_row(steps, t, b)
            row, share = x[place], shares[place]
            for j in range(n):
                sums[j] += share * np.float64(row[j])
        target = y[user_number(steps, b)]
        for j in range(n):
            target[j] = sums[j]


@kernel
def attention_backward(d_x, d_weight, d_y, shares, x, weight, geometry):
    """Write the gradients of x and weight.

    The latter is summed over the steps of each sequence by itself, and then over
    sequences in users' order.

    d_x : (rows, F), or no rows if it is not wanted; d_weight : (F,); d_y : (B, F)
    shares : (rows,) float64; x : (rows, F); weight : (F,)
    """
    steps = read_steps(geometry)
    n = weight.size
    sums = np.zeros((steps.batch, n))
    d_scores = np.empty(steps.n_steps)
    for b in range(steps.batch):
        n_steps = length(steps, b)
        number = user_number(steps, b)
        d_mean, own_sums = d_y[number], sums[number]
        mean_of_d = 0.0
        for t in range(n_steps):
            place = user_row(steps, t, b)
            d_scores[t] = _dot(d_mean, x[place])
            mean_of_d += shares[place] * d_scores[t]
        for t in range(n_steps):
            place = user_row(steps, t, b)
            row, share = x[place], shares[place]
            d_score = share * (d_scores[t] - mean_of_d)
            for j in range(n):
                own_sums[j] += d_score * np.float64(row[j])
            if d_x.shape[0] > 0:
                target = d_x[place]
                for j in range(n):
                    by_share = share * np.float64(d_mean[j])
                    target[j] = by_share + d_score * np.float64(weight[j])
    for j in range(n):
        total = 0.0
        for number in range(steps.batch):
            total += sums[number, j]
        d_weight[j] = total
