"""PyTorch's modules in and out, and all that has no counterpart refused by name."""

import copy
import pickle
import re

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.exceptions import NotFittedError

import fastgru
from cases import BOTH_DTYPES, random_state_dict
from children import run_python
from fastgru.exchange import from_torch, negate_update_gate, to_torch
from fastgru.exchange._models import Part
from networks import EACH_NETWORK, draw_inputs, make_network
from problems import classifier, draw_classes, last_sums, pad, regressor, transformer
from tolerances import assert_close, assert_same_bits

torch = pytest.importorskip(
    "torch", reason="exchange with PyTorch: torch is not installed"
)
nn = torch.nn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

T, B, I, H = 7, 4, 3, 5
LENGTHS = [7, 0, 2, 5]
# What a conversion promises; the suite's own allows twice as much.
CLOSE = {"float32": 1e-5, "float64": 1e-10}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are tiny
    yield
    torch.set_num_threads(n_threads)


def randomize(module, seed=0):
    """Give a module parameters that differ in each gate, and return it."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            values = rng.standard_normal(parameter.shape) / 2
            parameter.copy_(torch.tensor(values))
    return module


def draw(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def run(module, *arrays):
    """Run a module on arrays and give arrays."""
    with torch.no_grad():
        results = module(*(torch.tensor(array) for array in arrays))
    if isinstance(results, tuple):
        return [result.numpy() for result in results]
    return results.numpy()


def assert_agree(name, actual, expected):
    assert_close(name, actual, expected, actual.dtype, CLOSE[actual.dtype.name])


def assert_same_state(state, other):
    """Compare the names and bits of two mappings to arrays or tensors."""
    assert list(state) == list(other)
    for name, array in state.items():
        assert_same_bits(name, np.asarray(array), np.asarray(other[name]))


def chain(*, batch_first=False, dtype=torch.float32):
    """Make a Sequential of every kind of module."""
    options = {"dtype": dtype}
    return randomize(
        nn.Sequential(
            nn.Embedding(7, I, **options),
            nn.Dropout(0.25),
            nn.GRU(I, H, 2, bidirectional=True, batch_first=batch_first, **options),
            nn.Identity(),
            nn.Linear(2 * H, 6, **options),
            nn.Tanh(),
            nn.GRU(6, 4, batch_first=batch_first, **options),
            nn.Linear(4, 6, bias=False, **options),
            nn.Identity(),
            nn.ReLU(),
            nn.Linear(6, 2, **options),
            nn.Sigmoid(),
        )
    )


def run_chain(modules, x):
    """Run modules in evaluation mode, of a GRU its states after all steps."""
    x = torch.tensor(x)
    with torch.no_grad():
        for module in copy.deepcopy(modules).eval():
            x = module(x)
            x = x[0] if isinstance(x, tuple) else x
    return x.numpy()


# -- layers --


@BOTH_DTYPES
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_a_gru_comes_and_goes(num_layers, bidirectional, bias, batch_first, dtype, rng):
    settings = {
        "input_size": I,
        "hidden_size": H,
        "num_layers": num_layers,
        "bias": bias,
        "batch_first": batch_first,
        "dropout": 0.25 if num_layers > 1 else 0.0,
        "bidirectional": bidirectional,
    }
    module = randomize(nn.GRU(**settings, dtype=getattr(torch, np.dtype(dtype).name)))
    gru = from_torch(module)
    assert type(gru) is fastgru.GRU
    assert gru.settings().items() >= settings.items()
    assert gru.dtype == dtype
    assert gru.reset_after
    assert_same_state(gru.state_dict(), module.state_dict())

    axes = (B, T) if batch_first else (T, B)
    x = draw(rng, *axes, I, dtype=dtype)
    h_0 = draw(rng, (1 + bidirectional) * num_layers, B, H, dtype=dtype)
    expected = run(copy.deepcopy(module).eval(), x, h_0)
    for name, ours, theirs in zip(
        ("output", "h_n"), gru(x, h_0), expected, strict=True
    ):
        assert_agree(name, ours, theirs)

    back = to_torch(gru)
    assert type(back) is nn.GRU
    assert not back.training
    assert {name: getattr(back, name) for name in settings} == settings
    assert_same_state(back.state_dict(), module.state_dict())
    assert_same_state(dict(enumerate(run(back, x, h_0))), dict(enumerate(expected)))


@BOTH_DTYPES
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_comes_and_goes(bias, dtype, rng):
    dtypes = {"dtype": getattr(torch, np.dtype(dtype).name)}
    module = randomize(nn.GRUCell(I, H, bias=bias, **dtypes))
    cell = from_torch(module)
    assert type(cell) is fastgru.GRUCell
    x, h = draw(rng, B, I, dtype=dtype), draw(rng, B, H, dtype=dtype)
    assert_agree("h", cell(x, h), run(module, x, h))
    back = to_torch(cell)
    assert type(back) is nn.GRUCell
    assert_same_state(back.state_dict(), module.state_dict())
    assert_same_bits("h", run(back, x, h), run(module, x, h))


@pytest.mark.parametrize("own", [False, True])
def test_the_order_of_axes_can_be_chosen(own, rng):
    gru = from_torch(randomize(nn.GRU(I, H, batch_first=own)), batch_first=not own)
    assert gru.batch_first is not own
    modules = chain(batch_first=own)
    network = from_torch(modules, batch_first=not own)
    assert network.batch_first is not own
    tokens = rng.integers(7, size=(T, B))
    expected = run_chain(modules, tokens).swapaxes(0, 1)
    assert_agree("outputs", network(tokens.T), expected)


def test_conversions_leave_everything_else_alone():
    module = nn.Sequential(nn.GRU(I, H, 2, dropout=0.5), nn.Dropout(), nn.Linear(H, 2))
    module[1].eval()
    before = copy.deepcopy(module.state_dict())
    torch_state, numpys = torch.get_rng_state(), np.random.mtrand._rand.get_state()[1]
    to_torch(from_torch(module))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.mtrand._rand.get_state()[1], numpys)
    assert [m.training for m in module] == [True, False, True]
    assert module.training
    assert_same_state(module.state_dict(), before)


def test_the_result_shares_no_memory_with_the_module(rng):
    module = randomize(nn.GRU(I, H))
    gru = from_torch(module)
    x = draw(rng, T, B, I)
    before = gru(x)[0]
    randomize(module, seed=1)
    assert_same_bits("output", gru(x)[0], before)


def test_dropout_of_a_single_layer_goes_without_a_warning():
    assert to_torch(fastgru.GRU(I, H, dropout=0.5)).dropout == 0.0


def test_recurrent_dropout_is_left_out():
    assert type(to_torch(fastgru.GRU(I, H, recurrent_dropout=0.5))) is nn.GRU


# -- chains and networks --


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_sequential_becomes_a_network(dtype, batch_first, rng):
    modules = chain(batch_first=batch_first, dtype=dtype)
    network = from_torch(modules)
    assert type(network) is fastgru.Network
    assert network.batch_first is batch_first
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Embedding", "Dropout", "GRU", "Dense", "GRU", "Dense", "Dense"]
    activations = [
        layer.activation for layer in network.layers if hasattr(layer, "activation")
    ]
    assert activations == ["tanh", "relu", "logistic"]
    assert network.layers[1].rate == 0.25
    tokens = rng.integers(7, size=(B, T) if batch_first else (T, B))
    assert_agree("outputs", network(tokens), run_chain(modules, tokens))


def test_a_sequential_without_a_gru_becomes_a_network(rng):
    modules = randomize(nn.Sequential(nn.Linear(I, H), nn.ReLU(), nn.Linear(H, 2)))
    x = draw(rng, T, B, I)
    assert_agree("outputs", from_torch(modules)(x), run_chain(modules, x))


@pytest.mark.parametrize("softmax", [nn.Softmax(-1), nn.LogSoftmax(dim=2)], ids=str)
def test_a_softmax_at_the_end_can_be_left_out(softmax, rng):
    modules = randomize(nn.Sequential(nn.GRU(I, H), nn.Linear(H, 3)))
    x = draw(rng, T, B, I)
    expected = run_chain(modules, x)
    modules.append(softmax)
    with pytest.raises(ValueError, match=r"module 2, .*logits; drop_softmax=True"):
        from_torch(modules)
    network = from_torch(modules, drop_softmax=True)
    assert_agree("logits", network(x), expected)


def pytorchs(kind):
    """Make a network of a kind with PyTorch's cell in all its GRUs."""
    network = make_network(kind)
    layers = []
    for layer in network.layers:
        if getattr(layer, "reset_after", True) is False:
            state = layer.state_dict()
            layer = fastgru.GRU(**layer.settings() | {"reset_after": True})
            layer.load_state_dict(state)
        layers.append(layer)
    return fastgru.Network(layers)


