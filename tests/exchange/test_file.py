"""Models in files: whole, the same bits in another process, and nothing run on load."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

import fastgru
from cases import (
    BOTH_CELLS,
    BOTH_DTYPES,
    STACKS,
    assert_same_results,
    make_case,
    random_state_dict,
    run_layer,
)
from children import run_python
from networks import EACH_NETWORK, draw_inputs, make_network
from problems import classifier, draw_classes, last_sums, pad, regressor
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
X_NEW, _ = draw_classes(seed=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def make_gru(**settings):
    """Make a layer with random parameters, different in each gate."""
    gru = fastgru.GRU(3, 5, **settings)
    rng = np.random.default_rng(0)
    gru.load_state_dict(random_state_dict(rng, 3, 5, gru.dtype))
    return gru


def save_and_load(model, path):
    """Save a model and load it again."""
    fastgru.save(model, path)
    return fastgru.load(path)


def digest(array):
    """Hash the bits of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def digest_in_another_process(path, inputs, expression):
    """Load a model elsewhere and hash what an expression in model and x gives."""
    np.save(path.with_suffix(".npy"), inputs)
    code = """
        import hashlib
        import sys
        import numpy as np
        import fastgru
        model, x = fastgru.load(sys.argv[1]), np.load(sys.argv[2])
        result = np.ascontiguousarray(eval(sys.argv[3]))
        print(hashlib.sha256(result.tobytes()).hexdigest())
    """
    return run_python(code, path, path.with_suffix(".npy"), expression).strip()


# -- layers --


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_layer_comes_back(path, batch_first, dtype, reset_after, rng):
    gru = make_gru(batch_first=batch_first, dtype=dtype, reset_after=reset_after)
    loaded = save_and_load(gru, path)
    assert type(loaded) is fastgru.GRU
    assert loaded.settings() == gru.settings()
    expected = gru.state_dict()
    for name, array in loaded.state_dict().items():
        assert_same_bits(name, array, expected[name])
    x = rng.standard_normal((7, 4, 3)).astype(dtype)
    for result, array in zip(loaded(x), gru(x), strict=True):
        assert_same_bits("result", result, array)


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
def test_a_stack_comes_back(path, stack, dtype, reset_after):
    options = {"dtype": dtype, "reset_after": reset_after, "lengths": "ragged"}
    case = make_case((5, 4, 3, 7), **options, **stack)
    loaded = save_and_load(case.gru, path)
    assert loaded.settings() == case.gru.settings()
    assert_same_results(run_layer(case.but(gru=loaded)), run_layer(case))


def test_every_setting_comes_back(path):
    settings = {
        "input_size": 3,
        "hidden_size": 5,
        "num_layers": 2,
        "bias": False,
        "batch_first": True,
        "dropout": 0.1,
        "bidirectional": True,
        "recurrent_dropout": 1 / 3,
        "reset_after": False,
        "initializer": "glorot_orthogonal",
        "dtype": "float64",
    }
    assert save_and_load(fastgru.GRU(**settings), path).settings() == settings


@BOTH_DTYPES
@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (fastgru.GRUCell, {"input_size": 3, "hidden_size": 5}),
        (
            fastgru.GRUCell,
            {"input_size": 3, "hidden_size": 5, "bias": False, "reset_after": False},
        ),
        (fastgru.Embedding, {"n_tokens": 3, "embedding_dim": 5}),
        (fastgru.Dense, {"input_size": 3, "output_size": 5, "activation": "tanh"}),
        (fastgru.Dense, {"input_size": 3, "output_size": 5, "bias": False}),
        (fastgru.Pooling, {"how": "max"}),
        (fastgru.Pooling, {"how": "attention", "n_features": 3}),
    ],
    ids=str,
)
def test_other_layers_come_back(path, cls, arguments, dtype):
    layer = cls(**arguments, dtype=dtype, random_state=0)
    loaded = save_and_load(layer, path)
    assert type(loaded) is cls
    assert loaded.settings() == layer.settings()
    assert loaded.settings().items() >= arguments.items()
    expected = layer.state_dict()
    assert list(loaded.state_dict()) == list(expected)
    for name, array in loaded.state_dict().items():
        assert_same_bits(name, array, expected[name])


def test_a_layer_without_parameters_comes_back(path):
    assert repr(save_and_load(fastgru.Dropout(0.25), path)) == "Dropout(rate=0.25)"


def test_a_loaded_cell_gives_the_same_bits(path, rng):
    cell = fastgru.GRUCell(3, 5, random_state=0)
    x, h = (rng.standard_normal((4, n)).astype(np.float32) for n in (3, 5))
    assert_same_bits("h", save_and_load(cell, path)(x, h), cell(x, h))


