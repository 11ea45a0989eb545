"""The other convention of the update gate, against its equations in plain NumPy."""

from types import MappingProxyType

import numpy as np
import pytest

import fastgru
from cases import BOTH_CELLS, BOTH_DTYPES, random_state_dict
from fastgru.exchange import negate_update_gate
from tolerances import assert_close, assert_same_bits

# d2l's letters: n examples, d inputs, h hidden units; rows are examples, so weights
# stand on the right.
STEPS, N, D, H = 6, 4, 3, 5


def keep_where_z_is_1(Z, H_old, H_tilde):
    """Cho et al. 2014 and the book "Dive into deep learning"."""
    return Z * H_old + (1 - Z) * H_tilde


def renew_where_z_is_1(Z, H_old, H_tilde):
    """Chung et al. 2014, and Haiku."""
    return (1 - Z) * H_old + Z * H_tilde


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def textbook_gru(X, H_0, weights, reset_after, new_state):
    """Run either cell; X of shape (steps, n, d)."""
    W_xr, W_hr, b_r, W_xz, W_hz, b_z, W_xh, W_hh, b_h = weights
    state, states = H_0, []
    for X_t in X:
        R = sigmoid(X_t @ W_xr + state @ W_hr + b_r)
        Z = sigmoid(X_t @ W_xz + state @ W_hz + b_z)
        recurrent = R * (state @ W_hh) if reset_after else (R * state) @ W_hh
        H_tilde = np.tanh(X_t @ W_xh + recurrent + b_h)
        state = new_state(Z, state, H_tilde)
        states.append(state)
    return np.array(states)


def textbook_weights(rng):
    """Draw W_x (d, h), W_h (h, h) and b (1, h) of the gates R, Z and the candidate."""
    shapes = [(D, H), (H, H), (1, H)]
    return [rng.standard_normal(shape) / 2 for _ in range(3) for shape in shapes]


def in_pytorchs_layout(weights):
    W_xr, W_hr, b_r, W_xz, W_hz, b_z, W_xh, W_hh, b_h = weights
    return {
        "weight_ih_l0": np.concatenate([W_xr.T, W_xz.T, W_xh.T]),
        "weight_hh_l0": np.concatenate([W_hr.T, W_hz.T, W_hh.T]),
        "bias_ih_l0": np.concatenate([b_r, b_z, b_h], axis=1)[0],
        "bias_hh_l0": np.zeros(3 * H),
    }


def run_fastgru(X, H_0, state_dict, reset_after):
    gru = fastgru.GRU(D, H, reset_after=reset_after, dtype=np.float64)
    gru.load_state_dict(state_dict)
    return gru(X, H_0[np.newaxis])[0]


@BOTH_CELLS
@pytest.mark.parametrize(
    ("new_state", "convert"),
    [(keep_where_z_is_1, dict), (renew_where_z_is_1, negate_update_gate)],
    ids=["cho", "chung"],
)
def test_textbook_weights_give_the_textbooks_states(
    new_state, convert, reset_after, rng
):
    weights = textbook_weights(rng)
    X, H_0 = rng.standard_normal((STEPS, N, D)), rng.standard_normal((N, H))
    expected = textbook_gru(X, H_0, weights, reset_after, new_state)
    output = run_fastgru(X, H_0, convert(in_pytorchs_layout(weights)), reset_after)
    assert_close("output", output, expected, np.float64, tolerance=1e-12)


def test_without_the_conversion_the_states_differ(rng):
    weights = textbook_weights(rng)
    X, H_0 = rng.standard_normal((STEPS, N, D)), rng.standard_normal((N, H))
    expected = textbook_gru(X, H_0, weights, False, renew_where_z_is_1)
    output = run_fastgru(X, H_0, in_pytorchs_layout(weights), False)
    assert np.abs(output - expected).max() > 0.1


