"""Levels and back: seasons beside statsmodels, the rest by hand."""

import numpy as np
import pytest
from statsmodels.tsa.seasonal import STL, seasonal_decompose

from fastgru.forecasting._histories import ExogScale
from fastgru.forecasting._seasons import classical_pattern, stl_pattern
from fastgru.forecasting._series import Series
from fastgru.forecasting._transforms import KINDS, Transform
from forecasts import PlainTransform, draw_series
from tolerances import assert_close, assert_same_bits

EACH_KIND = pytest.mark.parametrize("kind", KINDS)
BOTH_SCALES = pytest.mark.parametrize("log", [False, True], ids=["values", "log"])


@EACH_KIND
@BOTH_SCALES
@pytest.mark.parametrize("n_variables", [1, 3])
def test_levels_are_what_the_formulas_say(kind, log, n_variables):
    values = draw_series(41, n_variables)
    transform = Transform.fit(values, kind, log=log, period=4)
    plain = PlainTransform(values, kind, log=log, period=4)
    levels = transform.levels(values, 0)
    assert_close("levels", levels, plain.levels(values), np.float64)
    back = transform.values(levels[5:9], 5)
    assert_close("values", back, values[5:9], np.float64)


@EACH_KIND
@BOTH_SCALES
def test_levels_of_parts_are_the_bits_of_the_whole(kind, log):
    values = draw_series(50, 2)
    transform = Transform.fit(values[:30], kind, log=log, period=4)
    parts = [transform.levels(values[a:b], a) for a, b in ((0, 30), (30, 37), (37, 50))]
    assert_same_bits("levels", np.concatenate(parts), transform.levels(values, 0))
    levels = transform.levels(values, 0)
    parts = [transform.values(levels[a:b], a) for a, b in ((0, 13), (13, 14), (14, 50))]
    assert_same_bits("values", np.concatenate(parts), transform.values(levels, 0))


@pytest.mark.parametrize("kind", ["difference", "seasonal", "stl"])
def test_steps_of_levels_have_mean_0_and_deviation_1(kind):
    values = draw_series(41, 2)
    transform = Transform.fit(values, kind, log=False, period=4)
    steps = np.diff(transform.levels(values, 0), axis=0)
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-12)


def test_differences_by_hand():
    values = np.array([[1.0], [4.0], [5.0], [10.0]])  # changes 3, 1, 5: mean 3
    transform = Transform.fit(values, "difference", log=False, period=None)
    scale = np.sqrt(8 / 3)
    np.testing.assert_allclose(transform.drift, [3.0])
    np.testing.assert_allclose(transform.scale, [scale])
    expected = np.array([0.0, 0.0, -2.0, 0.0]) / scale
    np.testing.assert_allclose(transform.levels(values, 0)[:, 0], expected, atol=1e-15)


@pytest.mark.parametrize("period", [2, 3, 4, 7, 12])
@pytest.mark.parametrize("n_periods", [2, 2.3, 5])
def test_the_season_is_that_of_classical_decomposition(period, n_periods):
    # What statsmodels leaves out at both ends, it needs two whole periods for.
    n_steps = int(np.ceil(period * n_periods))
    values = draw_series(n_steps, seed=period)
    expected = seasonal_decompose(values, period=period).seasonal[:period]
    assert_close("season", classical_pattern(values, period), expected, np.float64)


@pytest.mark.parametrize("n_steps", [24, 25, 29, 30, 41])
def test_the_season_of_stl_is_that_of_the_last_period(n_steps):
    values = draw_series(n_steps)
    expected = STL(values, period=6, robust=True).fit().seasonal
    season = stl_pattern(values, 6)
    for t in range(n_steps - 6, n_steps):
        assert season[t % 6] == expected[t]


def test_a_season_and_a_line_are_taken_apart():
    t = np.arange(36)
    season = np.tile([3.0, -1.0, -2.0], 12)
    transform = Transform.fit(
        (season + 5 + 2 * t)[:, np.newaxis], "seasonal", log=False, period=3
    )
    np.testing.assert_allclose(transform.season[:, 0], season[:3], atol=1e-12)
    np.testing.assert_allclose(transform.drift, [2.0])


@EACH_KIND
@pytest.mark.parametrize("constant", [0.0, 1e-9, -7.3, 1e9])
def test_constants_come_to_levels_near_0_and_go_back(kind, constant):
    values = np.full((30, 1), constant)
    transform = Transform.fit(values, kind, log=False, period=4)
    levels = transform.levels(values, 0)
    if kind is not None:
        assert np.abs(levels).max() < 0.01
        far = transform.values(np.full((3, 1), 10.0), 30)
        np.testing.assert_allclose(far, constant, rtol=1e-10, atol=1e-10)
    assert_close("values", transform.values(levels, 0), values, np.float64)


def test_the_sum_of_a_series_has_one_order():
    # NumPy adds up in pairs, how many depends on the CPU.
    values = np.random.default_rng(0).normal(1e6, 1, 10_000)[:, np.newaxis]
    transform = Transform.fit(values, "standardize", log=False, period=None)
    total = 0.0
    for value in values[:, 0].tolist():
        total += value
    assert transform.offset[0] == total / len(values)


# -- known features --


def series_of(exog):
    return Series(np.zeros((len(exog), 1)), np.array(exog, np.float64))


def test_known_features_are_scaled_over_all_series():
    scale = ExogScale.fit(
        [series_of([[0.0, 5.0], [1.0, 5.0]]), series_of([[5.0, 5.0]])]
    )
    np.testing.assert_allclose(scale.mean, [2.0, 5.0])
    np.testing.assert_allclose(scale.scale, [np.sqrt(14 / 3), 1.0])
    np.testing.assert_allclose(scale(np.array([[2.0, 7.0]])), [[0.0, 2.0]])


def test_a_feature_that_is_constant_but_for_rounding_does_not_blow_up():
    scale = ExogScale.fit([series_of(np.full((40, 1), 0.1))])
    assert scale.scale == [1.0]
    assert abs(scale(np.array([[0.3]]))[0, 0] - 0.2) < 1e-12