def test_another_process_computes_the_same_bits_with_a_layer(path, rng):
    gru = make_gru()
    fastgru.save(gru, path)
    x = rng.standard_normal((7, 4, 3)).astype(np.float32)
    found = digest_in_another_process(path, x, "model(x)[0]")
    assert found == digest(gru(x)[0])


# -- networks --


@EACH_NETWORK
@BOTH_DTYPES
@pytest.mark.parametrize("batch_first", [False, True])
def test_a_network_comes_back(path, kind, batch_first, dtype):
    network = make_network(kind, dtype=dtype, batch_first=batch_first)
    loaded = save_and_load(network, path)
    assert type(loaded) is fastgru.Network
    assert repr(loaded) == repr(network)
    expected = network.state_dict()
    assert list(loaded.state_dict()) == list(expected)
    for name, array in loaded.state_dict().items():
        assert_same_bits(name, array, expected[name])
    x = draw_inputs(kind, 4, 4, dtype=dtype)
    assert_same_bits("outputs", loaded(x, [4, 0, 2, 1]), network(x, [4, 0, 2, 1]))
    results = [n.vjp(x, dropout_seed=5)[0] for n in (loaded, network)]
    assert_same_bits("outputs under dropout", *results)


def test_another_process_computes_the_same_bits_with_a_network(path):
    network, x = make_network("tokens"), draw_inputs("tokens", 5, 4)
    fastgru.save(network, path)
    found = digest_in_another_process(path, x, "model(x, [5, 0, 2, 4])")
    assert found == digest(network(x, [5, 0, 2, 4]))


# -- estimators --


def assert_same_estimators(loaded, model):
    """Compare all that a user can see of two fitted estimators."""
    assert type(loaded) is type(model)
    assert loaded.get_params() == model.get_params()
    fitted = {k: v for k, v in vars(model).items() if k.endswith("_")}
    assert {k for k in vars(loaded) if k.endswith("_")} == set(fitted)
    for name, value in fitted.items():
        if isinstance(value, np.ndarray):
            assert_same_bits(name, getattr(loaded, name), value)
        else:
            assert getattr(loaded, name) == value, name
            assert type(getattr(loaded, name)) is type(value), name
    np.testing.assert_array_equal(loaded.predict(X_NEW), model.predict(X_NEW))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["down", "an up"]),
        np.array([False, True]),
        np.array([7, -3]),
        np.array([5, 9], np.uint8),
        np.array([1.0, 2.0]),
        np.array(["text", "é"], dtype=object),
    ],
    ids=repr,
)
def test_a_classifier_comes_back(path, labels):
    model = classifier(max_iter=3, early_stopping=True).fit(X, labels[Y])
    loaded = save_and_load(model, path)
    if labels.dtype == object:
        assert loaded.classes_.tolist() == model.classes_.tolist()
        model.classes_ = loaded.classes_  # their bits are addresses
    assert_same_estimators(loaded, model)
    assert loaded.predict(X_NEW).dtype == labels.dtype
    assert_same_bits(
        "probabilities", loaded.predict_proba(X_NEW), model.predict_proba(X_NEW)
    )


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 2)], ids=str)
def test_a_regressor_comes_back(path, shape, dtype, reset_after):
    settings = {"dtype": np.dtype(dtype).name, "reset_after": reset_after}
    y = np.resize(last_sums(X), shape)
    model = regressor(max_iter=3, **settings).fit(X, y)
    loaded = save_and_load(model, path)
    assert_same_estimators(loaded, model)
    assert_same_bits("predictions", loaded.predict(X_NEW), model.predict(X_NEW))


def test_another_process_predicts_the_same_bits(path):
    model = classifier(max_iter=3).fit(X, np.array(["down", "up"])[Y])
    fastgru.save(model, path)
    x = pad(X_NEW)
    found = digest_in_another_process(path, x, "model.predict_proba(x)")
    assert found == digest(model.predict_proba(x))
    found = digest_in_another_process(path, x, "model.predict(x)")
    assert found == digest(model.predict(x))

    model = regressor(max_iter=3).fit(X, last_sums(X))
    fastgru.save(model, path)
    found = digest_in_another_process(path, x, "model.predict(x)")
    assert found == digest(model.predict(x))


def test_a_univariate_model_keeps_its_form(path):
    rows = np.array([x[-3:, 0] for x in X])
    model = classifier(max_iter=3).fit(rows, Y)
    loaded = save_and_load(model, path)
    assert_same_bits("results", loaded.predict_proba(rows), model.predict_proba(rows))
    with pytest.raises(ValueError, match="was fitted on univariate sequences of 3"):
        loaded.predict(X)


