"""How far off forecasts of steps that came later were, and intervals from that.

Split conformal prediction: of n errors the one of rank ceil((n + 1) * coverage), by
size, is the radius of an interval which covers the next error with at least that
probability if errors of the same step of the horizon come in any order.  Those of a
series do not quite, which is why newer errors take the places of the oldest.

References
----------
.. [1] Lei, G'Sell, Rinaldo, Tibshirani and Wasserman (2018), "Distribution-free
   predictive inference for regression", JASA 113, section 2.2.
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

        Raises
        ------
        ValueError
            If there are too few errors for this coverage.
        """
        n = len(self)
        rank = math.ceil((n + 1) * coverage * (1 - 1e-12))
        if rank > n:
            raise ValueError(
                f"coverage={coverage} needs the errors of at least "
                f"{math.ceil(coverage / (1.0 - coverage) - 1e-9)} forecasts, but "
                f"calibration had {n}: give more steps or a lower coverage"
            )
        return np.sort(np.abs(self.values), axis=0)[rank - 1]
