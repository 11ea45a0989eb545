"""What series are taken for, what is refused, and in which form forecasts go back."""

import copy
import datetime

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from fastgru.forecasting._series import check_series
from forecasts import draw_series, forecaster
from tolerances import assert_same_bits

SERIES = draw_series(40)
TABLE = draw_series(40, 2)
DAYS = pd.date_range("2024-03-01", periods=60, freq="D")
BOTH_STRATEGIES = pytest.mark.parametrize("strategy", ["direct", "recursive"])

# -- forms that mean the same --

SAME = {
    "list": list,
    "tuple": tuple,
    "list of NumPy numbers": lambda x: [np.float64(v) for v in x],
    "object array": lambda x: x.astype(object),
    "read-only": lambda x: with_flag(x.copy()),
    "every second of more": lambda x: np.repeat(x, 2)[::2],
    "backwards of backwards": lambda x: x[::-1].copy()[::-1],
    "big-endian": lambda x: x.astype(">f8"),
    "long double": lambda x: x.astype(np.longdouble),
    "masked, none of them": lambda x: np.ma.masked_array(x, mask=False),
}


def with_flag(x):
    x.flags.writeable = False
    return x


@pytest.mark.parametrize("form", SAME)
def test_other_forms_of_the_same_numbers_give_the_same_bits(form):
    expected = forecaster().fit(SERIES)
    fitted = forecaster().fit(SAME[form](SERIES))
    assert_same_bits("forecast", fitted.predict(), expected.predict())
    new = SAME[form](SERIES[:5])
    actual, other = fitted.update(new), expected.update(SERIES[:5])
    assert_same_bits("after an update", actual.predict(), other.predict())


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int64, np.int8, bool])
def test_other_types_of_numbers_are_read_as_float64(dtype):
    given = (SERIES > 20) if dtype is bool else SERIES.astype(dtype)
    fitted = forecaster().fit(given)
    expected = forecaster().fit(given.astype(np.float64))
    assert fitted.predict().dtype == np.float64
    assert_same_bits("forecast", fitted.predict(), expected.predict())


@pytest.mark.parametrize("dtype", ["Float64", "Float32", "Int64"])
def test_nullable_types_of_pandas_are_read(dtype):
    given = pd.Series(np.round(SERIES)).astype(dtype)
    expected = forecaster().fit(given.to_numpy(np.float64)).predict()
    assert_same_bits("forecast", forecaster().fit(given).predict().to_numpy(), expected)
    given[3] = pd.NA
    with pytest.raises(ValueError, match="series is NaN at step 3"):
        forecaster().fit(given)


def test_fortran_order_and_columns_of_a_larger_table_are_the_same():
    expected = forecaster().fit(TABLE).predict()
    wide = np.zeros((40, 5))
    wide[:, 1:3] = TABLE
    for form in (np.asfortranarray(TABLE), wide[:, 1:3], TABLE.tolist()):
        given = np.array(form) if isinstance(form, list) else form
        assert_same_bits("forecast", forecaster().fit(given).predict(), expected)


def test_one_variable_comes_back_with_as_many_axes_as_it_came():
    flat = forecaster().fit(SERIES)
    column = forecaster().fit(SERIES[:, np.newaxis])
    assert flat.predict().shape == (3,)
    assert column.predict().shape == (3, 1)
    assert_same_bits("forecast", column.predict()[:, 0], flat.predict())
    assert flat.n_features_in_ == column.n_features_in_ == 1


def test_a_list_of_one_series_is_a_list():
    (alone,) = forecaster().fit([SERIES]).predict()
    assert_same_bits("forecast", alone, forecaster().fit(SERIES).predict())
    lower, upper = forecaster().fit([SERIES, SERIES]).predict_interval(0.5)
    assert len(lower) == len(upper) == 2


# -- the user's arrays --


