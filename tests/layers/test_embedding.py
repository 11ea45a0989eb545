"""The embedding: rows of its table out, the sums over their places back."""

import pickle

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru import initializers
from fastgru.layers import embedding
from fastgru.layers._layer import Form
from fastgru.layers.embedding import Embedding
from gradcheck import assert_gradients, central_differences
from rows import LAYOUTS, lengths_of, run_layer, to_rows
from tolerances import assert_close, assert_same_bits

TOKENS = Form("step", None, np.dtype(np.int64))


def make_case(layout, dtype, rng, n_tokens=7, size=5):
    """Make a layer, token rows, and the gradient of what comes out."""
    layer = Embedding(n_tokens, size, dtype=dtype, random_state=0)
    sequences = [rng.integers(0, n_tokens - 1, n) for n in lengths_of(layout)]
    rows = to_rows(sequences, layout)
    d_output = rng.standard_normal((rows.values.size, size)).astype(dtype)
    return layer, rows, d_output


@LAYOUTS
@BOTH_DTYPES
def test_tokens_become_their_rows(dtype, layout, rng):
    layer, rows, _ = make_case(layout, dtype, rng)
    weight = layer.state_dict()["weight"]
    for output in (layer._infer(rows, 1), layer._record(rows, None, 1)[0]):
        assert_same_bits("output", output.values, weight[rows.values])
        assert output.geometry is rows.geometry


@LAYOUTS
@BOTH_DTYPES
def test_gradients_are_those_of_torch(dtype, layout, rng):
    torch = pytest.importorskip("torch")
    layer, rows, d_output = make_case(layout, dtype, rng)
    twin = torch.nn.Embedding(7, 5, dtype=torch.float64)
    state = {n: torch.tensor(a).double() for n, a in layer.state_dict().items()}
    twin.load_state_dict(state)
    output = twin(torch.tensor(rows.values))
    output.backward(torch.tensor(d_output).double())

    results = run_layer(layer, rows, d_output)
    assert_close("output", results["output"], output.detach().numpy(), dtype)
    assert_close("d_weight", results["d_weight"], twin.weight.grad.numpy(), dtype)
    assert results["d_x"] is None
    assert not results["d_weight"][6].any()  # never drawn


def test_gradients_agree_with_central_differences(rng):
    layer, rows, d_output = make_case("concatenated", np.float64, rng)

    def objective(state):
        layer.load_state_dict(state)
        return float(np.sum(layer._infer(rows, 1).values * d_output))

    state = layer.state_dict()
    numeric = central_differences(objective, state)
    layer.load_state_dict(state)
    results = run_layer(layer, rows, d_output)
    assert_gradients({"weight": results["d_weight"]}, numeric)


@pytest.mark.parametrize("n_threads", [2, 3, 16])
@BOTH_DTYPES
def test_threads_give_the_bits_of_one(dtype, n_threads, rng, monkeypatch):
    layer = Embedding(40, 17, dtype=dtype, random_state=0)
    # Few tokens are frequent: the shares of the threads are to differ in size.
    sequences = [rng.geometric(0.2, n).clip(max=40) - 1 for n in (3000, 500)]
    rows = to_rows(sequences, "concatenated")
    d_output = rng.standard_normal((3500, 17)).astype(dtype)
    expected = run_layer(layer, rows, d_output)["d_weight"]
    monkeypatch.setattr(embedding, "_SMALLEST_PARALLEL", 0)
    results = run_layer(layer, rows, d_output, n_threads=n_threads)
    assert_same_bits("d_weight", results["d_weight"], expected)


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 16])
def test_blocks_of_tokens_have_about_equal_work(n_blocks, rng):
    counts = rng.integers(0, 20, 1000)
    starts = np.concatenate([[0], np.cumsum(counts)])
    bounds = embedding._bounds(starts, n_blocks)
    assert bounds[0] == 0
    assert bounds[-1] == 1000
    work = np.diff((starts + np.arange(1001))[bounds])
    assert len(work) == n_blocks
    assert work.max() - work.min() <= 2 * 21


