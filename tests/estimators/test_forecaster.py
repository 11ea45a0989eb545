"""The forecaster as an estimator: parameters, copies, searches, interruptions."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    TimeSeriesSplit,
    cross_val_score,
    cross_validate,
)
from sklearn.utils import TransformerTags, get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastgru import GRUForecaster
from fastgru.estimators._forecast_training import ForecastTraining
from fastgru.training.trainer import Trainer
from forecasts import draw_series, forecaster
from tolerances import assert_same_bits

SERIES = draw_series(60)
NEW = draw_series(7, seed=3)
BOTH_STRATEGIES = pytest.mark.parametrize("strategy", ["direct", "recursive"])


def assert_same_models(first, second):
    """Compare two fitted forecasters bit for bit."""
    assert first.loss_curve_ == second.loss_curve_
    assert first.validation_scores_ == second.validation_scores_
    assert_same_bits("forecast", first.predict(), second.predict())
    ends = zip(first.predict_interval(0.5), second.predict_interval(0.5), strict=True)
    for actual, expected in ends:
        assert_same_bits("interval", actual, expected)


# -- parameters --

WRONG = {
    "horizon": [0, 2.5, "3", None],
    "lags": [0, 2.5, "3"],
    "strategy": ["both", None],
    "transform": ["log", 1],
    "log": ["yes", None],
    "period": [0, 2.5, "12"],
    "fill": ["zero", 0],
    "hidden_size": [0, 1.5, (8, 8), None],
    "num_layers": [0, 1.5, None],
    "reset_after": ["yes", None],
    "dropout": [1.0, -0.1, None],
    "recurrent_dropout": [1.0, -0.1, None],
    "initializer": ["zeros", None],
    "loss": ["quantile", None],
    "calibration_fraction": [0.0, 1.0, -0.1, "0.2"],
    "refit": ["yes", None],
    "solver": ["lbfgs", None],
    "alpha": [-0.1, None],
    "l1_ratio": [-0.1, 1.1, None],
    "batch_size": [0, 1.5, "all", None],
    "learning_rate": ["step", None],
    "learning_rate_init": [0, -0.1, np.nan, None],
    "power_t": [-0.1, None],
    "decay_rate": [0.0, 1.1, None],
    "max_iter": [0, 1.5, None],
    "shuffle": ["yes", None],
    "random_state": [-1, 1.5, "seed"],
    "tol": [-1e-9, None],
    "verbose": [-1, "loud", None],
    "momentum": [-0.1, 1.1, None],
    "nesterovs_momentum": ["yes", None],
    "early_stopping": ["yes", None],
    "n_iter_no_change": [0, 1.5, None],
    "beta_1": [1.0, -0.1, None],
    "beta_2": [1.0, -0.1, None],
    "epsilon": [0.0, None],
    "clip_norm": [0.0, -1.0, "none"],
    "n_jobs": [1.5, "all", 0],
    "dtype": ["float16", np.float32, None],
}


def test_every_parameter_has_its_constraints():
    assert set(forecaster().get_params()) == {"callbacks", *WRONG}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=str,
)
def test_a_wrong_parameter_is_named(name, value):
    message = f"The '{name}' parameter of GRUForecaster must be"
    estimator = forecaster().set_params(**{name: value})
    for find in (estimator.fit, estimator.backtest):
        with pytest.raises(InvalidParameterError, match=message):
            find(SERIES)


def test_parameters_are_checked_together():
    for transform, period in itertools.product(("seasonal", "stl"), (None, 1)):
        estimator = forecaster(transform=transform, period=period)
        message = f"transform='{transform}' takes out a season: set period .* {period}"
        with pytest.raises(ValueError, match=message):
            estimator.fit(SERIES)
    with pytest.raises(ValueError, match="early_stopping needs steps .* held out"):
        forecaster(early_stopping=True, calibration_fraction=None).fit(SERIES)
    with pytest.raises(TypeError, match="callbacks must be a callable or a list"):
        forecaster(callbacks=[print, 3]).fit(SERIES)


def test_stl_without_statsmodels_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "statsmodels.tsa.seasonal", None)
    with pytest.raises(ImportError, match=r"pip install 'fastgru\[forecast\]'"):
        forecaster(transform="stl", period=4).fit(SERIES)


@pytest.mark.parametrize(
    ("settings", "n_steps", "expected"),
    [
        ({"lags": 7}, 60, 7),
        ({"period": 12}, 100, 24),
        ({"period": 12}, 30, 13),  # half of what is before the horizon
        ({}, 100, 20),  # ten times the decimal logarithm
        ({}, 5, 1),
        ({"horizon": 1}, 3, 1),
    ],
    ids=str,
)
def test_lags_are_two_periods_or_follow_from_the_length(settings, n_steps, expected):
    assert forecaster(**settings).fit(draw_series(n_steps)).lags_ == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 5),
        ("strategy", "recursive"),
        ("transform", None),
        ("log", True),
        ("period", 4),
    ],
)
def test_what_a_fitted_forecaster_cannot_change_is_refused(name, value):
    fitted = forecaster().fit(SERIES)
    old = getattr(fitted, name)
    fitted.set_params(**{name: value})
    message = f"{name} was {old!r} in fit and is {value!r} now; call fit again"
    for find in (
        fitted.predict,
        fitted.predict_interval,
        lambda: fitted.update(NEW),
        lambda: fitted.mase(NEW),
        lambda: fitted.score(NEW),
    ):
        with pytest.raises(ValueError, match=message):
            find()
    assert fitted.fit(SERIES).predict().shape == (fitted.horizon,)


def test_unfitted_forecasters_say_so():
    estimator = forecaster()
    for find in (
        estimator.predict,
        estimator.predict_interval,
        estimator.summary,
        lambda: estimator.update(NEW),
        lambda: estimator.mase(NEW),
        lambda: estimator.score(NEW),
    ):
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            find()


@pytest.mark.parametrize(
    ("n_steps", "error", "message"),
    [
        (0, ValueError, "n_steps must be at least 1, got 0"),
        (-1, ValueError, "n_steps must be at least 1, got -1"),
        (2.0, TypeError, "n_steps must be a whole number.* got float"),
        (True, TypeError, "n_steps must be a whole number.* got bool"),
        (SERIES, TypeError, "n_steps must be a whole number.* got ndarray"),
        (4, ValueError, "n_steps=4 is more than horizon=3.*direct.*recursive"),
    ],
    ids=lambda given: "" if isinstance(given, np.ndarray) else str(given),
)
def test_the_number_of_steps_is_checked(n_steps, error, message):
    with pytest.raises(error, match=message):
        forecaster().fit(SERIES).predict(n_steps)


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1, np.nan, "0.8", None], ids=repr)
def test_a_coverage_that_is_none_is_refused(coverage):
    fitted = forecaster().fit(SERIES)
    with pytest.raises(ValueError, match="coverage must be between 0 and 1, got"):
        fitted.predict_interval(coverage)


def test_intervals_that_cannot_be_say_why():
    fitted = forecaster(strategy="recursive").fit(SERIES)
    with pytest.raises(ValueError, match="n_steps=4 is more than horizon=3, for which"):
        fitted.predict_interval(0.5, 4)
    with pytest.raises(ValueError, match="coverage=0.99 needs .* at least 99 forecast"):
        fitted.predict_interval(0.99)
    without = forecaster(calibration_fraction=None).fit(SERIES)
    with pytest.raises(ValueError, match="calibration_fraction=None held nothing out"):
        without.predict_interval(0.5)
    short = forecaster().fit(SERIES[:6])
    with pytest.raises(ValueError, match="were too short to hold steps out"):
        short.predict_interval(0.5)


# -- fitting --


@BOTH_STRATEGIES
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_same_seed_gives_the_same_bits(strategy, early_stopping):
    estimator = forecaster(
        strategy=strategy, dropout=0.2, early_stopping=early_stopping
    )
    first, second = (clone(estimator).fit(SERIES) for _ in range(2))
    assert_same_models(first, second)
    assert_same_models(first.fit(SERIES[:30]).fit(SERIES), second)
    other = clone(estimator).set_params(random_state=1).fit(SERIES)
    assert not np.array_equal(other.predict(), first.predict())


def test_fitted_attributes_are_those_of_the_last_training():
    fitted = forecaster(max_iter=4).fit(draw_series(60, 2))
    assert len(fitted.loss_curve_) == fitted.n_iter_ == 4
    assert fitted.loss_ == fitted.loss_curve_[-1]
    assert fitted.best_loss_ == min(fitted.loss_curve_)
    assert fitted.validation_scores_ is None
    assert fitted.n_features_in_ == 2
    n_windows = 60 - 3 - fitted.lags_ + 1
    assert fitted.t_ == 4 * n_windows
    assert "GRU" in fitted.summary()
    assert "(n, 6)" in fitted.summary()


def test_the_second_training_has_as_many_epochs_as_were_best():
    settings = {"max_iter": 25, "early_stopping": True, "n_iter_no_change": 4}
    settings |= {"learning_rate_init": 0.05, "tol": 0.0}
    first = forecaster(refit=False, **settings).fit(SERIES)
    best = 1 + int(np.argmax(first.validation_scores_))
    assert first.best_validation_score_ == max(first.validation_scores_)
    assert 1 < best < len(first.validation_scores_) < 25
    second = forecaster(**settings).fit(SERIES)
    assert second.n_iter_ == best
    assert second.validation_scores_ is None


def test_validation_scores_are_minus_the_loss_of_the_held_out_windows():
    settings = {"transform": "standardize", "loss": "squared_error", "refit": False}
    fitted = forecaster(early_stopping=True, **settings).fit(SERIES)
    same = forecaster(calibration_fraction=0.2, **settings).fit(SERIES)
    errors = same._memory.errors.values
    assert fitted.validation_scores_[-1] == pytest.approx(
        -np.mean(errors**2) / 2, rel=1e-5
    )


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
def test_each_loss_is_learned_from(loss):
    line = np.arange(80.0)
    estimator = forecaster(loss=loss, transform="standardize", max_iter=60)
    fitted = estimator.set_params(learning_rate_init=0.02).fit(line)
    assert fitted.loss_ < 0.1 * fitted.loss_curve_[0]


def test_a_failing_fit_leaves_the_fitted_model_alone():
    fitted = forecaster().fit(SERIES)
    before = fitted.predict()
    with pytest.raises(ValueError, match="NaN at step 5"):
        fitted.fit(np.where(np.arange(60) == 5, np.nan, SERIES))
    with pytest.raises(ValueError, match="diverged"):
        fitted.set_params(learning_rate_init=1e300, clip_norm=None).fit(-SERIES)
    assert_same_bits("forecast", fitted.predict(), before)


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose_shows_both_trainings(verbose, capsys):
    forecaster(verbose=verbose).fit(SERIES)
    printed, shown = capsys.readouterr()
    assert printed == ""
    assert shown.count("2/2") >= 2 if verbose else shown == ""


# -- interruptions --

# Two trainings of six epochs, each of one minibatch.
ENDLESS = {
    "max_iter": 6,
    "learning_rate": "constant",
    "n_iter_no_change": np.inf,
    "batch_size": 99,
    "lags": 14,
}
QUIET = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def interrupt_batch(monkeypatch, number):
    """Do what Ctrl-C does in the middle of one minibatch, counted from 1."""
    run_batch, calls = Trainer._run_batch, []

    def interrupted(self, batch):
        calls.append(batch)
        loss = run_batch(self, batch)
        if len(calls) == number:
            raise KeyboardInterrupt
        return loss

    monkeypatch.setattr(Trainer, "_run_batch", interrupted)


@QUIET
@BOTH_STRATEGIES
def test_ctrl_c_in_the_first_training_leaves_out_the_second(strategy, monkeypatch):
    settings = ENDLESS | {"strategy": strategy}
    expected = forecaster(refit=False, **settings | {"max_iter": 2}).fit(SERIES)
    interrupt_batch(monkeypatch, 3)
    with pytest.warns(UserWarning, match="was interrupted in epoch 3; it keeps the"):
        fitted = forecaster(**settings).fit(SERIES)
    assert fitted.n_iter_ == 2
    assert_same_models(fitted, expected)


@QUIET
def test_ctrl_c_in_the_first_epoch_of_all_is_raised(monkeypatch):
    interrupt_batch(monkeypatch, 1)
    estimator = forecaster(**ENDLESS)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(SERIES)
    with pytest.raises(NotFittedError):
        estimator.predict()


@QUIET
@BOTH_STRATEGIES
def test_ctrl_c_before_an_epoch_of_the_second_training_keeps_the_first(
    strategy, monkeypatch
):
    settings = ENDLESS | {"strategy": strategy}
    expected = forecaster(refit=False, **settings).fit(SERIES)
    interrupt_batch(monkeypatch, 7)
    with pytest.warns(UserWarning, match="before its second training had finished"):
        fitted = forecaster(**settings).fit(SERIES)
    assert_same_models(fitted, expected)


@QUIET
@BOTH_STRATEGIES
def test_ctrl_c_between_the_trainings_keeps_the_first_one(strategy, monkeypatch):
    settings = ENDLESS | {"strategy": strategy}
    expected = forecaster(refit=False, **settings).fit(SERIES)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(ForecastTraining, "_errors", interrupted)
    with pytest.warns(UserWarning, match="before its second training had finished"):
        fitted = forecaster(**settings).fit(SERIES)
    assert_same_bits("forecast", fitted.predict(), expected.predict())
    with pytest.raises(ValueError, match="there are no intervals"):
        fitted.predict_interval()


@QUIET
@BOTH_STRATEGIES
def test_ctrl_c_in_the_second_training_keeps_its_last_epoch(strategy, monkeypatch):
    settings = ENDLESS | {"strategy": strategy}
    whole = forecaster(**settings).fit(SERIES)
    interrupt_batch(monkeypatch, 11)
    with pytest.warns(UserWarning, match="was interrupted in epoch 5; it keeps the"):
        fitted = forecaster(**settings).fit(SERIES)
    assert fitted.loss_curve_ == whole.loss_curve_[:4]
    # Intervals come from the first training, which was finished.
    errors, expected = fitted._memory.errors, whole._memory.errors
    assert_same_bits("errors", errors.values, expected.values)
    assert np.isfinite(fitted.update(NEW).predict()).all()


class Mishap(Exception):
    pass


@QUIET
@BOTH_STRATEGIES
@pytest.mark.parametrize("number", [3, 8])
def test_an_error_of_a_callback_is_raised_when_what_is_trained_is_kept(
    strategy, number
):
    epochs = []

    def fail(epoch):
        epochs.append(epoch)
        if len(epochs) == number:
            raise Mishap

    settings = ENDLESS | {"strategy": strategy}
    estimator = forecaster(callbacks=fail, **settings)
    with pytest.raises(Mishap):
        estimator.fit(SERIES)
    assert len(epochs) == number
    if number > 6:
        whole = forecaster(**settings).fit(SERIES)
        assert estimator.loss_curve_ == whole.loss_curve_[: number - 6]
        expected = whole._memory.errors.values
        assert_same_bits("errors", estimator._memory.errors.values, expected)
    else:
        other = forecaster(refit=False, **settings | {"max_iter": number}).fit(SERIES)
        assert_same_models(estimator, other)


@QUIET
def test_callbacks_see_both_trainings_and_may_end_them():
    epochs = []
    forecaster(callbacks=epochs.append, **ENDLESS).fit(SERIES)
    assert len(epochs) == 12
    seen = []

    def enough(epoch):
        seen.append(epoch)
        return len(seen) in (2, 5)

    fitted = forecaster(callbacks=enough, **ENDLESS).fit(SERIES)
    assert len(seen) == 5
    assert fitted.n_iter_ == 3


def test_max_iter_without_convergence_warns_unless_the_rate_comes_to_its_end():
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(2\) reached"):
        forecaster(learning_rate="constant").fit(SERIES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecaster().fit(SERIES)


# -- copies --


@BOTH_STRATEGIES
@pytest.mark.parametrize("form", ["array", "list", "frame"])
def test_pickles_and_deep_copies_go_on_with_the_same_bits(strategy, form):
    days = pd.date_range("2024-01-01", periods=60, name="day")
    series = {
        "array": SERIES,
        "list": [SERIES, SERIES[:40]],
        "frame": pd.DataFrame({"a": SERIES, "b": -SERIES}, days),
    }[form]
    later = {"array": NEW, "list": [NEW, NEW[:2]], "frame": np.stack([NEW, -NEW], 1)}
    fitted = forecaster(strategy=strategy).fit(series)
    for updated in (False, True):
        if updated:
            fitted.update(later[form])
        for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
            assert other.get_params() == fitted.get_params()
            mine, its = fitted.predict(), other.predict()
            if form == "frame":
                pd.testing.assert_frame_equal(its, mine, check_exact=True)
                assert its.index.freq == mine.index.freq
            np.testing.assert_array_equal(np.hstack(its), np.hstack(mine))
            both = (copy.deepcopy(fitted), other)
            mine, its = (one.update(later[form]).predict() for one in both)
            np.testing.assert_array_equal(np.hstack(its), np.hstack(mine))
            other._model.network._parameters.flat[...] = 0  # shares nothing
    assert np.any(fitted._model.network._parameters.flat)


def test_a_clone_is_not_fitted():
    fitted = forecaster().fit(SERIES)
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        other.predict()


# -- with the rest of scikit-learn --

LEARNING = {"hidden_size": 12, "max_iter": 30, "random_state": 0}


def test_a_search_over_time_finds_the_lags_that_are_needed():
    # Each number is that of 6 steps ago, which shorter windows do not show.
    rng = np.random.default_rng(0)
    series = list(rng.normal(size=6))
    for _ in range(234):
        series.append(0.98 * series[-6] + 0.1 * rng.normal())
    estimator = GRUForecaster(1, transform=None, learning_rate_init=0.02, **LEARNING)
    search = GridSearchCV(
        estimator, {"lags": [1, 8]}, cv=TimeSeriesSplit(3, test_size=30)
    ).fit(np.array(series))
    assert search.best_params_ == {"lags": 8}
    scores = search.cv_results_["mean_test_score"]
    assert (scores < 0).all()
    assert scores[1] > 0.7 * scores[0]
    expected = clone(search.best_estimator_).fit(np.array(series))
    assert_same_models(search.best_estimator_, expected)


def test_a_search_over_time_finds_that_a_trend_needs_differences():
    days = pd.date_range("2020-01-01", periods=150)
    series = pd.Series(2.0 * np.arange(150) + draw_series(150), days)
    search = GridSearchCV(
        GRUForecaster(4, period=4, **LEARNING),
        {"transform": ["standardize", "difference"]},
        cv=TimeSeriesSplit(3, test_size=12),
        n_jobs=2,
    ).fit(series)
    assert search.best_params_ == {"transform": "difference"}
    assert search.predict(2).index.equals(pd.date_range("2020-05-30", periods=2))


def test_scores_over_time_are_those_of_forecasters_of_each_past():
    cv = TimeSeriesSplit(3, test_size=9)
    scores = cross_val_score(forecaster(), SERIES, cv=cv)
    for score, (past, future) in zip(scores, cv.split(SERIES), strict=True):
        fitted = forecaster().fit(SERIES[past])
        assert score == -fitted.mase(SERIES[future])


@pytest.fixture
def metadata_routing():
    """Switch on what brings more than X and y to each step."""
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@BOTH_STRATEGIES
@pytest.mark.usefixtures("metadata_routing")
def test_known_features_reach_fit_and_score_through_searches(strategy):
    exog = draw_series(60, 2, seed=1)
    cv = TimeSeriesSplit(2, test_size=9)
    estimator = forecaster(strategy=strategy)
    estimator.set_fit_request(exog=True).set_score_request(exog=True)
    search = GridSearchCV(estimator, {"lags": [3, 6]}, cv=cv)
    search.fit(SERIES, exog=exog)
    for place, lags in enumerate((3, 6)):
        for fold, (past, future) in enumerate(cv.split(SERIES)):
            fitted = forecaster(strategy=strategy, lags=lags)
            fitted.fit(SERIES[past], exog=exog[past])
            expected = -fitted.mase(SERIES[future], exog=exog[future])
            assert search.cv_results_[f"split{fold}_test_score"][place] == expected
    results = cross_validate(estimator, SERIES, cv=cv, params={"exog": exog})
    assert np.isfinite(results["test_score"]).all()


@pytest.mark.usefixtures("metadata_routing")
def test_series_are_no_metadata():
    routing = forecaster().get_metadata_routing()
    for method in ("fit", "score", "predict"):
        assert "series" not in getattr(routing, method).requests
        assert "exog" in getattr(routing, method).requests


def test_tags_say_what_is_taken():
    tags = get_tags(forecaster())
    assert tags.input_tags.one_d_array
    assert tags.input_tags.two_d_array
    assert not tags.input_tags.allow_nan
    assert get_tags(forecaster(fill="linear")).input_tags.allow_nan
    assert not tags.target_tags.required
    assert not tags.non_deterministic


class Checked(GRUForecaster):
    """One that scikit-learn's checks run on.

    They take everything that has an attribute ``transform`` for a transformer, and
    leave out two axes where one is enough.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags = TransformerTags()
        tags.input_tags.one_d_array = False
        return tags


