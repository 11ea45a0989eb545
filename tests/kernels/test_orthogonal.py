"""The orthogonal factor against LAPACK's, and bit for bit in the declared order."""

import math

import numpy as np
import pytest

from fastgru.kernels.orthogonal import inplace_orthogonal_factor
from tolerances import assert_close, assert_same_bits

SIZES = (1, 2, 3, 8, 17, 64, 257)


def orthogonal_factor(a):
    """Give the orthogonal factor of a matrix, which is not changed."""
    q = np.full_like(a, np.nan)
    inplace_orthogonal_factor(q, a.copy())
    return q


def assert_orthogonal(q):
    n = len(q)
    assert np.abs(q.T @ q - np.eye(n)).max() <= 1e-14
    assert np.abs(q @ q.T - np.eye(n)).max() <= 1e-14


@pytest.mark.parametrize("n", SIZES)
def test_as_lapack_with_a_positive_diagonal(n, rng):
    a = rng.standard_normal((n, n))
    q = orthogonal_factor(a)
    expected, r = np.linalg.qr(a)
    expected *= np.sign(np.diag(r))
    assert_close("q", q, expected, np.float64, tolerance=1e-12)
    assert_orthogonal(q)
    r = q.T @ a
    assert (np.diag(r) > 0).all()
    assert np.abs(np.tril(r, -1)).max() <= 1e-12


@pytest.mark.parametrize("n", [4, 12, 20])
def test_orthogonal_however_close_to_singular_the_matrix(n):
    # Hilbert's matrix, whose columns all but depend on each other.
    a = 1 / (1.0 + np.arange(n) + np.arange(n)[:, np.newaxis])
    assert_orthogonal(orthogonal_factor(a))


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, -1), (-1, -1, -1)], ids=str)
def test_a_diagonal_matrix_gives_its_signs(signs):
    a = np.diag(np.array(signs) * np.array([3.0, 0.5, 7.0]))
    np.testing.assert_array_equal(orthogonal_factor(a), np.diag(signs))


def reflect(a, v, factor):
    """Reflect by rows in order; each of NumPy's operations rounds every number once."""
    sums = np.zeros(a.shape[1])
    for row, v_i in zip(a, v, strict=True):
        sums = sums + v_i * row
    for i, v_i in enumerate(v):
        a[i] = a[i] - (factor * v_i) * sums


def factor_in_the_declared_order(a):
    """Compute the orthogonal factor with every sum in order of the rows."""
    a, q, reflections = a.copy(), np.zeros_like(a), []
    for k in range(len(a)):
        v = a[k:, k].copy()
        if k == len(a) - 1:
            q[k, k] = math.copysign(1.0, v[0])
            break
        square = 0.0
        for number in v:
            square += number * number
        diagonal = -math.copysign(math.sqrt(square), v[0])
        v[0] -= diagonal
        q[k, k] = math.copysign(1.0, diagonal)
        reflections.append((v, -1.0 / (diagonal * v[0])))
        reflect(a[k:, k + 1 :], *reflections[-1])
    for k, reflection in reversed(list(enumerate(reflections))):
        reflect(q[k:, k:], *reflection)
    return q


@pytest.mark.parametrize("n", [1, 2, 5, 33, 64])
def test_sums_run_in_order_of_the_rows(n, rng):
    a = rng.standard_normal((n, n))
    assert_same_bits("q", orthogonal_factor(a), factor_in_the_declared_order(a))
