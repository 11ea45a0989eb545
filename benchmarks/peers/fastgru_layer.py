"""fastgru through its public call and ``vjp``, checks and allocation included."""

import numpy as np

import fastgru
from benchmarks.peers.case import Case, Timed


def make(case: Case) -> Timed:
    """Make what is timed."""
    fastgru.set_num_threads(case.n_threads)
    arrays = case.arrays()
    x, d_output = arrays.pop("x"), arrays.pop("d_output")
    lengths = case.lengths() if case.ragged else None
    gru = fastgru.GRU(
        case.input_size,
        case.hidden_size,
        reset_after=case.reset_after,
        dtype=np.dtype(case.dtype),
    )
    gru.load_state_dict(arrays)

    def forward() -> tuple:
        return gru(x, lengths=lengths)

    def step() -> fastgru.layers.gru.GRUGradients:
        return gru.vjp(x, lengths=lengths)[2](d_output)

    def results() -> dict[str, np.ndarray]:
        gradients = step()
        return {"output": forward()[0], "x": gradients.x, **gradients.parameters}

    return Timed(forward, step, results)
