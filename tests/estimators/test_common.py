"""What both estimators promise: forms of X, the same bits, errors, interruptions."""

import copy
import os
import pickle
import signal
import sys
import time
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils._param_validation import InvalidParameterError
from sklearn.utils.estimator_checks import parametrize_with_checks

from cases import BOTH_CELLS, BOTH_DTYPES, num_threads
from children import run_python, start_python
from fastgru import GRUClassifier, GRURegressor, GRUTransformer, SequenceScaler
from fastgru.estimators import _running
from fastgru.training.trainer import Trainer
from messages import value_name
from problems import (
    classifier,
    draw_classes,
    draw_sequences,
    pad,
    regressor,
    transformer,
)
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
X_NEW, Y_NEW = draw_classes(seed=1)

EACH = pytest.mark.parametrize(
    "make",
    [classifier, regressor, transformer],
    ids=["classifier", "regressor", "transformer"],
)
EACH_PREDICTOR = pytest.mark.parametrize(
    "make", [classifier, regressor], ids=["classifier", "regressor"]
)


def results(estimator, X=X_NEW):
    """Give all outputs of a fitted estimator as one array."""
    if isinstance(estimator, GRUClassifier):
        return estimator.predict_proba(X)
    if isinstance(estimator, GRUTransformer):
        return estimator.transform(X)
    return estimator.predict(X)


def assert_same_models(first, second):
    """Compare two fitted estimators bit for bit."""
    assert first.loss_curve_ == second.loss_curve_
    assert first.validation_scores_ == second.validation_scores_
    assert_same_bits("results", results(first), results(second))


def set_results(estimator):
    """Give what `fit` has set, the network by its parameters."""
    fitted = {k: v for k, v in vars(estimator).items() if k.endswith("_")}
    network = getattr(estimator, "_network", None)
    fitted["network"] = network and network._parameters.flat.tobytes()
    return pickle.dumps(fitted)


# -- parameters --

WRONG = {
    "hidden_size": [0, -1, 1.5, "8", None, (8, 0), [2.5]],
    "num_layers": [0, 1.5, None],
    "bidirectional": ["yes", None],
    "reset_after": ["yes", 2, None],
    "dropout": [1.0, -0.1, np.nan, None],
    "recurrent_dropout": [1.0, -0.1, np.nan, None],
    "pooling": ["first", None, 1],
    "dense_sizes": [3, (0,), [1.5], None],
    "activation": ["sigmoid", None],
    "n_tokens": [0, 2.5, "5"],
    "embedding_dim": [0, 2.5, "5"],
    "initializer": ["zeros", None],
    "solver": ["lbfgs", None, 1],
    "alpha": [-0.1, np.nan, "0.1", None],
    "l1_ratio": [-0.1, 1.1, np.nan, None],
    "learning_rate": ["step", None, 0.1],
    "power_t": [-0.1, np.nan, None],
    "decay_rate": [0.0, 1.1, np.nan, None],
    "warm_start": ["yes", None],
    "momentum": [-0.1, 1.1, np.nan, None],
    "nesterovs_momentum": ["yes", None],
    "checkpoint": [3, True],
    "batch_size": [0, 1.5, "all", None],
    "learning_rate_init": [0, -0.1, np.inf, np.nan, "0.1", None],
    "max_iter": [0, 1.5, None],
    "shuffle": ["yes", None],
    "random_state": [-1, 1.5, "seed"],
    "tol": [-1e-9, np.nan, None],
    "verbose": [-1, "loud", None],
    "early_stopping": ["yes", None],
    "validation_fraction": [0.0, 1.0, 1.5, -0.1, None],
    "n_iter_no_change": [0, 1.5, -np.inf, None],
    "beta_1": [1.0, -0.1, np.nan, None],
    "beta_2": [1.0, -0.1, np.nan, None],
    "epsilon": [0.0, -1e-8, None],
    "clip_norm": [0.0, -1.0, np.nan, "none"],
    "n_jobs": [1.5, "all", 0],
    "dtype": ["float16", "double", np.float32, None],
}


