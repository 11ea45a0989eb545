"""A GRU in plain NumPy, float64, straight from the equations: the suite's oracle.

It imports nothing from fastgru and shares no code with it.  One layer, one direction,
row by row and step by step; nothing here is meant to be fast.

With ``a = weight_ih @ x + bias_ih`` and ``c = weight_hh @ h + bias_hh``, each cut into
the gates r, z, n in this order, one step is ::

    r = sigmoid(a_r + c_r)
    z = sigmoid(a_z + c_z)
    n = tanh(a_n + r * c_n)                              reset_after=True
    n = tanh(a_n + bias_hn + weight_hn @ (r * h))        reset_after=False
    h' = (1 - z) * n + z * h

Letters: T time steps, B batch, I input size, H hidden size.
"""

from typing import NamedTuple

import numpy as np


class Step(NamedTuple):
    """What one step of one row computed, each of shape (H,)."""

    h_before: np.ndarray
    r: np.ndarray
    z: np.ndarray
    n: np.ndarray
    c_n: np.ndarray  # the recurrent part of the candidate's sum, before any reset
    h: np.ndarray


def sigmoid(a):
    """Compute 1 / (1 + exp(-a)) without overflow, whatever the sign of ``a``."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, small) / (1.0 + small)


def step_forward(x, h, weight_ih, weight_hh, bias_ih, bias_hh, reset_after):
    """Run one step of one row: ``x`` of shape (I,), ``h`` of shape (H,)."""
    a_r, a_z, a_n = np.split(weight_ih @ x + bias_ih, 3)
    c_r, c_z, c_n = np.split(weight_hh @ h + bias_hh, 3)
    r = sigmoid(a_r + c_r)
    z = sigmoid(a_z + c_z)
    if reset_after:
        n = np.tanh(a_n + r * c_n)
    else:
        weight_hn = np.split(weight_hh, 3)[2]
        bias_hn = np.split(bias_hh, 3)[2]
        n = np.tanh(a_n + bias_hn + weight_hn @ (r * h))
    return Step(h_before=h, r=r, z=z, n=n, c_n=c_n, h=(1 - z) * n + z * h)


def row_forward(x, h_0, weight_ih, weight_hh, bias_ih, bias_hh, reset_after):
    """Run all steps of one row: ``x`` of shape (length, I); a list of Step."""
    steps = []
    h = h_0
    for x_t in x:
        weights = (weight_ih, weight_hh, bias_ih, bias_hh)
        steps.append(step_forward(x_t, h, *weights, reset_after))
        h = steps[-1].h
    return steps


def gru_forward(
    x, h_0, weight_ih, weight_hh, bias_ih, bias_hh, *, reset_after=True, lengths=None
):
    """Run a batch of sequences.

    Parameters
    ----------
    x : array of shape (T, B, I)
    h_0 : array of shape (B, H)
    weight_ih : array of shape (3 * H, I)
    weight_hh : array of shape (3 * H, H)
    bias_ih, bias_hh : arrays of shape (3 * H,)
    reset_after : bool, default=True
        The cell of PyTorch and cuDNN; False is the paper's.
    lengths : sequence of B ints from 0 to T, default=None
        Steps of each row; None means T for all.

    Returns
    -------
    output : ndarray of shape (T, B, H)
        Zero past a row's end.
    h_n : ndarray of shape (B, H)
        The state at each row's own end; ``h_0`` where the length is 0.
    """
    x, h_0, *weights = as_float64(x, h_0, weight_ih, weight_hh, bias_ih, bias_hh)
    T, B, _ = x.shape
    output = np.zeros((T, B, h_0.shape[1]))
    h_n = h_0.copy()
    for b, length in enumerate(lengths_or_all(lengths, T, B)):
        for t, step in enumerate(
            row_forward(x[:length, b], h_0[b], *weights, reset_after)
        ):
            output[t, b] = step.h
            h_n[b] = step.h
    return output, h_n


def row_backward(d_output, d_h_n, steps, weight_hh, reset_after):
    """Go back through one row, from the last step to the first.

    Writing d_v for the derivative of the objective with respect to v, the step's last
    equation gives ::

        d_n = d_h' * (1 - z)      d_z = d_h' * (h - n)      d_h = d_h' * z + ...

    and the derivatives of tanh and sigmoid carry these to the sums inside them,
    ``d_a_n = d_n * (1 - n**2)`` and ``d_a_z = d_z * z * (1 - z)``; likewise r.

    Returns
    -------
    d_a : ndarray of shape (length, 3 * H)
        With respect to ``weight_ih @ x + bias_ih``.
    d_c : ndarray of shape (length, 3 * H)
        With respect to what is added to it from the recurrent side: ``c`` with
        ``reset_after``, else ``(c_r, c_z, bias_hn + weight_hn @ (r * h))``.
    d_h : ndarray of shape (H,)
        With respect to the row's initial state.
    """
    H = weight_hh.shape[1]
    weight_hr, weight_hz, weight_hn = np.split(weight_hh, 3)
    d_a = np.zeros((len(steps), 3 * H))
    d_c = np.zeros((len(steps), 3 * H))
    d_h = d_h_n
    for t in reversed(range(len(steps))):
        h, r, z, n, c_n, _ = steps[t]
        d_h_after = d_h + d_output[t]
        d_a_n = d_h_after * (1 - z) * (1 - n**2)
        d_a_z = d_h_after * (h - n) * z * (1 - z)
        d_h = d_h_after * z
        if reset_after:
            d_c_n = d_a_n * r  # n saw r * c_n
            d_r = d_a_n * c_n
            d_h = d_h + weight_hn.T @ d_c_n
        else:
            d_c_n = d_a_n  # n saw weight_hn @ (r * h)
            d_rh = weight_hn.T @ d_c_n
            d_r = d_rh * h
            d_h = d_h + d_rh * r
        d_a_r = d_r * r * (1 - r)
        d_h = d_h + weight_hr.T @ d_a_r + weight_hz.T @ d_a_z
        d_a[t] = np.concatenate([d_a_r, d_a_z, d_a_n])
        d_c[t] = np.concatenate([d_a_r, d_a_z, d_c_n])
    return d_a, d_c, d_h


def gru_backward(
    d_output,
    d_h_n,
    x,
    h_0,
    weight_ih,
    weight_hh,
    bias_ih,
    bias_hh,
    *,
    reset_after=True,
    lengths=None,
):
    """Differentiate ``sum(output * d_output) + sum(h_n * d_h_n)``.

    Parameters as of `gru_forward`, after ``d_output`` of shape (T, B, H) and ``d_h_n``
    of shape (B, H).  What stands in ``d_output`` past a row's end is not looked at.

    Returns
    -------
    dict of str to ndarray
        The derivatives under the names x, h_0, weight_ih, weight_hh, bias_ih and
        bias_hh, each of its tensor's shape.
    """
    d_output, d_h_n, x, h_0 = as_float64(d_output, d_h_n, x, h_0)
    weights = as_float64(weight_ih, weight_hh, bias_ih, bias_hh)
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    T, B, _ = x.shape
    H = h_0.shape[1]
    grads = {
        "x": np.zeros_like(x),
        "h_0": np.zeros_like(h_0),
        "weight_ih": np.zeros_like(weight_ih),
        "weight_hh": np.zeros_like(weight_hh),
        "bias_ih": np.zeros_like(bias_ih),
        "bias_hh": np.zeros_like(bias_hh),
    }
    for b, length in enumerate(lengths_or_all(lengths, T, B)):
        x_b = x[:length, b]
        steps = row_forward(x_b, h_0[b], *weights, reset_after)
        d_a, d_c, d_h = row_backward(
            d_output[:length, b], d_h_n[b], steps, weight_hh, reset_after
        )
        # What weight_hh was multiplied with: h, or r * h for the paper's candidate.
        seen = np.array([step.h_before for step in steps]).reshape(length, H)
        reset = np.array([step.r for step in steps]).reshape(length, H)
        seen_n = seen if reset_after else reset * seen
        grads["x"][:length, b] = d_a @ weight_ih
        grads["h_0"][b] = d_h
        grads["weight_ih"] += d_a.T @ x_b
        grads["weight_hh"][: 2 * H] += d_c[:, : 2 * H].T @ seen
        grads["weight_hh"][2 * H :] += d_c[:, 2 * H :].T @ seen_n
        grads["bias_ih"] += d_a.sum(axis=0)
        grads["bias_hh"] += d_c.sum(axis=0)
    return grads


def as_float64(*arrays):
    """Convert each to a float64 array."""
    return [np.asarray(array, dtype=np.float64) for array in arrays]


def lengths_or_all(lengths, T, B):
    """Give the number of steps of each of B rows as ints."""
    return [T] * B if lengths is None else [int(length) for length in lengths]
