"""A step and a sequence of plain arrays: from Python and inside a compiled loop."""

import numpy as np
import pytest
from numba import njit

from fastgru import GRU
from fastgru.kernels import gru_sequence, gru_step
from tolerances import assert_same_bits


@njit
def run(states, state, x, packed, work, n_rows, reset_after):
    for t in range(len(x)):
        gru_step(state, x[t], packed, work, n_rows, reset_after, False)
        states[t] = state


def make(batch, n_inputs, n_units, dtype, reset_after):
    """Make a layer and the arrays that a step takes of it."""
    gru = GRU(n_inputs, n_units, reset_after=reset_after, dtype=dtype, random_state=0)
    return gru, *gru.kernel_arrays(batch_size=batch)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize(
    ("batch", "n_inputs", "n_units"),
    # Of the last three, a layer has the gates of its units side by side.
    [
        *[(1, 1, 32), (1, 5, 7), (3, 2, 33), (9, 40, 64)],
        *[(1, 64, 4), (20, 70, 5), (3, 90, 19)],
    ],
)
def test_a_compiled_loop_gives_the_bits_of_the_layer(
    batch, n_inputs, n_units, reset_after, dtype
):
    gru, state, packed, work = make(batch, n_inputs, n_units, dtype, reset_after)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, batch, n_inputs)).astype(dtype)
    states = np.empty((6, batch * n_units), dtype)
    # Behind the scratch stand numbers that a step must leave alone.
    guarded = np.full(work.size + 64, 7, dtype)
    run(
        states,
        state,
        x.reshape(6, -1),
        packed,
        guarded[: work.size],
        batch,
        reset_after,
    )
    output, _ = gru(x)
    assert_same_bits("states", states.reshape(output.shape), output)
    assert (guarded[work.size :] == 7).all()


def test_a_number_that_is_not_finite_is_found_and_changes_nothing():
    _, state, packed, work = make(2, 3, 4, np.float32, True)
    x = np.zeros(6, np.float32)
    assert gru_step(state, x, packed, work, 2, True, True) == -1
    before = state.copy()
    for value in (np.nan, np.inf, -np.inf):
        x[4] = value
        assert gru_step(state, x, packed, work, 2, True, True) == 4
        assert_same_bits("state", state, before)
    x[4] = np.nan
    gru_step(state, x, packed, work, 2, True, False)
    assert np.isfinite(state[:4]).all()
    assert np.isnan(state[4:]).all()


@pytest.mark.parametrize(
    "change",
    [
        lambda state, x, packed, work: (state[:-1], x, packed, work),
        lambda state, x, packed, work: (state[:0], x, packed, work),
        lambda state, x, packed, work: (state, x[:3], packed, work),
        lambda state, x, packed, work: (state, x, packed[:-1], work),
        lambda state, x, packed, work: (state, x, packed, work[:-1]),
    ],
    ids=["state", "no state", "x", "packed", "work"],
)
def test_arrays_that_do_not_belong_together_are_refused(change):
    _, state, packed, work = make(2, 3, 4, np.float32, True)
    arrays = change(state, np.zeros(6, np.float32), packed, work)
    with pytest.raises(ValueError, match="gru_step: the sizes of state, x, weights"):
        gru_step(*arrays, 2, True, True)
    with pytest.raises(ValueError, match="gru_step"):
        gru_step(state, np.zeros(6, np.float32), packed, work, 0, True, True)


def test_weights_at_another_alignment_are_refused_and_not_misread():
    _, state, packed, work = make(1, 3, 4, np.float32, True)
    moved = np.empty(packed.size + 1, np.float32)[1:]
    moved[...] = packed
    x = np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="not copies of them"):
        gru_step(state, x, moved, work)
    with pytest.raises(ValueError, match="not a copy of them"):
        gru_sequence(np.empty((0, 4), np.float32), state, x.reshape(1, 3), moved)


@njit
def run_sequences(outputs, states, x, weights, reset_after):
    for b in range(len(x)):
        gru_sequence(outputs[b], states[b], x[b], weights, reset_after)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("wants_output", [True, False])
def test_a_sequence_gives_the_bits_of_the_layer(wants_output, reset_after, dtype):
    gru, _, weights, _ = make(1, 5, 33, dtype, reset_after)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 8, 5)).astype(dtype)
    h_0 = rng.standard_normal((3, 33)).astype(dtype)
    states = h_0.copy()
    outputs = np.empty((3, 8 if wants_output else 0, 33), dtype)
    run_sequences(outputs, states, x, weights, reset_after)
    for b in range(3):
        output, h_n = gru(x[b], h_0[b : b + 1])
        assert_same_bits("state", states[b], h_n[0])
        if wants_output:
            assert_same_bits("output", outputs[b], output)


def test_a_sequence_of_no_steps_leaves_the_state():
    _, state, weights, _ = make(1, 5, 33, np.float32, True)
    state[...] = 1
    nothing = np.empty((0, 33), np.float32)
    gru_sequence(nothing, state, np.empty((0, 5), np.float32), weights)
    assert (state == 1).all()


@pytest.mark.parametrize(
    ("output", "state", "x"),
    [
        ((7, 33), (33,), (8, 5)),
        ((8, 32), (33,), (8, 5)),
        ((8, 33), (32,), (8, 5)),
        ((8, 33), (33,), (8, 4)),
        ((8, 0), (0,), (8, 5)),
    ],
    ids=str,
)
def test_shapes_that_do_not_belong_together_are_refused(output, state, x):
    _, _, weights, _ = make(1, 5, 33, np.float32, True)
    arrays = [np.zeros(shape, np.float32) for shape in (output, state, x)]
    with pytest.raises(ValueError, match="gru_sequence: the shapes of output, state"):
        gru_sequence(*arrays, weights)


def test_kernel_arrays_are_those_of_the_layer_and_direction_asked_for():
    gru = GRU(3, 8, 2, bidirectional=True, random_state=0)
    x = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    lower = np.empty((6, 16), np.float32)
    for reverse in (False, True):
        state, weights, _ = gru.kernel_arrays(reverse=reverse)
        output = np.empty((6, 8), np.float32)
        gru_sequence(output, state, x[::-1].copy() if reverse else x, weights)
        lower[:, 8 * reverse : 8 * (reverse + 1)] = output[::-1] if reverse else output
    state, weights, _ = gru.kernel_arrays(1)
    output = np.empty((6, 8), np.float32)
    gru_sequence(output, state, lower, weights)
    assert_same_bits("output", output, gru(x)[0][:, :8])


def test_weights_follow_the_layer():
    gru, state, weights, work = make(1, 3, 4, np.float32, True)
    gru.load_state_dict(GRU(3, 4, random_state=1).state_dict())
    x = np.ones((1, 3), np.float32)
    gru_step(state, x[0], weights, work)
    assert_same_bits("state", state, gru(x)[0][0])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layer": 2}, ValueError, "layer must be from 0 to 1: 2"),
        ({"layer": -1}, ValueError, "layer must be from 0 to 1"),
        ({"layer": 0.0}, TypeError, "layer must be a whole number"),
        ({"reverse": True}, ValueError, "not bidirectional"),
        ({"batch_size": 0}, ValueError, "batch_size"),
    ],
    ids=str,
)
def test_kernel_arrays_that_there_are_not_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        GRU(3, 4, 2).kernel_arrays(**arguments)
