"""Models in files: whole, the same bits in another process, and nothing run on load."""

import hashlib
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

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
from fastgru.training.history import History
from networks import EACH_NETWORK, draw_inputs, make_network
from problems import classifier, draw_classes, last_sums, pad, regressor, transformer
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("target", ["classes", "labels", "numbers", None])
def test_a_transformer_comes_back(path, target, dtype):
    y = {
        "classes": Y,
        "labels": np.stack([Y, 1 - Y], axis=1),
        "numbers": last_sums(X),
        None: None,
    }[target]
    model = transformer(5, max_iter=2, pooling="mean", dtype=dtype).fit(X, y)
    loaded = save_and_load(model, path)
    assert vars(loaded).keys() == vars(model).keys()
    assert_same_bits("vectors", loaded.transform(X_NEW), model.transform(X_NEW))
    assert list(loaded.get_feature_names_out()) == list(model.get_feature_names_out())


def test_a_transformer_of_tokens_comes_back(path):
    tokens = np.random.default_rng(0).integers(0, 7, (20, 6))
    model = transformer(5, n_tokens=7, max_iter=2).fit(tokens)
    loaded = save_and_load(model, path)
    assert_same_bits("vectors", loaded.transform(tokens), model.transform(tokens))
    stream = loaded.stream()
    assert 0 <= stream.predict(3) < 7


def test_a_transformer_keeps_the_pooling_of_its_fit(path):
    model = transformer(5, max_iter=2).fit(X).set_params(pooling="max")
    loaded = save_and_load(model, path)
    assert loaded.pooling == "max"
    assert_same_bits("vectors", loaded.transform(X_NEW), model.transform(X_NEW))


@pytest.mark.parametrize("settings", [{}, {"with_mean": False}, {"with_std": False}])
def test_a_scaler_comes_back(path, settings):
    model = fastgru.SequenceScaler(**settings).fit(X)
    loaded = save_and_load(model, path)
    assert loaded.get_params() == model.get_params()
    for name in ("mean_", "var_", "scale_"):
        assert_same_bits(name, getattr(loaded, name), getattr(model, name))
    assert loaded.n_steps_seen_ == model.n_steps_seen_
    assert loaded.n_features_in_ == 2
    results = zip(loaded.transform(X_NEW), model.transform(X_NEW), strict=True)
    for result, expected in results:
        assert_same_bits("scaled", result, expected)


