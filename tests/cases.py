"""Random problems for the layer, and its results under one set of names.

Every comparison of the suite is between two dicts of arrays named as `run_layer` names
them, so that a failure says which tensor is off.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pytest
from hypothesis import strategies as st

import fastgru
from fastgru import _buffers
from fastgru.layers import dense, embedding, sharing
from fastgru.layers.masks import Masks
from reference import gru_backward, gru_forward
from tolerances import assert_close, assert_same_bits

# Of a layer of one direction with biases.
PARAMETERS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
# What a row of a batch has of its own, and the axis of the rows.
OF_ROWS = ("output", "h_n", "d_x", "d_h_0")

BOTH_CELLS = pytest.mark.parametrize(
    "reset_after", [True, False], ids=["reset_after", "reset_before"]
)
BOTH_DTYPES = pytest.mark.parametrize(
    "dtype", [np.float32, np.float64], ids=["float32", "float64"]
)
LENGTHS = pytest.mark.parametrize(
    "lengths", [None, "ragged"], ids=["full_length", "ragged"]
)

# Stacks that have everything: arguments of `make_case`.
STACKS = {
    "2 layers": {"num_layers": 2},
    "bidirectional": {"bidirectional": True},
    "2 bidirectional layers": {"num_layers": 2, "bidirectional": True},
    "3 layers without bias": {"num_layers": 3, "bias": False},
    "dropout": {
        "num_layers": 2,
        "bidirectional": True,
        "dropout": 0.4,
        "recurrent_dropout": 0.3,
        "dropout_seed": 7,
    },
}
EACH_STACK = pytest.mark.parametrize(
    "stack", STACKS.values(), ids=[name.replace(" ", "_") for name in STACKS]
)

# Beside, below and above the lanes of any register and the rows of any tile.
SIZES = (1, 2, 3, 7, 8, 13, 16, 17, 32, 33, 50, 64, 257)
BATCHES = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 33, 50)
STEPS = (1, 2, 3, 5, 13, 20)
# Multiply-adds of a drawn problem: what the reference does in about a second.
LARGEST_WORK = 50_000_000


@dataclass(frozen=True, repr=False)
class Case:
    """A layer with everything one forward and backward pass takes, time-major."""

    gru: fastgru.GRU
    x: np.ndarray
    h_0: np.ndarray
    d_output: np.ndarray
    d_h_n: np.ndarray
    lengths: object = None
    dropout_seed: object = None
    sequence_ids: object = None

    @property
    def dtype(self):
        """The layer's dtype."""
        return self.x.dtype

    @property
    def options(self):
        """What ``vjp`` takes by name only."""
        return {"dropout_seed": self.dropout_seed, "sequence_ids": self.sequence_ids}

    def __repr__(self):
        """Say what a failing example was, without its numbers."""
        lengths = None if self.lengths is None else list(map(int, self.lengths))
        return f"<{self.gru!r} x{self.x.shape} {lengths=} {self.options}>"

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))  # what hypothesis prints

    def but(self, **changes):
        """Copy the case with other things in it; the layer is shared."""
        return replace(self, **changes)


def random_state_dict(
    rng,
    input_size,
    hidden_size,
    dtype,
    *,
    num_layers=1,
    bias=True,
    bidirectional=False,
):
    """Draw parameters, none of them zero, that leave the gates unsaturated."""
    rows, state = 3 * hidden_size, {}
    for layer in range(num_layers):
        for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 1 + bidirectional]:
            n = input_size if layer == 0 else (1 + bidirectional) * hidden_size
            weight_ih = rng.standard_normal((rows, n)) / np.sqrt(n)
            weight_hh = rng.standard_normal((rows, hidden_size)) / np.sqrt(hidden_size)
            state |= {f"weight_ih{suffix}": weight_ih, f"weight_hh{suffix}": weight_hh}
            if bias:
                state[f"bias_ih{suffix}"] = rng.standard_normal(rows) / 2
                state[f"bias_hh{suffix}"] = rng.standard_normal(rows) / 2
    return {name: w.astype(dtype) for name, w in state.items()}


def ragged_lengths(rng, T, B):
    """Draw lengths in no order, the first T and the last 0 if there are two rows."""
    lengths = rng.integers(0, T + 1, size=B)
    lengths[0] = T
    if B > 1:
        lengths[-1] = 0
    return lengths


