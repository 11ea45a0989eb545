"""Dropout of the layer: which masks, where they act, and when.

How masks are drawn is tested in ../kernels/test_dropout.py; that their gradients are
right, in test_gru_combinations.py as well.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgru
from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    LENGTHS,
    OF_ROWS,
    PARAMETERS,
    STACKS,
    assert_close_results,
    assert_same_results,
    drawn_masks,
    make_case,
    run_inference,
    run_layer,
    run_reference,
    take_rows,
)
from gradcheck import check_gru
from tolerances import assert_same_bits

RATES = pytest.mark.parametrize(
    "dropout, recurrent_dropout",
    [(0.5, 0.0), (0.0, 0.5), (0.3, 0.6), (1.0, 0.2), (0.2, 1.0), (1.0, 1.0)],
)


def make_stack(shape=(6, 5, 3, 17), **options):
    """Make a case of two bidirectional layers with both kinds of dropout."""
    return make_case(shape, **STACKS["dropout"] | options)


def change_settings(case, **settings):
    """Copy a case for a layer of other settings and the same weights."""
    gru = fastgru.GRU(**case.gru.settings() | settings, random_state=0)
    gru.load_state_dict(case.gru.state_dict())
    return case.but(gru=gru)


# -- right --


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@RATES
@pytest.mark.parametrize(
    "num_layers, bidirectional", [(1, True), (3, False), (2, True)]
)
def test_results_agree_with_the_reference_given_the_masks(
    num_layers, bidirectional, dropout, recurrent_dropout, lengths, dtype, reset_after
):
    case = make_stack(
        num_layers=num_layers,
        bidirectional=bidirectional,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        lengths=lengths,
        dtype=dtype,
        reset_after=reset_after,
    )
    ids = np.array([3, -1, 2**40, 0, 3])
    assert_close_results(run_layer(case), run_reference(case), dtype)
    case = case.but(sequence_ids=ids)
    assert_close_results(run_layer(case), run_reference(case), dtype)


@BOTH_CELLS
@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_gradients_agree_with_central_differences(bias, rates, reset_after):
    case = make_stack(
        (4, 3, 2, 5),
        bias=bias,
        dropout=rates[0],
        recurrent_dropout=rates[1],
        lengths=[4, 0, 2],
        reset_after=reset_after,
    )
    arrays = case.x, case.h_0, case.d_output, case.d_h_n
    check_gru(case.gru, *arrays, case.lengths, **case.options)


def test_masks_have_about_the_rate_and_keep_the_mean():
    case = make_stack((1, 200, 3, 50), dropout=0.4, recurrent_dropout=0.25)
    masks = drawn_masks(case)
    for name, rate in (("output_masks", 0.4), ("recurrent_masks", 0.25)):
        mask = np.array(masks[name])
        assert set(np.unique(mask)) == {0.0, 1 / (1 - rate)}
        assert abs(np.mean(mask == 0) - rate) < 0.02, name


def test_no_two_masks_of_a_layer_are_the_same():
    masks = drawn_masks(make_stack((1, 1, 3, 64), num_layers=3, dropout=0.3))
    found = [*masks["recurrent_masks"]]
    for mask in masks["output_masks"]:
        found += np.split(mask, 2, axis=1)
    assert len({(np.array(mask) == 0).tobytes() for mask in found}) == 6 + 4


# -- what a mask depends on --


@BOTH_DTYPES
@given(seed=st.integers(0, 2**64 - 1), other=st.integers(0, 2**64 - 1))
def test_the_seed_decides(dtype, seed, other):
    case = make_stack(dtype=dtype, dropout_seed=seed)
    assert_same_results(run_layer(case), run_layer(case))
    if seed != other:
        results = run_layer(case.but(dropout_seed=other))
        assert not np.array_equal(results["output"], run_layer(case)["output"])


@BOTH_CELLS
@LENGTHS
def test_a_sequence_keeps_its_masks_by_its_id(lengths, reset_after):
    case = make_stack(lengths=lengths, reset_after=reset_after)
    case = case.but(sequence_ids=np.array([7, 3, 99, -5, 4]))
    whole = run_layer(case)
    for rows in ([4, 3, 2, 1, 0], [2], [3, 3, 0]):
        part = run_layer(take_rows(case, rows))
        for name in OF_ROWS:
            assert_same_bits(name, part[name], whole[name][:, rows])
    moved = run_layer(case.but(sequence_ids=np.array([3, 7, 99, -5, 4])))
    assert_same_bits("h_n", moved["h_n"][:, 2:], whole["h_n"][:, 2:])
    if lengths is None:
        assert not np.array_equal(moved["h_n"][:, :2], whole["h_n"][:, :2])


def test_without_ids_they_are_the_places_in_the_batch():
    case = make_stack()
    given_ids = case.but(sequence_ids=np.arange(5))
    assert_same_results(run_layer(case), run_layer(given_ids))
    given_ids = case.but(sequence_ids=[0, 1, 2, 3, 4])
    assert_same_results(run_layer(case), run_layer(given_ids))


def test_equal_ids_have_equal_masks():
    case = make_stack()
    for name in ("x", "h_0", "d_output", "d_h_n"):
        array = getattr(case, name)
        array[...] = array[:, :1]
    results = run_layer(case.but(sequence_ids=[5, 5, 6, 5, 6]))
    for name in OF_ROWS:
        array = results[name]
        assert_same_bits(name, array[:, 1], array[:, 0])
        assert_same_bits(name, array[:, 4], array[:, 2])
        assert not np.array_equal(array[:, 2], array[:, 0]), name


def test_masks_do_not_depend_on_the_dtype():
    masks = [drawn_masks(make_stack(dtype=dtype)) for dtype in (np.float32, np.float64)]
    for name in masks[0]:
        zeros = [np.array(mask[name]) == 0 for mask in masks]
        np.testing.assert_array_equal(*zeros)


# -- when it acts --


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
def test_without_a_seed_and_in_a_call_nothing_is_dropped(lengths, dtype, reset_after):
    case = make_stack(lengths=lengths, dtype=dtype, reset_after=reset_after)
    plain = change_settings(case, dropout=0.0, recurrent_dropout=0.0)
    expected = run_layer(plain.but(dropout_seed=None))
    assert_same_results(run_layer(case.but(dropout_seed=None)), expected)
    assert_same_results(run_inference(case), expected)
    ids = case.but(dropout_seed=None, sequence_ids=[4, 3, 2, 1, 0])
    assert_same_results(run_layer(ids), expected)
    dropped = run_layer(case)
    assert not np.array_equal(dropped["output"], expected["output"])


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
def test_rate_0_changes_nothing(lengths, dtype, reset_after):
    options = {"dropout": 0.0, "recurrent_dropout": 0.0, "lengths": lengths}
    case = make_stack(dtype=dtype, reset_after=reset_after, **options)
    assert_same_results(run_layer(case), run_layer(case.but(dropout_seed=None)))


@BOTH_CELLS
@BOTH_DTYPES
def test_dropout_of_a_single_layer_changes_nothing(dtype, reset_after):
    # As in PyTorch, it is between layers.
    options = {"num_layers": 1, "recurrent_dropout": 0.0, "reset_after": reset_after}
    case = make_stack(dtype=dtype, **options)
    assert_same_results(run_layer(case), run_layer(case.but(dropout_seed=None)))


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
def test_rate_1_leaves_nothing_for_the_next_layer(lengths, dtype, reset_after):
    options = {"recurrent_dropout": 0.0, "lengths": lengths, "bidirectional": False}
    case = make_stack(dropout=1.0, dtype=dtype, reset_after=reset_after, **options)
    results = run_layer(case)
    state = case.gru.state_dict()
    last = fastgru.GRU(17, 17, dtype=dtype, reset_after=reset_after, random_state=0)
    last.load_state_dict({name: state[name[:-1] + "1"] for name in PARAMETERS})
    zeros = np.zeros((6, 5, 17), dtype)
    output, _ = last(zeros, case.h_0[1:], case.lengths)
    assert_same_bits("output", results["output"], output)
    assert not np.any(results["d_weight_ih_l1"])
    # What goes on below is only through the first layer's own final state.
    below = run_layer(case.but(d_output=None))
    assert_same_bits("d_x", results["d_x"], below["d_x"])


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
def test_recurrent_rate_1_hides_the_state_from_the_products(
    lengths, dtype, reset_after
):
    options = {"recurrent_dropout": 1.0, "lengths": lengths, "num_layers": 1}
    case = make_stack(dtype=dtype, reset_after=reset_after, **options)
    results = run_layer(case)
    state = case.gru.state_dict()
    hidden = {n: np.zeros_like(w) for n, w in state.items() if "weight_hh" in n}
    case.gru.load_state_dict(state | hidden)
    expected = run_layer(case.but(dropout_seed=None))
    for name in ("output", "h_n", "d_x", "d_h_0"):
        np.testing.assert_array_equal(results[name], expected[name])
    for name in hidden:
        assert not np.any(results[f"d_{name}"])


def test_a_nan_stays_in_its_sequence_under_dropout():
    case = make_stack(lengths=[6, 2, 6, 4, 6])
    clean = run_layer(case)
    x = case.x.copy()
    x[1, 2] = np.nan
    results = run_layer(case.but(x=x))
    for name in OF_ROWS:
        others = [0, 1, 3, 4]
        assert_same_bits(name, results[name][:, others], clean[name][:, others])
    # Also where a mask is 0: 0 times NaN is NaN.
    assert np.all(np.isnan(results["output"][:, 2]))
