"""What the layer takes and refuses, and its weights as a state_dict."""

import re

import numpy as np
import pytest

import fastgru
from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    PARAMETERS,
    assert_same_results,
    make_case,
    random_state_dict,
    run_layer,
)
from tolerances import assert_same_bits


def words(*parts):
    """Make a pattern for messages that name all parts, as words, in any order."""
    escaped = [re.escape(str(part)) for part in parts]
    return "(?s)" + "".join(rf"(?=.*(?<!\w){part}(?!\w))" for part in escaped)


@pytest.fixture
def case():
    return make_case((6, 4, 5, 17))


# -- the constructor --


@pytest.mark.parametrize("name", ["input_size", "hidden_size"])
@pytest.mark.parametrize("size", [0, -1])
def test_sizes_below_one_are_refused(name, size):
    sizes = {"input_size": 3, "hidden_size": 4} | {name: size}
    with pytest.raises(ValueError, match=words(name, size)):
        fastgru.GRU(**sizes)


@pytest.mark.parametrize("name", ["input_size", "hidden_size"])
@pytest.mark.parametrize("size", [True, 1.5, 2.0, "3", None, (3, 4)], ids=repr)
def test_sizes_that_are_no_ints_are_refused(name, size):
    sizes = {"input_size": 3, "hidden_size": 4} | {name: size}
    with pytest.raises(TypeError, match=name):
        fastgru.GRU(**sizes)


def test_numpy_ints_are_sizes():
    gru = fastgru.GRU(np.int64(3), np.int32(4))
    assert gru.state_dict()["weight_ih_l0"].shape == (12, 3)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.int64, np.complex128, bool, object, "text", 5], ids=repr
)
def test_other_dtypes_are_refused(dtype):
    with pytest.raises((ValueError, TypeError), match="dtype|data type"):
        fastgru.GRU(3, 4, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.dtype(np.float64)], ids=str)
def test_dtypes_are_taken_in_any_spelling(dtype):
    gru = fastgru.GRU(3, 4, dtype=dtype)
    assert {w.dtype for w in gru.state_dict().values()} == {np.dtype(dtype)}


def test_float32_is_the_default():
    dtypes = {w.dtype for w in fastgru.GRU(3, 4).state_dict().values()}
    assert dtypes == {np.dtype(np.float32)}


@BOTH_DTYPES
def test_the_same_random_state_gives_the_same_weights(dtype):
    first, second, other = (
        fastgru.GRU(13, 50, dtype=dtype, random_state=seed).state_dict()
        for seed in (7, 7, 8)
    )
    for name in PARAMETERS:
        assert_same_bits(name, first[name], second[name])
        assert not np.array_equal(first[name], other[name]), name


@BOTH_DTYPES
def test_initial_weights_are_uniform_within_torchs_bound(dtype):
    bound = 1 / np.sqrt(50)
    state = fastgru.GRU(40, 50, dtype=dtype, random_state=7).state_dict()
    for name, w in state.items():
        assert np.abs(w).max() <= bound * (1 + 1e-6), name  # float32 rounds
        assert np.abs(w).max() > 0.9 * bound, name
        # A uniform draw's mean is off zero by bound / sqrt(3 * size), give or take.
        assert abs(w.mean()) < 4 * bound / np.sqrt(3 * w.size), name


@pytest.mark.parametrize("random_state", [-1, 1.5, "seed"], ids=repr)
def test_what_is_no_random_state_is_refused(random_state):
    with pytest.raises((ValueError, TypeError)):
        fastgru.GRU(3, 4, random_state=random_state)


# -- state_dict and load_state_dict --


@BOTH_CELLS
@BOTH_DTYPES
def test_state_dict_has_torchs_names_and_shapes(dtype, reset_after):
    state = fastgru.GRU(5, 17, dtype=dtype, reset_after=reset_after).state_dict()
    assert {name: w.shape for name, w in state.items()} == {
        "weight_ih_l0": (51, 5),
        "weight_hh_l0": (51, 17),
        "bias_ih_l0": (51,),
        "bias_hh_l0": (51,),
    }
    assert tuple(state) == PARAMETERS
    assert {w.dtype for w in state.values()} == {np.dtype(dtype)}


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("sizes", [(1, 1), (5, 17), (257, 50), (16, 64)], ids=str)
def test_loaded_weights_come_back(sizes, dtype, reset_after, rng):
    state = random_state_dict(rng, *sizes, dtype)
    gru = fastgru.GRU(*sizes, dtype=dtype, reset_after=reset_after)
    gru.load_state_dict(state)
    for name, w in gru.state_dict().items():
        assert_same_bits(name, w, state[name])


def test_weights_of_any_memory_layout_load(case):
    state = case.gru.state_dict()
    expected = run_layer(case)
    layouts = (
        np.asfortranarray,
        lambda w: np.repeat(w, 2, axis=0)[::2],
        lambda w: np.flip(np.flip(w).copy()),
    )
    for layout in layouts:
        case.gru.load_state_dict({name: layout(w) for name, w in state.items()})
        assert_same_results(run_layer(case), expected)


