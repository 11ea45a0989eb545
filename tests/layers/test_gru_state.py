"""The layer's weights as a state_dict, and the layer as a whole: copies and pickles."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import fastgru
from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    PARAMETERS,
    STACKS,
    assert_same_results,
    make_case,
    random_state_dict,
    run_layer,
)
from states import EACH_WRONG_STATE, assert_refused
from tolerances import assert_same_bits


@pytest.fixture(params=[{}, STACKS["dropout"]], ids=["layer", "stack"])
def case(request):
    return make_case((6, 4, 5, 17), **request.param)


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
    assert all(w.flags.c_contiguous and w.flags.owndata for w in state.values())


def test_state_dict_of_a_stack_has_torchs_names_and_shapes():
    state = fastgru.GRU(5, 17, 2, bias=False, bidirectional=True).state_dict()
    assert [(name, w.shape) for name, w in state.items()] == [
        ("weight_ih_l0", (51, 5)),
        ("weight_hh_l0", (51, 17)),
        ("weight_ih_l0_reverse", (51, 5)),
        ("weight_hh_l0_reverse", (51, 17)),
        ("weight_ih_l1", (51, 34)),
        ("weight_hh_l1", (51, 17)),
        ("weight_ih_l1_reverse", (51, 34)),
        ("weight_hh_l1_reverse", (51, 17)),
    ]


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("sizes", [(1, 1), (5, 17), (257, 50), (16, 64)], ids=str)
@pytest.mark.parametrize("kind", [{}, {"num_layers": 3, "bidirectional": True}])
def test_loaded_weights_come_back(kind, sizes, dtype, reset_after, rng):
    state = random_state_dict(rng, *sizes, dtype, **kind)
    gru = fastgru.GRU(*sizes, dtype=dtype, reset_after=reset_after, **kind)
    gru.load_state_dict(state)
    assert list(gru.state_dict()) == list(state)
    for name, w in gru.state_dict().items():
        assert_same_bits(name, w, state[name])


def test_weights_load_in_any_order(case):
    state = case.gru.state_dict()
    expected = run_layer(case)
    case.gru.load_state_dict({name: state[name] for name in reversed(state)})
    assert_same_results(run_layer(case), expected)


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


@EACH_WRONG_STATE
def test_a_wrong_state_dict_is_refused_and_changes_nothing(case, spoil):
    assert_refused(case.gru, spoil, lambda gru: run_layer(case.but(gru=gru)))


def test_biases_are_refused_by_a_layer_without(rng):
    gru = fastgru.GRU(5, 17, bias=False, dtype=np.float64)
    with pytest.raises(ValueError, match="unexpected.*bias_ih_l0"):
        gru.load_state_dict(random_state_dict(rng, 5, 17, np.float64))


@pytest.mark.parametrize("state", [None, 3, [1, 2], "weights"], ids=repr)
def test_a_state_dict_that_is_no_mapping_is_refused(case, state):
    with pytest.raises(TypeError, match="a mapping of names to arrays, got"):
        case.gru.load_state_dict(state)


# -- the layer as a whole --

SETTINGS = {
    "input_size": 5,
    "hidden_size": 17,
    "num_layers": 2,
    "bias": False,
    "batch_first": True,
    "dropout": 0.25,
    "bidirectional": True,
    "recurrent_dropout": 0.5,
    "reset_after": False,
    "initializer": "glorot_orthogonal",
    "dtype": "float64",
}


def test_settings_are_the_arguments():
    assert fastgru.GRU(**SETTINGS).settings() == SETTINGS
    assert list(fastgru.GRU(5, 17).settings()) == list(SETTINGS)
    assert fastgru.GRU(5, 17).settings()["dtype"] == "float32"


def test_repr_makes_a_layer_of_the_same_settings():
    gru = eval(repr(fastgru.GRU(**SETTINGS)), {"GRU": fastgru.GRU})
    assert gru.settings() == SETTINGS


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda gru: pickle.loads(pickle.dumps(gru)),
        lambda gru: pickle.loads(pickle.dumps(gru, protocol=2)),
        lambda gru: clone(gru, safe=False),
    ],
    ids=["copy", "deepcopy", "pickle", "pickle 2", "clone"],
)
def test_a_duplicate_gives_the_same_bits_and_is_independent(
    duplicate, dtype, reset_after
):
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": "ragged"}
    case = make_case((6, 4, 5, 17), **options, **STACKS["dropout"])
    expected = run_layer(case)
    other = duplicate(case.gru)
    assert type(other) is fastgru.GRU
    assert other.settings() == case.gru.settings()
    assert_same_results(run_layer(case.but(gru=other)), expected)
    zeros = {name: np.zeros_like(w) for name, w in other.state_dict().items()}
    other.load_state_dict(zeros)
    assert_same_results(run_layer(case), expected)


def test_duplicates_draw_nothing_from_numpys_own_generator():
    gru = fastgru.GRU(5, 17)
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    copy.deepcopy(gru)
    pickle.loads(pickle.dumps(gru))
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002
