"""The layer's numbers: right, also far out, at the ends of rows and beside a NaN.

Its tests go on in test_gru_bits.py (the same bits however they are asked for),
test_gru_arguments.py (what it refuses; its weights as a state_dict) and
test_gru_torch.py (PyTorch as a second oracle).
"""

import numpy as np
import pytest
from hypothesis import given

from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    LENGTHS,
    PARAMETERS,
    assert_close_results,
    assert_same_results,
    drawn_cases,
    make_case,
    named_gradients,
    random_state_dict,
    run_layer,
    run_reference,
    valid_steps,
)
from gradcheck import assert_gradients, central_differences, check_gru, objective
from reference import gru_backward, gru_forward
from tolerances import assert_close, assert_same_bits

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
]


# -- right --


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_the_reference(shape, reset_after, dtype, lengths):
    case = make_case(shape, reset_after=reset_after, dtype=dtype, lengths=lengths)
    assert_close_results(run_layer(case), run_reference(case), dtype)


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
@pytest.mark.parametrize("lengths", [None, (2, 4, 0)], ids=str)
def test_reference_agrees_with_central_differences(reset_after, lengths, rng):
    T, B, H = 4, 3, 5
    state = random_state_dict(rng, 2, H, np.float64)
    tensors = {"x": rng.standard_normal((T, B, 2)), "h_0": rng.standard_normal((B, H))}
    tensors |= {name.removesuffix("_l0"): state[name] for name in PARAMETERS}
    d_output = rng.standard_normal((T, B, H))
    d_h_n = rng.standard_normal((B, H))
    options = {"reset_after": reset_after, "lengths": lengths}

    def function(moved):
        return objective(*gru_forward(**moved, **options), d_output, d_h_n)

    assert_gradients(
        gru_backward(d_output, d_h_n, **tensors, **options),
        central_differences(function, tensors),
    )


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("scale", [1e-6, 1e-12, 1e-30])
def test_small_states_keep_their_digits(scale, dtype, reset_after):
    # A tanh or sigmoid that cancels near zero is off by percents here.
    case = make_case((5, 4, 3, 17), dtype=dtype, reset_after=reset_after)
    state = case.gru.state_dict()
    state |= {name: np.zeros_like(state[name]) for name in PARAMETERS[2:]}
    case.gru.load_state_dict(state)
    scale = dtype(scale)
    case = case.but(x=case.x * scale, h_0=case.h_0 * scale)
    assert_close_results(run_layer(case), run_reference(case), dtype)


# -- far out --


@BOTH_CELLS
@BOTH_DTYPES
def test_huge_inputs_saturate(dtype, reset_after):
    case = make_case((4, 5, 3, 17), dtype=dtype, reset_after=reset_after)
    case = case.but(x=case.x * dtype(1e20))
    results = run_layer(case)
    expected = run_reference(case)
    for name, array in results.items():
        assert np.all(np.isfinite(array)), name
    for name in ("output", "h_n"):
        assert_close(name, results[name], expected[name], dtype)


@BOTH_CELLS
@BOTH_DTYPES
def test_huge_weights_stay_finite_and_bounded(dtype, reset_after):
    case = make_case((9, 5, 3, 17), dtype=dtype, reset_after=reset_after)
    state = case.gru.state_dict()
    case.gru.load_state_dict({name: 100 * w for name, w in state.items()})
    results = run_layer(case)
    for name, array in results.items():
        assert np.all(np.isfinite(array)), name
    largest = max(1.0, np.abs(case.h_0).max())  # each state lies between n and h
    assert np.abs(results["output"]).max() <= largest * (1 + 1e-5)


@BOTH_CELLS
@BOTH_DTYPES
def test_denormal_inputs_stay_tiny_and_finite(dtype, reset_after):
    case = make_case((4, 5, 3, 17), dtype=dtype, reset_after=reset_after)
    state = case.gru.state_dict()
    state |= {name: np.zeros_like(state[name]) for name in PARAMETERS[2:]}
    case.gru.load_state_dict(state)
    denormal = 1000 * np.finfo(dtype).smallest_subnormal
    case = case.but(x=np.sign(case.x) * denormal, h_0=np.sign(case.h_0) * denormal)
    results = run_layer(case)
    for name, array in results.items():
        assert np.all(np.isfinite(array)), name
    assert np.abs(results["output"]).max() < np.finfo(dtype).smallest_normal


@BOTH_CELLS
@BOTH_DTYPES
def test_zeros_give_zeros(dtype, reset_after):
    case = make_case((4, 5, 3, 17), dtype=dtype, reset_after=reset_after)
    case.gru.load_state_dict(
        {name: np.zeros_like(w) for name, w in case.gru.state_dict().items()}
    )
    output, h_n = case.gru(np.zeros_like(case.x))
    assert not np.any(output)
    assert not np.any(h_n)


# -- NaN --


