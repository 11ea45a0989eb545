"""GRUs in plain NumPy, float64, straight from the equations: the suite's oracle.

It imports nothing from fastgru and shares no code with it.  Row by row, step by step;
nothing here is meant to be fast.

One layer in one direction computes with ``a = weight_ih @ x + bias_ih`` and
``c = weight_hh @ s + bias_hh``, each cut into the gates r, z, n in this order ::

    s = m * h
    r = sigmoid(a_r + c_r)
    z = sigmoid(a_z + c_z)
    n = tanh(a_n + r * c_n)                              reset_after=True
    n = tanh(a_n + bias_hn + weight_hn @ (r * s))        reset_after=False
    h' = (1 - z) * n + z * h

where m is the mask of recurrent dropout, ones without it: the products see ``m * h``,
the state that is carried on is h.

The second direction of a layer reads each row from its own end.  The next layer reads
the states of both directions side by side, times a mask if there is dropout in between.

Letters: T time steps, B batch, I input size, H hidden size, L layers, D directions.
"""

from typing import NamedTuple

import numpy as np


class Weights(NamedTuple):
    """Parameters of one layer in one direction."""

    weight_ih: np.ndarray  # (3 * H, I)
    weight_hh: np.ndarray  # (3 * H, H)
    bias_ih: np.ndarray  # (3 * H,)
    bias_hh: np.ndarray  # (3 * H,)


class Step(NamedTuple):
    """What one step of one row computed, each of shape (H,)."""

    h_before: np.ndarray
    s: np.ndarray
    r: np.ndarray
    z: np.ndarray
    n: np.ndarray
    c_n: np.ndarray  # the recurrent part of the candidate's sum, before any reset
    h: np.ndarray


def sigmoid(a):
    """Compute 1 / (1 + exp(-a)) without overflow, whatever the sign of ``a``."""
    small = np.exp(-np.abs(a))
    return np.where(a >= 0, 1.0, small) / (1.0 + small)


# -- one row of one layer in one direction --


def step_forward(x, h, m, weights, reset_after):
    """Run one step: ``x`` of shape (I,), ``h`` and ``m`` of shape (H,)."""
    s = m * h
    a_r, a_z, a_n = np.split(weights.weight_ih @ x + weights.bias_ih, 3)
    c_r, c_z, c_n = np.split(weights.weight_hh @ s + weights.bias_hh, 3)
    r = sigmoid(a_r + c_r)
    z = sigmoid(a_z + c_z)
    if reset_after:
        n = np.tanh(a_n + r * c_n)
    else:
        weight_hn = np.split(weights.weight_hh, 3)[2]
        bias_hn = np.split(weights.bias_hh, 3)[2]
        n = np.tanh(a_n + bias_hn + weight_hn @ (r * s))
    return Step(h_before=h, s=s, r=r, z=z, n=n, c_n=c_n, h=(1 - z) * n + z * h)


def row_forward(x, h_0, m, weights, reset_after):
    """Run all steps: ``x`` of shape (length, I); a list of Step."""
    steps = []
    h = h_0
    for x_t in x:
        steps.append(step_forward(x_t, h, m, weights, reset_after))
        h = steps[-1].h
    return steps


def row_backward(d_output, d_h_n, steps, m, weight_hh, reset_after):
    """Go back through one row, from the last step to the first.

    Writing d_v for the derivative of the objective with respect to v, the step's last
    equation gives ::

        d_n = d_h' * (1 - z)      d_z = d_h' * (h - n)      d_h = d_h' * z + m * d_s

    and the derivatives of tanh and sigmoid carry these to the sums inside them,
    ``d_a_n = d_n * (1 - n**2)`` and ``d_a_z = d_z * z * (1 - z)``; likewise r.

    Returns
    -------
    d_a : ndarray of shape (length, 3 * H)
        With respect to ``weight_ih @ x + bias_ih``.
    d_c : ndarray of shape (length, 3 * H)
        With respect to what is added to it from the recurrent side: ``c`` with
        ``reset_after``, else ``(c_r, c_z, bias_hn + weight_hn @ (r * s))``.
    d_h : ndarray of shape (H,)
        With respect to the row's initial state.
    """
    H = weight_hh.shape[1]
    weight_hr, weight_hz, weight_hn = np.split(weight_hh, 3)
    d_a = np.zeros((len(steps), 3 * H))
    d_c = np.zeros((len(steps), 3 * H))
    d_h = d_h_n
    for t in reversed(range(len(steps))):
        h, s, r, z, n, c_n, _ = steps[t]
        d_h_after = d_h + d_output[t]
        d_a_n = d_h_after * (1 - z) * (1 - n**2)
        d_a_z = d_h_after * (h - n) * z * (1 - z)
        if reset_after:
            d_c_n = d_a_n * r  # n saw r * c_n
            d_r = d_a_n * c_n
            d_s = weight_hn.T @ d_c_n
        else:
            d_c_n = d_a_n  # n saw weight_hn @ (r * s)
            d_rs = weight_hn.T @ d_c_n
            d_r = d_rs * s
            d_s = d_rs * r
        d_a_r = d_r * r * (1 - r)
        d_s = d_s + weight_hr.T @ d_a_r + weight_hz.T @ d_a_z
        d_h = d_h_after * z + m * d_s
        d_a[t] = np.concatenate([d_a_r, d_a_z, d_a_n])
        d_c[t] = np.concatenate([d_a_r, d_a_z, d_c_n])
    return d_a, d_c, d_h


