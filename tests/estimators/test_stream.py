"""A fitted estimator fed step by step: the bits of its answers to whole sequences."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from problems import classifier, draw_classes, regressor, transformer
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
SETTINGS = [
    {},
    {"hidden_size": (6, 5), "pooling": "mean", "dense_sizes": (4,), "dropout": 0.2},
    {"num_layers": 2, "pooling": "max", "reset_after": False, "dtype": "float64"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_predictions_are_those_of_the_steps_so_far(make, settings):
    model = make(**{"hidden_size": 7, "max_iter": 3} | settings).fit(X, Y)
    for x in X[:3]:
        stream, others = model.stream(), model.stream()
        states = model.hidden_states([x])[0]
        for t, x_t in enumerate(x):
            so_far = [x[: t + 1]]
            assert stream.predict(x_t) == model.predict(so_far)[0]
            assert_same_bits("state", others.step(x_t), states[t])
        if make is classifier:
            stream.reset()
            for t, x_t in enumerate(x.tolist()):
                expected = model.predict_proba([x[: t + 1]])[0]
                assert_same_bits("proba", stream.predict_proba(x_t), expected)


def test_sequences_side_by_side():
    model = classifier(7, max_iter=3).fit(X, Y)
    array = np.array([x[-3:] for x in X[:5]])
    stream = model.stream(batch_size=5)
    for t in range(3):
        expected = model.predict_proba(array[:, : t + 1])
        assert_same_bits("proba", stream.predict_proba(array[:, t]), expected)
    stream.reset([True, False, False, False, False])
    kept = stream.state
    again = stream.predict(array[:, 0])
    assert again.shape == (5,)
    stream.state = kept
    assert (stream.predict(array[:, 0]) == again).all()


def test_per_step_targets_tokens_and_several_outputs():
    signs = [(np.cumsum(x[:, 0]) > 0).astype(int) for x in X]
    model = classifier(7, return_sequences=True, max_iter=3).fit(X, signs)
    stream, whole = model.stream(), model.predict(X[:1])[0]
    assert [stream.predict(x_t) for x_t in X[0]] == whole.tolist()
    tokens = [np.arange(4) + k % 3 for k in range(12)]
    by_token = classifier(7, n_tokens=6, max_iter=3).fit(tokens, np.arange(12) % 2)
    stream = by_token.stream()
    for t, token in enumerate(tokens[0]):
        expected = by_token.predict_proba([tokens[0][: t + 1]])[0]
        assert_same_bits("proba", stream.predict_proba(token), expected)
    several = regressor(7, max_iter=3).fit(X, np.stack([Y, -Y], axis=1))
    stream = several.stream()
    assert_same_bits("row", stream.predict(X[0][0]), several.predict([X[0][:1]])[0])
    with pytest.raises(AttributeError, match="no classes"):
        stream.predict_proba(X[0][1])
    flat = np.array([x[-3:, 0] for x in X])
    univariate = classifier(7, max_iter=3).fit(flat, Y)
    stream = univariate.stream()
    labels = [stream.predict([value]) for value in flat[0]]
    assert labels[-1] == univariate.predict(flat[:1])[0]


@pytest.mark.parametrize(
    ("x_t", "error", "message"),
    [
        ([0.0, np.nan], ValueError, "x_t contains nan: feature 1 of sequence 0"),
        ([np.inf, 0.0], ValueError, "x_t contains inf: feature 0 of sequence 0"),
        ([1e300, 0.0], ValueError, "x_t contains inf: feature 0"),
        ([0.0], ValueError, r"x_t must have shape \(2,\), got shape \(1,\)"),
        ([[0.0, 1.0]], ValueError, r"x_t must have shape \(2,\)"),
        (["a", "b"], TypeError, "x_t must hold numbers"),
    ],
    ids=str,
)
def test_a_bad_step_is_refused_and_changes_nothing(x_t, error, message):
    model = classifier(7, max_iter=3).fit(X, Y)
    stream, twin = model.stream(), model.stream()
    stream.step(X[0][0])
    twin.step(X[0][0])
    with pytest.raises(error, match=message):
        stream.predict(x_t)
    assert_same_bits("state", stream.step(X[0][1]), twin.step(X[0][1]))


def test_what_needs_whole_sequences_is_refused():
    with pytest.raises(ValueError, match="steps to come"):
        classifier(7, bidirectional=True, max_iter=1).fit(X, Y).stream()
    with pytest.raises(ValueError, match="forgets the steps, which attention"):
        classifier(7, pooling="attention", max_iter=1).fit(X, Y).stream()
    with pytest.raises(NotFittedError):
        classifier().stream()
    with pytest.raises(ValueError, match="batch_size"):
        classifier(7, max_iter=1).fit(X, Y).stream(0)


def test_a_transformer_predicts_the_next_step():
    model = transformer(7, max_iter=3).fit(X)
    stream = model.stream()
    assert stream.predict(X[0][0]).shape == (2,)
