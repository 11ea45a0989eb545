"""Pooling: one row per sequence from its valid steps, and the gradients back."""

import pickle

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru import initializers
from fastgru.layers._layer import Form, Rows
from fastgru.layers.geometry import Geometry
from fastgru.layers.pooling import KINDS, Pooling
from gradcheck import assert_gradients, central_differences
from rows import LAYOUTS, draw_sequences, from_rows, lengths_of, run_layer, to_rows
from tolerances import assert_close, assert_same_bits

EACH_KIND = pytest.mark.parametrize("how", KINDS)


def make_layer(how, n_features, dtype=np.float64):
    """Make a layer; the scores of attention are to differ clearly."""
    layer = Pooling(how, n_features=n_features, dtype=dtype, random_state=0)
    state = layer.state_dict()
    return load(layer, {name: 2 * array for name, array in state.items()})


def load(layer, state):
    layer.load_state_dict(state)
    return layer


def pool_by_hand(how, x, weight):
    """Pool one sequence in float64."""
    x = x.astype(np.float64)
    if len(x) == 0:
        return np.zeros(x.shape[1])
    if how == "last":
        return x[-1]
    if how == "mean":
        return x.mean(axis=0)
    if how == "max":
        return x.max(axis=0)
    scores = x @ weight[0].astype(np.float64)
    shares = np.exp(scores - scores.max())
    return shares @ x / shares.sum()


@LAYOUTS
@EACH_KIND
@BOTH_DTYPES
@pytest.mark.parametrize("n_features", [1, 8, 13, 50])
def test_each_sequence_becomes_one_row(n_features, dtype, how, layout, rng):
    sequences = draw_sequences(rng, lengths_of(layout), n_features, dtype)
    rows = to_rows(sequences, layout)
    layer = make_layer(how, n_features, dtype)
    weight = layer.state_dict().get("weight")
    expected = np.array([pool_by_hand(how, x, weight) for x in sequences])
    output = layer._infer(rows, 1)
    assert_close("output", output.values, expected, dtype)
    assert output.geometry is None
    recorded, _ = layer._record(rows, None, 1)
    assert_same_bits("recorded", recorded.values, output.values)


@LAYOUTS
@EACH_KIND
def test_gradients_agree_with_central_differences(how, layout, rng):
    sequences = draw_sequences(rng, lengths_of(layout), 5)
    rows = to_rows(sequences, layout)
    d_output = rng.standard_normal((6, 5))
    layer = make_layer(how, 5)
    state = layer.state_dict()

    def objective(tensors):
        moved = load(make_layer(how, 5), {name: tensors[name] for name in state})
        output = moved._infer(rows._replace(values=tensors["x"]), 1)
        return float(np.sum(output.values * d_output))

    numeric = central_differences(objective, {"x": rows.values, **state})
    results = run_layer(layer, rows, d_output)
    actual = {name: results[f"d_{name}"] for name in numeric}
    assert_gradients(actual, numeric)


@LAYOUTS
@EACH_KIND
@BOTH_DTYPES
def test_gradients_are_those_of_torch(dtype, how, layout, rng):
    torch = pytest.importorskip("torch")
    lengths = lengths_of(layout)
    sequences = draw_sequences(rng, lengths, 13, dtype)
    d_output = rng.standard_normal((6, 13)).astype(dtype)
    layer = make_layer(how, 13, dtype)
    results = run_layer(layer, to_rows(sequences, layout), d_output)

    weight = None
    if how == "attention":
        weight = torch.tensor(layer.state_dict()["weight"]).double().requires_grad_()
    tensors = [torch.tensor(x).double().requires_grad_() for x in sequences]
    gradients = from_rows(results["d_x"], lengths, layout)
    for b, x in enumerate(tensors):
        if len(x) == 0:
            continue
        if how == "last":
            y = x[-1]
        elif how == "mean":
            y = x.mean(dim=0)
        elif how == "max":
            y = x.max(dim=0).values
        else:
            y = torch.softmax(x @ weight[0], dim=0) @ x
        y.backward(torch.tensor(d_output[b]).double())
        output = results["output"][b]
        assert_close(f"output of {b}", output, y.detach().numpy(), dtype)
        assert_close(f"d_x of {b}", gradients[b], x.grad.numpy(), dtype)
    if weight is not None:
        assert_close("d_weight", results["d_weight"], weight.grad.numpy(), dtype)


# -- the same bits --


@EACH_KIND
@BOTH_DTYPES
def test_a_sequence_alone_gives_its_bits_in_the_batch(dtype, how, rng):
    lengths = rng.integers(0, 30, 25)
    sequences = draw_sequences(rng, lengths, 17, dtype)
    d_output = rng.standard_normal((25, 17)).astype(dtype)
    layer = make_layer(how, 17, dtype)
    results = run_layer(layer, to_rows(sequences, "concatenated"), d_output)
    gradients = from_rows(results["d_x"], lengths, "concatenated")
    for b, x in enumerate(sequences):
        alone = run_layer(layer, to_rows([x], "concatenated"), d_output[[b]])
        assert_same_bits(f"output of {b}", alone["output"][0], results["output"][b])
        assert_same_bits(f"d_x of {b}", alone["d_x"], gradients[b])


