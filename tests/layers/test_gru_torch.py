"""PyTorch's GRU, forward and autograd, as a second oracle of the layer."""

import numpy as np
import pytest

from cases import (
    BOTH_DTYPES,
    about,
    assert_close_results,
    batch_first_twin,
    combinations,
    long_sums,
    make_case,
    run_layer,
)
from tolerances import largest_error
from twin import run_torch, torch_gru

torch = pytest.importorskip(
    "torch", reason="agreement with PyTorch: torch is not installed"
)

# T, B, I, H, all different from each other but for the first.
SHAPES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 12, 13, 50), (3, 5, 50, 257), (35, 9, 28, 64)]
BOTH_LENGTHS = pytest.mark.parametrize(
    "lengths", [None, "from one"], ids=["full_length", "ragged"]
)


@BOTH_DTYPES
@BOTH_LENGTHS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_torch(shape, lengths, dtype):
    case = make_case(shape, dtype=dtype, lengths=lengths)
    assert_close_results(run_layer(case), run_torch(case), dtype)


@BOTH_DTYPES
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_results_agree_with_torch_in_every_combination(num_layers, dtype):
    for what, case in combinations("from one", num_layers=num_layers, dtype=dtype):
        for layer in (case, batch_first_twin(case)):
            with about(f"batch_first={layer.gru.batch_first} {what}"):
                results = run_layer(layer)
                assert_close_results(results, run_torch(layer), dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_weights_go_to_torch_and_back(num_layers, bidirectional, bias):
    kind = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    case = make_case((1, 1, 13, 50), dtype=np.float32, **kind)
    state = torch_gru(case, np.float32).state_dict()
    expected = case.gru.state_dict()
    other = make_case((1, 1, 13, 50), dtype=np.float32, seed=1, **kind)
    other.gru.load_state_dict({name: w.numpy() for name, w in state.items()})
    for name, w in other.gru.state_dict().items():
        assert np.array_equal(w, expected[name]), name


# -- accuracy --


def test_long_sums_of_weight_gradients_are_as_accurate_as_torchs():
    case, exact = long_sums(reset_after=True)
    results, of_torch = run_layer(case), run_torch(case, np.float32)
    for name, expected in exact.items():
        error = largest_error(results[name], expected)
        allowed = 2 * largest_error(of_torch[name], expected)
        assert error <= allowed, f"{name}: {error:.1e}, more than {allowed:.1e}"
