"""The picture of attention: what it shows, not how it looks."""

import numpy as np
import pytest

from fastgru.plotting import plot_attention


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


def test_attention_takes_names_and_axes(pyplot):
    figure, given = pyplot.subplots()
    _, ax, _ = draw_attention(feature_names=["a", "b", "c"], ax=given)
    assert ax is given
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    assert pyplot.get_fignums() == [figure.number]


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


def test_attention_refuses_another_number_of_names(pyplot):
    with pytest.raises(ValueError, match="has 2 names, but x has 3 features"):
        draw_attention(feature_names=["a", "b"])
    assert pyplot.get_fignums() == []