@EACH_KIND
@BOTH_DTYPES
def test_layouts_give_the_same_bits(dtype, how, rng):
    sequences = draw_sequences(rng, [9] * 5, 17, dtype)
    d_output = rng.standard_normal((5, 17)).astype(dtype)
    layer = make_layer(how, 17, dtype)
    found = {}
    for layout in ("concatenated", "batch_first", "time_major"):
        results = run_layer(layer, to_rows(sequences, layout), d_output)
        in_order = from_rows(results["d_x"], [9] * 5, layout)
        found[layout] = results | {"d_x": np.concatenate(in_order)}
    for layout, results in found.items():
        for name, array in results.items():
            assert_same_bits(f"{name}, {layout}", array, found["concatenated"][name])


def test_the_gradient_of_the_scores_is_summed_in_users_order(rng):
    # In float64, where what one sequence adds is not rounded again.
    sequences = draw_sequences(rng, rng.integers(0, 30, 25), 17)
    d_output = rng.standard_normal((25, 17))
    layer = make_layer("attention", 17)
    total = np.zeros((1, 17))
    for x, d_y in zip(sequences, d_output, strict=True):
        alone = run_layer(layer, to_rows([x], "concatenated"), d_y[np.newaxis])
        total = total + alone["d_weight"]
    results = run_layer(layer, to_rows(sequences, "concatenated"), d_output)
    assert_same_bits("d_weight", results["d_weight"], total)


# -- lengths, ties and NaN --


@EACH_KIND
@BOTH_DTYPES
def test_sequences_of_no_steps_give_zeros(dtype, how, rng):
    layer = make_layer(how, 5, dtype)
    rows = to_rows(draw_sequences(rng, [0, 0, 0], 5, dtype), "concatenated")
    results = run_layer(layer, rows, np.ones((3, 5), dtype))
    assert_same_bits("output", results["output"], np.zeros((3, 5), dtype))
    assert results["d_x"].shape == (0, 5)
    assert not np.any(results.get("d_weight", 0))


@EACH_KIND
def test_no_sequences_give_no_rows(how):
    layer = make_layer(how, 5)
    rows = Rows(np.empty((0, 5)), Geometry.concatenated(np.empty(0, np.int64)))
    results = run_layer(layer, rows, np.empty((0, 5)))
    assert results["output"].shape == (0, 5)
    assert not np.any(results.get("d_weight", 0))


@EACH_KIND
def test_nan_stays_in_its_sequence_and_shows(how, rng):
    sequences = draw_sequences(rng, [4, 3, 2], 5)
    layer = make_layer(how, 5)
    expected = layer._infer(to_rows(sequences, "concatenated"), 1).values
    sequences[1][2, 1] = np.nan  # in its last step
    output = layer._infer(to_rows(sequences, "concatenated"), 1).values
    assert_same_bits("others", output[[0, 2]], expected[[0, 2]])
    spoilt = slice(None) if how == "attention" else 1
    assert np.isnan(output[1, spoilt]).all()
    kept = [] if how == "attention" else [0, 2, 3, 4]
    assert_same_bits("other features", output[1, kept], expected[1, kept])


def test_the_gradient_of_a_maximum_goes_to_the_first_step_that_has_it():
    columns = [
        [1, 3, 3, 2],
        [2, 2, 2, 2],
        [-0.0, 0.0, -1, 0.0],
        [0, np.nan, 5, np.nan],
        [np.nan, np.nan, 1, 2],
        [-np.inf, -np.inf, -np.inf, -np.inf],
        [1, 2, np.inf, np.inf],
    ]
    x = np.array(columns, float).T.copy()
    rows = to_rows([x], "concatenated")
    results = run_layer(Pooling("max"), rows, np.arange(1.0, 8.0)[np.newaxis])
    steps = [1, 0, 0, 1, 0, 0, 2]
    expected = np.zeros((4, 7))
    expected[steps, np.arange(7)] = np.arange(1.0, 8.0)
    assert_same_bits("d_x", results["d_x"], expected)
    assert_same_bits("output", results["output"][0], x[steps, np.arange(7)])


def test_a_long_mean_in_float32_is_accurate():
    x = np.full((300_000, 2), 0.1, np.float32)
    x[:, 1] = 1e4
    output = Pooling("mean")._infer(to_rows([x], "concatenated"), 1)
    assert_same_bits("output", output.values, x[:1])


@BOTH_DTYPES
def test_scores_may_be_large(dtype):
    x = np.array([[900.0], [1000.0], [-1000.0]], dtype)
    layer = load(Pooling("attention", n_features=1, dtype=dtype), {"weight": x[:1]})
    results = run_layer(layer, to_rows([x], "concatenated"), np.ones((1, 1), dtype))
    assert results["output"][0] == 1000
    assert_same_bits("d_x", results["d_x"], np.array([[0], [1], [0]], dtype))


# -- the layer itself --


