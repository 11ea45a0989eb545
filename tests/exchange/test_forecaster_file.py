"""Forecasters in files: they forecast, and go on, to the same bits."""

import re
import sys
from datetime import timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline

import fastgru
from children import run_python
from fastgru.cli import main
from fastgru.exchange._indexes import IndexPlans
from model_files import rewrite
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

EACH_STRATEGY = pytest.mark.parametrize("strategy", ["direct", "recursive"])
TRANSFORMS = ["standardize", "difference", "seasonal", "stl", None]
DAY = np.arange(60.0)
SERIES = 20 + DAY / 3 + 4 * np.sin(DAY) + 3 * np.cos(DAY * np.pi / 3)
WIDE = np.stack([SERIES, 90 - SERIES, np.abs(SERIES - 30) + 1], axis=1)
KNOWN = np.stack([np.sin(DAY / 2), DAY % 7], axis=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.safetensors"


def forecaster(**settings):
    """Make a forecaster that learns next to nothing, at once."""
    common = {"horizon": 3, "period": 6, "lags": 9, "hidden_size": 4, "max_iter": 2}
    return fastgru.GRUForecaster(random_state=0, **common | settings)


def save_and_load(model, path):
    fastgru.save(model, path)
    return fastgru.load(path)


def parts_of(result):
    """Return arrays and indexes of forecasts, whatever their form."""
    if isinstance(result, (list, tuple)):
        return [part for member in result for part in parts_of(member)]
    if isinstance(result, np.ndarray):
        return [result]
    return [result.to_numpy(), result]


def assert_same_forecasts(loaded, model, exog=None):
    """Compare forecasts and intervals, bit by bit, with their index and names."""
    for method, arguments in (("predict", ()), ("predict_interval", (0.6,))):
        results = [
            parts_of(getattr(one, method)(*arguments, exog=exog))
            for one in (loaded, model)
        ]
        for actual, expected in zip(*results, strict=True):
            assert type(actual) is type(expected)
            if isinstance(actual, np.ndarray):
                assert_same_bits(method, actual, expected)
                continue
            assert actual.index.equals(expected.index)
            assert actual.index.dtype == expected.index.dtype
            assert getattr(actual.index, "freq", None) == getattr(
                expected.index, "freq", None
            )
            names = ["name"] if hasattr(actual, "name") else ["columns"]
            assert all(
                np.array_equal(getattr(actual, name), getattr(expected, name))
                for name in names
            )


# -- there and back --------------------------------------------------------------------


@EACH_STRATEGY
@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_a_forecaster_comes_back_and_goes_on(path, strategy, transform, log):
    if transform == "stl":
        pytest.importorskip("statsmodels")
    options = {"strategy": strategy, "transform": transform, "log": log}
    model = forecaster(**options).fit(SERIES[:40]).update(SERIES[40:45])
    loaded = save_and_load(model, path)
    assert loaded.get_params() == model.get_params()
    assert vars(loaded).keys() == vars(model).keys()
    for name in (name for name in vars(model) if name.endswith("_")):
        assert getattr(loaded, name) == getattr(model, name), name
    assert loaded.mase(SERIES[45:]) == model.mase(SERIES[45:])
    assert_same_forecasts(loaded, model)
    for begin, end in ((45, 46), (46, 52), (52, 53)):
        for one in (loaded, model):
            one.update(SERIES[begin:end])
        assert_same_forecasts(loaded, model)


@EACH_STRATEGY
def test_several_series_of_several_variables_with_known_features_come_back(
    path, strategy
):
    ends = (40, 31, 36)
    options = {"strategy": strategy, "num_layers": 2, "dropout": 0.1}
    model = forecaster(dtype="float64", **options).fit(
        [WIDE[:end] for end in ends], exog=[KNOWN[:end] for end in ends]
    )
    model.update([WIDE[n : n + 4] for n in ends], [KNOWN[n : n + 4] for n in ends])
    loaded = save_and_load(model, path)
    for steps in (1, 3, 8):
        came = [slice(n, n + steps) for n in ends]
        ahead = [KNOWN[n + steps : n + steps + 3] for n in ends]
        for one in (loaded, model):
            one.update([WIDE[part] for part in came], [KNOWN[part] for part in came])
        assert_same_forecasts(loaded, model, ahead)


def test_a_forecaster_comes_back_after_each_update(path):
    model = forecaster(strategy="recursive").fit(SERIES[:40])
    loaded = model
    for step in range(40, 46):  # before, at and after the first error that is complete
        loaded = save_and_load(loaded, path).update(SERIES[step : step + 1])
    assert_same_forecasts(loaded, model.update(SERIES[40:46]))


@given(
    strategy=st.sampled_from(["direct", "recursive"]),
    transform=st.sampled_from([kind for kind in TRANSFORMS if kind != "stl"]),
    lengths=st.lists(st.integers(26, 40), min_size=1, max_size=4),
    updates=st.lists(st.integers(1, 5), max_size=3),
    n_targets=st.integers(1, 3),
    n_exog=st.integers(0, 2),
    horizon=st.integers(1, 5),
)
def test_forecasters_of_any_series_come_back(
    tmp_path_factory, strategy, transform, lengths, updates, n_targets, n_exog, horizon
):
    def parts(begins, ends):
        pairs = list(zip(begins, ends, strict=True))
        known = [KNOWN[begin:end, :n_exog] for begin, end in pairs] if n_exog else None
        return [WIDE[begin:end, :n_targets] for begin, end in pairs], known

    model = forecaster(strategy=strategy, transform=transform, horizon=horizon)
    series, known = parts([0] * len(lengths), lengths)
    model.fit(series, exog=known)
    loaded, path = model, tmp_path_factory.mktemp("any") / "model"
    for n_steps in [*updates, 1]:
        loaded = save_and_load(loaded, path)
        ends = [n + n_steps for n in lengths]
        for one in (loaded, model):
            one.update(*parts(lengths, ends))
        lengths = ends
        _, ahead = parts(ends, [n + horizon for n in ends])
        assert_same_forecasts(loaded, model, ahead)


@EACH_STRATEGY
def test_a_forecaster_without_intervals_comes_back(path, strategy):
    options = {"calibration_fraction": None, "strategy": strategy}
    model = forecaster(**options).fit(SERIES[:40]).update(SERIES[40:44])
    loaded = save_and_load(model, path)
    assert_same_bits("forecast", loaded.predict(), model.predict())
    with pytest.raises(ValueError, match="calibration_fraction=None held nothing out"):
        loaded.predict_interval()
    results = [one.update(SERIES[44:50]).predict() for one in (loaded, model)]
    assert_same_bits("forecast", *results)


def test_a_forecaster_forecasts_other_series_after_loading(path):
    model = forecaster(transform="seasonal").fit([SERIES[:40], SERIES[:50]])
    loaded = save_and_load(model, path)
    others = [WIDE[:30, 1], WIDE[:44, 2]]
    results = [one.predict(series=others) for one in (loaded, model)]
    for actual, expected in zip(*results, strict=True):
        assert_same_bits("forecast", actual, expected)


def test_another_process_forecasts_the_same_bits(path):
    model = forecaster(strategy="recursive").fit(SERIES[:50])
    fastgru.save(model, path)
    code = """
        import sys
        import fastgru
        model = fastgru.load(sys.argv[1])
        print(model.predict(7).tobytes().hex())
    """
    assert run_python(code, path).strip() == model.predict(7).tobytes().hex()


def test_a_forecaster_whose_training_ended_in_nan_comes_back(path):
    model = forecaster(strategy="recursive").fit(SERIES[:50])
    model._network._parameters.flat[...] = np.nan
    model._network._pack()
    loaded = save_and_load(model.update(SERIES[50:]), path)
    assert np.isnan(loaded.predict()).all()


def test_a_file_holds_numbers_and_no_pickle(path):
    fastgru.save(forecaster().fit(WIDE, exog=KNOWN), path)
    arrays = load_file(path)
    own = {name for name in arrays if not name[0].isdigit()}
    of_transforms = ("season", "offset", "drift", "scale")
    assert own == {
        "series.values",
        "series.exog",
        "scales",
        "exog.mean",
        "exog.scale",
        "growth",
        "errors",
        *(f"transforms.{name}" for name in of_transforms),
    }
    assert_same_bits("series.values", arrays["series.values"], WIDE)


# -- pandas ----------------------------------------------------------------------------


def dates(frequency, zone=None, unit=None):
    return lambda pd: pd.date_range(
        "1999-12-31 01:30", periods=60, freq=frequency, tz=zone, unit=unit
    )


INDEXES = {
    "hours": dates("2h"),
    "days": dates("D"),
    "business days": dates("B"),
    "weeks": dates("W-WED"),
    "months": dates("MS"),
    "half months": dates("SMS"),
    "second Tuesdays": dates("WOM-2TUE"),
    "quarters": dates("QE-NOV"),
    "years": dates("YS-APR"),
    "hours with a time zone": dates("6h", "Europe/Berlin"),
    "days with a time zone": dates("D", "America/New_York"),
    "days of UTC": dates("D", "UTC"),
    "days east of UTC": dates("D", timezone(timedelta(hours=5, minutes=45))),
    "whole seconds": dates("D", unit="s"),
    "nanoseconds": dates("15min", unit="ns"),
    "monthly periods": lambda pd: pd.period_range("2000-02", periods=60, freq="M"),
    "quarterly periods": lambda pd: pd.period_range("2000", periods=60, freq="Q-NOV"),
    "two-day periods": lambda pd: pd.period_range("2000", periods=60, freq="2D"),
    "hourly periods": lambda pd: pd.period_range("2000", periods=60, freq="h"),
    "durations": lambda pd: pd.timedelta_range("1h", periods=60, freq="15min"),
    "a range": lambda pd: pd.RangeIndex(-5, 115, 2),
    "integers": lambda pd: pd.Index(np.arange(60) * 3 - 1),
    "small integers": lambda pd: pd.Index(np.arange(60, dtype=np.int16)),
    "fractions": lambda pd: pd.Index(np.arange(60) * 0.1),
}


@pytest.mark.parametrize("make_index", INDEXES.values(), ids=INDEXES)
def test_an_index_goes_on_after_loading(path, make_index):
    pandas = pytest.importorskip("pandas")
    series = pandas.Series(SERIES, make_index(pandas), name="level")
    model = forecaster().fit(series.iloc[:45]).update(series.iloc[45:47])
    loaded = save_and_load(model, path)
    assert_same_forecasts(loaded, model)
    for one in (loaded, model):
        one.update(series.iloc[47:])
    assert_same_forecasts(loaded, model)
    with pytest.raises(ValueError, match="must go on where the series ended"):
        loaded.update(series.iloc[47:])


@pytest.mark.parametrize(
    "columns", [["a", "é", ""], [3, -1, 2**40], ["a", 2, "b"], range(3)], ids=str
)
def test_names_of_columns_come_back(path, columns):
    pandas = pytest.importorskip("pandas")
    index = pandas.period_range("2000", periods=60, freq="M")
    frames = [pandas.DataFrame(WIDE, index, columns)[:n] for n in (50, 42)]
    model = forecaster().fit(frames)
    loaded = save_and_load(model, path)
    assert_same_forecasts(loaded, model)
    (first, _) = loaded.predict()
    assert list(first.columns) == list(columns)


@pytest.mark.parametrize("name", [None, "level", 7, np.int64(7)], ids=repr)
def test_the_name_of_a_series_comes_back(path, name):
    pandas = pytest.importorskip("pandas")
    model = forecaster().fit(pandas.Series(SERIES, name=name))
    assert save_and_load(model, path).predict().name == name


def test_many_series_of_one_index_share_it_after_loading(path):
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2000", periods=60, freq="MS")
    model = forecaster().fit([pandas.Series(column, index) for column in WIDE.T])
    histories = save_and_load(model, path)._memory.histories
    assert len({id(history.series.index) for history in histories}) == 1


WITHOUT_PANDAS = """
    import sys
    sys.modules["pandas"] = None
    import fastgru
    try:
        print(fastgru.load(sys.argv[1]).predict().shape)
    except ImportError as error:
        print(error)
"""


def test_pandas_is_needed_by_files_that_have_an_index_and_by_no_others(path):
    pandas = pytest.importorskip("pandas")
    fastgru.save(forecaster().fit(SERIES), path)
    assert run_python(WITHOUT_PANDAS, path).strip() == "(3,)"
    fastgru.save(forecaster().fit(pandas.Series(SERIES)), path)
    printed = run_python(WITHOUT_PANDAS, path).strip()
    assert "pandas objects" in printed
    assert printed.endswith("pip install 'fastgru[forecast]'")


@given(
    n_steps=st.integers(3, 40),
    name=st.sampled_from(["D", "h", "MS", "QE-OCT", "W-SAT", "YE", "B", "SMS", "3D"]),
    n=st.integers(1, 5),
    begin=st.integers(0, 10_000),
    zone=st.sampled_from([None, "UTC", "Europe/Berlin", "Asia/Kathmandu"]),
    unit=st.sampled_from(["s", "ms", "us", "ns"]),
)
def test_dates_of_any_frequency_come_back(n_steps, name, n, begin, zone, unit):
    pandas = pytest.importorskip("pandas")
    frequency = n * pandas.tseries.frequencies.to_offset(name)
    # At noon no clock is changed.
    first = pandas.Timestamp("1970-01-01 12:00") + pandas.Timedelta(days=begin)
    first = first.tz_localize(zone)
    index = pandas.date_range(first, periods=n_steps, freq=frequency, unit=unit)
    described = IndexPlans(0).describe(index)
    made = IndexPlans(2).build(described, n_steps)
    assert made.equals(index)
    assert (made.dtype, made.freq) == (index.dtype, index.freq)


@given(
    n_steps=st.integers(3, 100),
    first=st.integers(-(2**40), 2**40),
    step=st.integers(1, 2**20),
    scale=st.sampled_from([None, 1.0, 0.1, 1 / 3, 1e-5]),
)
def test_numbers_come_back_as_far_as_they_matter(n_steps, first, step, scale):
    pandas = pytest.importorskip("pandas")
    numbers = first + step * np.arange(n_steps)
    index = pandas.Index(numbers if scale is None else numbers * scale)
    made = IndexPlans(2).build(IndexPlans(0).describe(index), n_steps)
    assert made.dtype == index.dtype
    assert made[-2:].equals(index[-2:])
    np.testing.assert_allclose(made.to_numpy(), index.to_numpy(), rtol=1e-6)


# -- what is not saved -----------------------------------------------------------------


def test_an_unfitted_forecaster_is_refused(path):
    with pytest.raises(NotFittedError, match="GRUForecaster.*is not fitted"):
        fastgru.save(forecaster(), path)


def test_an_index_of_a_frequency_of_ones_own_is_refused(path):
    pandas = pytest.importorskip("pandas")
    for frequency in (
        pandas.offsets.CustomBusinessDay(holidays=["2020-05-01"]),
        pandas.offsets.BusinessDay(offset=timedelta(hours=1)),
        pandas.DateOffset(months=1),
    ):
        index = pandas.date_range("2020", periods=60, freq=frequency)
        model = forecaster().fit(pandas.Series(SERIES[: len(index)], index))
        with pytest.raises(TypeError, match=re.escape(f"frequency {frequency!r}")):
            fastgru.save(model, path)
    assert not path.exists()


def test_an_index_that_cannot_go_on_is_refused(path):
    pandas = pytest.importorskip("pandas")
    # The night after the last one, half past two does not exist.
    first = pandas.Timestamp("2020-01-29 02:30", tz="Europe/Berlin")
    index = pandas.date_range(first, periods=60, freq="D")
    with pytest.raises(
        ValueError, match="this GRUForecaster cannot be saved: .* is no"
    ):
        fastgru.save(forecaster().fit(pandas.Series(SERIES, index)), path)
    assert not path.exists()


@pytest.mark.parametrize("name", [("a", 1), 1.5, True], ids=repr)
def test_names_that_are_neither_text_nor_whole_numbers_are_refused(path, name):
    pandas = pytest.importorskip("pandas")
    model = forecaster().fit(pandas.Series(SERIES, name=name))
    message = f"text or whole numbers, got .* of type {type(name).__name__}"
    with pytest.raises(TypeError, match=message):
        fastgru.save(model, path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 5}, "horizon=5, but it was fitted with horizon=3"),
        ({"strategy": "recursive"}, "'recursive', but it was fitted as 'Direct'"),
        ({"transform": None}, "transform=None, but it was fitted to changes"),
        ({"transform": "seasonal"}, "must have shape .1, 6, 1. by the model's"),
        ({"log": True}, "log=True, but it was fitted with False"),
        ({"period": 40}, "the length of a series must be at least 41, got 40"),
        ({"tol": -1.0}, "'tol' parameter"),
    ],
    ids=str,
)
def test_parameters_that_no_longer_fit_are_refused(path, settings, message):
    model = forecaster().fit(SERIES[:40]).set_params(**settings)
    message = f"this GRUForecaster cannot be saved: .*{message}"
    with pytest.raises(ValueError, match=message):
        fastgru.save(model, path)
    assert not path.exists()