@BOTH_STRATEGIES
def test_arrays_are_neither_changed_nor_kept(strategy):
    series, exog = draw_series(40, 2), draw_series(40, 1)
    new, future = draw_series(9, 2, seed=3), draw_series(12, 1, seed=3)
    arrays = (series, exog, new, future)
    copies = [array.copy() for array in arrays]
    fitted = forecaster(strategy=strategy, fill="linear").fit(series, exog=exog)
    fitted.update(new, exog=future[:9])
    for array, same in zip(arrays, copies, strict=True):
        assert_same_bits("array", array, same)
    before = fitted.predict(exog=future[9:])
    whole = copy.deepcopy(fitted).update(new, exog=future[:9])
    expected = whole.predict(exog=future[9:])
    for array in (series, exog, new):
        array[...] = 1e6
    assert_same_bits("forecast", fitted.predict(exog=future[9:]), before)
    fitted.update(draw_series(9, 2, seed=3), exog=future[:9])
    assert_same_bits("later", fitted.predict(exog=future[9:]), expected)


def test_filling_gaps_does_not_write_into_the_series():
    series = SERIES.copy()
    series[[3, 7]] = np.nan
    frame = pd.Series(series)
    forecaster(fill="linear").fit(series)
    forecaster(fill="last").fit(frame)
    assert np.isnan(series[[3, 7]]).all()
    assert frame.isna().sum() == 2


@BOTH_STRATEGIES
def test_writing_into_a_forecast_changes_no_later_one(strategy):
    fitted = forecaster(strategy=strategy).fit(SERIES)
    first = fitted.predict()
    expected = first.copy()
    first[...] = 0
    assert_same_bits("forecast", fitted.predict(), expected)


# -- gaps --


def test_gaps_are_filled_as_asked():
    gaps = np.array([np.nan, 1.0, np.nan, np.nan, 4.0, np.nan])
    (linear,), _ = check_series(gaps, fill="linear")
    (last,), _ = check_series(gaps, fill="last")
    assert linear.values[:, 0].tolist() == [1, 1, 2, 3, 4, 4]
    assert last.values[:, 0].tolist() == [1, 1, 1, 1, 4, 4]
    both = np.stack([gaps, np.arange(6.0)], axis=1)
    (linear,), _ = check_series(both, fill="linear")
    assert linear.values[:, 1].tolist() == [0, 1, 2, 3, 4, 5]


def test_gaps_of_an_update_are_filled_from_what_came_before():
    for fill, expected in (("last", [10, 10, 4]), ("linear", [8, 6, 4])):
        series = np.append(SERIES, 10.0)
        fitted = forecaster(fill=fill).fit(series).update([np.nan, np.nan, 4.0])
        values = fitted._memory.histories[0].series.values[41:, 0]
        assert values.tolist() == expected
    still = forecaster(fill="last").fit(SERIES)
    other = copy.deepcopy(still).update([SERIES[-1]] * 2)
    expected = other.predict()
    assert_same_bits("gap", still.update([np.nan] * 2).predict(), expected)


def with_value(value, *places):
    """Copy the series and put a value into it."""
    series = SERIES.copy()
    series[list(places)] = value
    return series


@pytest.mark.parametrize("fill", [None, "linear", "last"])
def test_gaps_that_are_not_filled_are_named(fill):
    if fill is None:
        message = r'series is NaN at step 3, step 5, step 8 and 2 more; fill="linear"'
        with pytest.raises(ValueError, match=message):
            forecaster().fit(with_value(np.nan, 3, 5, 8, 20, 21))
        with pytest.raises(ValueError, match=r"series\[1\] is NaN at step 3;"):
            forecaster().fit([SERIES, with_value(np.nan, 3)])
        dated = pd.Series(with_value(np.nan, 4), DAYS[:40])
        with pytest.raises(ValueError, match=r"step 4 \(2024-03-05 00:00:00\)"):
            forecaster().fit(dated)
    else:
        with pytest.raises(ValueError, match="series is NaN at all of 40 steps"):
            forecaster(fill=fill).fit(with_value(np.nan, *range(40)))
        exog = with_value(np.nan, 6)
        with pytest.raises(ValueError, match=r"exog is NaN at step 6; .* have no gaps"):
            forecaster(fill=fill).fit(SERIES, exog=exog)


# -- numbers that are none --