TAKES_NO_X = "predict takes a number of steps where others take X"
IS_A_PARAMETER = "transform is a parameter"
ROWS_ARE_STEPS = "rows of X are steps of one series"
EXPECTED_FAILURES = {
    "check_array_api_input": TAKES_NO_X,
    "check_dict_unchanged": TAKES_NO_X,
    "check_dtype_object": TAKES_NO_X,
    "check_estimators_dtypes": TAKES_NO_X,
    "check_estimators_nan_inf": TAKES_NO_X,
    "check_estimators_pickle": TAKES_NO_X,
    "check_fit_idempotent": TAKES_NO_X,
    "check_n_features_in_after_fitting": TAKES_NO_X,
    "check_fit2d_predict1d": TAKES_NO_X,
    "check_methods_sample_order_invariance": TAKES_NO_X + "; their order counts",
    "check_methods_subset_invariance": TAKES_NO_X,
    "check_f_contiguous_array_estimator": IS_A_PARAMETER,
    "check_transformer_data_not_an_array": IS_A_PARAMETER,
    "check_transformer_general": IS_A_PARAMETER,
    "check_transformer_preserve_dtypes": IS_A_PARAMETER,
    "check_transformers_unfitted": IS_A_PARAMETER,
    "check_fit1d": "a 1-D array is a series",
    "check_fit2d_1sample": ROWS_ARE_STEPS + ", and the message says so",
}
FEW = {"hidden_size": 4, "max_iter": 2}
SKLEARN_CHECKS = parametrize_with_checks(
    [Checked(**FEW), Checked(strategy="recursive", transform="standardize", **FEW)],
    expected_failed_checks=lambda _: EXPECTED_FAILURES,
)
NAMES, CHECKS = SKLEARN_CHECKS.args


# A list of them: older versions of scikit-learn give an iterator.
@pytest.mark.parametrize(NAMES, list(CHECKS), **SKLEARN_CHECKS.kwargs)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
