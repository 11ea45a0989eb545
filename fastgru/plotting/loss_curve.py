"""The loss over the epochs."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastgru.plotting._axes import make_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
        self.ax_ = make_axes() if ax is None else ax
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


def _number_epochs(values: ArrayLike) -> np.ndarray:
    """Return 1, 2, ... for as many epochs as there are values."""
    return np.arange(1, np.size(values) + 1)