def test_tokens_changed_after_the_forward_pass_do_not_change_gradients(rng):
    layer, rows, d_output = make_case("concatenated", np.float64, rng)
    expected = run_layer(layer, rows, d_output)["d_weight"]
    _, tape = layer._record(rows, None, 1)
    rows.values[...] = 10**9
    gradients = layer._parameters.like()
    layer._back(tape, d_output, gradients, 1, wants_input=False)
    assert_same_bits("d_weight", gradients["weight"], expected)


def test_no_tokens_give_no_rows_and_zero_gradients():
    layer = Embedding(3, 5, random_state=0)
    rows = to_rows([np.empty(0, np.int64)] * 2, "concatenated")
    results = run_layer(layer, rows, np.empty((0, 5), np.float32))
    assert results["output"].shape == (0, 5)
    assert not results["d_weight"].any()


@pytest.mark.parametrize("token", [-1, 7, 10**12])
def test_an_unknown_token_is_refused_with_its_place(token):
    layer = Embedding(7, 5, random_state=0)
    sequences = [np.array(tokens) for tokens in ([0, 1], [2, 6, token, 3])]
    rows = to_rows(sequences, "concatenated")
    message = f"from 0 to 6, got {token} at step 2 of sequence 1"
    with pytest.raises(ValueError, match=message):
        layer._infer(rows, 1)
    with pytest.raises(ValueError, match=message):
        layer._record(rows, None, 1)


# -- the layer itself --


@BOTH_DTYPES
def test_the_first_table_is_standard_normal(dtype):
    layer = Embedding(300, 50, dtype=dtype, random_state=3)
    weight = layer.state_dict()["weight"]
    random_state = np.random.RandomState(3)
    expected = initializers.standard_normal((300, 50), random_state)
    assert_same_bits("weight", weight, expected.astype(dtype))
    assert abs(np.mean(weight)) < 5 / np.sqrt(15000)
    assert abs(np.std(weight) - 1) < 5 / np.sqrt(30000)


def test_parameters_are_those_of_torchs_module():
    torch = pytest.importorskip("torch")
    twin = torch.nn.Embedding(7, 5)
    layer = Embedding(7, 5)
    layer.load_state_dict({n: t.numpy() for n, t in twin.state_dict().items()})
    weight = twin.weight.detach().numpy()
    output = layer._infer(to_rows([np.array([4, 0])], "concatenated"), 1)
    assert_same_bits("output", output.values, weight[[4, 0]])


def test_a_pickle_is_the_same_layer():
    layer = Embedding(7, 5, dtype=np.float64, random_state=0)
    copy = pickle.loads(pickle.dumps(layer))
    assert repr(copy) == repr(layer)
    assert repr(layer) == "Embedding(n_tokens=7, embedding_dim=5, dtype='float64')"
    weight = layer.state_dict()["weight"]
    assert_same_bits("weight", copy.state_dict()["weight"], weight)


def test_bound_parameters_count(rng):
    layer, rows, _ = make_case("concatenated", np.float64, rng)
    parameters = layer._parameters.like()
    parameters.flat[...] = 2.0
    layer._bind(parameters)
    assert (layer._infer(rows, 1).values == 2.0).all()


def test_what_comes_out_is_a_row_per_step():
    form = Embedding(7, 5, dtype=np.float64)._follow(TOKENS)
    assert form == Form("step", 5, np.dtype(np.float64))


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_features_are_refused(per):
    form = Form(per, 4, np.dtype(np.float32))
    with pytest.raises(ValueError, match=f"expects tokens.*4 features per {per}"):
        Embedding(7, 5)._follow(form)


@pytest.mark.parametrize("name", ["n_tokens", "embedding_dim"])
def test_sizes_that_are_none_are_refused(name):
    sizes = {"n_tokens": 7, "embedding_dim": 5}
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        Embedding(**sizes | {name: 0})
    with pytest.raises(TypeError, match=f"{name} must be a whole number"):
        Embedding(**sizes | {name: 2.0})
    with pytest.raises(ValueError, match="dtype must be"):
        Embedding(**sizes, dtype=np.float16)
