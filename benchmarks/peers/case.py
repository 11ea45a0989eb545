"""One problem, made from its sizes by a seed: the same numbers in every process."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Case:
    """Sizes of a problem and how many threads may work on it.

    With ``ragged``, lengths are drawn uniformly from a quarter of n_steps to n_steps.
    """

    batch: int
    n_steps: int
    input_size: int
    hidden_size: int
    n_threads: int
    dtype: str = "float32"
    reset_after: bool = True
    ragged: bool = False

    def lengths(self) -> np.ndarray:
        """Return the number of valid steps of each sequence, (B,)."""
        if not self.ragged:
            return np.full(self.batch, self.n_steps)
        rng = np.random.default_rng(1)
        return rng.integers(self.n_steps // 4, self.n_steps + 1, self.batch)

    def unpadded(self) -> "Case":
        """Return the case of equally long sequences with about as many valid steps."""
        n_steps = round(self.lengths().sum() / self.batch)
        return replace(self, n_steps=n_steps, ragged=False)

    @property
    def gflop(self) -> float:
        """Operations of a forward pass over valid steps, in 1e9, by the usual count."""
        products = 6 * int(self.lengths().sum()) * self.hidden_size
        return products * (self.input_size + self.hidden_size) / 1e9

    def arrays(self) -> dict[str, np.ndarray]:
        """Return x (T, B, I), d_output (T, B, H) and parameters by PyTorch's names."""
        rng = np.random.default_rng(0)
        n_inputs, n_units = self.input_size, self.hidden_size
        shapes = {
            "x": (self.n_steps, self.batch, n_inputs),
            "d_output": (self.n_steps, self.batch, n_units),
            "weight_ih_l0": (3 * n_units, n_inputs),
            "weight_hh_l0": (3 * n_units, n_units),
            "bias_ih_l0": (3 * n_units,),
            "bias_hh_l0": (3 * n_units,),
        }
        arrays = {}
        for name, shape in shapes.items():
            values = rng.standard_normal(shape)
            if "_l0" in name:
                values = rng.uniform(-1.0, 1.0, shape) / np.sqrt(n_units)
            arrays[name] = values.astype(self.dtype)
        return arrays


@dataclass(frozen=True)
class Timed:
    """What is timed of one library: a forward pass, and forward and backward."""

    forward: Callable[[], object]
    step: Callable[[], object] | None  # None: it does not train
    results: Callable[[], dict[str, np.ndarray]]

    @property
    def runs(self) -> dict[str, Callable[[], object]]:
        """What there is, by name: "forward" and, if it trains, "step"."""
        both = {"forward": self.forward, "step": self.step}
        return {what: run for what, run in both.items() if run is not None}


class Unsupported(Exception):
    """A library does not have what a case asks for."""
