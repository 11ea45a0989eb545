"""Optimisers: they change a flat vector of parameters by one of gradients."""

from __future__ import annotations

import math

import numpy as np

from fastgru.kernels import updates


def clip_norm(gradients: np.ndarray, max_norm: float | None) -> float:
    """Scale gradients in place so that their Euclidean norm is at most ``max_norm``.

    Parameters
    ----------
    gradients : ndarray of shape (n,)
    max_norm : float or None
        None leaves them as they are.

    Returns
    -------
    float
        The norm before; not finite if a gradient is not.
    """
    norm = math.sqrt(updates.sum_of_squares(gradients))
    if max_norm is not None and math.isfinite(norm) and norm > max_norm:
        updates.scale(gradients, max_norm / norm)
    return norm


class Adam:
    """Adam [1]_, as scikit-learn's ``MLPClassifier`` computes it.

    Parameters
    ----------
    learning_rate : float, default=0.001
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the means of the gradients and of their squares.
    epsilon : float, default=1e-8
        Added to the root of the mean square.

    References
    ----------
    .. [1] Kingma and Ba (2015), "Adam: a method for stochastic optimization",
       arXiv:1412.6980, end of section 2.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> None:
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self._mean: np.ndarray | None = None
        self._square: np.ndarray | None = None
        # Powers as running products: power functions differ between machines.
        self._beta_1_power = 1.0
        self._beta_2_power = 1.0

    def step(self, parameters: np.ndarray, gradients: np.ndarray) -> None:
        """Change parameters (n,) in place by gradients (n,)."""
        if self._mean is None or self._square is None:
            self._mean = np.zeros_like(parameters)
            self._square = np.zeros_like(parameters)
        self._beta_1_power *= self.beta_1
        self._beta_2_power *= self.beta_2
        corrected = math.sqrt(1.0 - self._beta_2_power) / (1.0 - self._beta_1_power)
        updates.adam(
            parameters,
            gradients,
            self._mean,
            self._square,
            self.learning_rate * corrected,
            self.beta_1,
            self.beta_2,
            self.epsilon,
        )
