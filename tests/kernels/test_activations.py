"""gate, sigmoid, tanh, exp and log against mpmath at 50 digits and densely by libm."""

import mpmath
import numpy as np
import pytest
from numba import njit

from cases import BOTH_DTYPES
from fastgru.kernels import activations
from fastgru.kernels.simd import lanes, load, pointer, store

# What `activations` promises over the whole range, and of what cells use in float32; of
# two that share a division behind it.
MOST_ULPS = 4.0
MOST_ULPS_32 = {"gate": 5.5, "tanh": 5.2}
MOST_ULPS_SHARED_32 = {"gate": 5.5, "tanh": 7.3}
LARGEST_OF_GATE = {np.float32: 80.0, np.float64: 707.0}


def make_vector_loop(function):
    """Compile a loop that applies a function to an array, a register at a time."""

    @njit(error_model="numpy")
    def apply(out, x):
        wide = lanes(pointer(x))
        for i in range(0, x.size, wide):
            store(pointer(out) + i, function(load(pointer(x) + i)))

    return apply


def make_scalar_loop(function):
    """Compile a loop that applies a function to an array, a number at a time."""

    @njit(error_model="numpy")
    def apply(out, x):
        for i in range(x.size):
            out[i] = function(x[i])

    return apply


FUNCTIONS = ("exp", "exp_of_nonpositive", "gate", "log", "sigmoid", "tanh")
BY_VECTOR = {name: make_vector_loop(getattr(activations, name)) for name in FUNCTIONS}
BY_NUMBER = {name: make_scalar_loop(getattr(activations, name)) for name in FUNCTIONS}
EACH_FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)


