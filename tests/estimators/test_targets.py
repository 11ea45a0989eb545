"""Targets per step, several labels, several outputs: forms, weights, scores."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, r2_score

from problems import classifier, draw_classes, pad, regressor
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, _ = draw_classes()
X_NEW, _ = draw_classes(seed=1)


def signs(X):
    """Say for each step whether the running sum of the first feature is positive."""
    return [(np.cumsum(x[:, 0]) > 0).astype(int) for x in X]


def sums(X):
    """Give the running sum of the first feature."""
    return [np.cumsum(x[:, 0]) for x in X]


def padded_targets(targets, n_timesteps, fill):
    """Make an array of lists of targets, with anything past the ends."""
    array = np.full((len(targets), n_timesteps), fill, np.asarray(targets[0]).dtype)
    for row, target in zip(array, targets, strict=True):
        row[: len(target)] = target
    return array


# -- one target per step --


def test_a_class_per_step():
    clf = classifier(return_sequences=True).fit(X, signs(X))
    predicted = clf.predict(X_NEW)
    assert [p.shape for p in predicted] == [(len(x),) for x in X_NEW]
    rows, expected = np.concatenate(predicted), np.concatenate(signs(X_NEW))
    assert clf.score(X_NEW, signs(X_NEW)) == accuracy_score(expected, rows) > 0.93
    for p, proba in zip(predicted, clf.predict_proba(X_NEW), strict=True):
        assert proba.shape == (len(p), 2)
        assert (clf.classes_[proba.argmax(axis=1)] == p).all()
    assert [d.shape for d in clf.decision_function(X_NEW)] == [
        p.shape for p in predicted
    ]
    assert [d.ndim for d in clf.predict_log_proba(X_NEW)] == [2] * len(X_NEW)


def test_a_number_per_step():
    reg = regressor(return_sequences=True).fit(X, sums(X))
    rows = np.concatenate(reg.predict(X_NEW))
    expected = np.concatenate(sums(X_NEW))
    assert reg.score(X_NEW, sums(X_NEW)) == r2_score(expected, rows) > 0.9


def test_numbers_per_step():
    y = [np.stack([s, -s], axis=1) for s in sums(X)]
    reg = regressor(return_sequences=True).fit(X, y)
    assert reg.n_outputs_ == 2
    assert reg.predict(X)[3].shape == y[3].shape
    assert reg.score(X, y) > 0.9


def test_forms_of_x_and_y_do_not_matter():
    expected = classifier(return_sequences=True, max_iter=4).fit(X, signs(X))
    padded = pad(X, n_more=1)
    n_timesteps = padded.shape[1]
    for fill in (0, 7):  # what stands past the ends is not read
        y = padded_targets(signs(X), n_timesteps, fill)
        clf = classifier(return_sequences=True, max_iter=4).fit(padded, y)
        assert clf.loss_curve_ == expected.loss_curve_
        assert clf.classes_.tolist() == [0, 1]
    clf = classifier(return_sequences=True, max_iter=4).fit(padded, signs(X))
    assert clf.loss_curve_ == expected.loss_curve_
    for ours, theirs in zip(
        clf.predict_proba(padded), expected.predict_proba(X), strict=True
    ):
        assert_same_bits("proba", ours, theirs)


def test_an_array_without_padding_gives_an_array():
    cut = np.array([x[-3:] for x in X])
    y = np.array(signs(cut))
    clf = classifier(return_sequences=True, max_iter=4).fit(cut, y)
    assert clf.predict(cut).shape == (60, 3)
    assert clf.predict_proba(cut).shape == (60, 3, 2)
    flat = classifier(return_sequences=True, max_iter=4).fit(cut[:, :, 0], y)
    assert flat.predict(cut[:, :, 0]).shape == (60, 3)


def test_text_per_step():
    names = [np.array(["down", "up"])[s] for s in signs(X)]
    clf = classifier(return_sequences=True, max_iter=30).fit(X, names)
    assert clf.classes_.tolist() == ["down", "up"]
    assert clf.score(X, names) > 0.85


def test_early_stopping_per_step():
    clf = classifier(return_sequences=True, early_stopping=True, max_iter=5)
    clf.fit(X, signs(X))
    assert len(clf.validation_scores_) == 5
    clf.fit(X, signs(X), X_val=X_NEW, y_val=signs(X_NEW))
    assert clf.best_validation_score_ == clf.score(X_NEW, signs(X_NEW))


def test_weights_per_sequence_and_per_step():
    weight = np.linspace(0, 2, 60)
    per_step = [np.full(len(x), w) for x, w in zip(X, weight, strict=True)]
    one = classifier(return_sequences=True, max_iter=4).fit(X, signs(X), weight)
    two = classifier(return_sequences=True, max_iter=4).fit(X, signs(X), per_step)
    assert one.loss_curve_ == two.loss_curve_
    assert one.score(X, signs(X), weight) == two.score(X, signs(X), per_step)
    # Steps without weight do not count, whatever their target.
    first = [np.r_[1.0, np.zeros(len(x) - 1)] for x in X]
    wrong = [np.r_[s[:1], 1 - s[1:]] for s in signs(X)]
    three = classifier(return_sequences=True, max_iter=4).fit(X, signs(X), first)
    four = classifier(return_sequences=True, max_iter=4).fit(X, wrong, first)
    assert three.loss_curve_ == four.loss_curve_


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.zeros(60, int), "one value per step, got a single one for sequence 0"),
        (signs(X)[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
        (
            [*signs(X)[:4], signs(X)[4][:-1], *signs(X)[5:]],
            r"y\[4\] has \d+, but sequence 4 has \d+ steps",
        ),
        ([s * 0 for s in signs(X)], "at least 2 classes, got 1 class"),
        ([s * 0.5 for s in signs(X)], "continuous"),
    ],
    ids=["one", "few", "short", "one class", "numbers"],
)
def test_bad_targets_per_step_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        classifier(return_sequences=True).fit(X, y)


def test_pooling_and_targets_per_step_do_not_go_together():
    with pytest.raises(ValueError, match="return_sequences=True gives each step"):
        classifier(return_sequences=True, pooling="mean").fit(X, signs(X))


# -- several labels, several outputs --


def test_several_labels_per_sample():
    y = np.stack([[x[-1, 0] > 0 for x in X], [x[-1, 1] > 0 for x in X]], 1).astype(int)
    clf = classifier().fit(X, y)
    assert clf.out_activation_ == "logistic"
    assert clf.classes_.tolist() == [0, 1]
    predicted = clf.predict(X)
    assert predicted.shape == y.shape
    assert set(np.unique(predicted)) <= {0, 1}
    assert clf.score(X, y) == accuracy_score(y, predicted) > 0.9
    proba = clf.predict_proba(X)
    assert ((proba > 0.5) == predicted).all()
    np.testing.assert_allclose(np.exp(clf.predict_log_proba(X)), proba, rtol=1e-5)
    assert clf.decision_function(X).shape == y.shape
    with pytest.raises(ValueError, match="class_weight is for one class per sample"):
        classifier(class_weight="balanced").fit(X, y)


def test_several_outputs():
    y = np.stack([[x[-1, 0] for x in X], [x[-1, 1] for x in X]], axis=1)
    reg = regressor().fit(X, y)
    assert reg.predict(X).shape == y.shape
    assert reg.score(X, y) > 0.8
    one = regressor(max_iter=3).fit(X, y[:, :1])
    assert one.predict(X).shape == (60, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_forms_of_a_decision(dtype):
    y = np.arange(60) % 2
    clf = classifier(dtype=dtype, max_iter=5).fit(X, y)
    decision = clf.decision_function(X)
    assert decision.shape == (60,)
    assert ((decision > 0).astype(int) == clf.predict(X)).all()
    expected = np.log(clf.predict_proba(X).astype(np.float64))
    np.testing.assert_allclose(clf.predict_log_proba(X), expected, rtol=1e-5, atol=1e-6)
    three = classifier(dtype=dtype, max_iter=5).fit(X, np.arange(60) % 3)
    assert three.decision_function(X).shape == (60, 3)


def test_logarithms_of_probabilities_that_round_to_0():
    clf = classifier(max_iter=1).fit(X, np.arange(60) % 3)
    clf._network.load_state_dict(
        {
            name: np.full_like(a, 300.0) if name == "2.weight" else a
            for name, a in clf._network.state_dict().items()
        }
        | {"2.bias": np.array([0, 200, -200], np.float32)}
    )
    logarithms = clf.predict_log_proba(X)
    assert np.isfinite(logarithms).all()
    np.testing.assert_allclose(logarithms[0], [-200, 0, -400], rtol=1e-4, atol=1e-4)