def test_a_pipeline_with_a_forecaster_is_refused(path):
    model = Pipeline([("forecast", forecaster())]).fit(SERIES)
    with pytest.raises(TypeError, match="'forecast' is one: save the forecaster by it"):
        fastgru.save(model, path)


# -- files that lie --------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    """Return forecasters by a name."""
    models = {
        "direct": forecaster().fit(SERIES[:40]),
        "recursive": forecaster(strategy="recursive").fit(WIDE[:40], exog=KNOWN[:40]),
        "seasonal": forecaster(transform="seasonal", log=True).fit([SERIES, SERIES]),
        "dropout": forecaster(dropout=0.1).fit(SERIES),
    }
    pandas = sys.modules.get("pandas")
    if pandas is None:
        pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2000", periods=60, freq="QE", tz="Europe/Berlin")
    models["frame"] = forecaster().fit(pandas.DataFrame(WIDE, index, list("abc")))
    return models


def put(value, *keys):
    """Return what puts a value to its place in a description."""
    *way, last = keys

    def change(description, _):
        for key in way:
            description = description[key]
        description[last] = value

    return change


def put_index(place, value):
    return put(value, "series", "indexes", 0, place)


def fill(name, value):
    """Return what gives one number of an array another value."""

    def change(_, arrays):
        arrays[name].reshape(-1)[-1] = value

    return change


