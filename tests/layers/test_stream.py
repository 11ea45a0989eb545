"""A network fed step by step: the bits of the network on the steps so far."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cases import num_threads, poisoned_memory
from fastgru import GRU, Dense, Dropout, Embedding, Network, Pooling
from messages import value_name, words
from networks import draw_inputs, make_network, pools
from tolerances import assert_same_bits

# Those of one direction, not pooled or pooled to the last step.
EACH_NETWORK = pytest.mark.parametrize(
    "kind", ["gru", "dense", "last of steps", "deep", "embedding", "tokens by step"]
)
BATCH_SIZES = [None, 1, 3, 17]


def draw_steps(kind, T, batch_size, dtype=np.float64):
    """Draw steps of ``batch_size`` sequences, or of one without an axis for it."""
    x = draw_inputs(kind, T, batch_size or 1, dtype=dtype)
    return x[:, 0] if batch_size is None else x


def assert_streams(stream, network, kind, x):
    """Feed steps to a stream that knows none and compare its outputs."""
    whole = network(x)
    for t, x_t in enumerate(x):
        outputs = stream.step(x_t)
        expected = network(x[: t + 1]) if pools(kind) else whole[t]
        assert_same_bits(f"outputs at {t}", outputs, np.asarray(expected))


@EACH_NETWORK
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_steps_give_the_bits_of_the_network(kind, batch_size, batch_first, dtype):
    x = draw_steps(kind, 6, batch_size, dtype)
    network = make_network(kind, dtype=dtype)
    stream = make_network(kind, dtype=dtype, batch_first=batch_first).stream(batch_size)
    assert_streams(stream, network, kind, x)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    num_layers=st.integers(1, 3),
    reset_after=st.booleans(),
    batch_size=st.sampled_from(BATCH_SIZES),
    n_steps=st.integers(1, 6),
)
def test_steps_give_the_bits_of_any_network(
    sizes, num_layers, reset_after, batch_size, n_steps
):
    options = {"num_layers": num_layers, "reset_after": reset_after, "random_state": 0}
    layers = [GRU(*pair, **options) for pair in zip(sizes, sizes[1:], strict=False)]
    network = Network([*layers, Dense(sizes[-1], 3, random_state=0)])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n_steps, batch_size or 1, sizes[0])).astype(np.float32)
    x = x[:, 0] if batch_size is None else x
    assert_streams(network.stream(batch_size), network, "gru", x)


@pytest.mark.parametrize("how", ["last", "mean", "max"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("reset_after", [True, False])
def test_pooling_gives_the_bits_of_the_steps_so_far(
    how, batch_size, dtype, reset_after
):
    common = {"dtype": dtype, "random_state": 0}
    layers = [
        GRU(3, 5, 2, reset_after=reset_after, **common),
        Dropout(0.5),
        Dense(5, 4, activation="tanh", **common),
        GRU(4, 9, reset_after=reset_after, **common),
        Pooling(how),
        Dense(9, 2, **common),
    ]
    network = Network(layers)
    rng = np.random.default_rng(1)
    x = rng.standard_normal((7, batch_size or 1, 3)).astype(dtype)
    x = x[:, 0] if batch_size is None else x
    stream = network.stream(batch_size)
    for _ in range(2):
        for t, x_t in enumerate(x):
            expected = network(x[: t + 1])
            assert_same_bits(f"outputs at {t}", stream.step(x_t), np.asarray(expected))
        stream.reset()


@pytest.mark.parametrize("last", [[], [Dense(5, 4)], [Pooling("max"), Dense(5, 4)]])
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_what_a_step_returned_stays(last, batch_size):
    stream = Network([GRU(3, 5, random_state=0), *last]).stream(batch_size)
    shape = (3,) if batch_size is None else (batch_size, 3)
    first = stream.step(np.ones(shape, np.float32))
    before = first.copy()
    stream.step(np.zeros(shape, np.float32))
    assert_same_bits("the first step's", first, before)


@pytest.mark.parametrize("how", [None, "mean", "max"])
def test_a_masked_reset_begins_some_sequences_anew(how):
    layers = [GRU(3, 5, 2, random_state=0), *([Pooling(how)] if how else [])]
    network = Network(layers)
    x = np.random.default_rng(0).standard_normal((6, 3, 3)).astype(np.float32)
    stream, fresh = network.stream(3), network.stream(3)
    for x_t in x[:3]:
        stream.step(x_t)
    kept = network.stream(3)
    kept.state = stream.state
    stream.reset([True, False, True])
    for x_t in x[3:]:
        outputs = stream.step(x_t)
        assert_same_bits("anew", outputs[::2], fresh.step(x_t)[::2])
        assert_same_bits("going on", outputs[1], kept.step(x_t)[1])


@pytest.mark.parametrize("mask", [[True], [1, 0, 1], [[True] * 3]], ids=str)
def test_a_wrong_mask_is_refused(mask):
    with pytest.raises(ValueError, match="mask must be bool of shape"):
        make_network("gru").stream(3).reset(mask)


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("how", ["last", "mean", "max"])
def test_a_state_can_be_kept_and_set(how, batch_size):
    network = Network([GRU(3, 5, 2, random_state=0), Pooling(how)])
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, batch_size or 1, 3)).astype(np.float32)
    x = x[:, 0] if batch_size is None else x
    stream, other = network.stream(batch_size), network.stream(batch_size)
    for x_t in x[:3]:
        stream.step(x_t)
    kept = stream.state
    shape = (2, 5) if batch_size is None else (2, 3, 5)
    assert kept["0"].shape == shape
    other.step(x[5])
    for x_t in x[3:]:
        stream.step(x_t)  # changes nothing that was kept
    other.state = kept
    again = network.stream(batch_size)
    for x_t in x[:3]:
        again.step(x_t)
    for x_t in x[3:]:
        assert_same_bits("outputs", other.step(x_t), again.step(x_t))
    with pytest.raises(ValueError, match="state must hold"):
        stream.state = {"1": kept["0"]}
    with pytest.raises(ValueError, match="state '0' must have shape"):
        stream.state = kept | {"0": kept["0"][:1]}


@EACH_NETWORK
def test_reset_begins_anew(kind):
    network, x = make_network(kind), draw_steps(kind, 4, 3)
    stream = network.stream(3)
    for x_t in x[::-1]:
        stream.step(x_t)
    stream.reset()
    assert_streams(stream, network, kind, x)
    stream.reset()
    stream.reset()
    assert_streams(stream, network, kind, x)


def test_streams_of_one_network_are_independent():
    network, x = make_network("deep"), draw_steps("deep", 4, 3)
    expected = [network(x[: t + 1]) for t in range(4)]
    streams = [network.stream(3), network.stream(3)]
    streams[0].step(x[0])
    for t in range(4):
        if t > 0:
            assert_same_bits("first", streams[0].step(x[t]), expected[t])
        assert_same_bits("second", streams[1].step(x[t]), expected[t])


def test_what_a_step_returned_stays_and_may_be_overwritten():
    for kind in ("gru", "deep", "dense"):
        network, x = make_network(kind), draw_steps(kind, 4, 3)
        stream, returned = network.stream(3), []
        for x_t in x:
            outputs = stream.step(x_t)
            returned.append((outputs, outputs.copy()))
        for outputs, copy in returned:
            assert_same_bits("outputs", outputs, copy)
        stream.reset()
        for t, x_t in enumerate(x):
            changing = x_t.copy()
            outputs = stream.step(changing)
            assert_same_bits(f"outputs at {t}", outputs, returned[t][1])
            outputs[...] = changing[...] = np.nan


def test_new_weights_count_from_the_next_step():
    network, x = make_network("gru"), draw_steps("gru", 2, None)
    other = make_network("gru", seed=1)
    stream = network.stream()
    first = stream.step(x[0])
    network.load_state_dict(other.state_dict())
    _, h_n = other.layers[0](x[1:], first[np.newaxis])
    assert_same_bits("outputs", stream.step(x[1]), h_n[0])


@pytest.mark.usefixtures("two_threads")
def test_threads_do_not_matter():
    network, x = make_network("deep"), draw_steps("deep", 4, 17)
    for n in (1, 2):
        with num_threads(n):
            assert_streams(network.stream(17), network, "deep", x)


def test_all_memory_is_written_before_it_is_read():
    network, x = make_network("deep"), draw_steps("deep", 4, 17)
    with poisoned_memory():
        assert_streams(network.stream(17), network, "deep", x)


# -- what is refused --


@pytest.mark.parametrize("kind", ["stack", "tokens"])
def test_a_network_that_reads_from_the_end_is_refused(kind):
    with pytest.raises(ValueError, match="steps to come.*bidirectional=True"):
        make_network(kind).stream()


def test_attention_is_refused():
    network = Network([GRU(3, 4), Pooling("attention", n_features=4)])
    with pytest.raises(ValueError, match="a stream forgets the steps"):
        network.stream()


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_below_one_is_refused(batch_size):
    with pytest.raises(ValueError, match=words("batch_size", f"got {batch_size}")):
        make_network("gru").stream(batch_size)


@pytest.mark.parametrize("batch_size", [True, 1.0, "3", (3,)], ids=repr)
def test_a_batch_size_that_is_no_whole_number_is_refused(batch_size):
    with pytest.raises(TypeError, match=words("batch_size", repr(batch_size))):
        make_network("gru").stream(batch_size)


def assert_step_is_refused(kind, batch_size, wrong, error, message):
    """Check that a step is refused in the middle and changes no state."""
    network, x = make_network(kind), draw_steps(kind, 4, batch_size)
    stream = network.stream(batch_size)
    for t, x_t in enumerate(x):
        with pytest.raises(error, match=message):
            stream.step(wrong)
        expected = network(x[: t + 1])
        if not pools(kind):
            expected = expected[-1]
        assert_same_bits(f"outputs at {t}", stream.step(x_t), np.asarray(expected))


@pytest.mark.parametrize(
    "shape", [(), (3,), (2, 3), (3, 4), (3, 2), (1, 3, 3)], ids=str
)
def test_a_step_of_a_wrong_shape_is_refused_and_changes_nothing(shape):
    message = words("x_t", (3, 3), shape)
    assert_step_is_refused("deep", 3, np.zeros(shape), ValueError, message)


@pytest.mark.parametrize("shape", [(), (4,), (1, 3)], ids=str)
def test_a_step_without_batch_axis_has_none(shape):
    message = words("x_t", (3,), shape)
    assert_step_is_refused("gru", None, np.zeros(shape), ValueError, message)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_a_step_of_another_dtype_is_refused_and_changes_nothing(dtype):
    message = words("x_t", "float64", dtype)
    assert_step_is_refused("deep", 3, np.zeros((3, 3), dtype), ValueError, message)


@pytest.mark.parametrize("wrong", [None, "text", object()], ids=value_name)
def test_a_step_that_holds_no_numbers_is_refused_and_changes_nothing(wrong):
    assert_step_is_refused("deep", 3, wrong, TypeError, "x_t")


@pytest.mark.parametrize(
    ("wrong", "error", "parts"),
    [
        (np.zeros(3), TypeError, ["x_t", "tokens", "float64"]),
        (np.zeros(2, int), ValueError, ["x_t", (3,), (2,)]),
        (np.zeros((1, 3), int), ValueError, ["x_t", (3,), (1, 3)]),
        (np.array([0, 7, 0]), ValueError, ["0 to 6", 7]),
        (np.array([0, 0, -1]), ValueError, ["0 to 6", -1]),
    ],
    ids=str,
)
def test_wrong_tokens_are_refused_and_change_nothing(wrong, error, parts):
    assert_step_is_refused("tokens by step", 3, wrong, error, words(*parts))


def test_a_single_token_needs_no_axis():
    network = Network([Embedding(7, 3, random_state=0), GRU(3, 4, random_state=0)])
    stream = network.stream()
    expected = network(np.array([2, 5]))
    assert_same_bits("outputs", stream.step(2), expected[0])
    assert_same_bits("outputs", stream.step(np.int8(5)), expected[1])
    with pytest.raises(ValueError, match=words("x_t", (), (1,))):
        stream.step([3])
