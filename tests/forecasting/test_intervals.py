"""Conformal radius and scaled errors on numbers that one can add up by hand."""

import copy

import numpy as np
import pytest

from fastgru.forecasting._intervals import Errors
from fastgru.forecasting._scores import naive_error, seasonal_naive
from forecasts import draw_series, forecaster
from tolerances import assert_same_bits


def errors_of(*each):
    """Make errors of one step and one variable."""
    return Errors.of([np.array(own, np.float64).reshape(-1, 1, 1) for own in each])


@pytest.mark.parametrize(
    ("coverage", "radius"),
    # ceil(10 * coverage) of nine.
    [(0.05, 1), (0.1, 1), (0.11, 2), (0.5, 5), (0.8, 8), (0.81, 9), (0.9, 9)],
)
def test_the_radius_is_the_error_of_that_rank(coverage, radius):
    errors = errors_of([3, -1, 9, -8, 2, -5, 7, -4, 6])
    assert errors.radius(coverage).tolist() == [[radius]]


def test_each_step_and_variable_has_its_own_radius():
    values = np.arange(1, 10)[:, np.newaxis, np.newaxis] * [[1, -2], [10, 20], [3, 0]]
    # Two and three steps ahead, nine errors count for fewer: ranks 5, 6 (of 5.5) and 6.
    radius = Errors.of([values[:4], values[4:]]).radius(0.5)
    assert radius.tolist() == [[5, 10], [60, 120], [18, 0]]


def test_more_than_the_largest_error_is_never_taken():
    values = np.arange(1, 6)[:, np.newaxis, np.newaxis] * np.ones((4, 1))
    assert Errors.of([values]).radius(0.8).tolist() == [[5], [5], [5], [5]]


def test_a_coverage_too_high_for_the_errors_says_how_many_it_needs():
    errors = errors_of(range(9))
    for coverage, needed in ((0.91, 11), (0.95, 19), (0.99, 99)):
        message = f"coverage={coverage} needs the errors of at least {needed} forecasts"
        with pytest.raises(ValueError, match=message + ".*calibration had 9"):
            errors.radius(coverage)
        assert np.isfinite(errors_of(range(needed)).radius(coverage)).all()
        with pytest.raises(ValueError, match=f"at least {needed}"):
            errors_of(range(needed - 1)).radius(coverage)


def test_new_errors_take_the_places_of_the_oldest_of_their_series():
    errors = errors_of([1, 2, 3], [10, 20])
    new = [np.array(own, np.float64).reshape(-1, 1, 1) for own in ([4], [30, 40, 50])]
    later = errors.followed_by(new)
    assert later.values[:, 0, 0].tolist() == [2, 3, 4, 40, 50]
    assert later.counts.tolist() == [3, 2]
    none = [np.empty((0, 1, 1))] * 2
    assert_same_bits("errors", errors.followed_by(none).values, errors.values)


def test_naive_forecasts_and_their_errors_by_hand():
    values = np.array([[1.0, 0.0], [5.0, 0.0], [2.0, 3.0], [9.0, 3.0]])
    assert seasonal_naive(values, 5, 2)[:, 0].tolist() == [2, 9, 2, 9, 2]
    assert seasonal_naive(values, 3, 1)[:, 0].tolist() == [9, 9, 9]
    assert seasonal_naive(values, 1, 4)[:, 0].tolist() == [1]
    assert naive_error(values, 1).tolist() == [(4 + 3 + 7) / 3, 1.0]
    assert naive_error(values, 2).tolist() == [(1 + 4) / 2, 3.0]


# -- of a forecaster --