OWN_WRONG = {
    classifier: {
        "return_sequences": ["yes", None],
        "class_weight": ["even", 3, [1, 2]],
    },
    regressor: {
        "return_sequences": ["yes", None],
        "loss": ["mse", None],
        "quantile": [0.0, 1.0, np.nan, None],
        "delta": [0.0, -1, np.nan, None],
    },
    transformer: {"target_type": ["number", None]},
}


@EACH
def test_every_parameter_has_its_constraints(make):
    named = {"callbacks", *WRONG, *OWN_WRONG[make]}
    assert set(make().get_params()) == named


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (make, name, value)
        for make, wrong in OWN_WRONG.items()
        for name, values in wrong.items()
        for value in values
    ],
    ids=value_name,
)
def test_a_wrong_parameter_of_one_estimator_is_named(make, name, value):
    estimator = make(**{name: value})
    message = f"The '{name}' parameter of {type(estimator).__name__} must be"
    with pytest.raises(InvalidParameterError, match=message):
        estimator.fit(X, Y)


@EACH
@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values],
    ids=str,
)
def test_a_wrong_parameter_is_named(make, name, value):
    estimator = make(**{name: value})
    message = f"The '{name}' parameter of {type(estimator).__name__} must be"
    with pytest.raises(InvalidParameterError, match=message):
        estimator.fit(X, Y)


@EACH
@pytest.mark.parametrize("callbacks", [3, "print", [print, 3]], ids=str)
def test_a_callback_that_cannot_be_called_is_named(make, callbacks):
    with pytest.raises((TypeError, ValueError), match="callback"):
        make(callbacks=callbacks).fit(X, Y)


@EACH
def test_an_unknown_parameter_is_named(make):
    with pytest.raises(TypeError, match="n_layers"):
        make(n_layers=2)
    with pytest.raises(ValueError, match="Invalid parameter 'n_layers'"):
        make().set_params(n_layers=2)


@pytest.mark.parametrize(
    "estimator", [GRUClassifier(), GRURegressor(), GRUTransformer()], ids=str
)
def test_defaults_are_those_of_mlpclassifier(estimator):
    theirs = MLPClassifier().get_params()
    ours = estimator.get_params()
    shared = {name: value for name, value in ours.items() if name in theirs}
    assert shared == {name: theirs[name] for name in shared}
    # What they have and we do not is another solver's, or named otherwise.
    assert set(theirs) - set(ours) == {"hidden_layer_sizes", "max_fun"}


@EACH
def test_get_and_set_params(make):
    estimator = make()
    estimator.set_params(hidden_size=5, tol=0.5)
    parameters = estimator.get_params()
    assert parameters["hidden_size"] == 5
    assert parameters["tol"] == 0.5
    assert type(estimator)(**parameters).get_params() == parameters


# -- forms of X --


@EACH
@BOTH_DTYPES
def test_a_padded_array_gives_the_bits_of_a_list(make, dtype):
    estimator = make(dtype=np.dtype(dtype).name, max_iter=10)
    from_list = clone(estimator).fit(X, Y)
    from_array = clone(estimator).fit(pad(X, n_more=3), Y)
    assert_same_models(from_array, from_list)
    padded = results(from_list, pad(X_NEW, n_more=1))
    assert_same_bits("results", padded, results(from_list))


@EACH
def test_a_3d_array_gives_the_bits_of_a_list(make):
    cut, new = [x[-3:] for x in X], [x[-3:] for x in X_NEW]
    from_list = make(max_iter=10).fit(cut, Y)
    from_array = make(max_iter=10).fit(np.array(cut), Y)
    assert from_list.loss_curve_ == from_array.loss_curve_
    assert_same_bits(
        "results", results(from_array, new), results(from_list, np.array(new))
    )


@EACH
def test_a_2d_array_gives_the_bits_of_one_feature(make):
    rows = np.array([x[-3:, 0] for x in X])
    flat = make(max_iter=10).fit(rows, Y)
    of_rows = make(max_iter=10).fit(list(rows), Y)
    deep = make(max_iter=10).fit(rows[:, :, np.newaxis], Y)
    assert flat.n_features_in_ == 3
    assert deep.n_features_in_ == 1
    expected = results(deep, rows[:, :, np.newaxis])
    assert_same_bits("of an array", results(flat, rows), expected)
    assert_same_bits("of rows", results(of_rows, list(rows)), expected)


