"""Pictures, drawn without a screen: what they show, not how they look."""

import sys

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.neural_network import MLPRegressor

from fastgru.plotting import LossCurveDisplay, plot_attention, plot_confusion

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


class ThreeEpochs(BaseEstimator):
    """Looks like an estimator that was fitted for three epochs."""

    def fit(self, X, y=None):
        self.loss_curve_ = [2.0, 1.0, 0.5]
        return self


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


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


def test_given_axes_are_used():
    figure, ax = plt.subplots()
    assert LossCurveDisplay([1.0]).plot(ax=ax).ax_ is ax
    assert plt.get_fignums() == [figure.number]


def test_estimator_without_loss_curve_is_refused():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(LinearRegression())


def test_confusion_counts_true_labels_by_row():
    display = plot_confusion([0, 1, 1, 2], [0, 1, 2, 2])
    np.testing.assert_array_equal(
        display.confusion_matrix, [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    )


def test_confusion_takes_names_and_axes():
    _, ax = plt.subplots()
    display = plot_confusion([0, 1], [0, 1], display_labels=["no", "yes"], ax=ax)
    assert display.ax_ is ax
    assert [text.get_text() for text in ax.get_xticklabels()] == ["no", "yes"]


def draw_attention(**settings):
    """Draw a sequence of 5 steps and 3 features."""
    x = np.arange(15.0).reshape(5, 3)
    return x, *plot_attention(x, [0.1, 0.2, 0.4, 0.2, 0.1], **settings)


def test_attention_shows_features_over_steps_and_the_weight_of_each():
    x, ax, weights_ax = draw_attention()
    (image,) = ax.images
    np.testing.assert_array_equal(image.get_array(), x.T)
    (bars,) = weights_ax.patches
    np.testing.assert_array_equal(bars.get_data().values, [0.1, 0.2, 0.4, 0.2, 0.1])
    # The bar of a step stands over the column of that step.
    np.testing.assert_array_equal(bars.get_data().edges, np.arange(6) - 0.5)
    assert tuple(weights_ax.get_xlim()) == tuple(ax.get_xlim()) == (-0.5, 4.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Step", "Feature")
    assert weights_ax.figure is ax.figure


def test_attention_takes_names_and_axes():
    figure, given = plt.subplots()
    _, ax, _ = draw_attention(feature_names=["a", "b", "c"], ax=given)
    assert ax is given
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert plt.get_fignums() == [figure.number]


def test_attention_of_a_single_feature():
    ax, _ = plot_attention([1.0, 2.0, 3.0], [0.2, 0.3, 0.5])
    np.testing.assert_array_equal(ax.images[0].get_array(), [[1.0, 2.0, 3.0]])


def test_attention_does_not_draw_padding():
    x = np.full((4, 2), np.nan)
    x[:3] = 1.0
    ax, _ = plot_attention(x, [0.2, 0.3, 0.5])
    assert ax.images[0].get_array().shape == (2, 3)


@pytest.mark.parametrize(
    ("x", "weights", "message"),
    [
        (np.ones((2, 3, 4)), [0.5, 0.5], r"got shape \(2, 3, 4\)"),
        (np.ones((0, 3)), [], r"got shape \(0, 3\)"),
        (np.ones((2, 3)), [[0.5, 0.5]], r"\(n_timesteps,\), got shape \(1, 2\)"),
        (np.ones((2, 3)), [0.2, 0.3, 0.5], "weights has 3 steps, but x has 2"),
        (np.ones((4, 3)), [0.2, 0.3, 0.5], "weights has 3 steps, but x has 4"),
    ],
)
def test_attention_refuses_what_does_not_fit(x, weights, message):
    with pytest.raises(ValueError, match=message):
        plot_attention(x, weights)


def test_attention_refuses_another_number_of_names():
    with pytest.raises(ValueError, match="has 2 names, but x has 3 features"):
        draw_attention(feature_names=["a", "b"])
    assert plt.get_fignums() == []


def test_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"fastgru\[plot\]"):
        LossCurveDisplay([1.0]).plot()
