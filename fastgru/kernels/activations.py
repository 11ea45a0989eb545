"""exp, log, sigmoid and tanh on one register of numbers, or on one float64.

Our own, because the C library's and NumPy's differ in the last bits between CPUs and
systems; these are made of single operations that IEEE 754 rounds one way.  All are
within 4 units in the last place over their whole range, denormal results and tiny
arguments included; NaN goes in and comes out.  ``gate`` is the sigmoid of the cells,
which gives up the digits of what is next to nothing for speed.

Method: x = n ln 2 + r with n whole and abs(r) <= ln(2) / 2; a polynomial gives e**r -
1, which keeps its accuracy near 0, and 2**n is assembled from bits.  Coefficients: of
float32 fitted for the least relative error (an eighth of a unit), float64 the Taylor
series to r**13; log as in fdlibm's e_log.c (Sun Microsystems).

A division takes a CPU longer than ten multiply-adds, but goes on beside them.  So two
of the three in a cell are divisions, and the third, in tanh, is Newton's method.
"""

import math

from fastgru._jit import inline
from fastgru.kernels.simd import (
    copysign,
    fma,
    is_float64,
    mantissa_and_exponent,
    power_of_two,
    where_less,
    where_negative,
)

LOG2_E = 1.4426950408889634
ROUNDING_32 = 12582912.0  # 1.5 * 2**23
ROUNDING_64 = 6755399441055744.0  # 1.5 * 2**52
_INFINITY = math.inf
TWO_POWER_64 = 18446744073709551616.0
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
# What n is multiplied with in turn to take n ln 2 from x.
MINUS_LN2_32 = (-0.693359375, 2.12194440e-4)
MINUS_LN2_64 = (-_LN2_HIGH, -_LN2_LOW)
LN2_32 = 0.693147180559945309
# Coefficients of (e**r - 1 - r) / r**2, the highest power first.
GROWTH_32 = (
    1.3869674876332283e-3,
    8.366248570382595e-3,
    4.166744649410248e-2,
    1.666654646396637e-1,
    4.999999701976776e-1,
)
# The same of ``tanh``, in s = -r / 2: of (half_growth - s) / s**2.
GROWTH_OF_TANH_32 = tuple(
    c * (-2.0) ** (len(GROWTH_32) - i) for i, c in enumerate(GROWTH_32)
)
GROWTH_64 = tuple(1.0 / math.factorial(n) for n in range(13, 1, -1))
# Below these a sigmoid no longer changes.
LOWEST_32, LOWEST_64 = -104.0, -746.0
# Beyond these, of either sign, a gate no longer changes; its powers of two are normal.
LARGEST_OF_GATE_32, LARGEST_OF_GATE_64 = 86.0, 707.0
# Above these a tanh is 1.
LARGEST_OF_TANH_32, LARGEST_OF_TANH_64 = 10.0, 20.0
# 1 / b for 1 <= b <= 2, within 1 %, by Chebyshev; the lowest power first.
RECIPROCAL = (210 / 99, -144 / 99, 32 / 99)


@inline
def _reduce(x):
    """Return n + ROUNDING, and e**r - 1, for x = n ln 2 + r."""
    if is_float64(x):
        rounded = fma(x, LOG2_E, ROUNDING_64)
        n = rounded - ROUNDING_64
        r = fma(n, MINUS_LN2_64[1], fma(n, MINUS_LN2_64[0], x))
        p = fma(r, GROWTH_64[0], GROWTH_64[1])
        p = fma(p, r, GROWTH_64[2])
        p = fma(p, r, GROWTH_64[3])
        p = fma(p, r, GROWTH_64[4])
        p = fma(p, r, GROWTH_64[5])
        p = fma(p, r, GROWTH_64[6])
        p = fma(p, r, GROWTH_64[7])
        p = fma(p, r, GROWTH_64[8])
        p = fma(p, r, GROWTH_64[9])
        p = fma(p, r, GROWTH_64[10])
        p = fma(p, r, GROWTH_64[11])
    else:
        rounded = fma(x, LOG2_E, ROUNDING_32)
        n = rounded - ROUNDING_32
        r = fma(n, MINUS_LN2_32[1], fma(n, MINUS_LN2_32[0], x))
        p = fma(r, GROWTH_32[0], GROWTH_32[1])
        p = fma(p, r, GROWTH_32[2])
        p = fma(p, r, GROWTH_32[3])
        p = fma(p, r, GROWTH_32[4])
    return rounded, fma(p * r, r, r)