def compute(name, x):
    """Apply a function to a 1-D array through registers."""
    padded = np.ones(-(-x.size // 16) * 16, x.dtype)  # whole registers, also of 64 B
    padded[: x.size] = x
    if name == "exp_of_nonpositive":
        padded[x.size :] = -1
    out = np.empty_like(padded)
    BY_VECTOR[name](out, padded)
    return out[: x.size]


def in_domain(name, x):
    """Keep the numbers for which a function is meant."""
    if name == "exp_of_nonpositive":
        return x[x <= 0]
    if name == "gate":
        return x[np.abs(x) <= LARGEST_OF_GATE[x.dtype.type]]
    if name == "exp":
        return x[x <= np.log(np.finfo(x.dtype).max)]  # up to the largest result
    if name == "log":
        return x[(x >= np.finfo(x.dtype).tiny) & (x < np.inf)]
    return x[~np.isnan(x)]


def exactly(name, x):
    """Compute one value at 50 digits."""
    x = mpmath.mpf(float(x))
    if name in ("gate", "sigmoid"):
        return 1 / (1 + mpmath.exp(-x))
    name = name.removesuffix("_of_nonpositive")
    return {"exp": mpmath.exp, "log": mpmath.log, "tanh": mpmath.tanh}[name](x)


def by_libm(name, x):
    """Compute an array in long double, straight from the definitions."""
    x = x.astype(np.longdouble)
    with np.errstate(over="ignore", under="ignore"):
        if name in ("gate", "sigmoid"):
            e = np.exp(-np.abs(x))
            return np.where(x < 0, e, 1) / (1 + e)
        name = name.removesuffix("_of_nonpositive")
        return {"exp": np.exp, "log": np.log, "tanh": np.tanh}[name](x)


def ulps(actual, expected):
    """Give the errors in units in the last place of ``actual.dtype``.

    The unit at the exact value; below the normal range, the smallest denormal.
    """
    dtype = actual.dtype
    with np.errstate(under="ignore"):
        unit = np.spacing(np.abs(expected).astype(dtype)).astype(np.longdouble)
    return np.abs(actual.astype(np.longdouble) - expected) / unit


def most_ulps(name, dtype):
    """Give the largest error that a function may have."""
    return MOST_ULPS_32.get(name, MOST_ULPS) if dtype == np.float32 else MOST_ULPS


def assert_within_ulps(name, x, expected):
    """Compare a function on an array with values of higher precision."""
    errors = ulps(compute(name, x), expected)
    worst = int(np.argmax(np.where(np.isnan(errors), np.inf, errors)))
    # Written so that a NaN fails.
    assert errors[worst] <= most_ulps(name, x.dtype), (
        f"{name}({x[worst]!r}): {errors[worst]:.2f} units in the last place"
    )


def edges(dtype):
    """Give the numbers at which a function may change its ways."""
    info = np.finfo(dtype)
    powers = np.ldexp(1.0, np.arange(-140 if dtype == np.float32 else -1040, 11))
    halves = (np.arange(0, 1500) + 0.5) * np.log(2)  # where the reduction switches
    ends = [9.0, 17.33, 20.0, 22.2, 40.0, 87.34, 88.73, 103.28, 103.98, 104.0, 104.5]
    ends += [708.4, 709.79, 744.44, 745.14, 746.0, 750.0, 1e4]
    tiny = [info.smallest_subnormal, info.tiny, info.eps, info.max]
    x = np.concatenate([powers, halves, ends, tiny]).astype(dtype)
    around = np.concatenate([np.nextafter(x, 0, dtype=dtype), x])
    return np.concatenate([around, -around])


@EACH_FUNCTION
@BOTH_DTYPES
def test_at_most_the_promised_ulps_from_50_digits(dtype, name, rng):
    drawn = rng.standard_normal(300) * 10.0 ** rng.uniform(-6, 3, 300)
    x = in_domain(name, np.concatenate([edges(dtype), drawn.astype(dtype)]))
    with mpmath.workdps(50):
        exact = [exactly(name, number) for number in x]
        # The error itself is what must not be rounded to float64 first.
        computed = compute(name, x)
        units = np.spacing(np.abs(np.array([float(e) for e in exact])).astype(dtype))
        errors = [
            float(abs(mpmath.mpf(float(a)) - e) / float(unit))
            for a, e, unit in zip(computed, exact, units, strict=True)
        ]
    assert len(errors) > 1000
    worst = int(np.argmax(errors))
    assert np.isfinite(errors).all()
    most = most_ulps(name, dtype)
    assert errors[worst] <= most, f"{name}({x[worst]!r}): {errors[worst]:.2f} ulp"


@EACH_FUNCTION
def test_at_most_the_promised_ulps_over_all_float32(name):
    # Every 1999th bit pattern: each exponent and sign, denormals and infinities.
    bits = np.arange(0, 2**32, 1999, dtype=np.uint64).astype(np.uint32)
    x = in_domain(name, bits.view(np.float32))
    assert_within_ulps(name, x, by_libm(name, x))


@EACH_FUNCTION
def test_at_most_the_promised_ulps_over_all_float64(name, rng):
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        pytest.skip("dense float64 checks: long double is no wider than float64 here")
    bits = rng.integers(0, 2**64, 200_000, dtype=np.uint64)
    x = np.concatenate([bits.view(np.float64), np.linspace(-800, 800, 400_001)])
    x = in_domain(name, x)
    assert_within_ulps(name, x, by_libm(name, x))


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
def test_at_most_the_promised_ulps_near_zero_in_float64(name, rng):
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        pytest.skip("dense float64 checks: long double is no wider than float64 here")
    x = rng.uniform(-1, 1, 200_000) * 10.0 ** rng.uniform(-320, 1, 200_000)
    assert_within_ulps(name, x, by_libm(name, x))


@njit(error_model="numpy")
def apply_both(z, n, gate_of, tanh_of):
    """Compute a gate and a tanh that share a division where they can."""
    wide = lanes(pointer(z))
    for i in range(0, z.size, wide):
        inverse = activations.inverse_gate(load(pointer(gate_of) + i))
        both = activations.gate_and_tanh(inverse, load(pointer(tanh_of) + i))
        store(pointer(z) + i, both[0])
        store(pointer(n) + i, both[1])


def compute_both(gate_of, tanh_of):
    """Apply them to two 1-D arrays of a multiple of 16 numbers."""
    z, n = np.empty_like(gate_of), np.empty_like(tanh_of)
    apply_both(z, n, gate_of, tanh_of)
    return z, n


def draw_pairs(rng, dtype, size):
    """Draw arguments of a gate and of a tanh of every magnitude, most of them usual."""
    gate_of = rng.uniform(-1, 1, size) * rng.choice([3, 20, 80], size)
    tanh_of = rng.uniform(-1, 1, size) * rng.choice([1e-30, 1e-3, 1, 3, 9, 20], size)
    return gate_of.astype(dtype), tanh_of.astype(dtype)


def test_at_most_the_promised_ulps_of_two_that_share_a_division(rng):
    gate_of, tanh_of = draw_pairs(rng, np.float32, 3_200_000)
    z, n = compute_both(gate_of, tanh_of)
    for name, argument, result in (("gate", gate_of, z), ("tanh", tanh_of, n)):
        errors = ulps(result, by_libm(name, argument))
        assert errors.max() <= MOST_ULPS_SHARED_32[name], argument[errors.argmax()]
    assert np.abs(n).max() == z.max() == 1  # never more
    # A state that an open gate keeps would fade otherwise.
    assert np.all(z[compute("gate", gate_of) == 1] == 1)


def test_in_float64_two_are_what_each_is_alone(rng):
    gate_of, tanh_of = draw_pairs(rng, np.float64, 16_000)
    z, n = compute_both(gate_of, tanh_of)
    assert z.tobytes() == compute("gate", gate_of).tobytes()
    assert n.tobytes() == compute("tanh", tanh_of).tobytes()


@BOTH_DTYPES
def test_two_that_share_a_division_at_the_ends_of_their_range(dtype):
    largest = LARGEST_OF_GATE[dtype]
    ends = np.array([0.0, -0.0, np.inf, -np.inf, largest, -largest, 8.5, -8.5], dtype)
    gate_of, tanh_of = (a.ravel() for a in np.meshgrid(ends, ends))
    z, n = compute_both(gate_of, tanh_of)
    lowest = compute("gate", np.array([-largest], dtype))[0]
    for at, expected in ((0.0, 0.5), (np.inf, 1.0), (-np.inf, lowest)):
        np.testing.assert_allclose(z[gate_of == at], expected, rtol=1e-6)
    assert np.all(z[gate_of >= largest] == 1)
    for at in (0.0, np.inf, -np.inf):
        assert np.array_equal(n[tanh_of == at], np.tanh(tanh_of[tanh_of == at]))
    assert np.array_equal(np.signbit(n), np.signbit(tanh_of))
    tiny = np.full(16, np.finfo(dtype).tiny, dtype)
    for gate_at in (-largest, 0.0, largest):
        _, n = compute_both(np.full(16, gate_at, dtype), tiny)
        np.testing.assert_allclose(n, tiny, rtol=1e-6)


@BOTH_DTYPES
@pytest.mark.parametrize("place", [0, 1])
def test_of_two_that_share_a_division_nan_comes_out_in_its_lane(dtype, place):
    arguments = (
        np.linspace(-3, 3, 16).astype(dtype),
        np.linspace(2, -2, 16, dtype=dtype),
    )
    arguments[place][5] = np.nan
    results = compute_both(*arguments)
    assert np.isnan(results[place][5])
    for result in results:
        assert np.isfinite(np.delete(result, 5)).all()


@EACH_FUNCTION
def test_a_number_gives_the_bits_of_a_register(name, rng):
    drawn = rng.standard_normal(1000) * 10.0 ** rng.uniform(-6, 3, 1000)
    x = in_domain(name, np.concatenate([edges(np.float64), drawn]))
    out = np.empty_like(x)
    BY_NUMBER[name](out, x)
    assert out.tobytes() == compute(name, x).tobytes()


@BOTH_DTYPES
def test_values_at_zero_and_infinity(dtype):
    x = np.array([0.0, -0.0, np.inf, -np.inf], dtype)
    assert compute("sigmoid", x).tolist() == [0.5, 0.5, 1.0, 0.0]
    lowest_gate = compute("gate", np.array([-LARGEST_OF_GATE[dtype]], dtype))[0]
    assert compute("gate", x).tolist() == [0.5, 0.5, 1.0, lowest_gate]
    assert 0 < lowest_gate < 2e-35
    assert compute("tanh", x).tolist() == [0.0, 0.0, 1.0, -1.0]
    assert np.signbit(compute("tanh", x)).tolist() == [False, True, False, True]
    x = np.array([0.0, -0.0, -np.inf, np.finfo(dtype).min], dtype)
    assert compute("exp_of_nonpositive", x).tolist() == [1.0, 1.0, 0.0, 0.0]
    assert compute("log", np.array([1.0, np.inf], dtype)).tolist() == [0.0, np.inf]
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.finfo(dtype).max], dtype)
    assert compute("exp", x).tolist() == [1.0, 1.0, np.inf, 0.0, np.inf]


