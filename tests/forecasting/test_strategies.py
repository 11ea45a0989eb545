"""Forecasts beside the same formulas in plain NumPy, and what updates leave alone."""

import copy
import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import BOTH_DTYPES, num_threads
from fastgru.forecasting._rolling import values_of
from fastgru.forecasting._series import check_series
from forecasts import draw_series, forecaster, plain_forecasts
from tolerances import TOLERANCES, assert_close, assert_same_bits

BOTH_STRATEGIES = pytest.mark.parametrize("strategy", ["direct", "recursive"])
EACH_TRANSFORM = pytest.mark.parametrize(
    "transform", ["standardize", "difference", "seasonal", "stl", None]
)

# -- the formulas --

CASES = {
    "plain": {},
    "log": {"log": True},
    "short window": {"lags": 2, "reset_after": False},
    "window of all": {"lags": 999, "calibration_fraction": None},
    "two layers": {"num_layers": 2},
    "early": {"early_stopping": True, "max_iter": 4},
}


def assert_plain(fitted, expected, forecasts):
    for k, (actual, own) in enumerate(zip(forecasts, expected, strict=True)):
        tolerance = TOLERANCES[np.dtype(fitted.dtype)]
        assert_close(f"forecast of {k}", actual, own, np.float64, tolerance)


@BOTH_STRATEGIES
@EACH_TRANSFORM
@BOTH_DTYPES
@pytest.mark.parametrize("case", CASES)
def test_a_forecast_is_what_the_formulas_say(strategy, transform, dtype, case):
    series = draw_series()
    fitted = forecaster(
        strategy=strategy,
        transform=transform,
        period=4,
        dtype=np.dtype(dtype).name,
        **CASES[case],
    ).fit(series)
    (expected,) = plain_forecasts(fitted, [series[:, np.newaxis]])
    assert_plain(fitted, [expected[:, 0]], [fitted.predict()])
    whole = np.concatenate([series, draw_series(6, seed=1)])
    fitted.update(whole[50:])
    (expected,) = plain_forecasts(fitted, [whole[:, np.newaxis]], n_fitted=[50])
    assert_plain(fitted, [expected[:, 0]], [fitted.predict()])


@BOTH_STRATEGIES
@EACH_TRANSFORM
@BOTH_DTYPES
def test_so_with_variables_and_known_features(strategy, transform, dtype):
    series, exog = draw_series(40, 2), draw_series(43, 3, seed=1)
    fitted = forecaster(
        strategy=strategy, transform=transform, period=4, dtype=np.dtype(dtype).name
    ).fit(series, exog=exog[:40])
    expected = plain_forecasts(fitted, [series], [exog[:40]], [exog[40:]])
    assert_plain(fitted, expected, [fitted.predict(exog=exog[40:])])


@BOTH_STRATEGIES
@EACH_TRANSFORM
def test_so_with_many_series(strategy, transform):
    lengths, horizon = (40, 25, 12), 3
    series = [draw_series(n, 2, seed=n) for n in lengths]
    exogs = [draw_series(n + horizon, 1, seed=n + 1) for n in lengths]
    fitted = forecaster(
        horizon, strategy=strategy, transform=transform, period=4, dtype="float64"
    )
    known = [exog[:n] for exog, n in zip(exogs, lengths, strict=True)]
    future = [exog[n:] for exog, n in zip(exogs, lengths, strict=True)]
    fitted.fit(series, exog=known)
    expected = plain_forecasts(fitted, series, known, future)
    assert_plain(fitted, expected, fitted.predict(exog=future))
    # The same steps, of which the last ones come later.
    fitted.fit([x[:-2] for x in series], exog=[e[:-2] for e in known])
    fitted.update([x[-2:] for x in series], exog=[e[-2:] for e in known])
    n_fitted = [n - 2 for n in lengths]
    expected = plain_forecasts(fitted, series, known, future, n_fitted)
    assert_plain(fitted, expected, fitted.predict(exog=future))


@BOTH_STRATEGIES
def test_fewer_steps_are_the_first_ones(strategy):
    fitted = forecaster(strategy=strategy).fit(draw_series())
    for n_steps in (1, 2, np.int64(2)):
        assert_same_bits("steps", fitted.predict(n_steps), fitted.predict()[:n_steps])


