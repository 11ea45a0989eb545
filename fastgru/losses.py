"""Losses of a batch with their gradients, and what makes predictions of outputs."""

from __future__ import annotations

import numpy as np

from fastgru.kernels import losses as kernels


class CrossEntropy:
    """Softmax cross-entropy: targets are class numbers (n,), outputs (n, n_classes)."""

    activation = "softmax"

    def __call__(
        self,
        d_outputs: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
    ) -> float:
        """Return the sum of the rows' losses; write the gradient of their mean.

        Parameters
        ----------
        d_outputs, outputs : (n, n_classes)
        targets : (n,) int64
        weights : (n,) float64
        """
        return kernels.softmax_cross_entropy(
            d_outputs, outputs, targets, weights, weights.sum()
        )

    def activate(self, outputs: np.ndarray) -> np.ndarray:
        """Return probabilities, rows of which add up to 1."""
        probabilities = np.empty_like(outputs)
        kernels.softmax(probabilities, outputs)
        return probabilities


class SquaredError:
    """Half the mean squared error: targets and outputs are (n, n_outputs)."""

    activation = "identity"

    def __call__(
        self,
        d_outputs: np.ndarray,
        outputs: np.ndarray,
        targets: np.ndarray,
        weights: np.ndarray,
    ) -> float:
        """Return the sum of the rows' losses; write the gradient of their mean.

        Parameters
        ----------
        d_outputs, outputs : (n, n_outputs)
        targets : (n, n_outputs) float64
        weights : (n,) float64
        """
        return kernels.half_squared_error(
            d_outputs, outputs, targets, weights, weights.sum()
        )

    def activate(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs as they are."""
        return outputs
