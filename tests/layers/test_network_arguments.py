"""What a network takes and refuses, and its parameters."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

import fastgru
from fastgru import GRU, Dense, Dropout, Embedding, GRUCell, Network, Pooling
from messages import words
from networks import EACH_NETWORK, LAYERS, draw_inputs, make_network, pools
from states import EACH_WRONG_STATE, assert_refused
from tolerances import assert_same_bits


@pytest.fixture
def network():
    """Give a network of 3 features and 2 outputs for each step."""
    return make_network("stack")


@pytest.fixture
def tokens():
    """Give a network of 7 tokens and 3 outputs for each sequence."""
    return make_network("tokens")


def run(network, kind):
    """Give outputs and gradients by name."""
    x = draw_inputs(kind, 4, 3, dtype=network.dtype)
    outputs, pullback = network.vjp(x, [4, 0, 2])
    return {"outputs": outputs, **pullback(np.ones_like(outputs)).parameters}


# -- layers --


def test_layers_of_any_iterable_are_taken():
    layers = [GRU(3, 4, random_state=0), Dense(4, 2, random_state=0)]
    expected = Network(layers).state_dict()
    for given in (tuple(layers), iter(layers), (layer for layer in layers)):
        network = Network(given)
        assert isinstance(network.layers, tuple)
        assert [type(layer) for layer in network.layers] == [GRU, Dense]
        for name, w in network.state_dict().items():
            assert_same_bits(name, w, expected[name])


@pytest.mark.parametrize("layers", [GRU(3, 4), None, 3, "GRU", {"a": GRU(3, 4)}])
def test_what_is_no_sequence_of_layers_is_refused(layers):
    name = type(layers).__name__
    with pytest.raises(TypeError, match=f"layers must be a sequence .* got {name}"):
        Network(layers)


@pytest.mark.parametrize(
    "layer", [None, "GRU", GRU, 4, np.zeros(3), GRUCell(4, 4), [Dense(4, 2)]], ids=str
)
def test_what_is_no_layer_is_refused_by_its_number(layer):
    name = type(layer).__name__
    with pytest.raises(TypeError, match=words("layer 1", f"got {name}")):
        Network([GRU(3, 4), layer])


def test_no_layers_are_refused():
    with pytest.raises(ValueError, match="at least one layer, got none"):
        Network([])


@pytest.mark.parametrize("batch_first", [0, 1, None, "True"], ids=repr)
def test_a_flag_that_is_no_bool_is_refused(batch_first):
    with pytest.raises(TypeError, match=words("batch_first", repr(batch_first))):
        Network([GRU(3, 4)], batch_first=batch_first)


@pytest.mark.parametrize("first", [Pooling(), Pooling("mean"), Dropout(0.5)], ids=repr)
def test_a_first_layer_that_does_not_say_what_it_reads_is_refused(first):
    with pytest.raises(
        ValueError, match=f"first layer must say.*{type(first).__name__}"
    ):
        Network([first, Dense(4, 2)])


@pytest.mark.parametrize(
    ("layers", "number", "parts"),
    [
        ([GRU(3, 4), Dense(5, 2)], 1, ["Dense", 5, 4]),
        ([GRU(3, 4), GRU(3, 4)], 1, ["GRU", 3, 4]),
        ([GRU(3, 4, bidirectional=True), Dense(4, 2)], 1, ["Dense", 4, 8]),
        ([Embedding(7, 5), GRU(4, 4)], 1, ["GRU", 4, 5]),
        ([GRU(3, 4), Embedding(7, 5)], 1, ["Embedding", "tokens"]),
        ([Embedding(7, 5), Embedding(7, 5)], 1, ["Embedding", "tokens"]),
        ([GRU(3, 4), Pooling(), GRU(4, 4)], 2, ["GRU", "one row per sequence"]),
        ([GRU(3, 4), Pooling(), Pooling()], 2, ["Pooling", "one row per sequence"]),
        ([GRU(3, 4), Pooling(n_features=5)], 1, ["Pooling", 5, 4]),
        (
            [GRU(3, 4), Pooling("attention", n_features=3)],
            1,
            ["Pooling", "attention", 3, 4],
        ),
        (
            [GRU(3, 4), Dense(4, 2), Dense(2, 2, dtype="float64")],
            2,
            ["Dense", "float32", "float64"],
        ),
        ([GRU(3, 4, batch_first=True)], 0, ["GRU", "batch_first"]),
        ([Embedding(7, 3), GRU(3, 4, dtype="float64")], 1, ["float32", "float64"]),
    ],
    ids=str,
)
def test_a_layer_that_does_not_fit_is_named(layers, number, parts):
    with pytest.raises(ValueError, match=words(f"layer {number}", *parts)):
        Network(layers)


# -- parameters --


def test_names_and_shapes_are_those_of_torchs_sequential():
    torch = pytest.importorskip(
        "torch", reason="agreement with PyTorch: torch is not installed"
    )
    nn = torch.nn
    sequential = nn.Sequential(
        nn.Embedding(7, 5),
        nn.Dropout(0.5),
        nn.GRU(5, 4, 2, bidirectional=True),
        nn.GRU(8, 6, bias=False),
        nn.Identity(),
        nn.Linear(6, 3),
        nn.Linear(3, 2, bias=False),
    )
    network = Network(
        [
            Embedding(7, 5),
            Dropout(0.5),
            GRU(5, 4, 2, bidirectional=True),
            GRU(8, 6, bias=False),
            Pooling("mean"),
            Dense(6, 3),
            Dense(3, 2, bias=False),
        ]
    )
    expected = {name: w.numpy() for name, w in sequential.state_dict().items()}
    shapes = {name: w.shape for name, w in network.state_dict().items()}
    assert list(shapes.items()) == [(name, w.shape) for name, w in expected.items()]
    network.load_state_dict(expected)
    for name, w in network.state_dict().items():
        np.testing.assert_array_equal(w, expected[name])


def test_the_given_layers_stay_independent():
    gru, dense = GRU(3, 4, random_state=0), Dense(4, 2, random_state=0)
    before = gru.state_dict()
    network = Network([gru, dense])
    zeros = {name: np.zeros_like(w) for name, w in network.state_dict().items()}
    network.load_state_dict(zeros)
    for name, w in gru.state_dict().items():
        assert_same_bits(name, w, before[name])
    x = draw_inputs("gru", 4, 3, dtype=np.float32)
    assert np.any(gru(x)[0])
    assert not np.any(network(x))
    gru.load_state_dict({name: 2 * w for name, w in before.items()})
    assert not np.any(network(x))


def test_a_layer_given_twice_is_two_layers():
    gru = GRU(4, 4, random_state=0)
    network = Network([gru, gru])
    state = network.state_dict()
    network.load_state_dict(state | {"1.bias_ih_l0": np.ones(12, "f")})
    first, second = network.layers
    np.testing.assert_array_equal(second.state_dict()["bias_ih_l0"], 1)
    assert_same_bits("bias", first.state_dict()["bias_ih_l0"], state["0.bias_ih_l0"])


@EACH_NETWORK
def test_layers_share_their_parameters_with_the_network(kind):
    network, other = make_network(kind), make_network(kind, seed=1)
    expected = run(other, kind)
    for number, layer in enumerate(network.layers):
        layer.load_state_dict(other.layers[number].state_dict())
    for name, w in network.state_dict().items():
        assert_same_bits(name, w, other.state_dict()[name])
    for name, array in run(network, kind).items():
        assert_same_bits(name, array, expected[name])
    network.load_state_dict(make_network(kind).state_dict())
    for number, layer in enumerate(network.layers):
        for name, w in layer.state_dict().items():
            assert_same_bits(name, w, network.state_dict()[f"{number}.{name}"])


def test_a_copy_of_a_networks_layer_is_independent(network):
    gru = copy.deepcopy(network.layers[0])
    before = network.state_dict()
    gru.load_state_dict({name: 0 * w for name, w in gru.state_dict().items()})
    for name, w in network.state_dict().items():
        assert_same_bits(name, w, before[name])
    again = Network(network.layers)
    again.load_state_dict({name: 0 * w for name, w in before.items()})
    for name, w in network.state_dict().items():
        assert_same_bits(name, w, before[name])


def test_state_dict_gives_copies(network):
    before = network.state_dict()
    for w in network.state_dict().values():
        w[...] = 0
    for name, w in network.state_dict().items():
        assert_same_bits(name, w, before[name])


@EACH_WRONG_STATE
@pytest.mark.parametrize("kind", ["last", "tokens", "attention"])
def test_a_wrong_state_dict_is_refused_and_changes_nothing(kind, spoil):
    assert_refused(make_network(kind), spoil, lambda network: run(network, kind))


@EACH_NETWORK
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda network: pickle.loads(pickle.dumps(network)),
        lambda network: clone(network, safe=False),
    ],
    ids=["copy", "deepcopy", "pickle", "clone"],
)
def test_a_duplicate_gives_the_same_bits_and_is_independent(kind, duplicate, dtype):
    network = make_network(kind, dtype=dtype, batch_first=True)
    other = duplicate(network)
    assert repr(other) == repr(network)
    expected = run(make_network(kind, dtype=dtype), kind)
    x = draw_inputs(kind, 4, 3, dtype=dtype).swapaxes(0, 1)
    outputs = network(x, [4, 0, 2])
    assert_same_bits("outputs", other(x, [4, 0, 2]), outputs)
    if pools(kind):
        assert_same_bits("outputs", outputs, expected["outputs"])
    other.load_state_dict({name: 0 * w for name, w in other.state_dict().items()})
    assert_same_bits("outputs", network(x, [4, 0, 2]), outputs)


def test_repr_makes_a_network_of_the_same_layers(network):
    names = vars(fastgru) | {"Network": Network, "GRU": GRU, "Dense": Dense}
    again = eval(repr(network), names | {"Dropout": Dropout})
    assert repr(again) == repr(network)


# -- the input --


def call_both(network, *arguments, **options):
    """Give the two entries, each with arguments that it has to refuse."""
    return (
        lambda: network(*arguments, **options),
        lambda: network.vjp(*arguments, **options),
    )


@pytest.mark.parametrize(
    ("shape", "parts"),
    [
        ((), ["axes", "()"]),
        ((3,), ["axes", (3,)]),
        ((4, 5, 2, 3), ["axes", (4, 5, 2, 3)]),
        ((4, 5, 4), [3, 4, (4, 5, 4)]),
        ((4, 4), [3, 4, (4, 4)]),
        ((4, 5, 0), [3, 0, (4, 5, 0)]),
        ((0, 5, 3), ["time step", (0, 5, 3)]),
        ((0, 3), ["time step", (0, 3)]),
    ],
    ids=str,
)
def test_x_of_a_wrong_shape_is_refused(network, shape, parts):
    for call in call_both(network, np.zeros(shape)):
        with pytest.raises(ValueError, match=words("x", *parts)):
            call()


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_another_dtype_than_the_networks_is_refused(network, dtype):
    for call in call_both(network, np.zeros((4, 5, 3), dtype)):
        with pytest.raises(ValueError, match=words("x", "float64", dtype)):
            call()


@pytest.mark.parametrize("x", [None, "text", np.zeros((4, 5, 3), object)], ids=str)
def test_what_holds_no_numbers_is_refused(network, x):
    for call in call_both(network, x):
        with pytest.raises(TypeError, match=words("x")):
            call()


@pytest.mark.parametrize("dtype", ["float64", "bool", "object", "U1"])
def test_tokens_that_are_no_whole_numbers_are_refused(tokens, dtype):
    for call in call_both(tokens, np.zeros((4, 5), dtype)):
        with pytest.raises(TypeError, match=words("x", "tokens", np.dtype(dtype))):
            call()


@pytest.mark.parametrize("shape", [(), (4, 5, 1), (4, 5, 3)], ids=str)
def test_tokens_of_a_wrong_shape_are_refused(tokens, shape):
    for call in call_both(tokens, np.zeros(shape, int)):
        with pytest.raises(ValueError, match=words("x", 2, shape)):
            call()


@pytest.mark.parametrize("token", [-1, 7, 2**40])
@pytest.mark.parametrize("lengths", [None, [4, 3, 2]])
def test_unknown_tokens_are_refused_by_their_place(tokens, token, lengths):
    x = np.zeros((4, 3), int)
    x[2, 1] = token
    for call in call_both(tokens, x, lengths):
        with pytest.raises(ValueError, match=words("0 to 6", token, "step 2", 1)):
            call()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_tokens_of_any_integer_dtype_are_taken(tokens, dtype):
    x = draw_inputs("tokens", 4, 3)
    assert_same_bits("outputs", tokens(x.astype(dtype)), tokens(x))
    assert_same_bits("outputs", tokens(x.tolist()), tokens(x))


@pytest.mark.parametrize(
    "lengths",
    [[5, 1, 1], [-1, 1, 1], [1.5, 1, 1], [np.nan, 1, 1], [1, 1], [[1, 1, 1]], 3],
    ids=str,
)
@pytest.mark.parametrize("kind", ["stack", "tokens"])
def test_wrong_lengths_are_refused(kind, lengths):
    for call in call_both(make_network(kind), draw_inputs(kind, 4, 3), lengths):
        with pytest.raises(ValueError, match="lengths"):
            call()


def test_wrong_seeds_and_ids_are_refused(network):
    x = draw_inputs("stack", 4, 3)
    for seed in (-1, 2**64):
        with pytest.raises(ValueError, match=words("dropout_seed", seed)):
            network.vjp(x, dropout_seed=seed)
    for seed in (True, 1.0, "1"):
        with pytest.raises(TypeError, match="dropout_seed"):
            network.vjp(x, dropout_seed=seed)
    with pytest.raises(ValueError, match=words("sequence_ids", (3,), (2,))):
        network.vjp(x, dropout_seed=1, sequence_ids=[0, 1])
    with pytest.raises(TypeError, match="sequence_ids"):
        network.vjp(x, dropout_seed=1, sequence_ids=[0.0, 1, 2])


# -- the pullback --


@EACH_NETWORK
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_wrong_cotangent_is_refused_and_the_pullback_stays_usable(kind, batch_first):
    network = make_network(kind, batch_first=batch_first)
    x = draw_inputs(kind, 4, 3)
    x = x.swapaxes(0, 1) if batch_first else x
    outputs, pullback = network.vjp(x)
    expected = outputs.shape
    wrong = [(*expected[:-1], expected[-1] + 1), expected[1:], (1, *expected)]
    wrong += [(expected[0] + 1, *expected[1:]), ()]
    for shape in wrong:
        with pytest.raises(ValueError, match=words("d_outputs", expected, shape)):
            pullback(np.zeros(shape))
    for dtype in ("float32", "int64", "bool"):
        with pytest.raises(ValueError, match=words("d_outputs", "float64", dtype)):
            pullback(np.zeros(expected, dtype))
    for value in (None, "text", np.zeros(expected, object)):
        with pytest.raises(TypeError, match="d_outputs"):
            pullback(value)
    pullback(np.ones(expected))


@EACH_NETWORK
def test_a_pullback_is_called_once(kind):
    outputs, pullback = make_network(kind).vjp(draw_inputs(kind, 4, 3))
    pullback(np.ones_like(outputs))
    with pytest.raises(RuntimeError, match="already called"):
        pullback(np.ones_like(outputs))


@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "embedding"])
@pytest.mark.parametrize("whose", ["network", "layer"])
def test_a_pullback_from_before_new_weights_is_refused(kind, whose):
    network = make_network(kind)
    outputs, pullback = network.vjp(draw_inputs(kind, 4, 3))
    changed = network
    if whose == "layer":
        changed = next(
            layer for layer in network.layers if isinstance(layer, GRU | Dense)
        )
    changed.load_state_dict(changed.state_dict())
    with pytest.raises(RuntimeError, match="parameters were set after vjp"):
        pullback(np.ones_like(outputs))
