"""A vectorised NumPy GRU, products by its BLAS; forward only."""

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.peers.case import Case, Timed, Unsupported


def make(case: Case) -> Timed:
    """Make what is timed."""
    if case.ragged or not case.reset_after:
        raise Unsupported("written for equal lengths and reset after the product")
    threadpool_limits(case.n_threads)
    arrays = case.arrays()
    x = arrays["x"]
    w_ih, w_hh = (
        np.ascontiguousarray(arrays[f"weight_{k}_l0"].T) for k in ("ih", "hh")
    )
    b_ih, b_hh = arrays["bias_ih_l0"], arrays["bias_hh_l0"]
    n_units = case.hidden_size

    def forward() -> np.ndarray:
        before = x @ w_ih + b_ih
        output = np.empty((*x.shape[:2], n_units), x.dtype)
        h = np.zeros((case.batch, n_units), x.dtype)
        for t in range(case.n_steps):
            recurrent = h @ w_hh + b_hh
            gates = before[t, :, : 2 * n_units] + recurrent[:, : 2 * n_units]
            gates = 1.0 / (1.0 + np.exp(-gates))
            r, z = gates[:, :n_units], gates[:, n_units:]
            n = np.tanh(before[t, :, 2 * n_units :] + r * recurrent[:, 2 * n_units :])
            h = n + z * (h - n)
            output[t] = h
        return output

    return Timed(forward, None, lambda: {"output": forward()})