def test_mase_by_hand():
    series, new = [2.0, 4.0, 3.0, 7.0, 5.0, 6.0, 8.0, 4.0], [6.0, 5.0, 9.0]
    fitted = forecaster(2, calibration_fraction=None).fit(series)
    scale = (2 + 1 + 4 + 2 + 1 + 2 + 4) / 7
    first = fitted.predict()
    mase = fitted.mase(new)
    assert_same_bits("forecast", fitted.predict(), first)
    second = fitted.update(new[:2]).predict()
    errors = [abs(6 - first[0]), abs(5 - first[1]), abs(9 - second[0])]
    assert mase == pytest.approx(np.mean(errors) / scale, rel=1e-12)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_mase_of_several_is_the_mean_over_all_steps(strategy):
    series = [draw_series(n, 2, seed=n) for n in (40, 31)]
    new = [draw_series(n, 2, seed=n) for n in (7, 2)]
    fitted = forecaster(strategy=strategy, period=4).fit(series)
    walking, errors = copy.deepcopy(fitted), []
    scales = [np.abs(x[4:] - x[:-4]).mean(axis=0) for x in series]
    first, second = walking.predict()
    errors += [np.abs(new[0][:3] - first) / scales[0]]
    errors += [np.abs(new[1] - second[:2]) / scales[1]]
    for begin in (3, 6):
        own = new[1] if begin == 3 else new[1][-1:]
        walking.update([new[0][begin - 3 : begin], own])
        came = new[0][begin : begin + 3]
        errors += [np.abs(came - walking.predict()[0][: len(came)]) / scales[0]]
    expected = np.concatenate(errors).mean()
    assert fitted.mase(new) == pytest.approx(expected, rel=1e-9)
    assert fitted.score(new) == -fitted.mase(new)


def test_intervals_are_forecasts_and_the_radius_in_units_of_the_scale():
    fitted = forecaster(transform="standardize").fit(draw_series(60, 2))
    lower, upper = fitted.predict_interval(0.7)
    memory = fitted._memory
    radius = memory.errors.radius(0.7) * memory.histories[0].transform.scale
    middle = fitted.predict()
    np.testing.assert_allclose(upper - middle, radius, rtol=1e-9)
    np.testing.assert_allclose(middle - lower, radius, rtol=1e-9)
    for end, other in zip(fitted.predict_interval(0.7, 2), (lower, upper), strict=True):
        assert_same_bits("fewer steps", end, other[:2])


def test_higher_coverage_gives_wider_intervals():
    fitted = forecaster(log=True).fit(draw_series(60))
    ends = [fitted.predict_interval(c) for c in (0.2, 0.5, 0.8)]
    for (lower, upper), (wider_lower, wider_upper) in zip(ends, ends[1:], strict=False):
        assert (wider_lower <= lower).all()
        assert (upper <= wider_upper).all()
        assert (wider_upper - wider_lower > upper - lower).any()
        assert (wider_lower > 0).all()  # of logarithms


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("refit", [False, True])
def test_calibration_errors_are_those_of_forecasts_of_the_held_out_ends(
    strategy, num_layers, refit
):
    settings = {"strategy": strategy, "num_layers": num_layers, "lags": 9}
    series = [draw_series(n, seed=n) for n in (50, 40)]
    n_known, n_errors = (40, 32), (8, 6)
    fitted = forecaster(refit=refit, **settings).fit(series)
    first = forecaster(calibration_fraction=None, **settings)
    first.fit([x[:n] for x, n in zip(series, n_known, strict=True)])
    errors = [[], []]
    for k in range(8):
        forecasts = first.predict()
        for own, x, n, forecast in zip(errors, series, n_known, forecasts, strict=True):
            if n + k + 3 <= len(x):
                own.append(x[n + k : n + k + 3] - forecast)
        first.update([x[[n + k]] for x, n in zip(series, n_known, strict=True)])
    memory = fitted._memory
    assert memory.errors.counts.tolist() == [len(own) for own in errors]
    assert memory.errors.counts.tolist() == list(n_errors)
    scales = [history.transform.scale[0] for history in memory.histories]
    found = memory.errors.values[:, :, 0] * np.repeat(scales, n_errors)[:, np.newaxis]
    np.testing.assert_allclose(found, np.concatenate(errors), rtol=0, atol=1e-10)