def as_dtype(network, dtype, batch_first):
    """Copy a network to another dtype and order of axes."""
    layers = []
    for layer in network.layers:
        settings = layer.settings()
        if "dtype" in settings:
            settings["dtype"] = dtype
        layers.append(type(layer)(**settings))
    copied = fastgru.Network(layers, batch_first=batch_first)
    state = network.state_dict()
    copied.load_state_dict({name: w.astype(dtype) for name, w in state.items()})
    return copied


def test_a_language_model():
    model = fastgru.GRULanguageModel(
        hidden_size=7, num_steps=5, max_iter=2, random_state=0
    )
    model.fit("a text that goes on and on, and on " * 9)
    module = to_torch(model)
    tokens = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        probabilities = module(tokens)[0, -1].softmax(0).numpy()
    prefix = [model.vocabulary_[k] for k in tokens[0]]
    np.testing.assert_allclose(probabilities, model.predict_proba(prefix), atol=1e-6)


@EACH_NETWORK
@BOTH_DTYPES
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_network_goes_and_comes(kind, batch_first, dtype):
    network = as_dtype(pytorchs(kind), dtype, batch_first)
    module = to_torch(network)
    assert not module.training
    assert module.batch_first is batch_first
    x = draw_inputs(kind, T, B, dtype=dtype)
    x = x.swapaxes(0, 1) if batch_first else x
    assert_agree("outputs", run(module, x), network(x))
    for lengths in (np.array(LENGTHS), np.array(LENGTHS, np.int32)):
        assert_agree("with lengths", run(module, x, lengths), network(x, lengths))

    back = from_torch(module)
    # Which PyTorch does not have.
    without = {"recurrent_dropout": 0.0}
    for ours, layer in zip(back.layers, network.layers, strict=True):
        assert type(ours) is type(layer)
        if type(layer) is not fastgru.Pooling or layer.how == "attention":
            expected = layer.settings()
            assert ours.settings() == {
                k: without.get(k, v) for k, v in expected.items()
            }
    assert back.batch_first is batch_first
    assert_same_state(back.state_dict(), network.state_dict())

    again = pickle.loads(pickle.dumps(module))
    assert repr(again) == repr(module)
    assert_same_bits("of a pickle", run(again, x), run(module, x))


