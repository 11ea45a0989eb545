"""What the layer takes and refuses."""

import numpy as np
import pytest
import sklearn.utils

import fastgru
from cases import BOTH_DTYPES, assert_same_results, make_case, run_layer
from fastgru._checks import check_random_state
from messages import value_name, words
from tolerances import assert_same_bits


@pytest.fixture
def case():
    return make_case((6, 4, 5, 17))


@pytest.fixture
def stack():
    """Give a case with more of everything: h_0 is of shape (6, 4, 17)."""
    return make_case((9, 4, 5, 17), num_layers=3, bidirectional=True)


# -- the constructor --

SIZES = {"input_size": 3, "hidden_size": 4, "num_layers": 2}
FLAGS = ["bias", "batch_first", "bidirectional", "reset_after"]
RATES = ["dropout", "recurrent_dropout"]


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("size", [0, -1, np.int64(0)])
def test_sizes_below_one_are_refused(name, size):
    with pytest.raises(ValueError, match=words(name, "at least 1", f"got {size}")):
        fastgru.GRU(**SIZES | {name: size})


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize(
    "size", [True, np.True_, 1.5, 2.0, np.float32(2), "3", None, (3, 4)], ids=repr
)
def test_sizes_that_are_no_ints_are_refused(name, size):
    with pytest.raises(TypeError, match=words(name, "a whole number", repr(size))):
        fastgru.GRU(**SIZES | {name: size})


def test_numpy_ints_are_sizes():
    gru = fastgru.GRU(np.int64(3), np.int32(4), np.uint8(2))
    shapes = [w.shape for w in gru.state_dict().values()]
    assert shapes == [(12, 3), (12, 4), (12,), (12,), (12, 4), (12, 4), (12,), (12,)]
    assert type(gru.input_size) is type(gru.hidden_size) is type(gru.num_layers) is int


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [0, 1, 1.0, "True", None, [True]], ids=repr)
def test_flags_that_are_no_bools_are_refused(name, value):
    with pytest.raises(TypeError, match=words(name, "True or False", repr(value))):
        fastgru.GRU(3, 4, **{name: value})


@pytest.mark.parametrize("name", FLAGS)
def test_numpy_bools_are_flags(name):
    assert getattr(fastgru.GRU(3, 4, **{name: np.False_}), name) is False


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("rate", [-0.1, 1.1, 2, np.nan, np.inf, -np.inf], ids=repr)
def test_rates_that_are_no_probabilities_are_refused(name, rate):
    with pytest.raises(ValueError, match=words(name, "from 0 to 1", f"got {rate}")):
        fastgru.GRU(3, 4, **{name: rate})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize(
    "rate", [True, np.True_, "0.5", None, [0.5], 0.5j, np.zeros(1)], ids=repr
)
def test_rates_that_are_no_numbers_are_refused(name, rate):
    with pytest.raises(TypeError, match=words(name, "a number", repr(rate))):
        fastgru.GRU(3, 4, **{name: rate})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("rate", [0, 1, 0.0, 1.0, np.float32(0.25)], ids=repr)
def test_rates_from_0_to_1_are_taken(name, rate):
    assert getattr(fastgru.GRU(3, 4, **{name: rate}), name) == rate


@pytest.mark.parametrize("initializer", ["normal", "", None, 3, ["uniform"]], ids=repr)
def test_unknown_initializers_are_refused(initializer):
    parts = "uniform", "glorot_orthogonal", repr(initializer)
    with pytest.raises((ValueError, TypeError), match=words("initializer", *parts)):
        fastgru.GRU(3, 4, initializer=initializer)


@pytest.mark.parametrize(
    "dtype", [np.float16, np.int64, np.complex128, bool, object, "text", 5], ids=repr
)
def test_other_dtypes_are_refused(dtype):
    with pytest.raises((ValueError, TypeError), match="dtype must be float32 or"):
        fastgru.GRU(3, 4, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.dtype(np.float64)], ids=str)
def test_dtypes_are_taken_in_any_spelling(dtype):
    gru = fastgru.GRU(3, 4, dtype=dtype)
    assert {w.dtype for w in gru.state_dict().values()} == {np.dtype(dtype)}


def test_float32_is_the_default():
    dtypes = {w.dtype for w in fastgru.GRU(3, 4).state_dict().values()}
    assert dtypes == {np.dtype(np.float32)}


@pytest.mark.parametrize("random_state", [-1, 2**32], ids=repr)
def test_a_seed_out_of_range_is_refused(random_state):
    with pytest.raises(ValueError, match=f"from 0 to .*, got {random_state}"):
        fastgru.GRU(3, 4, random_state=random_state)


@pytest.mark.parametrize(
    "random_state", [1.5, "seed", True, np.random.default_rng(0)], ids=value_name
)
def test_what_is_no_random_state_is_refused(random_state):
    with pytest.raises(TypeError, match="random_state must be an int, a numpy"):
        fastgru.GRU(3, 4, random_state=random_state)


