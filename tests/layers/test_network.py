"""The network: its outputs, its loss and the gradients of all its parameters."""

import pickle

import numpy as np
import pytest

import fastgru
from cases import BOTH_CELLS, BOTH_DTYPES, num_threads
from fastgru.layers.network import Network
from fastgru.training.losses import CrossEntropy, SquaredError
from gradcheck import assert_gradients, central_differences
from tolerances import assert_close, assert_same_bits

NAMES = (
    "gru.weight_ih_l0",
    "gru.weight_hh_l0",
    "gru.bias_ih_l0",
    "gru.bias_hh_l0",
    "dense.weight",
    "dense.bias",
)


def make_network(sizes=(3, 5, 4), *, reset_after=True, dtype=np.float64, seed=0):
    """Make a network of (inputs, units, outputs) with random parameters."""
    random_state = np.random.RandomState(seed)
    return Network(
        *sizes, reset_after=reset_after, dtype=dtype, random_state=random_state
    )


def draw_sequences(rng, lengths, n_features, dtype=np.float64):
    """Draw sequences that stand one after the other; their values and lengths."""
    values = rng.standard_normal((sum(lengths), n_features)).astype(dtype)
    return values, np.array(lengths, np.int64)


def bind(loss, targets, weights=None):
    """Fix the targets and weights of a loss."""
    weights = np.ones(len(targets)) if weights is None else weights
    return lambda d_outputs, outputs: loss(d_outputs, outputs, targets, weights)


def outputs_by_hand(network, values, lengths):
    """Run `fastgru.GRU` on each sequence alone and multiply its last state."""
    parameters = network.parameters.copy_out()
    gru = fastgru.GRU(
        network.gru.input_size,
        network.gru.hidden_size,
        reset_after=network.gru.reset_after,
        dtype=network.parameters.dtype,
    )
    gru.load_state_dict(
        {name.removeprefix("gru."): parameters[name] for name in NAMES[:4]}
    )
    last = []
    for sequence in np.split(values, np.cumsum(lengths)[:-1]):
        _, h_n = gru(sequence)
        last.append(h_n[0])
    weight, bias = parameters["dense.weight"], parameters["dense.bias"]
    return np.array(last, np.float64) @ weight.T.astype(np.float64) + bias


# -- outputs --


def test_parameters_have_the_names_and_shapes_of_torchs_modules():
    parameters = make_network().parameters.copy_out()
    shapes = {name: array.shape for name, array in parameters.items()}
    assert tuple(shapes) == NAMES
    assert list(shapes.values()) == [(15, 3), (15, 5), (15,), (15,), (4, 5), (4,)]


@pytest.mark.parametrize(
    "lengths", [[6] * 5, [2, 6, 1, 6, 4]], ids=["full_length", "ragged"]
)
@BOTH_CELLS
@BOTH_DTYPES
def test_outputs_are_those_of_the_layer_and_a_product(dtype, reset_after, lengths, rng):
    network = make_network((3, 17, 4), reset_after=reset_after, dtype=dtype)
    values, lengths = draw_sequences(rng, lengths, 3, dtype)
    outputs = network.outputs(values, lengths, 1)
    expected = outputs_by_hand(network, values, lengths)
    assert_close("outputs", outputs, expected, dtype)


@BOTH_DTYPES
def test_a_sequence_alone_gives_its_bits_in_the_batch(dtype, rng):
    network = make_network((3, 17, 4), dtype=dtype)
    values, lengths = draw_sequences(rng, rng.integers(1, 9, 37), 3, dtype)
    outputs = network.outputs(values, lengths, 1)
    parts = np.split(values, np.cumsum(lengths)[:-1])
    for row, part in enumerate(parts):
        alone = network.outputs(part, lengths[row : row + 1], 1)
        assert_same_bits(f"outputs of {row}", alone, outputs[row : row + 1])


def test_parameters_count_after_pack(rng):
    network, other = make_network(seed=0), make_network(seed=1)
    values, lengths = draw_sequences(rng, [4, 2, 3], 3)
    before = network.outputs(values, lengths, 1)
    expected = other.outputs(values, lengths, 1)
    network.parameters.copy_in(other.parameters.copy_out())
    assert_same_bits("before pack", network.outputs(values, lengths, 1), before)
    network.pack()
    assert_same_bits("after pack", network.outputs(values, lengths, 1), expected)