def test_the_recursive_strategy_goes_on_as_far_as_it_is_asked():
    fitted = forecaster(strategy="recursive").fit(draw_series())
    far = fitted.predict(40)
    assert far.shape == (40,)
    assert np.isfinite(far).all()
    assert_same_bits("first steps", far[:3], fitted.predict())


# -- updates --

KINDS = [
    ("direct", "difference"),
    ("direct", "seasonal"),
    ("recursive", "standardize"),
    ("recursive", "difference"),
    ("recursive", None),
]
EACH_KIND = pytest.mark.parametrize(("strategy", "transform"), KINDS)
N_KNOWN = (30, 41)
N_NEW = (9, 14)


@functools.cache
def fitted_to_two(strategy, transform, *, with_exog):
    """Fit to two series, whose next steps are known."""
    series = [
        draw_series(a + b, 2, seed=a) for a, b in zip(N_KNOWN, N_NEW, strict=True)
    ]
    exogs = [draw_series(len(x) + 3, 1, seed=len(x)) for x in series]
    exog = [e[:n] for e, n in zip(exogs, N_KNOWN, strict=True)] if with_exog else None
    fitted = forecaster(strategy=strategy, transform=transform, period=4)
    fitted.fit([x[:n] for x, n in zip(series, N_KNOWN, strict=True)], exog=exog)
    return fitted, series, exogs


def read_at_once(fitted, series, exogs):
    """Forecast from the whole series, by what the fit found."""
    checked, _ = check_series(series, exogs and [e[:-3] for e in exogs])
    transforms = [history.transform for history in fitted._memory.histories]
    model = fitted._model
    memory = model.begin(model.histories(checked, transforms), None, 1)
    future = [e[-3:] for e in exogs] if exogs else [np.empty((0, 0))] * 2
    return values_of(model, memory, 3, future, 1)[0]


def parts_of(x, cuts):
    """Cut rows at some places."""
    return np.split(x, cuts)


def draw_cuts(data, n_parts):
    """Draw where to cut the new steps of each series into as many parts."""
    return [
        sorted(
            data.draw(
                st.lists(
                    st.integers(1, n - 1),
                    min_size=n_parts - 1,
                    max_size=n_parts - 1,
                    unique=True,
                )
            )
        )
        for n in N_NEW
    ]


def updated(data, n_parts, strategy, transform, *, with_exog):
    """Update a copy part by part; give it beside what was read at once."""
    fitted, series, exogs = fitted_to_two(strategy, transform, with_exog=with_exog)
    in_parts, cuts = copy.deepcopy(fitted), draw_cuts(data, n_parts)
    new = [parts_of(x[n:], c) for x, n, c in zip(series, N_KNOWN, cuts, strict=True)]
    known = [parts_of(e[n:-3], c) for e, n, c in zip(exogs, N_KNOWN, cuts, strict=True)]
    for k in range(n_parts):
        exog = [parts[k] for parts in known] if with_exog else None
        in_parts.update([parts[k] for parts in new], exog=exog)
    at_once = read_at_once(fitted, series, exogs if with_exog else None)
    future = [e[-3:] for e in exogs] if with_exog else None
    return in_parts, future, at_once


@EACH_KIND
@pytest.mark.parametrize("with_exog", [False, True], ids=["alone", "exog"])
@settings(max_examples=10)
@given(data=st.data(), n_parts=st.integers(1, 9))
def test_updates_give_the_bits_of_the_whole_series_however_it_is_cut(
    data, n_parts, strategy, transform, with_exog
):
    in_parts, future, at_once = updated(
        data, n_parts, strategy, transform, with_exog=with_exog
    )
    for actual, expected in zip(in_parts.predict(exog=future), at_once, strict=True):
        assert_same_bits("forecast", actual, expected)


@EACH_KIND
@settings(max_examples=10)
@given(data=st.data(), n_parts=st.integers(1, 9))
def test_calibration_errors_do_not_depend_on_how_updates_are_cut(
    data, n_parts, strategy, transform
):
    first, second = (
        updated(data, n, strategy, transform, with_exog=False)[0] for n in (n_parts, 1)
    )
    errors, expected = first._memory.errors, second._memory.errors
    assert_same_bits("errors", errors.values, expected.values)
    before = fitted_to_two(strategy, transform, with_exog=False)[0]._memory.errors
    assert len(errors) == len(before)
    assert not np.array_equal(errors.values, before.values)
    for actual, own in zip(
        first.predict_interval(0.5), second.predict_interval(0.5), strict=True
    ):
        for k in range(2):
            assert_same_bits("ends", actual[k], own[k])


