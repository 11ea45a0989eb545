"""Graphs that ONNX Runtime runs: the same numbers at any number of steps and rows."""

import os
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

import fastgru
from cases import BOTH_CELLS, random_state_dict
from children import run_python
from networks import EACH_NETWORK, draw_inputs, make_network, pools
from onnx_models import onnx, run_onnx
from problems import (
    classifier,
    draw_classes,
    draw_sequences,
    pad,
    regressor,
    transformer,
)
from tolerances import assert_close, assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

to_onnx = fastgru.exchange.to_onnx
TOLERANCE = 1e-5
QUICK = {"max_iter": 2}

BOTH_DIRECTIONS = pytest.mark.parametrize(
    "bidirectional", [False, True], ids=["forward", "bidirectional"]
)
BOTH_LAYERS = pytest.mark.parametrize("num_layers", [1, 2], ids=["1_layer", "2_layers"])
WITH_BIAS = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
BATCH_FIRST = pytest.mark.parametrize(
    "batch_first", [False, True], ids=["time_first", "batch_first"]
)


def make_gru(rng, input_size=3, hidden_size=5, *, dtype=np.float32, **settings):
    """Make a layer with random parameters, different in each gate."""
    gru = fastgru.GRU(input_size, hidden_size, dtype=dtype, **settings)
    names = ("num_layers", "bias", "bidirectional")
    shape = {name: settings[name] for name in names if name in settings}
    gru.load_state_dict(random_state_dict(rng, input_size, hidden_size, dtype, **shape))
    return gru


def draw(rng, *shape):
    """Draw float32 numbers."""
    return rng.standard_normal(shape).astype(np.float32)


def assert_all_close(actual, expected):
    """Assert that float32 arrays agree, by name."""
    assert set(actual) == set(expected)
    for name, array in expected.items():
        assert_close(name, actual[name], array, np.float32, TOLERANCE)


def names_of(values):
    """Give the names of a graph's inputs or outputs."""
    return [value.name for value in values]


# -- layers --


@BATCH_FIRST
@BOTH_CELLS
@WITH_BIAS
@BOTH_DIRECTIONS
@BOTH_LAYERS
def test_a_gru(num_layers, bidirectional, bias, reset_after, batch_first, rng):
    settings = {"bias": bias, "bidirectional": bidirectional}
    settings |= {"reset_after": reset_after, "batch_first": batch_first}
    gru = make_gru(rng, num_layers=num_layers, **settings)
    model = to_onnx(gru)
    for T, B in [(1, 1), (11, 4)]:
        x = draw(rng, *((B, T) if batch_first else (T, B)), 3)
        h_0 = draw(rng, num_layers * (1 + bidirectional), B, 5)
        lengths = rng.integers(1, T + 1, B).astype(np.int32)
        feeds = {"X": x, "sequence_lens": lengths, "initial_h": h_0}
        y, y_h = gru(x, h_0, lengths)
        assert_all_close(run_onnx(model, feeds), {"Y": y, "Y_h": y_h})


@BATCH_FIRST
@pytest.mark.parametrize("lengths", [False, True])
@pytest.mark.parametrize("initial_state", [False, True])
def test_inputs_may_be_left_out(lengths, initial_state, batch_first, rng):
    gru = make_gru(rng, num_layers=2, batch_first=batch_first)
    model = to_onnx(gru, lengths=lengths, initial_state=initial_state)
    given = {"X": True, "sequence_lens": lengths, "initial_h": initial_state}
    assert names_of(model.graph.input) == [name for name in given if given[name]]
    x, h_0 = draw(rng, 6, 4, 3), draw(rng, 2, 6 if batch_first else 4, 5)
    n_steps = x.shape[batch_first]
    arrays = {"X": x, "initial_h": h_0}
    arrays["sequence_lens"] = np.full(h_0.shape[1], n_steps, np.int32)
    feeds = {name: array for name, array in arrays.items() if given[name]}
    y, y_h = gru(x, h_0 if initial_state else None)
    assert_all_close(run_onnx(model, feeds), {"Y": y, "Y_h": y_h})


