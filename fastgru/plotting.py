"""Pictures of a fitted estimator.  Matplotlib is imported when something is drawn."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from sklearn.metrics import ConfusionMatrixDisplay

__all__ = ["LossCurveDisplay", "plot_attention", "plot_confusion"]


class LossCurveDisplay:
    """The loss of each epoch, and the validation score where there is one.

    It is best created with :meth:`from_estimator`.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Loss after each epoch.
    validation_scores : array-like of shape (n_epochs,), default=None
        Score on the validation set after each epoch; None where training did not
        hold one out.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the loss.
    figure_ : matplotlib Figure
        The figure that contains the axes.
    line_ : matplotlib Line2D
        The loss.
    validation_ax_ : matplotlib Axes or None
        Axes of the validation score: the same epochs, a scale of its own.
    validation_line_ : matplotlib Line2D or None
        The validation score.

    See Also
    --------
    plot_confusion : Which classes are taken for which.
    plot_attention : Which steps of a sequence count.

    Examples
    --------
    >>> from fastgru.plotting import LossCurveDisplay
    >>> display = LossCurveDisplay([2.3, 1.1, 0.6]).plot()
    >>> display.ax_.get_xlabel()
    'Epoch'
    """

    ax_: Any
    figure_: Any
    line_: Any
    validation_ax_: Any
    validation_line_: Any

    def __init__(
        self, loss_curve: ArrayLike, validation_scores: ArrayLike | None = None
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_scores = validation_scores

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: "Axes | None" = None
    ) -> "LossCurveDisplay":
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : object
            A fitted :class:`~fastgru.GRUClassifier` or
            :class:`~fastgru.GRURegressor`, or any estimator with the attribute
            ``loss_curve_`` and possibly ``validation_scores_``.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator has not been fitted.
        """
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator, "loss_curve_")
        scores = getattr(estimator, "validation_scores_", None)
        return cls(estimator.loss_curve_, scores).plot(ax=ax)

    def plot(self, *, ax: "Axes | None" = None) -> "LossCurveDisplay":
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : LossCurveDisplay
            This object, with the attributes that end in an underscore set.
        """
        self.ax_ = _make_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        (self.line_,) = self.ax_.plot(
            _number_epochs(self.loss_curve), self.loss_curve, color="C0", label="loss"
        )
        self.ax_.set(xlabel="Epoch", ylabel="Loss")
        self.validation_ax_ = self.validation_line_ = None
        if self.validation_scores is not None:
            self._plot_validation_scores(self.validation_scores)
        return self

    def _plot_validation_scores(self, scores: ArrayLike) -> None:
        self.validation_ax_ = self.ax_.twinx()
        (self.validation_line_,) = self.validation_ax_.plot(
            _number_epochs(scores), scores, color="C1", label="validation score"
        )
        self.validation_ax_.set_ylabel("Validation score")
        # One legend for both axes, on the upper of the two.
        self.validation_ax_.legend(
            handles=[self.line_, self.validation_line_], loc="center right"
        )


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
        ax=_make_axes() if ax is None else ax,
        cmap="Blues",
        colorbar=False,
    )


def plot_attention(
    x: ArrayLike,
    weights: ArrayLike,
    *,
    feature_names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "tuple[Axes, Axes]":
    """Draw a sequence and, above it, how much attention each of its steps got.

    Parameters
    ----------
    x : array-like of shape (n_timesteps, n_features) or (n_timesteps,)
        One sequence, best scaled, since all features share the colours. What follows
        its end may be padding: it has no weights, is NaN in every feature, and is not
        drawn.
    weights : array-like of shape (n_timesteps,)
        Share of each step: a member of what ``attention_weights`` of an estimator
        returns.
    feature_names : sequence of str, one per feature, default=None
        Names of the features; None numbers them.
    ax : matplotlib Axes, default=None
        Where to draw, the weights included; None makes a new figure.

    Returns
    -------
    ax : matplotlib Axes
        The heat map: steps from left to right, features from top to bottom.
    weights_ax : matplotlib Axes
        The weights, over the same steps.

    Raises
    ------
    ValueError
        If ``x``, ``weights`` and ``feature_names`` do not fit each other.

    See Also
    --------
    fastgru.GRUClassifier.attention_weights : The weights.

    Examples
    --------
    >>> from fastgru.plotting import plot_attention
    >>> x = [[0.0, 1.0], [2.0, -1.0], [0.5, 0.0]]
    >>> ax, weights_ax = plot_attention(
    ...     x, [0.1, 0.7, 0.2], feature_names=["pitch", "volume"]
    ... )
    >>> ax.get_xlabel(), weights_ax.get_ylabel()
    ('Step', 'Weight')
    """
    values, shares = _check_attention(x, weights)
    n_timesteps, n_features = values.shape
    if feature_names is not None and len(feature_names) != n_features:
        raise ValueError(
            f"feature_names has {len(feature_names)} names, but x has {n_features} "
            f"features"
        )
    ax = _make_axes() if ax is None else ax
    from mpl_toolkits.axes_grid1 import make_axes_locatable

    ax.imshow(values.T, aspect="auto", interpolation="nearest", cmap="viridis")
    ax.set(xlabel="Step", ylabel="Feature")
    if feature_names is not None:
        ax.set_yticks(range(n_features), labels=list(feature_names))
        ax.set_ylabel("")
    weights_ax = make_axes_locatable(ax).append_axes(
        "top", size="30%", pad=0.1, sharex=ax
    )
    edges = np.arange(n_timesteps + 1) - 0.5
    weights_ax.stairs(shares, edges, fill=True, color="C1")
    weights_ax.tick_params(labelbottom=False)
    weights_ax.set(ylabel="Weight", ylim=(0, None))
    return ax, weights_ax


def _check_attention(x: ArrayLike, weights: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return a sequence by (step, feature), without padding, and its weights."""
    values, shares = np.asarray(x, dtype=float), np.asarray(weights, dtype=float)
    if values.ndim not in (1, 2) or values.size == 0:
        raise ValueError(
            "x must be one sequence of shape (n_timesteps, n_features) or "
            f"(n_timesteps,), got shape {values.shape}"
        )
    values = values.reshape(len(values), -1)
    if shares.ndim != 1:
        raise ValueError(
            f"weights must have shape (n_timesteps,), got shape {shares.shape}"
        )
    n_timesteps = len(shares)
    if len(values) < n_timesteps or not np.isnan(values[n_timesteps:]).all():
        raise ValueError(f"weights has {n_timesteps} steps, but x has {len(values)}")
    return values[:n_timesteps], shares


def _make_axes() -> "Axes":
    """Return the axes of a new figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib: pip install 'fastgru[plot]'"
        ) from error
    return plt.subplots()[1]


def _number_epochs(values: ArrayLike) -> np.ndarray:
    """Return 1, 2, ... for as many epochs as there are values."""
    return np.arange(1, np.size(values) + 1)