def test_state_dict_gives_copies(case):
    expected = run_layer(case)
    for w in case.gru.state_dict().values():
        w[...] = 0
    assert_same_results(run_layer(case), expected)


def test_load_state_dict_takes_copies(case):
    state = case.gru.state_dict()
    case.gru.load_state_dict(state)
    expected = run_layer(case)
    for w in state.values():
        w[...] = 0
    assert_same_results(run_layer(case), expected)


def _without(name):
    return lambda state: {key: w for key, w in state.items() if key != name}


def _with(name, change):
    return lambda state: state | {name: change(state.get(name))}


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        pytest.param(_without("bias_hh_l0"), ["bias_hh_l0"], id="missing"),
        pytest.param(lambda state: {}, ["weight_ih_l0"], id="empty"),
        pytest.param(
            _with("bias_hh_l1", lambda _: np.zeros(51)), ["bias_hh_l1"], id="unexpected"
        ),
        pytest.param(
            _with("bias_hh_l0", lambda w: w[:-1]),
            ["bias_hh_l0", (51,), (50,)],
            id="short",
        ),
        pytest.param(
            _with("weight_hh_l0", lambda w: w.T.copy()),
            ["weight_hh_l0", (51, 17), (17, 51)],
            id="transposed",
        ),
        pytest.param(
            _with("bias_hh_l0", lambda w: w[:, np.newaxis]),
            ["bias_hh_l0", (51,), (51, 1)],
            id="another axis",
        ),
        pytest.param(
            _with("bias_hh_l0", lambda w: w.astype(np.float32)),
            ["bias_hh_l0", "float64", "float32"],
            id="float32",
        ),
        pytest.param(
            _with("bias_hh_l0", lambda w: w.astype(np.int64)),
            ["bias_hh_l0", "float64", "int64"],
            id="int64",
        ),
    ],
)
def test_a_wrong_state_dict_is_refused_and_changes_nothing(case, spoil, parts):
    expected = run_layer(case)
    before = case.gru.state_dict()
    state = spoil({name: 2 * w for name, w in before.items()})
    with pytest.raises(ValueError, match=words(*parts)):
        case.gru.load_state_dict(state)
    for name, w in case.gru.state_dict().items():
        assert_same_bits(name, w, before[name])
    assert_same_results(run_layer(case), expected)


@pytest.mark.parametrize("state", [None, 3, [1, 2], "weights"], ids=repr)
def test_a_state_dict_that_is_no_mapping_is_refused(case, state):
    with pytest.raises(TypeError):
        case.gru.load_state_dict(state)


# -- x, h_0 and lengths --


def call_both(gru, *args, **kwargs):
    """Give the two entries, each with arguments that it has to refuse."""
    return (lambda: gru(*args, **kwargs)), (lambda: gru.vjp(*args, **kwargs))


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((), ["()"]),
        ((5,), [(5,)]),
        ((2, 6, 4, 5), [(2, 6, 4, 5)]),
        ((6, 4, 4), [5, (6, 4, 4)]),
        ((6, 4, 6), [5, (6, 4, 6)]),
        ((6, 4), [5, (6, 4)]),
        ((6, 4, 0), [5, (6, 4, 0)]),
    ],
    ids=str,
)
def test_x_of_a_wrong_shape_is_refused(case, shape, parts):
    for call in call_both(case.gru, np.zeros(shape)):
        with pytest.raises(ValueError, match=words("x", *parts)):
            call()


@pytest.mark.parametrize("batch_first", [False, True])
def test_no_time_steps_are_refused(batch_first):
    gru = fastgru.GRU(5, 17, batch_first=batch_first)
    shapes = [(4, 0, 5) if batch_first else (0, 4, 5), (0, 5)]
    for shape in shapes:
        for call in call_both(gru, np.zeros(shape, np.float32)):
            with pytest.raises(ValueError, match=words(shape)):
                call()


@pytest.mark.parametrize(
    "shape",
    [(17,), (4, 17), (1, 4, 16), (1, 4, 18), (1, 3, 17), (2, 4, 17), (4, 1, 17)],
    ids=str,
)
def test_h_0_of_a_wrong_shape_is_refused(case, shape):
    for call in call_both(case.gru, case.x, np.zeros(shape)):
        with pytest.raises(ValueError, match=words("h_0", (1, 4, 17), shape)):
            call()


@pytest.mark.parametrize("shape", [(17,), (1, 1, 17), (1, 16), (2, 17)], ids=str)
def test_h_0_of_a_wrong_shape_is_refused_without_batch_axis(case, shape):
    for call in call_both(case.gru, case.x[:, 0], np.zeros(shape)):
        with pytest.raises(ValueError, match=words("h_0", (1, 17), shape)):
            call()


