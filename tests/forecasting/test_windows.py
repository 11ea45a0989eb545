"""Training windows: each window and each target once per epoch, cut from the series."""

import itertools
import tracemalloc

import numpy as np
import pytest

from fastgru.forecasting._histories import ExogScale, History
from fastgru.forecasting._series import Series
from fastgru.forecasting._strategies import Direct, Recursive
from fastgru.forecasting._transforms import Transform
from fastgru.forecasting._windows import Windows
from tolerances import assert_same_bits

# Of lists of series: windows shorter than some, as long as one, longer than all.
LENGTHS = [(30,), (30, 12, 9, 17), (9, 30), (8, 8)]
EACH_LIST = pytest.mark.parametrize("lengths", LENGTHS, ids=str)
EACH_SIZE = pytest.mark.parametrize(
    ("horizon", "lags", "batch_size"), [(1, 1, 4), (3, 5, 7), (4, 11, 5), (2, 99, 200)]
)
OF_LEVELS = pytest.mark.parametrize("of_changes", [False, True])
N_TARGETS = 2


def histories_of(lengths, n_exog, *, of_changes):
    """Make series whose numbers are all different, and so tell their places."""
    numbers = itertools.count()
    transform = Transform.fit(np.zeros((3, N_TARGETS)), None, log=False, period=None)
    exog_scale = ExogScale(np.zeros(n_exog), np.ones(n_exog))
    return [
        History.of(
            Series(
                np.array([[next(numbers) ** 1.5, -next(numbers)] for _ in range(n)]),
                np.array([[next(numbers) for _ in range(n_exog)] for _ in range(n)]),
            ),
            transform,
            exog_scale,
            of_changes=of_changes,
        )
        for n in lengths
    ]


def windows_of(kind, lengths, horizon, lags, n_exog, *, of_changes):
    histories = histories_of(lengths, n_exog, of_changes=of_changes)
    strategy = kind(horizon, lags, N_TARGETS, n_exog, of_changes=of_changes)
    strategy.fit(histories)
    return histories, strategy, Windows(histories, strategy, np.dtype(np.float64))


def an_epoch(windows, batch_size, seed):
    """Give windows, targets and numbers of all minibatches, one after the other."""
    inputs, targets, numbers = [], [], []
    for batch in windows.minibatches(batch_size, np.random.RandomState(seed)):
        assert len(batch.lengths) <= batch_size
        assert batch.weights.tolist() == [1.0] * len(batch.targets)
        inputs += np.split(batch.values, np.cumsum(batch.lengths)[:-1])
        per_step = len(batch.targets) == len(batch.values)
        rows = batch.lengths if per_step else np.ones(len(batch.lengths), np.int64)
        targets += np.split(batch.targets, np.cumsum(rows)[:-1])
        numbers += batch.numbers.tolist()
    return inputs, targets, numbers


def expected_origins(n_steps, lags, reach):
    """Give the last steps of a series' windows."""
    last = n_steps - 1 - reach
    return range(min(lags - 1, last), last + 1)


def with_exog(history, begin, end, lead):
    """Give what is read of steps, written out."""
    rows = [
        np.concatenate([history.inputs[t], *history.exog[t + 1 : t + 1 + lead]])
        for t in range(begin, end)
    ]
    return np.array(rows)


def assert_same_windows(found, expected):
    """Compare pairs of windows and targets, in any order."""
    keys = [(x.shape, x.tobytes(), y.shape, y.tobytes()) for x, y in expected]
    assert len(set(keys)) == len(keys)
    got = [(x.shape, x.tobytes(), y.shape, y.tobytes()) for x, y in found]
    assert sorted(got) == sorted(keys)


