"""Pictures of forecasts and backtests: what they show, not how they look."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression

from fastgru import GRUForecaster
from fastgru.plotting import ForecastDisplay

HORIZON = 4
WINDOWS = ("forecast_steps", "forecasts", "lower", "upper")


def make(**settings):
    """Make a forecaster that is quickly trained."""
    defaults = {"horizon": HORIZON, "hidden_size": 3, "max_iter": 3, "random_state": 0}
    return GRUForecaster(**defaults | settings)


@pytest.fixture
def series(rng):
    return 20 + rng.normal(size=50).cumsum()


def ends_of(band):
    """Return where a band stands, its lower and its upper ends."""
    points = band.get_paths()[0].vertices
    x = np.unique(points[:, 0])
    at = [points[points[:, 0] == one, 1] for one in x]
    return x, np.array([y.min() for y in at]), np.array([y.max() for y in at])


def texts_of(display):
    return [text.get_text() for text in display.legend_.texts]


# A forecast.


def test_forecast_is_drawn_after_the_end_of_the_series(series):
    forecaster = make().fit(series)
    display = ForecastDisplay.from_estimator(forecaster, n_history=7)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(43, 50))
    np.testing.assert_array_equal(display.line_.get_ydata(), series[-7:])
    (line,) = display.forecast_lines_
    np.testing.assert_array_equal(line.get_xdata()[1:], np.arange(50, 54))
    np.testing.assert_array_equal(line.get_ydata()[1:], forecaster.predict())
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Step", "Value")
    assert display.figure_ is display.ax_.figure
    assert display.naive_lines_ == []


def test_interval_is_drawn_around_the_forecast(series):
    forecaster = make().fit(series)
    lower, upper = forecaster.predict_interval(0.6)
    display = ForecastDisplay.from_estimator(forecaster, coverage=0.6)
    (band,) = display.bands_
    x, low, high = ends_of(band)
    np.testing.assert_array_equal(x[1:], np.arange(50, 54))
    np.testing.assert_array_equal(low[1:], lower)
    np.testing.assert_array_equal(high[1:], upper)
    assert texts_of(display) == ["series", "forecast", "60% interval"]


def test_forecast_and_interval_begin_at_the_last_known_value(series):
    # So that a single step can be seen.
    display = ForecastDisplay.from_estimator(make(horizon=1).fit(series))
    (line,) = display.forecast_lines_
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (49, series[-1])
    x, low, high = ends_of(display.bands_[0])
    assert (x[0], low[0], high[0]) == (49, series[-1], series[-1])
    assert len(x) == len(line.get_xdata()) == 2


@pytest.mark.parametrize(
    ("settings", "n_steps", "expected"),
    [
        ({"horizon": 7}, None, 28),
        ({"horizon": 7}, 6, 24),
        ({"horizon": 2}, None, 20),
        ({"horizon": 2, "period": 12}, None, 24),
        ({"horizon": 12}, None, 45),
    ],
)
def test_some_horizons_or_periods_of_the_series_are_drawn(
    series, settings, n_steps, expected
):
    forecaster = make(**settings).fit(series[:45])
    display = ForecastDisplay.from_estimator(forecaster, n_steps=n_steps)
    np.testing.assert_array_equal(display.line_.get_ydata(), series[45 - expected : 45])


def test_interval_has_a_coverage_of_80_percent_unless_told(series):
    forecaster = make().fit(series)
    display = ForecastDisplay.from_estimator(forecaster)
    lower, _ = forecaster.predict_interval(0.8)
    np.testing.assert_array_equal(ends_of(display.bands_[0])[1][1:], lower)
    assert texts_of(display)[-1] == "80% interval"
    assert ForecastDisplay.from_estimator(forecaster, coverage=None).bands_ == []


def test_interval_that_there_cannot_be_is_left_out_unless_asked_for(series):
    uncalibrated = make(calibration_fraction=None).fit(series)
    far = {"forecaster": make(strategy="recursive").fit(series), "n_steps": 9}
    # Two errors are too few for a coverage of 0.8.
    too_few = make(horizon=8, calibration_fraction=0.18).fit(series)
    for arguments, reason in (
        ({"forecaster": uncalibrated}, "held nothing out"),
        (far, "n_steps=9 is more than horizon=4"),
        ({"forecaster": too_few}, "at least 4 forecasts, but calibration had 2"),
    ):
        display = ForecastDisplay.from_estimator(**arguments)
        assert display.bands_ == []
        assert texts_of(display) == ["series", "forecast"]
        with pytest.raises(ValueError, match=reason):
            ForecastDisplay.from_estimator(**arguments, coverage=0.8)


def test_one_of_many_series_is_drawn(series):
    forecaster = make().fit([series, series[:30] - 100])
    display = ForecastDisplay.from_estimator(forecaster, series=1, n_history=5)
    np.testing.assert_array_equal(display.line_.get_ydata(), series[25:30] - 100)
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(25, 30))
    drawn = display.forecast_lines_[0].get_ydata()[1:]
    np.testing.assert_array_equal(drawn, forecaster.predict()[1])
    lower = forecaster.predict_interval(0.8)[0][1]
    np.testing.assert_array_equal(ends_of(display.bands_[0])[1][1:], lower)


def test_one_of_several_variables_is_drawn(series):
    both = np.column_stack([series, -series[::-1]])
    forecaster = make().fit(both)
    display = ForecastDisplay.from_estimator(forecaster, variable=1, n_history=5)
    np.testing.assert_array_equal(display.line_.get_ydata(), both[-5:, 1])
    drawn = display.forecast_lines_[0].get_ydata()[1:]
    np.testing.assert_array_equal(drawn, forecaster.predict()[:, 1])
    upper = forecaster.predict_interval(0.8)[1][:, 1]
    np.testing.assert_array_equal(ends_of(display.bands_[0])[2][1:], upper)


def test_known_features_are_passed_on(series, rng):
    exog = rng.normal(size=(50 + HORIZON, 2))
    forecaster = make().fit(series, exog=exog[:50])
    display = ForecastDisplay.from_estimator(forecaster, exog=exog[50:])
    drawn = display.forecast_lines_[0].get_ydata()[1:]
    np.testing.assert_array_equal(drawn, forecaster.predict(exog=exog[50:]))
    assert len(display.bands_) == 1
    with pytest.raises(ValueError, match="predict needs exog"):
        ForecastDisplay.from_estimator(forecaster)


def test_steps_of_updates_are_history(series):
    forecaster = make().fit(series[:45]).update(series[45:])
    display = ForecastDisplay.from_estimator(forecaster, n_history=6)
    np.testing.assert_array_equal(display.line_.get_ydata(), series[-6:])
    assert display.forecast_lines_[0].get_xdata()[1] == 50


# The index.


def pandas_index(kind):
    """Return an index of 54 steps, its places on the x axis, and a name of these."""
    pd = pytest.importorskip("pandas")
    if kind == "months":
        index = pd.date_range("2019-01-31", periods=54, freq="ME")
        return index, index.to_numpy(), ""
    if kind == "quarters":
        index = pd.period_range("2001Q3", periods=54, freq="Q")
        return index, index.to_timestamp().to_numpy(), ""
    if kind == "hours of a time zone":
        # A night with two hours from 2 to 3 is among them.
        index = pd.date_range("2023-10-28", periods=54, freq="h", tz="Europe/Berlin")
        return index, index.to_numpy(), ""
    if kind == "durations":
        index = pd.timedelta_range("1min", periods=54, freq="30s")
        return index, 60.0 + 30.0 * np.arange(54), "Seconds"
    index = pd.Index(np.arange(1700, 1754), name="year")
    return index, index.to_numpy(), "year"


@pytest.mark.parametrize(
    "kind", ["months", "quarters", "hours of a time zone", "durations", "numbers"]
)
def test_index_is_the_x_axis(series, kind):
    pd = pytest.importorskip("pandas")
    index, places, name = pandas_index(kind)
    forecaster = make().fit(pd.Series(series, index[:50], name="spots"))
    display = ForecastDisplay.from_estimator(forecaster, n_history=8)
    np.testing.assert_array_equal(display.line_.get_xdata(), places[42:50])
    drawn = display.forecast_lines_[0].get_xdata()
    np.testing.assert_array_equal(drawn, places[49:])
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (name, "spots")
    display.figure_.draw_without_rendering()


def test_column_names_its_axis(series):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"gas": series, "power": -series})
    forecaster = make()
    display = ForecastDisplay.from_estimator(forecaster.fit(frame), variable=1)
    assert display.ax_.get_ylabel() == "power"
    backtest = forecaster.backtest(frame, n_windows=2)
    display = ForecastDisplay.from_backtest(backtest, variable=1)
    assert display.ax_.get_ylabel() == "power"
    np.testing.assert_array_equal(display.line_.get_ydata()[-5:], -series[-5:])


# A backtest.


def test_backtest_shows_what_came_and_each_forecast_of_it(series):
    backtest = make().backtest(series, n_windows=3, step=5)
    display = ForecastDisplay.from_backtest(backtest, n_history=6)
    first = 50 - HORIZON - 2 * 5
    np.testing.assert_array_equal(display.line_.get_xdata(), np.arange(first - 6, 50))
    np.testing.assert_array_equal(display.line_.get_ydata(), series[first - 6 :])
    lines, naive_lines = display.forecast_lines_, display.naive_lines_
    assert len(lines) == len(naive_lines) == len(display.bands_) == 3
    for k, origin in enumerate((first, first + 5, first + 10)):
        places = np.arange(origin - 1, origin + HORIZON)
        for drawn, forecasts in (
            (lines[k], backtest.forecasts),
            (naive_lines[k], backtest.naive),
        ):
            np.testing.assert_array_equal(drawn.get_xdata(), places)
            expected = [series[origin - 1], *forecasts[k, :, 0]]
            np.testing.assert_array_equal(drawn.get_ydata(), expected)
        x, low, high = ends_of(display.bands_[k])
        np.testing.assert_array_equal(x, places)
        np.testing.assert_array_equal(low[1:], backtest.lower[k, :, 0])
        np.testing.assert_array_equal(high[1:], backtest.upper[k, :, 0])


def test_backtest_shows_some_steps_before_the_first_window(series):
    display = ForecastDisplay.from_backtest(make().backtest(series, n_windows=2))
    assert display.line_.get_xdata()[0] == 50 - 2 * HORIZON - 20
    backtest = make().backtest(series, n_windows=8, coverage=None)
    display = ForecastDisplay.from_backtest(backtest)
    assert display.line_.get_xdata()[0] == 0


def test_legend_says_how_good_the_forecasts_were(series):
    backtest = make().backtest(series, n_windows=3, coverage=0.75)
    assert texts_of(ForecastDisplay.from_backtest(backtest)) == [
        "series",
        f"forecast, MASE {backtest.mase:.2f}",
        f"75% interval, {backtest.coverage_reached:.0%} inside",
        f"seasonal naive, MASE {backtest.naive_mase:.2f}",
    ]


def test_backtest_of_many_is_drawn_and_judged_by_the_one_that_is_chosen(series, rng):
    other = rng.normal(size=40)
    backtest = make().backtest([series, other], n_windows=2)
    own = backtest.select(1)
    display = ForecastDisplay.from_backtest(backtest, series=1)
    np.testing.assert_array_equal(display.line_.get_ydata()[-20:], other[-20:])
    assert [line.get_xdata()[1] for line in display.forecast_lines_] == [32, 36]
    assert texts_of(display)[1] == f"forecast, MASE {own.mase:.2f}"
    assert abs(own.mase - backtest.mase) > 0.01


def test_backtest_without_intervals_has_no_bands(series):
    backtest = make(calibration_fraction=None).backtest(series, 2, coverage=None)
    display = ForecastDisplay.from_backtest(backtest)
    assert display.bands_ == []
    assert len(texts_of(display)) == 3


def test_backtest_whose_errors_have_no_scale_is_drawn_without_them():
    backtest = make().backtest(np.full(50, 3.0), n_windows=2, coverage=None)
    display = ForecastDisplay.from_backtest(backtest)
    assert texts_of(display) == ["series", "forecast", "seasonal naive"]


def test_backtest_of_dates_stands_over_them(series):
    pd = pytest.importorskip("pandas")
    dates = pd.date_range("2024-02-01", periods=50, freq="D")
    backtest = make().backtest(pd.Series(series, dates), n_windows=2)
    display = ForecastDisplay.from_backtest(backtest, n_history=3)
    places = dates.to_numpy()
    np.testing.assert_array_equal(display.line_.get_xdata(), places[39:])
    drawn = display.forecast_lines_[1].get_xdata()
    np.testing.assert_array_equal(drawn, places[45:])


# By hand.


def test_forecasts_of_other_models_can_be_drawn():
    display = ForecastDisplay(
        [1, 2], [5.0, 6.0], [3, 4], [7.0, 8.0], xlabel="Year", ylabel="Fish"
    ).plot()
    np.testing.assert_array_equal(display.forecast_lines_[0].get_xdata(), [2, 3, 4])
    np.testing.assert_array_equal(display.forecast_lines_[0].get_ydata(), [6, 7, 8])
    assert display.bands_ == display.naive_lines_ == []
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("Year", "Fish")


def test_forecast_before_all_values_begins_with_itself():
    display = ForecastDisplay([5, 6], [1.0, 2.0], [4, 5], [0.0, 1.5]).plot()
    np.testing.assert_array_equal(display.forecast_lines_[0].get_xdata(), [4, 5])


def test_given_axes_are_used(pyplot, series):
    figure, (upper, lower) = pyplot.subplots(2)
    forecaster = make()
    backtest = forecaster.backtest(series, n_windows=2)
    assert ForecastDisplay.from_backtest(backtest, ax=lower).ax_ is lower
    fitted = forecaster.fit(series)
    assert ForecastDisplay.from_estimator(fitted, ax=upper).ax_ is upper
    assert pyplot.get_fignums() == [figure.number]


def test_dates_are_written_as_the_axes_say(pyplot):
    dates = pyplot.matplotlib.dates
    days = np.arange("2024-01-01", "2024-01-06", dtype="datetime64[D]")
    _, ax = pyplot.subplots()
    chosen = dates.DateFormatter("%d")
    ax.xaxis_date()
    ax.xaxis.set_major_formatter(chosen)
    ForecastDisplay(days[:3], [1.0, 2.0, 3.0], days[3:], [4.0, 5.0]).plot(ax=ax)
    assert ax.xaxis.get_major_formatter() is chosen


# What cannot be drawn.


def test_forecaster_has_to_be_one_that_is_fitted(pyplot):
    with pytest.raises(NotFittedError):
        ForecastDisplay.from_estimator(make())
    with pytest.raises(TypeError, match=r"a GRUForecaster, got LinearRegression"):
        ForecastDisplay.from_estimator(LinearRegression())
    with pytest.raises(TypeError, match=r"backtest must be a Backtest, got ndarray"):
        ForecastDisplay.from_backtest(np.zeros(3))
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"series": 2}, ValueError, "series must be a number from 0 to 1, got 2"),
        ({"series": -1}, ValueError, "series must be a number from 0 to 1, got -1"),
        ({"series": "a"}, TypeError, "series must be a number from 0 to 1, got str"),
        ({"variable": 1}, ValueError, "variable must be 0, as there is only one"),
        ({"n_history": 0}, ValueError, "n_history must be at least 1, got 0"),
        ({"n_history": 2.5}, TypeError, "n_history must be a whole number"),
        ({"n_history": True}, TypeError, "n_history must be a whole number"),
    ],
)
def test_choice_that_is_not_there_is_refused(pyplot, series, arguments, error, message):
    forecaster, both = make(), [series, series]
    with pytest.raises(error, match=message):
        ForecastDisplay.from_estimator(forecaster.fit(both), **arguments)
    backtest = forecaster.backtest(both, n_windows=2)
    with pytest.raises(error, match=message):
        ForecastDisplay.from_backtest(backtest, **arguments)
    assert pyplot.get_fignums() == []


@pytest.mark.parametrize(
    ("coverage", "message"),
    [
        ("all", "a number between 0 and 1, \"auto\" or None, got 'all'"),
        (1.0, "between 0 and 1, got 1.0"),
        (80, "between 0 and 1, got 80"),
    ],
)
def test_coverage_has_to_be_a_share(series, coverage, message):
    forecaster = make().fit(series)
    with pytest.raises(ValueError, match=message):
        ForecastDisplay.from_estimator(forecaster, coverage=coverage)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"values": [1.0]}, r"steps and values .* got \(2,\) and \(1,\)"),
        ({"steps": 1, "values": 2.0}, r"\(n_steps,\), got \(\) and \(\)"),
        ({"forecasts": [1.0]}, r"forecasts has \(1, 1\), forecast_steps has \(1, 2\)"),
        ({"naive": [[1.0, 2.0]] * 2}, r"naive has \(2, 2\)"),
        (dict.fromkeys(WINDOWS, []), r"forecasts has \(1, 0\)"),
        ({"upper": None}, "both ends, but upper is None"),
        ({"lower": None}, "both ends, but lower is None"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(pyplot, changed, message):
    fitting = {
        "steps": [0, 1],
        "values": [1.0, 2.0],
        "forecast_steps": [2, 3],
        "forecasts": [3.0, 4.0],
        "lower": [2.0, 2.0],
        "upper": [4.0, 6.0],
    }
    with pytest.raises(ValueError, match=message):
        ForecastDisplay(**fitting | changed).plot()
    assert pyplot.get_fignums() == []