def test_parameters_of_numpys_types_come_back_as_pythons(path):
    settings = {"hidden_size": np.int64(4), "tol": np.float32(0.5)}
    model = classifier(max_iter=1, **settings).fit(X, Y)
    assert save_and_load(model, path).get_params()["hidden_size"] == 4


def test_infinite_and_missing_parameters_come_back(path):
    model = classifier(max_iter=1, n_iter_no_change=np.inf, clip_norm=None).fit(X, Y)
    parameters = save_and_load(model, path).get_params()
    assert parameters["n_iter_no_change"] == np.inf
    assert parameters["clip_norm"] is None


def test_a_generator_as_random_state_is_left_out(path):
    model = classifier(max_iter=1, random_state=np.random.RandomState(0)).fit(X, Y)
    loaded = save_and_load(model, path)
    assert loaded.random_state is None
    assert_same_bits("results", loaded.predict_proba(X), model.predict_proba(X))


def test_a_loaded_model_can_be_fitted_again(path):
    model = classifier(max_iter=3).fit(X, Y)
    loaded = save_and_load(model, path)
    assert loaded.fit(X, Y).loss_curve_ == model.loss_curve_
    assert clone(loaded).get_params() == model.get_params()


@pytest.mark.parametrize("as_text", [False, True])
def test_paths_may_be_text(path, as_text):
    place = str(path) if as_text else path
    save_and_load(make_gru(), place)
    assert os.listdir(path.parent) == [path.name]


# -- what is refused --


@pytest.mark.parametrize("model", [None, {"a": 1}, LinearRegression()], ids=repr)
def test_other_objects_are_refused(path, model):
    name = type(model).__name__
    message = rf"expected a layer, a Network, a GRUClassifier, .*, got .*\.{name}"
    with pytest.raises(TypeError, match=message):
        fastgru.save(model, path)
    assert not path.exists()


def test_a_subclass_is_refused(path):
    class Special(fastgru.GRU):
        pass

    with pytest.raises(TypeError, match="got .*Special"):
        fastgru.save(Special(3, 5), path)
    with pytest.raises(TypeError, match="Special"):
        fastgru.save(fastgru.Network([Special(3, 5)]), path)
    assert not path.exists()


def test_unfitted_estimators_are_refused(path):
    with pytest.raises(NotFittedError, match="GRUClassifier.*is not fitted"):
        fastgru.save(classifier(), path)
    assert not path.exists()


def test_a_missing_file_is_named(path):
    with pytest.raises(FileNotFoundError, match="no model file at .*model.safetensors"):
        fastgru.load(path)


def test_a_missing_folder_is_an_error(path):
    with pytest.raises(OSError, match="nowhere"):
        fastgru.save(make_gru(), path.parent / "nowhere" / "model")


@pytest.mark.parametrize("content", [b"", b"x", b"no model" * 99, bytes(1000)])
def test_a_file_of_another_kind_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or not a"):
        fastgru.load(path)


def test_safetensors_of_another_program_are_refused(path):
    save_file({"weight": np.ones(3)}, path)
    with pytest.raises(ValueError, match=r"was not written by fastgru\.save"):
        fastgru.load(path)
    save_file({"weight": np.ones(3)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"was not written by fastgru\.save.*'pt'"):
        fastgru.load(path)


def test_every_truncation_is_refused(path):
    fastgru.save(fastgru.GRU(1, 1, random_state=0), path)
    content = path.read_bytes()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            fastgru.load(path)


@pytest.mark.parametrize("change", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_refused(path, change):
    fastgru.save(fastgru.GRU(1, 1, random_state=0), path)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        content[place] ^= change
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            fastgru.load(path)
        content[place] ^= change


@pytest.mark.parametrize("kind", ["estimator", "network"])
def test_every_changed_byte_of_a_larger_file_is_refused(path, kind):
    if kind == "estimator":
        model = classifier(1, max_iter=1).fit([x[:, :1] for x in X], Y)
    else:
        model = make_network("last of steps")
    fastgru.save(model, path)
    content = bytearray(path.read_bytes())
    for place in range(len(content)):
        content[place] ^= 0x02
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            fastgru.load(path)
        content[place] ^= 0x02


# -- nothing runs on load --


def rewrite(path, change):
    """Change a file's description and give it the right digest."""
    from safetensors import safe_open

    from fastgru.exchange.container import digest_of

    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
    description = json.loads(header["model"])
    change(description)
    text = json.dumps(description)
    header |= {"model": text, "digest": digest_of(text, tensors)}
    save_file(tensors, path, metadata=header)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "GRUForecaster", "", None], ids=repr
)
def test_only_known_classes_are_made(path, name):
    fastgru.save(make_gru(), path)
    rewrite(path, lambda description: description.update({"class": name}))
    with pytest.raises(ValueError, match="which this version of fastgru does not know"):
        fastgru.load(path)


