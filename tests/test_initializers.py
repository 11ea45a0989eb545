"""First values of parameters."""

import hashlib
import json
import math
import platform
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding as llvm

from children import run_python
from fastgru import initializers
from tolerances import assert_same_bits

SHAPES = {
    "weight_ih_l0": (15, 3),
    "weight_hh_l0": (15, 5),
    "bias_ih_l0": (15,),
    "bias_hh_l0": (15,),
}


def random_state(seed=0):
    """Make the generator that estimators have."""
    return np.random.RandomState(seed)


# -- the same bits everywhere --

# What each draws after the seed 0.
DRAWS = {
    "uniform": lambda state: initializers.uniform((7, 5), 0.3, state),
    "glorot_uniform": lambda state: initializers.glorot_uniform((7, 5), state),
    "standard_normal": lambda state: initializers.standard_normal((101, 7), state),
    "orthogonal": lambda state: initializers.orthogonal(37, state),
    **{
        f"gru_{name}": lambda state, name=name: np.concatenate(
            [a.ravel() for _, a in initializers.draw_gru(SHAPES, name, state)]
        )
        for name in ("uniform", "glorot_orthogonal")
    },
}
DIGESTS = {
    "uniform": ("2896edc959d7239d4396748f4087a313b9f37aa4b278e6225b95f1a908890487"),
    "glorot_uniform": (
        "ae8026f4aabbc131834fa7da63157d2e949caa8fda3275c96050e87805f8db10"
    ),
    "standard_normal": (
        "656e94cff3cfcbfe80042e8382146c979597e5919b982c7f129d05ea1d656dc4"
    ),
    "orthogonal": ("a32079a354dae908fb5dc12d996fb05729086e694ec96cb6e5b90166a2c0a6cd"),
    "gru_uniform": ("2b95bc00c41495a0b51fe383d9c9c7616ed94bfa211dd53a6c46eeddc226d8d3"),
    "gru_glorot_orthogonal": (
        "78dc600064a395b9dd4a3e248e26039c8562daecd330def6d7f162eb98f4cc1e"
    ),
}
# Name -> LLVM's name of a CPU that stands in for others, and its features.
CPUS = {
    "avx2": ("haswell", ("avx", "avx2", "fma")),
    "generic": ("generic", ()),  # on x86-64 without fused multiply-add
}


def digests():
    """Hash the bits that each function draws."""
    return {
        name: hashlib.sha256(draw(random_state()).tobytes()).hexdigest()
        for name, draw in DRAWS.items()
    }


def test_known_bits():
    assert digests() == DIGESTS


@pytest.mark.parametrize("name", CPUS)
def test_another_cpu_draws_the_same_bits(name):
    cpu, features = CPUS[name]
    if features and platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip(f"other CPUs: {name} cannot stand in on {platform.machine()}")
    host = llvm.get_host_cpu_features()
    if not all(host.get(feature, False) for feature in features):
        pytest.skip(f"other CPUs: this one lacks features of {name}")
    code = """
        import json
        import sys
        sys.path.insert(0, sys.argv[1])
        import test_initializers
        print(json.dumps(test_initializers.digests()))
    """
    printed = run_python(
        code,
        Path(__file__).parent,
        NUMBA_CPU_NAME=cpu,
        NUMBA_CPU_FEATURES=",".join(f"+{feature}" for feature in features),
    )
    assert json.loads(printed) == DIGESTS


# -- uniform --


def test_known_numbers():
    # What the Mersenne Twister draws after this seed; the same on every machine.
    drawn = np.array([0.5488135039273248, 0.7151893663724195, 0.6027633760716439])
    expected = (2 * drawn - 1) * 0.25
    assert_same_bits(
        "values", initializers.uniform((3,), 0.25, random_state(0)), expected
    )


def test_uniform_within_the_bound():
    values = initializers.uniform((200, 100), 0.3, random_state())
    assert values.shape == (200, 100)
    assert values.dtype == np.float64
    assert values.min() >= -0.3
    assert values.max() < 0.3
    counts, _ = np.histogram(values, bins=10, range=(-0.3, 0.3))
    # Each tenth holds 2000 of them, give or take sqrt(1800).
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(1800)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_decides_and_the_generator_moves_on(seed):
    state = random_state(seed)
    first, second = (initializers.uniform((4, 5), 1.0, state) for _ in range(2))
    assert not np.array_equal(first, second)
    again = initializers.uniform((8, 5), 1.0, random_state(seed))
    assert_same_bits("values", np.concatenate([first, second]), again)


