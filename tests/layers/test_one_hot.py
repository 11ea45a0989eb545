"""One-hot rows: a 1 at each token's place, and no gradient further back."""

import pickle

import numpy as np
import pytest

import fastgru
from cases import BOTH_CELLS, BOTH_DTYPES
from fastgru.layers._layer import Form
from fastgru.layers.one_hot import OneHot
from rows import LAYOUTS, lengths_of, to_rows
from tolerances import assert_close, assert_same_bits

TOKENS = Form("step", None, np.dtype(np.int64))


@LAYOUTS
@BOTH_DTYPES
def test_tokens_become_rows_with_a_single_1(dtype, layout, rng):
    sequences = [rng.integers(0, 7, n) for n in lengths_of(layout)]
    rows = to_rows(sequences, layout)
    output = fastgru.Network([OneHot(7, dtype=dtype)])(rows.values)
    assert_same_bits("output", output, np.eye(7, dtype=dtype)[rows.values])


@BOTH_CELLS
@BOTH_DTYPES
def test_a_gru_behind_it_reads_columns_of_its_weights(dtype, reset_after, rng):
    """The same numbers as from the rows themselves, and the same gradients."""
    tokens = rng.integers(0, 7, (5, 3))
    settings = {"reset_after": reset_after, "dtype": dtype, "random_state": 0}
    gru, dense = fastgru.GRU(7, 4, **settings), fastgru.Dense(4, 7, dtype=dtype)
    network = fastgru.Network([OneHot(7, dtype=dtype), gru, dense])
    plain = fastgru.Network([gru, dense])
    outputs, pullback = network.vjp(tokens, [5, 2, 4])
    expected, plain_pullback = plain.vjp(np.eye(7, dtype=dtype)[tokens], [5, 2, 4])
    assert_same_bits("outputs", outputs, expected)
    assert_same_bits("call", network(tokens, [5, 2, 4]), expected)
    d_outputs = rng.standard_normal(outputs.shape).astype(dtype)
    gradients, plain_gradients = pullback(d_outputs), plain_pullback(d_outputs)
    assert gradients.x is None
    for name, gradient in plain_gradients.parameters.items():
        number, _, rest = name.partition(".")
        own = gradients.parameters[f"{int(number) + 1}.{rest}"]
        assert_close(name, own, gradient, dtype)


def test_a_stream_takes_one_token_at_a_time(rng):
    tokens = rng.integers(0, 7, 9)
    network = fastgru.Network([OneHot(7), fastgru.GRU(7, 5), fastgru.Dense(5, 7)])
    stream, several = network.stream(), network.stream(batch_size=2)
    outputs = network(tokens)
    for t, token in enumerate(tokens):
        assert_same_bits("one", stream.step(token), outputs[t])
        assert_same_bits("of two", several.step([token, 3])[0], outputs[t])


@pytest.mark.parametrize("token", [-1, 7])
def test_an_unknown_token_is_refused_by_place(token):
    network = fastgru.Network([OneHot(7), fastgru.GRU(7, 5)])
    with pytest.raises(ValueError, match=f"got {token} at step 1 of sequence 2"):
        network([[0, 0, 0], [1, 1, token]])


def test_it_reads_tokens_only():
    with pytest.raises(ValueError, match="layer 1 .* OneHot expects tokens"):
        fastgru.Network([fastgru.Embedding(7, 3), OneHot(7)])
    assert OneHot(7, dtype="float64")._follow(TOKENS) == Form("step", 7, np.float64)
    with pytest.raises(ValueError, match="GRU expects 6 features, but 7 come in"):
        fastgru.Network([OneHot(7), fastgru.GRU(6, 5)])
    network = fastgru.Network([OneHot(7), fastgru.GRU(7, 5)])
    with pytest.raises(TypeError, match="x must hold tokens, whole numbers"):
        network(np.zeros((5, 2), np.float32))


@pytest.mark.parametrize(
    ("n_tokens", "error"), [(0, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_sizes_are_checked(n_tokens, error):
    with pytest.raises(error, match="n_tokens"):
        OneHot(n_tokens)


def test_it_has_no_parameters_and_is_copied_whole(tmp_path):
    layer = OneHot(7, dtype="float64")
    assert layer.state_dict() == {}
    fastgru.save(layer, tmp_path / "one_hot.safetensors")
    copies = (
        pickle.loads(pickle.dumps(layer)),
        fastgru.load(tmp_path / "one_hot.safetensors"),
    )
    for copy in copies:
        assert repr(copy) == repr(layer) == "OneHot(n_tokens=7, dtype='float64')"
