"""Pipelines that skl2onnx converts, run by ONNX Runtime."""

import sys

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgru
from onnx_models import run_onnx
from problems import (
    classifier,
    draw_classes,
    draw_sequences,
    pad,
    regressor,
    transformer,
)
from tolerances import assert_close, assert_same_bits

REASON = "pipelines as ONNX graphs: skl2onnx is not installed"
skl2onnx = pytest.importorskip("skl2onnx", reason=REASON)
from skl2onnx.common.data_types import (  # noqa: E402  (behind the check for it)
    DoubleTensorType,
    FloatTensorType,
    Int64TensorType,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
# As of single models: float32 in other orders of the sums.
TOLERANCE = 1e-5
QUICK = {"max_iter": 2}
NO_DICTIONARIES = {"zipmap": False}

X, Y = draw_classes()
X_NEW = pad(draw_sequences(7, longest=17, seed=1), n_more=2)
BOTH_TYPES = pytest.mark.parametrize(
    ("tensor_type", "dtype"),
    [(FloatTensorType, np.float32), (DoubleTensorType, np.float64)],
    ids=["float", "double"],
)


@pytest.fixture(autouse=True)
def register():
    fastgru.exchange.register_converters()


def convert(model, tensor_type=FloatTensorType, shape=(None, None, 2), **options):
    """Convert a fitted pipeline."""
    types = [("X", tensor_type(list(shape)))]
    return skl2onnx.to_onnx(model, initial_types=types, **options)


def assert_same_classes(model, X, actual):
    """Compare labels and probabilities of a graph with a pipeline's."""
    assert actual["label"].tolist() == model.predict(X).tolist()
    expected = model.predict_proba(X)
    probabilities = actual["probabilities"]
    assert_close("probabilities", probabilities, expected, np.float32, TOLERANCE)


@BOTH_TYPES
@pytest.mark.parametrize("labels", [["down", "up"], [3, 5], [False, True]], ids=str)
def test_a_scaler_and_a_classifier(labels, tensor_type, dtype):
    gru = classifier(8, num_layers=2, bidirectional=True, pooling="mean", **QUICK)
    model = make_pipeline(fastgru.SequenceScaler(), gru)
    model.fit([100 + x for x in X], np.array(labels)[Y])
    graph = convert(model, tensor_type, options=NO_DICTIONARIES)
    x = (100 + X_NEW).astype(dtype)
    assert np.isnan(x).any()
    assert_same_classes(model, x, run_onnx(graph, {"X": x}))


@BOTH_TYPES
@pytest.mark.parametrize("zipmap", [True, "columns"])
def test_probabilities_by_label(zipmap, tensor_type, dtype):
    model = make_pipeline(fastgru.SequenceScaler(), classifier(8, **QUICK))
    model.fit(X, np.array(["down", "up"])[Y])
    x = X_NEW.astype(dtype)
    graph = convert(model, tensor_type, options={id(model[-1]): {"zipmap": zipmap}})
    labels, *found = run_onnx(graph, {"X": x}).values()
    assert labels.tolist() == model.predict(x).tolist()
    if zipmap == "columns":
        actual = np.stack(found, axis=1)
    else:
        actual = np.array([[row["down"], row["up"]] for row in found[0]])
    np.testing.assert_allclose(actual, model.predict_proba(x), rtol=0, atol=TOLERANCE)


def test_several_labels():
    y = np.random.default_rng(0).integers(0, 2, (len(X), 3))
    model = make_pipeline(fastgru.SequenceScaler(), classifier(8, **QUICK)).fit(X, y)
    x = X_NEW.astype(np.float32)
    graph = convert(model, options=NO_DICTIONARIES)
    assert_same_classes(model, x, run_onnx(graph, {"X": x}))


@BOTH_TYPES
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("n_outputs", [None, 3])
def test_a_regressor(n_outputs, loss, tensor_type, dtype):
    y = np.array([abs(x[:, 0].sum()) for x in X])
    if n_outputs:
        y = y[:, np.newaxis] * np.arange(1, 1 + n_outputs)
    model = make_pipeline(fastgru.SequenceScaler(), regressor(8, loss=loss, **QUICK))
    model.fit(X, y)
    x = X_NEW.astype(dtype)
    (actual,) = run_onnx(convert(model, tensor_type), {"X": x}).values()
    assert_close("prediction", actual, model.predict(x), dtype, TOLERANCE)


def test_what_a_transformer_hands_on():
    model = make_pipeline(transformer(8, **QUICK), StandardScaler()).fit(X, Y)
    x = X_NEW.astype(np.float32)
    (actual,) = run_onnx(convert(model), {"X": x}).values()
    # The scaler divides by deviations that are small beside the vectors.
    assert_close("vectors", actual, model.transform(x), np.float32, 1e-4)


def test_a_transformer_of_tokens():
    words = [np.random.default_rng(n).integers(0, 7, 6) for n in range(30)]
    model = transformer(8, n_tokens=7, **QUICK).fit(words)
    x = np.array(words)[:5]
    graph = convert(model, Int64TensorType, (None, None))
    (actual,) = run_onnx(graph, {"X": x}).values()
    assert_close("vectors", actual, model.transform(x), np.float32, TOLERANCE)


def test_one_number_per_step(rng):
    model = make_pipeline(fastgru.SequenceScaler(), classifier(8, **QUICK))
    model.fit(rng.standard_normal((30, 9)), np.arange(30) % 3)
    x = rng.standard_normal((5, 9)).astype(np.float32)
    graph = convert(model, shape=(None, 9), options=NO_DICTIONARIES)
    assert_same_classes(model, x, run_onnx(graph, {"X": x}))


def test_a_label_for_each_step():
    y = [np.where(x[:, 0] > 0, "high", "low") for x in X]
    gru = classifier(8, return_sequences=True, **QUICK)
    model = make_pipeline(fastgru.SequenceScaler(), gru).fit(X, y)
    with pytest.raises(ValueError, match='with the option {"zipmap": False}'):
        convert(model)
    x = X_NEW.astype(np.float32)
    actual = run_onnx(convert(model, options=NO_DICTIONARIES), {"X": x})
    expected = zip(model.predict(x), model.predict_proba(x), strict=True)
    for number, (labels, probabilities) in enumerate(expected):
        steps = slice(len(labels))
        assert actual["label"][number, steps].tolist() == labels.tolist()
        found = actual["probabilities"][number]
        name = "probabilities"
        assert_close(name, found[steps], probabilities, np.float32, TOLERANCE)
        assert not found[len(labels) :].any()


@BOTH_TYPES
def test_a_scaler(tensor_type, dtype):
    scaler = fastgru.SequenceScaler().fit([1000 + x for x in X])
    x = (1000 + X_NEW).astype(dtype)
    (actual,) = run_onnx(convert(scaler, tensor_type), {"X": x}).values()
    expected = scaler.transform(x)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    assert_same_bits("scaled", np.nan_to_num(actual), np.nan_to_num(expected))


def test_two_of_a_kind_in_one_pipeline():
    model = make_pipeline(
        fastgru.SequenceScaler(), fastgru.SequenceScaler(with_std=False), regressor(8)
    )
    model.set_params(gruregressor__max_iter=2).fit(X, np.arange(len(X)) / 10)
    x = X_NEW.astype(np.float32)
    (actual,) = run_onnx(convert(model), {"X": x}).values()
    assert_close("prediction", actual, model.predict(x), np.float32, TOLERANCE)


@pytest.mark.parametrize("target_opset", [18, 21])
def test_older_operators(target_opset):
    model = make_pipeline(
        fastgru.SequenceScaler(), classifier(8, pooling="max", **QUICK)
    ).fit(X, Y)
    options = {"options": NO_DICTIONARIES, "target_opset": target_opset}
    graph = convert(model, **options)
    assert max(entry.version for entry in graph.opset_import) <= target_opset
    x = X_NEW.astype(np.float32)
    assert_same_classes(model, x, run_onnx(graph, {"X": x}))


def test_operators_that_are_too_old():
    model = regressor(8, **QUICK).fit(X, np.arange(len(X)) / 10)
    with pytest.raises(ValueError, match="need target_opset=18 or newer, got 17"):
        convert(model, target_opset=17)


def test_float64_is_rounded_with_a_warning():
    model = regressor(8, dtype="float64", **QUICK).fit(X, np.arange(len(X)) / 10)
    with pytest.warns(UserWarning, match="no GRU of float64"):
        graph = convert(model)
    x = X_NEW.astype(np.float32)
    (actual,) = run_onnx(graph, {"X": x}).values()
    assert_close("prediction", actual, model.predict(x), np.float32, TOLERANCE)


@pytest.mark.parametrize("has_runtime", [True, False], ids=["runtime", "reference"])
def test_a_wrong_graph_is_not_made(has_runtime, monkeypatch):
    from fastgru.exchange import onnx_check, onnx_weights

    monkeypatch.setattr(onnx_check, "has_runtime", lambda: has_runtime)
    model = make_pipeline(fastgru.SequenceScaler(), regressor(8, **QUICK))
    model.fit(X, np.arange(len(X)) / 10)
    convert(model)
    monkeypatch.setattr(onnx_weights, "_swap_gates", lambda rows: rows)
    with pytest.raises(RuntimeError, match="prediction of the graph, run by"):
        convert(model)


def test_wrong_lengths_are_noticed(monkeypatch):
    from fastgru.exchange import onnx_estimators

    model = regressor(8, pooling="mean", **QUICK).fit(X, np.arange(len(X)) / 10)
    add = onnx_estimators.GraphBuilder.add

    def add_another(self, kind, *inputs, **attributes):
        # Of the ends of the steps, the first.
        kind = "ReduceMin" if kind == "ReduceMax" else kind
        return add(self, kind, *inputs, **attributes)

    monkeypatch.setattr(onnx_estimators.GraphBuilder, "add", add_another)
    with pytest.raises(RuntimeError, match="prediction of the graph, run by"):
        convert(model)


def test_without_skl2onnx_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match="skl2onnx"):
        fastgru.exchange.register_converters()