# -- a batch, one layer in one direction --


def in_order(row, is_reverse):
    """Give the steps of a row in the order in which a direction reads them."""
    return row[::-1] if is_reverse else row


def direction_forward(x, h_0, masks, weights, lengths, *, is_reverse, reset_after):
    """Run one layer in one direction.

    Parameters
    ----------
    x : array of shape (T, B, I)
    h_0, masks : arrays of shape (B, H)

    Returns
    -------
    output : ndarray of shape (T, B, H)
        Where each step of ``x`` stands; zero past a row's end.
    h_n : ndarray of shape (B, H)
    runs : list of B lists of Step
        In the order of reading.
    """
    T, B, _ = x.shape
    output, h_n, runs = np.zeros((T, B, h_0.shape[1])), h_0.copy(), []
    for b, length in enumerate(lengths):
        x_b = in_order(x[:length, b], is_reverse)
        steps = row_forward(x_b, h_0[b], masks[b], weights, reset_after)
        runs.append(steps)
        if steps:
            states = np.array([step.h for step in steps])
            output[:length, b] = in_order(states, is_reverse)
            h_n[b] = steps[-1].h
    return output, h_n, runs


def direction_backward(
    d_output, d_h_n, x, runs, masks, weights, lengths, *, is_reverse, reset_after
):
    """Differentiate; returns derivatives of x, of h_0, and of the Weights."""
    H = d_h_n.shape[1]
    d_x, d_h_0 = np.zeros_like(x), np.zeros_like(d_h_n)
    grads = Weights(*(np.zeros_like(w) for w in weights))
    for b, length in enumerate(lengths):
        steps = runs[b]
        d_b = in_order(d_output[:length, b], is_reverse)
        d_a, d_c, d_h_0[b] = row_backward(
            d_b, d_h_n[b], steps, masks[b], weights.weight_hh, reset_after
        )
        # What weight_hh was multiplied with: s, or r * s for the paper's candidate.
        seen = np.array([step.s for step in steps]).reshape(length, H)
        reset = np.array([step.r for step in steps]).reshape(length, H)
        seen_n = seen if reset_after else reset * seen
        d_x[:length, b] = in_order(d_a @ weights.weight_ih, is_reverse)
        grads.weight_ih[...] += d_a.T @ in_order(x[:length, b], is_reverse)
        grads.weight_hh[: 2 * H] += d_c[:, : 2 * H].T @ seen
        grads.weight_hh[2 * H :] += d_c[:, 2 * H :].T @ seen_n
        grads.bias_ih[...] += d_a.sum(axis=0)
        grads.bias_hh[...] += d_c.sum(axis=0)
    return d_x, d_h_0, grads


# -- all layers --