@inline
def exp_of_nonpositive(x):
    """Return e**x for x <= 0, denormal results included."""
    lowest = LOWEST_64 if is_float64(x) else LOWEST_32
    x = where_less(x, lowest, lowest, x)
    rounded, growth = _reduce(x)
    # 2**n alone would leave the normal range; 2**(n + 64) does not, and one product
    # undoes it.
    power = power_of_two(rounded, 64)
    return fma(power, growth, power) * (1.0 / TWO_POWER_64)


@inline
def exp(x):
    """Return e**x, infinity included where no number is that large."""
    lowest = LOWEST_64 if is_float64(x) else LOWEST_32
    highest = 710.0 if is_float64(x) else 89.0
    x = where_less(x, lowest, lowest, x)
    x = where_less(highest, x, highest, x)
    rounded, growth = _reduce(x)
    # Of the two, the one whose power of two stays in the normal range.
    power = where_less(x, 0.0, power_of_two(rounded, 64), power_of_two(rounded, -1))
    scale = where_less(x, 0.0, 1.0 / TWO_POWER_64, 2.0)
    return fma(power, growth, power) * scale


@inline
def sigmoid(x):
    """Return 1 / (1 + e**-x), from e**-abs(x), which cannot overflow."""
    e = exp_of_nonpositive(-abs(x))
    return where_negative(x, e, 1.0) / (e + 1.0)


@inline
def gate(x):
    """Return sigmoid(x); as if x were at most 86 (float64: 707) from zero.

    There a gate is 4e-38 or 1.  Its error is up to 3.2 units in the last place from -30
    on, and up to 5.3 below.
    """
    largest = LARGEST_OF_GATE_64 if is_float64(x) else LARGEST_OF_GATE_32
    x = where_less(x, -largest, -largest, x)
    x = where_less(largest, x, largest, x)
    if is_float64(x):
        rounded, growth = _reduce(-x)
        power = power_of_two(rounded, 0)
        return 1.0 / (fma(power, growth, power) + 1.0)
    rounded = fma(x, -LOG2_E, ROUNDING_32)
    n = rounded - ROUNDING_32
    r = fma(n, -LN2_32, -x)
    p = fma(r, GROWTH_32[0], GROWTH_32[1])
    p = fma(p, r, GROWTH_32[2])
    p = fma(p, r, GROWTH_32[3])
    p = fma(p, r, GROWTH_32[4])
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return 1.0 / fma(p, power_of_two(rounded, 0), 1.0)


@inline
def tanh(x):
    """Return tanh(x), accurate near 0: -m / (m + 2) with m = e**(-2 abs(x)) - 1."""
    a = abs(x)
    largest = LARGEST_OF_TANH_64 if is_float64(x) else LARGEST_OF_TANH_32
    a = where_less(largest, a, largest, a)
    if is_float64(x):
        rounded, growth = _reduce(a * -2.0)
        power = power_of_two(rounded, 0)
        m = fma(power, growth, power - 1.0)
        return copysign(m / (m + 2.0), x)
    # With s = -r / 2 and half_growth = (e**r - 1) / -2.
    rounded = fma(a, -2.0 * LOG2_E, ROUNDING_32)
    n = rounded - ROUNDING_32
    s = fma(n, LN2_32 / 2, a)
    p = fma(s, GROWTH_OF_TANH_32[0], GROWTH_OF_TANH_32[1])
    p = fma(p, s, GROWTH_OF_TANH_32[2])
    p = fma(p, s, GROWTH_OF_TANH_32[3])
    p = fma(p, s, GROWTH_OF_TANH_32[4])
    half_growth = fma(p * s, s, s)
    twice_power = power_of_two(rounded, 1)
    m = fma(-twice_power, half_growth, fma(twice_power, 0.5, -1.0))
    b = m + 2.0
    y = fma(fma(b, RECIPROCAL[2], RECIPROCAL[1]), b, RECIPROCAL[0])
    y = fma(fma(-b, y, 1.0), y, y)
    y = fma(fma(-b, y, 1.0), y, y)
    return copysign(m * y, x)


@inline
def log(x):
    """Return the natural logarithm of a positive normal number, infinity or NaN."""
    m, exponent = mantissa_and_exponent(x)
    f = m - 1.0
    s = f / (m + 1.0)
    z = s * s
    p = fma(z, 1.479819860511658591e-01, 1.531383769920937332e-01)
    p = fma(p, z, 1.818357216161805012e-01)
    p = fma(p, z, 2.222219843214978396e-01)
    p = fma(p, z, 2.857142874366239149e-01)
    p = fma(p, z, 3.999999999940941908e-01)
    p = fma(p, z, 6.666666666666735130e-01)
    half_square = 0.5 * f * f
    correction = fma(s, fma(p, z, half_square), exponent * _LN2_LOW)
    result = fma(exponent, _LN2_HIGH, f - (half_square - correction))
    return where_less(x, _INFINITY, result, x)
