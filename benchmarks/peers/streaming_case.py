"""A layer that is fed one step at a time, made from its sizes by a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.case import Case

STEPS_COMPARED = 20


@dataclass(frozen=True)
class StreamingCase:
    """Sizes of the layer; there is one sequence, and one thread."""

    input_size: int
    hidden_size: int
    n_threads: int = 1

    def arrays(self) -> dict[str, np.ndarray]:
        """Return x (T, I) of the steps compared, and parameters by PyTorch's names."""
        case = Case(1, STEPS_COMPARED, self.input_size, self.hidden_size, 1)
        arrays = case.arrays()
        del arrays["d_output"]
        arrays["x"] = arrays["x"][:, 0]
        return arrays


@dataclass(frozen=True)
class Streamed:
    """What is timed of one library, by name; ``output`` is that of the steps compared.

    "step" takes one step from Python, the state in and out as the library does it; a
    name that begins with a number takes so many.
    """

    runs: dict[str, Callable[[], object]]
    output: Callable[[], np.ndarray]

    def results(self) -> dict[str, np.ndarray]:
        """Return what is compared."""
        return {"output": self.output()}
