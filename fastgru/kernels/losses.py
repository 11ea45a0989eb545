"""Losses of a batch and their gradients, computed in float64 row by row in order.

Each returns the weighted sum of the rows' losses; the gradient written is that of this
sum divided by ``total``, the sum of the weights, so that it is the gradient of the
mean.
"""

import numpy as np

from fastgru._jit import kernel
from fastgru.kernels.activations import exp_of_nonpositive, log


@kernel
def softmax(probabilities, logits):
    """Write each row's softmax; both (rows, classes), any float types."""
    for i in range(logits.shape[0]):
        highest = np.float64(logits[i, 0])
        for k in range(1, logits.shape[1]):
            highest = max(highest, np.float64(logits[i, k]))
        total = 0.0
        for k in range(logits.shape[1]):
            total += exp_of_nonpositive(np.float64(logits[i, k]) - highest)
        for k in range(logits.shape[1]):
            share = exp_of_nonpositive(np.float64(logits[i, k]) - highest) / total
            probabilities[i, k] = share


@kernel
def softmax_cross_entropy(d_logits, logits, classes, weights, total):
    """Return the sum of the negative log-likelihoods.

    The gradient is the softmax, less 1 for the class, times its weight's share.

    d_logits, logits : (rows, classes)
    classes : (rows,) int64; weights : (rows,) float64
    """
    loss = 0.0
    for i in range(logits.shape[0]):
        highest = np.float64(logits[i, 0])
        for k in range(1, logits.shape[1]):
            highest = max(highest, np.float64(logits[i, k]))
        normaliser = 0.0
        for k in range(logits.shape[1]):
            normaliser += exp_of_nonpositive(np.float64(logits[i, k]) - highest)
        own = np.float64(logits[i, classes[i]]) - highest
        loss += weights[i] * (log(normaliser) - own)
        scale = weights[i] / total
        for k in range(logits.shape[1]):
            share = exp_of_nonpositive(np.float64(logits[i, k]) - highest) / normaliser
            if k == classes[i]:
                share -= 1.0
            d_logits[i, k] = share * scale
    return loss


@kernel
def half_squared_error(d_values, values, targets, weights, total):
    """Return the sum over rows of half the mean squared error of the row's outputs.

    d_values, values, targets : (rows, outputs); weights : (rows,) float64
    """
    loss = 0.0
    n_outputs = values.shape[1]
    for i in range(values.shape[0]):
        scale = weights[i] / (total * n_outputs)
        row = 0.0
        for k in range(n_outputs):
            error = np.float64(values[i, k]) - np.float64(targets[i, k])
            row += error * error
            d_values[i, k] = error * scale
        loss += weights[i] * 0.5 * row / n_outputs
    return loss
