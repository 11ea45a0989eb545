"""Vectors from sequences, learned from a target or from the steps to come."""

import pickle

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import fastgru
from fastgru import GRUTransformer
from problems import draw_classes, transformer
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
X_NEW, Y_NEW = draw_classes(seed=1)


def waves(n=60, n_timesteps=30, seed=0):
    """Draw sine waves of two frequencies, with random phases."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    t = np.arange(n_timesteps)
    return np.sin(phase + t * np.where(y, 0.9, 0.5)[:, np.newaxis])[..., np.newaxis], y


def test_with_a_target():
    vectors = transformer(5).fit_transform(X, Y)
    assert vectors.shape == (60, 5)
    assert vectors.dtype == np.float32
    pipeline = make_pipeline(transformer(5), LogisticRegression()).fit(X, Y)
    assert pipeline.score(X_NEW, Y_NEW) > 0.95


def test_the_vectors_are_the_pooled_states():
    for pooling, pool in (("last", lambda s: s[-1]), ("max", lambda s: s.max(axis=0))):
        model = transformer(5, pooling=pooling, max_iter=3).fit(X, Y)
        states = model.hidden_states(X)
        expected = np.array([pool(s) for s in states])
        assert_same_bits("vectors", model.transform(X), expected)
    unsupervised = transformer(5, pooling="max", max_iter=3).fit(X)
    expected = np.array([s.max(axis=0) for s in unsupervised.hidden_states(X)])
    assert_same_bits("vectors", unsupervised.transform(X), expected)


def test_without_a_target_it_learns_the_next_step():
    W, y = waves()
    model = transformer(16, pooling="mean", max_iter=60).fit(W)
    # Half the squared error of the mean would be .25.
    assert model.loss_ < 0.02
    assert model.n_outputs_ == 1
    new, y_new = waves(seed=1)
    head = LogisticRegression(C=100).fit(model.transform(W), y)
    assert head.score(model.transform(new), y_new) > 0.95


def test_without_a_target_it_learns_the_next_token():
    rng = np.random.default_rng(0)
    tokens = [(np.arange(n) + k) % 5 for n, k in rng.integers(3, 12, (60, 2))]
    model = transformer(16, n_tokens=5).fit(tokens)
    assert model.loss_ < 0.05
    assert model.n_outputs_ == 5
    assert model.transform(tokens).shape == (60, 16)


def test_what_a_target_is():
    classes = transformer(5, max_iter=2).fit(X, Y)
    assert (classes.out_activation_, classes.n_outputs_) == ("softmax", 2)
    numbers = transformer(5, max_iter=2).fit(X, Y + 0.5)
    assert (numbers.out_activation_, numbers.n_outputs_) == ("identity", 1)
    forced = transformer(5, max_iter=2, target_type="numbers").fit(X, Y)
    assert (forced.out_activation_, forced.n_outputs_) == ("identity", 1)
    labels = transformer(5, max_iter=2).fit(X, np.stack([Y, 1 - Y], axis=1))
    assert (labels.out_activation_, labels.n_outputs_) == ("logistic", 2)
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        transformer(target_type="classes").fit(X, Y + 0.5)


def test_a_target_can_be_ignored():
    ignoring = transformer(5, max_iter=3, target_type="next_step").fit(X, Y)
    without = transformer(5, max_iter=3).fit(X)
    assert_same_bits("vectors", ignoring.transform(X), without.transform(X))


def test_validation_without_a_target():
    W, _ = waves()
    model = transformer(8, early_stopping=True, max_iter=5).fit(W)
    assert len(model.validation_scores_) == 5
    model.fit(W, X_val=waves(seed=1)[0])
    assert model.best_validation_score_ == max(model.validation_scores_)


def test_what_cannot_be_learned_without_a_target():
    with pytest.raises(ValueError, match="bidirectional GRU has read already"):
        transformer(bidirectional=True).fit(X)
    with pytest.raises(ValueError, match="weights that only a target trains"):
        transformer(pooling="attention").fit(X)
    with pytest.raises(ValueError, match="sequences of at least 2 steps"):
        transformer().fit(np.zeros((5, 1, 2)))


def test_a_sequence_of_one_step_is_no_target_but_has_a_vector():
    model = transformer(5, max_iter=3).fit([*X, np.zeros((1, 2))])
    same = transformer(5, max_iter=3, shuffle=False)
    assert model.transform([np.zeros((1, 2))]).shape == (1, 5)
    weights = np.r_[np.ones(60), 0.0]
    with_short = same.fit([*X, np.zeros((1, 2))], sample_weight=weights).loss_curve_
    assert with_short == same.fit(X).loss_curve_


def test_names_of_features_and_tables():
    pytest.importorskip("pandas")
    model = transformer(3, max_iter=2).fit(X, Y)
    names = [f"grutransformer{k}" for k in range(3)]
    assert model.get_feature_names_out().tolist() == names
    table = model.set_output(transform="pandas").transform(X)
    assert table.columns.tolist() == names
    assert table.shape == (60, 3)


@pytest.mark.parametrize("y", [None, Y], ids=["without", "with"])
def test_copies_and_files_give_the_same_bits(y, tmp_path):
    model = GRUTransformer((7, 5), pooling="mean", max_iter=3, random_state=0).fit(X, y)
    fastgru.save(model, tmp_path / "model.safetensors")
    loaded = fastgru.load(tmp_path / "model.safetensors")
    assert loaded.get_params() == model.get_params()
    for other in (pickle.loads(pickle.dumps(model)), loaded):
        assert_same_bits("vectors", other.transform(X), model.transform(X))
        assert other.loss_curve_ == model.loss_curve_
