"""The layer's numbers: right, also far out, at the ends of rows and beside a NaN.

Its tests go on in test_gru_combinations.py (all settings), test_gru_dropout.py,
test_gru_bits.py (the same bits however they are asked for), test_gru_arguments.py (what
it refuses), test_gru_state.py (its weights and settings) and test_gru_torch.py (PyTorch
as a second oracle).
"""

import numpy as np
import pytest
from hypothesis import given

from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    LENGTHS,
    OF_ROWS,
    STACKS,
    assert_close_results,
    assert_same_results,
    drawn_cases,
    long_sums,
    make_case,
    named_gradients,
    run_inference,
    run_layer,
    run_reference,
    valid_steps,
)
from gradcheck import check_gru
from tolerances import assert_close, assert_same_bits, largest_error

# T, B, I, H.  Single ones, all different, no multiples of anything, more steps than
# one block of a weight gradient's sum, and sizes on either side of the other.
SHAPES = [
    (1, 1, 1, 1),
    (5, 3, 2, 4),
    (2, 1, 50, 13),
    (4, 6, 13, 50),
    (3, 5, 257, 50),
    (2, 9, 50, 257),
    (23, 37, 16, 32),
    (300, 2, 1, 8),
    (7, 11, 80, 5),
    (4, 17, 66, 37),
]

ONE_AND_MORE_LAYERS = pytest.mark.parametrize(
    "kind", [{}, STACKS["2 bidirectional layers"]], ids=["layer", "stack"]
)


def set_parameters(gru, change, prefix=""):
    """Change all parameters whose names begin with a prefix."""
    state = gru.state_dict()
    changed = {name: change(w) for name, w in state.items() if name.startswith(prefix)}
    gru.load_state_dict(state | changed)


def parameter_gradients(results):
    """Take the gradients of parameters out of results."""
    return {name: g for name, g in results.items() if name not in OF_ROWS}


# -- right --


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_the_reference(shape, reset_after, dtype, lengths):
    # With seed 0, the only gradient of the only feature is what is left of terms 200
    # times as large: their last digit would be more than the tolerance.
    kind = {"reset_after": reset_after, "dtype": dtype, "lengths": lengths}
    case = make_case(shape, **kind, seed=1)
    assert_close_results(run_layer(case), run_reference(case), dtype)


@BOTH_CELLS
@pytest.mark.parametrize("shape", [(7, 11, 4001, 66), (3, 9, 5, 521)], ids=str)
def test_weights_too_large_for_the_caches_agree_with_the_reference(shape, reset_after):
    case = make_case(shape, reset_after=reset_after)
    assert_close_results(run_layer(case), run_reference(case), case.dtype)


@given(case=drawn_cases(np.float64))
def test_results_agree_with_the_reference_anywhere_float64(case):
    assert_close_results(run_layer(case), run_reference(case), case.dtype)


@given(case=drawn_cases(np.float32))
def test_results_agree_with_the_reference_anywhere_float32(case):
    assert_close_results(run_layer(case), run_reference(case), case.dtype)


@BOTH_CELLS
@LENGTHS
@pytest.mark.parametrize("shape", [(4, 3, 2, 5), (1, 1, 1, 1)], ids=str)
def test_gradients_agree_with_central_differences(shape, reset_after, lengths):
    case = make_case(shape, reset_after=reset_after, lengths=lengths)
    check_gru(case.gru, case.x, case.h_0, case.d_output, case.d_h_n, case.lengths)


@BOTH_CELLS
def test_long_sums_of_weight_gradients_keep_their_digits(reset_after):
    case, exact = long_sums(reset_after)
    results = run_layer(case)
    for name, expected in exact.items():
        error = largest_error(results[name], expected)
        assert error <= 2e-6, f"{name}: {error:.1e}"


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e-30])
def test_small_states_keep_their_digits(scale, kind, dtype, reset_after):
    # A tanh or sigmoid that cancels near zero is off by percents here.
    case = make_case((5, 4, 3, 17), dtype=dtype, reset_after=reset_after, **kind)
    set_parameters(case.gru, np.zeros_like, "bias")
    scale = dtype(scale)
    case = case.but(x=case.x * scale, h_0=case.h_0 * scale)
    assert_close_results(run_layer(case), run_reference(case), dtype)