@pytest.mark.parametrize("seed", [0, np.int64(7), 2**32 - 1], ids=repr)
def test_a_seed_draws_what_scikit_learn_draws_with_it(seed):
    drawn = check_random_state(seed).uniform(size=5)
    assert (drawn == sklearn.utils.check_random_state(seed).uniform(size=5)).all()


def test_no_seed_takes_the_global_generator():
    assert check_random_state(None) is sklearn.utils.check_random_state(None)
    state = np.random.RandomState(3)
    assert check_random_state(state) is state


# -- the first parameters --


@BOTH_DTYPES
@pytest.mark.parametrize("initializer", ["uniform", "glorot_orthogonal"])
def test_the_same_random_state_gives_the_same_weights(initializer, dtype):
    first, second, other = (
        fastgru.GRU(
            13,
            50,
            2,
            bidirectional=True,
            initializer=initializer,
            dtype=dtype,
            random_state=seed,
        ).state_dict()
        for seed in (7, 7, 8)
    )
    for name in first:
        assert_same_bits(name, first[name], second[name])
        if name.startswith("weight") or initializer == "uniform":
            assert not np.array_equal(first[name], other[name]), name


@BOTH_DTYPES
def test_initial_weights_are_uniform_within_torchs_bound(dtype):
    bound = 1 / np.sqrt(50)
    kind = {"num_layers": 2, "bidirectional": True, "dtype": dtype}
    state = fastgru.GRU(40, 50, **kind, random_state=7).state_dict()
    for name, w in state.items():
        assert np.abs(w).max() <= bound * (1 + 1e-6), name  # float32 rounds
        assert np.abs(w).max() > 0.9 * bound, name
        # A uniform draw's mean is off zero by bound / sqrt(3 * size), give or take.
        assert abs(w.mean()) < 4 * bound / np.sqrt(3 * w.size), name
    # No two tensors are the same numbers.
    assert len({w.reshape(-1)[:20].tobytes() for w in state.values()}) == len(state)


@BOTH_DTYPES
def test_glorot_orthogonal_draws_each_gate_and_zero_biases(dtype):
    options = {"initializer": "glorot_orthogonal", "dtype": dtype, "random_state": 7}
    state = fastgru.GRU(40, 50, 2, bidirectional=True, **options).state_dict()
    for name, w in state.items():
        for gate in np.split(w.astype(np.float64), 3):
            if name.startswith("bias"):
                assert not gate.any(), name
            elif name.startswith("weight_hh"):
                np.testing.assert_allclose(gate @ gate.T, np.eye(50), atol=1e-6)
            else:
                bound = np.sqrt(6 / sum(gate.shape))
                assert 0.9 * bound < np.abs(gate).max() <= bound * (1 + 1e-6), name


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
    [(), (17,), (4, 17), (1, 4, 16), (1, 4, 18), (1, 3, 17), (2, 4, 17), (4, 1, 17)],
    ids=str,
)
def test_h_0_of_a_wrong_shape_is_refused(case, shape):
    for call in call_both(case.gru, case.x, np.zeros(shape)):
        with pytest.raises(ValueError, match=words("h_0", (1, 4, 17), shape)):
            call()


@pytest.mark.parametrize(
    "shape",
    [(3, 4, 17), (2, 4, 17), (1, 4, 17), (6, 17), (6, 1, 17), (6, 4, 34), (4, 6, 17)],
    ids=str,
)
@pytest.mark.parametrize("batch_first", [False, True])
def test_h_0_of_a_wrong_shape_is_refused_by_a_stack(stack, batch_first, shape):
    gru, x = stack.gru, stack.x
    if batch_first:
        gru = fastgru.GRU(**gru.settings() | {"batch_first": True})
        x = x.swapaxes(0, 1)
    for call in call_both(gru, x, np.zeros(shape)):
        with pytest.raises(ValueError, match=words("h_0", (6, 4, 17), shape)):
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


@pytest.mark.parametrize("x", [None, "text", {"a": 1}, object()], ids=value_name)
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
        pytest.param([6, np.inf, 0, 1], id="infinite"),
        pytest.param([6, None, 0, 1], id="None"),
        pytest.param([True, True, False, True], id="bools"),
        pytest.param([6, 5j, 0, 1], id="complex"),
        pytest.param([6, 1e30, 0, 1], id="huge float"),
        pytest.param(["6", "5", "0", "1"], id="text"),
        pytest.param([6, 10**30, 0, 1], id="huge int"),
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


def test_a_wrong_length_is_named(case):
    with pytest.raises(ValueError, match=words("lengths", "0 to 6", "got 9", 2)):
        case.gru(case.x, lengths=[6, 1, 9, 10])