@BOTH_DTYPES
def test_only_the_update_gates_rows_change_sign(dtype, rng):
    state = random_state_dict(rng, D, H, dtype)
    before = {name: array.copy() for name, array in state.items()}
    converted = negate_update_gate(state)
    assert list(converted) == list(state)
    for name, array in converted.items():
        signs = np.repeat(np.array([1, -1, 1], dtype), H)
        signs = signs.reshape(-1, *[1] * (array.ndim - 1))
        assert_same_bits(name, array, before[name] * signs)
        assert_same_bits(name, state[name], before[name])  # the caller's stay
        assert not np.shares_memory(array, state[name])


def test_it_is_its_own_inverse(rng):
    state = random_state_dict(rng, D, H, np.float32)
    state["weight_ih_l0"][H : H + 2, 0] = 0.0, np.nan
    twice = negate_update_gate(negate_update_gate(state))
    for name in state:
        assert_same_bits(name, twice[name], state[name])


def test_every_gru_of_a_network_is_converted_and_nothing_else(rng):
    gate = np.array([1.0, 2.0, 3.0])
    state = {
        "0.weight": np.array([[4.0, 5.0]]),
        "1.weight_ih_l0": gate[:, np.newaxis],
        "1.bias_hh_l1_reverse": gate,
        "encoder.gru.bias_ih": gate,
        "weight_hh": gate[:, np.newaxis],
        "weight_ih_l0.scale": gate,
        "labels": np.array(["a", "b"]),
        "step": 7,
    }
    converted = negate_update_gate(MappingProxyType(state))
    changed = {name for name in state if np.any(converted[name] != state[name])}
    assert changed == {
        "1.weight_ih_l0",
        "1.bias_hh_l1_reverse",
        "encoder.gru.bias_ih",
        "weight_hh",
    }
    assert converted["encoder.gru.bias_ih"].tolist() == [1, -2, 3]
    assert converted["labels"].tolist() == ["a", "b"]
    assert converted["step"] == 7
    assert not np.shares_memory(converted["0.weight"], state["0.weight"])


def test_lists_are_taken():
    converted = negate_update_gate({"bias_ih_l0": [1.0, 2.0, 3.0]})
    assert converted["bias_ih_l0"].tolist() == [1, -2, 3]


def test_pytorchs_state_dict_is_taken():
    torch = pytest.importorskip("torch")
    gru = torch.nn.GRU(D, H, num_layers=2, bidirectional=True)
    state = gru.state_dict()
    converted = negate_update_gate(state)
    assert len(converted) == 16
    for name, array in converted.items():
        expected = state[name].numpy().copy()
        expected[H : 2 * H] *= -1
        assert_same_bits(name, array, expected)


# -- what is refused --


@pytest.mark.parametrize("state", [None, [("bias_ih", np.zeros(3))], 3], ids=repr)
def test_other_than_mappings_are_refused(state):
    message = f"expected a mapping of names to arrays, got {type(state).__name__}"
    with pytest.raises(TypeError, match=message):
        negate_update_gate(state)


@pytest.mark.parametrize("names", [(), ("kernel", "bias"), ("gru.kernel",)], ids=str)
def test_names_of_another_framework_are_refused(names):
    with pytest.raises(ValueError, match=r"names of a GRU's parameters.*got \["):
        negate_update_gate({name: np.zeros(3) for name in names})


@pytest.mark.parametrize("shape", [(), (4,), (7, 3), (1, 3)], ids=str)
def test_rows_that_are_not_three_gates_are_refused(shape):
    with pytest.raises(ValueError, match=r"^0\.bias_hh_l0 must have 3H rows.*shape \("):
        negate_update_gate({"0.bias_hh_l0": np.zeros(shape)})


@pytest.mark.parametrize("values", ["abc", True, None], ids=repr)
def test_what_has_no_sign_is_refused(values):
    with pytest.raises(TypeError, match="bias_ih must hold numbers that have a sign"):
        negate_update_gate({"bias_ih": [values] * 3})
    with pytest.raises(TypeError, match="got an array of dtype uint8"):
        negate_update_gate({"bias_ih": np.zeros(3, np.uint8)})