# -- far out --


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@ONE_AND_MORE_LAYERS
def test_huge_inputs_saturate(kind, lengths, dtype, reset_after):
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": lengths}
    case = make_case((4, 5, 3, 17), **options, **kind)
    case = case.but(x=case.x * dtype(1e20))
    results = run_layer(case)
    expected = run_reference(case)
    for name, array in results.items():
        assert np.all(np.isfinite(array)), name
    for name in ("output", "h_n"):
        assert_close(name, results[name], expected[name], dtype)


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
def test_huge_weights_stay_finite_and_bounded(kind, dtype, reset_after):
    case = make_case((9, 5, 3, 17), dtype=dtype, reset_after=reset_after, **kind)
    set_parameters(case.gru, lambda w: 100 * w)
    results = run_layer(case)
    for name, array in results.items():
        assert np.all(np.isfinite(array)), name
    largest = max(1.0, np.abs(case.h_0).max())  # each state lies between n and h
    assert np.abs(results["output"]).max() <= largest * (1 + 1e-5)


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
@pytest.mark.parametrize("gate, sign", [("z", 1), ("z", -1), ("r", 1), ("r", -1)])
def test_gates_that_are_shut_or_wide_open(gate, sign, kind, dtype, reset_after):
    case = make_case((5, 4, 3, 17), dtype=dtype, reset_after=reset_after, **kind)
    rows = {"r": slice(0, 17), "z": slice(17, 34)}[gate]

    def saturate(bias):
        bias[rows] = sign * 200
        return bias

    set_parameters(case.gru, saturate, "bias_ih")
    results, expected = run_layer(case), run_reference(case)
    for name in results:  # what a shut gate leaves is 1e-87 in float64 and 0 in float32
        if np.abs(expected[name]).max() > 1e-30:
            assert_close(name, results[name], expected[name], dtype)
        else:
            assert np.abs(results[name]).max() <= 1e-30
    if (gate, sign) == ("z", 1):
        assert_close("h_n", results["h_n"], case.h_0, dtype)


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
def test_denormal_inputs_stay_tiny_and_finite(kind, dtype, reset_after):
    case = make_case((4, 5, 3, 17), dtype=dtype, reset_after=reset_after, **kind)
    set_parameters(case.gru, np.zeros_like, "bias")
    denormal = 1000 * np.finfo(dtype).smallest_subnormal
    case = case.but(x=np.sign(case.x) * denormal, h_0=np.sign(case.h_0) * denormal)
    results = run_layer(case)
    for name, array in results.items():
        assert np.all(np.isfinite(array)), name
    assert np.abs(results["output"]).max() < np.finfo(dtype).smallest_normal


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
def test_zeros_give_zeros(kind, dtype, reset_after):
    case = make_case((4, 5, 3, 17), dtype=dtype, reset_after=reset_after, **kind)
    set_parameters(case.gru, np.zeros_like)
    output, h_n = case.gru(np.zeros_like(case.x))
    assert not np.any(output)
    assert not np.any(h_n)


# -- NaN --


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
def test_nothing_past_the_end_of_a_row_counts(kind, dtype, reset_after):
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": "ragged"}
    case = make_case((6, 21, 5, 19), **options, **kind)
    padding = ~valid_steps(case)
    x, d_output = case.x.copy(), case.d_output.copy()
    x[padding] = d_output[padding] = np.nan
    spoiled = case.but(x=x, d_output=d_output)
    results = run_layer(spoiled)
    assert_same_results(results, run_layer(case))
    assert_same_results(run_inference(spoiled), results)
    assert not np.any(results["output"][padding])
    assert not np.any(results["d_x"][padding])
    empty = case.lengths == 0
    assert_same_bits("h_n", results["h_n"][:, empty], case.h_0[:, empty])
    assert_same_bits("d_h_0", results["d_h_0"][:, empty], case.d_h_n[:, empty])


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("row", [0, 7, 12])
def test_nan_stays_in_its_row(row, lengths, dtype, reset_after):
    results, clean = run_with_nan(row, lengths, dtype, reset_after)
    output = results["output"]
    assert_same_bits("output before", output[:2, row], clean["output"][:2, row])
    assert np.all(np.isnan(output[2:6, row]))


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("row", [0, 7, 12])
def test_nan_stays_in_its_row_of_a_stack(row, lengths, dtype, reset_after):
    kind = STACKS["2 bidirectional layers"]
    results, _ = run_with_nan(row, lengths, dtype, reset_after, **kind)
    # The second layer reads it from both sides.
    assert np.all(np.isnan(results["output"][:6, row]))
    assert not np.any(results["output"][6:, row])


@BOTH_CELLS
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_recurrent_weight_that_is_not_finite_meets_first_states_of_zeros(
    value, reset_after
):
    case = make_case((1, 3, 2, 5), reset_after=reset_after, dtype=np.float32)
    set_parameters(case.gru, lambda w: np.full_like(w, value), "weight_hh")
    for h_0 in (None, np.zeros((1, 3, 5), np.float32)):
        for output in (case.gru(case.x, h_0)[0], case.gru.vjp(case.x, h_0)[0]):
            assert np.isnan(output).all()


