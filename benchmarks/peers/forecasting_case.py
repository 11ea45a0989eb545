"""A forecaster of many series to train, made from its sizes by a seed."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ForecastingCase:
    """Sizes of the series, the network and the minibatches."""

    n_threads: int
    n_series: int = 1000
    shortest: int = 100
    longest: int = 500
    horizon: int = 12
    n_lags: int = 24
    hidden_size: int = 64
    batch_size: int = 64
    n_epochs: int = 2
    learning_rate: float = 1e-3
    max_norm: float = 1.0

    def __str__(self) -> str:
        """Say what is trained."""
        return (
            f"a forecaster on {self.n_series} series of {self.shortest} to "
            f"{self.longest} steps, {self.n_lags} lags, horizon {self.horizon}"
        )

    def series(self) -> list[np.ndarray]:
        """Return seasons of twelve steps, each with a level and noise of its own."""
        rng = np.random.default_rng(0)
        lengths = rng.integers(self.shortest, self.longest + 1, size=self.n_series)
        return [
            rng.normal(scale=10.0)
            + np.sin((np.arange(length) + rng.integers(12)) * np.pi / 6.0)
            + 0.3 * rng.standard_normal(length)
            for length in lengths
        ]
