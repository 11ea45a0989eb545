"""Descriptions with the right digest that describe no model."""

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

import fastgru
from fastgru.exchange.container import write_container
from model_files import rewrite
from networks import make_network
from problems import classifier, draw_classes, last_sums, regressor, transformer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
TOKENS = np.random.default_rng(0).integers(0, 4, (20, 6))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def make_gru(**settings):
    return fastgru.GRU(3, 5, random_state=0, **settings)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "GRUOracle", "", None], ids=repr
)
def test_only_known_classes_are_made(path, name):
    fastgru.save(make_gru(), path)
    rewrite(path, lambda description, _: description.update({"class": name}))
    with pytest.raises(ValueError, match="which this version of fastgru does not know"):
        fastgru.load(path)


@pytest.mark.parametrize(
    "name", ["os.system", "GRUClassifier", "Network", None], ids=repr
)
def test_only_known_layers_are_made(path, name):
    fastgru.save(make_network("tokens"), path)
    rewrite(
        path, lambda description, _: description["layers"][2].update({"class": name})
    )
    with pytest.raises(ValueError, match="does not describe a model"):
        fastgru.load(path)


@pytest.mark.parametrize("field", ["layers", "batch_first"])
def test_a_networks_description_without_a_part_is_refused(path, field):
    fastgru.save(make_network("tokens"), path)
    rewrite(path, lambda description, _: description.pop(field))
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
    rewrite(path, lambda description, _: description["settings"].update(settings))
    with pytest.raises(ValueError, match=message):
        fastgru.load(path)


@pytest.mark.parametrize("field", ["settings", "network", "form", "fitted", "task"])
def test_a_description_without_a_part_is_refused(path, field):
    fastgru.save(classifier(max_iter=1).fit(X, Y), path)
    rewrite(path, lambda description, _: description.pop(field))
    with pytest.raises(ValueError, match="does not describe a model"):
        fastgru.load(path)


def refuse_changed(path, model, change, message):
    """Save a model, change its file, and expect a message that names what is wrong."""
    fastgru.save(model, path)
    rewrite(path, change)
    message = rf"(?s)model\.safetensors does not describe a model: .*{message}"
    with pytest.raises(ValueError, match=message):
        fastgru.load(path)


def put(value, *keys):
    """Return what puts a value to its place in a description."""
    *way, last = keys

    def change(description, _):
        for key in way:
            description = description[key]
        description[last] = value

    return change


def put_classes(labels, kind):
    return put([labels, kind], "task", "classes")


def put_loss(name, settings):
    return put([name, settings], "task", "loss")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("5", "settings", "hidden_size"), "hidden_size must be a whole number"),
        (put(True, "settings", "hidden_size"), "hidden_size must be a whole number"),
        (put(5.0, "settings", "hidden_size"), "hidden_size must be a whole number"),
        (put([5], "settings", "hidden_size"), "hidden_size must be a whole number"),
        (put(0, "settings", "hidden_size"), "hidden_size must be at least 1"),
        (put(1, "settings", "bias"), "bias must be True or False"),
        (put(float("nan"), "settings", "dropout"), "dropout must be from 0 to 1"),
        (put(10**400, "settings", "dropout"), "too large"),
        (put("x", "settings", "initializer"), "initializer must be"),
        (put([], "settings", "initializer"), "initializer must be"),
        (put(None, "settings", "dtype"), "dtype must be float32 or float64, got None"),
        (put("f4", "settings", "dtype"), "dtype must be float32 or float64, got 'f4'"),
        (put(["float32"], "settings", "dtype"), "dtype must be float32 or float64"),
        (put(3, "settings"), "settings of a GRU must be an object, got 3"),
        (put(3, "x"), "unexpected.*'x'"),
    ],
)
def test_settings_of_wrong_types_are_refused(path, change, message):
    refuse_changed(path, make_gru(), change, message)


def test_arrays_too_many_or_too_few_are_named(path):
    gru = make_gru()
    change = lambda _, tensors: tensors.pop("bias_ih_l0")  # noqa: E731
    refuse_changed(path, gru, change, "missing 'bias_ih_l0' of shape .15")
    change = lambda _, tensors: tensors.update(x=np.ones(2))  # noqa: E731
    refuse_changed(path, gru, change, "unexpected arrays: 'x'")
    change = lambda _, tensors: tensors.update(  # noqa: E731
        bias_ih_l0=tensors["bias_ih_l0"].astype(np.float16)
    )
    refuse_changed(path, gru, change, "dtype float32, got dtype float16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put([], "layers"), "from 1 to 1000 layers: 0"),
        (put(3, "layers"), "must be of type list"),
        (put([3], "layers"), "a layer must be an object"),
        (put(1, "batch_first"), "batch_first must be True or False"),
        (put(6, "layers", 4, "settings", "input_size"), "does not fit"),
        (lambda d, _: d["layers"].append(d["layers"][0]), "does not fit"),
        (lambda d, _: d.update(layers=d["layers"][1:2] * 1001), "1000 layers: 1001"),
        (lambda d, _: d["layers"].pop(0), "the first layer must say what it reads"),
    ],
)
def test_networks_that_are_none_are_refused(path, change, message):
    refuse_changed(path, make_network("tokens"), change, message)


