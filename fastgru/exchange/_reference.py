"""PyTorch's modules in plain NumPy and float64, by the names of their parameters.

The referee of weights that come without what runs them: it sees the names and arrays as
they were given, and shares no code with the layers that it judges.  Time-major.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Arrays = Mapping[str, np.ndarray]


def step(x: np.ndarray, h: np.ndarray, state: Arrays, suffix: str = "") -> np.ndarray:
    """Return the states after one step; x of shape (B, I), h of shape (B, H)."""
    w_ih, w_hh = (state[f"weight_{kind}{suffix}"] for kind in ("ih", "hh"))
    none = np.zeros(len(w_ih))
    b_ih, b_hh = (state.get(f"bias_{kind}{suffix}", none) for kind in ("ih", "hh"))
    r_x, z_x, n_x = np.split(x @ w_ih.T.astype(float) + b_ih, 3, axis=1)
    r_h, z_h, n_h = np.split(h @ w_hh.T.astype(float) + b_hh, 3, axis=1)
    # The logistic function, which overflows nowhere.
    r, z = ((1 + np.tanh(a / 2)) / 2 for a in (r_x + r_h, z_x + z_h))
    return (1 - z) * np.tanh(n_x + r * n_h) + z * h


def gru(x: np.ndarray, h_0: np.ndarray, state: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Run ``torch.nn.GRU``; x of shape (T, B, I), h_0 of shape (D * L, B, H)."""
    layer = 0
    finals: list[np.ndarray] = []
    while f"weight_ih_l{layer}" in state:
        outputs = []
        for suffix, order in ((f"_l{layer}", 1), (f"_l{layer}_reverse", -1)):
            if f"weight_ih{suffix}" in state:
                h, states = h_0[len(finals)], []
                for x_t in x[::order]:
                    h = step(x_t, h, state, suffix)
                    states.append(h)
                finals.append(h)
                outputs.append(np.array(states)[::order])
        x = np.concatenate(outputs, axis=2)
        layer += 1
    return x, np.array(finals)


def linear(x: np.ndarray, state: Arrays) -> np.ndarray:
    """Run ``torch.nn.Linear``."""
    return x @ state["weight"].T.astype(float) + state.get("bias", 0.0)


def embedding(tokens: np.ndarray, state: Arrays) -> np.ndarray:
    """Run ``torch.nn.Embedding``."""
    return state["weight"].astype(float)[tokens]