@EACH_KIND
def test_new_errors_are_those_of_forecasts_made_on_the_way(strategy, transform):
    series = draw_series(60)
    fitted = forecaster(strategy=strategy, transform=transform, period=4)
    fitted.fit(series[:45])
    walking, errors = copy.deepcopy(fitted), []
    for t in range(45, 58):
        errors.append(series[t : t + 3] - walking.predict())
        walking.update(series[t : t + 1])
    walking.update(series[58:])
    scale = walking._memory.histories[0].transform.scale
    n_kept = len(fitted._memory.errors)
    kept = walking._memory.errors.values[:, :, 0] * scale
    expected = np.array(errors)[-n_kept:]
    np.testing.assert_allclose(kept, expected, rtol=0, atol=1e-10)


@EACH_KIND
def test_an_update_leaves_copies_and_a_failed_one_leaves_all(strategy, transform):
    series = draw_series(40)
    fitted = forecaster(strategy=strategy, transform=transform, period=4)
    fitted.fit(series[:30])
    before, other = fitted.predict(), copy.copy(fitted)
    with pytest.raises(ValueError, match="NaN at step 1"):
        fitted.update([20.0, np.nan])
    assert_same_bits("after a failure", fitted.predict(), before)
    fitted.update(series[30:])
    assert not np.array_equal(fitted.predict(), before)
    assert_same_bits("of the copy", other.predict(), before)


# -- the same bits --


@BOTH_STRATEGIES
@BOTH_DTYPES
@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_bits_of_one(strategy, dtype):
    series = [draw_series(n, seed=n) for n in (60, 45, 30, 52)]
    new = [draw_series(7, seed=n) for n in (1, 2, 3, 4)]
    results = []
    with num_threads(2):
        for n_jobs in (1, 2):
            fitted = forecaster(
                strategy=strategy,
                hidden_size=40,
                n_jobs=n_jobs,
                dtype=np.dtype(dtype).name,
            ).fit(series)
            first = fitted.predict()
            fitted.update(new)
            results.append([*first, *fitted.predict(), *fitted.predict_interval()[1]])
    for actual, expected in zip(*results, strict=True):
        assert_same_bits("forecast", actual, expected)


@BOTH_STRATEGIES
@EACH_TRANSFORM
def test_a_series_alone_gives_its_bits_among_others(strategy, transform):
    series = [draw_series(n, seed=n) for n in (30, 61, 44, 12)]
    fitted = forecaster(strategy=strategy, transform=transform, period=4)
    fitted.fit(draw_series())
    together = fitted.predict(series=series)
    intervals = fitted.predict_interval(0.6, series=series)
    for k, own in enumerate(series):
        alone = fitted.predict(series=own)
        assert_same_bits(f"forecast of {k}", alone, together[k])
        for end, ends in zip(
            fitted.predict_interval(0.6, series=own), intervals, strict=True
        ):
            assert_same_bits(f"interval of {k}", end, ends[k])


@BOTH_STRATEGIES
@EACH_TRANSFORM
def test_the_fitted_series_shown_again_is_forecast_as_before(strategy, transform):
    series = [draw_series(n, 2, seed=n) for n in (30, 41)]
    fitted = forecaster(strategy=strategy, transform=transform, period=4).fit(series)
    again = fitted.predict(series=series)
    for actual, expected in zip(again, fitted.predict(), strict=True):
        assert_same_bits("forecast", actual, expected)


@BOTH_STRATEGIES
def test_long_lists_are_forecast_in_parts(strategy, monkeypatch):
    series = [draw_series(n, seed=n) for n in range(20, 33)]
    fitted = forecaster(strategy=strategy).fit(series)
    expected, errors = fitted.predict(), fitted._memory.errors.values
    monkeypatch.setattr("fastgru.forecasting._strategies._NUMBERS_AT_ONCE", 50)
    again = forecaster(strategy=strategy).fit(series)
    assert_same_bits("errors", again._memory.errors.values, errors)
    for actual, own in zip(again.predict(), expected, strict=True):
        assert_same_bits("forecast", actual, own)
