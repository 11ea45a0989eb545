"""How far off forecasts of steps that came later were, and intervals from that.

Split conformal prediction [1]_: of n errors the one of rank ceil((n + 1) * coverage),
by size, is the radius of an interval which covers the next error with at least that
probability, if errors come in any order.  Errors of forecasts j steps ahead from
neighbouring origins do not: they share j - 1 of their steps, so that n of them count as
n / j that are independent, or blocks as in [2]_.  The same rule for n / j errors,
spread over all n, asks for rank ceil((n + j) * coverage).  What changes in the long run
is met by newer errors, which take the places of the oldest.

References
----------
.. [1] Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free
   predictive inference for regression", JASA 113, section 2.2.
.. [2] Chernozhukov, Wuthrich and Zhu (2018), "Exact and robust conformal inference
   methods for predictive machine learning with dependent data", COLT, PMLR 75.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Errors:
    """Errors of forecasts of some series, one series after the other.

    Parameters
    ----------
    values : ndarray of shape (n, horizon, n_targets), float64
        Level less forecast; the oldest of each series first.
    counts : ndarray of shape (n_series,), int
        How many of them each series has.
    """

    values: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, each: list[np.ndarray]) -> Errors:
        """Join the errors of each series."""
        return cls(np.concatenate(each), np.array([len(own) for own in each]))

    def __len__(self) -> int:
        return len(self.values)

    def followed_by(self, new: list[np.ndarray]) -> Errors:
        """Return as many errors of each series, new ones in the place of the oldest."""
        old = np.split(self.values, np.cumsum(self.counts)[:-1])
        both = [np.concatenate(pair) for pair in zip(old, new, strict=True)]
        kept = zip(both, self.counts, strict=True)
        return Errors.of([own[len(own) - count :] for own, count in kept])

    def radius(self, coverage: float) -> np.ndarray:
        """Return half the width of intervals: (horizon, n_targets).

        Where more than the largest error is asked for, that is taken.

        Raises
        ------
        ValueError
            If there are too few errors for this coverage.
        """
        n, horizon, _ = self.values.shape
        # What is less than rounding above a whole number is that number.
        ranks = [
            math.ceil((n + step) * coverage * (1 - 1e-12))
            for step in range(1, horizon + 1)
        ]
        if ranks[0] > n:
            raise ValueError(
                f"coverage={coverage} needs the errors of at least "
                f"{math.ceil(coverage / (1.0 - coverage) - 1e-9)} forecasts, but "
                f"calibration had {n}: give more steps or a lower coverage"
            )
        sizes = np.sort(np.abs(self.values), axis=0)
        steps = np.arange(horizon)
        return sizes[np.minimum(ranks, n) - 1, steps]
