"""What a training step does to the flat vectors of parameters and gradients.

Every number is computed by itself, or summed in one fixed order, so threads and
register sizes change nothing.  Scalars come in float64 and are rounded once to the
vectors' type.
"""

import math

import numpy as np

from fastgru._jit import kernel


@kernel
def sum_of_squares(values):
    """Return the sum of squares in float64: eight interleaved sums, then theirs."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    n = values.size - values.size % 8
    for i in range(0, n, 8):
        s0 += np.float64(values[i]) * np.float64(values[i])
        s1 += np.float64(values[i + 1]) * np.float64(values[i + 1])
        s2 += np.float64(values[i + 2]) * np.float64(values[i + 2])
        s3 += np.float64(values[i + 3]) * np.float64(values[i + 3])
        s4 += np.float64(values[i + 4]) * np.float64(values[i + 4])
        s5 += np.float64(values[i + 5]) * np.float64(values[i + 5])
        s6 += np.float64(values[i + 6]) * np.float64(values[i + 6])
        s7 += np.float64(values[i + 7]) * np.float64(values[i + 7])
    total = ((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7))
    for i in range(n, values.size):
        total += np.float64(values[i]) * np.float64(values[i])
    return total


@kernel
def sum_of_absolutes(values):
    """Return the sum of absolute values in float64, added up like squares."""
    sums = np.zeros(8)
    n = values.size - values.size % 8
    for i in range(0, n, 8):
        for k in range(8):
            sums[k] += abs(np.float64(values[i + k]))
    total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + (
        (sums[4] + sums[5]) + (sums[6] + sums[7])
    )
    for i in range(n, values.size):
        total += abs(np.float64(values[i]))
    return total


@kernel
def add_signs(target, source, factor):
    """Add ``factor * sign(source)`` to target, both 1-D; a zero has no sign."""
    f = target.dtype.type(factor)
    for i in range(target.size):
        if source[i] > 0:
            target[i] += f
        elif source[i] < 0:
            target[i] -= f


@kernel
def add_scaled(target, source, factor):
    """Add ``factor * source`` to target, both 1-D."""
    f = target.dtype.type(factor)
    for i in range(target.size):
        target[i] += f * source[i]


@kernel
def adam(parameters, gradients, mean, square, step, beta_1, beta_2, epsilon):
    """Take one step of Adam; ``step`` is the rate with the bias corrections in it.

    parameters, mean, square : (n,), updated; gradients : (n,)
    """
    one = parameters.dtype.type(1.0)
    b1, b2 = parameters.dtype.type(beta_1), parameters.dtype.type(beta_2)
    rate, tiny = parameters.dtype.type(step), parameters.dtype.type(epsilon)
    for i in range(parameters.size):
        g = gradients[i]
        m = b1 * mean[i] + (one - b1) * g
        v = b2 * square[i] + (one - b2) * (g * g)
        mean[i] = m
        square[i] = v
        parameters[i] -= rate * m / (math.sqrt(v) + tiny)


@kernel
def sgd(parameters, gradients, velocity, rate, momentum):
    """Take one step with momentum.

    parameters, velocity : (n,), updated; gradients : (n,)
    """
    step, kept = parameters.dtype.type(rate), parameters.dtype.type(momentum)
    for i in range(parameters.size):
        v = kept * velocity[i] - step * gradients[i]
        velocity[i] = v
        parameters[i] += v


@kernel
def sgd_nesterov(parameters, gradients, velocity, rate, momentum):
    """Do what ``sgd`` does, one momentum ahead."""
    step, kept = parameters.dtype.type(rate), parameters.dtype.type(momentum)
    for i in range(parameters.size):
        change = step * gradients[i]
        v = kept * velocity[i] - change
        velocity[i] = v
        parameters[i] += kept * v - change


@kernel
def rmsprop(parameters, gradients, square, rate, rho, epsilon):
    """Take one step of RMSprop.

    parameters, square : (n,), updated; gradients : (n,)
    """
    one = parameters.dtype.type(1.0)
    kept = parameters.dtype.type(rho)
    step, tiny = parameters.dtype.type(rate), parameters.dtype.type(epsilon)
    for i in range(parameters.size):
        g = gradients[i]
        v = kept * square[i] + (one - kept) * (g * g)
        square[i] = v
        parameters[i] -= step * g / (math.sqrt(v) + tiny)