@EACH_KIND
def test_a_gradient_that_nobody_wants_is_not_given(how, rng):
    layer = make_layer(how, 5)
    rows = to_rows(draw_sequences(rng, [3, 1], 5), "concatenated")
    d_output = rng.standard_normal((2, 5))
    expected = run_layer(layer, rows, d_output)
    _, tape = layer._record(rows, None, 1)
    gradients = layer._parameters.like()
    assert layer._back(tape, d_output, gradients, 1, wants_input=False) is None
    for name in gradients:
        assert_same_bits(name, gradients[name], expected[f"d_{name}"])


@EACH_KIND
def test_what_comes_in_is_left_alone(how, rng):
    rows = to_rows(draw_sequences(rng, [3, 1], 5), "concatenated")
    before = rows.values.copy()
    run_layer(make_layer(how, 5), rows, np.ones((2, 5)))
    assert_same_bits("values", rows.values, before)


def test_a_tape_of_older_parameters_is_refused(rng):
    layer = make_layer("attention", 5)
    rows = to_rows(draw_sequences(rng, [3, 1], 5), "concatenated")
    _, tape = layer._record(rows, None, 1)
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="parameters were set"):
        layer._back(
            tape, np.ones((2, 5)), layer._parameters.like(), 1, wants_input=True
        )


@BOTH_DTYPES
def test_the_first_scores_are_uniform(dtype):
    layer = Pooling("attention", n_features=16, dtype=dtype, random_state=3)
    weight = layer.state_dict()["weight"]
    expected = initializers.uniform((1, 16), 0.25, np.random.RandomState(3))
    assert_same_bits("weight", weight, expected.astype(dtype))


@EACH_KIND
def test_a_pickle_is_the_same_layer(how):
    layer = make_layer(how, 5)
    copy = pickle.loads(pickle.dumps(layer))
    assert repr(layer) == f"Pooling(how={how!r}, n_features=5, dtype='float64')"
    assert repr(copy) == repr(layer)
    assert set(layer.state_dict()) == ({"weight"} if how == "attention" else set())
    for name, array in layer.state_dict().items():
        assert_same_bits(name, copy.state_dict()[name], array)


def test_bound_parameters_count(rng):
    layer = make_layer("attention", 5)
    parameters = layer._parameters.like()
    layer._bind(parameters)  # all zero: equal shares
    rows = to_rows(draw_sequences(rng, [3, 1], 5), "concatenated")
    expected = Pooling("mean")._infer(rows, 1).values
    assert_close("output", layer._infer(rows, 1).values, expected, np.float64)


def test_parameters_and_gradients_may_be_parts_of_longer_vectors(rng):
    layer = make_layer("attention", 5)
    rows = to_rows(draw_sequences(rng, [3, 1], 5), "concatenated")
    d_output = rng.standard_normal((2, 5))
    expected = run_layer(layer, rows, d_output)
    shapes = {"0.weight": (2, 3), "1.weight": (1, 5), "2.bias": (4,)}
    parameters = type(layer._parameters)(shapes, np.float64)
    parameters["1.weight"][...] = layer.state_dict()["weight"]
    layer._bind(parameters.part("1."))
    output, tape = layer._record(rows, None, 1)
    assert_same_bits("output", output.values, expected["output"])
    gradients = parameters.like()
    layer._back(tape, d_output, gradients.part("1."), 1, wants_input=True)
    assert_same_bits("d_weight", gradients["1.weight"], expected["d_weight"])
    assert not gradients["0.weight"].any()
    assert not gradients["2.bias"].any()


@EACH_KIND
@BOTH_DTYPES
def test_what_comes_out_is_a_row_per_sequence(dtype, how):
    form = Form("step", 5, np.dtype(dtype))
    layer = Pooling(how, n_features=5, dtype=dtype)
    assert layer._follow(form) == Form("sequence", 5, np.dtype(dtype))


def test_without_parameters_any_rows_may_come_in():
    form = Form("step", 5, np.dtype(np.float64))
    assert Pooling("mean")._follow(form) == Form("sequence", 5, np.dtype(np.float64))


@pytest.mark.parametrize(
    "form, message",
    [
        (Form("sequence", 5, np.dtype(np.float32)), "one row per sequence comes in"),
        (Form("step", None, np.dtype(np.int64)), "tokens come in"),
        (Form("step", 4, np.dtype(np.float32)), "expects 5 features, but 4 come in"),
        (Form("step", 5, np.dtype(np.float64)), "float32, but float64 comes in"),
    ],
)
def test_what_does_not_fit_is_refused(form, message):
    with pytest.raises(ValueError, match=message):
        Pooling("attention", n_features=5)._follow(form)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="last, mean, max, attention, got 'sum'"):
        Pooling("sum")
    with pytest.raises(TypeError, match="how must be a string, got None"):
        Pooling(None)
    with pytest.raises(ValueError, match="n_features must be given"):
        Pooling("attention")
    with pytest.raises(ValueError, match="n_features must be at least 1"):
        Pooling("attention", n_features=0)
    with pytest.raises(TypeError, match="n_features must be a whole number"):
        Pooling("mean", n_features=2.5)
    with pytest.raises(ValueError, match="dtype must be"):
        Pooling("mean", dtype=np.float16)