def layers(*numbers, **settings):
    """Return what leaves some layers, and changes settings of the second."""

    def change(description, _):
        network = description["network"]
        network["layers"] = [network["layers"][number] for number in numbers]
        network["layers"][1]["settings"].update(settings)

    return change


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("direct", put(4, "strategy", "horizon"), "horizon=3, but it was fitted with"),
        ("direct", put(3.0, "strategy", "horizon"), "horizon must be of type int"),
        ("direct", put(0, "strategy", "lags"), "lags_ must be at least 1"),
        ("direct", put("Recursive", "strategy", "class"), "was fitted as 'Recursive'"),
        ("direct", put(1, "strategy", "of_changes"), "of_changes must be of type bool"),
        ("direct", put("os.system", "settings", "callbacks"), "holds no callbacks"),
        ("direct", put(0, "settings", "n_jobs"), "'n_jobs' parameter"),
        ("direct", put(10**9, "settings", "period"), "length of a series must be at"),
        ("direct", put(1, "settings", "x"), "unexpected.*'x'"),
        ("direct", put(1, "x"), "unexpected.*'x'"),
        ("direct", put(0, "form", "n_targets"), "n_targets must be at least 1"),
        ("direct", put(2, "form", "n_targets"), "2 variables do not fit into array"),
        ("direct", put(-1, "form", "n_exog"), "n_exog must be at least 0"),
        ("direct", put(1, "form", "n_exog"), "1 inputs and 3 outputs, expected 4"),
        ("direct", put("list", "form", "container"), "series are 'list'"),
        ("direct", put("Series", "form", "container"), "indexes are those of"),
        ("direct", put([["a"]], "series", "names"), "names are 1, expected 0"),
        ("direct", put("x", "form", "is_list"), "is_list must be of type bool"),
        ("direct", layers(0, 2), "layers are not those of a forecaster's"),
        ("direct", layers(0, 1, 2, how="mean"), "pools to the last step"),
        ("direct", put([41], "series", "lengths"), "must have shape .41, 1"),
        ("direct", put([20, 20], "series", "lengths"), "there are 2 series"),
        ("direct", put([], "series", "lengths"), "there are 0 series"),
        ("direct", put([6], "series", "lengths"), "series must be at least 7, got 6"),
        ("direct", put([40.0], "series", "lengths"), "must hold only int, got 40.0"),
        ("direct", put([9], "series", "n_errors"), "errors' must have shape .9, 3, 1"),
        ("direct", put([0], "series", "n_errors"), "n_errors must be at least 1"),
        ("direct", put(None, "series", "n_errors"), "are not both there"),
        ("direct", put([41], "series", "n_judged"), "n_judged of 40 steps is 41"),
        ("direct", put([37], "series", "n_judged"), "n_judged of 40 steps is 37"),
        ("direct", put([40, 40], "series", "n_judged"), "n_judged are 2, for 1 series"),
        ("direct", put([["range", 0, 1]], "series", "indexes"), "of pandas objects"),
        ("direct", put(True, "series", "log"), "log=False, but it was fitted with"),
        ("direct", put([], "fitted", "losses"), "0 losses"),
        ("direct", fill("series.values", np.nan), "series.values holds numbers that"),
        ("direct", fill("transforms.scale", 0), "transforms.scale must be above 0"),
        ("direct", fill("transforms.offset", np.inf), "transforms.offset holds"),
        ("direct", fill("growth", -1), "growth must be above 0"),
        ("direct", fill("scales", -1), "scales must not be below 0"),
        ("direct", lambda _, arrays: arrays.pop("growth"), "missing 'growth'"),
        ("direct", lambda _, arrays: arrays.update(x=DAY), "unexpected arrays: 'x'"),
        ("recursive", fill("exog.scale", 0), "exog.scale must be above 0"),
        ("recursive", fill("series.exog", np.nan), "series.exog holds numbers that"),
        (
            "recursive",
            lambda _, arrays: arrays.update(growth=DAY),
            "unexpected.*growth",
        ),
        ("seasonal", fill("series.values", 0), "must be above 0, as their logarithms"),
        ("seasonal", put(1, "settings", "period"), "period to its number of steps"),
        ("seasonal", put([60, 60, 1], "series", "lengths"), "must be at least 13"),
        ("dropout", layers(0, 2, 1, 3), "layers are not those of a forecaster's"),
        ("frame", put(["a", "b"], "form", "columns"), "columns are 2, expected 3"),
        ("frame", put(["a", "b", 1.5], "form", "columns"), "of a column must be of"),
        ("frame", put(["a", "\ud800", "c"], "form", "columns"), "surrogates"),
        ("frame", put(["a", "b", 2**70], "form", "columns"), "of a column must be"),
        ("frame", put([["a", "b"]], "series", "names"), "names are 2, expected 3"),
        ("frame", put([], "series", "names"), "names are 0, for 1 series"),
        ("frame", put(["a"], "form", "exog_columns"), "exog_columns are 1, expected 0"),
        ("frame", put(True, "form", "is_flat"), "do not fit into DataFrame"),
        ("frame", put(None, "series", "indexes"), "of pandas objects, which have them"),
        ("frame", put([], "series", "indexes"), "indexes are 0, for 1 series"),
        ("frame", put(["x"], "series", "indexes"), "must hold only list"),
        ("frame", put_index(0, "x"), "is no index: 'x'"),
        ("frame", put_index(0, ["x"]), "kind of an index must be of type str"),
        ("frame", put_index(0, "periods"), "expected 3 values"),
        ("frame", put_index(1, "D"), "a unit must be one of s, ms, us, ns"),
        ("frame", put_index(2, "Mars/Base"), "no time zone 'Mars/Base' here"),
        ("frame", put_index(2, "../../etc/localtime"), "there is no such time zone"),
        ("frame", put_index(2, "dateutil//etc/localtime"), "no such time zone"),
        ("frame", put_index(2, 3), "a time zone must be of type str"),
        ("frame", put_index(3, "QE"), "a frequency must be of type list"),
        ("frame", put_index(3, ["Easter", 1]), "is no index: 'Easter'"),
        ("frame", put_index(3, ["QuarterEnd", 1]), "is no index"),
        ("frame", put_index(3, ["QuarterEnd", 0, 12]), "of at least one step"),
        ("frame", put_index(3, ["QuarterEnd", 1, 13]), "there is no month 13"),
        ("frame", put_index(3, ["QuarterEnd", 1, "x"]), "must be of type int"),
        ("frame", put_index(3, ["Day", 10**7]), "is no index"),
        ("frame", put_index(4, 10**400), "does not fit into 64 bits"),
        ("frame", put_index(4, 2**63 - 2), "is no index"),
        ("frame", put_index(4, 0.5), "a number of an index must be of type int"),
        (
            "frame",
            put([["numbers", "int8", 97, 101]], "series", "indexes"),
            "it does not fit into int8",
        ),
        (
            "frame",
            put([["numbers", "object", 1, 2]], "series", "indexes"),
            "no such numbers",
        ),
        (
            "frame",
            put([["numbers", "float64", 2.0, 2.0]], "series", "indexes"),
            "it does not rise",
        ),
        (
            "frame",
            put([["range", 2**63 - 99, 2]], "series", "indexes"),
            "does not fit into 64 bits",
        ),
        (
            "frame",
            put([["periods", ["Day", 1], 2**63 - 61]], "series", "indexes"),
            "is no index",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_forecasters_that_are_none_are_refused(path, fitted, name, change, message):
    fastgru.save(fitted[name], path)
    rewrite(path, change)
    message = rf"(?s)model\.safetensors does not describe a model: .*{message}"
    with pytest.raises(ValueError, match=message):
        fastgru.load(path)


def test_an_index_that_does_not_rise_from_its_first_step_on_is_refused():
    pytest.importorskip("pandas")
    described = ["numbers", "float64", -1e308, 0.0]
    with pytest.raises(ValueError, match="it does not rise"):
        IndexPlans(1).build(described, 60)
    assert list(IndexPlans(0).build(described, 2)) == [-1e308, 0.0]


def test_a_forecaster_is_no_step_of_a_pipeline_in_a_file(path, fitted):
    fastgru.save(fitted["direct"], path)

    def wrap(description, _):
        step = dict(description)
        description.clear()
        description.update(
            {"class": "Pipeline", "steps": [["a", step]], "verbose": False}
        )
        description["transform_input"] = None

    rewrite(path, wrap)
    with pytest.raises(ValueError, match="'GRUForecaster', which this version"):
        fastgru.load(path)


# -- other kinds of files --------------------------------------------------------------


EXPORTS = {"to_torch": "torch", "to_keras": "keras", "to_onnx": "onnx"}


@pytest.mark.parametrize(("export", "package"), EXPORTS.items(), ids=EXPORTS)
def test_exports_say_that_a_forecaster_is_more_than_its_network(export, package):
    if package == "keras":
        from keras_models import import_keras

        import_keras()
    pytest.importorskip(package)
    model = forecaster().fit(SERIES)
    message = "a GRUForecaster cannot be exported.*fastgru.save.*GRURegressor"
    with pytest.raises(TypeError, match=message):
        getattr(fastgru.exchange, export)(model)


def test_the_command_converts_a_forecaster_to_fastgrus_own_kind_only(
    path, tmp_path, capsys
):
    pytest.importorskip("onnx")
    model = forecaster().fit(SERIES)
    fastgru.save(model, path)
    copy, other = tmp_path / "copy.safetensors", tmp_path / "model.onnx"
    assert main(["convert", str(path), str(copy)]) == 0
    assert "fastgru, GRUForecaster with" in capsys.readouterr().out
    assert_same_bits("forecast", fastgru.load(copy).predict(), model.predict())
    assert main(["convert", str(path), str(other)]) == 1
    assert "a GRUForecaster cannot be exported" in capsys.readouterr().err
    assert not other.exists()
