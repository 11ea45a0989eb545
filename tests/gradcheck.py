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


def check(model, tensors, forward, actual, tolerance=TOLERANCE):
    """Check every gradient of a float64 layer or network by central differences.

    Parameters
    ----------
    model : object
        Its parameters are moved through ``load_state_dict``; at the end it has its own
        again.
    tensors : dict of str to ndarray
        What else is moved.
    forward : callable
        Takes ``tensors`` as keywords and returns the objective.
    actual : dict of str to ndarray
        The gradients to check, of all tensors and parameters.

    Returns
    -------
    dict of str to float
        The error of each tensor, by name.
    """
    state = model.state_dict()
    moving = {**tensors, **state}
    assert all(tensor.dtype == np.float64 for tensor in moving.values())

    def function(moved):
        model.load_state_dict({name: moved[name] for name in state})
        return forward(**{name: moved[name] for name in tensors})

    try:
        numeric = central_differences(function, moving)
    finally:
        model.load_state_dict(state)
    return assert_gradients(actual, numeric, tolerance)


def check_gru(gru, x, h_0, d_output, d_h_n, lengths=None, **options):
    """Check every gradient of a float64 `fastgru.GRU`; options as of its ``vjp``."""
    _, _, pullback = gru.vjp(x, h_0, lengths, **options)
    grads = pullback(d_output, d_h_n)

    def forward(x, h_0):
        # A call knows no dropout.
        output, h_n, _ = gru.vjp(x, h_0, lengths, **options)
        return objective(output, h_n, d_output, d_h_n)

    actual = {"x": grads.x, "h_0": grads.h_0, **grads.parameters}
    return check(gru, {"x": x, "h_0": h_0}, forward, actual)


def check_network(network, x, d_outputs, lengths=None, **options):
    """Check every gradient of a float64 `fastgru.Network`, of x unless it is tokens."""
    _, pullback = network.vjp(x, lengths, **options)
    grads = pullback(d_outputs)

    def forward(x=x):
        outputs, _ = network.vjp(x, lengths, **options)
        return float(np.sum(outputs * d_outputs))

    if grads.x is None:
        return check(network, {}, forward, dict(grads.parameters))
    return check(network, {"x": x}, forward, {"x": grads.x, **grads.parameters})
