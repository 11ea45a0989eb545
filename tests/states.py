"""State dicts that do not fit, for layers, cells and networks alike."""

import numpy as np
import pytest

from messages import words
from tolerances import assert_same_bits


def last(state, n_axes):
    """Give the name of the last array of so many axes: the last to be checked."""
    return [name for name, w in state.items() if w.ndim == n_axes][-1]


def missing(state):
    name = last(state, 1)
    return {key: w for key, w in state.items() if key != name}, ["missing", name]


def empty(state):
    return {}, ["missing", *state]


def unexpected(state):
    return state | {"bias_xx": np.zeros(3)}, ["unexpected", "bias_xx"]


def renamed(state):
    name = last(state, 1)
    others = {key: w for key, w in state.items() if key != name}
    new_name = f"module.{name}"
    return others | {new_name: state[name]}, ["missing", name, "unexpected", new_name]


def short(state):
    name = last(state, 1)
    w = state[name]
    return state | {name: w[:-1]}, [name, w.shape, (w.size - 1,)]


def transposed(state):
    name = last(state, 2)
    w = state[name]
    return state | {name: w.T.copy()}, [name, w.shape, w.shape[::-1]]


def another_axis(state):
    name = last(state, 1)
    w = state[name]
    return state | {name: w[:, np.newaxis]}, [name, w.shape, (w.size, 1)]


def float32(state):
    name = last(state, 1)
    w = state[name].astype(np.float32)
    return state | {name: w}, [name, "float64", "float32"]


def int64(state):
    name = last(state, 1)
    w = state[name].astype(np.int64)
    return state | {name: w}, [name, "float64", "int64"]


def no_numbers(state):
    name = last(state, 1)
    return state | {name: state[name].astype(str)}, [name, "float64"]


# Each takes a state dict and gives one that does not fit, and what its refusal names.
EACH_WRONG_STATE = pytest.mark.parametrize(
    "spoil",
    [
        missing,
        empty,
        unexpected,
        renamed,
        short,
        transposed,
        another_axis,
        float32,
        int64,
        no_numbers,
    ],
)


def assert_refused(model, spoil, run):
    """Check that a float64 model refuses a wrong state dict and stays what it was.

    ``run`` takes the model and gives a dict of its results.
    """
    expected, before = run(model), model.state_dict()
    state, parts = spoil({name: 2 * w for name, w in before.items()})
    with pytest.raises(ValueError, match=words(*parts)):
        model.load_state_dict(state)
    for name, w in model.state_dict().items():
        assert_same_bits(name, w, before[name])
    for name, array in run(model).items():
        assert_same_bits(name, array, expected[name])
