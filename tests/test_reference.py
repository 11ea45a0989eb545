"""The oracle itself: against central differences, and against PyTorch."""

import numpy as np
import pytest

from cases import BOTH_CELLS, combinations, make_case, random_state_dict, run_reference
from gradcheck import assert_gradients, central_differences, objective
from reference import gru_backward, gru_forward
from tolerances import assert_close

# T, B, I, H, all different from each other but for the first.
SHAPES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 12, 13, 50)]


@BOTH_CELLS
@pytest.mark.parametrize("lengths", [None, (1, 3, 0)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("num_layers, bidirectional", [(1, False), (2, True)])
def test_gradients_agree_with_central_differences(
    num_layers, bidirectional, bias, masked, lengths, reset_after, rng
):
    T, B, H = 3, 3, 2
    kind = {"num_layers": num_layers, "bidirectional": bidirectional}
    state = random_state_dict(rng, 2, H, np.float64, bias=bias, **kind)
    states, columns = ((1 + bidirectional) * num_layers, B, H), (1 + bidirectional) * H
    tensors = {"x": rng.standard_normal((T, B, 2)), "h_0": rng.standard_normal(states)}
    d_output, d_h_n = rng.standard_normal((T, B, columns)), rng.standard_normal(states)
    options = {**kind, "reset_after": reset_after, "lengths": lengths}
    if masked:
        options["recurrent_masks"] = some_zeros(states, 1.5)
        options["output_masks"] = some_zeros((num_layers - 1, B, columns), 3.0)

    def function(moved):
        parameters = {name: moved[name] for name in state}
        results = gru_forward(moved["x"], moved["h_0"], parameters, **options)
        return objective(*results, d_output, d_h_n)

    assert_gradients(
        gru_backward(d_output, d_h_n, **tensors, parameters=state, **options),
        central_differences(function, tensors | state),
    )


def some_zeros(shape, value):
    """Make a mask with a zero every few units, not the same ones in each row."""
    mask = np.full(shape, value)
    mask.reshape(-1)[::3] = 0.0
    return mask


@pytest.mark.parametrize("lengths", [None, "from one"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_torch(shape, lengths):
    assert_agrees_with_torch(make_case(shape, lengths=lengths))


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_results_agree_with_torch_in_every_combination(num_layers):
    for _, case in combinations("from one", num_layers=num_layers):
        assert_agrees_with_torch(case)


def assert_agrees_with_torch(case):
    """Compare both oracles far more closely than either with the layer."""
    pytest.importorskip(
        "torch", reason="agreement with PyTorch: torch is not installed"
    )
    from twin import run_torch

    results, expected = run_reference(case), run_torch(case)
    assert set(results) == set(expected)
    for name in results:
        assert_close(name, results[name], expected[name], np.float64, tolerance=1e-12)


@BOTH_CELLS
def test_a_mask_is_on_the_products_and_not_on_the_state(reset_after):
    # Without any weights seen, a state only decays.
    case = make_case((3, 2, 4, 5), reset_after=reset_after)
    state = case.gru.state_dict()
    options = {"reset_after": reset_after, "recurrent_masks": np.zeros((1, 2, 5))}
    _, h_n = gru_forward(case.x, case.h_0, state, **options)
    state |= {"weight_hh_l0": np.zeros((15, 5))}
    expected = gru_forward(case.x, case.h_0, state, reset_after=reset_after)
    np.testing.assert_array_equal(h_n, expected[1])
