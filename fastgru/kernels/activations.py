"""exp, log, sigmoid and tanh on one register of numbers, or on one float64.

Our own, because the C library's and NumPy's differ in the last bits between CPUs and
systems; these are made of single operations that IEEE 754 rounds one way.  All are
within 4 units in the last place over their whole range, denormal results and tiny
arguments included; NaN goes in and comes out.

Method: x = n ln 2 + r with n whole and abs(r) <= ln(2) / 2; a polynomial gives e**r -
1, which keeps its accuracy near 0, and 2**n is assembled from bits.  Coefficients:
float32 as in Cephes' expf (S. L. Moshier), float64 the Taylor series to r**13; log as
in fdlibm's e_log.c (Sun Microsystems).
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

_LOG2_E = 1.4426950408889634
_ROUNDING_32 = 12582912.0  # 1.5 * 2**23
_ROUNDING_64 = 6755399441055744.0  # 1.5 * 2**52
_INFINITY = math.inf
_TWO_POWER_64 = 18446744073709551616.0
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10


@inline
def _reduce(x):
    """Return n + ROUNDING, and e**r - 1, for x = n ln 2 + r."""
    # In pairs of terms, of which a CPU computes several at a time.
    if is_float64(x):
        rounded = fma(x, _LOG2_E, _ROUNDING_64)
        n = rounded - _ROUNDING_64
        r = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, x))
        r_2 = r * r
        r_4 = r_2 * r_2
        p_0 = fma(r, 1.0 / 6.0, 0.5)
        p_1 = fma(r, 1.0 / 120.0, 1.0 / 24.0)
        p_2 = fma(r, 1.0 / 5040.0, 1.0 / 720.0)
        p_3 = fma(r, 1.0 / 362880.0, 1.0 / 40320.0)
        p_4 = fma(r, 1.0 / 39916800.0, 1.0 / 3628800.0)
        p_5 = fma(r, 1.0 / 6227020800.0, 1.0 / 479001600.0)
        p_0, p_2, p_4 = fma(p_1, r_2, p_0), fma(p_3, r_2, p_2), fma(p_5, r_2, p_4)
        p = fma(fma(p_4, r_4, p_2), r_4, p_0)
    else:
        rounded = fma(x, _LOG2_E, _ROUNDING_32)
        n = rounded - _ROUNDING_32
        r = fma(n, 2.12194440e-4, fma(n, -0.693359375, x))
        r_2 = r * r
        p_0 = fma(r, 1.6666665459e-1, 5.0000001201e-1)
        p_1 = fma(r, 8.3334519073e-3, 4.1665795894e-2)
        p_2 = fma(r, 1.9875691500e-4, 1.3981999507e-3)
        p = fma(fma(p_2, r_2, p_1), r_2, p_0)
    return rounded, fma(p, r_2, r)


@inline
def exp_of_nonpositive(x):
    """Return e**x for x <= 0, denormal results included."""
    lowest = -746.0 if is_float64(x) else -104.0
    x = where_less(x, lowest, lowest, x)
    rounded, growth = _reduce(x)
    # 2**n alone would leave the normal range; 2**(n + 64) does not, and one product
    # undoes it.
    power = power_of_two(rounded, 64)
    return fma(power, growth, power) * (1.0 / _TWO_POWER_64)


@inline
def exp(x):
    """Return e**x, infinity included where no number is that large."""
    lowest, highest = (-746.0, 710.0) if is_float64(x) else (-104.0, 89.0)
    x = where_less(x, lowest, lowest, x)
    x = where_less(highest, x, highest, x)
    rounded, growth = _reduce(x)
    # Of the two, the one whose power of two stays in the normal range.
    power = where_less(x, 0.0, power_of_two(rounded, 64), power_of_two(rounded, -1))
    scale = where_less(x, 0.0, 1.0 / _TWO_POWER_64, 2.0)
    return fma(power, growth, power) * scale


@inline
def sigmoid(x):
    """Return 1 / (1 + e**-x), from e**-abs(x), which cannot overflow."""
    e = exp_of_nonpositive(-abs(x))
    return where_negative(x, e, 1.0) / (e + 1.0)


@inline
def tanh(x):
    """Return tanh(x), accurate near 0: -m / (m + 2) with m = e**(-2 abs(x)) - 1."""
    negative = abs(x) * -2.0
    negative = where_less(negative, -80.0, -80.0, negative)
    rounded, growth = _reduce(negative)
    power = power_of_two(rounded, 0)
    m = fma(power, growth, power - 1.0)
    return copysign(m / (m + 2.0), x)


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