@BOTH_CELLS
@WITH_BIAS
def test_a_cell(bias, reset_after, rng):
    cell = fastgru.GRUCell(3, 5, bias, reset_after=reset_after)
    drawn = random_state_dict(rng, 3, 5, np.float32, bias=bias)
    cell.load_state_dict({name[:-3]: array for name, array in drawn.items()})
    x, h = draw(rng, 4, 3), draw(rng, 4, 5)
    actual = run_onnx(to_onnx(cell), {"X": x, "initial_h": h})
    assert_all_close(actual, {"Y_h": cell(x, h)})
    actual = run_onnx(to_onnx(cell, initial_state=False), {"X": x})
    assert_all_close(actual, {"Y_h": cell(x)})


def test_sequences_of_no_steps_end_in_zeros_there(rng):
    gru = make_gru(rng)
    x, h_0 = draw(rng, 4, 2, 3), draw(rng, 1, 2, 5)
    feeds = {"X": x, "sequence_lens": np.array([4, 0], np.int32), "initial_h": h_0}
    y_h = run_onnx(to_onnx(gru), feeds)["Y_h"]
    expected = gru(x, h_0, feeds["sequence_lens"])[1]
    assert_close("Y_h", y_h[:, 0], expected[:, 0], np.float32, TOLERANCE)
    assert_same_bits("h_n", expected[:, 1], h_0[:, 1])
    assert not y_h[:, 1].any()


@BATCH_FIRST
@EACH_NETWORK
def test_a_network(kind, batch_first, rng):
    network = make_network(kind, dtype=np.float32, batch_first=batch_first)
    model = to_onnx(network)
    x = draw_inputs(kind, 9, 5, dtype=np.float32)
    lengths = np.array([9, 1, 4, 0, 7], np.int32)
    past_the_end = np.arange(9)[:, np.newaxis] >= lengths
    x[past_the_end] = -1 if x.dtype.kind == "i" else np.nan
    x = np.ascontiguousarray(x.swapaxes(0, 1)) if batch_first else x
    actual = run_onnx(model, {"X": x, "sequence_lens": lengths})
    assert_all_close(actual, {"Y": network(x, lengths)})


@EACH_NETWORK
def test_a_network_without_lengths(kind):
    network = make_network(kind, dtype=np.float32)
    x = draw_inputs(kind, 9, 5, dtype=np.float32)
    actual = run_onnx(to_onnx(network, lengths=False), {"X": x})
    assert_all_close(actual, {"Y": network(x)})
    assert actual["Y"].ndim == (2 if pools(kind) else 3)


@pytest.mark.parametrize("token", [-1, 7])
@pytest.mark.parametrize("lengths", [False, True])
def test_unknown_tokens_are_refused(token, lengths):
    model = to_onnx(make_network("embedding", dtype=np.float32), lengths=lengths)
    feeds = {"X": np.array([[0], [token]])}
    if lengths:
        feeds["sequence_lens"] = np.array([2], np.int32)
    with pytest.raises(Exception, match="out of data bounds"):
        run_onnx(model, feeds)


@pytest.mark.parametrize("kind", ["gru", "tokens", "attention"])
def test_float64_is_rounded_with_a_warning(kind):
    network = make_network(kind, dtype=np.float64)
    with pytest.warns(UserWarning, match="no GRU of float64.*rounded to float32"):
        model = to_onnx(network)
    x = draw_inputs(kind, 9, 2)
    given = x if x.dtype.kind == "i" else x.astype(np.float32)
    lengths = np.array([9, 4], np.int32)
    actual = run_onnx(model, {"X": given, "sequence_lens": lengths})
    expected = network(x, lengths).astype(np.float32)
    assert_close("Y", actual["Y"], expected, np.float32, TOLERANCE)


@pytest.mark.parametrize("make", [fastgru.GRU, fastgru.GRUCell])
def test_float64_layers_are_rounded_with_a_warning(make):
    with pytest.warns(UserWarning, match="no GRU of float64"):
        to_onnx(make(3, 5, dtype=np.float64))


# -- estimators --


def estimator_feeds(members, dtype=np.float32):
    """Make the arrays of a list of sequences; what is past the end has no meaning."""
    lengths = np.array([len(member) for member in members], np.int32)
    shape = (len(members), lengths.max() + 1, *np.shape(members[0])[1:])
    x = np.full(shape, -1 if dtype is np.int64 else np.nan, dtype)
    for row, member in zip(x, members, strict=True):
        row[: len(member)] = member
    return {"X": x, "sequence_lens": lengths}