@pytest.mark.parametrize("how", ["last", "mean", "max", "attention"])
def test_padding_is_not_read(how, rng):
    layers = [
        fastgru.Dense(I, 6, activation="tanh"),
        fastgru.GRU(6, H, bidirectional=True),
        fastgru.Pooling(how, n_features=2 * H),
        fastgru.Dense(2 * H, 2),
    ]
    network = fastgru.Network(layers, batch_first=True)
    module = to_torch(network)
    x = draw(rng, B, T, I)
    expected = network(x, LENGTHS)
    for row, length in zip(x, LENGTHS, strict=True):
        row[length:] = np.nan
    outputs = module(torch.tensor(x), LENGTHS)
    assert_agree("outputs", outputs.detach().numpy(), expected)
    outputs.square().sum().backward()
    for name, parameter in module.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name


def test_dropout_leaves_the_final_states_of_both_directions(rng):
    layers = [fastgru.GRU(I, H, bidirectional=True), fastgru.Dropout(0.5)]
    network = fastgru.Network([*layers, fastgru.Pooling("last")])
    x, lengths = draw(rng, T, B, I), np.array(LENGTHS)
    module = to_torch(network)
    assert_agree("states", run(module, x, lengths), network(x, lengths))
    module.train()
    assert 0 < (module(torch.tensor(x)) == 0).sum() < B * 2 * H


def test_padding_tokens_may_be_anything():
    network = fastgru.Network([fastgru.Embedding(7, I), fastgru.GRU(I, H)])
    tokens = np.full((T, B), -1)
    tokens[:2] = 6
    lengths = [2, 1, 0, 2]
    outputs = to_torch(network)(torch.tensor(tokens), lengths).detach().numpy()
    assert_agree("outputs", outputs, network(tokens, lengths))


def test_gradients_of_a_module_are_those_of_the_network(rng):
    network = pytorchs("attention")
    module = to_torch(network)
    tokens = draw_inputs("attention", T, B)
    outputs, pullback = network.vjp(tokens, LENGTHS)
    cotangents = draw(rng, *outputs.shape, dtype=np.float64)
    gradients = pullback(cotangents).parameters
    module(torch.tensor(tokens), LENGTHS).backward(torch.tensor(cotangents))
    theirs = [parameter.grad.numpy() for parameter in module.parameters()]
    for (name, ours), expected in zip(gradients.items(), theirs, strict=True):
        assert_close(name, ours, expected, np.float64)