BAD = {
    "infinity": (with_value(np.inf, 7), ValueError, "series is infinite at step 7"),
    "-infinity": (
        pd.Series(with_value(-np.inf, 7), DAYS[:40]),
        ValueError,
        r"series is infinite at step 7 \(2024-03-08",
    ),
    "too large": (
        with_value(1e200, 7),
        ValueError,
        r"series is 1e\+200 at step 7; expected numbers of at most 1e\+100",
    ),
    "masked": (
        np.ma.masked_array(SERIES, mask=SERIES > 22),
        ValueError,
        "masked values; mark gaps with NaN",
    ),
    "text": ("some text", TypeError, "series must hold numbers, got <U9"),
    "list of text": (["1", "2"] * 20, TypeError, "series must hold numbers"),
    "text in objects": (
        SERIES.astype(str).astype(object),
        TypeError,
        r"series must hold numbers, got '\d",
    ),
    "text of pandas": (
        pd.Series(SERIES.astype(str)),
        TypeError,
        r"series must hold numbers, got '\d",
    ),
    "dates": (DAYS.to_numpy(), TypeError, "series must hold numbers, got datetime64"),
    "complex": (SERIES + 1j, ValueError, "Complex data not supported"),
    "complex objects": (
        (SERIES + 1j).astype(object),
        TypeError,
        "series must hold numbers, got",
    ),
    "dict": ({"a": 1}, TypeError, "series must hold numbers, got dict"),
    "sparse": (csr_array(np.eye(9)), TypeError, "sparse input is not supported"),
    "None": (None, ValueError, "series has 0 dimensions"),
    "a number": (5.0, ValueError, "series has 0 dimensions"),
    "3-D": (np.zeros((3, 4, 5)), ValueError, r"3 dimensions \(shape \(3, 4, 5\)\)"),
    "empty": (np.zeros(0), ValueError, r"series is empty: 0 step\(s\)"),
    "no variables": (np.zeros((40, 0)), ValueError, r"0 feature\(s\)"),
    "empty list": ([], ValueError, "series is an empty list"),
    "empty member": ([SERIES, []], ValueError, r"series\[1\] is empty"),
    "ragged member": (
        [SERIES, [[1.0, 2.0], [3.0]]],
        ValueError,
        r"series\[1\] holds rows of unequal lengths",
    ),
    "other member": (
        [SERIES, TABLE],
        ValueError,
        r"series\[1\] is not of the form of series\[0\]: .*2-D array of 2 columns",
    ),
    "member of pandas": (
        [SERIES, pd.Series(SERIES)],
        ValueError,
        r"series\[1\] is not of the form of series\[0\]: .*a Series",
    ),
    "columns of a member": (
        [pd.DataFrame(TABLE, columns=list(names)) for names in ("ab", "ba")],
        ValueError,
        r"it has the columns \['b', 'a'\], expected \['a', 'b'\]",
    ),
    "too short": (SERIES[:4], ValueError, "series has 4 steps; horizon=3.*at least 5"),
    "short member": (
        [SERIES, SERIES[:4]],
        ValueError,
        r"series\[1\] has 4 steps; horizon=3.*at least 5",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_series_that_are_none_are_refused(name):
    series, error, message = BAD[name]
    estimator = forecaster()
    with pytest.raises(error, match=message):
        estimator.fit(series)
    assert set(vars(estimator)) == set(estimator.get_params())


@pytest.mark.parametrize(
    ("settings", "n_steps", "needed"),
    [
        ({"horizon": 50}, 40, 52),
        ({"transform": "seasonal", "period": 20}, 40, 41),
        ({"transform": "stl", "period": 20}, 40, 41),
        ({"period": 40}, 40, 41),
    ],
    ids=str,
)
def test_a_history_too_short_for_horizon_or_period_says_how_long_it_must_be(
    settings, n_steps, needed
):
    estimator = forecaster(**settings)
    with pytest.raises(ValueError, match=f"has {n_steps} steps;.* at least {needed}"):
        estimator.fit(draw_series(n_steps))
    assert np.isfinite(estimator.fit(draw_series(needed)).predict()).all()


@pytest.mark.parametrize("value", [0.0, -1.5])
def test_logarithms_of_what_is_not_positive_are_refused(value):
    message = f"log=True takes logarithms, but series is {value} at step 7"
    with pytest.raises(ValueError, match=message):
        forecaster(log=True).fit(with_value(value, 7))
    fitted = forecaster(log=True).fit(SERIES)
    with pytest.raises(ValueError, match=f"series is {value} at step 1"):
        fitted.update([3.0, value])
    with pytest.raises(ValueError, match=r"series\[1\] is .* at step 7"):
        fitted.predict(series=[SERIES, with_value(value, 7)])


# -- the index --


def names_of(index):
    return pd.Series(draw_series(len(index)), index, name="sales")


REGULAR = {
    "days": DAYS,
    "days without frequency": pd.DatetimeIndex(list(DAYS), name="day"),
    "days of a time zone": pd.date_range(
        "2024-03-10", periods=60, freq="D", tz="Europe/Berlin"
    ),
    "hours over a change of clocks": pd.DatetimeIndex(
        list(pd.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin"))
    ),
    "business days": pd.DatetimeIndex(
        list(pd.date_range("2024-03-01", periods=60, freq="B"))
    ),
    "weeks": pd.DatetimeIndex(
        list(pd.date_range("2024-03-02", periods=60, freq="W-SAT"))
    ),
    "months": pd.DatetimeIndex(
        list(pd.date_range("2020-01-01", periods=60, freq="MS"))
    ),
    "periods": pd.period_range("2020-01", periods=60, freq="M"),
    "periods of two months": pd.period_range("2020-01", periods=60, freq="2M"),
    "time spans": pd.timedelta_range("1h", periods=60, freq="2h"),
    "range": pd.RangeIndex(60),
    "range by twos": pd.RangeIndex(10, 130, 2, name="step"),
    "years": pd.Index(1700.0 + np.arange(60)),
    "quarters": pd.Index(1959 + np.arange(60) / 4),
    "tenths": pd.Index(np.arange(60) * 0.1),
    "seconds": pd.Index(1_700_000_000 + np.arange(60)),
    "more than float64 counts": pd.Index(2**60 + np.arange(60)),
}


@pytest.mark.parametrize("name", REGULAR)
def test_forecasts_have_the_index_that_follows(name):
    index = REGULAR[name]
    series = names_of(index)
    fitted = forecaster().fit(series.iloc[:50])
    for begin in (50, 54, 55):
        if begin > 50:
            last = len(fitted._memory.histories[0])
            fitted.update(series.iloc[last:begin])
        for forecast in (fitted.predict(), *fitted.predict_interval(0.5)):
            assert forecast.name == "sales"
            assert type(forecast.index) is type(index)
            assert forecast.index.name == index.name
            expected = index[begin : begin + 3]
            if index.dtype == np.float64:
                np.testing.assert_allclose(forecast.index, expected, rtol=1e-12)
            else:
                assert forecast.index.equals(expected)


@pytest.mark.parametrize("name", REGULAR)
@pytest.mark.parametrize("n_new", [1, 2, 5])
@pytest.mark.parametrize("off", [-1, 1])
def test_an_update_that_does_not_follow_is_refused(name, n_new, off):
    series = names_of(REGULAR[name])
    fitted = forecaster().fit(series.iloc[:50])
    before = fitted.predict()
    with pytest.raises(ValueError, match="series must go on where the series ended"):
        fitted.update(series.iloc[50 + off : 50 + off + n_new])
    pd.testing.assert_series_equal(fitted.predict(), before)


def test_an_update_in_other_units_or_types_may_follow():
    fitted = forecaster().fit(names_of(DAYS[:50].as_unit("s")))
    fitted.update(names_of(DAYS[50:52].as_unit("ns")))
    years = forecaster().fit(names_of(pd.Index(np.arange(1900, 1950))))
    years.update(names_of(pd.Index([1950.0, 1951.0])))
    assert years.predict().index.tolist() == [1952, 1953, 1954]


def test_dates_of_another_time_zone_do_not_follow():
    fitted = forecaster().fit(names_of(DAYS[:50]))
    with pytest.raises(ValueError, match="must go on where the series ended"):
        fitted.update(names_of(DAYS[50:52].tz_localize("UTC")))
    with pytest.raises(ValueError, match="must go on where the series ended"):
        fitted.update(pd.Series([1.0, 2.0]))


def test_arrays_may_go_on_where_pandas_was():
    series = names_of(DAYS)
    fitted, other = (forecaster().fit(series.iloc[:50]) for _ in range(2))
    fitted.update(series[50:].to_numpy())
    pd.testing.assert_series_equal(
        fitted.predict(), other.update(series[50:]).predict()
    )
    assert forecaster().fit(SERIES).update(series[50:]).predict().shape == (3,)


def swapped(index, a, b):
    places = np.arange(len(index))
    places[[a, b]] = places[[b, a]]
    return index[places]


IRREGULAR = {
    "gap": (
        DAYS[:41].delete(20),
        ValueError,
        "not regular: step 20 is 2024-03-22 00:00:00, after 2024-03-20 00:00:00",
    ),
    "gap of periods": (
        REGULAR["periods"][:41].delete(20),
        ValueError,
        "not regular: step 20 is 2021-10, after 2021-08",
    ),
    "gap of numbers": (
        pd.RangeIndex(41).delete(20),
        ValueError,
        "not regular: step 20 is 21, after 19",
    ),
    "unsorted": (
        swapped(DAYS[:40], 6, 7),
        ValueError,
        "must rise from step to step; step 7 is 2024-03-07 00:00:00, after 2024-03-08",
    ),
    "falling": (pd.RangeIndex(40, 0, -1), ValueError, "step 1 is 39, after 40"),
    "twice": (
        DAYS[:39].insert(5, DAYS[5]),
        ValueError,
        "must rise from step to step; step 6 is 2024-03-06",
    ),
    "missing date": (DAYS[:39].insert(5, pd.NaT), ValueError, "step 5 is NaT"),
    "missing number": (
        pd.Index([*range(39), np.nan]),
        ValueError,
        "step 39 is nan",
    ),
    "names": (
        pd.Index([f"a{k:02}" for k in range(40)]),
        TypeError,
        "expected dates, periods or numbers",
    ),
    "dates as objects": (
        pd.Index([datetime.date(2024, 1, 1 + k % 28) for k in range(40)]),
        TypeError,
        "is of object; expected dates, periods or numbers",
    ),
    "mixed": (pd.Index([1, "a"] * 20), TypeError, "is of object; expected dates"),
    "categories": (pd.CategoricalIndex(range(40)), TypeError, "is of category"),
    "levels": (
        pd.MultiIndex.from_product([[0, 1], range(20)]),
        TypeError,
        "is of 2 levels; expected dates",
    ),
}


@pytest.mark.parametrize("name", IRREGULAR)
def test_an_index_that_does_not_go_on_is_refused(name):
    index, error, message = IRREGULAR[name]
    with pytest.raises(error, match=f"the index of series .*{message}"):
        forecaster().fit(pd.Series(SERIES, index))
    with pytest.raises(error, match=rf"the index of series\[1\] .*{message}"):
        forecaster().fit([pd.Series(SERIES), pd.Series(SERIES, index)])


# -- names --


def test_a_list_of_pandas_series_gets_back_each_ones_name_and_index():
    series = [
        pd.Series(SERIES, DAYS[:40], name="north"),
        pd.Series(SERIES[:30], pd.RangeIndex(30), name="south"),
    ]
    north, south = forecaster().fit(series).predict()
    assert (north.name, south.name) == ("north", "south")
    assert north.index.equals(DAYS[40:43])
    assert south.index.equals(pd.RangeIndex(30, 33))


def test_a_data_frame_keeps_its_columns():
    frame = pd.DataFrame(TABLE, DAYS[:40], columns=["price", 7])
    fitted = forecaster().fit(frame)
    forecast = fitted.predict()
    assert forecast.columns.tolist() == ["price", 7]
    expected = forecaster().fit(TABLE).predict()
    assert_same_bits("forecast", forecast.to_numpy(), expected)


def test_columns_of_another_order_are_refused():
    frame = pd.DataFrame(TABLE, columns=["a", "b"])
    exog = pd.DataFrame(TABLE**2, columns=["p", "q"])
    fitted = forecaster().fit(frame[:30])
    message = r"has the columns \['b', 'a'\], expected \['a', 'b'\]"
    with pytest.raises(ValueError, match=message):
        fitted.update(frame[["b", "a"]][30:])
    with pytest.raises(ValueError, match=message):
        fitted.predict(series=frame[["b", "a"]])
    fitted = forecaster().fit(frame[:30], exog=exog[:30])
    message = r"exog has the columns \['q', 'p'\], expected \['p', 'q'\]"
    with pytest.raises(ValueError, match=message):
        fitted.predict(exog=exog[["q", "p"]][30:33])
    with pytest.raises(ValueError, match=message):
        fitted.update(frame[30:], exog=exog[["q", "p"]][30:])
    fitted.update(frame[30:35].to_numpy(), exog=exog[30:35].to_numpy())


# -- other forms than in fit --


@pytest.mark.parametrize(
    ("known", "new", "message"),
    [
        (SERIES, [SERIES], "it is a list, each member a 1-D array, expected a 1-D"),
        (SERIES, TABLE, "it is a 2-D array of 2 columns, expected a 1-D array"),
        (TABLE, SERIES[:2], "it is a 1-D array, expected a 2-D array of 2 columns"),
        ([SERIES] * 2, SERIES, "expected a list, each member a 1-D array"),
        ([SERIES] * 2, [SERIES], "go on with each of 2 series, got 1"),
        ([SERIES] * 2, [SERIES] * 3, "go on with each of 2 series, got 3"),
        (SERIES, [], "series is an empty list"),
        (SERIES, np.zeros(0), "series is empty"),
        ([SERIES] * 2, [SERIES, np.zeros(0)], r"series\[1\] is empty"),
        (SERIES, 5.0, "series has 0 dimensions"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_an_update_of_another_form_is_refused(known, new, message):
    fitted = forecaster().fit(known)
    for find in (fitted.update, fitted.mase):
        with pytest.raises(ValueError, match=message):
            find(new)


def test_one_new_step_is_enough():
    fitted = forecaster().fit(TABLE)
    assert fitted.update(TABLE[:1]) is fitted
    assert len(fitted._memory.histories[0]) == 41
    one = forecaster().fit(SERIES).update([20.0])
    assert len(one._memory.histories[0]) == 41


# -- known features --


@pytest.mark.parametrize(
    ("exog", "message"),
    [
        (SERIES[:-1], r"exog must have a row .* 40 steps: .* got shape \(39,\)"),
        (np.zeros((40, 0)), r"exog must have a row .* got shape \(40, 0\)"),
        (np.zeros((40, 2, 2)), r"exog must have a row .* got shape \(40, 2, 2\)"),
        (with_value(np.inf, 3), "exog is infinite at step 3"),
        (with_value(np.nan, 3), "exog is NaN at step 3; known features have no gaps"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_known_features_that_do_not_fit_are_refused(exog, message):
    with pytest.raises(ValueError, match=message):
        forecaster().fit(SERIES, exog=exog)


def test_known_features_of_a_list_come_as_a_list():
    for exog, got in ((SERIES, "no list"), ([SERIES], "1 members")):
        with pytest.raises(ValueError, match=f"so exog must be one too.*{got}"):
            forecaster().fit([SERIES, SERIES], exog=exog)
    with pytest.raises(ValueError, match=r"exog\[1\] must have a row .* of 40 steps"):
        forecaster().fit([SERIES, SERIES], exog=[SERIES, SERIES[1:]])
    with pytest.raises(ValueError, match=r"series\[1\].*it has 0 exog features"):
        forecaster().fit([SERIES, SERIES], exog=[SERIES, None])
    fitted = forecaster().fit([SERIES, SERIES], exog=[SERIES, SERIES])
    for exog in (5, SERIES[:3], pd.DataFrame(TABLE[:3])):
        with pytest.raises(ValueError, match="so exog must be one too.*no list"):
            fitted.predict(exog=exog)
    with pytest.raises(ValueError, match=r"exog\[1\] must have a row .* of 3 steps"):
        fitted.predict(exog=[SERIES[:3], SERIES[:2]])


@BOTH_STRATEGIES
def test_known_features_of_steps_to_come_are_checked(strategy):
    fitted = forecaster(strategy=strategy).fit(SERIES, exog=TABLE)
    with pytest.raises(ValueError, match="fit saw 2 known features.*next 3 steps"):
        fitted.predict()
    with pytest.raises(ValueError, match="exog must have a row .* of 3 steps"):
        fitted.predict(exog=TABLE[:2])
    with pytest.raises(ValueError, match="exog has 1 features, expected 2"):
        fitted.predict(exog=SERIES[:3])
    with pytest.raises(ValueError, match="exog is NaN at step 1"):
        fitted.predict(exog=[[1, 2], [np.nan, 2], [3, 4]])
    with pytest.raises(ValueError, match="it has 0 exog features, expected 2"):
        fitted.update(SERIES)
    with pytest.raises(ValueError, match="it has 1 exog features, expected 2"):
        fitted.update(SERIES, exog=SERIES)
    with pytest.raises(ValueError, match="exog must have a row .* of 40 steps"):
        fitted.update(SERIES, exog=TABLE[1:])
    with pytest.raises(ValueError, match="series cannot be given to a forecaster of"):
        fitted.predict(series=SERIES)
    n_rows = 3 if strategy == "direct" else 2
    assert fitted.predict(2, exog=TABLE[:n_rows]).shape == (2,)
    with pytest.raises(ValueError, match=f"exog must have a row .* of {n_rows} steps"):
        fitted.predict(2, exog=TABLE[:4])
    with pytest.raises(ValueError, match="exog was given, but fit saw none"):
        forecaster(strategy=strategy).fit(SERIES).predict(exog=SERIES[:3])


def test_known_features_have_the_index_of_their_series():
    series = pd.Series(SERIES, DAYS[:40])
    exog = pd.DataFrame(draw_series(60, 2), DAYS, columns=["a", "b"])
    with pytest.raises(ValueError, match="exog has another index than its series"):
        forecaster().fit(series, exog=exog[1:41])
    fitted = forecaster().fit(series, exog=exog[:40])
    assert fitted.predict(exog=exog[40:43]).index.equals(DAYS[40:43])
    with pytest.raises(ValueError, match="exog has another index than its series"):
        fitted.predict(exog=exog[41:44])
    plain = forecaster().fit(SERIES, exog=exog[:40].to_numpy())
    expected = plain.predict(exog=exog[40:43].to_numpy())
    assert_same_bits("forecast", fitted.predict(exog=exog[40:43]).to_numpy(), expected)


@BOTH_STRATEGIES
def test_the_last_window_of_mase_has_its_known_features_or_is_refused(strategy):
    series, exog = draw_series(48), draw_series(48, 2, seed=1)
    fitted = forecaster(strategy=strategy).fit(series[:40], exog=exog[:40])
    assert np.isfinite(fitted.mase(series[40:46], exog=exog[40:46]))
    if strategy == "direct":
        with pytest.raises(ValueError, match="8 steps; .* a multiple of horizon=3"):
            fitted.mase(series[40:], exog=exog[40:])
    else:
        first, second = fitted.predict(exog=exog[40:43]), []
        walking = copy.deepcopy(fitted)
        for begin in (40, 43):
            walking.update(series[begin : begin + 3], exog=exog[begin : begin + 3])
            n_steps = min(3, 45 - begin)
            future = exog[begin + 3 : begin + 3 + n_steps]
            second.append(walking.predict(n_steps, exog=future))
        forecasts = np.concatenate([first, *second])
        scale = np.abs(np.diff(series[:40])).mean()
        expected = np.abs(series[40:] - forecasts).mean() / scale
        mase = fitted.mase(series[40:], exog=exog[40:])
        assert mase == pytest.approx(expected, rel=1e-9)