def run_with_nan(row, lengths, dtype, reset_after, **kind):
    """Run with one NaN in one row of 6 steps, and without, and check the other rows."""
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": lengths}
    T = 6 if lengths is None else 8
    case = make_case((T, 13, 5, 19), **options, **kind, seed=row)
    if lengths is not None:
        case.lengths[row] = 6
    clean = run_layer(case)
    x = case.x.copy()
    x[2, row, 3] = np.nan
    case = case.but(x=x)
    results = run_layer(case)
    assert_same_results(run_inference(case), results)
    others = np.arange(13) != row
    for name in OF_ROWS:
        assert_same_bits(name, results[name][:, others], clean[name][:, others])
    assert np.all(np.isnan(results["h_n"][:, row]))
    # A NaN that a clamp swallowed would train on silently.
    for name, gradient in parameter_gradients(results).items():
        assert np.any(np.isnan(gradient)), name
    return results, clean


# -- the pullback --


@BOTH_CELLS
@ONE_AND_MORE_LAYERS
def test_a_pullback_is_called_once(kind, reset_after):
    case = make_case((6, 13, 5, 17), reset_after=reset_after, **kind)
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    pullback(case.d_output, case.d_h_n)
    with pytest.raises(RuntimeError, match="already called"):
        pullback(case.d_output, case.d_h_n)


@BOTH_CELLS
@ONE_AND_MORE_LAYERS
def test_pullbacks_do_not_share_a_tape(kind, reset_after):
    first = make_case((6, 13, 5, 17), reset_after=reset_after, seed=1, **kind)
    second = make_case((6, 13, 5, 17), reset_after=reset_after, seed=2, **kind)
    second = second.but(gru=first.gru)
    expected = [run_layer(case) for case in (first, second)]
    pullbacks = [case.gru.vjp(case.x, case.h_0)[2] for case in (first, second)]
    first.gru(second.x)
    gradients = [
        named_gradients(pullback(case.d_output, case.d_h_n), case)
        for pullback, case in zip(pullbacks, (first, second), strict=True)
    ]
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_same_results(actual, wanted)


@BOTH_CELLS
@ONE_AND_MORE_LAYERS
@pytest.mark.parametrize("changed", ["all", "none"])
def test_a_pullback_from_before_new_weights_is_refused(changed, kind, reset_after):
    case = make_case((6, 13, 5, 17), reset_after=reset_after, **kind)
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    factor = 2 if changed == "all" else 1
    set_parameters(case.gru, lambda w: factor * w)
    with pytest.raises(RuntimeError, match="parameters were set after vjp"):
        pullback(case.d_output, case.d_h_n)


def test_gradients_cannot_be_exchanged():
    case = make_case((6, 4, 5, 17))
    _, _, pullback = case.gru.vjp(case.x)
    parameters = pullback(case.d_output).parameters
    with pytest.raises(TypeError):
        parameters["bias_ih_l0"] = parameters["bias_hh_l0"]
    with pytest.raises(TypeError):
        del parameters["bias_ih_l0"]
    with pytest.raises(KeyError):
        parameters["bias_ih_l1"]


# -- nothing to do --


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
@pytest.mark.parametrize("lengths", [None, np.zeros(0, int)], ids=["None", "empty"])
def test_a_batch_of_no_rows_gives_empty_results(lengths, kind, dtype, reset_after):
    case = make_case((6, 0, 5, 17), dtype=dtype, reset_after=reset_after, **kind)
    case = case.but(lengths=lengths)
    results = run_layer(case)
    assert results["output"].shape == (6, 0, case.d_output.shape[2])
    assert results["h_n"].shape == case.h_0.shape
    assert results["d_x"].shape == (6, 0, 5)
    for name, gradient in parameter_gradients(results).items():
        assert not np.any(gradient), name
    assert_close_results(results, run_reference(case), dtype)
    assert_same_results(run_inference(case), results)
    assert_same_results(run_inference(case.but(h_0=None)), results)


@BOTH_CELLS
@BOTH_DTYPES
@ONE_AND_MORE_LAYERS
@pytest.mark.parametrize("B", [1, 13])
def test_rows_of_no_steps_pass_their_state_through(B, kind, dtype, reset_after):
    case = make_case((6, B, 5, 17), dtype=dtype, reset_after=reset_after, **kind)
    case = case.but(lengths=np.zeros(B, int))
    results = run_layer(case)
    assert_same_bits("h_n", results["h_n"], case.h_0)
    assert_same_bits("d_h_0", results["d_h_0"], case.d_h_n)
    for name in ("output", "d_x", *parameter_gradients(results)):
        assert not np.any(results[name]), name