def test_a_module_in_training_drops_and_learns():
    layers = [fastgru.GRU(I, H), fastgru.Dropout(0.5), fastgru.Pooling("last")]
    module = to_torch(fastgru.Network(layers))
    x = torch.ones(T, B, I)
    assert torch.equal(module(x), module(x))
    module.train()
    torch.manual_seed(0)
    dropped = module(x) == 0
    assert 0 < dropped.sum() < dropped.numel()


@pytest.mark.parametrize(
    "lengths", [[7, 1], [[7, 1, 1, 1]], [8, 1, 1, 1], [1, -1, 1, 1]]
)
def test_lengths_that_do_not_fit_are_refused(lengths):
    module = to_torch(fastgru.Network([fastgru.GRU(I, H)]))
    with pytest.raises(ValueError, match="lengths must"):
        module(torch.zeros(T, B, I), lengths)


def test_inputs_of_other_axes_are_refused():
    network = fastgru.Network([fastgru.GRU(I, H)], batch_first=True)
    for shape in ((T, I), (B, T, I, 1)):
        with pytest.raises(ValueError, match=r"axes \(B, T, I\), got shape"):
            to_torch(network)(torch.zeros(shape))
    network = fastgru.Network([fastgru.Embedding(7, I), fastgru.GRU(I, H)])
    for shape in ((T,), (T, B, 1)):
        with pytest.raises(ValueError, match=r"axes \(T, B\), got shape"):
            to_torch(network)(torch.zeros(shape, dtype=torch.int64))


# -- estimators --

X, Y = draw_classes()
X_NEW, _ = draw_classes(n=20, seed=1)


def run_padded(estimator, dtype=np.float32, kind=to_torch):
    """Run the module of an estimator on the new sequences."""
    x = np.nan_to_num(pad(X_NEW, dtype=dtype))
    return run(kind(estimator), x, np.array([len(x) for x in X_NEW]))


@pytest.mark.parametrize("pooling", ["last", "attention"])
def test_a_classifier_gives_its_logits(pooling):
    model = classifier(
        6,
        max_iter=2,
        bidirectional=True,
        num_layers=2,
        dropout=0.2,
        recurrent_dropout=0.1,
        dense_sizes=[5],
        pooling=pooling,
    ).fit(X, Y)
    logits = run_padded(model)
    assert logits.shape == (20, 2)
    difference = model.decision_function(X_NEW)
    assert_agree("logits", difference, logits[:, 1] - logits[:, 0])
    assert np.array_equal(model.classes_[logits.argmax(axis=1)], model.predict(X_NEW))


def test_a_regressor_gives_its_numbers():
    model = regressor(6, max_iter=2, dtype="float64").fit(X, last_sums(X))
    numbers = run_padded(model, np.float64)
    assert_agree("numbers", model.predict(X_NEW), numbers[:, 0])


def test_a_univariate_estimator_reads_one_number_per_step():
    rows = np.array([x[-3:, 0] for x in X])
    model = regressor(6, max_iter=2).fit(rows, last_sums(X))
    outputs = run(to_torch(model), rows[:, :, np.newaxis].astype(np.float32))
    assert_agree("numbers", model.predict(rows).astype(np.float32), outputs[:, 0])


def test_a_transformer_gives_its_vectors():
    for targets in ({"y": Y}, {}):
        model = transformer(6, max_iter=2).fit(X, **targets)
        assert_agree("vectors", model.transform(X_NEW), run_padded(model))


def test_labels_of_steps_come_from_tokens():
    tokens = np.random.default_rng(0).integers(5, size=(30, 6))
    model = classifier(6, max_iter=2, n_tokens=5, return_sequences=True)
    model.fit(tokens, tokens % 2)
    logits = run(to_torch(model), tokens)
    assert logits.shape == (30, 6, 2)
    assert np.array_equal(logits.argmax(axis=2), model.predict(tokens))


def test_an_estimator_that_is_not_fitted_is_refused():
    with pytest.raises(NotFittedError, match="GRUClassifier"):
        to_torch(classifier())


# -- state_dicts and files --


def gru_state(rng, dtype=np.float32, **sizes):
    return random_state_dict(rng, I, H, dtype, **sizes)


