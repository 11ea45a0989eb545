"""fastgru through its public call and ``vjp``, checks and allocation included."""

import numpy as np

import fastgru
from benchmarks.peers.case import Case, Timed


def make(case: Case) -> Timed:
    """Make what is timed."""
    fastgru.set_num_threads(case.n_threads)
    arrays = case.arrays()
    x, d_output = arrays.pop("x"), arrays.pop("d_output")
    gru = fastgru.GRU(case.input_size, case.hidden_size, dtype=np.dtype(case.dtype))
    gru.load_state_dict(arrays)

    def step() -> fastgru.layers.gru.GRUGradients:
        return gru.vjp(x)[2](d_output)

    def results() -> dict[str, np.ndarray]:
        gradients = step()
        return {"output": gru(x)[0], "x": gradients.x, **gradients.parameters}

    return Timed(lambda: gru(x), step, results)