@EACH
def test_sequences_may_be_longer_than_in_fit(make):
    estimator = make(max_iter=3).fit(X, Y)
    longer = [np.concatenate([x, x, x]) for x in X_NEW]
    assert len(results(estimator, longer)) == len(longer)
    assert not np.array_equal(results(estimator, longer), results(estimator))


@EACH
def test_x_is_left_alone(make):
    padded = pad(X)
    before = padded.copy()
    padded.flags.writeable = False
    estimator = make(max_iter=3).fit(padded, Y)
    results(estimator, padded)
    np.testing.assert_array_equal(padded, before)


# -- the same bits --


@EACH
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_same_seed_gives_the_same_bits(make, early_stopping):
    estimator = make(max_iter=10, early_stopping=early_stopping)
    first, second = (clone(estimator).fit(X, Y) for _ in range(2))
    assert_same_models(first, second)
    other = clone(estimator).set_params(random_state=1).fit(X, Y)
    assert not np.array_equal(results(other), results(first))


@EACH
@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.usefixtures("two_threads")
def test_two_threads_give_the_bits_of_one(make, dtype, reset_after):
    settings = {"reset_after": reset_after, "dtype": np.dtype(dtype).name}
    estimator = make(50, max_iter=5, early_stopping=True, **settings)
    with num_threads(2):
        one, two, both, all_threads = (
            clone(estimator).set_params(n_jobs=n).fit(X, Y) for n in (1, 2, None, -1)
        )
        for other in (two, both, all_threads):
            assert_same_models(other, one)
    with num_threads(1):
        assert_same_models(clone(estimator).fit(X, Y), one)


@EACH
@BOTH_CELLS
@BOTH_DTYPES
def test_a_sequence_alone_gives_its_bits_in_the_batch(make, dtype, reset_after):
    settings = {"reset_after": reset_after, "dtype": np.dtype(dtype).name}
    estimator = make(17, max_iter=3, **settings).fit(X, Y)
    whole, padded = results(estimator), pad(X_NEW)
    for row in range(len(X_NEW)):
        part = slice(row, row + 1)
        alone = results(estimator, X_NEW[part])
        assert_same_bits(f"results of {row}", alone, whole[part])
        alone = results(estimator, padded[part])
        assert_same_bits(f"padded results of {row}", alone, whole[part])


@EACH
@pytest.mark.parametrize("numbers", [1, 24, 100])
def test_the_size_of_batches_in_predict_does_not_matter(make, numbers, monkeypatch):
    estimator = make(max_iter=3).fit(X, Y)
    whole = results(estimator)
    monkeypatch.setattr(_running, "_NUMBERS_IN_BATCH", numbers)
    assert_same_bits("results", results(estimator), whole)


@EACH
def test_without_shuffling_the_order_of_samples_counts(make):
    settings = {"shuffle": False, "max_iter": 3}
    first, again = (make(**settings).fit(X, Y) for _ in range(2))
    assert_same_models(first, again)
    turned = make(**settings).fit(X[::-1], Y[::-1])
    assert turned.loss_curve_ != first.loss_curve_
    assert make(max_iter=3).fit(X, Y).loss_curve_ != first.loss_curve_


@EACH
def test_auto_is_200_samples_or_all(make):
    many, y = draw_classes(210)
    auto, number, other = (
        make(max_iter=2, batch_size=size).fit(many, y).loss_curve_
        for size in ("auto", 200, 150)
    )
    assert auto == number != other
    few = (make(max_iter=2, batch_size=size).fit(X, Y) for size in ("auto", 60, 999))
    assert len({tuple(estimator.loss_curve_) for estimator in few}) == 1


# -- copies --


@EACH
@BOTH_CELLS
@BOTH_DTYPES
def test_pickles_and_deep_copies_give_the_same_bits(make, dtype, reset_after):
    settings = {"reset_after": reset_after, "dtype": np.dtype(dtype).name}
    estimator = make(max_iter=3, **settings).fit(X, Y)
    for other in (pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator)):
        assert other.get_params() == estimator.get_params()
        assert_same_models(other, estimator)
        other._network._parameters.flat[...] = 0  # shares nothing
    assert np.any(estimator._network._parameters.flat)


