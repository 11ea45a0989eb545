"""Which steps of a sequence count."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from fastgru.plotting._axes import make_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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
    ax = make_axes() if ax is None else ax
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
