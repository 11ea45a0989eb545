"""Backtests: what each window knew, forecast and missed; forecasts that are good."""

import copy

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from fastgru import GRUForecaster
from forecasts import draw_series, forecaster
from tolerances import assert_same_bits

BOTH_STRATEGIES = pytest.mark.parametrize("strategy", ["direct", "recursive"])
# What learns the series below.
LEARNING = {"hidden_size": 16, "max_iter": 40, "random_state": 0}


# -- the windows --


@BOTH_STRATEGIES
@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_window_is_what_a_forecaster_of_its_past_says(strategy, step):
    series = draw_series(60, 2)
    estimator = forecaster(strategy=strategy, period=4)
    backtest = estimator.backtest(series, 3, step, coverage=0.5)
    first = 60 - 3 - 2 * step
    assert backtest.origins.tolist() == [first, first + step, first + 2 * step]
    walking = forecaster(strategy=strategy, period=4).fit(series[:first])
    for k, origin in enumerate(backtest.origins):
        assert_same_bits("forecast", backtest.forecasts[k], walking.predict())
        lower, upper = walking.predict_interval(0.5)
        assert_same_bits("lower", backtest.lower[k], lower)
        assert_same_bits("upper", backtest.upper[k], upper)
        assert_same_bits("came", backtest.actuals[k], series[origin : origin + 3])
        naive = series[origin - 4 : origin - 1]
        assert_same_bits("naive", backtest.naive[k], naive)
        walking.update(series[origin : origin + step])
    scale = np.abs(series[4:first] - series[: first - 4]).mean(axis=0)
    errors = np.abs(backtest.actuals - backtest.forecasts) / scale
    assert backtest.mase == pytest.approx(errors.mean(), rel=1e-12)
    np.testing.assert_allclose(backtest.mase_per_step, errors.mean(axis=(0, 2)))
    errors = np.abs(backtest.actuals - backtest.naive) / scale
    assert backtest.naive_mase == pytest.approx(errors.mean(), rel=1e-12)
    inside = (backtest.lower <= backtest.actuals) & (backtest.actuals <= backtest.upper)
    assert backtest.coverage_reached == inside.mean()


@BOTH_STRATEGIES
def test_with_refit_each_window_has_a_model_of_its_own(strategy):
    series, exog = draw_series(50), draw_series(50, 2, seed=1)
    estimator = forecaster(strategy=strategy)
    backtest = estimator.backtest(series, 2, exog=exog, coverage=None, refit=True)
    for k, origin in enumerate((44, 47)):
        own = forecaster(strategy=strategy).fit(series[:origin], exog=exog[:origin])
        expected = own.predict(exog=exog[origin : origin + 3])
        assert_same_bits("forecast", backtest.forecasts[k][:, 0], expected)
    assert backtest.lower is backtest.upper is backtest.coverage is None
    with pytest.raises(ValueError, match="no intervals.*coverage=None"):
        _ = backtest.coverage_reached


def test_each_series_of_a_list_has_its_windows():
    series = [draw_series(n, seed=n) for n in (40, 60)]
    backtest = forecaster().backtest(series, n_windows=2, coverage=None)
    assert len(backtest) == 4
    assert sorted(zip(backtest.series, backtest.origins, strict=True)) == [
        (0, 34),
        (0, 37),
        (1, 54),
        (1, 57),
    ]
    for number, origin, came in zip(
        backtest.series, backtest.origins, backtest.actuals, strict=True
    ):
        assert_same_bits("came", came[:, 0], series[number][origin : origin + 3])


def test_windows_of_pandas_series_have_their_index():
    days = pd.date_range("2024-01-01", periods=40, freq="D")
    backtest = forecaster().backtest(pd.Series(draw_series(40), days), coverage=None)
    assert len(backtest.indexes) == 5
    for index, origin in zip(backtest.indexes, backtest.origins, strict=True):
        assert index.equals(days[origin : origin + 3])


def test_a_backtest_leaves_the_estimator_alone():
    series = draw_series(50)
    fitted = forecaster().fit(series)
    before, attributes = fitted.predict(), set(vars(fitted))
    fitted.backtest(series[:40], n_windows=2)
    assert_same_bits("forecast", fitted.predict(), before)
    assert set(vars(fitted)) == attributes
    unfitted = forecaster()
    unfitted.backtest(series, n_windows=2)
    assert set(vars(unfitted)) == set(unfitted.get_params())


def test_a_backtest_says_how_good_it_was():
    text = str(forecaster().backtest(draw_series(60), n_windows=2))
    assert "2 windows of 3 steps" in text
    assert "seasonal naive" in text
    assert "80% intervals" in text
    without = str(forecaster().backtest(draw_series(60), n_windows=2, coverage=None))
    assert "interval" not in without


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_windows": 0}, "n_windows must be a whole number of at least 1, got 0"),
        ({"n_windows": 2.5}, r"n_windows must be a whole number .* got 2\.5"),
        ({"step": 0}, "step must be a whole number of at least 1, got 0"),
        ({"n_windows": 20}, "a backtest of 20 windows: series has 50 steps"),
        ({"coverage": 0.0}, r"coverage must be between 0 and 1, got 0\.0"),
        ({"coverage": 80}, "coverage must be between 0 and 1, got 80"),
        ({"coverage": 0.99}, "needs the errors of at least 99 forecasts"),
    ],
    ids=str,
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        forecaster().backtest(draw_series(50), **arguments)