@EACH
def test_a_clone_is_not_fitted(make):
    estimator = make(7, max_iter=3).fit(X, Y)
    other = clone(estimator)
    assert other.get_params() == estimator.get_params()
    with pytest.raises(NotFittedError):
        results(other, X)


@EACH
def test_unfitted_estimators_say_so(make):
    for method in (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "transform",
        "hidden_states",
        "attention_weights",
        "summary",
        "score",
    ):
        estimator = make()
        if hasattr(estimator, method):
            arguments = {"score": (X, Y), "summary": ()}.get(method, (X,))
            with pytest.raises(NotFittedError, match="is not fitted yet"):
                getattr(estimator, method)(*arguments)


# -- X that is refused; where to look is part of the message --


def with_value(value, sequence=3, step=1, feature=1):
    """Copy the list and put a value into it."""
    members = [x.copy() for x in X]
    members[sequence][step, feature] = value
    return members


def with_member(member, index=4):
    """Copy the list and put another member into it."""
    return [*X[:index], member, *X[index + 1 :]]


BAD_X = {
    "nan": (with_value(np.nan), r"contains NaN.*sequence 3, step 1, feature 1"),
    "inf": (with_value(np.inf), r"contains infinity.*sequence 3, step 1, feature 1"),
    "-inf": (with_value(-np.inf), r"contains infinity.*X\[3\]\[1, 1\] is -inf"),
    "too large": (
        with_value(1e300),
        r"infinity or a value too large.*sequence 3, step 1.*dtype='float64'",
    ),
    "nan in 3-D": (pad(with_value(np.nan)), r"contains NaN.*X\[3, 1, 1\] is nan"),
    "inf in 3-D": (pad(with_value(np.inf)), r"infinity.*X\[3, 1, 1\] is inf"),
    "nan in 2-D": (
        np.where(np.arange(12).reshape(4, 3) == 7, np.nan, 0),
        r"contains NaN.*X\[2, 1\] is nan.*2-D X .* takes no NaN",
    ),
    "no sequences": ([], r"0 sample\(s\)"),
    "no sequences in 3-D": (np.zeros((0, 5, 2)), r"0 sample\(s\)"),
    "no features": (np.zeros((60, 5, 0)), r"0 feature\(s\)"),
    "no steps": (np.zeros((60, 0, 2)), r"0 step\(s\)"),
    "empty sequence": (
        with_member(np.zeros((0, 2))),
        r"X\[4\] is an empty sequence \(shape=\(0, 2\)\)",
    ),
    "only padding": (
        pad(with_member(np.full((3, 2), np.nan))),
        r"X\[4\] is an empty sequence: it is NaN in every step",
    ),
    "text": ("some text", "Expected 2D array|text"),
    "list of text": (["some", "text"], r"X\[0\].*text|Expected 2D array"),
    "text in a member": (
        with_member(np.array([["a", "b"]])),
        r"X\[4\] of GRU\w+ holds text",
    ),
    "features of a member": (
        with_member(np.zeros((5, 3))),
        r"X\[4\] has 3 features \(shape=\(5, 3\)\), but X\[0\] has 2",
    ),
    "rank of a member": (
        with_member(np.zeros(5)),
        r"X\[4\] is a 1-D array of shape \(5,\), but X\[0\] is a 2-D array",
    ),
    "no array": (with_member(None), r"X\[4\] is None; expected a 2-D array"),
    "complex": (np.zeros((60, 5, 2), complex), "Complex data not supported"),
    "4-D": (np.zeros((60, 5, 2, 2)), r"4 dimensions \(shape=\(60, 5, 2, 2\)\)"),
}


@EACH
@pytest.mark.parametrize("case", BAD_X)
def test_bad_x_is_refused_by_fit(make, case):
    bad, message = BAD_X[case]
    y = Y[: len(bad)] if len(bad) else Y
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        make().fit(bad, y)


@EACH
@pytest.mark.parametrize("case", [case for case in BAD_X if "2-D" not in case])
def test_bad_x_is_refused_by_predict(make, case):
    bad, message = BAD_X[case]
    estimator = make(max_iter=1).fit(X, Y)
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        results(estimator, bad)


