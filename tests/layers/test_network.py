"""Networks: layers one after the other, their outputs and gradients.

What they refuse, and their parameters, are in test_network_arguments.py.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgru
from cases import BOTH_DTYPES, about, num_threads, poisoned_memory
from fastgru.layers.masks import check_masks
from gradcheck import assert_gradients, central_differences, check_network
from networks import (
    EACH_NETWORK,
    LAYERS,
    WITH_DROPOUT,
    draw_inputs,
    make_network,
    outputs_by_hand,
    pools,
)
from tolerances import assert_close, assert_same_bits

EACH_LENGTHS = pytest.mark.parametrize(
    "lengths", [None, (4, 0, 2), (3, 3, 3)], ids=["full_length", "ragged", "padded"]
)


def draw_cotangent(outputs, seed=9):
    """Draw a gradient of outputs."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(outputs.shape).astype(outputs.dtype)


def run_network(network, x, lengths=None, d_outputs=None, **options):
    """Give outputs and gradients by name; a cotangent is drawn if none is given."""
    outputs, pullback = network.vjp(x, lengths, **options)
    if d_outputs is None:
        d_outputs = draw_cotangent(outputs)
    grads = pullback(d_outputs)
    results = {"outputs": outputs, **grads.parameters}
    return results if grads.x is None else results | {"d_x": grads.x}


def assert_same(actual, expected):
    """Compare two dicts of results bit for bit."""
    assert set(actual) == set(expected)
    for name in actual:
        assert_same_bits(name, actual[name], expected[name])


def of_sequences(kind, results, choose):
    """Choose sequences of the outputs and, without tokens, of d_x; time-major."""
    outputs = results["outputs"]
    chosen = {"outputs": outputs[choose] if pools(kind) else outputs[:, choose]}
    if "d_x" in results:
        chosen["d_x"] = results["d_x"][:, choose]
    return chosen


# -- right --


@EACH_NETWORK
@EACH_LENGTHS
@BOTH_DTYPES
def test_outputs_are_those_of_the_layers(kind, lengths, dtype):
    network = make_network(kind, dtype=dtype)
    x = draw_inputs(kind, 4, 3, dtype=dtype)
    expected = outputs_by_hand(network, x, lengths)
    assert expected.shape == ((3,) if pools(kind) else (4, 3)) + (network.output_size,)
    outputs = network(x, lengths)
    assert_close("outputs", outputs, expected, dtype)
    recorded, _ = network.vjp(x, lengths)
    assert_same_bits("outputs of vjp", recorded, outputs)


@EACH_NETWORK
@EACH_LENGTHS
def test_gradients_agree_with_central_differences(kind, lengths):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    check_network(network, x, draw_cotangent(network(x)), lengths)


@pytest.mark.parametrize("kind", WITH_DROPOUT)
@EACH_LENGTHS
def test_gradients_under_dropout_agree_with_central_differences(kind, lengths):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    d_outputs = draw_cotangent(network(x))
    check_network(network, x, d_outputs, lengths, dropout_seed=5)


@EACH_NETWORK
def test_steps_past_the_end_are_zero_and_do_not_count(kind):
    lengths = np.array([4, 0, 2, 3, 1])
    network, x = make_network(kind), draw_inputs(kind, 6, 5)
    past = np.arange(6)[:, np.newaxis] >= lengths
    expected = run_network(network, x, lengths)
    d_outputs = draw_cotangent(expected["outputs"])
    x[past] = -99 if x.dtype.kind == "i" else np.nan
    if not pools(kind):
        d_outputs[past] = np.nan
        assert not expected["outputs"][past].any()
    assert_same(run_network(network, x, lengths, d_outputs), expected)
    if "d_x" in expected:
        assert not expected["d_x"][past].any()
    if "embedding.weight" in expected:
        assert np.isfinite(expected["embedding.weight"]).all()


@EACH_NETWORK
def test_sequences_of_no_steps(kind):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    results = run_network(network, x, [0, 0, 0])
    expected = outputs_by_hand(network, x, [0, 0, 0])
    assert_close("outputs", results["outputs"], expected, np.float64)
    for name, array in results.items():
        assert np.isfinite(array).all(), name
    assert not results.get("d_x", np.zeros(1)).any()


