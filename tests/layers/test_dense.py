"""The fully connected layer: PyTorch's parameters and results, for any rows."""

import pickle

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru import initializers
from fastgru.layers import dense
from fastgru.layers._layer import Form, Rows
from fastgru.layers.dense import ACTIVATIONS, Dense
from gradcheck import assert_gradients, central_differences
from rows import LAYOUTS, draw_sequences, lengths_of, run_layer, to_rows
from tolerances import assert_close, assert_same_bits

EACH_ACTIVATION = pytest.mark.parametrize("activation", ACTIVATIONS)
BIAS = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])


def make_case(dtype, rng, n_rows=9, **settings):
    """Make a layer of 5 inputs and 3 outputs, rows, and the gradient of its output."""
    layer = Dense(5, 3, dtype=dtype, random_state=0, **settings)
    rows = Rows(rng.standard_normal((n_rows, 5)).astype(dtype), None)
    return layer, rows, rng.standard_normal((n_rows, 3)).astype(dtype)


def twin_of(torch, layer):
    """Make the same modules in PyTorch, in float64."""
    linear = torch.nn.Linear(
        layer.input_size, layer.output_size, bias=layer.bias, dtype=torch.float64
    )
    linear.load_state_dict(
        {name: torch.tensor(a).double() for name, a in layer.state_dict().items()}
    )
    activations = {
        "identity": torch.nn.Identity(),
        "relu": torch.nn.ReLU(),
        "tanh": torch.nn.Tanh(),
        "logistic": torch.nn.Sigmoid(),
    }
    return linear, torch.nn.Sequential(linear, activations[layer.activation])


@BIAS
@EACH_ACTIVATION
@BOTH_DTYPES
def test_results_are_those_of_torch(dtype, activation, bias, rng):
    torch = pytest.importorskip("torch")
    layer, rows, d_output = make_case(dtype, rng, activation=activation, bias=bias)
    results = run_layer(layer, rows, d_output)
    linear, modules = twin_of(torch, layer)
    x = torch.tensor(rows.values).double().requires_grad_()
    output = modules(x)
    output.backward(torch.tensor(d_output).double())
    expected = {"output": output, "d_x": x.grad, "d_weight": linear.weight.grad}
    if bias:
        expected["d_bias"] = linear.bias.grad
    assert set(results) == set(expected)
    for name, tensor in expected.items():
        assert_close(name, results[name], tensor.detach().numpy(), dtype)


@BIAS
@EACH_ACTIVATION
def test_gradients_agree_with_central_differences(activation, bias, rng):
    settings = {"activation": activation, "bias": bias}
    layer, rows, d_output = make_case(np.float64, rng, **settings)
    state = layer.state_dict()

    def objective(tensors):
        layer.load_state_dict({name: tensors[name] for name in state})
        output = layer._infer(Rows(tensors["x"], None), 1)
        return float(np.sum(output.values * d_output))

    numeric = central_differences(objective, {"x": rows.values, **state})
    layer.load_state_dict(state)
    results = run_layer(layer, rows, d_output)
    assert_gradients({name: results[f"d_{name}"] for name in numeric}, numeric)


@LAYOUTS
@BOTH_DTYPES
def test_steps_are_rows_like_any_others(dtype, layout, rng):
    rows = to_rows(draw_sequences(rng, lengths_of(layout), 5, dtype), layout)
    layer = Dense(5, 3, activation="tanh", dtype=dtype, random_state=0)
    output = layer._infer(rows, 1)
    assert output.geometry is rows.geometry
    expected = layer._infer(Rows(rows.values, None), 1)
    assert expected.geometry is None
    assert_same_bits("output", output.values, expected.values)
    recorded, _ = layer._record(rows, None, 1)
    assert recorded.geometry is rows.geometry
    assert_same_bits("recorded", recorded.values, output.values)


@pytest.mark.parametrize("n_threads", [2, 3, 16])
@EACH_ACTIVATION
@BOTH_DTYPES
def test_threads_give_the_bits_of_one(dtype, activation, n_threads, rng, monkeypatch):
    layer, rows, d_output = make_case(dtype, rng, 600, activation=activation)
    expected = run_layer(layer, rows, d_output)
    monkeypatch.setattr(dense, "_SMALLEST_PARALLEL", 0)
    results = run_layer(layer, rows, d_output, n_threads=n_threads)
    inferred = layer._infer(rows, n_threads)
    for name, array in expected.items():
        assert_same_bits(name, results[name], array)
    assert_same_bits("inferred", inferred.values, expected["output"])


@EACH_ACTIVATION
@BOTH_DTYPES
def test_a_row_alone_gives_its_bits_in_the_batch(dtype, activation, rng):
    layer, rows, d_output = make_case(dtype, rng, 70, activation=activation)
    whole = run_layer(layer, rows, d_output)
    for row in range(70):
        alone = run_layer(layer, Rows(rows.values[[row]], None), d_output[[row]])
        for name in ("output", "d_x"):
            assert_same_bits(f"{name} of {row}", alone[name], whole[name][[row]])


