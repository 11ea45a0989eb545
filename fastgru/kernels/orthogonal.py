"""The orthogonal factor of a matrix, by Householder's reflections.

A = Q R with the diagonal of R positive, which makes Q unique; for a matrix of
independent standard normal numbers, Q is then distributed uniformly over the orthogonal
matrices (Mezzadri 2007, arXiv:math-ph/0609050).  Not LAPACK's: every sum here runs in
one order, that of the rows, and the inner loops over the columns keep no sums, so that
the compiler can compute several columns at once without changing a bit.
"""

import math

import numpy as np

from fastgru._jit import helper, kernel


@helper
def _reflect(a, first_row, first_column, v, factor, products):
    """Subtract ``factor * v (v' a)`` from a, both cut to what begins at the first.

    v : (n,), zero before ``first_row``; products : (n,), scratch
    """
    n = a.shape[0]
    sums = products[first_column:]
    sums[:] = 0.0
    for i in range(first_row, n):
        row, v_i = a[i, first_column:], v[i]
        for j in range(row.size):
            sums[j] += v_i * row[j]
    for i in range(first_row, n):
        row, scale = a[i, first_column:], factor * v[i]
        for j in range(row.size):
            row[j] -= scale * sums[j]


@kernel
def inplace_orthogonal_factor(q, a):
    """Write the orthogonal factor of a square matrix of full rank; a is destroyed.

    q, a : (n, n), C-contiguous
    """
    n = a.shape[0]
    reflectors = np.zeros((n, n), a.dtype)  # a row each, contiguous
    factors = np.empty(n, a.dtype)
    products = np.empty(n, a.dtype)
    q[:] = 0.0
    for k in range(n - 1):
        v = reflectors[k]
        square = 0.0
        for i in range(k, n):
            v[i] = a[i, k]
            square += v[i] * v[i]
        # The reflection takes the column to (diagonal, 0, ..., 0), with the sign for
        # which v[k] suffers no cancellation.
        diagonal = -math.copysign(math.sqrt(square), v[k])
        v[k] -= diagonal
        factors[k] = -1.0 / (diagonal * v[k])  # 2 / (v' v)
        q[k, k] = math.copysign(1.0, diagonal)
        _reflect(a, k, k + 1, v, factors[k], products)
    q[n - 1, n - 1] = math.copysign(1.0, a[n - 1, n - 1])
    # Q is the product of the reflections and the signs of R's diagonal; from the last
    # reflection on, what stands before row and column k is still the identity's.
    for k in range(n - 2, -1, -1):
        _reflect(q, k, k, reflectors[k], factors[k], products)
