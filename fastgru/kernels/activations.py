"""exp, log, sigmoid and tanh on one register of numbers, or on one float64.

Our own, because the C library's and NumPy's differ in the last bits between CPUs and
systems; these are made of single operations that IEEE 754 rounds one way.  All are
within 4 units in the last place over their whole range, denormal results and tiny
arguments included; NaN goes in and comes out.  What a cell does in each of its steps,
``gate`` and the tanh of float32, gives up a digit or two for speed, as it says there.

Method: x = n ln 2 + r with n whole and abs(r) <= ln(2) / 2; a polynomial gives e**r -
1, which keeps its accuracy near 0, and 2**n is assembled from bits.  Coefficients: of
float32 fitted for the least relative error (an eighth of a unit), float64 the Taylor
series to r**13; log as in fdlibm's e_log.c (Sun Microsystems).  tanh of float32 is a
quotient of polynomials, fitted likewise, and of float64 what e**(-2 abs(x)) gives.

A division takes a CPU as long as ten multiply-adds or twenty, though it goes on beside
them.  So a cell has two for its three quotients: ``gate_and_tanh`` shares one.
"""

import math

from fastgru._jit import inline
from fastgru.kernels.simd import (
    copysign,
    fma,
    is_float64,
    mantissa_and_exponent,
    power_of_eighth,
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
# The same for abs(r) <= ln(2) / 16.
GROWTH_OF_EIGHTH_32 = (1.6666858421176126e-1, 5.000644720220377e-1)
# Of tanh(x) = x p(u) / q(u) with u = x**2 up to 8.5**2, the highest power first: fitted
# within an eighth of a unit, then each moved by up to six units to where rounding does
# least harm.
TANH_ABOVE_32 = (
    1.4032319306522822e-8,
    2.1093504983582534e-5,
    3.5249406937509775e-3,
    1.3405737280845642e-1,
    1.0,
)
TANH_BELOW_32 = (
    8.052324460550153e-7,
    3.333677595946938e-4,
    2.5988632813096046e-2,
    4.6739059686660767e-1,
    1.0,
)
LARGEST_SQUARE_OF_TANH_32 = 72.25
GROWTH_64 = tuple(1.0 / math.factorial(n) for n in range(13, 1, -1))
# Below these a sigmoid no longer changes.
LOWEST_32, LOWEST_64 = -104.0, -746.0
# Beyond these, of either sign, a gate no longer changes; its powers of two are normal,
# also when they are multiplied with q of tanh, up to 400.
LARGEST_OF_GATE_32, LARGEST_OF_GATE_64 = 80.0, 707.0
# Above this a tanh is 1.
LARGEST_OF_TANH_64 = 20.0


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
def inverse_gate(x):
    """Return 1 + e**-x, of which a gate is the reciprocal; see there."""
    largest = LARGEST_OF_GATE_64 if is_float64(x) else LARGEST_OF_GATE_32
    x = where_less(x, -largest, -largest, x)
    x = where_less(largest, x, largest, x)
    if is_float64(x):
        rounded, growth = _reduce(-x)
        power = power_of_two(rounded, 0)
        return fma(power, growth, power) + 1.0
    rounded = fma(x, -8.0 * LOG2_E, ROUNDING_32)
    n = rounded - ROUNDING_32
    r = fma(n, -LN2_32 / 8, -x)
    p = fma(r, GROWTH_OF_EIGHTH_32[0], GROWTH_OF_EIGHTH_32[1])
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return fma(p, power_of_eighth(rounded), 1.0)


@inline
def gate(x):
    """Return sigmoid(x); as if x were at most 80 (float64: 707) from zero.

    There a gate is 2e-35 or 1.  Its error is up to 3.7 units in the last place from -30
    on, and up to 5.5 below.
    """
    return 1.0 / inverse_gate(x)


@inline
def _terms_of_tanh_32(x):
    """Return a numerator and a denominator, at least 1, of tanh(x).

    Where that is next to 1 their quotient may be anything from there to infinity.
    """
    u = x * x
    u = where_less(LARGEST_SQUARE_OF_TANH_32, u, LARGEST_SQUARE_OF_TANH_32, u)
    below = fma(u, TANH_BELOW_32[0], TANH_BELOW_32[1])
    above = fma(u, TANH_ABOVE_32[0], TANH_ABOVE_32[1])
    below = fma(below, u, TANH_BELOW_32[2])
    above = fma(above, u, TANH_ABOVE_32[2])
    below = fma(below, u, TANH_BELOW_32[3])
    above = fma(above, u, TANH_ABOVE_32[3])
    below = fma(below, u, TANH_BELOW_32[4])
    above = fma(above, u, TANH_ABOVE_32[4])
    return x * above, below


@inline
def _at_most_1(x):
    x = where_less(x, -1.0, -1.0, x)
    return where_less(1.0, x, 1.0, x)


@inline
def tanh(x):
    """Return tanh(x), accurate near 0; of float32 within 5.2 units."""
    if is_float64(x):
        # -m / (m + 2) with m = e**(-2 abs(x)) - 1.
        a = abs(x)
        a = where_less(LARGEST_OF_TANH_64, a, LARGEST_OF_TANH_64, a)
        rounded, growth = _reduce(a * -2.0)
        power = power_of_two(rounded, 0)
        m = fma(power, growth, power - 1.0)
        return copysign(m / (m + 2.0), x)
    above, below = _terms_of_tanh_32(x)
    return _at_most_1(above / below)


@inline
def gate_and_tanh(inverse, x):
    """Return the reciprocal of an ``inverse_gate``, and tanh(x): by one division.

    A step of Newton's method takes back what that rounds of the gate, since an open one
    must be 1: a state that it keeps would fade away.  The errors of tanh are up to 2.1
    units larger.  If x is NaN, so are both.  float64 divides twice.
    """
    if is_float64(x):
        return 1.0 / inverse, tanh(x)
    above, below = _terms_of_tanh_32(x)
    shared = 1.0 / (inverse * below)
    reciprocal = shared * below
    reciprocal = fma(fma(-reciprocal, inverse, 1.0), reciprocal, reciprocal)
    return reciprocal, _at_most_1(shared * (inverse * above))


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