@BOTH_CELLS
@BOTH_DTYPES
def test_nothing_past_the_end_of_a_row_counts(dtype, reset_after):
    case = make_case(
        (6, 21, 5, 19), dtype=dtype, reset_after=reset_after, lengths="ragged"
    )
    padding = ~valid_steps(case)
    x, d_output = case.x.copy(), case.d_output.copy()
    x[padding] = d_output[padding] = np.nan
    results = run_layer(case.but(x=x, d_output=d_output))
    assert_same_results(results, run_layer(case))
    output, h_n = case.gru(x, case.h_0, case.lengths)
    assert_same_bits("output", output, results["output"])
    assert_same_bits("h_n", h_n, results["h_n"])
    assert not np.any(results["output"][padding])
    assert not np.any(results["d_x"][padding])
    empty = case.lengths == 0
    assert_same_bits("h_n", h_n[:, empty], case.h_0[:, empty])
    assert_same_bits("d_h_0", results["d_h_0"][:, empty], case.d_h_n[:, empty])


@BOTH_CELLS
@BOTH_DTYPES
@LENGTHS
@pytest.mark.parametrize("row", [0, 7, 12])
def test_nan_stays_in_its_row(row, lengths, dtype, reset_after):
    case = make_case(
        (6, 13, 5, 19), dtype=dtype, reset_after=reset_after, lengths=lengths, seed=row
    )
    if lengths is not None:
        case.lengths[row] = 6
    clean = run_layer(case)
    x = case.x.copy()
    x[2, row, 3] = np.nan
    results = run_layer(case.but(x=x))
    others = np.arange(13) != row
    for name in ("output", "h_n", "d_x", "d_h_0"):
        assert_same_bits(name, results[name][:, others], clean[name][:, others])
    output = results["output"]
    assert_same_bits("output before", output[:2, row], clean["output"][:2, row])
    assert np.all(np.isnan(output[2:, row]))
    assert np.all(np.isnan(results["h_n"][:, row]))
    for name in PARAMETERS:  # a NaN that a clamp swallowed would train on silently
        assert np.any(np.isnan(results[f"d_{name}"])), name


# -- the pullback --


@BOTH_CELLS
def test_a_pullback_is_called_once(reset_after):
    case = make_case((6, 13, 5, 17), reset_after=reset_after)
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    pullback(case.d_output, case.d_h_n)
    with pytest.raises(RuntimeError, match="once|second|again|already"):
        pullback(case.d_output, case.d_h_n)


@BOTH_CELLS
def test_pullbacks_do_not_share_a_tape(reset_after):
    first = make_case((6, 13, 5, 17), reset_after=reset_after, seed=1)
    second = make_case((6, 13, 5, 17), reset_after=reset_after, seed=2)
    second = second.but(gru=first.gru)
    expected = [run_layer(case) for case in (first, second)]
    pullbacks = [case.gru.vjp(case.x, case.h_0)[2] for case in (first, second)]
    first.gru(second.x)
    gradients = [
        named_gradients(pullback(case.d_output, case.d_h_n))
        for pullback, case in zip(pullbacks, (first, second), strict=True)
    ]
    for actual, wanted in zip(gradients, expected, strict=True):
        assert_same_results(actual, wanted)


@BOTH_CELLS
def test_new_weights_never_mix_into_a_pullback_silently(reset_after):
    case = make_case((6, 13, 5, 17), reset_after=reset_after)
    expected = run_layer(case)
    _, _, pullback = case.gru.vjp(case.x, case.h_0)
    state = case.gru.state_dict()
    case.gru.load_state_dict({name: 2 * w for name, w in state.items()})
    try:
        gradients = named_gradients(pullback(case.d_output, case.d_h_n))
    except RuntimeError:
        return  # refusing is fine, a mixture of both weights is not
    assert_same_results(gradients, expected)


# -- nothing to do --


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("lengths", [None, np.zeros(0, int)], ids=["None", "empty"])
def test_a_batch_of_no_rows_gives_empty_results(lengths, dtype, reset_after):
    case = make_case((6, 0, 5, 17), dtype=dtype, reset_after=reset_after)
    case = case.but(lengths=lengths)
    results = run_layer(case)
    assert results["output"].shape == (6, 0, 17)
    assert results["h_n"].shape == (1, 0, 17)
    assert_close_results(results, run_reference(case), dtype)
    output, h_n = case.gru(case.x, lengths=lengths)
    assert output.shape == (6, 0, 17)
    assert h_n.shape == (1, 0, 17)


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("B", [1, 13])
def test_rows_of_no_steps_pass_their_state_through(B, dtype, reset_after):
    case = make_case((6, B, 5, 17), dtype=dtype, reset_after=reset_after)
    case = case.but(lengths=np.zeros(B, int))
    results = run_layer(case)
    assert_same_bits("h_n", results["h_n"], case.h_0)
    assert_same_bits("d_h_0", results["d_h_0"], case.d_h_n)
    for name in ("output", "d_x", *(f"d_{name}" for name in PARAMETERS)):
        assert not np.any(results[name]), name
