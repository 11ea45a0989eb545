"""Windows of a text: each transition once per epoch, states where they belong."""

import numpy as np
import pytest

from fastgru.training.windows import RandomWindows, SequentialWindows

EACH_SIZE = pytest.mark.parametrize(
    ("n_tokens", "num_steps", "batch_size"),
    [(100, 7, 4), (101, 7, 4), (103, 7, 4), (50, 49, 4), (64, 5, 1), (12, 1, 32)],
)


def text_of(n_tokens):
    """Give tokens that tell their places."""
    return np.arange(n_tokens, dtype=np.int32)


def zero_states(batch_size):
    return {"0": np.zeros((1, batch_size, 2))}


def check_batch(batch, num_steps):
    """Targets follow, weights are 1, numbers and types are what layers take."""
    assert batch.values.dtype == batch.targets.dtype == np.int64
    assert (batch.targets == batch.values + 1).all()
    assert batch.weights.tolist() == [1.0] * batch.values.size
    assert batch.lengths.sum() == batch.values.size > 0
    assert batch.lengths.max() <= num_steps
    assert batch.lengths.size == batch.numbers.size
    for window in np.split(batch.values, np.cumsum(batch.lengths)[:-1]):
        assert (np.diff(window) == 1).all()


def minibatches_of(windows, batch_size, seed):
    """Give the minibatches of an epoch."""
    return list(windows.minibatches(batch_size, np.random.RandomState(seed)))


@EACH_SIZE
@pytest.mark.parametrize("sampling", ["sequential", "random"])
def test_each_token_is_predicted_once_per_epoch(
    sampling, n_tokens, num_steps, batch_size
):
    tokens = text_of(n_tokens)
    if sampling == "sequential":
        windows = SequentialWindows(tokens, num_steps, zero_states)
    else:
        windows = RandomWindows(tokens, num_steps, None)
    assert len(windows) == n_tokens - 1
    for seed in range(5):
        batches = minibatches_of(windows, batch_size, seed)
        for batch in batches:
            check_batch(batch, num_steps)
            assert batch.lengths.size <= batch_size + (sampling == "sequential")
        predicted = np.concatenate([batch.targets for batch in batches])
        assert sorted(predicted.tolist()) == list(range(1, n_tokens))
        numbers = np.concatenate([batch.numbers for batch in batches])
        assert np.unique(numbers).size == numbers.size


@EACH_SIZE
@pytest.mark.parametrize("seed", range(4))
def test_a_stream_goes_on_where_it_ended(n_tokens, num_steps, batch_size, seed):
    windows = SequentialWindows(text_of(n_tokens), num_steps, zero_states)
    n_streams = max(1, min(batch_size, (n_tokens - 1) // num_steps))
    ends, states = None, None
    for batch in windows.minibatches(batch_size, np.random.RandomState(seed)):
        n_more = batch.lengths.size - n_streams
        assert batch.states["0"].shape == (1, batch.lengths.size, 2)
        begins = batch.values[np.cumsum(batch.lengths) - batch.lengths]
        if ends is None:
            assert not batch.states["0"].any()
            assert n_more in (0, 1)
            if n_more == 1:  # the tokens before the streams begin
                assert (begins[-1], batch.lengths[-1]) == (0, begins[0])
        else:
            assert n_more == 0
            assert_carried(batch.states, states)
            moving = batch.lengths > 0
            assert (begins[moving] == ends[moving]).all()
        ends = (begins + batch.lengths)[:n_streams]
        # As the trainer leaves them.
        batch.states["0"] += 1.0 + np.arange(batch.lengths.size)[:, np.newaxis]
        states = batch.states["0"][:, :n_streams].copy()


def assert_carried(states, before):
    """States are what the minibatch before has left of these streams."""
    assert (states["0"] == before).all()


def test_a_text_is_cut_elsewhere_in_each_epoch():
    windows = SequentialWindows(text_of(400), 7, zero_states)
    firsts = {minibatches_of(windows, 4, seed)[0].values[0] for seed in range(60)}
    assert firsts == set(range(7))
    (first, *_) = windows.minibatches(4, None)
    assert first.values[::7].tolist() == [0, 99, 199, 299]


def test_random_windows_come_in_random_order_and_begin_with_zeros():
    windows = RandomWindows(text_of(400), 7, None)
    orders = []
    for seed in (0, 1, 0):
        batches = minibatches_of(windows, 4, seed)
        assert all(batch.states is None for batch in batches)
        orders.append(np.concatenate([batch.values for batch in batches]).tolist())
    assert orders[0] == orders[2] != orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize(
    ("n_tokens", "stride", "starts"),
    [
        (12, 1, [0, 1, 2, 3, 4, 5, 6, 7]),
        (12, 3, [0, 3, 6, 7]),
        (11, 3, [0, 3, 6]),
        (5, 2, [0]),
        (6, 4, [0, 1]),
    ],
)
def test_windows_with_a_stride(n_tokens, stride, starts):
    windows = RandomWindows(text_of(n_tokens), 4, stride)
    batches = minibatches_of(windows, 3, 0)
    for batch in batches:
        check_batch(batch, 4)
        assert set(batch.lengths) == {4}
    values = np.concatenate([batch.values for batch in batches]).reshape(-1, 4)
    assert sorted(values[:, 0].tolist()) == starts
