"""One problem, made from its sizes by a seed: the same numbers in every process."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Case:
    """Sizes of a problem and how many threads may work on it."""

    batch: int
    n_steps: int
    input_size: int
    hidden_size: int
    n_threads: int
    dtype: str = "float32"

    @property
    def gflop(self) -> float:
        """Operations of a forward pass, in 1e9, by the usual count."""
        products = 6 * self.batch * self.n_steps * self.hidden_size
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
    step: Callable[[], object]
    results: Callable[[], dict[str, np.ndarray]]
