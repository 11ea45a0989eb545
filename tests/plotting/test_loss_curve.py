"""The picture of a loss curve: what it shows, not how it looks."""

import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor

from fastgru.plotting import LossCurveDisplay


class ThreeEpochs(BaseEstimator):
    """Looks like an estimator that was fitted for three epochs."""

    def fit(self, X, y=None):
        self.loss_curve_ = [2.0, 1.0, 0.5]
        return self


def test_loss_curve_is_drawn_over_epochs_from_one():
    display = LossCurveDisplay.from_estimator(ThreeEpochs().fit(None))
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(display.line_.get_ydata(), [2.0, 1.0, 0.5])
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.ax_.get_ylabel() == "Loss"
    assert display.figure_ is display.ax_.figure
    assert display.validation_ax_ is None
    assert display.validation_line_ is None


def test_validation_scores_have_axes_of_their_own():
    display = LossCurveDisplay([2.0, 1.0], validation_scores=[0.4, 0.9]).plot()
    np.testing.assert_array_equal(display.validation_line_.get_ydata(), [0.4, 0.9])
    assert display.validation_ax_ is not display.ax_
    assert display.validation_ax_.get_ylabel() == "Validation score"
    labels = [text.get_text() for text in display.validation_ax_.get_legend().texts]
    assert labels == ["loss", "validation score"]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_loss_curve_of_a_real_estimator(early_stopping):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=60)
    estimator = MLPRegressor(
        hidden_layer_sizes=(4,),
        max_iter=400,
        tol=1e-2,
        n_iter_no_change=2,
        early_stopping=early_stopping,
        random_state=0,
    ).fit(X, y)
    display = LossCurveDisplay.from_estimator(estimator)
    assert len(display.line_.get_ydata()) == estimator.n_iter_
    assert (display.validation_line_ is not None) == early_stopping


def test_given_axes_are_used(pyplot):
    figure, ax = pyplot.subplots()
    assert LossCurveDisplay([1.0]).plot(ax=ax).ax_ is ax
    assert pyplot.get_fignums() == [figure.number]


def test_estimator_without_loss_curve_is_refused():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(LinearRegression())


def test_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"fastgru\[plot\]"):
        LossCurveDisplay([1.0]).plot()
