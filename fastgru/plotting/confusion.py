"""Which classes are taken for which."""

from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from fastgru.plotting._axes import make_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.metrics import ConfusionMatrixDisplay


def plot_confusion(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    display_labels: ArrayLike | None = None,
    ax: "Axes | None" = None,
) -> "ConfusionMatrixDisplay":
    """Draw how often each class was taken for each other.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels.
    display_labels : array-like of shape (n_classes,), default=None
        Names of the classes, in the sorted order of the labels that occur; None
        shows the labels themselves.
    ax : matplotlib Axes, default=None
        Where to draw; None makes a new figure.

    Returns
    -------
    display : sklearn.metrics.ConfusionMatrixDisplay
        With the attributes ``ax_``, ``figure_`` and ``confusion_matrix``.

    See Also
    --------
    LossCurveDisplay : The loss over the epochs.

    Examples
    --------
    >>> from fastgru.plotting import plot_confusion
    >>> plot_confusion([0, 1, 1], [0, 1, 0]).confusion_matrix
    array([[1, 0],
           [1, 1]])
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    return ConfusionMatrixDisplay.from_predictions(
        y_true,
        y_pred,
        display_labels=display_labels,
        ax=make_axes() if ax is None else ax,
        cmap="Blues",
        colorbar=False,
    )