@EACH_NETWORK
@pytest.mark.parametrize("lengths", [None, []])
def test_a_batch_of_no_sequences(kind, lengths):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)[:, :0]
    results = run_network(network, x, lengths)
    leading = (0,) if pools(kind) else (4, 0)
    outputs = results.pop("outputs")
    assert outputs.shape == (*leading, network.output_size)
    assert network(x, lengths).shape == outputs.shape
    for name, gradient in results.items():
        assert not gradient.any(), name


@EACH_NETWORK
def test_a_dropout_layer_at_the_end_changes_no_outputs(kind):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    longer = fastgru.Network([*network.layers, fastgru.Dropout(0.5)])
    assert_same_bits("outputs", longer(x), network(x))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_dropout_layer_before_pooling_changes_no_outputs(bidirectional):
    gru = fastgru.GRU(3, 4, bidirectional=bidirectional, random_state=0)
    pooling = fastgru.Pooling("last")
    x = draw_inputs("gru", 4, 3, dtype=np.float32)
    expected = fastgru.Network([gru, pooling])(x, [4, 0, 2])
    longer = fastgru.Network([gru, fastgru.Dropout(0.5), pooling])
    assert_same_bits("outputs", longer(x, [4, 0, 2]), expected)
    # Which of the two comes first makes no difference: masks hold for all steps.
    outputs, _ = longer.vjp(x, [4, 0, 2], dropout_seed=3)
    kept = outputs != 0
    assert_same_bits("kept", outputs[kept], 2 * expected[kept])
    assert not kept[[0, 2]].all()


# -- dropout --


@pytest.mark.parametrize("kind", WITH_DROPOUT)
def test_dropout_acts_with_a_seed_only(kind):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    plain = run_network(network, x)
    assert_same_bits("outputs", network(x), plain["outputs"])
    assert_same(run_network(network, x, sequence_ids=[5, 6, 7]), plain)
    seeded = [run_network(network, x, dropout_seed=seed) for seed in (3, 3, 4)]
    assert_same(seeded[1], seeded[0])
    outputs = [results["outputs"] for results in (plain, seeded[0], seeded[2])]
    assert not np.array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[1], outputs[2])


def test_two_dropout_layers_drop_independently():
    table = fastgru.Embedding(1, 1000, random_state=0)
    halves = [fastgru.Dropout(0.5), fastgru.Dropout(0.5)]
    network = fastgru.Network([table, *halves])
    outputs, _ = network.vjp(np.zeros((1, 50), int), dropout_seed=1)
    assert abs(np.mean(outputs != 0) - 0.25) < 0.01


# -- the same bits --


@given(
    kind=st.sampled_from(list(LAYERS)),
    dtype=st.sampled_from([np.float32, np.float64]),
    T=st.integers(1, 7),
    B=st.integers(1, 20),
    seed=st.none() | st.integers(0, 2**64 - 1),
    has_lengths=st.booleans(),
    data=st.data(),
)
def test_a_sequence_does_not_depend_on_its_batch(
    kind, dtype, T, B, seed, has_lengths, data
):
    network, x = make_network(kind, dtype=dtype), draw_inputs(kind, T, B, dtype=dtype)
    lengths = np.full(B, T)
    if has_lengths:
        drawn = st.lists(st.integers(0, T), min_size=B, max_size=B)
        lengths = np.array(data.draw(drawn))
    chosen = data.draw(st.lists(st.integers(0, B - 1), min_size=1, max_size=B))
    ids = np.arange(B) * 3 - 5
    whole = run_network(network, x, lengths, dropout_seed=seed, sequence_ids=ids)
    d_part = draw_cotangent(whole["outputs"])
    d_part = d_part[chosen] if pools(kind) else d_part[:, chosen]
    part = run_network(
        network,
        x[:, chosen],
        lengths[chosen],
        d_part,
        dropout_seed=seed,
        sequence_ids=ids[chosen],
    )
    found = of_sequences(kind, part, slice(None))
    assert_same(found, of_sequences(kind, whole, chosen))


@EACH_NETWORK
@EACH_LENGTHS
@BOTH_DTYPES
def test_batch_first_gives_the_same_bits(kind, lengths, dtype):
    network, x = make_network(kind, dtype=dtype), draw_inputs(kind, 4, 3, dtype=dtype)
    expected = run_network(network, x, lengths, dropout_seed=1)
    d_outputs = draw_cotangent(expected["outputs"])
    twin = make_network(kind, dtype=dtype, batch_first=True)
    if not pools(kind):
        d_outputs = d_outputs.swapaxes(0, 1)
    for turned in (x.swapaxes(0, 1), np.ascontiguousarray(x.swapaxes(0, 1))):
        results = run_network(twin, turned, lengths, d_outputs, dropout_seed=1)
        if "d_x" in results:
            d_x = results["d_x"].swapaxes(0, 1)
            assert_same_bits("d_x", d_x, expected["d_x"])
        outputs = results["outputs"]
        if not pools(kind):
            outputs = outputs.swapaxes(0, 1)
        assert_same_bits("outputs", outputs, expected["outputs"])
        for name in network.state_dict():
            # Other layers than a GRU add their rows up in the order of memory.
            assert_close(name, results[name], expected[name], dtype)