@pytest.mark.parametrize("dtype", ["float32", "float16", "int64", "bool"])
@pytest.mark.parametrize("name", ["x", "h_0"])
def test_another_dtype_than_the_layers_is_refused(case, name, dtype):
    arguments = {"x": case.x, "h_0": case.h_0}
    arguments[name] = np.zeros(arguments[name].shape, dtype)
    for call in call_both(case.gru, **arguments):
        with pytest.raises(ValueError, match=words(name, "float64", dtype)):
            call()


@pytest.mark.parametrize("dtype", ["complex128", "object", "U3"])
@pytest.mark.parametrize("name", ["x", "h_0"])
def test_arrays_of_no_real_numbers_are_refused(case, name, dtype):
    arguments = {"x": case.x, "h_0": case.h_0}
    arguments[name] = np.zeros(arguments[name].shape, dtype)
    for call in call_both(case.gru, **arguments):
        with pytest.raises((ValueError, TypeError), match=words(name)):
            call()


def test_float64_into_a_float32_layer_is_refused(case):
    gru = fastgru.GRU(5, 17)
    for call in call_both(gru, case.x):
        with pytest.raises(ValueError, match=words("x", "float32", "float64")):
            call()


def test_bytes_in_the_other_order_are_refused(case):
    swapped = case.x.astype(case.x.dtype.newbyteorder("S"))
    for call in call_both(case.gru, swapped):
        with pytest.raises(ValueError, match=words("x", "float64", swapped.dtype)):
            call()


@pytest.mark.parametrize("x", [None, "text", {"a": 1}, object()], ids=str)
def test_what_is_no_array_is_refused(case, x):
    for call in call_both(case.gru, x):
        with pytest.raises((ValueError, TypeError)):
            call()


@pytest.mark.parametrize(
    "lengths",
    [
        pytest.param([6, 7, 0, 1], id="too long"),
        pytest.param([6, -1, 0, 1], id="negative"),
        pytest.param(np.array([6, 2**64 - 1, 0, 1], np.uint64), id="huge"),
        pytest.param([6, 1.5, 0, 1], id="not whole"),
        pytest.param([6, np.nan, 0, 1], id="NaN"),
        pytest.param([6, None, 0, 1], id="None"),
        pytest.param(["6", "5", "0", "1"], id="text"),
        pytest.param([6, 5, 0], id="too few"),
        pytest.param([6, 5, 0, 1, 2], id="too many"),
        pytest.param([], id="none at all"),
        pytest.param([[6, 5, 0, 1]], id="another axis"),
        pytest.param([[6], [5, 0]], id="ragged"),
        pytest.param(6, id="one number"),
    ],
)
def test_wrong_lengths_are_refused(case, lengths):
    for call in call_both(case.gru, case.x, case.h_0, lengths):
        with pytest.raises((ValueError, TypeError), match="lengths"):
            call()


@pytest.mark.parametrize(
    "convert",
    [
        tuple,
        lambda lengths: [np.int32(n) for n in lengths],
        lambda lengths: np.array(lengths, np.int8),
        lambda lengths: np.array(lengths, np.uint8),
        lambda lengths: np.array(lengths, np.uint64),
        lambda lengths: np.repeat(lengths, 2)[::2],
        lambda lengths: np.flip(np.flip(lengths).copy()),
    ],
    ids=["tuple", "ints of NumPy", "int8", "uint8", "uint64", "sliced", "reversed"],
)
def test_lengths_are_taken_in_any_form(case, convert):
    lengths = [3, 0, 6, 1]
    expected = run_layer(case.but(lengths=lengths))
    assert_same_results(run_layer(case.but(lengths=convert(lengths))), expected)


# -- the cotangents --


@pytest.mark.parametrize(
    ("name", "wrong", "parts"),
    [
        ("d_output", np.zeros((4, 6, 17)), [(6, 4, 17), (4, 6, 17)]),
        ("d_output", np.zeros((4, 17)), [(6, 4, 17), (4, 17)]),
        ("d_output", np.zeros((6, 4, 17), np.float32), ["float64", "float32"]),
        ("d_h_n", np.zeros((4, 17)), [(1, 4, 17), (4, 17)]),
        ("d_h_n", np.zeros((1, 4, 16)), [(1, 4, 17), (1, 4, 16)]),
        ("d_h_n", np.zeros((1, 4, 17), np.int64), ["float64", "int64"]),
    ],
    ids=lambda value: f"{value.dtype}{value.shape}" if hasattr(value, "dtype") else "",
)
def test_a_wrong_cotangent_is_refused_and_the_pullback_stays_usable(
    case, name, wrong, parts
):
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    arguments = {"d_output": case.d_output, "d_h_n": case.d_h_n}
    with pytest.raises(ValueError, match=words(name, *parts)):
        pullback(**(arguments | {name: wrong}))
    expected = run_layer(case)
    assert_same_bits("d_x", pullback(**arguments).x, expected["d_x"])
