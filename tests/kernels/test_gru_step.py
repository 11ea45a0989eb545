"""One step as a function of plain arrays: from Python and inside a compiled loop."""

import numpy as np
import pytest
from numba import njit

from fastgru import GRU
from fastgru.kernels.gru_step import gru_step, step_work_size
from tolerances import assert_same_bits


@njit
def run(states, state, x, packed, work, n_rows, reset_after):
    for t in range(len(x)):
        gru_step(state, x[t], packed, work, n_rows, reset_after, False)
        states[t] = state


def make(batch, n_inputs, n_units, dtype, reset_after):
    """Make a layer and the arrays that a step takes of it."""
    gru = GRU(n_inputs, n_units, reset_after=reset_after, dtype=dtype, random_state=0)
    size = step_work_size(batch, n_units, gru.dtype.itemsize, reset_after=reset_after)
    packed = gru._stack.layers[0][0]._packed
    return gru, np.zeros(batch * n_units, dtype), packed, np.empty(size, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize(
    ("batch", "n_inputs", "n_units"), [(1, 1, 32), (1, 5, 7), (3, 2, 33), (9, 40, 64)]
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
    with pytest.raises(ValueError, match="gru_step: the sizes of state, x, packed"):
        gru_step(*arrays, 2, True, True)
    with pytest.raises(ValueError, match="gru_step"):
        gru_step(state, np.zeros(6, np.float32), packed, work, 0, True, True)