@BOTH_CELLS
@BOTH_DTYPES
def test_a_pickle_gives_the_same_bits(dtype, reset_after, rng):
    network = make_network(reset_after=reset_after, dtype=dtype)
    values, lengths = draw_sequences(rng, [4, 2, 3], 3, dtype)
    copy = pickle.loads(pickle.dumps(network))
    assert copy.sizes == network.sizes
    assert_same_bits(
        "outputs",
        copy.outputs(values, lengths, 1),
        network.outputs(values, lengths, 1),
    )


# -- loss and gradients --


def problem(kind, rng):
    """Give a loss of 5 rows with unequal weights, and the sum of these."""
    weights = rng.uniform(0.5, 2, 5)
    if kind == "classification":
        return bind(CrossEntropy(), np.array([0, 3, 1, 2, 3]), weights), weights.sum()
    return bind(SquaredError(), rng.standard_normal((5, 4)), weights), weights.sum()


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize(
    "lengths", [[4] * 5, [2, 6, 1, 6, 4]], ids=["full_length", "ragged"]
)
@BOTH_CELLS
def test_gradients_agree_with_central_differences(reset_after, lengths, kind, rng):
    network = make_network(reset_after=reset_after)
    values, lengths = draw_sequences(rng, lengths, 3)
    loss, total = problem(kind, rng)

    def mean_loss(tensors):
        network.parameters.copy_in(tensors)
        network.pack()
        outputs = network.outputs(values, lengths, 1)
        return loss(np.empty_like(outputs), outputs) / total

    parameters = network.parameters.copy_out()
    gradients = network.parameters.like()
    gradients.flat[...] = np.nan  # all are to be written, and none added to
    network.loss_and_gradients(values, lengths, loss, gradients, 1)
    numeric = central_differences(mean_loss, parameters)
    assert_gradients(gradients.copy_out(), numeric)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_the_loss_is_that_of_the_outputs(kind, rng):
    network = make_network()
    values, lengths = draw_sequences(rng, [2, 6, 1, 6, 4], 3)
    loss, _ = problem(kind, rng)
    total = network.loss_and_gradients(
        values, lengths, loss, network.parameters.like(), 1
    )
    outputs = network.outputs(values, lengths, 1)
    assert total == loss(np.empty_like(outputs), outputs)


@pytest.mark.parametrize("ragged", [False, True], ids=["full_length", "ragged"])
@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_bits_of_one(dtype, reset_after, ragged, rng):
    network = make_network((13, 50, 10), reset_after=reset_after, dtype=dtype)
    lengths = rng.integers(1, 20, 60) if ragged else [12] * 60
    values, lengths = draw_sequences(rng, lengths, 13, dtype)
    loss = bind(CrossEntropy(), rng.integers(0, 10, 60))
    results = []
    for n_threads in (1, 2):
        gradients = network.parameters.like()
        with num_threads(n_threads):
            total = network.loss_and_gradients(
                values, lengths, loss, gradients, n_threads
            )
            outputs = network.outputs(values, lengths, n_threads)
        results.append((total, gradients.flat, outputs))
    (total, flat, outputs), (total_2, flat_2, outputs_2) = results
    assert total_2 == total
    assert_same_bits("gradients", flat_2, flat)
    assert_same_bits("outputs", outputs_2, outputs)


# -- first parameters --


def test_first_parameters_are_uniform_within_torchs_bound():
    network = make_network((40, 50, 20), dtype=np.float32)
    bound = 1 / np.sqrt(50)
    for name, array in network.parameters.copy_out().items():
        assert 0.8 * bound < np.abs(array).max() <= bound * (1 + 1e-6), name
        # A uniform draw's mean is off zero by bound / sqrt(3 * size), give or take.
        assert abs(array.mean()) < 4 * bound / np.sqrt(3 * array.size), name


def test_the_seed_decides_the_first_parameters():
    first, second, other = (make_network(seed=s).parameters.flat for s in (0, 0, 1))
    assert_same_bits("parameters", second, first)
    assert not np.array_equal(other, first)


def test_without_random_state_all_parameters_are_zero():
    network = Network(3, 5, 4, reset_after=True, dtype=np.float64)
    assert not network.parameters.flat.any()