@EACH
def test_another_number_of_features_is_refused_by_predict(make):
    estimator = make(max_iter=1).fit(X, Y)
    name = type(estimator).__name__
    message = f"X has 3 features, but {name} is expecting 2 features as input"
    for other in (np.zeros((4, 5, 3)), [np.zeros((5, 3))]):
        with pytest.raises(ValueError, match=message):
            results(estimator, other)


@EACH
def test_another_form_is_refused_by_predict(make):
    deep = make(max_iter=1).fit(X, Y)
    with pytest.raises(ValueError, match="2-D.*was fitted on sequences of 2 features"):
        results(deep, np.zeros((4, 2)))
    flat = make(max_iter=1).fit(np.array([x[-3:, 0] for x in X]), Y)
    with pytest.raises(ValueError, match="was fitted on univariate sequences of 3"):
        results(flat, np.zeros((4, 3, 1)))
    with pytest.raises(ValueError, match="X has 4 features, .* expecting 3 features"):
        results(flat, np.zeros((4, 4)))


@EACH
@pytest.mark.parametrize("n", [0, 59, 61])
def test_unequal_lengths_of_x_and_y_are_refused(make, n):
    y = np.resize(Y, n)
    with pytest.raises(ValueError, match=r"inconsistent numbers|0 sample\(s\)"):
        make().fit(X, y)
    if n:
        with pytest.raises(ValueError, match=rf"samples: \[60, {n}\]"):
            make().fit(pad(X), y)


# -- a fit that fails --


