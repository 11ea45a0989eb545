"""What is added to the loss so that weights stay small."""

from __future__ import annotations

from fastgru.kernels import updates
from fastgru.parameters import ParameterSet


class ElasticNet:
    """Penalty on weights, not on biases: of their squares and their absolute values.

    For the weights w it is ``alpha * (l1_ratio * sum(abs(w)) + (1 - l1_ratio) / 2 *
    sum(w**2))``, divided by the total weight of a minibatch, as its loss is.

    Parameters
    ----------
    alpha : float
        Strength.
    l1_ratio : float, default=0.0
        Share of the absolute values, from 0 to 1.
    decoupled : bool, default=False
        Whether the optimiser takes care of the squares by itself (AdamW): they are then
        neither in the loss nor in the gradient.
    """

    def __init__(
        self, alpha: float, l1_ratio: float = 0.0, *, decoupled: bool = False
    ) -> None:
        self.absolute = alpha * l1_ratio
        self.square = 0.0 if decoupled else alpha * (1.0 - l1_ratio)

    def add(
        self, parameters: ParameterSet, gradients: ParameterSet, total_weight: float
    ) -> float:
        """Add to the gradients of a mean loss; return what the summed loss gains."""
        gained = 0.0
        if self.absolute == self.square == 0.0:
            return gained
        for stretch in parameters.weights():
            weights, gradient = parameters.flat[stretch], gradients.flat[stretch]
            if self.square > 0.0:
                gained += 0.5 * self.square * updates.sum_of_squares(weights)
                updates.add_scaled(gradient, weights, self.square / total_weight)
            if self.absolute > 0.0:
                gained += self.absolute * updates.sum_of_absolutes(weights)
                updates.add_signs(gradient, weights, self.absolute / total_weight)
        return gained