@EACH_ACTIVATION
def test_a_gradient_that_nobody_wants_is_not_given(activation, rng):
    layer, rows, d_output = make_case(np.float64, rng, activation=activation)
    expected = run_layer(layer, rows, d_output)
    _, tape = layer._record(rows, None, 1)
    gradients = layer._parameters.like()
    d_values = d_output.copy()
    assert layer._back(tape, d_values, gradients, 1, wants_input=False) is None
    for name in gradients:
        assert_same_bits(name, gradients[name], expected[f"d_{name}"])


@EACH_ACTIVATION
def test_what_comes_in_and_goes_out_is_left_alone(activation, rng):
    layer, rows, d_output = make_case(np.float64, rng, activation=activation)
    before = rows.values.copy()
    results = run_layer(layer, rows, d_output)
    assert_same_bits("values", rows.values, before)
    assert_same_bits("output", results["output"], layer._infer(rows, 1).values)


# -- parameters --


@BOTH_DTYPES
def test_first_parameters_are_uniform_and_seeded(dtype):
    layer = Dense(16, 3, dtype=dtype, random_state=3)
    random_state = np.random.RandomState(3)
    weight = initializers.uniform((3, 16), 0.25, random_state).astype(dtype)
    bias = initializers.uniform((3,), 0.25, random_state).astype(dtype)
    state = layer.state_dict()
    assert list(state) == ["weight", "bias"]
    assert_same_bits("weight", state["weight"], weight)
    assert_same_bits("bias", state["bias"], bias)


def test_set_parameters_count_and_make_tapes_worthless(rng):
    layer, rows, d_output = make_case(np.float64, rng)
    _, tape = layer._record(rows, None, 1)
    state = {name: 2 * array for name, array in layer.state_dict().items()}
    expected = 2 * layer._infer(rows, 1).values
    layer.load_state_dict(state)
    assert_same_bits("output", layer._infer(rows, 1).values, expected)
    gradients = layer._parameters.like()
    with pytest.raises(RuntimeError, match="parameters were set"):
        layer._back(tape, d_output, gradients, 1, wants_input=True)


@BIAS
def test_bound_parameters_count(bias, rng):
    layer, rows, _ = make_case(np.float64, rng, bias=bias)
    parameters = layer._parameters.like()
    parameters.flat[...] = 1.0
    layer._bind(parameters)
    expected = rows.values.sum(axis=1) + bias
    for column in layer._infer(rows, 1).values.T:
        assert_close("output", column, expected, np.float64)
    parameters["weight"][...] = 0.0
    layer._pack()
    assert (layer._infer(rows, 1).values == bias).all()


@BIAS
@EACH_ACTIVATION
def test_a_pickle_is_the_same_layer(activation, bias, rng):
    layer, rows, _ = make_case(np.float64, rng, activation=activation, bias=bias)
    copy = pickle.loads(pickle.dumps(layer))
    assert repr(copy) == repr(layer)
    assert repr(layer) == (
        f"Dense(input_size=5, output_size=3, bias={bias}, "
        f"activation={activation!r}, dtype='float64')"
    )
    output = layer._infer(rows, 1).values
    assert_same_bits("output", copy._infer(rows, 1).values, output)


# -- errors --


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_the_size_of_the_rows_changes(per):
    layer = Dense(5, 3, dtype=np.float64)
    form = layer._follow(Form(per, 5, np.dtype(np.float64)))
    assert form == Form(per, 3, np.dtype(np.float64))


@pytest.mark.parametrize(
    "form, message",
    [
        (Form("step", None, np.dtype(np.int64)), "tokens come in"),
        (Form("step", 4, np.dtype(np.float32)), "expects 5 features, but 4 come in"),
        (Form("sequence", 5, np.dtype(np.float64)), "float32, but float64 comes in"),
    ],
)
def test_what_does_not_fit_is_refused(form, message):
    with pytest.raises(ValueError, match=message):
        Dense(5, 3)._follow(form)


@pytest.mark.parametrize("name", ["input_size", "output_size"])
def test_sizes_that_are_none_are_refused(name):
    sizes = {"input_size": 5, "output_size": 3}
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        Dense(**sizes | {name: 0})
    with pytest.raises(TypeError, match=f"{name} must be a whole number"):
        Dense(**sizes | {name: 2.0})


def test_settings_that_are_none_are_refused():
    with pytest.raises(TypeError, match="bias must be True or False"):
        Dense(5, 3, bias=1)
    with pytest.raises(ValueError, match="identity, relu, tanh, logistic, got 'gelu'"):
        Dense(5, 3, activation="gelu")
    with pytest.raises(TypeError, match="activation must be a string, got None"):
        Dense(5, 3, activation=None)
    with pytest.raises(ValueError, match="dtype must be"):
        Dense(5, 3, dtype=np.float16)