def test_the_scaled_error_of_a_constant_is_refused():
    fitted = forecaster().fit(np.full(40, 3.7))
    for find in (fitted.mase, fitted.score):
        with pytest.raises(
            ValueError, match="scaled error is not defined.*did not cha"
        ):
            find([3.7, 3.7])


# -- what is learned --


def noisy_sine(n_steps=180, seed=0, slope=0.1):
    """Give a trend, a season of period 12 and noise."""
    t = np.arange(n_steps)
    noise = np.random.default_rng(seed).normal(size=n_steps)
    return 50 + slope * t + 5 * np.sin(t * np.pi / 6) + 0.5 * noise


@BOTH_STRATEGIES
@pytest.mark.parametrize("transform", ["difference", "seasonal", "stl"])
def test_a_noisy_sine_with_trend_is_forecast_better_than_naively(strategy, transform):
    estimator = GRUForecaster(
        6, period=12, strategy=strategy, transform=transform, **LEARNING
    )
    backtest = estimator.backtest(noisy_sine(), n_windows=6, coverage=None)
    assert backtest.mase < 0.8 * backtest.naive_mase


@BOTH_STRATEGIES
def test_known_features_that_decide_the_series_are_used(strategy):
    exog = np.random.default_rng(0).choice([-1.0, 1.0], 200)
    exog_ahead = exog[180:]
    settings = {"transform": "standardize", "strategy": strategy, "period": 1}
    with_exog = GRUForecaster(4, **LEARNING, **settings)
    with_exog.fit(3 * exog[:180], exog=exog[:180])
    forecast = with_exog.predict(exog=exog_ahead[:4])
    np.testing.assert_allclose(forecast, 3 * exog_ahead[:4], atol=1.0)
    without = GRUForecaster(4, **LEARNING, **settings).fit(3 * exog[:180])
    mase = with_exog.mase(3 * exog_ahead, exog=exog_ahead)
    assert mase < 0.2 * without.mase(3 * exog_ahead)


@BOTH_STRATEGIES
def test_one_model_of_many_series_forecasts_each(strategy):
    rng = np.random.default_rng(0)
    series = []
    for n_steps in rng.integers(40, 90, 25):
        t = np.arange(n_steps) + rng.integers(12)
        scale = 10 ** rng.uniform(-2, 3)
        noise = rng.normal(scale=0.05, size=n_steps)
        series.append(scale * (10 + np.sin(t * np.pi / 6) + 0.02 * t + noise))
    estimator = GRUForecaster(6, period=12, lags=24, strategy=strategy, **LEARNING)
    backtest = estimator.backtest(series, n_windows=2, coverage=None)
    assert backtest.mase < 0.8 * backtest.naive_mase
    # Of nearly every one of them, whatever its scale.
    errors = np.abs(backtest.actuals - backtest.forecasts).mean(axis=(1, 2))
    naive = np.abs(backtest.actuals - backtest.naive).mean(axis=(1, 2))
    per_series = [errors[backtest.series == k].mean() for k in range(25)]
    naive_per_series = [naive[backtest.series == k].mean() for k in range(25)]
    assert np.mean(np.less(per_series, naive_per_series)) > 0.8


@BOTH_STRATEGIES
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_intervals_of_an_autoregressive_series_cover_as_promised(strategy, coverage):
    rng, n_windows = np.random.default_rng(0), 300
    series = [0.0]
    for innovation in rng.normal(size=600):
        series.append(0.7 * series[-1] + innovation)
    estimator = GRUForecaster(
        1, strategy=strategy, transform="standardize", **LEARNING
    ).set_params(max_iter=8)
    backtest = estimator.backtest(np.array(series), n_windows, 1, coverage=coverage)
    # As a coin that falls so would, but for one run in a thousand.
    low, high = binom.ppf([0.0005, 0.9995], n_windows, coverage) / n_windows
    assert low <= backtest.coverage_reached <= high


@BOTH_STRATEGIES
@pytest.mark.parametrize("transform", ["standardize", "difference", "seasonal"])
@pytest.mark.parametrize("constant", [0.0, 1e-6, 7.3, -1e6])
def test_a_constant_is_forecast_as_itself(strategy, transform, constant):
    fitted = forecaster(strategy=strategy, transform=transform, period=4)
    fitted.fit(np.full(40, constant))
    np.testing.assert_allclose(fitted.predict(), constant, rtol=1e-9, atol=1e-9)
    lower, upper = fitted.predict_interval(0.5)
    np.testing.assert_allclose([lower, upper], constant, rtol=1e-9, atol=1e-9)


def test_intervals_become_wider_when_forecasts_become_worse():
    series = noisy_sine()
    fitted = GRUForecaster(1, period=12, **LEARNING).fit(series)
    rng = np.random.default_rng(1)
    wild = copy.deepcopy(fitted).update(50 + 20 * rng.normal(size=40))
    widths = [np.ptp(f.predict_interval(0.8)) for f in (fitted, wild)]
    assert widths[1] > 5 * widths[0]
