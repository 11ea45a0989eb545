"""How close is close: one number per dtype, for every tensor of the suite."""

import numpy as np

# The largest error of a tensor over the largest magnitude of what was expected.
TOLERANCES = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 2e-5}


def largest_error(actual, expected):
    """Give the largest error over the largest expected magnitude.

    Both are taken in float64.  NaN on either side gives NaN, which no bound admits; an
    error where only zeros were expected gives infinity.
    """
    actual = np.asarray(actual, dtype=np.float64)
    expected = np.asarray(expected, dtype=np.float64)
    if actual.size == 0:
        return 0.0
    error = np.max(np.abs(actual - expected))
    if error == 0.0:
        return 0.0
    magnitude = np.max(np.abs(expected))
    return np.inf if magnitude == 0.0 else float(error / magnitude)


def assert_close(name, actual, expected, dtype, tolerance=None):
    """Assert dtype, shape and values of one named tensor.

    Parameters
    ----------
    name : str
        Said in the message.
    actual, expected : ndarrays
        ``actual`` must be of ``dtype`` exactly; ``expected`` of any.
    dtype : dtype
        Chooses the tolerance.
    tolerance : float, default=None
        In place of the dtype's own.
    """
    dtype = np.dtype(dtype)
    bound = TOLERANCES[dtype] if tolerance is None else tolerance
    assert actual.dtype == dtype, f"{name}: dtype {actual.dtype}, expected {dtype}"
    assert actual.shape == expected.shape, (
        f"{name}: shape {actual.shape}, expected {expected.shape}"
    )
    error = largest_error(actual, expected)
    # Written so that a NaN fails.
    assert error <= bound, (
        f"{name}: largest error over largest magnitude {error:.2e}, "
        f"at most {bound:.0e} allowed in {dtype}"
    )


def assert_same_bits(name, actual, expected):
    """Assert that two arrays agree in dtype, shape and every bit."""
    assert actual.dtype == expected.dtype, (
        f"{name}: dtype {actual.dtype}, expected {expected.dtype}"
    )
    assert actual.shape == expected.shape, (
        f"{name}: shape {actual.shape}, expected {expected.shape}"
    )
    if actual.tobytes() != expected.tobytes():
        error = largest_error(actual, expected)
        raise AssertionError(f"{name}: not the same bits, largest error {error:.2e}")
