"""Every combination of the layer's settings, and dropout, against the reference.

PyTorch goes through the same combinations in test_gru_torch.py.
"""

import numpy as np
import pytest

from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    EACH_STACK,
    LENGTHS,
    about,
    assert_close_results,
    assert_same_results,
    batch_first_twin,
    combinations,
    make_case,
    run_inference,
    run_layer,
    run_reference,
    time_major,
)
from gradcheck import check_gru


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_every_combination_agrees_with_the_reference(num_layers, dtype, reset_after):
    options = {"num_layers": num_layers, "reset_after": reset_after, "dtype": dtype}
    for what, case in combinations("ragged", **options):
        expected = run_reference(case)
        twin = batch_first_twin(case)
        with about(f"batch_first=False {what}"):
            results = run_layer(case)
            assert_close_results(results, expected, dtype)
            assert_same_results(run_inference(case), results)
        with about(f"batch_first=True {what}"):
            results = run_layer(twin)
            assert_close_results(time_major(results), expected, dtype)
            assert_same_results(run_inference(twin), results)


@BOTH_CELLS
@LENGTHS
@EACH_STACK
def test_gradients_of_stacks_agree_with_central_differences(
    stack, lengths, reset_after
):
    case = make_case((4, 3, 2, 5), reset_after=reset_after, lengths=lengths, **stack)
    arrays = case.x, case.h_0, case.d_output, case.d_h_n
    check_gru(case.gru, *arrays, case.lengths, **case.options)


def test_the_numbers_of_layers_and_directions_are_those_of_h_n():
    case = make_case((4, 5, 3, 7), num_layers=3, bidirectional=True)
    output, h_n = case.gru(case.x, case.h_0)
    assert output.shape == (4, 5, 14)
    assert h_n.shape == (6, 5, 7)
    # Forwards the last layer ends with the last step, backwards with the first.
    np.testing.assert_array_equal(h_n[4], output[-1, :, :7])
    np.testing.assert_array_equal(h_n[5], output[0, :, 7:])