def with_prefix(prefix, state):
    return {prefix + name: array for name, array in state.items()}


@BOTH_DTYPES
@pytest.mark.parametrize("prefix", ["", "rnn.", "model.encoder.", "0.", "a.3."])
@pytest.mark.parametrize(
    "sizes", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}], ids=str
)
def test_names_of_a_gru_make_a_gru(sizes, prefix, dtype, rng):
    state = gru_state(rng, dtype, **sizes)
    gru = from_torch(with_prefix(prefix, state), batch_first=True)
    assert type(gru) is fastgru.GRU
    assert gru.batch_first
    assert gru.settings().items() >= sizes.items()
    assert_same_state(gru.state_dict(), state)


def test_more_than_ten_layers_keep_their_order(rng):
    state = gru_state(rng, num_layers=12)
    assert from_torch(state).num_layers == 12


@pytest.mark.parametrize("bias", [True, False])
def test_names_of_a_cell_make_a_cell(bias):
    module = randomize(nn.GRUCell(I, H, bias=bias))
    cell = from_torch(with_prefix("decoder.cell.", module.state_dict()))
    assert type(cell) is fastgru.GRUCell
    assert_same_state(cell.state_dict(), module.state_dict())


@pytest.mark.parametrize("prefix", ["", "net.layers."])
@pytest.mark.parametrize("batch_first", [False, True])
def test_numbered_names_make_a_network(batch_first, prefix, rng):
    modules = randomize(
        nn.Sequential(
            nn.Embedding(7, I),
            nn.GRU(I, H, bidirectional=True, batch_first=batch_first),
            nn.Linear(2 * H, 4, bias=False),
            nn.GRU(4, 3, batch_first=batch_first),
            nn.Linear(3, 2),
        )
    )
    state = with_prefix(prefix, modules.state_dict())
    network = from_torch(state, batch_first=batch_first)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Embedding", "GRU", "Dense", "GRU", "Dense"]
    tokens = rng.integers(7, size=(B, T) if batch_first else (T, B))
    assert_agree("outputs", network(tokens), run_chain(modules, tokens))


def test_a_lone_weight_without_a_gru_is_a_linear():
    network = from_torch({"0.weight": np.ones((2, 3)), "1.weight": np.ones((4, 2))})
    assert [type(layer).__name__ for layer in network.layers] == ["Dense", "Dense"]
    assert not network.layers[0].bias


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_files_of_torch_are_read(suffix, tmp_path):
    module = randomize(nn.GRU(I, H, 2))
    path = tmp_path / f"model{suffix}"
    torch.save(module.state_dict(), path)
    for place in (path, str(path)):
        assert_same_state(from_torch(place).state_dict(), module.state_dict())


def test_safetensors_are_read_without_torch(tmp_path, rng):
    path = tmp_path / "model.safetensors"
    state = with_prefix("0.", gru_state(rng)) | {"1.weight": draw(rng, 2, H)}
    save_file({name: np.ascontiguousarray(w) for name, w in state.items()}, path)
    code = """
        import sys
        sys.modules["torch"] = None
        from fastgru.exchange import from_torch
        print(from_torch(sys.argv[1], batch_first=True))
    """
    printed = run_python(code, path)
    assert printed.startswith("Network([GRU(input_size=3, hidden_size=5,")
    assert_same_state(from_torch(path).state_dict(), state)


def test_a_file_that_fastgru_wrote_goes_to_its_own_reader(tmp_path):
    path = tmp_path / "model.safetensors"
    fastgru.save(fastgru.GRU(I, H), path)
    with pytest.raises(ValueError, match=r"fastgru\.save: use fastgru\.load"):
        from_torch(path)


def test_a_pickled_module_is_refused_unread(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(nn.GRU(I, H), path)
    with pytest.raises(ValueError, match=r"more than tensors.*save its state_dict\(\)"):
        from_torch(path)


@pytest.mark.parametrize(
    "content", [b"", b"nothing of the kind", bytes(3000)], ids=repr
)
@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
def test_damaged_files_are_refused(name, content, tmp_path):
    path = tmp_path / name
    path.write_bytes(content[:20] if len(content) > 20 else content)
    with pytest.raises(ValueError, match=re.escape(name)):
        from_torch(path)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"\.safetensors, \.pt, .*got 'model\.h5'"):
        from_torch(tmp_path / "model.h5")
    with pytest.raises(FileNotFoundError, match=r"no file at .*model\.pt"):
        from_torch(tmp_path / "model.pt")
    torch.save([torch.zeros(3)], tmp_path / "model.pt")
    with pytest.raises(ValueError, match="must hold a state_dict, got list"):
        from_torch(tmp_path / "model.pt")


