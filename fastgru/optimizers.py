"""Optimisers: they change the parameters of a layer or network by gradients.

Every number is changed by itself, so threads and CPUs change no bits, and parameters of
all names at once, or, when something does not fit, none.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from fastgru._checks import check_number
from fastgru.kernels import updates
from fastgru.layers._checks import check_flag, readable
from fastgru.parameters import ParameterSet

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "clip_norm"]


def clip_norm(gradients: Any, max_norm: float | None) -> float:
    """Scale gradients in place so that their Euclidean norm is at most ``max_norm``.

    The norm is that of all gradients together.

    Parameters
    ----------
    gradients : gradients of a pullback, or mapping of str to ndarray
        What :meth:`Optimizer.step` takes; only the gradients of parameters are scaled.
    max_norm : float or None
        Positive; None leaves the gradients as they are.

    Returns
    -------
    float
        The norm before.  If it is not finite, because a gradient or the sum of squares
        is not, the gradients are left as they are.

    Raises
    ------
    TypeError
        If there are no gradients in ``gradients``, or ``max_norm`` is not a number.
    ValueError
        If a gradient is neither float32 nor float64 or cannot be written to, or
        ``max_norm`` is not positive.

    Notes
    -----
    The limit of Pascanu et al. [1]_, section 3.2.

    References
    ----------
    .. [1] Pascanu, Mikolov and Bengio (2013), "On the difficulty of training recurrent
       neural networks", arXiv:1211.5063.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.optimizers import clip_norm
    >>> gradients = {"weight": np.array([[3.0, 0.0]]), "bias": np.array([4.0])}
    >>> clip_norm(gradients, max_norm=1.0)
    5.0
    >>> gradients["weight"].round(3), gradients["bias"].round(3)
    (array([[0.6, 0. ]]), array([0.8]))
    """
    if max_norm is not None:
        max_norm = check_number("max_norm", max_norm, "(0, inf]")
    by_name = _by_name(gradients)
    if isinstance(by_name, ParameterSet):
        arrays, flat = [by_name.flat], by_name.flat
    else:
        arrays = [_check_scalable(name, array) for name, array in by_name.items()]
        flat = np.concatenate([np.zeros(0), *(a.ravel(order="K") for a in arrays)])
    norm = math.sqrt(updates.sum_of_squares(flat))
    if max_norm is not None and math.isfinite(norm) and norm > max_norm:
        for array in arrays:
            array *= array.dtype.type(max_norm / norm)
    return norm


class Optimizer(ABC):
    """What all optimisers share: the layer that they change, and how they go on.

    An optimiser is made for one layer or network, and ``step`` changes it by gradients.
    What it remembers of former gradients is its own, so several may take turns.

    Parameters
    ----------
    layer : layer or network
        What to train.
    learning_rate : float
        Step size, finite and at least 0.  The attribute of this name may be set between
        steps.

    Notes
    -----
    Gradients that are not finite are applied like others, as PyTorch does; the norm
    that :func:`clip_norm` returns tells.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> optimizer = fastgru.optimizers.SGD(gru, learning_rate=0.1)
    >>> x, before = np.ones((5, 2, 3), np.float32), []
    >>> for n in range(2):
    ...     optimizer.learning_rate = 0.1 / (n + 1)
    ...     output, h_n, pullback = gru.vjp(x)
    ...     before.append(np.square(output).sum())
    ...     optimizer.step(pullback(2 * output))
    >>> bool(before[1] < before[0])
    True
    """

    # The constructor's arguments but the layer, which attributes of these names hold;
    # numbers that change with the steps; arrays, one per parameter.
    _settings: ClassVar[tuple[str, ...]]
    _power_names: ClassVar[tuple[str, ...]] = ()
    _moment_names: ClassVar[tuple[str, ...]]

    def __init__(self, layer: Any, learning_rate: float) -> None:
        if not (hasattr(layer, "_parameters") and hasattr(layer, "_pack")):
            raise TypeError(
                "layer must be a layer or network of fastgru, "
                f"got {type(layer).__name__}"
            )
        parameters = layer._parameters
        if parameters.flat.size == 0:
            raise ValueError(f"{type(layer).__name__} has no parameters to change")
        self.learning_rate = learning_rate
        self._layer = layer
        self._powers = dict.fromkeys(self._power_names, 1.0)
        shapes = {
            f"{moment}.{name}": shape
            for moment in self._moment_names
            for name, shape in parameters.shapes.items()
        }
        self._moments = ParameterSet(shapes, parameters.dtype)

    @property
    def learning_rate(self) -> float:
        """Step size, finite and at least 0; may be set between steps."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        self._learning_rate = check_number("learning_rate", value, "[0, inf)")

    def __repr__(self) -> str:
        settings = (f"{name}={getattr(self, name)!r}" for name in self._settings)
        return f"{type(self).__name__}({', '.join(settings)})"

    def step(self, gradients: Any) -> None:
        """Change the layer's parameters by their gradients.

        Parameters
        ----------
        gradients : gradients of a pullback, or mapping of str to ndarray
            What a pullback returned, or gradients by the names, in the shapes and of
            the dtype of the layer's ``state_dict``.

        Raises
        ------
        TypeError
            If there are no gradients in ``gradients``.
        ValueError
            If a name is missing or unexpected, or a shape or dtype differs; nothing is
            changed then.
        """
        parameters = self._layer._parameters
        self._update(parameters, _flat(gradients, parameters))
        self._layer._pack()

    @abstractmethod
    def _update(self, parameters: ParameterSet, gradients: np.ndarray) -> None:
        """Change the parameters by a flat vector of gradients."""

    def _flat_moments(self) -> np.ndarray:
        """Return the moments as flat vectors, the rows of one array."""
        return self._moments.flat.reshape(len(self._moment_names), -1)

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next steps depend on, besides the layer.

        Returns
        -------
        dict of str to float, bool or ndarray
            Settings and other numbers by name, and copies of what is remembered of each
            parameter: ``mean.weight_ih_l0`` and so on, in the parameter's shape.
        """
        settings = {name: getattr(self, name) for name in self._settings}
        return {**settings, **self._powers, **self._moments.copy_out()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from a state; when anything does not fit, nothing is changed.

        Parameters
        ----------
        state_dict : mapping of str to float, bool or array-like
            What ``state_dict`` of an optimiser of this class returned, for a layer with
            the same names, shapes and dtype.  Settings become those of the state.

        Raises
        ------
        TypeError
            If it is not a mapping, or a value of the wrong kind.
        ValueError
            If a name is missing or unexpected, a shape or dtype differs, or a number is
            out of range.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                "expected a mapping of names to values, "
                f"got {type(state_dict).__name__}"
            )
        arrays = dict(state_dict)
        missing = [n for n in (*self._settings, *self._power_names) if n not in arrays]
        if missing:
            raise ValueError(
                f"names do not match: missing {missing} of {type(self).__name__}"
            )
        settings = {name: arrays.pop(name) for name in self._settings}
        powers = {
            name: check_number(name, arrays.pop(name), "[0, 1]")
            for name in self._power_names
        }
        other = type(self)(self._layer, **settings)
        other._powers = powers
        other._moments.copy_in(arrays)
        self.__dict__.update(other.__dict__)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as ``MLPClassifier`` computes it.

    With velocity v, parameter p and gradient g, a step is::

        v = momentum * v - learning_rate * g
        p = p + v                                        nesterov=False
        p = p + momentum * v - learning_rate * g         nesterov=True

    Parameters
    ----------
    layer : layer or network
        What to train.
    learning_rate : float, default=0.001
        Step size, at least 0.
    momentum : float, default=0.9
        Share of the velocity that a step keeps, in [0, 1]; 0 for plain descent.
    nesterov : bool, default=True
        Whether to take Nesterov's momentum [1]_.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of range, or the layer has no parameters.

    Notes
    -----
    PyTorch multiplies by the learning rate after, not before adding to the velocity.
    The two agree as long as the learning rate stays the same.

    References
    ----------
    .. [1] Sutskever, Martens, Dahl and Hinton (2013), "On the importance of
       initialization and momentum in deep learning", ICML, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> optimizer = fastgru.optimizers.SGD(gru, learning_rate=0.1, momentum=0.0)
    >>> output, h_n, pullback = gru.vjp(np.ones((5, 2, 3), np.float32))
    >>> optimizer.step(pullback(np.ones_like(output)))
    """

    _settings = ("learning_rate", "momentum", "nesterov")
    _moment_names = ("velocity",)

    def __init__(
        self,
        layer: Any,
        learning_rate: float = 0.001,
        *,
        momentum: float = 0.9,
        nesterov: bool = True,
    ) -> None:
        self.momentum = check_number("momentum", momentum, "[0, 1]")
        self.nesterov = check_flag("nesterov", nesterov)
        super().__init__(layer, learning_rate)

    def _update(self, parameters: ParameterSet, gradients: np.ndarray) -> None:
        (velocity,) = self._flat_moments()
        kernel = updates.sgd_nesterov if self.nesterov else updates.sgd
        kernel(parameters.flat, gradients, velocity, self.learning_rate, self.momentum)