def test_whole_floats_are_lengths(case):
    expected = run_layer(case.but(lengths=[3, 0, 6, 1]))
    lengths = np.array([3.0, 0.0, 6.0, 1.0])
    assert_same_results(run_layer(case.but(lengths=lengths)), expected)


# -- dropout_seed and sequence_ids --


@pytest.mark.parametrize("seed", [-1, 2**64, -(2**70)])
def test_seeds_out_of_range_are_refused(case, seed):
    with pytest.raises(ValueError, match=words("dropout_seed", f"got {seed}")):
        case.gru.vjp(case.x, dropout_seed=seed)


@pytest.mark.parametrize(
    "seed", [True, np.False_, 1.0, "1", [1], np.zeros(1, int)], ids=repr
)
def test_seeds_that_are_no_whole_numbers_are_refused(case, seed):
    with pytest.raises(TypeError, match=words("dropout_seed", "a whole number")):
        case.gru.vjp(case.x, dropout_seed=seed)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int8(3), np.uint64(2**63)])
def test_seeds_may_be_any_uint64(seed):
    gru = fastgru.GRU(5, 17, recurrent_dropout=0.5, random_state=0)
    x = np.ones((6, 4, 5), np.float32)
    results = [gru.vjp(x, dropout_seed=s)[0] for s in (seed, int(seed))]
    assert_same_bits("output", *results)


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("shape", [(), (3,), (5,), (0,), (1, 4), (4, 1)], ids=str)
def test_ids_of_a_wrong_shape_are_refused(case, shape, seed):
    ids = np.zeros(shape, int)
    with pytest.raises(ValueError, match=words("sequence_ids", (4,), shape)):
        case.gru.vjp(case.x, dropout_seed=seed, sequence_ids=ids)


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize(
    "ids", [[0.0, 1, 2, 3], [True] * 4, ["a"] * 4, [None] * 4, "ids"], ids=repr
)
def test_ids_that_are_no_whole_numbers_are_refused(case, ids, seed):
    with pytest.raises(TypeError, match=words("sequence_ids", "whole numbers")):
        case.gru.vjp(case.x, dropout_seed=seed, sequence_ids=ids)


# -- the cotangents --


@pytest.mark.parametrize(
    ("name", "wrong", "parts"),
    [
        ("d_output", np.zeros((4, 6, 17)), [(6, 4, 17), (4, 6, 17)]),
        ("d_output", np.zeros((4, 17)), [(6, 4, 17), (4, 17)]),
        ("d_output", np.zeros((6, 4, 34)), [(6, 4, 17), (6, 4, 34)]),
        ("d_output", np.zeros((5, 4, 17)), [(6, 4, 17), (5, 4, 17)]),
        ("d_output", np.zeros((6, 4, 17), np.float32), ["float64", "float32"]),
        ("d_h_n", np.zeros((4, 17)), [(1, 4, 17), (4, 17)]),
        ("d_h_n", np.zeros((1, 4, 16)), [(1, 4, 17), (1, 4, 16)]),
        ("d_h_n", np.zeros((1, 3, 17)), [(1, 4, 17), (1, 3, 17)]),
        ("d_h_n", np.zeros((2, 4, 17)), [(1, 4, 17), (2, 4, 17)]),
        ("d_h_n", np.zeros((1, 4, 17), np.int64), ["float64", "int64"]),
        ("d_h_n", np.zeros((1, 4, 17), bool), ["float64", "bool"]),
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


@pytest.mark.parametrize("name", ["d_output", "d_h_n"])
@pytest.mark.parametrize("wrong", ["text", object(), [1j]], ids=value_name)
def test_a_cotangent_that_holds_no_numbers_is_refused(case, name, wrong):
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    arguments = {"d_output": case.d_output, "d_h_n": case.d_h_n}
    with pytest.raises(TypeError, match=words(name)):
        pullback(**(arguments | {name: wrong}))


def test_cotangents_without_batch_axis_have_none(case):
    _, _, pullback = case.gru.vjp(case.x[:, 0], case.h_0[:, 0])
    with pytest.raises(ValueError, match=words("d_output", (6, 17), (6, 1, 17))):
        pullback(case.d_output[:, :1])
    with pytest.raises(ValueError, match=words("d_h_n", (1, 17), (1, 1, 17))):
        pullback(None, case.d_h_n[:, :1])


def test_cotangents_of_a_stack_have_both_directions_side_by_side(stack):
    _, _, pullback = stack.gru.vjp(stack.x)
    with pytest.raises(ValueError, match=words("d_output", (9, 4, 34), (9, 4, 17))):
        pullback(stack.d_output[:, :, :17])
    with pytest.raises(ValueError, match=words("d_h_n", (6, 4, 17), (2, 4, 17))):
        pullback(None, stack.d_h_n[:2])