def test_half_precision_in_a_file_is_refused(tmp_path):
    from safetensors.torch import save_file as save_tensors

    path = tmp_path / "model.safetensors"
    for name, dtype in (("F16", torch.float16), ("BF16", torch.bfloat16)):
        save_tensors({"weight_ih_l0": torch.zeros(3, 1, dtype=dtype)}, path)
        message = rf"weight_ih_l0 must be .*float32 or float64, got {name}: convert"
        with pytest.raises(ValueError, match=message):
            from_torch(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": 3}, "epoch must be of dtype float32 or float64, got int64"),
        ({"state_dict": {}}, "entry 'state_dict' is itself a mapping: pass the one"),
        (
            {"bias_hh_l0": torch.zeros(15, dtype=torch.bfloat16)},
            "got bfloat16: convert",
        ),
        ({"bias_hh_l0": np.zeros(15)}, "of one dtype, got float32 and float64"),
        ({"weight_hh_l0": np.zeros((20, 5), np.float32)}, r"\(3H, H\).*LSTM has 4H"),
        ({"weight_hh_l0": np.zeros(15, np.float32)}, r"must have shape \(3H, H\)"),
        (
            {"bias_hh_l0": np.zeros(14, np.float32)},
            r"bias_hh_l0 must have shape \(15,\)",
        ),
        (
            {"weight_ih_l2": np.zeros((15, 3), np.float32)},
            "names do not match: missing",
        ),
        ({"fc.weight": np.zeros((2, 5), np.float32)}, r"parts \['', 'fc\.'\].*nn\.Seq"),
        ({"weight_ih_l0": np.full((15, 3), np.nan, np.float32)}, "not finite"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_state_dicts_that_do_not_fit_are_refused(change, message, rng):
    with pytest.raises(ValueError, match=message):
        from_torch(gru_state(rng) | change)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"2.weight": (2, 5)}, r"named by the numbers \[1\].*pass the nn\.Sequential"),
        ({"1.weight": (5,), "1.bias": (5,)}, r"module 1 has parameters .*\(5,\)"),
        ({"1.weight": (2, 5, 1)}, "module 1 has parameters"),
        ({"1.weight_ih": (6, 5), "1.weight_hh": (6, 2)}, "module 1 has parameters"),
        ({"1.weight": (2, 4)}, "layer 1 .*does not fit"),
        ({"a.1.weight": (2, 5)}, "how they are connected names do not tell"),
        ({"weight": (2, 5)}, "how they are connected names do not tell"),
        ({"1.weight_hh_l0": (6, 2)}, r"\['weight_ih_l0'\] missing"),
    ],
    ids=str,
)
def test_numbered_names_that_do_not_fit_are_refused(more, message, rng):
    state = with_prefix("0.", gru_state(rng))
    state |= {name: draw(rng, *shape) for name, shape in more.items()}
    with pytest.raises(ValueError, match=message):
        from_torch(state)


def test_the_state_dict_of_a_module_with_activations_is_refused():
    # Each activation has a number of its own, which is then missing.
    layers = [fastgru.GRU(I, H), fastgru.Dense(H, 4, activation="tanh")]
    network = fastgru.Network([*layers, fastgru.Dense(4, 2)])
    with pytest.raises(ValueError, match=r"named by the numbers \[2\]"):
        from_torch(to_torch(network).state_dict())
    layers = [fastgru.GRU(I, H), fastgru.Pooling("attention", n_features=H)]
    with pytest.raises(ValueError, match="score_weight"):
        from_torch(to_torch(fastgru.Network(layers)).state_dict())


# -- what is refused --


def test_other_objects_are_refused():
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.GRU, .*got .*\.LSTM"):
        from_torch(nn.LSTM(I, H))
    with pytest.raises(TypeError, match=r"got builtins\.int"):
        from_torch(3)
    with pytest.raises(TypeError, match=r"expected a GRU, .*got .*\.Dense"):
        to_torch(fastgru.Dense(I, H))
    with pytest.raises(TypeError, match="batch_first must be True or False"):
        from_torch(nn.GRU(I, H), batch_first=1)
    with pytest.raises(TypeError, match="drop_softmax must be True or False"):
        from_torch(nn.GRU(I, H), drop_softmax="yes")