def test_a_scaler_of_a_table_keeps_names_and_the_kind_of_its_output(path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(9, 3)))
    frame.columns = ["a", "é", "c"]
    model = fastgru.SequenceScaler().set_output(transform="pandas").fit(frame)
    loaded = save_and_load(model, path)
    assert loaded.feature_names_in_.tolist() == ["a", "é", "c"]
    pandas.testing.assert_frame_equal(loaded.transform(frame), model.transform(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.transform(frame[["é", "a", "c"]])


def test_a_pipeline_comes_back(path):
    steps = [
        ("scale.it", fastgru.SequenceScaler()),
        ("nothing", "passthrough"),
        ("é", transformer(4, max_iter=2)),
        ("learn", classifier(3, max_iter=2)),
    ]
    model = Pipeline(steps, verbose=False, memory=None).fit(X, np.array(["a", "b"])[Y])
    loaded = save_and_load(model, path)
    assert type(loaded) is Pipeline
    assert [name for name, _ in loaded.steps] == [name for name, _ in steps]
    assert loaded.named_steps["nothing"] == "passthrough"
    assert loaded.get_params().keys() == model.get_params().keys()
    assert_same_bits("results", loaded.predict_proba(X_NEW), model.predict_proba(X_NEW))
    assert loaded.predict(X_NEW).tolist() == model.predict(X_NEW).tolist()
    prefixes = {name.rsplit(".", 1)[0] for name in load_file(path)}
    assert prefixes == {"scale.it", "é.0", "é.2", "learn.0", "learn.2"}


def test_a_pipelines_settings_come_back_but_its_memory(path, tmp_path):
    scaler = fastgru.SequenceScaler().fit(X)
    model = Pipeline(
        [("scale", scaler)],
        memory=str(tmp_path / "cache"),
        transform_input=["X_val"],
        verbose=True,
    )
    loaded = save_and_load(model, path)
    assert (loaded.memory, loaded.transform_input, loaded.verbose) == (
        None,
        ["X_val"],
        True,
    )


def test_a_training_that_ended_in_nan_comes_back(path):
    model = classifier(3, max_iter=2, early_stopping=True).fit(X, Y)
    model._network._parameters.flat[...] = np.nan
    history = model._history
    history.losses[0] = np.nan
    loaded = save_and_load(model, path)
    assert np.isnan(loaded.predict_proba(X_NEW)).all()
    np.testing.assert_array_equal(loaded.loss_curve_, history.losses)
    assert loaded._history.best_loss == history.losses[1]


def test_a_million_losses_come_back(path):
    model = classifier(1, max_iter=2).fit(X, Y)
    losses = np.random.default_rng(0).random(1_000_000).tolist()
    model._history = History.of(losses, [])
    assert save_and_load(model, path).loss_curve_ == losses


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


@pytest.mark.parametrize(
    "step",
    [LinearRegression(), Pipeline([("scale", fastgru.SequenceScaler())])],
    ids=["another class", "a pipeline"],
)
def test_steps_of_other_classes_are_refused(path, step):
    model = Pipeline([("scale", fastgru.SequenceScaler().fit(X)), ("odd", step)])
    with pytest.raises(TypeError, match="'odd' is of class sklearn.*joblib or skops"):
        fastgru.save(model, path)
    assert not path.exists()


def test_unfitted_steps_are_refused(path):
    steps = [("scale", fastgru.SequenceScaler().fit(X)), ("learn", classifier())]
    with pytest.raises(NotFittedError, match="GRUClassifier.*is not fitted"):
        fastgru.save(Pipeline(steps), path)


def test_steps_that_do_not_fit_are_refused(path):
    scaler = fastgru.SequenceScaler().fit(X)
    learned = classifier(3, max_iter=1).fit([x[:, :1] for x in X], Y)
    with pytest.raises(ValueError, match="reads sequences of 1 features.*of 2 feat"):
        fastgru.save(Pipeline([("scale", scaler), ("learn", learned)]), path)
    with pytest.raises(ValueError, match="GRUClassifier must be the last step"):
        fastgru.save(Pipeline([("learn", learned), ("end", "passthrough")]), path)
    with pytest.raises(ValueError, match="has a step that was fitted"):
        fastgru.save(Pipeline([("end", "passthrough")]), path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tol": -1.0}, "'tol' parameter.*-1.0"),
        ({"hidden_size": [3, "x"]}, "whole numbers"),
        ({"n_tokens": 5}, "n_tokens=5, but it was fitted on sequences of 2"),
    ],
    ids=str,
)
def test_what_could_not_be_loaded_is_not_saved(path, settings, message):
    model = classifier(3, max_iter=1).fit(X, Y).set_params(**settings)
    with pytest.raises(
        ValueError, match=f"this GRUClassifier cannot be saved.*{message}"
    ):
        fastgru.save(model, path)
    assert not path.exists()


def test_a_missing_folder_is_an_error(path):
    with pytest.raises(OSError, match="nowhere"):
        fastgru.save(make_gru(), path.parent / "nowhere" / "model")


# -- nothing runs on load --


def test_loading_runs_nothing(path, tmp_path):
    # Python reports to a hook whatever is compiled, run, imported or unpickled.
    layer, model = tmp_path / "layer", tmp_path / "classifier"
    network, pipeline = tmp_path / "network", tmp_path / "pipeline"
    forecaster, dated = tmp_path / "forecaster", tmp_path / "dated"
    fastgru.save(make_gru(), layer)
    fastgru.save(make_network("tokens"), network)
    fastgru.save(classifier(max_iter=1).fit(X, np.array(["a", "b"])[Y]), model)
    steps = [("scale", fastgru.SequenceScaler()), ("learn", transformer(max_iter=1))]
    fastgru.save(Pipeline(steps).fit(X), pipeline)
    series = np.random.default_rng(0).normal(size=30)
    settings = {"hidden_size": 2, "max_iter": 1, "random_state": 0}
    fastgru.save(fastgru.GRUForecaster(3, **settings).fit(series), forecaster)
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2000", periods=30, freq="QE", tz="Europe/Berlin")
    series = pandas.Series(series, index)
    settings["strategy"] = "recursive"
    fastgru.save(fastgru.GRUForecaster(3, **settings).fit(series), dated)
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
    paths = layer, network, model, pipeline, forecaster, dated
    assert run_python(code, *paths).split() == []


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