@EACH_NETWORK
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("length", [None, 0, 2])
def test_one_sequence_without_batch_axis_gives_the_same_bits(kind, batch_first, length):
    network, x = make_network(kind), draw_inputs(kind, 4, 1)
    lengths = None if length is None else [length]
    expected = run_network(network, x, lengths, dropout_seed=1)
    d_outputs = draw_cotangent(expected["outputs"])
    for name in of_sequences(kind, expected, 0):
        expected[name] = of_sequences(kind, expected, 0)[name]
    d_outputs = d_outputs[0] if pools(kind) else d_outputs[:, 0]
    alone = make_network(kind, batch_first=batch_first)
    results = run_network(alone, x[:, 0], lengths, d_outputs, dropout_seed=1)
    assert_same(results, expected)


@EACH_NETWORK
@EACH_LENGTHS
@BOTH_DTYPES
@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_bits_of_one(kind, lengths, dtype):
    network = make_network(kind, dtype=dtype)
    x = draw_inputs(kind, 4, 30, dtype=dtype)
    lengths = None if lengths is None else np.resize(lengths, 30)
    results = []
    for n in (1, 2):
        with num_threads(n):
            results.append(run_network(network, x, lengths, dropout_seed=1))
            results[-1]["call"] = network(x, lengths)
    assert_same(*results)


@EACH_NETWORK
@pytest.mark.parametrize("lengths", [None, (4, 0, 2), (0, 0, 0), ()], ids=str)
def test_all_memory_is_written_before_it_is_read(kind, lengths):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    x = x if lengths is None else x[:, : len(lengths)]
    expected = run_network(network, x, lengths, dropout_seed=1)
    with poisoned_memory():
        assert_same(run_network(network, x, lengths, dropout_seed=1), expected)
        outputs = network(x, lengths)
    assert_same_bits("outputs", outputs, network(x, lengths))
    assert np.isfinite(outputs).all()


@EACH_NETWORK
@EACH_LENGTHS
def test_changing_arrays_after_vjp_does_not_change_gradients(kind, lengths):
    network, x = make_network(kind), draw_inputs(kind, 4, 3)
    expected = run_network(network, x, lengths)
    changed, given_lengths = x.copy(), None if lengths is None else np.array(lengths)
    outputs, pullback = network.vjp(changed, given_lengths)
    d_outputs = draw_cotangent(outputs)
    before = d_outputs.copy()
    for array in (changed, outputs, given_lengths):
        if array is not None and array.flags.writeable:
            array[...] = 1
    grads = pullback(d_outputs)
    assert_same_bits("d_outputs", d_outputs, before)
    for name, gradient in grads.parameters.items():
        assert_same_bits(name, gradient, expected[name])
    if grads.x is not None:
        assert_same_bits("d_x", grads.x, expected["d_x"])


# -- sequences one after the other, as training hands them over --


def concatenate(x, lengths):
    """Put time-major sequences behind each other, without what is past their ends."""
    return np.concatenate([x[:length, b] for b, length in enumerate(lengths)])


@EACH_NETWORK
@pytest.mark.parametrize("lengths", [(4, 4, 4), (4, 0, 2)], ids=str)
@pytest.mark.parametrize("seed", [None, 3])
def test_the_loss_and_its_gradients_are_those_of_vjp(kind, lengths, seed):
    network, x = make_network(kind, batch_first=True), draw_inputs(kind, 4, 3)
    expected = run_network(network, x.swapaxes(0, 1).copy(), lengths, dropout_seed=seed)
    expected.pop("d_x", None)
    d_expected = draw_cotangent(expected["outputs"])
    if not pools(kind):
        outputs = expected["outputs"].swapaxes(0, 1)
        expected["outputs"] = concatenate(outputs, lengths)
        d_expected = concatenate(d_expected.swapaxes(0, 1), lengths)

    def loss(d_outputs, outputs):
        assert_same_bits("outputs", outputs, expected["outputs"])
        d_outputs[...] = d_expected
        return 1.25

    values, lengths = concatenate(x, lengths), np.array(lengths)
    if seed is None:
        outputs = network.outputs(values, lengths, 1)
        assert_same_bits("outputs", outputs, expected["outputs"])
    gradients = network._parameters.like()
    gradients.flat[...] = np.nan  # all are to be written, and none added to
    masks = check_masks(seed, None, 3)
    total = network.loss_and_gradients(values, lengths, loss, gradients, 1, masks)
    assert total == 1.25
    assert_same({"outputs": expected["outputs"], **gradients}, expected)


