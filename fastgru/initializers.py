"""First values of parameters: seeded, and the same bits on every machine."""

from __future__ import annotations

import numpy as np


def uniform(
    shape: tuple[int, ...], bound: float, random_state: np.random.RandomState
) -> np.ndarray:
    """Draw numbers uniformly from [-bound, bound), in float64.

    Made of 53 random bits, one exact scaling and one rounded product, so no CPU rounds
    otherwise.
    """
    return (2.0 * random_state.random_sample(shape) - 1.0) * bound
