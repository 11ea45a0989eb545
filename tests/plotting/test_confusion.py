"""The picture of confusions: what it shows, not how it looks."""

import numpy as np

from fastgru.plotting import plot_confusion


def test_confusion_counts_true_labels_by_row():
    display = plot_confusion([0, 1, 1, 2], [0, 1, 2, 2])
    np.testing.assert_array_equal(
        display.confusion_matrix, [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    )


def test_confusion_takes_names_and_axes(pyplot):
    _, ax = pyplot.subplots()
    display = plot_confusion([0, 1], [0, 1], display_labels=["no", "yes"], ax=ax)
    assert display.ax_ is ax
    assert [text.get_text() for text in ax.get_xticklabels()] == ["no", "yes"]
