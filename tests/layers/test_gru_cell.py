"""One step: the bits of the layer, PyTorch's cell, and what it refuses."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgru
from cases import (
    BATCHES,
    BOTH_CELLS,
    BOTH_DTYPES,
    SIZES,
    assert_close_results,
    assert_same_results,
    num_threads,
    poisoned_memory,
    random_state_dict,
)
from gradcheck import check
from messages import words
from reference import gru_backward, gru_forward
from states import EACH_WRONG_STATE, assert_refused
from tolerances import assert_same_bits
from twin import load_state_dict, to_torch

BOTH_BIASES = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
SHAPES = [(1, 1, 1), (3, 2, 4), (12, 13, 50), (37, 16, 33)]  # B, I, H


class Problem:
    """A cell and all that a step and its pullback take."""

    def __init__(self, shape, *, bias=True, reset_after=True, dtype=np.float64, seed=0):
        B, input_size, hidden_size = shape
        rng = np.random.default_rng(seed)
        kind = {"bias": bias, "reset_after": reset_after, "dtype": dtype}
        self.cell = fastgru.GRUCell(input_size, hidden_size, **kind, random_state=0)
        state = random_state_dict(rng, input_size, hidden_size, dtype, bias=bias)
        self.of_layer = state
        self.state = {name.removesuffix("_l0"): w for name, w in state.items()}
        self.cell.load_state_dict(self.state)
        self.gru = fastgru.GRU(input_size, hidden_size, **kind, random_state=0)
        self.gru.load_state_dict(state)
        self.x = rng.standard_normal((B, input_size)).astype(dtype)
        self.h = rng.standard_normal((B, hidden_size)).astype(dtype)
        self.d_h = rng.standard_normal((B, hidden_size)).astype(dtype)

    def run(self):
        """Give all results by name."""
        h, pullback = self.cell.vjp(self.x, self.h)
        grads = pullback(self.d_h)
        assert list(grads.parameters) == list(self.state)
        return {"h": h, "d_x": grads.x, "d_h": grads.h, **grads.parameters}


@pytest.fixture
def problem():
    return Problem((4, 5, 17))


# -- right --


@BOTH_CELLS
@BOTH_DTYPES
@BOTH_BIASES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_step_agrees_with_the_reference(shape, bias, dtype, reset_after):
    # With seed 0, the only gradient of the only feature is what is left of terms 200
    # times as large: their last digit would be more than the tolerance.
    kind = {"bias": bias, "reset_after": reset_after, "dtype": dtype}
    problem = Problem(shape, **kind, seed=1)
    arguments = problem.x[np.newaxis], problem.h[np.newaxis], problem.of_layer
    options = {"reset_after": reset_after}
    _, h_n = gru_forward(*arguments, **options)
    nothing = np.zeros((1, *problem.h.shape))
    grads = gru_backward(nothing, problem.d_h[np.newaxis], *arguments, **options)
    expected = {"h": h_n[0], "d_x": grads.pop("x")[0], "d_h": grads.pop("h_0")[0]}
    expected |= {name.removesuffix("_l0"): grad for name, grad in grads.items()}
    assert_close_results(problem.run(), expected, dtype)


@BOTH_CELLS
@BOTH_BIASES
def test_gradients_agree_with_central_differences(bias, reset_after):
    problem = Problem((3, 2, 4), bias=bias, reset_after=reset_after)
    results = problem.run()
    tensors = {"x": problem.x, "h": problem.h}
    actual = {"x": results["d_x"], "h": results["d_h"]}
    actual |= {name: results[name] for name in problem.state}

    def forward(x, h):
        return float(np.sum(problem.cell(x, h) * problem.d_h))

    check(problem.cell, tensors, forward, actual)


@BOTH_DTYPES
@BOTH_BIASES
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_step_agrees_with_torch(shape, bias, dtype):
    torch = pytest.importorskip(
        "torch", reason="agreement with PyTorch: torch is not installed"
    )
    problem = Problem(shape, bias=bias, dtype=dtype)
    _, input_size, hidden_size = shape
    cell = torch.nn.GRUCell(input_size, hidden_size, bias)
    load_state_dict(cell, problem.cell.state_dict())
    x = to_torch(problem.x, requires_grad=True)
    h = to_torch(problem.h, requires_grad=True)
    h_after = cell(x, h)
    h_after.backward(to_torch(problem.d_h))
    expected = {"h": h_after.detach(), "d_x": x.grad, "d_h": h.grad}
    expected |= {name: p.grad for name, p in cell.named_parameters()}
    expected = {name: tensor.numpy() for name, tensor in expected.items()}
    assert_close_results(problem.run(), expected, dtype)


# -- the same bits --


@given(
    reset_after=st.booleans(),
    bias=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    shape=st.tuples(*map(st.sampled_from, (BATCHES, SIZES, SIZES))),
    n_steps=st.integers(1, 5),
)
def test_a_loop_over_cells_gives_the_bits_of_the_layer(
    n_steps, shape, dtype, bias, reset_after
):
    problem = Problem(shape, bias=bias, reset_after=reset_after, dtype=dtype)
    rng = np.random.default_rng(n_steps)
    x = rng.standard_normal((n_steps, *problem.x.shape)).astype(dtype)
    output, h_n = problem.gru(x, problem.h[np.newaxis])
    h = problem.h
    for t in range(n_steps):
        recorded, _ = problem.cell.vjp(x[t], h)
        h = problem.cell(x[t], h)
        assert_same_bits(f"h after step {t}", h, output[t])
        assert_same_bits(f"h of vjp after step {t}", recorded, h)
    assert_same_bits("h_n", h, h_n[0])


@BOTH_CELLS
@BOTH_DTYPES
@BOTH_BIASES
def test_a_loop_over_pullbacks_gives_the_bits_of_the_layer(bias, dtype, reset_after):
    options = {"bias": bias, "reset_after": reset_after, "dtype": dtype}
    problem = Problem((13, 5, 17), **options)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 13, 5)).astype(dtype)
    _, _, pullback = problem.gru.vjp(x, problem.h[np.newaxis])
    expected = pullback(None, problem.d_h[np.newaxis])
    h, pullbacks = problem.h, []
    for x_t in x:
        h, pullback = problem.cell.vjp(x_t, h)
        pullbacks.append(pullback)
    d_h = problem.d_h
    for t in reversed(range(4)):
        grads = pullbacks[t](d_h)
        d_h = grads.h
        assert_same_bits(f"d_x at {t}", grads.x, expected.x[t])
    assert_same_bits("d_h", d_h, expected.h_0[0])


@BOTH_CELLS
@BOTH_DTYPES
def test_one_row_without_batch_axis_gives_the_same_bits(dtype, reset_after):
    problem = Problem((1, 5, 17), reset_after=reset_after, dtype=dtype)
    expected = problem.run()
    expected |= {name: expected[name][0] for name in ("h", "d_x", "d_h")}
    problem.x, problem.h, problem.d_h = problem.x[0], problem.h[0], problem.d_h[0]
    assert_same_results(problem.run(), expected)
    assert_same_bits("h", problem.cell(problem.x, problem.h), expected["h"])


@BOTH_CELLS
@BOTH_DTYPES
def test_a_row_does_not_depend_on_its_batch(dtype, reset_after):
    problem = Problem((37, 5, 17), reset_after=reset_after, dtype=dtype)
    whole = problem.run()
    x, h, d_h = problem.x, problem.h, problem.d_h
    for rows in ([5], [36, 0, 7, 7], range(0, 37, 3)):
        rows = list(rows)
        problem.x, problem.h, problem.d_h = x[rows], h[rows], d_h[rows]
        part = problem.run()
        for name in ("h", "d_x", "d_h"):
            assert_same_bits(name, part[name], whole[name][rows])


@pytest.mark.usefixtures("two_threads")
def test_threads_do_not_matter():
    problem = Problem((37, 5, 17), dtype=np.float32)
    results = []
    for n in (1, 2):
        with num_threads(n):
            results.append(problem.run())
    assert_same_results(*results)


@pytest.mark.parametrize("B", [0, 1, 9])
@BOTH_BIASES
def test_all_memory_is_written_before_it_is_read(bias, B):
    problem = Problem((B, 5, 17), bias=bias)
    expected = problem.run()
    with poisoned_memory():
        assert_same_results(problem.run(), expected)
        h = problem.cell(problem.x, problem.h)
    assert_same_bits("h", h, expected["h"])


def test_no_state_is_zeros(problem):
    zeros = np.zeros_like(problem.h)
    assert_same_bits("h", problem.cell(problem.x), problem.cell(problem.x, zeros))
    h, pullback = problem.cell.vjp(problem.x)
    problem.h = zeros
    expected = problem.run()
    assert_same_bits("h", h, expected["h"])
    assert_same_bits("d_h", pullback(problem.d_h).h, expected["d_h"])


@pytest.mark.parametrize(
    "layout",
    [
        lambda array: np.asfortranarray(array),
        lambda array: np.repeat(array, 2, axis=0)[::2],
        lambda array: np.flip(np.flip(array).copy()),
    ],
    ids=["columns", "sliced", "reversed"],
)
def test_memory_layout_does_not_matter(problem, layout):
    expected = problem.run()
    for name in ("x", "h", "d_h"):
        array = layout(getattr(problem, name))
        array.flags.writeable = False
        setattr(problem, name, array)
    assert_same_results(problem.run(), expected)


def test_changing_arrays_after_vjp_does_not_change_gradients(problem):
    expected = problem.run()
    x, h = problem.x.copy(), problem.h.copy()
    result, pullback = problem.cell.vjp(x, h)
    for array in (x, h, result):
        array[...] = np.nan
    grads = pullback(problem.d_h)
    assert_same_bits("d_x", grads.x, expected["d_x"])
    assert_same_bits("d_h", grads.h, expected["d_h"])
    for name, gradient in grads.parameters.items():
        assert_same_bits(name, gradient, expected[name])


def test_a_batch_of_no_rows():
    problem = Problem((0, 5, 17))
    results = problem.run()
    assert results["h"].shape == results["d_h"].shape == (0, 17)
    assert results["d_x"].shape == (0, 5)
    assert not any(np.any(results[name]) for name in problem.state)
    assert problem.cell(problem.x).shape == (0, 17)


# -- what is refused --


@pytest.mark.parametrize("name", ["input_size", "hidden_size"])
def test_wrong_sizes_are_refused(name):
    sizes = {"input_size": 3, "hidden_size": 4}
    for size in (0, -1):
        with pytest.raises(ValueError, match=words(name, "at least 1", f"got {size}")):
            fastgru.GRUCell(**sizes | {name: size})
    for size in (True, 1.5, "3", None):
        with pytest.raises(TypeError, match=words(name, "a whole number", repr(size))):
            fastgru.GRUCell(**sizes | {name: size})


def test_wrong_settings_are_refused():
    for name in ("bias", "reset_after"):
        with pytest.raises(TypeError, match=words(name, "True or False", "got 1")):
            fastgru.GRUCell(3, 4, **{name: 1})
    with pytest.raises(ValueError, match=words("initializer", "'other'")):
        fastgru.GRUCell(3, 4, initializer="other")
    with pytest.raises(ValueError, match=words("dtype", "float16")):
        fastgru.GRUCell(3, 4, dtype=np.float16)


@pytest.mark.parametrize(
    ("name", "shape", "expected"),
    [
        ("x", (), "2 axes"),
        ("x", (4, 1, 5), "2 axes"),
        ("x", (4, 6), 5),
        ("x", (4,), 5),
        ("x", (4, 0), 5),
        ("h", (4, 16), (4, 17)),
        ("h", (3, 17), (4, 17)),
        ("h", (17,), (4, 17)),
        ("h", (1, 4, 17), (4, 17)),
    ],
    ids=str,
)
def test_wrong_shapes_are_refused(problem, name, shape, expected):
    arguments = {"x": problem.x, "h": problem.h} | {name: np.zeros(shape)}
    for call in (problem.cell, problem.cell.vjp):
        with pytest.raises(ValueError, match=words(name, expected, shape)):
            call(**arguments)


def test_a_row_without_batch_axis_has_a_state_without(problem):
    with pytest.raises(ValueError, match=words("h", (17,), (4, 17))):
        problem.cell(problem.x[0], problem.h)


@pytest.mark.parametrize("name", ["x", "h"])
def test_wrong_dtypes_are_refused(problem, name):
    arguments = {"x": problem.x, "h": problem.h}
    for dtype in ("float32", "int64", "bool"):
        changed = arguments | {name: arguments[name].astype(dtype)}
        with pytest.raises(ValueError, match=words(name, "float64", dtype)):
            problem.cell(**changed)
    for dtype in ("complex128", "object", "U9"):
        changed = arguments | {name: arguments[name].astype(dtype)}
        with pytest.raises(TypeError, match=words(name, "numbers")):
            problem.cell(**changed)


@pytest.mark.parametrize("shape", [(4, 16), (17,), (1, 4, 17)], ids=str)
def test_a_wrong_cotangent_is_refused_and_the_pullback_stays_usable(problem, shape):
    _, pullback = problem.cell.vjp(problem.x, problem.h)
    with pytest.raises(ValueError, match=words("d_h", (4, 17), shape)):
        pullback(np.zeros(shape))
    with pytest.raises(ValueError, match=words("d_h", "float64", "float32")):
        pullback(np.zeros((4, 17), np.float32))
    assert_same_bits("d_x", pullback(problem.d_h).x, problem.run()["d_x"])


def test_a_pullback_is_called_once(problem):
    _, pullback = problem.cell.vjp(problem.x, problem.h)
    pullback(problem.d_h)
    with pytest.raises(RuntimeError, match="already called"):
        pullback(problem.d_h)


def test_a_pullback_from_before_new_weights_is_refused(problem):
    _, pullback = problem.cell.vjp(problem.x, problem.h)
    problem.cell.load_state_dict(problem.state)
    with pytest.raises(RuntimeError, match="parameters were set after vjp"):
        pullback(problem.d_h)


# -- state and settings --


@BOTH_BIASES
def test_state_dict_has_torchs_names_and_shapes(bias):
    shapes = {
        "weight_ih": (12, 3),
        "weight_hh": (12, 4),
        "bias_ih": (12,),
        "bias_hh": (12,),
    }
    state = fastgru.GRUCell(3, 4, bias=bias).state_dict()
    expected = dict(list(shapes.items())[: 4 if bias else 2])
    assert {name: w.shape for name, w in state.items()} == expected


@pytest.mark.parametrize("initializer", ["uniform", "glorot_orthogonal"])
def test_first_parameters_are_those_of_the_layer(initializer):
    options = {"initializer": initializer, "random_state": 5}
    state = fastgru.GRUCell(3, 4, **options).state_dict()
    for name, w in fastgru.GRU(3, 4, **options).state_dict().items():
        assert_same_bits(name, state[name.removesuffix("_l0")], w)


@EACH_WRONG_STATE
def test_a_wrong_state_dict_is_refused_and_changes_nothing(problem, spoil):
    assert_refused(problem.cell, spoil, lambda cell: problem.run())


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))],
    ids=["copy", "deepcopy", "pickle"],
)
@BOTH_CELLS
@BOTH_BIASES
def test_a_duplicate_gives_the_same_bits_and_is_independent(
    duplicate, bias, reset_after
):
    problem = Problem((4, 5, 17), bias=bias, reset_after=reset_after, dtype=np.float32)
    expected = problem.run()
    other = duplicate(problem.cell)
    assert other.settings() == problem.cell.settings()
    assert repr(other) == repr(problem.cell)
    assert_same_bits("h", other(problem.x, problem.h), expected["h"])
    other.load_state_dict({name: 0 * w for name, w in problem.state.items()})
    assert_same_results(problem.run(), expected)