def test_a_subclass_is_refused():
    class Special(nn.GRU):
        pass

    with pytest.raises(TypeError, match=r"got .*Special"):
        from_torch(Special(I, H))


def test_a_cell_has_no_order_of_axes():
    cell = nn.GRUCell(I, H)
    for source in (cell, cell.state_dict()):
        with pytest.raises(ValueError, match="a GRUCell has no batch_first"):
            from_torch(source, batch_first=False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_refused(dtype):
    message = r"must be a tensor of float32 or float64.*module\.float\(\)"
    for module in (nn.GRU(I, H), nn.GRUCell(I, H), nn.Sequential(nn.Linear(I, H))):
        with pytest.raises(ValueError, match=message):
            from_torch(module.to(dtype))


def test_a_module_without_data_is_refused():
    with pytest.raises(ValueError, match="with data, got .* on meta"):
        from_torch(nn.GRU(I, H, device="meta"))


@pytest.mark.parametrize(
    ("modules", "error", "message"),
    [
        (
            [nn.GRU(I, H), nn.ReLU()],
            ValueError,
            "module 1, ReLU.*directly behind a Lin",
        ),
        (
            [nn.ReLU(), nn.GRU(I, H)],
            ValueError,
            "module 0, ReLU.*directly behind a Lin",
        ),
        (
            [nn.Linear(I, H), nn.Dropout(0.5), nn.Tanh()],
            ValueError,
            "module 2, Tanh.*directly behind a Linear",
        ),
        ([nn.Linear(I, H), nn.Tanh(), nn.Tanh()], ValueError, "module 2, Tanh"),
        ([nn.Linear(I, H), nn.GELU()], TypeError, "module 1, GELU.*no counterpart"),
        ([nn.LSTM(I, H)], TypeError, r"module 0, LSTM.*no counterpart.*one by one"),
        (
            [nn.GRU(I, H), nn.Softmax(-1), nn.Linear(H, 2)],
            TypeError,
            "module 1, Softmax.*at the end alone",
        ),
        (
            [nn.Sequential(nn.GRU(I, H)), nn.Linear(H, 2)],
            TypeError,
            "module 0, Sequential.*put its modules into the outer one",
        ),
        (
            [nn.GRU(I, H), nn.GRU(H, 2, batch_first=True)],
            ValueError,
            "must agree on batch_first",
        ),
        (
            [nn.Embedding(7, I, padding_idx=0), nn.GRU(I, H)],
            ValueError,
            r"module 0, Embedding.*no padding_idx \(0\); pass lengths",
        ),
        (
            [nn.Embedding(7, I, max_norm=1.0), nn.GRU(I, H)],
            ValueError,
            r"module 0, Embedding.*no max_norm \(1\.0\); scale",
        ),
        ([nn.GRU(I, H), nn.Linear(H + 1, 2)], ValueError, "layer 1 .*does not fit"),
        ([nn.Dropout(0.5), nn.GRU(I, H)], ValueError, "the first layer must say"),
        ([nn.GRU(I, H), nn.Linear(H, 2).double()], ValueError, "of dtype float64, but"),
        ([], ValueError, "at least one layer"),
    ],
    ids=str,
)
def test_chains_that_do_not_fit_are_refused(modules, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        from_torch(nn.Sequential(*modules))


def test_a_softmax_over_steps_is_not_left_out():
    modules = nn.Sequential(nn.GRU(I, H), nn.Softmax(0))
    with pytest.raises(ValueError, match="module 1, .*not over the outputs of a step"):
        from_torch(modules, drop_softmax=True)


def test_the_other_cell_is_refused():
    message = "has reset_after=False, but in PyTorch.*convert to Keras or ONNX"
    other = {"reset_after": False}
    for model in (
        fastgru.GRU(I, H, **other),
        fastgru.GRUCell(I, H, **other),
        fastgru.Network([fastgru.GRU(I, H), fastgru.GRU(H, 2, **other)]),
        classifier(4, max_iter=1, **other).fit(X, Y),
    ):
        with pytest.raises(ValueError, match=message):
            to_torch(model)


# -- the check at the end --


@pytest.fixture
def change_arrays(monkeypatch):
    """Give what makes conversions to fastgru go wrong in the GRU's parameters."""

    def change(function):
        def wrong(part, **settings):
            if part.layer in (fastgru.GRU, fastgru.GRUCell):
                part = part._replace(state=function(part.state))
            return make(part, **settings)

        make = Part.make
        monkeypatch.setattr(Part, "make", wrong)

    return change


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    "module",
    [nn.GRU(I, H), nn.GRUCell(I, H), nn.Sequential(nn.GRU(I, H), nn.Linear(H, 2))],
    ids=lambda module: type(module).__name__,
)
def test_a_wrong_conversion_from_torch_is_noticed(module, dtype, change_arrays):
    module = randomize(copy.deepcopy(module).to(dtype))
    change_arrays(negate_update_gate)
    for source in (module, module.state_dict()):
        with pytest.raises(RuntimeError, match="the two models disagree"):
            from_torch(source)


def test_small_errors_are_noticed(change_arrays):
    module = randomize(nn.GRU(I, H))
    change_arrays(lambda state: {k: w * np.float32(1.0001) for k, w in state.items()})
    with pytest.raises(RuntimeError, match="the two models disagree"):
        from_torch(module)


def test_errors_far_below_float32_are_noticed_in_float64(change_arrays):
    module = randomize(nn.GRU(I, H).double())
    change_arrays(lambda state: {k: w * (1 + 1e-8) for k, w in state.items()})
    with pytest.raises(RuntimeError, match="the two models disagree"):
        from_torch(module)


@pytest.mark.parametrize(
    "model",
    [
        fastgru.GRU(I, H, random_state=0),
        fastgru.GRUCell(I, H, random_state=0),
        fastgru.Network([fastgru.GRU(I, H, random_state=0)]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_wrong_conversion_to_torch_is_noticed(model, monkeypatch):
    from fastgru.exchange import _torch_writing

    def wrong(module, state):
        return load(module, negate_update_gate(state))

    load = _torch_writing._load
    monkeypatch.setattr(_torch_writing, "_load", wrong)
    with pytest.raises(RuntimeError, match="the two models disagree"):
        to_torch(model)


def test_a_wrong_treatment_of_lengths_is_noticed(monkeypatch):
    from fastgru.exchange.torch_network import Pooling

    def wrong(x, n_steps, axis):
        return x.select(axis, -1)

    layers = [fastgru.GRU(I, H), fastgru.Dense(H, 2), fastgru.Pooling("last")]
    monkeypatch.setattr(Pooling, "_last", staticmethod(wrong))
    with pytest.raises(RuntimeError, match="the two models disagree"):
        to_torch(fastgru.Network(layers))


def test_a_module_that_does_something_else_is_noticed():
    module = randomize(nn.GRU(I, H))
    module.register_forward_hook(
        lambda _, inputs, results: (2 * results[0], results[1])
    )
    with pytest.raises(
        RuntimeError, match="computes something else than its layers say"
    ):
        from_torch(module)


def test_parameters_that_are_not_finite_are_refused():
    module = nn.GRU(I, H)
    with torch.no_grad():
        module.bias_hh_l0[3] = torch.nan
    with pytest.raises(ValueError, match="do the parameters hold NaN or infinity"):
        from_torch(module)


def test_small_differences_of_large_numbers_are_no_false_alarm(monkeypatch):
    from fastgru.exchange import _self_check

    modules = randomize(nn.Sequential(nn.Linear(I, 400), nn.Linear(400, 2)))
    with torch.no_grad():
        modules[0].bias.add_(300)
        modules[1].weight[:, 200:] = -modules[1].weight[:, :200]
    numpys = np.random.mtrand._rand.get_state()[1]
    from_torch(modules)
    assert np.array_equal(np.random.mtrand._rand.get_state()[1], numpys)
    # It would be one, were not asked what rounding does to the results.
    monkeypatch.setattr(_self_check, "_LARGEST_ROUNDING", 0.0)
    with pytest.raises(RuntimeError, match="the two models disagree"):
        from_torch(modules)


# -- loading --


def test_the_package_is_loaded_without_torch():
    code = """
        import sys
        import fastgru.exchange
        from fastgru.exchange import from_torch, to_torch
        print({"torch", "keras", "onnx"} & set(sys.modules))
    """
    assert run_python(code).strip() == "set()"


def test_public_names_are_there():
    from fastgru import exchange

    assert set(exchange.__all__) <= set(dir(exchange))
    assert exchange.from_torch is from_torch
    with pytest.raises(AttributeError, match="no attribute 'from_lasagne'"):
        exchange.from_lasagne  # noqa: B018
