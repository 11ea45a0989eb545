"""Random problems for the layer, and its results under one set of names.

Every comparison of the suite is between two dicts of arrays with the names of
`NAMES`, so that a failure says which tensor is off.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import strategies as st

import fastgru
from fastgru.layers import recurrence
from reference import gru_backward, gru_forward
from tolerances import assert_close, assert_same_bits

PARAMETERS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
GRADIENTS = ("d_x", "d_h_0", *(f"d_{name}" for name in PARAMETERS))
NAMES = ("output", "h_n", *GRADIENTS)

BOTH_CELLS = pytest.mark.parametrize(
    "reset_after", [True, False], ids=["reset_after", "reset_before"]
)
BOTH_DTYPES = pytest.mark.parametrize(
    "dtype", [np.float32, np.float64], ids=["float32", "float64"]
)
LENGTHS = pytest.mark.parametrize(
    "lengths", [None, "ragged"], ids=["full_length", "ragged"]
)

# Beside, below and above the lanes of any register and the rows of any tile.
SIZES = (1, 2, 3, 7, 8, 13, 16, 17, 32, 33, 50, 64, 257)
BATCHES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 33, 50)
STEPS = (1, 2, 3, 5, 13, 20)
# T * B * H * (I + H) of a drawn problem: what the reference does in about a second.
LARGEST_WORK = 50_000_000


@dataclass(frozen=True, repr=False)
class Case:
    """A layer with everything one forward and backward pass takes, time-major."""

    gru: object
    x: np.ndarray
    h_0: np.ndarray
    d_output: np.ndarray
    d_h_n: np.ndarray
    lengths: object = None
    reset_after: bool = True

    @property
    def dtype(self):
        """The layer's dtype."""
        return self.x.dtype

    def __repr__(self):
        """Say what a failing example was, without its numbers."""
        sizes = f"x{self.x.shape} h_0{np.shape(self.h_0)}"
        lengths = None if self.lengths is None else list(map(int, self.lengths))
        return f"<{sizes} {self.dtype} reset_after={self.reset_after} {lengths=}>"

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))  # what hypothesis prints

    def but(self, **changes):
        """Copy the case with other arrays in it; the layer is shared."""
        return replace(self, **changes)


def random_state_dict(rng, input_size, hidden_size, dtype):
    """Draw parameters, none of them zero, that leave the gates unsaturated."""
    rows = 3 * hidden_size
    state = {
        "weight_ih_l0": rng.standard_normal((rows, input_size)) / np.sqrt(input_size),
        "weight_hh_l0": rng.standard_normal((rows, hidden_size)) / np.sqrt(hidden_size),
        "bias_ih_l0": rng.standard_normal(rows) / 2,
        "bias_hh_l0": rng.standard_normal(rows) / 2,
    }
    return {name: tensor.astype(dtype) for name, tensor in state.items()}


def ragged_lengths(rng, T, B):
    """Draw lengths in no order, the first T and the last 0 if there are two rows."""
    lengths = rng.integers(0, T + 1, size=B)
    lengths[0] = T
    if B > 1:
        lengths[-1] = 0
    return lengths


def valid_steps(case):
    """Give a (T, B) mask, True at the steps before each row's end."""
    T, B, _ = case.x.shape
    lengths = np.full(B, T) if case.lengths is None else np.asarray(case.lengths)
    return np.arange(T)[:, np.newaxis] < lengths


def make_case(shape, *, reset_after=True, dtype=np.float64, lengths=None, seed=0):
    """Draw a case of shape (T, B, I, H); lengths "ragged" are drawn as well."""
    T, B, input_size, hidden_size = shape
    rng = np.random.default_rng(seed)
    gru = fastgru.GRU(input_size, hidden_size, reset_after=reset_after, dtype=dtype)
    gru.load_state_dict(random_state_dict(rng, input_size, hidden_size, dtype))
    if isinstance(lengths, str):
        lengths = ragged_lengths(rng, T, B)
    return Case(
        gru=gru,
        x=rng.standard_normal((T, B, input_size)).astype(dtype),
        h_0=rng.standard_normal((1, B, hidden_size)).astype(dtype),
        d_output=rng.standard_normal((T, B, hidden_size)).astype(dtype),
        d_h_n=rng.standard_normal((1, B, hidden_size)).astype(dtype),
        lengths=lengths,
        reset_after=reset_after,
    )