@EACH_LIST
@EACH_SIZE
@OF_LEVELS
@pytest.mark.parametrize("n_exog", [0, 2])
def test_direct_windows_end_at_each_origin_once(
    lengths, horizon, lags, batch_size, of_changes, n_exog
):
    histories, strategy, windows = windows_of(
        Direct, lengths, horizon, lags, n_exog, of_changes=of_changes
    )
    expected = []
    for history in histories:
        for t in expected_origins(len(history), lags, horizon):
            begin = max(0, t + 1 - lags)
            after = history.levels[t + 1 : t + 1 + horizon]
            if of_changes:
                after = (after - history.levels[t]) / strategy.growth
            window = with_exog(history, begin, t + 1, horizon)
            expected.append((window, after.reshape(1, -1)))
    assert len(windows) == len(expected)
    for seed in range(2):
        inputs, targets, numbers = an_epoch(windows, batch_size, seed)
        assert sorted(numbers) == list(range(len(windows)))
        assert_same_windows(zip(inputs, targets, strict=True), expected)


@EACH_LIST
@EACH_SIZE
@OF_LEVELS
@pytest.mark.parametrize("n_exog", [0, 2])
def test_recursive_windows_have_each_next_step_as_target(
    lengths, horizon, lags, batch_size, of_changes, n_exog
):
    histories, _, windows = windows_of(
        Recursive, lengths, horizon, lags, n_exog, of_changes=of_changes
    )
    expected = []
    for history in histories:
        for t in expected_origins(len(history), lags, 1):
            begin = max(0, t + 1 - lags)
            window = with_exog(history, begin, t + 1, 1)
            expected.append((window, history.inputs[begin + 1 : t + 2]))
    for seed in range(2):
        inputs, targets, numbers = an_epoch(windows, batch_size, seed)
        assert sorted(numbers) == list(range(len(windows)))
        assert_same_windows(zip(inputs, targets, strict=True), expected)


@OF_LEVELS
def test_what_changes_are_divided_by_is_how_far_levels_move(of_changes):
    histories, strategy, _ = windows_of(
        Direct, (30, 12), 3, 5, 0, of_changes=of_changes
    )
    if not of_changes:
        assert (strategy.growth == 1).all()
        return
    for k in (1, 2, 3):
        moves = np.concatenate([h.levels[k:] - h.levels[:-k] for h in histories])
        expected = np.sqrt((moves**2).mean(axis=0))
        np.testing.assert_allclose(strategy.growth[k - 1], expected, rtol=1e-12)


def test_epochs_have_different_orders_and_without_random_state_none():
    *_, windows = windows_of(Direct, (30,), 3, 5, 0, of_changes=False)
    first, second = (an_epoch(windows, 7, seed)[2] for seed in (0, 1))
    assert first != second
    batches = windows.minibatches(7, None)
    in_order = np.concatenate([batch.numbers for batch in batches])
    assert in_order.tolist() == list(range(len(windows)))


def test_windows_are_not_written_out():
    *_, windows = windows_of(Direct, (30_000,), 3, 1000, 0, of_changes=False)
    assert sum(array.nbytes for array in windows.arrays()) < 40 * 30_000
    batch = windows.take(np.array([7]))
    assert_same_bits("window", batch.values, windows.inputs[7:1007])


def test_windows_take_the_memory_of_their_series_and_not_their_own():
    series = Series(
        np.random.default_rng(0).normal(size=(50_000, 1)), np.empty((50_000, 0))
    )
    transform = Transform.fit(series.values, "difference", log=False, period=None)
    exog_scale = ExogScale(np.empty(0), np.empty(0))
    lags = 300
    strategy = Direct(24, lags, 1, 0, of_changes=True)
    tracemalloc.start()
    try:
        histories = [History.of(series, transform, exog_scale, of_changes=True)]
        windows = Windows(histories, strategy, np.dtype(np.float32))
        n_read = sum(
            len(batch.lengths)
            for batch in windows.minibatches(32, np.random.RandomState(0))
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_read == 50_000 - lags - 24 + 1
    # Levels, inputs, a number for each window, and what making them takes meanwhile.
    assert peak < 10 * series.values.nbytes < lags * series.values.nbytes / 20