def test_gradients_of_a_loss_agree_with_central_differences():
    network, x = make_network("last"), draw_inputs("last", 4, 3)
    targets = draw_cotangent(network(x))

    def loss(d_outputs, outputs):
        d_outputs[...] = outputs - targets
        return float(np.sum((outputs - targets) ** 2) / 2)

    values, lengths = concatenate(x, [4, 1, 3]), np.array([4, 1, 3])

    def total(tensors):
        network.load_state_dict(tensors)
        outputs = network.outputs(values, lengths, 1)
        return loss(np.empty_like(outputs), outputs)

    gradients, state = network._parameters.like(), network.state_dict()
    network.loss_and_gradients(values, lengths, loss, gradients, 1)
    with about("loss"):
        assert_gradients(dict(gradients), central_differences(total, state))


# -- sequences in parts --

IN_PARTS = [
    kind
    for kind, layers in LAYERS.items()
    if not pools(kind) and "bidirectional" not in str(layers)
]


@pytest.mark.parametrize("kind", IN_PARTS)
def test_parts_of_sequences_with_carried_states_are_the_whole(kind, rng):
    network = make_network(kind)
    x = np.ascontiguousarray(draw_inputs(kind, 9, 4).swapaxes(0, 1))
    lengths = np.full(4, 9)
    whole = network.outputs(np.concatenate(x), lengths, 1).reshape(4, 9, -1)
    states = network.zero_states(4)
    for begin, end in ((0, 1), (1, 4), (4, 9)):
        part, n = np.concatenate(x[:, begin:end]), np.full(4, end - begin)
        outputs = network.outputs(part, n, 1, states).reshape(4, end - begin, -1)
        assert_same_bits("outputs", outputs, whole[:, begin:end])
    # A sequence without steps in a part keeps its states.
    before = {name: array.copy() for name, array in states.items()}
    network.outputs(x[0, :2], np.array([2, 0, 0, 0]), 1, states)
    for name, array in states.items():
        assert_same_bits("kept", array[:, 1:], before[name][:, 1:])
        assert not (array[:, 0] == before[name][:, 0]).all()


@pytest.mark.parametrize("kind", ["tokens by step", "one-hot by step"])
def test_gradients_of_a_part_are_those_for_given_first_states(kind, rng):
    network = make_network(kind)
    x = draw_inputs(kind, 6, 3).T
    parts = [(np.concatenate(x[:, :2]), 2), (np.concatenate(x[:, 2:]), 4)]
    states = network.zero_states(3)
    network.outputs(parts[0][0], np.full(3, 2), 1, states)
    first = {name: array.copy() for name, array in states.items()}
    cotangent = rng.standard_normal((12, 7))

    def loss(d_outputs, outputs):
        d_outputs[...] = cotangent
        return float(np.sum(outputs * cotangent))

    def run(states, gradients):
        values, n = parts[1]
        lengths = np.full(3, n)
        return network.loss_and_gradients(
            values, lengths, loss, gradients, 1, None, states
        )

    gradients, scratch = network._parameters.like(), network._parameters.like()
    run(states, gradients)
    after = network.zero_states(3)
    network.outputs(np.concatenate(x), np.full(3, 6), 1, after)
    for name, array in after.items():
        assert_same_bits("last states", states[name], array)

    def value(state_dict):
        network.load_state_dict(state_dict)
        return run({name: array.copy() for name, array in first.items()}, scratch)

    state_dict = network.state_dict()
    numeric = central_differences(value, state_dict)
    assert_gradients({name: gradients[name] for name in gradients}, numeric)


@pytest.mark.parametrize("kind", ["stack", "last", "max", "attention"])
def test_what_needs_whole_sequences_has_no_states_to_carry(kind):
    with pytest.raises(ValueError, match="needs whole sequences"):
        make_network(kind).zero_states(2)