def refuse_nothing(estimator, monkeypatch):
    """Let the first epoch end as Ctrl-C would end it."""

    def interrupted(self, batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_run_batch", interrupted)
    estimator.fit([x[:, :1] for x in X], 1 - Y)


FAILURES = {
    "parameter": lambda e, _: e.set_params(tol=-1).fit(X, Y),
    "X": lambda e, _: e.fit(BAD_X["nan"][0], Y),
    "features": lambda e, _: e.fit(np.zeros((60, 5, 0)), Y),
    "y": lambda e, _: e.fit([x[:, :1] for x in X], np.full(60, np.nan)),
    "lengths": lambda e, _: e.fit([x[:, :1] for x in X], Y[:-1]),
    "divergence": lambda e, _: e.set_params(learning_rate_init=1e300).fit(
        [x[:, :1] for x in X], 1 - Y
    ),
    "interruption": refuse_nothing,
}


@EACH
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_fit_leaves_the_fitted_model_alone(make, failure, monkeypatch):
    estimator = make(max_iter=3).fit(X, Y)
    before, fitted = results(estimator), set_results(estimator)
    with pytest.raises((ValueError, KeyboardInterrupt)):
        FAILURES[failure](estimator, monkeypatch)
    assert set_results(estimator) == fitted
    assert_same_bits("results", results(estimator), before)


@EACH
@pytest.mark.parametrize("failure", [f for f in FAILURES if f != "parameter"])
def test_a_failing_first_fit_leaves_nothing(make, failure, monkeypatch):
    estimator = make(max_iter=3)
    before = set(vars(estimator))
    with pytest.raises((ValueError, KeyboardInterrupt)):
        FAILURES[failure](estimator, monkeypatch)
    assert set(vars(estimator)) == before
    with pytest.raises(NotFittedError):
        results(estimator, X)


@EACH
def test_a_second_fit_starts_anew(make):
    expected = make(max_iter=3).fit(X, Y)
    estimator = make(max_iter=3).fit([x[:, :1] for x in X], 1 - Y)
    assert estimator.n_features_in_ == 1
    assert_same_models(estimator.fit(X, Y), expected)
    assert estimator.n_features_in_ == 2


# -- the validation split --


@EACH
@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_what_is_held_out_is_not_trained_on(make, fraction, monkeypatch):
    # Every sequence has another first number, by which it is known again.
    trained, held_out = [], []
    fit, run = Trainer.fit, _running.run_batches

    def noted_fit(self, samples):
        trained.append(samples.sequences)
        return fit(self, samples)

    def noted_run(network, sequences, n_threads):
        held_out.append(sequences)
        return run(network, sequences, n_threads)

    monkeypatch.setattr(Trainer, "fit", noted_fit)
    monkeypatch.setattr(_running, "run_batches", noted_run)
    make(max_iter=3, early_stopping=True, validation_fraction=fraction).fit(X, Y)
    numbers = []
    for sequences in (trained[0], held_out[0]):
        values, lengths = sequences.take(slice(None))
        numbers.append(values[np.cumsum(lengths) - lengths, 0].tolist())
    assert len(numbers[1]) == fraction * len(X)
    everything = np.float32([x[0, 0] for x in X]).tolist()
    assert sorted(numbers[0] + numbers[1]) == sorted(everything)


# -- training that does not end well --


@EACH
def test_max_iter_without_convergence_warns(make):
    with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(3\) reached"):
        make(max_iter=3).fit(X, Y)


@EACH
def test_a_cosine_that_has_come_to_its_end_does_not_warn(make):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(max_iter=3, learning_rate="cosine").fit(X, Y)


@EACH
def test_convergence_does_not_warn(make):
    estimator = make(max_iter=1000, tol=0.01, n_iter_no_change=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        estimator.fit(X, Y)
    assert estimator.n_iter_ < 1000
    losses = np.array(estimator.loss_curve_)
    assert (losses[-4:] > losses[:-4].min() - 0.01).all()


@EACH
def test_divergence_in_the_first_epoch_is_an_error(make):
    estimator = make(learning_rate_init=1e300, dtype="float32", clip_norm=None)
    message = "training diverged.*lower learning_rate_init, or set clip_norm"
    with pytest.raises(ValueError, match=message):
        estimator.fit(X, Y)


@EACH
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("max_iter", [1, 3])
def test_a_first_step_out_of_all_bounds_is_an_error(make, max_iter, early_stopping):
    # One step per epoch: its loss is finite, the parameters after it are not.
    estimator = make(
        learning_rate_init=1e300,
        batch_size=60,
        max_iter=max_iter,
        early_stopping=early_stopping,
    )
    with pytest.raises(ValueError, match="diverged"):
        estimator.fit(X, Y)


def test_targets_too_large_for_the_dtype_are_an_error():
    with pytest.raises(ValueError, match="GRURegressor: training diverged"):
        regressor(clip_norm=None).fit(X, Y * 1e300)


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


@EACH
@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_keeps_the_last_finished_epoch(make, early_stopping, monkeypatch):
    settings = {"early_stopping": early_stopping}
    expected = make(max_iter=4, **settings).fit(X, Y)
    # 60 samples or the 54 that are not held out: three minibatches per epoch.
    interrupt_batch(monkeypatch, 14)
    with pytest.warns(UserWarning, match="was interrupted in epoch 5; it keeps the"):
        estimator = make(**settings).fit(X, Y)
    assert estimator.n_iter_ == 4
    assert_same_models(estimator, expected)


@EACH
def test_ctrl_c_in_the_first_epoch_is_raised(make, monkeypatch):
    interrupt_batch(monkeypatch, 2)
    estimator = make()
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(X, Y)
    with pytest.raises(NotFittedError):
        results(estimator, X)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT: not on this system")
def test_a_real_ctrl_c_keeps_the_last_finished_epoch():
    code = """
        import signal
        import warnings
        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from fastgru import GRUClassifier

        # What a shell starts in the background has to ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        warnings.simplefilter("ignore", ConvergenceWarning)
        rng = np.random.default_rng(0)
        X, y = rng.standard_normal((200, 20, 4)), np.arange(200) % 2
        settings = {"tol": 0, "n_iter_no_change": np.inf, "random_state": 0}
        GRUClassifier(32, max_iter=2, **settings).fit(X, y)  # compiles
        print("ready", flush=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = GRUClassifier(32, max_iter=10**9, **settings).fit(X, y)
        (warning,) = caught
        assert "interrupted in epoch" in str(warning.message), warning.message
        twin = GRUClassifier(32, max_iter=clf.n_iter_, **settings).fit(X, y)
        assert clf.n_iter_ == len(clf.loss_curve_) > 1
        assert clf.loss_curve_ == twin.loss_curve_
        assert (clf.predict_proba(X) == twin.predict_proba(X)).all()
        print("same")
    """
    with start_python(code) as child:
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            time.sleep(0.7)
            os.kill(child.pid, signal.SIGINT)
            printed, errors = child.communicate(timeout=60)
        finally:
            child.kill()
    assert (printed, child.returncode) == ("same\n", 0), errors


# -- progress --


@EACH
def test_verbose_shows_a_progress_bar(make, capsys):
    make(max_iter=3, verbose=1, early_stopping=True).fit(X, Y)
    printed, shown = capsys.readouterr()
    assert printed == ""
    for text in (type(make()).__name__, "3/3", "loss=", "score="):
        assert text in shown


@EACH
@pytest.mark.parametrize("verbose", [0, False])
def test_without_verbose_nothing_is_shown(make, verbose, capsys):
    results(make(max_iter=3, verbose=verbose).fit(X, Y))
    assert capsys.readouterr() == ("", "")


# -- with the rest of scikit-learn --


QUICK = {"max_iter": 100, "batch_size": 20, "learning_rate_init": 0.03}
# With "auto" all samples of the checks are in one minibatch.  In several a weight of 2
# is not the same as a sample that comes twice, nor is it where training amplifies
# roundings: of float32, or at a step size at which the loss jumps.
FULL_BATCH = {"dtype": "float64", "batch_size": "auto"}
WEIGHTS_CHECK = "check_sample_weight_equivalence_on_dense_data"


def failing_checks(estimator):
    """Name what an estimator cannot pass: weights that equal repetitions."""
    settings = estimator.get_params()
    if isinstance(estimator, SequenceScaler) or FULL_BATCH.items() <= settings.items():
        return {}
    if settings == GRURegressor().get_params():
        return {}  # to roundings of float32: see the test
    return {WEIGHTS_CHECK: "minibatches or float32"}


SKLEARN_CHECKS = parametrize_with_checks(
    [
        GRUClassifier(),
        GRUClassifier(16, **QUICK),
        GRUClassifier(
            (12, 8),
            bidirectional=True,
            pooling="attention",
            dense_sizes=(8,),
            dropout=0.1,
            recurrent_dropout=0.1,
            solver="adamw",
            learning_rate="cosine",
            **QUICK,
        ),
        GRUClassifier(
            16,
            num_layers=2,
            pooling="mean",
            early_stopping=True,
            validation_fraction=0.4,
            learning_rate="adaptive",
            solver="rmsprop",
            **QUICK,
        ),
        GRUClassifier(16, **FULL_BATCH),
        GRURegressor(),
        GRURegressor(16, **QUICK),
        GRURegressor(16, pooling="max", loss="huber", dtype="float64", **QUICK),
        GRURegressor(16, reset_after=False, solver="sgd", **QUICK),
        GRURegressor(**FULL_BATCH),
        GRUTransformer(),
        GRUTransformer(16, pooling="mean", reset_after=False, **QUICK),
        GRUTransformer(16, **FULL_BATCH),
        SequenceScaler(),
        SequenceScaler(with_mean=False),
    ],
    expected_failed_checks=failing_checks,
)
NAMES, CHECKS = SKLEARN_CHECKS.args


# A list of them: older versions of scikit-learn give an iterator.
@pytest.mark.parametrize(NAMES, list(CHECKS), **SKLEARN_CHECKS.kwargs)
def test_scikit_learns_checks(estimator, check, monkeypatch):
    is_float32 = estimator.get_params().get("dtype") == "float32"
    if check.func.__name__ == WEIGHTS_CHECK and is_float32:
        # Sums of float32 round otherwise; the check asks for 1e-7, which luck decides.
        compare = partial(estimator_checks.assert_allclose_dense_sparse, rtol=1e-6)
        monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", compare)
    check(estimator)


@pytest.mark.parametrize(
    "estimator",
    [GRUClassifier(), GRURegressor(), GRUTransformer(), SequenceScaler()],
    ids=str,
)
def test_tags_promise_what_the_checks_ask_for(estimator):
    tags = get_tags(estimator)
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert not tags.input_tags.allow_nan
    assert not tags.non_deterministic
    assert not (tags.classifier_tags and tags.classifier_tags.poor_score)
    assert not (tags.regressor_tags and tags.regressor_tags.poor_score)


@EACH_PREDICTOR
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_over_lists(make, n_jobs):
    search = GridSearchCV(
        make(max_iter=20), {"hidden_size": [2, 16]}, cv=3, n_jobs=n_jobs
    )
    search.fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    expected = make(search.best_params_["hidden_size"], max_iter=20).fit(X, Y)
    assert_same_models(search.best_estimator_, expected)


@EACH_PREDICTOR
def test_a_pipeline_on_lists(make):
    halve = FunctionTransformer(lambda X: [x / 2 for x in X])
    pipeline = make_pipeline(halve, make(max_iter=20)).fit(X, Y)
    expected = make(max_iter=20).fit([x / 2 for x in X], Y)
    assert pipeline.score(X, Y) == expected.score([x / 2 for x in X], Y)
    assert_same_models(pipeline[-1], expected)


@EACH_PREDICTOR
def test_cross_validation_on_padded_arrays(make):
    from_array = cross_val_score(make(max_iter=10), pad(X), Y, cv=3)
    from_list = cross_val_score(make(max_iter=10), X, Y, cv=3)
    np.testing.assert_array_equal(from_array, from_list)


# -- memory --


def test_fit_needs_the_memory_of_a_minibatch():
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("peak memory: nowhere to read it on this system")
    code = """
        import re
        import warnings
        from pathlib import Path
        import numpy as np
        from fastgru import GRUClassifier

        def memory(name):
            status = Path("/proc/self/status").read_text()
            return int(re.search(rf"{name}:\\s+(\\d+) kB", status)[1]) / 1024

        rng = np.random.default_rng(0)
        lengths = rng.integers(20, 200, 10_000)
        X = [rng.standard_normal((n, 8), dtype=np.float32) for n in lengths]
        y = np.arange(10_000) % 3
        warnings.simplefilter("ignore")
        clf = GRUClassifier(64, max_iter=1, random_state=0)
        clf.fit(X[:200], y[:200])  # compiles, or loads what was compiled
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = memory("VmRSS")
        clf.set_params(max_iter=2).fit(X, y)
        # Of the 200 longest sequences, as the layer says: 5 H + I numbers per step.
        tape = np.sort(lengths)[-200:].sum() * (5 * 64 + 8) * 4 / 2**20
        print(memory("VmHWM") - before, tape)
    """
    megabytes, tape = map(float, run_python(code).split())
    assert tape > 45
    assert megabytes < 1.3 * tape + 50


def test_predict_needs_the_memory_of_its_batches():
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("peak memory: nowhere to read it on this system")
    code = """
        import re
        from pathlib import Path
        import numpy as np
        from fastgru import GRUClassifier

        def memory(name):
            status = Path("/proc/self/status").read_text()
            return int(re.search(rf"{name}:\\s+(\\d+) kB", status)[1]) / 1024

        rng = np.random.default_rng(0)
        X = rng.standard_normal((100_000, 20, 4), dtype=np.float32)
        clf = GRUClassifier(64, max_iter=1, random_state=0)
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            clf.fit(X[:200], np.arange(200) % 2)
        clf.predict(X[:1000])
        Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
        before = memory("VmRSS")
        labels = clf.predict(X)
        print(len(labels), memory("VmHWM") - before)
    """
    n_labels, megabytes = map(float, run_python(code).split())
    assert n_labels == 100_000
    # The input is 32 MB, all hidden states would be 512 MB.
    assert megabytes < 30


@EACH_PREDICTOR
def test_predict_takes_long_lists_in_batches(make, monkeypatch):
    # A batch is about as many numbers as allowed, or one sequence.
    monkeypatch.setattr(_running, "_NUMBERS_IN_BATCH", 60)
    estimator = make(max_iter=1).fit(X, Y)
    network, sizes = estimator._network, []
    outputs = network.outputs

    def noted(values, lengths, n_threads):
        sizes.append((values.size, len(lengths)))
        return outputs(values, lengths, n_threads)

    monkeypatch.setattr(network, "outputs", noted)
    long = draw_sequences(1, longest=12)[0].repeat(20, axis=0)
    results(estimator, [*X_NEW, long])
    assert sum(n for _, n in sizes) == len(X_NEW) + 1
    assert all(size <= 60 or n == 1 for size, n in sizes)
    assert len(sizes) < len(X_NEW) / 2
