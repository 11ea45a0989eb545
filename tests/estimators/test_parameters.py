"""Every parameter changes what it says it changes."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastgru import (
    GRU,
    Dense,
    Dropout,
    Embedding,
    GRUClassifier,
    GRURegressor,
    GRUTransformer,
    Pooling,
)
from fastgru.optimizers import SGD, Adam, AdamW, RMSprop
from fastgru.training.trainer import Trainer
from messages import value_name
from problems import classifier, draw_classes, regressor, transformer
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = draw_classes()
FEW = {"max_iter": 3}


def layers(estimator):
    """Name the layers of a fitted network by class and settings."""
    return [(type(layer), layer.settings()) for layer in estimator._network.layers]


def kinds(estimator):
    return [type(layer) for layer in estimator._network.layers]


def watch(monkeypatch, method="fit"):
    """Note the trainer that a fit makes."""
    seen, original = [], getattr(Trainer, method)

    def noted(self, *arguments):
        seen.append(self)
        return original(self, *arguments)

    monkeypatch.setattr(Trainer, method, noted)
    return seen


# -- the network --


def test_hidden_size_is_one_or_several():
    one, several = (classifier(size, **FEW).fit(X, Y) for size in (7, (9, 5)))
    assert one.hidden_states(X)[0].shape[1] == 7
    assert kinds(several) == [GRU, GRU, Pooling, Dense]
    sizes = [
        (s["input_size"], s["hidden_size"]) for k, s in layers(several) if k is GRU
    ]
    assert sizes == [(2, 9), (9, 5)]


def test_num_layers():
    clf = classifier(7, num_layers=3, **FEW).fit(X, Y)
    (_, settings), *_ = layers(clf)
    assert (settings["hidden_size"], settings["num_layers"]) == (7, 3)
    same = classifier([7, 7], num_layers=2, **FEW).fit(X, Y)
    assert kinds(same)[:2] == [GRU, GRU]
    with pytest.raises(ValueError, match=r"\(7, 7\) names 2 layers, but num_layers=3"):
        classifier((7, 7), num_layers=3).fit(X, Y)
    with pytest.raises(ValueError, match="at least one size"):
        classifier(()).fit(X, Y)


def test_bidirectional():
    clf = classifier(7, bidirectional=True, **FEW).fit(X, Y)
    assert layers(clf)[0][1]["bidirectional"] is True
    assert clf.hidden_states(X)[0].shape[1] == 14
    assert layers(clf)[-1][1]["input_size"] == 14


def test_dropout_stands_behind_recurrent_and_dense_layers():
    clf = classifier((6, 5), dense_sizes=(4,), dropout=0.25, **FEW).fit(X, Y)
    assert kinds(clf) == [GRU, Dropout, GRU, Pooling, Dropout, Dense, Dropout, Dense]
    assert {s["rate"] for kind, s in layers(clf) if kind is Dropout} == {0.25}
    stacked = classifier(6, num_layers=2, dropout=0.25, **FEW).fit(X, Y)
    assert layers(stacked)[0][1]["dropout"] == 0.25


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_dropout_acts_in_training_only(name):
    plain = classifier(**FEW).fit(X, Y)
    dropped = classifier(**{name: 0.5}, **FEW).fit(X, Y)
    assert dropped.loss_curve_ != plain.loss_curve_
    assert_same_bits("proba", dropped.predict_proba(X), dropped.predict_proba(X))
    again = classifier(**{name: 0.5}, **FEW).fit(X, Y)
    assert again.loss_curve_ == dropped.loss_curve_


def test_dropout_masks_differ_from_epoch_to_epoch(monkeypatch):
    drawn, masks = [], Trainer._masks
    monkeypatch.setattr(
        Trainer,
        "_masks",
        lambda self, numbers: drawn.append(masks(self, numbers)) or drawn[-1],
    )
    classifier(dropout=0.5, max_iter=2, batch_size=60).fit(X, Y)
    first, second = (mask.of_layer(0).draw(16, 0.5, np.float32) for mask in drawn)
    order = [np.argsort(mask.sequence_ids) for mask in drawn]
    assert not np.array_equal(first[order[0]], second[order[1]])
    assert sorted(drawn[0].sequence_ids) == list(range(60))


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_pooling(pooling):
    clf = classifier(pooling=pooling, max_iter=30).fit(X, Y)
    assert layers(clf)[1][1]["how"] == pooling
    assert clf.score(X, Y) > 0.8


def test_dense_sizes_and_activation():
    clf = classifier(dense_sizes=(9, 4), activation="tanh", **FEW).fit(X, Y)
    dense = [settings for kind, settings in layers(clf) if kind is Dense]
    assert [(d["output_size"], d["activation"]) for d in dense] == [
        (9, "tanh"),
        (4, "tanh"),
        (2, "identity"),
    ]


def test_tokens_and_embedding_dim():
    rng = np.random.default_rng(0)
    tokens = [rng.integers(0, 5, length) for length in rng.integers(2, 9, 60)]
    y = [int(3 in t) for t in tokens]
    clf = classifier(n_tokens=5, embedding_dim=6, pooling="max").fit(tokens, y)
    assert layers(clf)[0][0] is Embedding
    assert layers(clf)[0][1]["embedding_dim"] == 6
    assert clf.score(tokens, y) > 0.95
    default = classifier(7, n_tokens=5, **FEW).fit(tokens, y)
    assert layers(default)[0][1]["embedding_dim"] == 7
    with pytest.raises(ValueError, match="embedding_dim is for tokens: set n_tokens"):
        classifier(embedding_dim=3).fit(X, Y)


def test_initializer():
    uniform, other = (
        classifier(initializer=name, learning_rate_init=1e-300, max_iter=1).fit(X, Y)
        for name in ("uniform", "glorot_orthogonal")
    )
    weights = other._network.state_dict()["0.weight_hh_l0"][:16]
    np.testing.assert_allclose(weights @ weights.T, np.eye(16), atol=1e-5)
    assert not np.allclose(
        uniform._network.state_dict()["0.weight_hh_l0"][:16], weights
    )


def test_reset_after():
    assert (
        layers(classifier(reset_after=False, **FEW).fit(X, Y))[0][1]["reset_after"]
        is False
    )


# -- the optimiser --


@pytest.mark.parametrize(
    ("solver", "kind"),
    [("adam", Adam), ("adamw", AdamW), ("sgd", SGD), ("rmsprop", RMSprop)],
)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_solvers_learn(make, solver, kind, monkeypatch):
    seen = watch(monkeypatch)
    rate = {"sgd": 0.3, "rmsprop": 0.01}.get(solver, 0.02)
    estimator = make(solver=solver, learning_rate_init=rate, alpha=0.01).fit(X, Y)
    assert estimator.score(X, Y) > 0.8
    assert type(seen[0].optimizer) is kind


@pytest.mark.parametrize(
    ("solver", "names"),
    [
        ("adam", ("beta_1", "beta_2", "epsilon")),
        ("adamw", ("beta_1", "beta_2", "epsilon")),
        ("sgd", ("momentum", "nesterovs_momentum")),
        ("rmsprop", ("epsilon",)),
    ],
)
def test_settings_of_the_solver(solver, names, monkeypatch):
    seen = watch(monkeypatch)
    values = {
        "beta_1": 0.5,
        "beta_2": 0.6,
        "epsilon": 0.01,
        "momentum": 0.3,
        "nesterovs_momentum": False,
    }
    given = {name: values[name] for name in names}
    other = classifier(solver=solver, **given, **FEW).fit(X, Y)
    optimizer = vars(seen[0].optimizer) | {
        "nesterovs_momentum": getattr(seen[0].optimizer, "nesterov", None)
    }
    assert {name: optimizer[name] for name in names} == given
    for name in names:
        one = classifier(solver=solver, **{name: values[name]}, **FEW).fit(X, Y)
        assert one.loss_curve_ != classifier(solver=solver, **FEW).fit(X, Y).loss_curve_
    assert other.n_iter_ == 3


def test_alpha_and_l1_ratio_shrink_weights_not_biases():
    def weights(**settings):
        clf = classifier(batch_size=60, max_iter=60, **settings).fit(X, Y)
        return np.concatenate(
            [
                w.ravel()
                for name, w in clf._network.state_dict().items()
                if "weight" in name
            ]
        )

    free, square, absolute = (
        weights(alpha=alpha, l1_ratio=ratio)
        for alpha, ratio in ((0.0, 0.0), (3.0, 0.0), (3.0, 1.0))
    )
    assert np.linalg.norm(square) < 0.8 * np.linalg.norm(free)
    small = [np.mean(np.abs(w) < 0.02) for w in (free, square, absolute)]
    assert small[2] > max(small[:2])


def test_weight_decay_of_adamw_is_decoupled(monkeypatch):
    seen = watch(monkeypatch)
    classifier(solver="adamw", alpha=0.5, l1_ratio=0.2, **FEW).fit(X, Y)
    assert seen[0].optimizer.weight_decay == pytest.approx(0.4)
    assert seen[0].penalty.square == 0
    assert seen[0].penalty.absolute == pytest.approx(0.1)


@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"learning_rate": "constant"}, [1, 1, 1]),
        ({"learning_rate": "exponential", "decay_rate": 0.5}, [1, 0.5, 0.25]),
        ({"learning_rate": "cosine", "max_iter": 3}, [1, 0.75, 0.25]),
        (
            {"learning_rate": "invscaling", "power_t": 1.0},
            [1, 1 / 61, 1 / 121],
        ),
        (
            {
                "learning_rate": "adaptive",
                "tol": 10.0,
                "n_iter_no_change": 1,
                "max_iter": 4,
            },
            [1, 1, 1, 1 / 5],
        ),
    ],
    ids=lambda value: value["learning_rate"] if isinstance(value, dict) else "",
)
def test_learning_rates_with_every_solver(solver, settings, expected):
    rates = []
    classifier(
        solver=solver,
        callbacks=lambda epoch: rates.append(epoch.learning_rate),
        learning_rate_init=0.02,
        **FEW | settings,
    ).fit(X, Y)
    np.testing.assert_allclose(rates, 0.02 * np.array(expected), rtol=1e-10)


def test_an_adaptive_rate_goes_on_after_no_change():
    settings = {"tol": 10.0, "n_iter_no_change": 2, "max_iter": 100}
    constant = classifier(**settings).fit(X, Y)
    adaptive = classifier(learning_rate="adaptive", **settings).fit(X, Y)
    assert constant.n_iter_ == 4  # the first is better than none
    # 0.02 / 5**7 is the first below 1e-6; each rate lasts three epochs.
    assert adaptive.n_iter_ == 4 + 3 * 7


# -- when it ends --


def test_early_stopping_with_a_given_set():
    X_val, y_val = draw_classes(seed=2)
    clf = classifier(early_stopping=True, max_iter=8)
    clf.fit(X, Y, X_val=X_val, y_val=y_val)
    assert len(clf.validation_scores_) == 8
    best = clf.validation_scores_.index(max(clf.validation_scores_)) + 1
    # All samples were trained on, and the first best epoch was kept.
    twin = classifier(max_iter=best).fit(X, Y)
    assert_same_bits("proba", clf.predict_proba(X), twin.predict_proba(X))
    assert clf.score(X_val, y_val) == clf.best_validation_score_


def test_a_given_set_without_early_stopping_is_only_watched():
    X_val, y_val = draw_classes(seed=2)
    clf = classifier(max_iter=8).fit(X, Y, X_val=X_val, y_val=y_val)
    assert len(clf.validation_scores_) == 8
    assert clf.validation_scores_[-1] == clf.score(X_val, y_val)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    twin = classifier(max_iter=8).fit(X, Y)
    assert_same_bits("proba", clf.predict_proba(X), twin.predict_proba(X))
    assert clf.best_loss_ == min(clf.loss_curve_)


def test_bad_validation_sets_are_refused():
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        classifier().fit(X, Y, y_val=Y)
    with pytest.raises(ValueError, match="requires y to be passed"):
        classifier().fit(X, Y, X_val=X)
    with pytest.raises(ValueError, match="X has 1 features, .* expecting 2"):
        classifier().fit(X, Y, X_val=[x[:, :1] for x in X], y_val=Y)
    with pytest.raises(ValueError, match="no classes of the estimator: .*7"):
        classifier().fit(X, Y, X_val=X, y_val=Y + 7)


# -- going on --


def test_warm_start_goes_on():
    clf = classifier(warm_start=True, max_iter=5).fit(X, Y)
    first = clf._network._parameters.flat.copy()
    losses = list(clf.loss_curve_)
    clf.fit(X, Y)
    assert clf.n_iter_ == len(clf.loss_curve_) == 10
    assert clf.loss_curve_[:5] == losses
    assert clf.loss_curve_[5] < losses[0]
    assert not np.array_equal(clf._network._parameters.flat, first)
    cold = classifier(max_iter=5).fit(X, Y).fit(X, Y)
    assert cold.n_iter_ == 5


def test_warm_start_refuses_another_network():
    clf = classifier(warm_start=True, **FEW).fit(X, Y)
    with pytest.raises(ValueError, match="other sizes than the fitted"):
        clf.set_params(hidden_size=5).fit(X, Y)
    with pytest.raises(ValueError, match="no classes of the estimator"):
        clf.set_params(hidden_size=16).fit(X, Y + 1)


def test_a_warm_start_takes_up_another_loss():
    y = np.random.default_rng(0).exponential(1.0, 60)
    reg = regressor(warm_start=True, max_iter=2).fit(X, y)
    reg.set_params(loss="poisson").fit(X, y)
    assert reg.out_activation_ == "exp"
    assert (reg.predict(X) > 0).all()


def test_partial_fit_takes_up_dropout():
    clf = classifier().partial_fit(X, Y, classes=[0, 1])
    other = pickle.loads(pickle.dumps(clf)).set_params(dropout=0.5)
    clf.partial_fit(X, Y)
    other.partial_fit(X, Y)
    assert other.loss_curve_[1] != clf.loss_curve_[1]


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize("settings", [{}, {"dropout": 0.5}, {"solver": "sgd"}], ids=str)
def test_partial_fit_is_a_fit_in_parts(make, settings):
    extra = {"classes": [0, 1]} if make is classifier else {}
    parts = make(**settings)
    for _ in range(4):
        parts.partial_fit(X, Y, **extra)
    whole = make(max_iter=4, **settings).fit(X, Y)
    assert parts.loss_curve_ == whole.loss_curve_
    flat, expected = (e._network._parameters.flat for e in (parts, whole))
    assert_same_bits("parameters", flat, expected)
    assert parts.t_ == whole.t_ == 240


@pytest.mark.parametrize("make", [classifier, regressor])
def test_partial_fit_goes_on_after_a_pickle(make):
    extra = {"classes": [0, 1]} if make is classifier else {}
    one = make().partial_fit(X, Y, **extra)
    two = pickle.loads(pickle.dumps(one))
    one.partial_fit(X, Y)
    two.partial_fit(X, Y)
    assert one.loss_curve_ == two.loss_curve_
    assert_same_bits("predictions", one.predict(X), two.predict(X))


@pytest.mark.parametrize("warm", [False, True], ids=["partial_fit", "warm_start"])
def test_other_columns_are_refused_before_training(warm):
    pandas = pytest.importorskip("pandas")
    rows = np.array([x[-3:, 0] for x in X])
    frame = pandas.DataFrame(rows, columns=["a", "b", "c"])
    other = frame.rename(columns={"c": "d"})
    clf = classifier(warm_start=warm, **FEW).fit(frame, Y)
    before = clf.predict_proba(frame)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.fit(other, Y) if warm else clf.partial_fit(other, Y)
    assert clf.n_iter_ == 3
    assert_same_bits("proba", clf.predict_proba(frame), before)


def test_partial_fit_sees_classes_to_come():
    clf = classifier().partial_fit(X[:2], [0, 0], classes=[0, 1, 2])
    assert clf.classes_.tolist() == [0, 1, 2]
    clf.partial_fit(X, Y)
    assert clf.predict_proba(X).shape == (60, 3)
    with pytest.raises(ValueError, match="is not the same as on last call"):
        clf.partial_fit(X, Y, classes=[0, 1])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        classifier().partial_fit(X, Y)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'") as info:
        classifier(early_stopping=True).partial_fit(X, Y, classes=[0, 1])
    assert "does not support early_stopping" in str(info.value.__cause__)


def test_an_interrupted_partial_fit_leaves_the_model_alone(monkeypatch):
    clf = classifier().partial_fit(X, Y, classes=[0, 1])
    before = clf.predict_proba(X)
    run_batch, calls = Trainer._run_batch, []

    def interrupted(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return run_batch(self, *arguments)

    monkeypatch.setattr(Trainer, "_run_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clf.partial_fit(X, Y)
    assert_same_bits("proba", clf.predict_proba(X), before)
    assert clf.n_iter_ == 1


# -- weights --


def test_sample_weight_moves_the_model_to_the_heavy_samples():
    conflicting = [x.copy() for x in X] + [x.copy() for x in X]
    y = np.concatenate([Y, 1 - Y])
    weight = np.concatenate([np.full(60, 10.0), np.ones(60)])
    clf = classifier().fit(conflicting, y, weight)
    assert clf.score(X, Y) > 0.9
    other = classifier().fit(conflicting, y, weight[::-1])
    assert other.score(X, Y) < 0.1
    reg = regressor().fit(conflicting, y, weight)
    assert np.corrcoef(reg.predict(X), Y)[0, 1] > 0.8


def test_samples_without_weight_are_left_out():
    weight = np.ones(60)
    weight[::3] = 0
    kept = np.flatnonzero(weight)
    part = classifier(max_iter=5).fit([X[i] for i in kept], Y[kept])
    whole = classifier(max_iter=5).fit(X, Y, weight)
    assert part.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(60), "all are 0|zero"),
        (-np.ones(60), "must not be negative, got -1"),
        (np.ones(59), r"sample_weight.shape == \(59,\)"),
        (np.full(60, np.nan), "contains NaN"),
    ],
    ids=["zero", "negative", "short", "nan"],
)
def test_bad_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, Y, weight)


def test_class_weight():
    y = np.array([0] * 50 + [1] * 10)
    rng = np.random.default_rng(0)
    noise = [rng.uniform(-1, 1, (5, 2)) for _ in y]
    settings = {"max_iter": 20, "pooling": "mean"}
    plain = classifier(**settings).fit(noise, y)
    balanced = classifier(class_weight="balanced", **settings).fit(noise, y)
    heavy = classifier(class_weight={0: 1.0, 1: 5.0}, **settings).fit(noise, y)
    counts = [clf.predict_proba(noise)[:, 1].mean() for clf in (plain, balanced, heavy)]
    assert counts[0] < 0.3 < counts[1]
    # 60 / (2 * 10) against 60 / (2 * 50): a ratio of 5.
    np.testing.assert_allclose(counts[1], counts[2], rtol=0.02)
    with pytest.raises(ValueError, match="class_weight|class label"):
        classifier(class_weight={0: 1.0, 7: 2.0}).fit(noise, y)


# -- the regressor's losses --


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, lambda y: y.mean()),
        ({"loss": "absolute_error"}, np.median),
        ({"loss": "quantile", "quantile": 0.9}, lambda y: np.quantile(y, 0.9)),
        ({"loss": "quantile", "quantile": 0.2}, lambda y: np.quantile(y, 0.2)),
        ({"loss": "poisson"}, lambda y: y.mean()),
        ({"loss": "huber", "delta": 1e-3}, np.median),
        ({"loss": "huber", "delta": 1e3}, lambda y: y.mean()),
    ],
    ids=value_name,
)
def test_losses_of_the_regressor(settings, expected):
    # Nothing to learn from the sequences: what is left is what the loss aims at.
    y = np.random.default_rng(0).exponential(1.0, 400)
    rate = {"learning_rate": "cosine", "learning_rate_init": 0.02, "batch_size": 400}
    reg = regressor(4, **rate | {"max_iter": 400}, **settings).fit(np.ones((400, 2)), y)
    predicted = reg.predict(np.ones((1, 2)))
    np.testing.assert_allclose(predicted, expected(y), rtol=0.05)
    activation = "exp" if settings.get("loss") == "poisson" else "identity"
    assert reg.out_activation_ == activation


def test_poisson_refuses_negative_targets():
    with pytest.raises(ValueError, match=r"targets must be in \[0, inf\)"):
        regressor(loss="poisson").fit(X, Y - 1.0)


# -- callbacks --


def test_callbacks_see_each_epoch():
    seen = []
    clf = classifier(max_iter=4, early_stopping=True, callbacks=seen.append).fit(X, Y)
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4]
    assert [epoch.loss for epoch in seen] == clf.loss_curve_
    assert [epoch.validation_score for epoch in seen] == clf.validation_scores_
    assert {epoch.learning_rate for epoch in seen} == {0.02}
    assert seen[0].network.output_size == 2


def test_a_callback_ends_training():
    calls = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        clf = classifier(callbacks=[lambda epoch: epoch.number == 3, calls.append])
        clf.fit(X, Y)
    assert clf.n_iter_ == len(calls) == 3


def test_an_error_in_a_callback_keeps_the_finished_epochs():
    def fail(epoch):
        if epoch.number == 3:
            raise RuntimeError("mine")

    clf = classifier(callbacks=fail)
    with pytest.raises(RuntimeError, match="mine"):
        clf.fit(X, Y)
    assert clf.n_iter_ == 3
    twin = classifier(max_iter=3).fit(X, Y)
    assert_same_bits("proba", clf.predict_proba(X), twin.predict_proba(X))


# -- what can be looked at --


def test_hidden_states_are_those_of_the_layers():
    clf = classifier((9, 5), dropout=0.2, **FEW).fit(X, Y)
    states = clf.hidden_states(X)
    first, _, second, *_ = clf._network.layers
    for x, state in zip(X, states, strict=True):
        output, _ = first(x.astype(np.float32))
        assert_same_bits("states", state, second(output)[0])
    array = np.array([x[-3:] for x in X])
    assert clf.hidden_states(array).shape == (60, 3, 5)


def test_attention_weights():
    clf = classifier(pooling="attention", **FEW).fit(X, Y)
    weights = clf.attention_weights(X)
    for w, x, state in zip(weights, X, clf.hidden_states(X), strict=True):
        assert w.shape == (len(x),)
        scores = state.astype(float) @ clf._network.state_dict()["1.weight"][0]
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(w, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="attention_weights needs pooling"):
        classifier(**FEW).fit(X, Y).attention_weights(X)


def test_summary():
    clf = classifier((9, 5), pooling="mean", dense_sizes=(4,), dropout=0.2, **FEW)
    lines = clf.fit(X, Y).summary().splitlines()
    assert [line.split()[0].split("(")[0] for line in lines[2:-2]] == [
        layer.__name__ for layer in kinds(clf)
    ]
    total = clf._network._parameters.flat.size
    assert lines[-1] == f"{total:,} parameters, float32"
    assert "(n, T, 9)" in lines[2]
    assert "(n, 4)" in lines[7]


def test_the_transformer_has_the_parameters_of_the_others():
    ours, theirs = GRUTransformer().get_params(), GRUClassifier().get_params()
    assert set(theirs) - set(ours) == {"return_sequences", "class_weight"}
    assert set(GRURegressor().get_params()) - set(ours) == {
        "return_sequences",
        "loss",
        "quantile",
        "delta",
    }
    assert clone(transformer()).get_params() == transformer().get_params()