def test_a_network_of_cells_is_refused(path):
    cell = fastgru.GRUCell(3, 5)
    description = {"class": "GRUCell", "settings": cell.settings()}
    change = put([description], "layers")
    refuse_changed(path, make_network("gru"), change, "a network has no GRUCell")


@pytest.fixture(scope="module")
def fitted():
    """A fitted estimator of each kind, by a name."""
    labels = np.array(["a", "b"])[Y]
    steps = [("scale", fastgru.SequenceScaler()), ("learn", classifier(3, max_iter=1))]
    return {
        "classifier": classifier(3, max_iter=1, early_stopping=True).fit(X, labels),
        "numbers": classifier(3, max_iter=1).fit(X, Y),
        "regressor": regressor(3, max_iter=1, loss="huber").fit(X, last_sums(X)),
        "transformer": transformer(3, max_iter=1).fit(X),
        "learned": transformer(3, max_iter=1, pooling="max").fit(X, Y),
        "tokens": transformer(3, max_iter=1, n_tokens=4).fit(TOKENS),
        "scaler": fastgru.SequenceScaler().fit(X),
        "pipeline": Pipeline(steps).fit(X, Y),
    }


def take_layers(*numbers):
    """Return what leaves only some layers, which no longer have their arrays."""

    def change(description, _):
        network = description["network"]
        network["layers"] = [network["layers"][number] for number in numbers]

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("classifier", put("x", "settings", "alpha"), "'alpha' parameter"),
        ("classifier", put([[3]], "settings", "hidden_size"), "whole numbers"),
        ("classifier", put({"x": 3}, "settings", "class_weight"), "missing.*'dict'"),
        (
            "classifier",
            put({"dict": [[[], 1]]}, "settings", "class_weight"),
            "pairs of a plain key",
        ),
        ("classifier", put("os.system", "settings", "callbacks"), "holds no callbacks"),
        ("classifier", put(4, "settings", "n_tokens"), "n_tokens=4, but it was fitted"),
        ("classifier", put(1, "settings", "x"), "unexpected.*'x'"),
        ("classifier", put(["sequences", 3], "form"), "does not read sequences of 3"),
        ("classifier", put(["univariate", 2], "form"), "does not read univariate"),
        ("classifier", put(["x", 2], "form"), "the form of X is"),
        ("classifier", put(["sequences", True], "form"), "n_features_in_ must be"),
        ("classifier", put([3], "feature_names_in"), "must hold only str"),
        ("classifier", put("x", "output"), "output is 'x'"),
        ("classifier", take_layers(1, 2), "must say what it reads|layers are not"),
        ("classifier", take_layers(0, 1), "layers are not those of an estimator"),
        ("classifier", put({"class": "Labels"}, "task"), None),
        ("classifier", put({"class": "NextToken"}, "task"), "does not learn NextToken"),
        ("classifier", put({"class": "x"}, "task"), "there is no task 'x'"),
        ("classifier", put(None, "task"), "there is no task None"),
        (
            "classifier",
            put_classes(["a"], "<U1"),
            "2 outputs, but 1 class",
        ),
        ("classifier", put_classes(["b", "a"], "<U1"), "are not sorted"),
        ("classifier", put_classes(["a", "a"], "<U1"), "are not sorted"),
        ("classifier", put_classes(["a", "bc"], "<U1"), "do not fit"),
        (
            "classifier",
            put_classes(["a", 3], "<U1"),
            "a class of type <U1",
        ),
        ("classifier", put_classes(["a", "b"], "|V8"), "be of type '|V8'"),
        ("classifier", put_classes(["a", "b"], "x,y"), "type"),
        (
            "classifier",
            put_classes(["a", "b"], None),
            "the type of the cl",
        ),
        (
            "numbers",
            put_classes([0, 300], "|u1"),
            "out of bounds|too large",
        ),
        ("numbers", put_classes([0, True], "<i8"), "class of type <i8 is"),
        ("numbers", put_classes([0, 1.5], "<i8"), "class of type <i8 is"),
        ("classifier", put([["a", "b"]], "task", "classes"), "labels and their type"),
        ("classifier", put([], "fitted", "losses"), "0 losses"),
        ("classifier", put([1], "fitted", "losses"), "must hold only float, got 1"),
        ("classifier", put([0.5] * 9, "fitted", "scores"), "1 losses and 9 scores"),
        ("classifier", put(-1, "fitted", "t"), "t_ must be at least 0"),
        ("classifier", put(10**30, "fitted", "t"), "t_ must be at least 0"),
        ("classifier", put(0, "fitted", "stopped_by_score"), "must be of type bool"),
        ("regressor", put_loss("Loss", {}), "there is no loss"),
        ("regressor", put_loss("Huber", {}), "missing.*'delta'"),
        (
            "regressor",
            put_loss("Huber", {"delta": -1}),
            "delta must be in",
        ),
        (
            "regressor",
            put_loss("Huber", {"delta": "x"}),
            "delta must be a",
        ),
        ("regressor", put(2, "task", "n_targets"), "1 outputs for 2 targets"),
        ("regressor", put("1", "task", "n_targets"), "must be of type int"),
        ("transformer", put("attention", "pooling"), "pooling is 'attention'"),
        ("transformer", put({"class": "Labels"}, "task"), "pooling does not fit"),
        ("learned", put("mean", "pooling"), "pooling is 'mean'"),
        ("tokens", put(None, "settings", "n_tokens"), "n_tokens=None, but it was"),
        ("tokens", put(["tokens", 2], "form"), "does not read sequences of tokens"),
        ("scaler", put(3, "settings", "with_mean"), "'with_mean' parameter"),
        ("scaler", put(0, "n_steps_seen"), "n_steps_seen_ must be at least 1"),
        ("scaler", put(["sequences", 3], "form"), "must have shape .3"),
        ("scaler", put(["tokens", 1], "form"), "reads no tokens"),
        ("pipeline", put([], "steps"), "has a step that was fitted"),
        ("pipeline", put("x", "steps", 0), "must hold only list"),
        ("pipeline", put(["x"], "steps", 0), "must be a name and"),
        ("pipeline", put("learn", "steps", 0, 0), "two steps.*the same name"),
        ("pipeline", put("a__b", "steps", 0, 0), "cannot have the name 'a__b'"),
        ("pipeline", put("", "steps", 0, 0), "cannot have the name"),
        ("pipeline", put(3, "steps", 0, 0), "the name of a step"),
        ("pipeline", put("x", "steps", 0, 1), "step 'scale' is 'x'"),
        ("pipeline", put({"class": "GRU"}, "steps", 0, 1), "does not know"),
        ("pipeline", put("scaled", "steps", 0, 0), "missing 'scaled.mean'"),
        ("pipeline", put([1], "transform_input"), "must hold only str"),
        ("pipeline", put(1, "verbose"), "must be of type bool"),
        ("pipeline", lambda d, _: d["steps"].reverse(), "in a pipeline reads"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_estimators_that_are_none_are_refused(path, fitted, name, change, message):
    if message is None:  # two labels are as good as two classes
        fastgru.save(fitted[name], path)
        rewrite(path, change)
        assert fastgru.load(path).predict(X).shape == (60, 2)
        return
    refuse_changed(path, fitted[name], change, message)


def test_a_harmless_change_makes_another_model(path, fitted):
    fastgru.save(fitted["classifier"], path)
    rewrite(path, put(0.25, "settings", "learning_rate_init"))
    loaded = fastgru.load(path)
    assert loaded.learning_rate_init == 0.25
    assert loaded.predict(X).tolist() == fitted["classifier"].predict(X).tolist()


@pytest.mark.parametrize(
    "text", ["[" * 3000, '{"a":' * 3000, "", "3", "[]", "null", "NaN", "{}"], ids=len
)
def test_descriptions_that_are_none_are_refused(path, text):
    write_container(path, "fastgru-1", {}, text)
    message = r"model\.safetensors does not describe a model"
    with pytest.raises(ValueError, match=message):
        fastgru.load(path)


def test_a_description_as_deep_as_can_be_read_is_refused(path):
    text = '{"class": "Network", "batch_first": false, "layers": '
    for depth in range(10, 1000, 45):
        nested = "[" * depth + "]" * depth
        write_container(path, "fastgru-1", {}, f"{text}{nested}}}")
        with pytest.raises(ValueError, match="does not describe a model"):
            fastgru.load(path)