def valid_steps(array, lengths):
    """Give the steps of each sequence, and assert that others are zeros."""
    for row, length in zip(array, lengths, strict=True):
        assert not row[length:].any()
    rows = [row[:length] for row, length in zip(array, lengths, strict=True)]
    return np.concatenate(rows)


def check_classifier(model, members, dtype=np.float32):
    """Compare a classifier's graph with it on sequences of unequal lengths."""
    feeds = estimator_feeds(members, dtype)
    actual = run_onnx(to_onnx(model), feeds)
    assert list(actual) == ["label", "probabilities"]
    assert actual["label"].tolist() == model.predict(members).tolist()
    expected = model.predict_proba(members)
    name = "probabilities"
    assert_close(name, actual[name], expected, np.float32, TOLERANCE)
    return actual


X, Y = draw_classes()
X_NEW = draw_sequences(7, longest=17, seed=1)
WORDS = [np.random.default_rng(n).integers(0, 7, n % 6 + 2) for n in range(30)]
NEW_WORDS = [np.arange(n) % 7 for n in (9, 1, 5, 3)]


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
@BOTH_DIRECTIONS
def test_a_classifier_of_each_pooling(pooling, bidirectional):
    settings = {"bidirectional": bidirectional, "pooling": pooling, **QUICK}
    model = classifier(8, num_layers=2, dropout=0.2, **settings).fit(X, Y)
    actual = check_classifier(model, X_NEW)
    assert actual["label"].dtype == np.int64


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["down", "up"]),
        np.array(["down", "up"], object),
        np.array([-3, 12], np.int16),
        np.array([1.0, 4.0]),
        np.array([False, True]),
    ],
    ids=lambda labels: str(labels.dtype),
)
def test_class_labels(labels):
    model = classifier(8, dense_sizes=(6,), activation="tanh", **QUICK)
    actual = check_classifier(model.fit(X, labels[Y]), X_NEW)
    is_text = isinstance(labels[0], str)
    assert actual["label"].dtype == (object if is_text else np.int64)


def test_many_classes_of_the_other_cell():
    model = classifier((8, 6), reset_after=False, max_iter=5)
    check_classifier(model.fit(X, np.arange(len(X)) % 5), X_NEW)


def test_several_labels():
    y = np.random.default_rng(0).integers(0, 2, (len(X), 3))
    check_classifier(classifier(8, **QUICK).fit(X, y), X_NEW)


def test_a_classifier_of_tokens():
    model = classifier(8, n_tokens=7, embedding_dim=3, pooling="mean", **QUICK)
    model = model.fit(WORDS, np.arange(30) % 3)
    check_classifier(model, NEW_WORDS, np.int64)


def test_a_univariate_classifier(rng):
    model = classifier(8, pooling="max", **QUICK)
    model = model.fit(rng.standard_normal((30, 9)), np.arange(30) % 3)
    x = draw(rng, 5, 9)
    feeds = {"X": x, "sequence_lens": np.full(5, 9, np.int32)}
    actual = run_onnx(to_onnx(model), feeds)
    expected = model.predict_proba(x)
    name = "probabilities"
    assert_close(name, actual[name], expected, np.float32, TOLERANCE)
    assert actual["label"].tolist() == model.predict(x).tolist()
    actual = run_onnx(to_onnx(model, lengths=False), {"X": x})
    assert_close(name, actual[name], expected, np.float32, TOLERANCE)