class Adam(Optimizer):
    """Adam [1]_, as ``MLPClassifier`` computes it.

    With the decaying means m of the gradients and v of their squares, step t is::

        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g**2
        rate = learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)
        p = p - rate * m / (sqrt(v) + epsilon)

    Parameters
    ----------
    layer : layer or network
        What to train.
    learning_rate : float, default=0.001
        Step size, at least 0.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the two means, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator, positive.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of range, or the layer has no parameters.

    See Also
    --------
    AdamW : With weight decay.

    Notes
    -----
    This is the form at the end of the paper's section 2.  Its algorithm 1 and PyTorch
    divide the root by ``sqrt(1 - beta_2**t)`` before epsilon is added, and not after.

    References
    ----------
    .. [1] Kingma and Ba (2015), "Adam: a method for stochastic optimization",
       arXiv:1412.6980, end of section 2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> optimizer = fastgru.optimizers.Adam(gru, learning_rate=0.01)
    >>> output, h_n, pullback = gru.vjp(np.ones((5, 2, 3), np.float32))
    >>> optimizer.step(pullback(np.ones_like(output)))
    """

    _settings: ClassVar[tuple[str, ...]] = (
        "learning_rate",
        "beta_1",
        "beta_2",
        "epsilon",
    )
    # As running products: power functions differ between machines.
    _power_names = ("beta_1_power", "beta_2_power")
    _moment_names = ("mean", "square")

    def __init__(
        self,
        layer: Any,
        learning_rate: float = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.beta_1 = check_number("beta_1", beta_1, "[0, 1)")
        self.beta_2 = check_number("beta_2", beta_2, "[0, 1)")
        self.epsilon = check_number("epsilon", epsilon, "(0, inf)")
        super().__init__(layer, learning_rate)

    def _update(self, parameters: ParameterSet, gradients: np.ndarray) -> None:
        mean, square = self._flat_moments()
        self._powers["beta_1_power"] *= self.beta_1
        self._powers["beta_2_power"] *= self.beta_2
        corrected = math.sqrt(1.0 - self._powers["beta_2_power"]) / (
            1.0 - self._powers["beta_1_power"]
        )
        updates.adam(
            parameters.flat,
            gradients,
            mean,
            square,
            self.learning_rate * corrected,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay [1]_.

    Before a step of :class:`Adam`, each weight becomes ``(1 - learning_rate *
    weight_decay)`` times itself; biases, which are the parameters of one axis, do not.

    Parameters
    ----------
    layer : layer or network
        What to train.
    learning_rate : float, default=0.001
        Step size, at least 0.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the two means, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator, positive.
    weight_decay : float, default=0.01
        Share of each weight that a step of size 1 would take away, at least 0.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of range, or the layer has no parameters.

    See Also
    --------
    Adam : Without weight decay.

    Notes
    -----
    PyTorch decays biases, too, unless they are put into a group of their own.

    References
    ----------
    .. [1] Loshchilov and Hutter (2019), "Decoupled weight decay regularization",
       arXiv:1711.05101, algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> optimizer = fastgru.optimizers.AdamW(gru, weight_decay=0.1)
    >>> output, h_n, pullback = gru.vjp(np.ones((5, 2, 3), np.float32))
    >>> optimizer.step(pullback(np.ones_like(output)))
    """

    _settings = (*Adam._settings, "weight_decay")

    def __init__(
        self,
        layer: Any,
        learning_rate: float = 0.001,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.weight_decay = check_number("weight_decay", weight_decay, "[0, inf)")
        super().__init__(
            layer, learning_rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon
        )

    def _update(self, parameters: ParameterSet, gradients: np.ndarray) -> None:
        for stretch in parameters.weights():
            weights = parameters.flat[stretch]
            updates.add_scaled(
                weights, weights, -self.learning_rate * self.weight_decay
            )
        super()._update(parameters, gradients)


class RMSprop(Optimizer):
    """RMSprop [1]_: gradients over the root of the decaying mean of their squares.

    With this mean v, parameter p and gradient g, a step is::

        v = rho * v + (1 - rho) * g**2
        p = p - learning_rate * g / (sqrt(v) + epsilon)

    Parameters
    ----------
    layer : layer or network
        What to train.
    learning_rate : float, default=0.001
        Step size, at least 0.
    rho : float, default=0.9
        Decay of the mean, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator, positive.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a number is out of range, or the layer has no parameters.

    References
    ----------
    .. [1] Tieleman and Hinton (2012), "Lecture 6.5: rmsprop", COURSERA: Neural networks
       for machine learning.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> optimizer = fastgru.optimizers.RMSprop(gru, learning_rate=0.01)
    >>> output, h_n, pullback = gru.vjp(np.ones((5, 2, 3), np.float32))
    >>> optimizer.step(pullback(np.ones_like(output)))
    """

    _settings = ("learning_rate", "rho", "epsilon")
    _moment_names = ("square",)

    def __init__(
        self,
        layer: Any,
        learning_rate: float = 0.001,
        *,
        rho: float = 0.9,
        epsilon: float = 1e-8,
    ) -> None:
        self.rho = check_number("rho", rho, "[0, 1)")
        self.epsilon = check_number("epsilon", epsilon, "(0, inf)")
        super().__init__(layer, learning_rate)

    def _update(self, parameters: ParameterSet, gradients: np.ndarray) -> None:
        (square,) = self._flat_moments()
        updates.rmsprop(
            parameters.flat,
            gradients,
            square,
            self.learning_rate,
            self.rho,
            self.epsilon,
        )


# -- what users pass as gradients ------------------------------------------------------


def _by_name(gradients: Any) -> Mapping[str, Any]:
    by_name = getattr(gradients, "parameters", gradients)
    if not isinstance(by_name, Mapping):
        raise TypeError(
            "gradients must be what a pullback returned, or a mapping of names to "
            f"arrays, got {type(gradients).__name__}"
        )
    return by_name


def _flat(gradients: Any, parameters: ParameterSet) -> np.ndarray:
    """Return gradients as one vector in the order of the parameters."""
    by_name = _by_name(gradients)
    if (
        isinstance(by_name, ParameterSet)
        and by_name.dtype == parameters.dtype
        and list(by_name.shapes.items()) == list(parameters.shapes.items())
    ):
        return readable(by_name.flat)
    in_order = parameters.like()
    in_order.copy_in(by_name)
    return in_order.flat


def _check_scalable(name: str, array: Any) -> np.ndarray:
    """Return an array that can be scaled in place, or say why it cannot."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be an ndarray, got {type(array).__name__}")
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{name} must have dtype float32 or float64, got dtype {array.dtype}"
        )
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only and cannot be scaled")
    return array
