"""How Keras stores what fastgru stores, and how its layers are run.

Keras has the gates in the order z, r, h, and a weight as (inputs, 3H).
"""

from __future__ import annotations

import warnings
from typing import Any

import keras
import numpy as np

# Of agreement with Keras, whatever dtype its layers are of: some of its products are in
# float32 even in float64 layers.
TOLERANCE = 1e-5

# Keras's name of an activation -> that of a Dense.
ACTIVATIONS = {
    "linear": "identity",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "logistic",
}


def swap_gates(rows: np.ndarray) -> np.ndarray:
    """Reorder rows of three gates, (3H, ...), from z, r, h to r, z, n, or back."""
    first, second, candidate = np.split(rows, 3)
    return np.concatenate([second, first, candidate])


def array_of(variable: Any) -> np.ndarray:
    """Return a copy of a variable's or a tensor's values."""
    with warnings.catch_warnings():
        # On PyTorch Keras makes arrays in a way that NumPy 2 warns of.
        warnings.simplefilter("ignore", DeprecationWarning)
        return np.array(keras.ops.convert_to_numpy(variable))


def run(layer: Any, x: np.ndarray) -> np.ndarray:
    """Return the results of a layer or model, the first of several."""
    results = layer(keras.ops.convert_to_tensor(x), training=False)
    return array_of(results[0] if isinstance(results, (tuple, list)) else results)
