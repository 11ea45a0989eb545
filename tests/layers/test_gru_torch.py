"""PyTorch's GRU, forward and autograd, as a second oracle of the layer."""

import numpy as np
import pytest

from cases import (
    BOTH_DTYPES,
    PARAMETERS,
    assert_close_results,
    make_case,
    run_layer,
    run_reference,
)
from tolerances import assert_close

torch = pytest.importorskip(
    "torch", reason="agreement with PyTorch: torch is not installed"
)

# T, B, I, H, all different from each other but for the first.
SHAPES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 12, 13, 50), (3, 5, 50, 257), (35, 9, 28, 64)]


def torch_gru(case):
    """Build torch's layer with the weights of a case, in its dtype."""
    gru = torch.nn.GRU(case.x.shape[2], case.h_0.shape[2])
    gru = gru.to(getattr(torch, case.dtype.name))
    state = case.gru.state_dict()
    assert tuple(state) == PARAMETERS == tuple(gru.state_dict())
    gru.load_state_dict({name: torch.from_numpy(w) for name, w in state.items()})
    return gru


def run_torch(case):
    """Give torch's results under the names of `cases.NAMES`."""
    gru = torch_gru(case)
    x = torch.tensor(case.x, requires_grad=True)
    h_0 = torch.tensor(case.h_0, requires_grad=True)
    if case.lengths is None:
        output, h_n = gru(x, h_0)
    else:
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            x, torch.as_tensor(case.lengths), enforce_sorted=False
        )
        packed, h_n = gru(packed, h_0)
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, total_length=len(x))
    cotangents = [torch.from_numpy(case.d_output), torch.from_numpy(case.d_h_n)]
    torch.autograd.backward([output, h_n], cotangents)
    gradients = {"x": x, "h_0": h_0, **dict(gru.named_parameters())}
    return {
        "output": output.detach().numpy(),
        "h_n": h_n.detach().numpy(),
        **{f"d_{name}": tensor.grad.numpy() for name, tensor in gradients.items()},
    }


def lengths_from_one(shape):
    """Draw lengths of at least 1, as PackedSequence wants them, in no order."""
    T, B, _, _ = shape
    lengths = np.random.default_rng(T * B).integers(1, T + 1, size=B)
    lengths[B // 2] = T
    return lengths


@BOTH_DTYPES
@pytest.mark.parametrize("ragged", [False, True], ids=["full_length", "ragged"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_torch(shape, ragged, dtype):
    lengths = lengths_from_one(shape) if ragged else None
    case = make_case(shape, dtype=dtype, lengths=lengths)
    assert_close_results(run_layer(case), run_torch(case), dtype)


@pytest.mark.parametrize("ragged", [False, True], ids=["full_length", "ragged"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reference_agrees_with_torch(shape, ragged):
    lengths = lengths_from_one(shape) if ragged else None
    case = make_case(shape, lengths=lengths)
    results, expected = run_reference(case), run_torch(case)
    assert set(results) == set(expected)
    for name in results:
        assert_close(name, results[name], expected[name], np.float64, tolerance=1e-12)


def test_weights_go_to_torch_and_back():
    case = make_case((1, 1, 13, 50), dtype=np.float32)
    state = torch_gru(case).state_dict()
    expected = case.gru.state_dict()
    other = make_case((1, 1, 13, 50), dtype=np.float32, seed=1)
    other.gru.load_state_dict({name: w.numpy() for name, w in state.items()})
    for name, w in other.gru.state_dict().items():
        assert np.array_equal(w, expected[name]), name