@st.composite
def drawn_cases(draw, dtype):
    """Draw sizes, variant and lengths for `make_case`."""
    T, B = draw(st.sampled_from(STEPS)), draw(st.sampled_from(BATCHES))
    input_size, hidden_size = draw(st.sampled_from(SIZES)), draw(st.sampled_from(SIZES))
    while T * B * hidden_size * (input_size + hidden_size) > LARGEST_WORK:
        T, B = (T + 1) // 2, (B + 1) // 2
    lengths = st.lists(st.integers(0, T), min_size=B, max_size=B)
    return make_case(
        (T, B, input_size, hidden_size),
        reset_after=draw(st.booleans()),
        dtype=dtype,
        lengths=draw(st.none() | lengths),
        seed=draw(st.integers(0, 999)),
    )


def batch_first_twin(case):
    """Copy a case for a layer with the same weights and batch_first=True."""
    _, _, input_size = case.x.shape
    gru = fastgru.GRU(
        input_size,
        case.h_0.shape[2],
        batch_first=True,
        reset_after=case.reset_after,
        dtype=case.dtype,
    )
    gru.load_state_dict(case.gru.state_dict())
    x, d_output = (
        np.ascontiguousarray(a.swapaxes(0, 1)) for a in (case.x, case.d_output)
    )
    return case.but(gru=gru, x=x, d_output=d_output)


def run_layer(case):
    """Give the layer's results under `NAMES`, as copies."""
    output, h_n, pullback = case.gru.vjp(case.x, case.h_0, case.lengths)
    results = {"output": output.copy(), "h_n": h_n.copy()}
    return results | named_gradients(pullback(case.d_output, case.d_h_n))


def named_gradients(grads):
    """Give what a pullback returned as a dict under `GRADIENTS`."""
    assert tuple(grads.parameters) == PARAMETERS
    parameters = {f"d_{name}": grad for name, grad in grads.parameters.items()}
    return {"d_x": grads.x, "d_h_0": grads.h_0, **parameters}


def run_reference(case):
    """Give the reference's results under `NAMES`."""
    state = case.gru.state_dict()
    arguments = (case.x, case.h_0[0], *(state[name] for name in PARAMETERS))
    options = {"reset_after": case.reset_after, "lengths": case.lengths}
    output, h_n = gru_forward(*arguments, **options)
    grads = gru_backward(case.d_output, case.d_h_n[0], *arguments, **options)
    return {
        "output": output,
        "h_n": h_n[np.newaxis],
        "d_x": grads["x"],
        "d_h_0": grads["h_0"][np.newaxis],
        **{f"d_{name}": grads[name.removesuffix("_l0")] for name in PARAMETERS},
    }


def take_rows(case, rows, steps=None):
    """Cut rows, and the first steps, out of a case; lengths become an array."""
    T, B, _ = case.x.shape
    lengths = np.full(B, T) if case.lengths is None else np.asarray(case.lengths)
    return case.but(
        x=case.x[:steps, rows].copy(),
        h_0=case.h_0[:, rows].copy(),
        d_output=case.d_output[:steps, rows].copy(),
        d_h_n=case.d_h_n[:, rows].copy(),
        lengths=lengths[rows],
    )


@contextmanager
def num_threads(n):
    """Run a block with ``n`` threads, however small the work, and undo that after it.

    A call shares its work only where that pays; these cases are smaller.
    """
    before = fastgru.get_num_threads()
    smallest = recurrence._SMALLEST_PARALLEL, recurrence._SMALLEST_BLOCK
    fastgru.set_num_threads(n)
    recurrence._SMALLEST_PARALLEL, recurrence._SMALLEST_BLOCK = 0, 1
    try:
        yield
    finally:
        recurrence._SMALLEST_PARALLEL, recurrence._SMALLEST_BLOCK = smallest
        fastgru.set_num_threads(before)


def assert_same_results(actual, expected):
    """Compare two dicts of results bit for bit, under the names they share."""
    assert set(actual) <= set(expected)
    for name in actual:
        assert_same_bits(name, actual[name], expected[name])


def assert_close_results(actual, expected, dtype):
    """Compare two dicts of results within the dtype's tolerance, name by name."""
    assert set(actual) == set(expected)
    for name in actual:
        assert_close(name, actual[name], expected[name], dtype)