@pytest.mark.parametrize("last", [np.float32(88.72283), np.float64(709.782712893384)])
def test_exp_is_infinite_from_where_no_number_is_as_large(last):
    x = np.array([last, np.nextafter(last, last.dtype.type(np.inf))])
    largest, beyond = compute("exp", x)
    assert 0.99 * np.finfo(x.dtype).max < largest < np.inf
    assert beyond == np.inf


@BOTH_DTYPES
def test_tanh_is_odd_and_keeps_tiny_arguments(dtype, rng):
    x = (rng.standard_normal(1000) * 10.0 ** rng.uniform(-6, 3, 1000)).astype(dtype)
    assert compute("tanh", -x).tobytes() == (-compute("tanh", x)).tobytes()
    info = np.finfo(dtype)
    tiny = np.array([info.smallest_subnormal, info.tiny, info.eps**2], dtype)
    assert compute("tanh", tiny).tolist() == tiny.tolist()
    assert compute("tanh", -tiny).tolist() == (-tiny).tolist()


@EACH_FUNCTION
@BOTH_DTYPES
def test_nan_comes_out_in_its_lane_only(dtype, name):
    x = np.linspace(-3, -0.1, 16).astype(dtype)
    x = np.abs(x) if name == "log" else x
    expected = compute(name, x)
    x[5] = np.nan
    out = compute(name, x)
    assert np.isnan(out[5])
    others = np.arange(16) != 5
    assert out[others].tobytes() == expected[others].tobytes()


@EACH_FUNCTION
def test_every_nan_comes_out(name):
    # Programs hide numbers in the low bits of NaN, and powers of two come from there.
    x = np.arange(0x7F800001, 0x80000000, 97, dtype=np.uint32).view(np.float32)
    assert np.isnan(compute(name, x)).all()
    assert np.isnan(compute(name, -x)).all()
