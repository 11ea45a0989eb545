"""Central differences: gradients checked against nothing but the forward pass.

The objective is ``sum(output * d_output) + sum(h_n * d_h_n)`` with random cotangents,
so every output and the final state count, each with its own weight.
"""

import numpy as np

from tolerances import largest_error

# In float64, a step near eps**(1/3) balances truncation, of order STEP**2, against
# rounding, of order eps / STEP.
STEP = 1e-5
TOLERANCE = 1e-7


def objective(output, h_n, d_output, d_h_n):
    """Contract both results of a forward pass with their cotangents."""
    return float(np.sum(output * d_output) + np.sum(h_n * d_h_n))


def central_differences(function, tensors, step=STEP):
    """Differentiate ``function`` with respect to every entry of every tensor.

    Parameters
    ----------
    function : callable
        Takes a dict like ``tensors`` and returns a float.
    tensors : dict of str to float64 ndarray
    step : float
        How far an entry is moved to either side.

    Returns
    -------
    dict of str to ndarray
        The derivatives, by the names of ``tensors``.
    """
    gradients = {}
    for name, tensor in tensors.items():
        gradient = np.zeros(tensor.shape)
        for index in np.ndindex(tensor.shape):
            sides = []
            for signed_step in (step, -step):
                moved = tensor.copy()
                moved[index] += signed_step
                sides.append(function({**tensors, name: moved}))
            gradient[index] = (sides[0] - sides[1]) / (2 * step)
        gradients[name] = gradient
    return gradients


def assert_gradients(actual, numeric, tolerance=TOLERANCE):
    """Assert that gradients agree by name, and that none is zero throughout.

    Parameters
    ----------
    actual, numeric : dicts of str to ndarray
        Gradients to check and their central differences, under the same names.
    tolerance : float
        The largest error of a tensor over its largest magnitude.

    Returns
    -------
    dict of str to float
        The error of each tensor.
    """
    assert set(actual) == set(numeric), f"{sorted(actual)} != {sorted(numeric)}"
    for name, gradient in actual.items():
        assert gradient.shape == numeric[name].shape, (
            f"{name}: shape {gradient.shape}, expected {numeric[name].shape}"
        )
    zero = [name for name, gradient in actual.items() if not np.any(gradient)]
    assert not zero, f"zero throughout: {', '.join(zero)}"
    errors = {name: largest_error(actual[name], numeric[name]) for name in numeric}
    wrong = [f"{name} ({e:.1e})" for name, e in errors.items() if not e <= tolerance]
    assert not wrong, f"off from central differences: {', '.join(wrong)}"
    return errors


def check_gru(gru, x, h_0, d_output, d_h_n, lengths=None, tolerance=TOLERANCE):
    """Check every gradient of a float64 `fastgru.GRU` by central differences.

    Every entry of x, h_0 and each parameter is moved to both sides, the parameters
    through ``load_state_dict``; the layer gets its own weights back at the end.

    Returns
    -------
    dict of str to float
        The error of each tensor, by name.
    """
    state = gru.state_dict()
    tensors = {"x": x, "h_0": h_0, **state}
    assert all(tensor.dtype == np.float64 for tensor in tensors.values())

    def function(moved):
        gru.load_state_dict({name: moved[name] for name in state})
        output, h_n = gru(moved["x"], moved["h_0"], lengths)
        return objective(output, h_n, d_output, d_h_n)

    _, _, pullback = gru.vjp(x, h_0, lengths)
    grads = pullback(d_output, d_h_n)
    try:
        numeric = central_differences(function, tensors)
    finally:
        gru.load_state_dict(state)
    actual = {"x": grads.x, "h_0": grads.h_0, **grads.parameters}
    return assert_gradients(actual, numeric, tolerance)
