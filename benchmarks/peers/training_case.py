"""A classifier to train, made from its sizes by a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TrainingCase:
    """Sizes of the data, the network and the minibatches."""

    n_threads: int
    n_sequences: int = 2000
    n_steps: int = 100
    input_size: int = 16
    hidden_size: int = 128
    n_classes: int = 10
    batch_size: int = 64
    n_epochs: int = 5
    learning_rate: float = 1e-3
    max_norm: float = 1.0

    def __str__(self) -> str:
        """Say what is trained."""
        shape = f"({self.n_steps}, {self.input_size})"
        return f"a classifier on {self.n_sequences} sequences of {shape}"

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return X (N, T, I), noise about a mean per class, and the classes (N,)."""
        rng = np.random.default_rng(0)
        y = rng.integers(self.n_classes, size=self.n_sequences)
        means = rng.standard_normal((self.n_classes, 1, self.input_size))
        shape = self.n_sequences, self.n_steps, self.input_size
        X = 0.2 * means[y] + rng.standard_normal(shape)
        return X.astype(np.float32), y


@dataclass(frozen=True)
class Fitted:
    """What is timed of one library: a whole training; its results are the losses."""

    fit: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]]

    @property
    def runs(self) -> dict[str, Callable[[], object]]:
        """What there is, by name."""
        return {"fit": self.fit}
