"""Losses: the mean loss of a batch of outputs, and its gradient.

The last axis of outputs holds the outputs of one row: one sequence, or one step of one.
All is computed in float64, the rows added up in order, by fastgru's own functions, so
that no CPU gives other bits.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from fastgru._checks import check_number
from fastgru.kernels import losses as kernels
from fastgru.layers._checks import readable

__all__ = [
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "Poisson",
    "Quantile",
    "SquaredError",
]


class Loss(ABC):
    """What all losses share: how they are called.

    ``loss(outputs, targets, sample_weight=None)`` returns the weighted mean of the
    rows' losses, a float, and its gradient with respect to the outputs, an array of
    their shape and dtype.

    - ``outputs`` is an ndarray of shape (..., n_outputs), float32 or float64, as layers
      and networks return it: a row per sequence, per step, or per step of each
      sequence.
    - ``targets`` are class numbers of shape (...) for :class:`CrossEntropy`, for the
      others numbers of the shape of ``outputs``.
    - ``sample_weight`` of shape (...) holds a finite weight per row, at least 0, or
      True and False; None means 1.  For all but :class:`CrossEntropy` it may also have
      the shape of ``outputs``, a weight per number.

    What has weight 0 is not read: its outputs and targets may be anything, NaN
    included, and its gradient is 0.  A mask of valid steps as ``sample_weight`` thus
    takes padding out of the mean.

    Attributes
    ----------
    activation : str
        What makes predictions of outputs: "identity", "softmax", "logistic" or "exp".

    Raises
    ------
    TypeError
        If an argument of a call is of the wrong kind, for example text, or floats as
        class numbers.
    ValueError
        If a shape does not fit; if ``outputs`` are neither float32 nor float64; if a
        target is out of range or not finite; if a weight is negative or not finite, or
        all weights are 0.

    Notes
    -----
    Large outputs do not overflow on the way: the loss is infinite only where it, or the
    weighted sum of the rows' losses, exceeds the largest float64, and a number of the
    gradient only where it exceeds the largest one of the outputs' dtype.  An output
    that is NaN or plus infinity makes the loss NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import SquaredError
    >>> outputs = np.array([[1.0], [3.0], [np.nan]])
    >>> targets = np.array([[0.0], [3.0], [np.nan]])
    >>> loss, d_outputs = SquaredError()(outputs, targets, sample_weight=[1, 1, 0])
    >>> loss, d_outputs.ravel().tolist()
    (0.25, [0.5, 0.0, 0.0])
    """

    activation: ClassVar[str] = "identity"

    @abstractmethod
    def __call__(
        self, outputs: Any, targets: Any, sample_weight: Any = None
    ) -> tuple[float, np.ndarray]:
        """Return the mean loss and its gradient, as the class describes."""

    def activate(self, outputs: Any) -> np.ndarray:
        """Return the predictions that outputs stand for.

        Parameters
        ----------
        outputs : ndarray of shape (..., n_outputs), float32 or float64

        Returns
        -------
        ndarray of shape (..., n_outputs)
            Of the same dtype: for "identity" the outputs themselves, for "softmax"
            probabilities that add up to 1 over the last axis, for "logistic"
            ``1 / (1 + exp(-outputs))``, for "exp" ``exp(outputs)``.

        Raises
        ------
        TypeError, ValueError
            If ``outputs`` are not as described.
        """
        return self._activate(_check_outputs(outputs))

    def _activate(self, outputs: np.ndarray) -> np.ndarray:
        return outputs

    def __repr__(self) -> str:
        settings = (f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({', '.join(settings)})"


class CrossEntropy(Loss):
    """Cross-entropy of classes; the outputs of a row are logits, one per class.

    A row with logits y and class c costs ``log(sum_k exp(y_k)) - y_c``, the negative
    log-likelihood of the class under the softmax of the logits [1]_.  Called as
    :class:`Loss` describes; targets are whole numbers from 0 to ``n_classes - 1``.

    Attributes
    ----------
    activation : str
        "softmax".

    See Also
    --------
    BinaryCrossEntropy : For two classes and one logit, or labels that may come
        together.

    References
    ----------
    .. [1] Bishop (2006), "Pattern recognition and machine learning", section 4.3.4.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import CrossEntropy
    >>> logits = np.log([[0.7, 0.2, 0.1], [0.25, 0.5, 0.25]])
    >>> loss, d_logits = CrossEntropy()(logits, [0, 1])
    >>> round(loss, 4)  # the mean of -log(0.7) and -log(0.5)
    0.5249
    >>> d_logits.round(3).tolist()
    [[-0.15, 0.1, 0.05], [0.125, -0.25, 0.125]]
    """

    activation = "softmax"

    def __call__(
        self, outputs: Any, targets: Any, sample_weight: Any = None
    ) -> tuple[float, np.ndarray]:
        """Return the mean loss and its gradient, as :class:`Loss` describes."""
        outputs = _check_outputs(outputs)
        shape, n_classes = outputs.shape[:-1], outputs.shape[-1]
        weights, total = _check_weights(sample_weight, shape)
        classes = _check_classes(targets, shape, n_classes, weights)
        d_outputs = np.empty(outputs.shape, outputs.dtype)
        loss = kernels.softmax_cross_entropy(
            d_outputs.reshape(-1, n_classes),
            readable(outputs).reshape(-1, n_classes),
            classes.reshape(-1),
            weights.reshape(-1),
            total,
        )
        return loss / total, d_outputs

    def _activate(self, outputs: np.ndarray) -> np.ndarray:
        probabilities = np.empty(outputs.shape, outputs.dtype)
        n_classes = outputs.shape[-1]
        kernels.softmax(
            probabilities.reshape(-1, n_classes),
            readable(outputs).reshape(-1, n_classes),
        )
        return probabilities


class _LossOfNumbers(Loss):
    """A loss with one target per output; a row costs the mean over its outputs."""

    # Which targets there may be, as an interval.
    _targets: ClassVar[str] = "(-inf, inf)"

    def __call__(
        self, outputs: Any, targets: Any, sample_weight: Any = None
    ) -> tuple[float, np.ndarray]:
        """Return the mean loss and its gradient, as :class:`Loss` describes."""
        outputs = _check_outputs(outputs)
        shape = outputs.shape
        weights, total = _check_weights(sample_weight, shape[:-1], shape)
        targets = _check_numbers(targets, shape, self._targets, weights)
        # With a weight per number, each number is a row.
        rows = (weights.size, -1)
        d_outputs = np.empty(shape, outputs.dtype)
        loss = self._sum(
            d_outputs.reshape(rows),
            readable(outputs).reshape(rows),
            targets.reshape(rows),
            weights.reshape(-1),
            total,
        )
        return loss / total, d_outputs

    @abstractmethod
    def _sum(
        self,
        d_outputs: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
        total: float,
    ) -> float:
        """Return the weighted sum over rows, and write the gradient of the mean."""


class BinaryCrossEntropy(_LossOfNumbers):
    """Cross-entropy of yes and no; each output is the logit of one label.

    A logit y with target t costs ``log(1 + exp(y)) - t * y``, the negative
    log-likelihood of t under the logistic function of y [1]_; a row costs the mean over
    its labels.  Called as :class:`Loss` describes; targets are 0 or 1, True or False,
    or probabilities between.

    Attributes
    ----------
    activation : str
        "logistic".

    See Also
    --------
    CrossEntropy : For classes of which each row has exactly one.

    References
    ----------
    .. [1] Bishop (2006), "Pattern recognition and machine learning", section 4.3.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import BinaryCrossEntropy
    >>> logits = np.array([[0.0], [np.log(3)]])
    >>> loss, d_logits = BinaryCrossEntropy()(logits, [[1], [0]])
    >>> round(loss, 4)  # the mean of -log(0.5) and -log(0.25)
    1.0397
    >>> d_logits.round(3).tolist()
    [[-0.25], [0.375]]
    """

    activation = "logistic"
    _targets = "[0, 1]"

    def _sum(self, *arguments: Any) -> float:
        return kernels.binary_cross_entropy(*arguments)

    def _activate(self, outputs: np.ndarray) -> np.ndarray:
        probabilities = np.empty(outputs.shape, outputs.dtype)
        kernels.logistic(probabilities.reshape(-1), readable(outputs).reshape(-1))
        return probabilities


class SquaredError(_LossOfNumbers):
    """Half the mean squared error.

    An output y with target t costs ``(y - t)**2 / 2``; a row costs the mean over its
    outputs.  Minimised by the mean of the targets.  Called as :class:`Loss` describes.

    Attributes
    ----------
    activation : str
        "identity".

    References
    ----------
    .. [1] Bishop (2006), "Pattern recognition and machine learning", section 3.1.1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import SquaredError
    >>> SquaredError()(np.array([[1.0, 2.0]]), [[0.0, 4.0]])
    (1.25, array([[ 0.5, -1. ]]))
    """

    def _sum(self, *arguments: Any) -> float:
        return kernels.half_squared_error(*arguments)


class AbsoluteError(_LossOfNumbers):
    """Mean absolute error.

    An output y with target t costs ``abs(y - t)``; a row costs the mean over its
    outputs.  Minimised by the median of the targets.  Called as :class:`Loss`
    describes.

    Attributes
    ----------
    activation : str
        "identity".

    See Also
    --------
    Huber : The same far off, smooth near the target.

    Notes
    -----
    Where output and target are equal, the subgradient 0 is taken.

    References
    ----------
    .. [1] Koenker and Bassett (1978), "Regression quantiles", Econometrica 46(1),
       section 3, for the median.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import AbsoluteError
    >>> AbsoluteError()(np.array([[1.0, 2.0]]), [[0.0, 4.0]])
    (1.5, array([[ 0.5, -0.5]]))
    """

    def _sum(self, *arguments: Any) -> float:
        return kernels.absolute_error(*arguments)


class Huber(_LossOfNumbers):
    """Huber's loss: half the squared error near the target, linear farther off.

    An output with error ``e = y - t`` costs ``e**2 / 2`` where ``abs(e) <= delta`` and
    ``delta * (abs(e) - delta / 2)`` elsewhere [1]_; a row costs the mean over its
    outputs.  Called as :class:`Loss` describes.

    Parameters
    ----------
    delta : float, default=1.0
        Error from which the loss is linear, positive, in units of the targets.

    Attributes
    ----------
    activation : str
        "identity".

    Raises
    ------
    TypeError
        If ``delta`` is not a number.
    ValueError
        If ``delta`` is not positive and finite.

    References
    ----------
    .. [1] Huber (1964), "Robust estimation of a location parameter", Annals of
       Mathematical Statistics 35(1), section 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import Huber
    >>> Huber(delta=1.0)(np.array([[0.5, 2.0]]), [[0.0, 4.0]])
    (0.8125, array([[ 0.25, -0.5 ]]))
    """

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = check_number("delta", delta, "(0, inf)")

    def _sum(self, *arguments: Any) -> float:
        return kernels.huber_loss(*arguments, self.delta)


class Quantile(_LossOfNumbers):
    """Pinball loss, minimised by a quantile of the targets.

    An output y with target t costs ``quantile * (t - y)`` where it is too low and
    ``(1 - quantile) * (y - t)`` where it is too high [1]_; a row costs the mean over
    its outputs.  Called as :class:`Loss` describes.

    Parameters
    ----------
    quantile : float, default=0.5
        Which quantile, between 0 and 1; 0.5 is the median, and the loss then half the
        absolute error.

    Attributes
    ----------
    activation : str
        "identity".

    Raises
    ------
    TypeError
        If ``quantile`` is not a number.
    ValueError
        If ``quantile`` is not between 0 and 1.

    Notes
    -----
    Where output and target are equal, the subgradient 0 is taken.

    References
    ----------
    .. [1] Koenker and Bassett (1978), "Regression quantiles", Econometrica 46(1),
       section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import Quantile
    >>> Quantile(0.75)(np.array([[1.0, 2.0]]), [[0.0, 4.0]])
    (0.875, array([[ 0.125, -0.375]]))
    """

    def __init__(self, quantile: float = 0.5) -> None:
        self.quantile = check_number("quantile", quantile, "(0, 1)")

    def _sum(self, *arguments: Any) -> float:
        return kernels.pinball_loss(*arguments, self.quantile)


class Poisson(_LossOfNumbers):
    """Poisson loss of counts; each output is the logarithm of an expected count.

    An output y with target t costs ``exp(y) - t * y``, the negative log-likelihood of t
    under the Poisson distribution of mean ``exp(y)``, less ``log(t!)`` which no output
    changes [1]_; a row costs the mean over its outputs.  Called as :class:`Loss`
    describes; targets are at least 0 and need not be whole.

    Attributes
    ----------
    activation : str
        "exp".

    References
    ----------
    .. [1] McCullagh and Nelder (1989), "Generalized linear models", 2nd edition,
       section 6.2.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.losses import Poisson
    >>> loss, d_outputs = Poisson()(np.log([[2.0, 4.0]]), [[2, 0]])
    >>> round(loss, 4), d_outputs.round(4).tolist()
    (2.3069, [[0.0, 2.0]])
    """

    activation = "exp"
    _targets = "[0, inf)"

    def _sum(self, *arguments: Any) -> float:
        return kernels.poisson_loss(*arguments)

    def _activate(self, outputs: np.ndarray) -> np.ndarray:
        means = np.empty(outputs.shape, outputs.dtype)
        kernels.exponential(means.reshape(-1), readable(outputs).reshape(-1))
        return means


# -- checks ----------------------------------------------------------------------------


def _check_kind(name: str, value: Any, kinds: str, expected: str) -> np.ndarray:
    """Return an array of one of the kinds of dtype, or say what came instead."""
    array = np.asarray(value)
    if array.dtype.kind not in kinds:
        raise TypeError(f"{name} must be {expected}, got dtype {array.dtype}")
    return array


def _check_outputs(outputs: Any) -> np.ndarray:
    outputs = _check_kind("outputs", outputs, "fiub", "numbers")
    if outputs.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"outputs must be of dtype float32 or float64, got dtype {outputs.dtype}"
        )
    if outputs.size == 0 or outputs.ndim == 0:
        raise ValueError(
            "outputs must have at least 1 row and 1 output per row, "
            f"got shape {outputs.shape}"
        )
    return outputs


def _check_weights(
    sample_weight: Any, *shapes: tuple[int, ...]
) -> tuple[np.ndarray, float]:
    """Return the weights, by default ones of the first of these shapes, and the sum."""
    if sample_weight is None:
        weights = np.ones(shapes[0])
    else:
        weights = _check_kind("sample_weight", sample_weight, "fiub", "numbers")
        if weights.shape not in shapes:
            raise ValueError(
                f"sample_weight must have shape {' or '.join(map(str, shapes))}, "
                f"got shape {weights.shape}"
            )
        is_right = np.isfinite(weights) & (weights >= 0)
        if not is_right.all():
            place = tuple(np.argwhere(~is_right)[0].tolist())
            raise ValueError(
                "sample_weight must be finite and not negative, "
                f"got {weights[place]} at {place}"
            )
        weights = readable(weights.astype(np.float64, copy=False))
    total = kernels.sum_in_order(weights.reshape(-1))
    if not 0 < total < np.inf:
        raise ValueError(
            f"the sum of sample_weight must be positive and finite, got {total}"
        )
    return weights, total


def _check_classes(
    targets: Any, shape: tuple[int, ...], n_classes: int, weights: np.ndarray
) -> np.ndarray:
    targets = _check_kind("targets", targets, "iu", "class numbers, which are integers")
    if targets.shape != shape:
        raise ValueError(
            f"targets must have shape {shape}, one class number per row of outputs, "
            f"got shape {targets.shape}"
        )
    is_class = (targets >= 0) & (targets < n_classes)
    _refuse(targets, (weights > 0) & ~is_class, f"from 0 to {n_classes - 1}")
    return readable(targets.astype(np.int64, copy=False))


def _check_numbers(
    targets: Any, shape: tuple[int, ...], interval: str, weights: np.ndarray
) -> np.ndarray:
    targets = _check_kind("targets", targets, "fiub", "numbers")
    if targets.shape != shape:
        raise ValueError(
            f"targets must have the shape of outputs, {shape}, "
            f"got shape {targets.shape}"
        )
    low, high = map(float, interval[1:-1].split(","))
    fits = np.isfinite(targets) & (low <= targets) & (targets <= high)
    weights = weights if weights.shape == shape else weights[..., np.newaxis]
    _refuse(targets, (weights > 0) & ~fits, f"in {interval}")
    return readable(targets.astype(np.float64, copy=False))


def _refuse(targets: np.ndarray, wrong: np.ndarray, expected: str) -> None:
    """Raise an error that names the first wrong target, if there is one."""
    places = np.argwhere(wrong)
    if len(places) > 0:
        place = tuple(places[0].tolist())
        raise ValueError(f"targets must be {expected}, got {targets[place]} at {place}")