def test_a_label_for_each_step():
    y = [np.where(x[:, 0] > 0, "high", "low") for x in X]
    model = classifier(8, return_sequences=True, bidirectional=True, **QUICK).fit(X, y)
    feeds = estimator_feeds(X_NEW)
    actual = run_onnx(to_onnx(model), feeds)
    lengths = feeds["sequence_lens"]
    probabilities = valid_steps(actual["probabilities"], lengths)
    expected = np.concatenate(model.predict_proba(X_NEW))
    assert_close("probabilities", probabilities, expected, np.float32, TOLERANCE)
    for row, labels in zip(actual["label"], model.predict(X_NEW), strict=True):
        assert row[: len(labels)].tolist() == labels.tolist()


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"]
)
def test_a_regressor_of_each_loss(loss):
    y = np.array([abs(x[:, 0].sum()) for x in X])
    model = regressor(8, loss=loss, **QUICK).fit(X, y)
    actual = run_onnx(to_onnx(model), estimator_feeds(X_NEW))
    expected = model.predict(X_NEW)
    assert_close(loss, actual["prediction"], expected, np.float32, TOLERANCE)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_numbers_for_each_step(n_outputs, loss):
    columns = slice(n_outputs) if n_outputs else 0
    y = [np.abs(np.tile(x, 2))[:, columns] for x in X]
    model = regressor(8, return_sequences=True, loss=loss, **QUICK).fit(X, y)
    feeds = estimator_feeds(X_NEW)
    actual = run_onnx(to_onnx(model), feeds)["prediction"]
    expected = np.concatenate(model.predict(X_NEW))
    actual = valid_steps(actual, feeds["sequence_lens"])
    assert_close("prediction", actual, expected, np.float32, TOLERANCE)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_several_numbers(n_outputs):
    y = np.stack([np.tile(x, 2)[-1, :n_outputs] for x in X])
    model = regressor(8, pooling="attention", **QUICK).fit(X, y)
    actual = run_onnx(to_onnx(model), estimator_feeds(X_NEW))
    expected = model.predict(X_NEW)
    assert_close("prediction", actual["prediction"], expected, np.float32, TOLERANCE)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_a_transformer(pooling):
    model = transformer(8, pooling=pooling, **QUICK).fit(X, Y)
    actual = run_onnx(to_onnx(model), estimator_feeds(X_NEW))
    assert_all_close(actual, {"vectors": model.transform(X_NEW)})


def test_a_language_model():
    text = "a text that goes on and on, and on " * 9
    model = fastgru.GRULanguageModel(
        hidden_size=7, num_steps=5, max_iter=2, random_state=0
    )
    model.fit(text)
    prefix = "on and t"
    tokens = np.array([[model.vocabulary_.index(c) for c in prefix]])
    feeds = {"X": tokens, "sequence_lens": np.array([len(prefix)], np.int32)}
    results = run_onnx(to_onnx(model), feeds)
    expected = model.predict_proba(prefix)
    assert_close(
        "the next one's", results["probabilities"][0, -1], expected, np.float32
    )
    assert results["label"][0, -1] == model.vocabulary_[expected.argmax()]


def test_a_transformer_of_tokens_without_targets():
    model = transformer(8, n_tokens=7, **QUICK).fit(WORDS)
    actual = run_onnx(to_onnx(model), estimator_feeds(NEW_WORDS, np.int64))
    assert_all_close(actual, {"vectors": model.transform(NEW_WORDS)})


def test_an_estimator_of_float64_is_rounded_with_a_warning():
    model = regressor(8, dtype="float64", **QUICK).fit(X, np.arange(len(X)) / 10)
    with pytest.warns(UserWarning, match="no GRU of float64"):
        graph = to_onnx(model)
    actual = run_onnx(graph, estimator_feeds(X_NEW))["prediction"]
    assert_close("prediction", actual, model.predict(X_NEW), np.float32, TOLERANCE)


@pytest.mark.parametrize("with_mean", [False, True])
@pytest.mark.parametrize("with_std", [False, True])
def test_a_scaler_keeps_what_is_small_beside_the_mean(with_mean, with_std):
    members = [1000.0 + x for x in X]
    scaler = fastgru.SequenceScaler(with_mean=with_mean, with_std=with_std)
    scaler.fit(members)
    new = pad([1000.0 + x for x in X_NEW], dtype=np.float32)
    actual = run_onnx(to_onnx(scaler), {"X": new})["scaled"]
    expected = scaler.transform(new)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    actual, expected = np.nan_to_num(actual), np.nan_to_num(expected)
    assert_close("scaled", actual, expected, np.float32, 1e-7)


def test_a_univariate_scaler(rng):
    scaler = fastgru.SequenceScaler().fit(rng.standard_normal((8, 6)))
    x = draw(rng, 3, 6)
    actual = run_onnx(to_onnx(scaler), {"X": x})["scaled"]
    assert_close("scaled", actual, scaler.transform(x), np.float32, 1e-7)


