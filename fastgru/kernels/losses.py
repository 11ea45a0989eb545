"""Losses of a batch and their gradients, computed in float64 row by row in order.

Each returns the weighted sum of the rows' losses; the gradient written is that of this
sum divided by ``total``, the sum of the weights, so that it is the gradient of the
mean.  A row of weight 0 is not read, and its gradient is 0.
"""

import numpy as np

from fastgru._jit import inline, kernel
from fastgru.kernels.activations import exp, exp_of_nonpositive, log, sigmoid


@inline
def _normaliser(logits, i):
    """Return the largest logit of a row, and the sum of e to each one less that."""
    highest = np.float64(logits[i, 0])
    for k in range(1, logits.shape[1]):
        highest = max(highest, np.float64(logits[i, k]))
    total = 0.0
    for k in range(logits.shape[1]):
        total += exp_of_nonpositive(np.float64(logits[i, k]) - highest)
    return highest, total


# -- from outputs to predictions -------------------------------------------------------


@kernel
def softmax(probabilities, logits):
    """Write each row's softmax; both (rows, classes), any float types."""
    for i in range(logits.shape[0]):
        highest, total = _normaliser(logits, i)
        for k in range(logits.shape[1]):
            share = exp_of_nonpositive(np.float64(logits[i, k]) - highest) / total
            probabilities[i, k] = share


@kernel
def log_softmax(logarithms, logits):
    """Write the logarithm of the softmax of each row; both (rows, classes)."""
    for i in range(logits.shape[0]):
        highest, normaliser = _normaliser(logits, i)
        for k in range(logits.shape[1]):
            own = np.float64(logits[i, k]) - highest
            logarithms[i, k] = own - log(normaliser)


@kernel
def log_logistic(logarithms, logits):
    """Write the logarithm of the logistic function of each number; both 1-D."""
    for i in range(logits.size):
        x = np.float64(logits[i])
        e = exp_of_nonpositive(-abs(x))
        logarithms[i] = min(x, 0.0) - _log_of_1_plus(e)


@kernel
def logistic(probabilities, logits):
    """Write the logistic function of each number; both 1-D, any float types."""
    for i in range(logits.size):
        probabilities[i] = sigmoid(np.float64(logits[i]))


@kernel
def exponential(means, logs):
    """Write e to the power of each number; both 1-D, any float types."""
    for i in range(logs.size):
        means[i] = exp(np.float64(logs[i]))


# -- the loss of rows of classes -------------------------------------------------------


@kernel
def softmax_cross_entropy(d_logits, logits, classes, weights, total):
    """Return the sum of the negative log-likelihoods.

    The gradient is the softmax, less 1 for the class, times its weight's share.

    d_logits, logits : (rows, classes)
    classes : (rows,) int64; weights : (rows,) float64
    """
    loss = 0.0
    for i in range(logits.shape[0]):
        if weights[i] == 0.0:
            d_logits[i] = 0.0
            continue
        highest, normaliser = _normaliser(logits, i)
        own = np.float64(logits[i, classes[i]]) - highest
        loss += weights[i] * (log(normaliser) - own)
        scale = weights[i] / total
        for k in range(logits.shape[1]):
            share = exp_of_nonpositive(np.float64(logits[i, k]) - highest) / normaliser
            if k == classes[i]:
                share -= 1.0
            d_logits[i, k] = share * scale
    return loss


# -- the losses of rows of numbers: each row's is the mean over its outputs ------------


@inline
def _sum_over_rows(d_values, values, targets, weights, total, function, parameter):
    """Do what the kernels below do, for the function that each of them passes.

    ``function(value, target, parameter)`` returns the loss of one number and its
    derivative with respect to the value; all are float64.
    """
    loss = 0.0
    n_outputs = values.shape[1]
    for i in range(values.shape[0]):
        if weights[i] == 0.0:
            d_values[i] = 0.0
            continue
        scale = weights[i] / (total * n_outputs)
        row = 0.0
        for k in range(n_outputs):
            value = np.float64(values[i, k])
            number, slope = function(value, targets[i, k], parameter)
            row += number
            d_values[i, k] = slope * scale
        loss += weights[i] * row / n_outputs
    return loss


@inline
def _half_square(value, target, _):
    error = value - target
    return 0.5 * error * error, error


# In the next three the last case is that of no error and of NaN: the error is its own
# derivative.


@inline
def _absolute(value, target, _):
    error = value - target
    if error > 0.0:
        return error, 1.0
    if error < 0.0:
        return -error, -1.0
    return error, error


@inline
def _huber(value, target, delta):
    error = value - target
    if error > delta:
        return delta * (error - 0.5 * delta), delta
    if error < -delta:
        return delta * (-error - 0.5 * delta), -delta
    return 0.5 * error * error, error


@inline
def _pinball(value, target, quantile):
    error = value - target
    if error > 0.0:
        return (1.0 - quantile) * error, 1.0 - quantile
    if error < 0.0:
        return -quantile * error, -quantile
    return error, error


@inline
def _poisson(value, target, _):
    mean = exp(value)
    return mean - target * value, mean - target


@inline
def _binary_cross_entropy(logit, target, _):
    # The logistic function s of the logit and 1 - s, each without cancellation; the
    # loss is log(1 + e**logit) - target * logit.
    e = exp_of_nonpositive(-abs(logit))
    s = (e if logit < 0.0 else 1.0) / (1.0 + e)
    rest = (1.0 if logit < 0.0 else e) / (1.0 + e)
    distance = (1.0 - target) * logit if logit > 0.0 else -target * logit
    return distance + _log_of_1_plus(e), (1.0 - target) * s - target * rest


@inline
def _log_of_1_plus(e):
    # The quotient makes good what the sum has lost: Goldberg (1991), "What every
    # computer scientist should know about floating-point arithmetic", theorem 4.
    rounded = 1.0 + e
    return e if rounded == 1.0 else log(rounded) * (e / (rounded - 1.0))


@kernel
def half_squared_error(d_values, values, targets, weights, total):
    """Return the sum over rows of half the mean squared error.

    d_values, values : (rows, outputs); targets the same, float64
    weights : (rows,) float64
    """
    return _sum_over_rows(d_values, values, targets, weights, total, _half_square, 0.0)


@kernel
def absolute_error(d_values, values, targets, weights, total):
    """Return the sum over rows of the mean absolute error, slope 0 at 0."""
    return _sum_over_rows(d_values, values, targets, weights, total, _absolute, 0.0)


@kernel
def huber_loss(d_values, values, targets, weights, total, delta):
    """Return the same of half the square up to an error of delta, then linear."""
    return _sum_over_rows(d_values, values, targets, weights, total, _huber, delta)


@kernel
def pinball_loss(d_values, values, targets, weights, total, quantile):
    """Return the same of the pinball loss of a quantile, slope 0 at 0."""
    return _sum_over_rows(d_values, values, targets, weights, total, _pinball, quantile)


@kernel
def poisson_loss(d_values, values, targets, weights, total):
    """Return the same of ``e**value - target * value``."""
    return _sum_over_rows(d_values, values, targets, weights, total, _poisson, 0.0)


@kernel
def binary_cross_entropy(d_values, values, targets, weights, total):
    """Return the same of the negative log-likelihood of logits, targets 0 to 1."""
    return _sum_over_rows(
        d_values, values, targets, weights, total, _binary_cross_entropy, 0.0
    )


# -- weights ---------------------------------------------------------------------------


@kernel
def sum_in_order(values):
    """Return the sum of a vector of float64, first to last."""
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total
