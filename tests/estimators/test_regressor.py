"""The regressor: one target or several, and training against PyTorch's."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score

from cases import BOTH_CELLS, BOTH_DTYPES
from fastgru import GRURegressor
from fastgru.estimators._tasks import Numbers
from problems import draw_sequences, last_sums, pad, regressor
from tolerances import assert_close, assert_same_bits
from twin import Twin, first_parameters

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = draw_sequences()
Y = last_sums(X)
X_NEW = draw_sequences(seed=1)
Y_NEW = last_sums(X_NEW)


# -- learning --


@BOTH_CELLS
@BOTH_DTYPES
def test_it_learns_from_a_list(dtype, reset_after):
    reg = regressor(reset_after=reset_after, dtype=np.dtype(dtype).name).fit(X, Y)
    assert reg.score(X, Y) > 0.9
    assert reg.score(X_NEW, Y_NEW) > 0.8
    assert reg.predict(X).dtype == np.float64  # whatever the network's


def test_it_learns_from_a_3d_array():
    cut, new = (np.array([x[-3:] for x in part]) for part in (X, X_NEW))
    assert regressor().fit(cut, Y).score(new, Y_NEW) > 0.8


def test_it_learns_from_a_padded_3d_array():
    assert regressor().fit(pad(X, n_more=2), Y).score(pad(X_NEW), Y_NEW) > 0.8


def test_it_learns_from_a_2d_array():
    rows, new_rows = (np.array([x[-3:, 0] for x in part]) for part in (X, X_NEW))
    reg = regressor().fit(rows, Y)
    assert reg.score(new_rows, Y_NEW) > 0.8
    assert reg.n_features_in_ == 3


# -- targets --


def test_several_targets():
    y, y_new = (
        np.array([[x[-3:, 0].sum(), x[-1, 1], -x[-1, 0]] for x in part])
        for part in (X, X_NEW)
    )
    reg = regressor(max_iter=80).fit(X, y)
    predicted = reg.predict(X_NEW)
    assert predicted.shape == (len(X_NEW), 3)
    assert reg.n_outputs_ == 3
    for k in range(3):
        assert r2_score(y_new[:, k], predicted[:, k]) > 0.8, f"target {k}"


def test_predictions_have_the_shape_of_the_targets():
    flat = regressor(max_iter=3).fit(X, Y)
    column = regressor(max_iter=3).fit(X, Y[:, np.newaxis])
    assert flat.predict(X).shape == (60,)
    assert column.predict(X).shape == (60, 1)
    assert_same_bits("predictions", column.predict(X)[:, 0], flat.predict(X))
    assert column.loss_curve_ == flat.loss_curve_


def test_targets_may_be_a_list_or_integers():
    expected = regressor(max_iter=3).fit(X, np.round(Y)).loss_curve_
    assert regressor(max_iter=3).fit(X, np.round(Y).tolist()).loss_curve_ == expected
    integers = np.round(Y).astype(int)
    assert regressor(max_iter=3).fit(X, integers).loss_curve_ == expected


def test_the_loss_is_half_the_mean_squared_error():
    reg = regressor(max_iter=1, learning_rate_init=1e-300, alpha=0, dtype="float64")
    y = np.array([Y, 2 * Y]).T
    reg.fit(X, y)
    assert reg.loss_ == pytest.approx(0.5 * np.mean((reg.predict(X) - y) ** 2))


def test_fitted_attributes():
    reg = regressor(max_iter=7).fit(X, Y)
    assert reg.out_activation_ == "identity"
    assert reg.n_outputs_ == 1
    assert reg.n_iter_ == len(reg.loss_curve_) == 7
    assert reg.loss_ == reg.loss_curve_[-1]
    assert reg.best_loss_ == min(reg.loss_curve_)
    assert reg.validation_scores_ is reg.best_validation_score_ is None


# -- validation --


def test_early_stopping_keeps_the_best_weights():
    settings = {"early_stopping": True, "validation_fraction": 0.25, "max_iter": 20}
    reg = regressor(learning_rate_init=0.2, **settings).fit(X, Y)
    best = max(reg.validation_scores_)
    assert reg.best_validation_score_ == best
    assert reg.best_loss_ is None
    n_epochs = reg.validation_scores_.index(best) + 1
    assert n_epochs < 20  # the rate is so high that it does not stay there
    early = clone(reg).set_params(max_iter=n_epochs).fit(X, Y)
    assert_same_bits("predictions", early.predict(X), reg.predict(X))


def test_the_validation_score_is_r_squared(monkeypatch):
    reg = regressor(early_stopping=True, validation_fraction=0.5)
    seen, scored = [], Numbers.score
    monkeypatch.setattr(
        Numbers,
        "score",
        lambda self, targets, outputs: (
            seen.append((targets, outputs)) or scored(self, targets, outputs)
        ),
    )
    reg.fit(X, Y)
    expected = [r2_score(targets, outputs) for targets, outputs in seen]
    assert reg.validation_scores_ == expected
    assert max(expected) > 0.7


# -- against PyTorch --


@pytest.mark.parametrize("clip_norm", [None, 0.2])
def test_the_losses_and_parameters_are_those_of_torch(clip_norm):
    torch = pytest.importorskip("torch")
    y = np.array([[x[-3:, 0].sum(), x[-1, 1]] for x in X])
    reg = GRURegressor(
        8,
        shuffle=False,
        batch_size=25,  # leaves 10 to the last
        max_iter=4,
        alpha=0.1,
        learning_rate_init=0.02,
        clip_norm=clip_norm,
        dtype="float64",
        random_state=3,
    )
    twin = Twin(first_parameters(clone(reg), X, y))
    losses = twin.train(
        X,
        y,
        lambda outputs, targets: 0.5 * torch.nn.functional.mse_loss(outputs, targets),
        n_epochs=4,
        batch_size=25,
        rate=0.02,
        betas=(0.9, 0.999),
        epsilon=1e-8,
        alpha=0.1,
        max_norm=clip_norm,
    )
    reg.fit(X, y)
    np.testing.assert_allclose(reg.loss_curve_, losses, rtol=1e-9)
    for name, expected in twin.parameters_by_name().items():
        actual = reg._network.state_dict()[name]
        assert_close(name, actual, expected, np.float64, tolerance=1e-8)
    expected = twin.outputs(X_NEW).detach().numpy()
    actual = reg.predict(X_NEW)
    assert_close("predictions", actual, expected, np.float64, tolerance=1e-8)


# -- refused targets --


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "GRURegressor requires y to be passed, but the target y is None"),
        (np.where(Y > 0, np.nan, Y), "Input y contains NaN"),
        (np.where(Y > 0, np.inf, Y), "Input y contains infinity"),
        (np.zeros((60, 2, 2)), r"got shape \(60, 2, 2\)|dim 3"),
        (["a"] * 60, "could not convert string to float: .*a"),
        (Y[:-1], r"inconsistent numbers of samples: \[60, 59\]"),
    ],
    ids=["none", "nan", "infinity", "3d", "text", "short"],
)
def test_targets_that_are_refused(y, message):
    with pytest.raises(ValueError, match=message):
        regressor().fit(X, y)