def lengths_from_one(rng, T, B):
    """Draw lengths of at least 1, as PyTorch wants them, in no order."""
    lengths = rng.integers(1, T + 1, size=B)
    lengths[B // 2] = T
    return lengths


def valid_steps(case):
    """Give a (T, B) mask, True at the steps before each row's end."""
    T, B, _ = case.x.shape
    lengths = np.full(B, T) if case.lengths is None else np.asarray(case.lengths)
    return np.arange(T)[:, np.newaxis] < lengths


def make_case(
    shape,
    *,
    reset_after=True,
    dtype=np.float64,
    lengths=None,
    seed=0,
    num_layers=1,
    bias=True,
    bidirectional=False,
    dropout=0.0,
    recurrent_dropout=0.0,
    dropout_seed=None,
):
    """Draw a case of shape (T, B, I, H).

    Lengths "ragged" and "from one" are drawn as well.
    """
    T, B, input_size, hidden_size = shape
    rng = np.random.default_rng(seed)
    sizes = {"num_layers": num_layers, "bias": bias, "bidirectional": bidirectional}
    gru = fastgru.GRU(
        input_size,
        hidden_size,
        **sizes,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        reset_after=reset_after,
        dtype=dtype,
        random_state=0,
    )
    gru.load_state_dict(random_state_dict(rng, input_size, hidden_size, dtype, **sizes))
    if isinstance(lengths, str):
        draw = {"ragged": ragged_lengths, "from one": lengths_from_one}[lengths]
        lengths = draw(rng, T, B)
    directions = 1 + bidirectional
    states = directions * num_layers, B, hidden_size

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    return Case(
        gru=gru,
        x=normal(T, B, input_size),
        h_0=normal(*states),
        d_output=normal(T, B, directions * hidden_size),
        d_h_n=normal(*states),
        lengths=lengths,
        dropout_seed=dropout_seed,
    )


def combinations(lengths, *, num_layers, reset_after=True, dtype=np.float64):
    """Give a case, and what it is, for each way of setting the switches of a layer.

    One direction and two, with and without biases, with ``lengths`` as `make_case`
    takes them and without, with and without h_0.
    """
    for bidirectional, bias, has_lengths, has_h_0 in product([False, True], repeat=4):
        case = make_case(
            (4, 5, 3, 7),  # T, B, I, H
            reset_after=reset_after,
            dtype=dtype,
            lengths=lengths if has_lengths else None,
            num_layers=num_layers,
            bias=bias,
            bidirectional=bidirectional,
        )
        if not has_h_0:
            case = case.but(h_0=None)
        what = f"{num_layers=} {bidirectional=} {bias=} {has_lengths=} {has_h_0=}"
        yield what, case


def long_sums(reset_after):
    """Give a float32 case whose weights' gradients are sums of 256,000 terms.

    Besides, what these are, from float64.
    """
    kind = {"reset_after": reset_after}
    case = make_case((1000, 256, 8, 16), dtype=np.float32, **kind)
    state = case.gru.state_dict()
    gru = fastgru.GRU(8, 16, dtype=np.float64, random_state=0, **kind)
    gru.load_state_dict({name: w.astype(np.float64) for name, w in state.items()})
    names = ("x", "h_0", "d_output", "d_h_n")
    arrays = {name: getattr(case, name).astype(np.float64) for name in names}
    exact = run_layer(case.but(gru=gru, **arrays))
    return case, {f"d_{name}": exact[f"d_{name}"] for name in state}


@st.composite
def drawn_cases(draw, dtype, *, max_directions=2):
    """Draw sizes, kind, dropout and lengths for `make_case`."""
    T, B = draw(st.sampled_from(STEPS)), draw(st.sampled_from(BATCHES))
    input_size, hidden_size = draw(st.sampled_from(SIZES)), draw(st.sampled_from(SIZES))
    num_layers = draw(st.sampled_from((1, 1, 2, 3)))
    bidirectional = max_directions > 1 and draw(st.booleans())
    inputs = input_size + (num_layers - 1) * (1 + bidirectional) * hidden_size
    terms = (1 + bidirectional) * hidden_size * (inputs + num_layers * hidden_size)
    while T * B * terms > LARGEST_WORK:
        T, B = (T + 1) // 2, (B + 1) // 2
    lengths = st.lists(st.integers(0, T), min_size=B, max_size=B)
    ids = st.lists(st.integers(-9, 9), min_size=B, max_size=B)
    rates = st.sampled_from((0.0, 0.4))
    case = make_case(
        (T, B, input_size, hidden_size),
        reset_after=draw(st.booleans()),
        dtype=dtype,
        lengths=draw(st.none() | lengths),
        seed=draw(st.integers(0, 999)),
        num_layers=num_layers,
        bias=draw(st.booleans()),
        bidirectional=bidirectional,
        dropout=draw(rates),
        recurrent_dropout=draw(rates),
        dropout_seed=draw(st.none() | st.integers(0, 2**64 - 1)),
    )
    return case.but(sequence_ids=draw(st.none() | ids))


ANY_CASE = drawn_cases(np.float32) | drawn_cases(np.float64)


def batch_first_twin(case):
    """Copy a case for a layer with the same weights and batch_first=True."""
    gru = fastgru.GRU(**case.gru.settings() | {"batch_first": True}, random_state=0)
    gru.load_state_dict(case.gru.state_dict())
    x, d_output = (
        np.ascontiguousarray(a.swapaxes(0, 1)) for a in (case.x, case.d_output)
    )
    return case.but(gru=gru, x=x, d_output=d_output)


def time_major(results):
    """Swap the axes of what a layer with batch_first=True returned."""
    swapped = {name: results[name].swapaxes(0, 1) for name in ("output", "d_x")}
    return results | swapped


def run_layer(case):
    """Give the layer's results by name, as copies."""
    output, h_n, pullback = case.gru.vjp(case.x, case.h_0, case.lengths, **case.options)
    results = {"output": output.copy(), "h_n": h_n.copy()}
    return results | named_gradients(pullback(case.d_output, case.d_h_n), case)


def named_gradients(grads, case):
    """Give what a pullback returned as a dict."""
    assert tuple(grads.parameters) == tuple(case.gru.state_dict())
    parameters = {f"d_{name}": grad for name, grad in grads.parameters.items()}
    assert (grads.h_0 is None) == (case.h_0 is None)
    states = {} if grads.h_0 is None else {"d_h_0": grads.h_0}
    return {"d_x": grads.x, **states, **parameters}


def run_inference(case):
    """Give what a call returns under the names of `run_layer`."""
    output, h_n = case.gru(case.x, case.h_0, case.lengths)
    return {"output": output, "h_n": h_n}


def drawn_masks(case):
    """Give the masks of a case's dropout as the reference takes them."""
    gru, B = case.gru, case.x.shape[1]
    if case.dropout_seed is None:
        return {}
    ids = np.arange(B) if case.sequence_ids is None else np.array(case.sequence_ids)
    masks = Masks(case.dropout_seed, ids.astype(np.int64))
    found = {}
    directions, H = 1 + gru.bidirectional, gru.hidden_size
    if gru.recurrent_dropout > 0:
        found["recurrent_masks"] = [
            masks.of_layer(2 * k).draw(H, gru.recurrent_dropout, case.dtype)
            for k in range(directions * gru.num_layers)
        ]
    if gru.dropout > 0 and gru.num_layers > 1:
        found["output_masks"] = [
            masks.of_layer(2 * k + 1).draw(directions * H, gru.dropout, case.dtype)
            for k in range(gru.num_layers - 1)
        ]
    return found


def run_reference(case):
    """Give the reference's results under the names of `run_layer`."""
    gru = case.gru
    arguments = case.x, case.h_0, gru.state_dict()
    options = {
        "num_layers": gru.num_layers,
        "bidirectional": gru.bidirectional,
        "reset_after": gru.reset_after,
        "lengths": case.lengths,
        **drawn_masks(case),
    }
    output, h_n = gru_forward(*arguments, **options)
    grads = gru_backward(case.d_output, case.d_h_n, *arguments, **options)
    if case.h_0 is None:
        del grads["h_0"]
    gradients = {f"d_{name}": grad for name, grad in grads.items()}
    return {"output": output, "h_n": h_n, **gradients}


def take_rows(case, rows, steps=None):
    """Cut rows, and the first steps, out of a case; lengths become an array."""
    T, B, _ = case.x.shape
    lengths = np.full(B, T) if case.lengths is None else np.asarray(case.lengths)
    ids = np.arange(B) if case.sequence_ids is None else np.asarray(case.sequence_ids)
    return case.but(
        x=case.x[:steps, rows].copy(),
        h_0=case.h_0[:, rows].copy(),
        d_output=case.d_output[:steps, rows].copy(),
        d_h_n=case.d_h_n[:, rows].copy(),
        lengths=lengths[rows],
        sequence_ids=ids[rows],
    )


@contextmanager
def num_threads(n, *, in_teams=False):
    """Run a block with ``n`` threads, however small the work, and undo that after it.

    A call shares its work only where that pays; these cases are smaller.  ``in_teams``
    has threads share the units of all sequences, and not the sequences.
    """
    before = fastgru.get_num_threads()
    fastgru.set_num_threads(n)
    with pytest.MonkeyPatch.context() as patch:
        for module in (sharing, dense, embedding):
            patch.setattr(module, "_SMALLEST_PARALLEL", 0)
        patch.setattr(sharing.ThreadTrials, "wanted", lambda trials: True)
        if in_teams:
            patch.setattr(sharing, "_SMALLEST_SHARE", 1)
            patch.setattr(sharing, "_HEAVIEST_SEQUENCE", 0)
            patch.setattr(sharing, "_PATIENCE_PER_TERM", 0.2)
        try:
            yield
        finally:
            fastgru.set_num_threads(before)


@contextmanager
def poisoned_memory():
    """Run a block in which memory that nobody has written to holds NaN."""

    def poison(allocate):
        def allocate_poisoned(*arguments, **options):
            array = allocate(*arguments, **options)
            if array.dtype.kind == "f":
                array.fill(np.nan)
            return array

        return allocate_poisoned

    with pytest.MonkeyPatch.context() as patch:
        for module, name in [(_buffers, "empty"), (np, "empty"), (np, "empty_like")]:
            patch.setattr(module, name, poison(getattr(module, name)))
        yield


@contextmanager
def about(what):
    """Say what it was about when the block fails; for tests that run over many."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error


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
