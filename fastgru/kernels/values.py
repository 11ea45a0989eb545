"""Whether numbers may be taken as they are, and their logarithms."""

from fastgru._jit import kernel
from fastgru.kernels.activations import log


@kernel
def all_within(rows, sizes, largest):
    """Whether no number is NaN, or larger than ``largest`` in size.

    rows : (n, longest); sizes : (n,) int64, how many numbers of each row count
    """
    outside = False
    for i in range(sizes.size):
        # Without a way out of the loop, it takes several numbers at once.
        for j in range(sizes[i]):
            outside |= not abs(rows[i, j]) <= largest
    return not outside


@kernel
def logarithm(logarithms, values):
    """Write the natural logarithm of each positive number; both 1-D float64."""
    for i in range(values.size):
        logarithms[i] = log(values[i])