# -- Glorot --


@pytest.mark.parametrize("shape", [(200, 100), (100, 200), (1, 300)], ids=str)
def test_glorot_fills_its_range(shape):
    values = initializers.glorot_uniform(shape, random_state())
    assert values.shape == shape
    limit = math.sqrt(6 / sum(shape))
    assert 0.98 * limit < np.abs(values).max() <= limit
    # The variance that the paper asks for, 2 / (fan_in + fan_out), which the square of
    # a uniform number has with a deviation of sqrt(4 / 5) of itself.
    error = 5 * math.sqrt(0.8 / values.size)
    assert values.var() == pytest.approx(2 / sum(shape), rel=error)


# -- normal numbers --


def test_moments_of_normal_numbers():
    values = initializers.standard_normal((1000, 400), random_state())
    assert values.shape == (1000, 400)
    n = values.size
    moments = [(values**k).mean() for k in range(1, 7)]
    expected = [0, 1, 0, 3, 0, 15]
    variances = [1, 2, 15, 96, 945, 10170]  # of x**k: E x**2k - (E x**k)**2
    for moment, mean, variance in zip(moments, expected, variances, strict=True):
        assert abs(moment - mean) < 5 * math.sqrt(variance / n)


def test_normal_numbers_follow_the_normal_distribution():
    values = np.sort(initializers.standard_normal((40_000,), random_state()))
    exact = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in values])
    found = (np.arange(values.size) + 0.5) / values.size
    # Kolmogorov's distance; 1.95 is passed once in a thousand times.
    assert np.abs(found - exact).max() < 1.95 / math.sqrt(values.size)


def test_the_two_numbers_of_a_point_are_independent():
    pairs = initializers.standard_normal((40_000, 2), random_state())
    bound = 5 / math.sqrt(len(pairs))
    assert abs((pairs[:, 0] * pairs[:, 1]).mean()) < bound
    squares = (pairs**2 - 1) / math.sqrt(2)
    assert abs((squares[:, 0] * squares[:, 1]).mean()) < bound


def kept_points(state, n):
    """Draw points one by one until n of them lie in the circle."""
    points = []
    while len(points) < n:
        point = 2 * state.random_sample(2) - 1
        if 0 < (point**2).sum() < 1:
            points.append(point)
    return points


@pytest.mark.parametrize("n", [1, 2, 9, 10, 101])
def test_no_more_points_are_drawn_than_needed(n):
    state, other = random_state(3), random_state(3)
    values = initializers.standard_normal((n,), state)
    points = np.array(kept_points(other, (n + 1) // 2))
    assert state.random_sample() == other.random_sample()
    assert np.sign(values).tolist() == np.sign(points).ravel()[:n].tolist()


def test_normal_numbers_of_two_calls_are_those_of_one():
    state = random_state()
    parts = [initializers.standard_normal((6, 2 * k), state) for k in (3, 1)]
    whole = initializers.standard_normal((48,), random_state())
    assert_same_bits("values", np.concatenate([a.ravel() for a in parts]), whole)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (2, 3, 4)], ids=str)
def test_normal_numbers_of_any_shape(shape):
    assert initializers.standard_normal(shape, random_state()).shape == shape


# -- orthogonal matrices --


@pytest.mark.parametrize("n", [1, 2, 5, 64, 200])
def test_orthogonal(n):
    q = initializers.orthogonal(n, random_state())
    assert q.shape == (n, n)
    assert q.flags.c_contiguous
    assert np.abs(q @ q.T - np.eye(n)).max() <= 1e-14
    assert np.abs(q.T @ q - np.eye(n)).max() <= 1e-14


def test_orthogonal_matrices_favour_no_direction():
    state = random_state()
    drawn = np.array([initializers.orthogonal(3, state) for _ in range(4000)])
    # Each number has mean 0 and variance 1 / 3, its square a variance of 4 / 45; the
    # trace has mean 0 and variance 1.
    bound = 5 / math.sqrt(len(drawn))
    assert np.abs(drawn.mean(axis=0)).max() < bound * math.sqrt(1 / 3)
    assert np.abs((drawn**2).mean(axis=0) - 1 / 3).max() < bound * math.sqrt(4 / 45)
    trace = np.trace(drawn, axis1=1, axis2=2)
    assert abs(trace.mean()) < bound
    assert trace.var() == pytest.approx(1, rel=0.1)
    # Half of them are rotations.
    assert abs(np.linalg.det(drawn).mean()) < bound


