"""Keras's layers and models in and out, and what has no counterpart refused by name."""

import numpy as np
import pytest

import fastgru
from cases import BOTH_CELLS, BOTH_DTYPES, random_state_dict
from children import run_python
from fastgru.exchange import from_keras, negate_update_gate, to_keras
from fastgru.exchange._models import Part
from keras_models import draw_weights, import_keras, state_dict_of
from networks import LAYERS, draw_inputs, make_network
from problems import classifier, draw_classes, last_sums, regressor, transformer
from tolerances import assert_close, assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

T, B, I, H = 7, 4, 3, 5
# What a conversion promises, in float64 as well.
CLOSE = 1e-5


@pytest.fixture(scope="module", autouse=True)
def keras():
    keras = import_keras()
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    yield keras
    torch.set_num_threads(n_threads)


def draw(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def run(layer, x):
    """Run a layer or model on an array."""
    import torch

    return layer(torch.tensor(x), training=False).detach().numpy()


def weights_of(layer):
    return [variable.value.detach().numpy() for variable in layer.weights]


def randomize(layer, seed=0):
    """Give a built layer or model other weights, and return it."""
    import torch

    rng = np.random.default_rng(seed)
    for variable in layer.weights:
        values = rng.standard_normal(variable.shape) / 2
        variable.assign(torch.tensor(values.astype(variable.dtype)))
    return layer


def assert_agree(name, actual, expected):
    assert_close(name, actual, expected, actual.dtype, CLOSE)


def assert_same_state(state, other):
    assert list(state) == list(other)
    for name, array in state.items():
        assert_same_bits(name, array, other[name])


def sequential(keras, *layers, n_features=I):
    """Make a model of random weights, of tokens if there are no features."""
    shape = (None,) if n_features is None else (None, n_features)
    return randomize(keras.Sequential([keras.Input(shape), *layers]))


def make_gru(rng, dtype=np.float32, **settings):
    """Make a GRU of random parameters, different in each gate."""
    gru = fastgru.GRU(I, H, **settings, dtype=dtype)
    kind = ("num_layers", "bias", "bidirectional")
    sizes = {name: value for name, value in settings.items() if name in kind}
    gru.load_state_dict(random_state_dict(rng, I, H, dtype, **sizes))
    return gru


# -- layers --


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_layer_comes_and_goes(
    keras, bidirectional, steps, use_bias, dtype, reset_after, rng
):
    kind = {"reset_after": reset_after, "use_bias": use_bias}
    weights = [draw_weights(rng, I, H, **kind) for _ in range(1 + bidirectional)]
    weights = [[w.astype(dtype) for w in direction] for direction in weights]
    options = {"return_sequences": steps, "dtype": np.dtype(dtype).name}
    layer = keras.layers.GRU(H, **kind, **options, recurrent_dropout=0.25)
    if bidirectional:
        layer = keras.layers.Bidirectional(layer, dtype=options["dtype"])
    layer.build((None, None, I))
    layer.set_weights([w for direction in weights for w in direction])

    gru = from_keras(layer)
    assert type(gru) is fastgru.GRU
    expected = {
        "input_size": I,
        "hidden_size": H,
        "num_layers": 1,
        "bias": use_bias,
        "batch_first": True,
        "dropout": 0.0,
        "bidirectional": bidirectional,
        "recurrent_dropout": 0.25,
        "reset_after": reset_after,
    }
    assert gru.settings().items() >= expected.items()
    state = state_dict_of(weights[0])
    if bidirectional:
        state |= state_dict_of(weights[1], "_l0_reverse")
    assert_same_state(gru.state_dict(), state)

    x = draw(rng, B, T, I, dtype=dtype)
    output, h_n = gru(x)
    ours = output if steps else np.concatenate(h_n, axis=1)
    assert_agree("results", ours, run(layer, x))

    back = to_keras(gru)
    assert type(back) is type(layer)
    assert back.return_sequences
    for array, given in zip(weights_of(back), weights_of(layer), strict=True):
        assert_same_bits("weight", array, given)
    assert_agree("steps", output, run(back, x))
    assert_same_state(from_keras(back).state_dict(), state)


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_a_gru_goes(
    num_layers, bidirectional, bias, batch_first, dtype, reset_after, rng
):
    gru = make_gru(
        rng,
        dtype,
        num_layers=num_layers,
        bias=bias,
        batch_first=batch_first,
        bidirectional=bidirectional,
        reset_after=reset_after,
    )
    x = draw(rng, B, T, I, dtype=dtype)
    output, _ = gru(x if batch_first else x.swapaxes(0, 1))
    output = output if batch_first else output.swapaxes(0, 1)
    layer = to_keras(gru)
    assert layer.compute_dtype == np.dtype(dtype).name or num_layers > 1
    assert_agree("output", output, run(layer, x))
    if num_layers > 1:
        assert_agree("and back", from_keras(layer)(x), run(layer, x))


def test_dropout_goes_between_the_layers(keras, rng):
    model = to_keras(make_gru(rng, num_layers=3, dropout=0.25, recurrent_dropout=0.5))
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["GRU", "Dropout", "GRU", "Dropout", "GRU"]
    assert model.layers[1].rate == 0.25
    assert model.layers[2].recurrent_dropout == 0.5


@BOTH_CELLS
def test_masks_are_to_keras_what_lengths_are_here(keras, reset_after, rng):
    import torch

    gru = fastgru.GRU(I, H, bidirectional=True, reset_after=reset_after)
    network = fastgru.Network([gru, fastgru.Pooling("last")], batch_first=True)
    x, lengths = draw(rng, B, T, I), np.array([7, 1, 3, 5])
    mask = np.arange(T) < lengths[:, np.newaxis]
    layer = to_keras(gru)
    output = layer(torch.tensor(x), mask=torch.tensor(mask)).detach().numpy()
    expected, _ = gru(x.swapaxes(0, 1), lengths=lengths)
    assert_agree("steps", expected.swapaxes(0, 1), output)

    x[~mask] = 99.0
    masking = keras.layers.Masking(99.0)
    given = keras.Input((None, I))
    model = keras.Sequential([given, masking, *to_keras(network).layers])
    assert_agree("final states", network(x, lengths), run(model, x))


# -- models --


def deep(keras, **dtype):
    """Make one layer of every kind, all that can stand in one model."""
    layers = keras.layers
    return [
        layers.Embedding(7, I, **dtype),
        layers.Dropout(0.25, **dtype),
        layers.Bidirectional(layers.GRU(H, return_sequences=True, **dtype), **dtype),
        layers.TimeDistributed(layers.Dense(6, activation="tanh", **dtype), **dtype),
        layers.Dense(4, use_bias=False, **dtype),
        layers.Activation("sigmoid", **dtype),
        layers.Activation("linear", **dtype),
        layers.GRU(4, reset_after=False, **dtype),
        layers.Dense(6, activation="relu", **dtype),
        layers.Dense(2, **dtype),
    ]


def assert_deep(network):
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == [
        "Embedding",
        "Dropout",
        "GRU",
        "Dense",
        "Dense",
        "GRU",
        "Pooling",
        "Dense",
        "Dense",
    ]
    activations = [getattr(layer, "activation", None) for layer in network.layers]
    assert [a for a in activations if a] == ["tanh", "logistic", "relu", "identity"]
    assert network.batch_first


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sequential_becomes_a_network(keras, dtype, rng):
    layers = deep(keras, dtype=dtype)
    model = randomize(keras.Sequential([keras.Input((None,)), *layers]))
    network = from_keras(model)
    assert_deep(network)
    assert network.dtype == dtype
    tokens = rng.integers(7, size=(B, T))
    assert_agree("outputs", network(tokens), run(model, tokens))


def test_a_functional_model_becomes_a_network(keras, rng):
    x = given = keras.Input((T,))
    for layer in deep(keras):
        x = layer(x)
    model = randomize(keras.Model(given, x))
    network = from_keras(model)
    assert_deep(network)
    tokens = rng.integers(7, size=(B, T))
    assert_agree("outputs", network(tokens), run(model, tokens))


@pytest.mark.parametrize("how", ["Average", "Max"])
def test_pooling_is_kept(keras, how, rng):
    pooling = getattr(keras.layers, f"Global{how}Pooling1D")()
    gru = keras.layers.GRU(H, return_sequences=True)
    model = sequential(keras, gru, pooling, keras.layers.Dense(2))
    network = from_keras(model)
    assert network.layers[1].how == {"Average": "mean", "Max": "max"}[how]
    x = draw(rng, B, T, I)
    assert_agree("outputs", network(x), run(model, x))
    back = to_keras(network)
    assert type(back.layers[1]) is type(pooling)


def test_a_fixed_size_of_the_batch_is_kept_to(keras):
    given = keras.Input(batch_shape=(2, 4, I))
    model = keras.Sequential([given, keras.layers.GRU(H)])
    assert type(from_keras(model)) is fastgru.Network


@pytest.mark.parametrize("kind", ["Dense", "TimeDistributed", "Activation", "Softmax"])
def test_a_softmax_at_the_end_can_be_left_out(keras, kind, rng):
    layers = keras.layers
    gru = layers.GRU(H, return_sequences=True)
    end = {
        "Dense": [layers.Dense(3, activation="softmax")],
        "TimeDistributed": [layers.TimeDistributed(layers.Dense(3, "softmax"))],
        "Activation": [layers.Dense(3), layers.Activation("softmax")],
        "Softmax": [layers.Dense(3), layers.Softmax()],
    }[kind]
    model = sequential(keras, gru, *end)
    with pytest.raises(ValueError, match=rf"\({kind}\) is a softmax: .*drop_softmax"):
        from_keras(model)
    x = draw(rng, B, T, I)
    logits = from_keras(model, drop_softmax=True)(x)
    powers = np.exp(logits)
    assert_agree("shares", powers / powers.sum(axis=2, keepdims=True), run(model, x))


# What Keras has no layer for is tested below.
REFUSED = ("attention", "last of steps", "one-hot", "one-hot by step")
KINDS = [kind for kind in LAYERS if kind not in REFUSED]


def in_float32(network, batch_first):
    """Copy a network to float32 and another order of axes."""
    layers = []
    for layer in network.layers:
        settings = layer.settings()
        if "dtype" in settings:
            settings["dtype"] = np.float32
        layers.append(type(layer)(**settings))
    copied = fastgru.Network(layers, batch_first=batch_first)
    state = network.state_dict()
    copied.load_state_dict({name: w.astype(np.float32) for name, w in state.items()})
    return copied


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_network_goes_and_comes(kind, batch_first):
    network = in_float32(make_network(kind), batch_first)
    model = to_keras(network)
    x = draw_inputs(kind, T, B, dtype=np.float32)
    outputs = network(x.swapaxes(0, 1) if batch_first else x)
    if not batch_first and outputs.ndim == 3:
        outputs = outputs.swapaxes(0, 1)
    expected = run(model, x.swapaxes(0, 1))
    assert_agree("outputs", outputs, expected)
    assert_agree("and back", from_keras(model)(x.swapaxes(0, 1)), expected)


def test_dropout_leaves_the_final_states_of_both_directions(rng):
    layers = [fastgru.GRU(I, H, bidirectional=True), fastgru.Dropout(0.5)]
    network = fastgru.Network([*layers, fastgru.Pooling("last")], batch_first=True)
    model = to_keras(network)
    assert [type(layer).__name__ for layer in model.layers] == [
        "Bidirectional",
        "Dropout",
    ]
    x = draw(rng, B, T, I)
    assert_agree("states", network(x), run(model, x))


def test_a_network_of_float64_goes(rng):
    network = make_network("last")
    model = to_keras(network)
    assert {w.dtype for w in model.weights} == {"float64"}
    x = draw(rng, B, T, I, dtype=np.float64)
    assert_agree("outputs", network(x.swapaxes(0, 1)), run(model, x))


# -- files --

# Of Keras on PyTorch, when it writes and reads.
FILES = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning")


@FILES
def test_a_file_is_read(keras, tmp_path, rng):
    model = randomize(keras.Sequential([keras.Input((None,)), *deep(keras)]))
    path = tmp_path / "model.keras"
    model.save(path)
    expected = from_keras(model).state_dict()
    for place in (path, str(path)):
        network = from_keras(place)
        assert_deep(network)
        assert_same_state(network.state_dict(), expected)


@FILES
def test_a_file_that_wants_to_run_code_is_refused(keras, tmp_path):
    layers = keras.layers
    model = sequential(keras, layers.GRU(H), layers.Lambda(lambda x: 2 * x))
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(ValueError, match="`Lambda` layer .*disallowed by default"):
        from_keras(path)


@FILES
def test_damaged_files_are_refused(keras, tmp_path):
    path = tmp_path / "model.keras"
    sequential(keras, keras.layers.GRU(H)).save(path)
    content = path.read_bytes()
    for part in (b"", b"nothing of the kind", content[: len(content) // 2]):
        path.write_bytes(part)
        with pytest.raises(ValueError, match=r"model\.keras is damaged or not a file"):
            from_keras(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.keras, got 'model\.h5'"):
        from_keras(tmp_path / "model.h5")
    with pytest.raises(FileNotFoundError, match=r"no file at .*model\.keras"):
        from_keras(tmp_path / "model.keras")


# -- estimators --

X, Y = draw_classes()


def alone(model, network_run, x):
    """Run a Keras model on one sequence."""
    return run(network_run, x[np.newaxis].astype(model.dtype))[0]


@BOTH_CELLS
def test_a_classifier_gives_its_logits(reset_after):
    model = classifier(
        6,
        max_iter=2,
        bidirectional=True,
        num_layers=2,
        dropout=0.2,
        dense_sizes=[5],
        reset_after=reset_after,
    ).fit(X, Y)
    made = to_keras(model)
    logits = np.array([alone(model, made, x) for x in X])
    assert_agree("logits", model.decision_function(X), logits[:, 1] - logits[:, 0])


def test_a_regressor_gives_its_numbers():
    settings = {"max_iter": 2, "dtype": "float64", "pooling": "mean"}
    model = regressor(6, **settings).fit(X, last_sums(X))
    made = to_keras(model)
    numbers = np.array([alone(model, made, x)[0] for x in X])
    assert_agree("numbers", model.predict(X), numbers)


def test_a_transformer_gives_its_vectors():
    model = transformer(6, max_iter=2, pooling="max").fit(X)
    made = to_keras(model)
    vectors = np.array([alone(model, made, x) for x in X])
    assert_agree("vectors", model.transform(X), vectors)


def test_labels_of_steps_come_from_tokens():
    tokens = np.random.default_rng(0).integers(5, size=(30, 6))
    model = classifier(6, max_iter=2, n_tokens=5, return_sequences=True)
    model.fit(tokens, tokens % 2)
    logits = run(to_keras(model), tokens)
    assert np.array_equal(logits.argmax(axis=2), model.predict(tokens))


# -- what is refused on the way in --


def test_other_objects_are_refused(keras):
    with pytest.raises(TypeError, match=r"expected a keras\.layers\.GRU, .*\.LSTM"):
        from_keras(keras.layers.LSTM(H))
    with pytest.raises(TypeError, match=r"got builtins\.int"):
        from_keras(3)
    with pytest.raises(TypeError, match="drop_softmax must be True or False"):
        from_keras(keras.layers.GRU(H), drop_softmax=1)


def test_subclasses_are_refused(keras):
    class Special(keras.layers.GRU):
        pass

    class Model(keras.Model):
        def call(self, x):
            return x

    class Chain(keras.Sequential):
        pass

    with pytest.raises(TypeError, match=r"got .*Special"):
        from_keras(Special(H))
    with pytest.raises(TypeError, match=r"\(Special\), .* has no counterpart"):
        from_keras(sequential(keras, Special(H)))
    with pytest.raises(TypeError, match=r"functional model, got .*\.Model; put"):
        from_keras(Model())
    with pytest.raises(TypeError, match=r"functional model, got .*\.Chain; put"):
        from_keras(Chain([keras.Input((None, I)), keras.layers.GRU(H)]))


def test_what_is_not_built_is_refused(keras):
    layers = keras.layers
    for layer in (layers.GRU(H), layers.Bidirectional(layers.GRU(H))):
        with pytest.raises(
            ValueError, match=r"layer '.*' \(.*\) is not built: call it"
        ):
            from_keras(layer)
    with pytest.raises(ValueError, match=r"\(Sequential\) is not built: begin it with"):
        from_keras(keras.Sequential([keras.layers.GRU(H)]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "relu"}, "has activation 'relu', a GRU of fastgru has 'tanh'"),
        ({"activation": None}, "has activation 'linear'"),
        (
            {"recurrent_activation": "hard_sigmoid"},
            "has recurrent_activation 'hard_sigmoid', .* has 'sigmoid' only",
        ),
        ({"dropout": 0.25}, r"has dropout=0\.25 of its input: .*Dropout layer before"),
        (
            {"dtype": "float16", "recurrent_initializer": "zeros"},
            "float32 or float64, got float16",
        ),
        ({"dtype": "mixed_bfloat16"}, "float32 or float64, got mixed_bfloat16"),
    ],
    ids=str,
)
@pytest.mark.parametrize("place", ["alone", "in both directions", "in a model"])
def test_settings_that_fastgru_lacks_are_refused(keras, place, settings, message):
    layer = keras.layers.GRU(H, **settings)
    if place == "in both directions":
        layer = keras.layers.Bidirectional(layer)
    if place == "in a model":
        layer = keras.Sequential([keras.Input((None, I)), layer])
    else:
        layer.build((None, None, I))
    with pytest.raises(ValueError, match=message):
        from_keras(layer)


def test_states_kept_between_batches_are_refused(keras):
    layer = keras.layers.GRU(H, stateful=True)
    layer.build((B, T, I))
    with pytest.raises(ValueError, match=r"is stateful.*stateful=False"):
        from_keras(layer)


def test_going_backwards_is_refused(keras):
    layer = keras.layers.GRU(H, go_backwards=True)
    layer.build((None, None, I))
    with pytest.raises(ValueError, match=r"go_backwards=True: reverse the input"):
        from_keras(layer)
    with pytest.raises(ValueError, match=r"go_backwards=True: reverse the input"):
        from_keras(sequential(keras, layer))


@pytest.mark.parametrize("mode", ["sum", "mul", "ave"])
def test_other_ways_to_merge_are_refused(keras, mode):
    layer = keras.layers.Bidirectional(keras.layers.GRU(H), merge_mode=mode)
    layer.build((None, None, I))
    with pytest.raises(ValueError, match=f"merge_mode='{mode}', .* 'concat' only"):
        from_keras(layer)


def test_two_directions_must_be_alike(keras):
    layers = keras.layers
    pairs = {
        "units": {"units": 4},
        "reset_after": {"units": H, "reset_after": False},
        "use_bias": {"units": H, "use_bias": False},
    }
    for setting, other in pairs.items():
        backward = layers.GRU(go_backwards=True, **other)
        layer = layers.Bidirectional(layers.GRU(H), backward_layer=backward)
        layer.build((None, None, I))
        with pytest.raises(ValueError, match=f"the same {setting} in both directions"):
            from_keras(layer)


def test_two_directions_of_another_layer_are_refused(keras):
    layer = keras.layers.Bidirectional(keras.layers.LSTM(H))
    layer.build((None, None, I))
    with pytest.raises(TypeError, match=r"must hold keras\.layers\.GRU, got LSTM"):
        from_keras(layer)


def test_mixed_precision_of_a_pair_is_refused(keras):
    layer = keras.layers.Bidirectional(keras.layers.GRU(H, dtype="float64"))
    layer.build((None, None, I))
    with pytest.raises(ValueError, match="of dtype float32, the GRU in it of float64"):
        from_keras(layer)


def gru(kl):
    return kl.GRU(H, return_sequences=True)


# What makes a model's layers of keras.layers, the error, and what it says.
REFUSED = {
    "masking": (
        lambda kl: [kl.Masking(), gru(kl)],
        TypeError,
        r"\(Masking\).*pass lengths",
    ),
    "other layer": (
        lambda kl: [gru(kl), kl.Conv1D(4, 1)],
        TypeError,
        r"\(Conv1D\).*leave it",
    ),
    "normalisation": (
        lambda kl: [kl.Normalization(mean=0.0, variance=1.0), gru(kl)],
        TypeError,
        r"\(Normalization\).*SequenceScaler",
    ),
    "activation after a GRU": (
        lambda kl: [gru(kl), kl.Activation("relu")],
        ValueError,
        r"\(Activation\) does not stand directly behind a Dense",
    ),
    "activation after a dropout": (
        lambda kl: [kl.Dense(4), kl.Dropout(0.5), kl.Activation("relu")],
        ValueError,
        r"\(Activation\) does not stand directly behind a Dense",
    ),
    "two activations": (
        lambda kl: [kl.Dense(4, "tanh"), kl.Activation("relu")],
        ValueError,
        r"\(Activation\) does not stand directly behind a Dense",
    ),
    "other activation": (
        lambda kl: [kl.Dense(4, "gelu")],
        ValueError,
        r"\(Dense\) has the activation 'gelu', fastgru has linear, relu",
    ),
    "softmax in the middle": (
        lambda kl: [kl.Dense(4, "softmax"), gru(kl)],
        ValueError,
        "'softmax', .* at the end alone",
    ),
    "softmax layer in the middle": (
        lambda kl: [gru(kl), kl.Softmax(), kl.Dense(2)],
        TypeError,
        r"\(Softmax\).*at the end alone",
    ),
    "softmax over steps": (
        lambda kl: [gru(kl), kl.Softmax(axis=1)],
        TypeError,
        r"\(Softmax\).*no counterpart",
    ),
    "other layer at each step": (
        lambda kl: [kl.TimeDistributed(kl.Dropout(0.5)), gru(kl)],
        TypeError,
        r"\(TimeDistributed\) must hold a Dense, got Dropout",
    ),
    "pooling that keeps axes": (
        lambda kl: [gru(kl), kl.GlobalMaxPooling1D(keepdims=True)],
        ValueError,
        r"\(GlobalMaxPooling1D\) must have",
    ),
    "pooling of features": (
        lambda kl: [gru(kl), kl.GlobalAveragePooling1D(data_format="channels_first")],
        ValueError,
        r"\(GlobalAveragePooling1D\) must have",
    ),
    "dtypes": (
        lambda kl: [gru(kl), kl.Dense(2, dtype="float64")],
        ValueError,
        "of dtype float64, but float32 comes in",
    ),
    "half precision": (
        lambda kl: [gru(kl), kl.Dense(2, dtype="float16")],
        ValueError,
        r"\(Dense\) must be of dtype float32 or float64, got float16",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_models_that_do_not_fit_are_refused(keras, what):
    make, error, message = REFUSED[what]
    layers = make(keras.layers)
    with pytest.raises(error, match=message):
        from_keras(keras.Sequential([keras.Input((T, I)), *layers]))


def test_tokens_that_are_masked_are_refused(keras):
    embedding = keras.layers.Embedding(7, I, mask_zero=True)
    model = sequential(keras, embedding, keras.layers.GRU(H), n_features=None)
    with pytest.raises(ValueError, match=r"\(Embedding\) has mask_zero=True: pass"):
        from_keras(model)


def test_a_model_in_a_model_is_refused(keras):
    inner = sequential(keras, keras.layers.GRU(H))
    with pytest.raises(TypeError, match=r"\(Sequential\).*no counterpart"):
        from_keras(sequential(keras, inner))


def test_a_model_without_steps_is_refused(keras):
    model = keras.Sequential([keras.Input((I,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"must read sequences.*\(None, 3\)"):
        from_keras(model)


def test_models_that_are_no_chain_are_refused(keras):
    layers = keras.layers
    given = keras.Input((T, I))
    states = layers.GRU(I, return_sequences=True)(given)
    dense = layers.Dense(I)
    final = layers.GRU(I, return_state=True)(given)
    models = {
        "branches": keras.Model(given, layers.Add()([given, states])),
        "two outputs": keras.Model(given, [states, layers.Dense(2)(states)]),
        "a layer twice": keras.Model(given, dense(dense(states))),
        "a state": keras.Model(given, layers.Dense(2)(final[1])),
        "an initial state": keras.Model(
            given, layers.GRU(I)(states, initial_state=final[1])
        ),
    }
    for what, model in models.items():
        with pytest.raises(ValueError, match="must have one input, one output and"):
            pytest.fail(f"{what}: {from_keras(model)}")


def test_an_operation_in_a_model_is_refused(keras):
    given = keras.Input((T, I))
    states = keras.layers.GRU(I)(given)
    with pytest.raises(TypeError, match=r"\(Multiply\).*no counterpart"):
        from_keras(keras.Model(given, keras.ops.multiply(states, 2.0)))


# -- what is refused on the way out --


def test_other_objects_are_not_converted():
    with pytest.raises(TypeError, match=r"expected a GRU, .*got .*\.Dense"):
        to_keras(fastgru.Dense(I, H))
    with pytest.raises(TypeError, match="GRUCell cannot be converted: convert a GRU"):
        to_keras(fastgru.GRUCell(I, H))


def test_pooling_that_keras_lacks_is_refused():
    message = r"layer 2, Pooling.* by attention, for which Keras has no layer"
    with pytest.raises(ValueError, match=message):
        to_keras(make_network("attention"))
    message = r"layer 2, Pooling.*last step of a layer that is no GRU"
    with pytest.raises(ValueError, match=message):
        to_keras(make_network("last of steps"))
    with pytest.raises(ValueError, match="layer 0, OneHot.* no counterpart"):
        to_keras(make_network("one-hot"))


def test_a_backend_without_float64_is_noticed(monkeypatch):
    from fastgru.exchange import _keras_writing

    read = _keras_writing.array_of
    monkeypatch.setattr(
        _keras_writing, "array_of", lambda tensor: read(tensor).astype(np.float32)
    )
    with pytest.raises(ValueError, match="keeps float64 as float32: allow it there"):
        to_keras(fastgru.GRU(I, H, dtype=np.float64))


# -- the check at the end --


@BOTH_CELLS
def test_a_wrong_order_of_gates_is_noticed(keras, reset_after, monkeypatch):
    from fastgru.exchange import _keras_reading, _keras_writing

    layer = keras.layers.GRU(H, reset_after=reset_after)
    layer.build((None, None, I))
    model = sequential(keras, layer, keras.layers.Dense(3, activation="softmax"))
    gru = fastgru.GRU(I, H, reset_after=reset_after, random_state=0)
    for module in (_keras_reading, _keras_writing):
        monkeypatch.setattr(module, "swap_gates", lambda rows: rows)
    for convert in (
        lambda: from_keras(layer),
        lambda: from_keras(model, drop_softmax=True),
        lambda: to_keras(gru),
        lambda: to_keras(fastgru.Network([gru])),
    ):
        with pytest.raises(RuntimeError, match="the two models disagree"):
            convert()


def test_a_wrong_meaning_of_the_update_gate_is_noticed(keras, monkeypatch):
    def wrong(part, **settings):
        if part.layer is fastgru.GRU:
            part = part._replace(state=negate_update_gate(part.state))
        return make(part, **settings)

    make = Part.make
    monkeypatch.setattr(Part, "make", wrong)
    with pytest.raises(RuntimeError, match="the two models disagree"):
        from_keras(sequential(keras, keras.layers.GRU(H)))


def test_weights_that_are_not_kept_are_noticed(monkeypatch):
    from fastgru.exchange import _keras_writing

    read = _keras_writing.array_of
    monkeypatch.setattr(
        _keras_writing, "array_of", lambda tensor: read(tensor) * np.float32(1.0001)
    )
    with pytest.raises(RuntimeError, match="kernel does not hold the weights"):
        to_keras(fastgru.GRU(I, H))


def test_weights_that_are_not_finite_are_refused(keras):
    layer = keras.layers.GRU(H)
    layer.build((None, None, I))
    weights = weights_of(layer)
    weights[0] = np.full_like(weights[0], np.nan)
    layer.set_weights(weights)
    with pytest.raises(ValueError, match="do the parameters hold NaN or infinity"):
        from_keras(layer)


# -- loading --


def test_the_package_is_loaded_without_keras():
    code = """
        import sys
        import fastgru.exchange
        from fastgru.exchange import from_keras, to_keras
        print({"torch", "keras", "tensorflow"} & set(sys.modules))
    """
    assert run_python(code).strip() == "set()"