class Problem:
    """All that a forward pass takes, checked by nobody, in float64.

    Parameters
    ----------
    x : array of shape (T, B, I)
    h_0 : array of shape (D * L, B, H) or None
        By layer, of each layer by direction; None means zeros.
    parameters : dict of str to array
        By PyTorch's names; biases may be missing.
    num_layers, bidirectional, reset_after
        As of PyTorch's layer; ``reset_after=False`` is the paper's cell.
    lengths : sequence of B ints from 0 to T, or None
        Steps of each row; None means T for all.
    recurrent_masks : array of shape (D * L, B, H) or None
        What the products see the states times; None means ones.
    output_masks : array of shape (L - 1, B, D * H) or None
        What each layer's states are multiplied with before the next layer reads them.
    """

    def __init__(
        self,
        x,
        h_0,
        parameters,
        *,
        num_layers=1,
        bidirectional=False,
        reset_after=True,
        lengths=None,
        recurrent_masks=None,
        output_masks=None,
    ):
        self.x = np.asarray(x, np.float64)
        self.L, self.D = num_layers, 1 + bidirectional
        self.reset_after = reset_after
        T, B, _ = self.x.shape
        H = parameters["weight_hh_l0"].shape[1]
        self.h_0 = as_float64(h_0, (self.D * self.L, B, H), 0.0)
        self.lengths = [T] * B if lengths is None else [int(n) for n in lengths]
        self.recurrent_masks = as_float64(recurrent_masks, self.h_0.shape, 1.0)
        shape = (self.L - 1, B, self.D * H)
        self.output_masks = as_float64(output_masks, shape, 1.0)
        self.weights = []
        for layer, d in np.ndindex(self.L, self.D):
            arrays = [
                as_float64(parameters.get(name + suffix(layer, d)), (3 * H,), 0.0)
                for name in Weights._fields
            ]
            self.weights.append(Weights(*arrays))

    def options(self, d):
        """Give what a direction needs besides arrays."""
        return {"is_reverse": d == 1, "reset_after": self.reset_after}


def suffix(layer, d):
    """Give what PyTorch puts behind the names of a layer's direction."""
    return f"_l{layer}" + ("_reverse" if d == 1 else "")


def as_float64(array, shape, default):
    """Convert to float64; None becomes an array full of the default."""
    return np.full(shape, default) if array is None else np.asarray(array, np.float64)


def run(problem):
    """Run all layers: output, h_n, and what the way back needs of each layer."""
    p = problem
    x, h_n, kept = p.x, np.zeros_like(p.h_0), []
    for layer in range(p.L):
        outputs, runs = [], []
        for d in range(p.D):
            k = layer * p.D + d
            masks = p.recurrent_masks[k]
            output, h_n[k], run_of_d = direction_forward(
                x, p.h_0[k], masks, p.weights[k], p.lengths, **p.options(d)
            )
            outputs.append(output)
            runs.append(run_of_d)
        kept.append((x, runs))
        x = np.concatenate(outputs, axis=2)
        if layer < p.L - 1:
            x = x * p.output_masks[layer]
    return x, h_n, kept


def gru_forward(x, h_0, parameters, **options):
    """Run a batch of sequences; arguments as of `Problem`.

    Returns
    -------
    output : ndarray of shape (T, B, D * H)
        Zero past a row's end.
    h_n : ndarray of shape (D * L, B, H)
        The states when a row has been read; ``h_0`` where the length is 0.
    """
    output, h_n, _ = run(Problem(x, h_0, parameters, **options))
    return output, h_n


def gru_backward(d_output, d_h_n, x, h_0, parameters, **options):
    """Differentiate ``sum(output * d_output) + sum(h_n * d_h_n)``.

    Arguments as of `Problem`, after ``d_output`` of shape (T, B, D * H) and ``d_h_n``
    of the shape of h_n.  What stands in ``d_output`` past a row's end is not looked at.

    Returns
    -------
    dict of str to ndarray
        The derivatives under the names x and h_0 and those of ``parameters``, each of
        its tensor's shape.
    """
    p = Problem(x, h_0, parameters, **options)
    _, _, kept = run(p)
    d_y = np.asarray(d_output, np.float64)
    d_h_n = np.asarray(d_h_n, np.float64)
    d_h_0 = np.zeros_like(p.h_0)
    grads = {}
    for layer in reversed(range(p.L)):
        if layer < p.L - 1:
            d_y = d_y * p.output_masks[layer]
        x, runs = kept[layer]
        d_input = np.zeros_like(x)
        for d, d_y_d in enumerate(np.split(d_y, p.D, axis=2)):
            k = layer * p.D + d
            arguments = x, runs[d], p.recurrent_masks[k], p.weights[k], p.lengths
            d_x, d_h_0[k], of_weights = direction_backward(
                d_y_d, d_h_n[k], *arguments, **p.options(d)
            )
            d_input += d_x
            for name, grad in of_weights._asdict().items():
                grads[name + suffix(layer, d)] = grad
        d_y = d_input
    return {"x": d_y, "h_0": d_h_0} | {name: grads[name] for name in parameters}
