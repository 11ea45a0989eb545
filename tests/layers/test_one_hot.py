"""OneHot and the GRU behind it: the bits of a GRU that reads the features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgru
from cases import num_threads
from fastgru import GRU, Dense, Dropout, Embedding, Network, OneHot, Pooling
from tolerances import TOLERANCES, assert_same_bits


def make(n_tokens, hidden_size, dtype=np.float32, **settings):
    """Make a network that reads tokens, and the same for the features."""
    gru = GRU(n_tokens, hidden_size, dtype=dtype, random_state=0, **settings)
    dense = Dense(gru._output_size, 3, dtype=dtype, random_state=0)
    by_token = Network([OneHot(n_tokens, dtype=dtype), gru, dense])
    return by_token, Network([gru, dense])


def draw(n_tokens, T, B, dtype=np.float32):
    """Draw tokens (T, B), their features, and lengths."""
    rng = np.random.default_rng(n_tokens)
    tokens = rng.integers(0, n_tokens, (T, B))
    lengths = rng.integers(0, T + 1, B)
    lengths[0] = T
    return tokens, np.eye(n_tokens, dtype=dtype)[tokens], lengths


def run(network, x, lengths):
    """Give outputs and the gradients of the parameters of the GRU."""
    outputs, pullback = network.vjp(x, lengths)
    rng = np.random.default_rng(0)
    d_outputs = rng.standard_normal(outputs.shape).astype(outputs.dtype)
    gradients = pullback(d_outputs).parameters
    return outputs, {n.partition(".")[2]: g for n, g in gradients.items() if "_l" in n}


@given(
    n_tokens=st.integers(1, 40),
    hidden_size=st.integers(1, 40),
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 40)),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    reset_after=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    ragged=st.booleans(),
    n_threads=st.sampled_from([1, min(2, fastgru.get_num_threads())]),
)
def test_tokens_give_the_bits_of_their_features(
    n_tokens, hidden_size, sizes, dtype, ragged, n_threads, **settings
):
    by_token, by_feature = make(n_tokens, hidden_size, dtype, **settings)
    tokens, x, lengths = draw(n_tokens, *sizes, dtype)
    lengths = lengths if ragged else None
    with num_threads(n_threads):
        assert_same_bits("outputs", by_token(tokens, lengths), by_feature(x, lengths))
        outputs, gradients = run(by_token, tokens, lengths)
    expected_outputs, expected = run(by_feature, x, lengths)
    assert_same_bits("recorded outputs", outputs, expected_outputs)
    assert set(gradients) == set(expected)
    for name, gradient in gradients.items():
        scale = np.abs(expected[name]).max()
        error = np.abs(gradient - expected[name]).max()
        assert error <= TOLERANCES[np.dtype(dtype)] * (scale + 1e-3), name


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize(
    "hidden_size, n_steps, batch",
    [(24, 60, 30), (5, 130, 100)],
    ids=["several blocks of 256 rows", "so many that threads share the rows"],
)
def test_gradients_are_the_same_bits_for_any_number_of_threads(
    hidden_size, n_steps, batch, reset_after
):
    by_token, _ = make(11, hidden_size, reset_after=reset_after)
    tokens, _, lengths = draw(11, n_steps, batch)
    found = []
    for n_threads in (1, fastgru.get_num_threads()):
        with num_threads(n_threads):
            found.append(run(by_token, tokens, lengths)[1])
    for name in found[0]:
        assert_same_bits(name, found[1][name], found[0][name])


def test_a_token_that_does_not_occur_has_no_gradient():
    by_token, _ = make(9, 8)
    tokens = np.full((5, 3), 4)
    _, gradients = run(by_token, tokens, None)
    used = np.abs(gradients["weight_ih_l0"]).sum(axis=0) > 0
    assert used.tolist() == [v == 4 for v in range(9)]


@pytest.mark.parametrize("n_tokens", [1, 2, 28])
@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.parametrize("batch_size", [None, 1, 5])
def test_a_stream_of_tokens_gives_the_bits_of_the_network(
    n_tokens, reset_after, batch_size
):
    network, _ = make(n_tokens, 17, num_layers=2, reset_after=reset_after)
    tokens, _, _ = draw(n_tokens, 7, batch_size or 1)
    tokens = tokens[:, 0] if batch_size is None else tokens
    stream = network.stream(batch_size)
    outputs = [stream.step(token) for token in tokens]
    assert_same_bits("outputs", np.array(outputs), network(tokens))


def test_nothing_as_large_as_the_features_is_made():
    import tracemalloc

    n_tokens, T, B, H = 20_000, 50, 20, 4
    network = Network([OneHot(n_tokens), GRU(n_tokens, H, random_state=0)])
    tokens, _, _ = draw(5, T, B)
    network.vjp(tokens)[1](np.ones((T, B, H), np.float32))
    tracemalloc.start()
    outputs, pullback = network.vjp(tokens)
    pullback(np.ones_like(outputs))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    gradient = 4 * 3 * H * n_tokens
    assert peak < 3 * gradient < 4 * T * B * n_tokens / 10


@pytest.mark.parametrize(
    "layers",
    [
        [Dense(5, 2)],
        [Dropout(0.5), GRU(5, 2)],
        [Pooling("last")],
        [Embedding(5, 2)],
        [OneHot(5)],
        [GRU(4, 2)],
        [GRU(5, 2, dtype=np.float64)],
    ],
    ids=lambda layers: repr(layers[0]),
)
def test_what_cannot_follow_is_refused(layers):
    with pytest.raises(ValueError, match="layer 1 .* does not fit"):
        Network([OneHot(5), *layers])


def test_tokens_out_of_range_are_refused():
    network = Network([OneHot(5), GRU(5, 2)])
    for token in (5, -1):
        with pytest.raises(ValueError, match=f"from 0 to 4, got {token} at step 1"):
            network([[0, 0], [0, token]])


@pytest.mark.parametrize(
    ("n_tokens", "error"), [(0, ValueError), (2**24 + 1, ValueError), (1.0, TypeError)]
)
def test_a_number_of_tokens_that_cannot_be_is_refused(n_tokens, error):
    with pytest.raises(error, match="n_tokens"):
        OneHot(n_tokens)
