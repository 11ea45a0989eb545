"""The classifier: labels, probabilities, and training against PyTorch's."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning

from cases import BOTH_CELLS, BOTH_DTYPES
from fastgru import GRUClassifier
from fastgru.estimators._tasks import Classes
from problems import classifier, draw_classes, pad
from tolerances import assert_close
from twin import Twin, first_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
X_NEW, Y_NEW = draw_classes(seed=1)


# -- learning --


@BOTH_CELLS
@BOTH_DTYPES
def test_it_learns_from_a_list(dtype, reset_after):
    clf = classifier(reset_after=reset_after, dtype=np.dtype(dtype).name).fit(X, Y)
    assert clf.score(X, Y) >= 0.95
    assert clf.score(X_NEW, Y_NEW) >= 0.95
    assert clf.n_features_in_ == 2
    assert clf.predict_proba(X_NEW).dtype == dtype


def test_it_learns_from_a_3d_array():
    same_length = [x[-3:] for x in X]
    clf = classifier().fit(np.array(same_length), Y)
    assert clf.score(np.array([x[-3:] for x in X_NEW]), Y_NEW) >= 0.95
    assert clf.n_features_in_ == 2


def test_it_learns_from_a_padded_3d_array():
    clf = classifier().fit(pad(X, n_more=2), Y)
    assert clf.score(pad(X_NEW), Y_NEW) >= 0.95
    assert clf.n_features_in_ == 2


def test_it_learns_from_a_2d_array():
    rows, new_rows = (np.array([x[-3:, 0] for x in part]) for part in (X, X_NEW))
    clf = classifier().fit(rows, Y)
    assert clf.score(new_rows, Y_NEW) >= 0.95
    assert clf.n_features_in_ == 3


def test_it_learns_more_than_two_classes():
    sums = np.array([x[-3:, 0].sum() for x in X])
    y = np.digitize(sums, np.quantile(sums, [1 / 3, 2 / 3]))
    clf = classifier(max_iter=80).fit(X, y)
    assert clf.score(X, y) >= 0.9
    assert clf.n_outputs_ == 3


def test_long_range():
    # The class stands in the first step and nowhere else.
    rng = np.random.default_rng(0)
    noise = rng.uniform(-0.5, 0.5, (60, 30, 1))
    y = np.arange(60) % 2
    noise[:, 0, 0] = 2 * y - 1
    assert classifier(max_iter=60).fit(noise, y).score(noise, y) == 1


# -- labels and probabilities --


@pytest.mark.parametrize(
    "labels",
    [
        ["down", "up"],
        [7, -3],
        [False, True],
        [1.0, 2.0],
        np.array(["long name", "b"], dtype=object),
        np.array([5, 9], np.int8),
    ],
    ids=str,
)
def test_labels_of_any_kind(labels):
    y = np.asarray(labels)[Y]
    clf = classifier().fit(X, y)
    assert clf.classes_.dtype == y.dtype
    assert clf.classes_.tolist() == sorted(np.asarray(labels).tolist())
    predicted = clf.predict(X)
    assert predicted.dtype == y.dtype
    assert predicted.shape == y.shape
    assert np.mean(predicted == y) >= 0.95
    assert clf.score(X, y) == np.mean(predicted == y)


def test_labels_may_be_a_list_or_a_column():
    expected = classifier(max_iter=3).fit(X, Y).loss_curve_
    assert classifier(max_iter=3).fit(X, Y.tolist()).loss_curve_ == expected
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        clf = classifier(max_iter=3).fit(X, Y[:, np.newaxis])
    assert clf.loss_curve_ == expected


@BOTH_DTYPES
def test_probabilities_follow_the_order_of_the_classes(dtype):
    # The same problem under names whose order is the other way round.
    settings = {"dtype": np.dtype(dtype).name, "max_iter": 20}
    clf = classifier(**settings).fit(X, np.array(["b_down", "a_up"])[Y])
    assert clf.classes_.tolist() == ["a_up", "b_down"]
    probabilities = clf.predict_proba(X)
    assert probabilities.shape == (len(X), 2)
    assert probabilities.dtype == dtype
    assert (probabilities >= 0).all()
    tolerance = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=tolerance)
    best = clf.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(clf.predict(X), best)
    assert probabilities[Y == 1, 0].mean() > probabilities[Y == 0, 0].mean() + 0.3


def test_fitted_attributes():
    clf = classifier(max_iter=7).fit(X, Y)
    assert clf.classes_.tolist() == [0, 1]
    assert clf.out_activation_ == "softmax"
    assert clf.n_outputs_ == 2
    assert clf.n_iter_ == len(clf.loss_curve_) == 7
    assert clf.loss_ == clf.loss_curve_[-1]
    assert clf.best_loss_ == min(clf.loss_curve_)
    assert clf.validation_scores_ is clf.best_validation_score_ is None


# -- validation --


def test_early_stopping_keeps_the_best_weights():
    settings = {"early_stopping": True, "validation_fraction": 0.25}
    clf = classifier(**settings).fit(X, Y)
    assert clf.n_iter_ == len(clf.validation_scores_) == 100
    best = max(clf.validation_scores_)
    assert clf.best_validation_score_ == best
    assert clf.best_loss_ is None
    # 60 samples, a quarter of them held out: scores are fifteenths.
    assert np.allclose(np.array(clf.validation_scores_) * 15 % 1, 0)
    # The same fit ended by its first best epoch has the same weights.
    n_epochs = clf.validation_scores_.index(best) + 1
    early = clone(clf).set_params(max_iter=n_epochs).fit(X, Y)
    np.testing.assert_array_equal(early.predict_proba(X), clf.predict_proba(X))


def test_early_stopping_stops():
    clf = classifier(
        early_stopping=True, n_iter_no_change=3, max_iter=500, tol=0.001
    ).fit(X, Y)
    assert clf.n_iter_ < 500
    *_, last = np.array(clf.validation_scores_)[-4:]
    assert last < clf.best_validation_score_ + 0.001


def test_the_validation_split_is_stratified(monkeypatch):
    y = np.array([0] * 54 + [1] * 6)
    clf = classifier(early_stopping=True, validation_fraction=0.5, max_iter=1)
    seen = []
    monkeypatch.setattr(
        Classes, "score", lambda self, targets, outputs: seen.append(targets) or 0.0
    )
    clf.fit(X, y)
    assert np.bincount(seen[0]).tolist() == [27, 3]


# -- against PyTorch --


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("epsilon", [1e-8, 1e-2])
def test_the_losses_and_parameters_are_those_of_torch(epsilon, clip_norm):
    torch = pytest.importorskip("torch")
    y = np.digitize([x[-3:, 0].sum() for x in X], [-3, 3])
    clf = GRUClassifier(
        8,
        shuffle=False,
        batch_size=25,  # leaves 10 to the last
        max_iter=4,
        alpha=0.1,
        learning_rate_init=0.02,
        beta_1=0.8,
        beta_2=0.95,
        epsilon=epsilon,
        clip_norm=clip_norm,
        dtype="float64",
        random_state=3,
    )
    twin = Twin(first_parameters(clone(clf), X, y))
    losses = twin.train(
        X,
        y,
        torch.nn.functional.cross_entropy,
        n_epochs=4,
        batch_size=25,
        rate=0.02,
        betas=(0.8, 0.95),
        epsilon=epsilon,
        alpha=0.1,
        max_norm=clip_norm,
    )
    clf.fit(X, y)
    np.testing.assert_allclose(clf.loss_curve_, losses, rtol=1e-9)
    for name, expected in twin.parameters_by_name().items():
        actual = clf._network.state_dict()[name]
        assert_close(name, actual, expected, np.float64, tolerance=1e-8)
    expected = torch.softmax(twin.outputs(X_NEW), dim=1).detach().numpy()
    actual = clf.predict_proba(X_NEW)
    assert_close("probabilities", actual, expected, np.float64, tolerance=1e-8)


# -- refused targets --


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "GRUClassifier requires y to be passed, but the target y is None"),
        (np.zeros(60), r"at least 2 classes, got 1 class: .*0\.0"),
        (["a"] * 60, "at least 2 classes, got 1 class: .*a"),
        (np.linspace(0, 1, 60), "Unknown label type: continuous"),
        (np.where(Y == 0, np.nan, 1.0), "Input y contains NaN"),
        (np.where(Y == 0, np.inf, 1.0), "Input y contains infinity"),
        (3 * np.eye(60), r"must hold 0 or 1 for each, got 3.0 at \(0, 0\)"),
        (
            np.arange(120).reshape(60, 2),
            r"y should be a 1d array, got an array of shape \(60, 2\)",
        ),
        (Y[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
    ],
    ids=["none", "one", "text", "numbers", "nan", "infinity", "3", "2d", "short"],
)
def test_targets_that_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, y)


def test_a_class_too_small_to_hold_out_is_refused():
    y = np.array([0] * 59 + [1])
    with pytest.raises(ValueError, match="least populated class"):
        classifier(early_stopping=True).fit(X, y)


def test_too_few_samples_to_hold_out_are_refused():
    message = "needs at least 2 samples to validate on; validation_fraction=0.1 of 8"
    with pytest.raises(ValueError, match=f"{message}|should be greater or equal"):
        classifier(early_stopping=True).fit(X[:8], Y[:8])