# -- files, checks and refusals --


def test_a_file_appears_whole_or_not_at_all(tmp_path, monkeypatch, rng):
    path = tmp_path / "gru.onnx"
    model = to_onnx(make_gru(rng), path)
    assert onnx.load(path) == model
    before = path.read_bytes()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        to_onnx(make_gru(rng, reset_after=False), str(path))
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_the_graph_says_what_it_is(rng):
    model = to_onnx(make_gru(rng))
    assert (model.producer_name, model.producer_version) == (
        "fastgru",
        fastgru.__version__,
    )
    (opset,) = model.opset_import
    assert opset.version == onnx.defs.get_schema("GRU").since_version == 22


@pytest.mark.parametrize("has_runtime", [True, False], ids=["runtime", "reference"])
@pytest.mark.parametrize("kind", ["gru", "tokens", "attention", "deep"])
def test_a_wrong_graph_is_not_returned(kind, has_runtime, monkeypatch):
    from fastgru.exchange import onnx_check, onnx_weights

    monkeypatch.setattr(onnx_check, "has_runtime", lambda: has_runtime)
    network = make_network(kind, dtype=np.float32)
    to_onnx(network)
    monkeypatch.setattr(onnx_weights, "_swap_gates", lambda rows: rows)
    with pytest.raises(RuntimeError, match="Y of the graph, run by .* differs from"):
        to_onnx(network)


@pytest.mark.parametrize("kind", ["classes", "labels"])
def test_a_graph_of_wrong_labels_is_not_returned(kind, monkeypatch):
    from fastgru.exchange import onnx_estimators

    y = Y if kind == "classes" else np.stack([Y, 1 - Y], axis=1)
    model = classifier(8, **QUICK).fit(X, y)
    add = onnx_estimators.GraphBuilder.add
    others = {"ArgMax": "ArgMin", "Greater": "Less"}

    def add_another(self, kind, *inputs, **attributes):
        return add(self, others.get(kind, kind), *inputs, **attributes)

    monkeypatch.setattr(onnx_estimators.GraphBuilder, "add", add_another)
    with pytest.raises(RuntimeError, match="labels of the graph"):
        to_onnx(model, lengths=False)


def test_what_is_no_model_is_refused():
    with pytest.raises(TypeError, match="got sklearn.*LinearRegression"):
        to_onnx(LinearRegression())
    with pytest.raises(TypeError, match=r"got fastgru\.layers\.dense\.Dense"):
        to_onnx(fastgru.Dense(3, 5))


@pytest.mark.parametrize(
    "make",
    [
        fastgru.GRUClassifier,
        fastgru.GRURegressor,
        fastgru.GRUTransformer,
        fastgru.SequenceScaler,
    ],
)
def test_what_is_not_fitted_is_refused(make):
    with pytest.raises(NotFittedError):
        to_onnx(make())


@pytest.mark.parametrize("name", ["lengths", "initial_state"])
def test_flags_are_checked(name, rng):
    with pytest.raises(TypeError, match=f"{name} must be"):
        to_onnx(make_gru(rng), **{name: 1})


def test_class_labels_of_other_kinds_are_refused():
    model = classifier(8, **QUICK).fit(X, Y)
    model._task.classes = np.array([0.5, 1.5])
    with pytest.raises(ValueError, match=r"whole numbers or texts.*\[0\.5, 1\.5\]"):
        to_onnx(model)


def test_onnx_is_imported_when_it_is_used():
    code = "import sys, fastgru.exchange; dir(fastgru.exchange); print(*sys.modules)"
    loaded = set(run_python(code).split())
    assert "fastgru.exchange" in loaded
    assert loaded.isdisjoint({"onnx", "onnxruntime", "skl2onnx"})


@pytest.mark.parametrize("name", ["to_onnx", "from_onnx"])
def test_without_onnx_the_error_says_what_to_install(name, monkeypatch):
    for module in list(sys.modules):
        if module.startswith("fastgru.exchange.onnx_"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.delitem(vars(fastgru.exchange), name, raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=f"{name} needs the package onnx: pip"):
        getattr(fastgru.exchange, name)
