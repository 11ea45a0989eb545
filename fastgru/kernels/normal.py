"""Standard normal numbers from uniform ones, by Marsaglia's polar method.

For a point (u, v) drawn uniformly from the square [-1, 1)^2 and kept if 0 < s < 1 with
s = u^2 + v^2, the numbers u f and v f with f = sqrt(-2 ln(s) / s) are independent and
standard normal (Marsaglia & Bray 1964, "A convenient method for generating normal
variables", SIAM Review 6).  One logarithm, fastgru's own; the rest are single
operations that IEEE 754 rounds one way, so no CPU and no library changes a bit.
"""

import math

from fastgru._jit import kernel
from fastgru.kernels.activations import log


@kernel
def fill_normal(normals, begin, points):
    """Write two numbers per point that is kept; return where the next one goes.

    normals : (n,), written from ``begin`` on; what does not fit is dropped
    points : (k, 2), in [-1, 1)
    """
    place = begin
    for i in range(points.shape[0]):
        if place >= normals.size:
            break
        u, v = points[i, 0], points[i, 1]
        s = u * u + v * v
        if 0.0 < s < 1.0:
            factor = math.sqrt(-2.0 * log(s) / s)
            normals[place] = u * factor
            if place + 1 < normals.size:
                normals[place + 1] = v * factor
            place += 2
    return place
