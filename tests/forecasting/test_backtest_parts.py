"""Backtests of several series, and the part of one of them."""

import numpy as np
import pytest

from fastgru import GRUForecaster


@pytest.fixture
def members(rng):
    """Two series of two variables."""
    return [rng.normal(size=(n, 2)).cumsum(axis=0) for n in (50, 37)]


@pytest.fixture
def backtest(members):
    forecaster = GRUForecaster(
        horizon=3, hidden_size=2, max_iter=2, calibration_fraction=0.3, random_state=0
    )
    return forecaster.backtest(members, n_windows=4, step=2)


def test_backtest_keeps_the_series(members, backtest):
    for kept, given in zip(backtest.series_values, members, strict=True):
        np.testing.assert_array_equal(kept, given)
    for k, origin in enumerate(backtest.origins):
        came = backtest.series_values[backtest.series[k]][origin : origin + 3]
        np.testing.assert_array_equal(backtest.actuals[k], came)
    assert backtest.series_indexes == [None, None]
    assert backtest.names == [(), ()]


def test_backtest_keeps_index_and_names(members):
    pd = pytest.importorskip("pandas")
    days = pd.date_range("2024-01-01", periods=50, freq="D")
    frame = pd.DataFrame(members[0], days, columns=["wind", "sun"])
    forecaster = GRUForecaster(horizon=3, hidden_size=2, max_iter=2, random_state=0)
    backtest = forecaster.backtest(frame, n_windows=2)
    assert backtest.series_indexes[0].equals(days)
    assert backtest.names == [("wind", "sun")]
    assert backtest.select(0, variable=1).names == [("sun",)]


def test_windows_of_one_series_are_judged_by_themselves(backtest):
    parts = [backtest.select(0), backtest.select(1)]
    assert [len(part) for part in parts] == [4, 4]
    assert backtest.mase == pytest.approx(np.mean([part.mase for part in parts]))
    assert parts[0].mase != parts[1].mase
    for number, part in enumerate(parts):
        rows = backtest.series == number
        for name in ("origins", "forecasts", "actuals", "naive", "lower", "upper"):
            expected = getattr(backtest, name)[rows]
            np.testing.assert_array_equal(getattr(part, name), expected)


def test_one_variable_is_judged_by_itself(backtest):
    parts = [backtest.select(1, variable) for variable in (0, 1)]
    expected = backtest.select(1).mase
    assert np.mean([part.mase for part in parts]) == pytest.approx(expected)
    second = parts[1]
    rows = backtest.series == 1
    np.testing.assert_array_equal(
        second.forecasts[..., 0], backtest.forecasts[rows][..., 1]
    )
    np.testing.assert_array_equal(second.scales[:, 0], backtest.scales[rows][:, 1])
    kept = second.series_values[1]
    np.testing.assert_array_equal(kept, backtest.series_values[1][:, 1:])


def test_part_of_a_backtest_without_intervals_has_none(members):
    forecaster = GRUForecaster(horizon=3, hidden_size=2, max_iter=2, random_state=0)
    part = forecaster.backtest(members, n_windows=2, coverage=None).select(1)
    assert part.lower is part.upper is part.coverage is None


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        ((2,), ValueError, "series must be a number from 0 to 1, got 2"),
        ((-1,), ValueError, "series must be a number from 0 to 1, got -1"),
        ((True,), TypeError, "series must be a number from 0 to 1, got bool"),
        ((0, 2), ValueError, "variable must be a number from 0 to 1, got 2"),
        ((0, "sun"), TypeError, "variable must be a number from 0 to 1, got str"),
    ],
)
def test_part_that_there_is_not_is_refused(backtest, chosen, error, message):
    with pytest.raises(error, match=message):
        backtest.select(*chosen)