@pytest.mark.parametrize(
    "name", ["os.system", "GRUClassifier", "Network", None], ids=repr
)
def test_only_known_layers_are_made(path, name):
    fastgru.save(make_network("tokens"), path)
    rewrite(path, lambda description: description["layers"][2].update({"class": name}))
    with pytest.raises(ValueError, match="does not describe a model"):
        fastgru.load(path)


@pytest.mark.parametrize("field", ["layers", "batch_first"])
def test_a_networks_description_without_a_part_is_refused(path, field):
    fastgru.save(make_network("tokens"), path)
    rewrite(path, lambda description: description.pop(field))
    with pytest.raises(ValueError, match="does not describe a model"):
        fastgru.load(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 6}, "must have shape"),
        ({"num_layers": 2}, "missing.*weight_ih_l1"),
        ({"bias": False}, "unexpected.*bias_ih_l0"),
        ({"dtype": "float64"}, "must have dtype float64"),
        ({"hidden_size": 10**7}, "model"),
        ({"hidden_size": "5"}, "model"),
        ({"other": 5}, "model"),
        ({"random_state": 5}, "model"),
    ],
    ids=str,
)
def test_settings_that_do_not_fit_the_weights_are_refused(path, settings, message):
    fastgru.save(make_gru(), path)
    rewrite(path, lambda description: description["settings"].update(settings))
    with pytest.raises(ValueError, match=message):
        fastgru.load(path)


@pytest.mark.parametrize("field", ["settings", "network", "form", "fitted", "task"])
def test_a_description_without_a_part_is_refused(path, field):
    fastgru.save(classifier(max_iter=1).fit(X, Y), path)
    rewrite(path, lambda description: description.pop(field))
    with pytest.raises(ValueError, match="does not describe a model"):
        fastgru.load(path)


def test_loading_runs_nothing(path, tmp_path):
    # Python reports to a hook whatever is compiled, run, imported or unpickled.
    layer, model = tmp_path / "layer", tmp_path / "classifier"
    network = tmp_path / "network"
    fastgru.save(make_gru(), layer)
    fastgru.save(make_network("tokens"), network)
    fastgru.save(classifier(max_iter=1).fit(X, np.array(["a", "b"])[Y]), model)
    code = """
        import sys
        import fastgru
        for path in sys.argv[1:]:
            fastgru.load(path)  # imports and compiles what it needs
        kinds = ("compile", "exec", "import", "os.system", "os.exec", "os.spawn")
        kinds += ("os.fork", "pickle.", "socket.", "subprocess.")
        events = []
        armed = True
        sys.addaudithook(
            lambda event, arguments: (
                events.append(event) if armed and event.startswith(kinds) else None
            )
        )
        for path in sys.argv[1:]:
            fastgru.load(path)
        armed = False
        print(*events)
    """
    assert run_python(code, layer, network, model).split() == []


def test_files_hold_no_pickle(path):
    fastgru.save(classifier(max_iter=1).fit(X, np.array(["a", "b"])[Y]), path)
    tensors = load_file(path)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    assert set(tensors) == {*(f"0.{name}" for name in names), "2.weight", "2.bias"}


# -- all or nothing --


def test_a_file_has_the_permissions_of_any_new_file(path):
    fastgru.save(make_gru(), path)
    other = path.with_name("other")
    other.write_bytes(b"")
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("function", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
def test_an_interrupted_save_leaves_the_old_file(path, function, error, monkeypatch):
    fastgru.save(make_gru(), path)
    before = path.read_bytes()

    def fail(*arguments):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, function, fail)
        with pytest.raises(type(error)):
            fastgru.save(make_gru(reset_after=False), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]  # no remains
    assert save_and_load(make_gru(reset_after=False), path).reset_after is False


def test_a_refused_model_leaves_the_old_file(path):
    fastgru.save(make_gru(), path)
    before = path.read_bytes()
    model = classifier(max_iter=1).fit(X, Y)
    model.set_params(random_state=object())
    with pytest.raises(TypeError, match="random_state of type object cannot be saved"):
        fastgru.save(model, path)
    assert path.read_bytes() == before


def test_a_file_may_be_moved_and_read_from_anywhere(path, tmp_path):
    fastgru.save(make_gru(), path)
    other = tmp_path / "folder with space" / "é.model"
    other.parent.mkdir()
    shutil.move(path, other)
    assert fastgru.load(other).hidden_size == 5
