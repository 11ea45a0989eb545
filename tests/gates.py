"""Other frameworks' order of the gates, z, r, h, against fastgru's r, z, n."""

import numpy as np


def swap_first_two_gates(rows):
    """Reorder rows of three gates from z, r, h to r, z, n, or back.

    Parameters
    ----------
    rows : array of shape (3 * H, ...)

    Returns
    -------
    ndarray of the same shape
    """
    first, second, candidate = np.split(rows, 3)
    return np.concatenate([second, first, candidate])