def test_directions_in_the_plane_are_uniform():
    state = random_state()
    drawn = np.array([initializers.orthogonal(2, state) for _ in range(4000)])
    for x, y in (drawn[:, :, 0].T, drawn[:, 1].T):
        angle = np.arctan2(y, x)
        for k in range(1, 9):
            for wave in (np.cos(k * angle), np.sin(k * angle)):
                assert abs(wave.mean()) < 5 * math.sqrt(0.5 / angle.size)


# -- the parameters of a GRU --


@pytest.mark.parametrize("initializer", ["uniform", "glorot_orthogonal"])
@pytest.mark.parametrize("suffix", ["", "_l0", "_l1_reverse"])
def test_a_gru_gets_its_parameters_in_the_mappings_order(suffix, initializer):
    shapes = {name.replace("_l0", suffix): shape for name, shape in SHAPES.items()}
    drawn = list(initializers.draw_gru(shapes, initializer, random_state()))
    assert [(name, values.shape) for name, values in drawn] == list(shapes.items())
    assert all(values.dtype == np.float64 for _, values in drawn)
    backwards = dict(reversed(shapes.items()))
    drawn = initializers.draw_gru(backwards, initializer, random_state())
    assert [name for name, _ in drawn] == list(backwards)


def test_uniform_parameters_are_drawn_one_after_the_other():
    state = random_state(5)
    for name, values in initializers.draw_gru(SHAPES, "uniform", random_state(5)):
        expected = initializers.uniform(SHAPES[name], 1 / math.sqrt(5), state)
        assert_same_bits(name, values, expected)


def test_glorot_orthogonal_parameters_are_drawn_gate_by_gate():
    shapes = SHAPES | {"weight_ih_l0": (15, 40)}
    drawn = initializers.draw_gru(shapes, "glorot_orthogonal", random_state(5))
    drawn, state = dict(drawn), random_state(5)
    for gate in np.split(drawn["weight_ih_l0"], 3):
        expected = initializers.glorot_uniform((5, 40), state)
        assert_same_bits("weight_ih_l0", gate, expected)
        assert 0.95 < np.abs(gate).max() / math.sqrt(6 / 45) <= 1
    for gate in np.split(drawn["weight_hh_l0"], 3):
        assert_same_bits("weight_hh_l0", gate, initializers.orthogonal(5, state))
        assert np.abs(gate @ gate.T - np.eye(5)).max() <= 1e-14
    assert not drawn["bias_ih_l0"].any()
    assert not drawn["bias_hh_l0"].any()


@pytest.mark.parametrize("initializer", ["uniform", "glorot_orthogonal"])
def test_every_layer_gets_numbers_of_its_own(initializer):
    shapes = {f"weight_hh_l{layer}": (15, 5) for layer in range(2)}
    drawn = dict(initializers.draw_gru(shapes, initializer, random_state()))
    gates = [gate for values in drawn.values() for gate in np.split(values, 3)]
    for i, gate in enumerate(gates):
        assert all(np.abs(gate - other).max() > 0.1 for other in gates[:i])


# -- what is refused --

CHOICES = "initializer must be 'uniform' or 'glorot_orthogonal', got"


@pytest.mark.parametrize("name", ["uniform", "glorot_orthogonal"])
def test_known_initializers_pass(name):
    assert initializers.check_initializer(name) == name


@pytest.mark.parametrize("name", ["orthogonal", "Uniform", ""])
def test_unknown_initializers_are_refused_at_once(name):
    with pytest.raises(ValueError, match=f"^{CHOICES} {name!r}$"):
        initializers.check_initializer(name)
    with pytest.raises(ValueError, match=f"^{CHOICES} {name!r}$"):
        initializers.draw_gru(SHAPES, name, random_state())


@pytest.mark.parametrize("value", [None, 3, ("uniform",)], ids=repr)
def test_other_than_text_is_refused(value):
    with pytest.raises(TypeError, match=f"^{CHOICES} .* of type "):
        initializers.check_initializer(value)


def test_a_parameter_of_another_layer_is_refused_at_once():
    with pytest.raises(ValueError, match=r"'weight_ih'.*, got 'kernel'"):
        initializers.draw_gru({"kernel": (15, 3)}, "uniform", random_state())
