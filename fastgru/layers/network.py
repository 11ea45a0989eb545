"""A recurrent network with a head: sequences in, one row of outputs per sequence.

GRU over each sequence, its last state, a fully connected layer.  Its parameters are one
flat vector.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgru import initializers
from fastgru.layers.dense import Dense
from fastgru.layers.geometry import Geometry
from fastgru.layers.recurrence import Recurrence, parameter_shapes
from fastgru.parameters import ParameterSet

# (d_outputs, outputs) -> sum of the rows' losses; writes the gradient to the first.
BatchLoss = Callable[[np.ndarray, np.ndarray], float]


class Network:
    """GRU, last state, dense layer.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        Features per step, units, outputs per sequence.
    reset_after : bool
        Which cell, as in :class:`fastgru.GRU`.
    dtype : numpy dtype
        float32 or float64.
    random_state : RandomState, default=None
        Draws the parameters, uniform in plus or minus ``1 / sqrt(hidden_size)``; None
        leaves them zero.

    Attributes
    ----------
    parameters : ParameterSet
        ``gru.weight_ih_l0`` and so on, ``dense.weight``, ``dense.bias``.  After
        changing it, call ``pack``.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        reset_after: bool,
        dtype: Any,
        random_state: np.random.RandomState | None = None,
    ) -> None:
        shapes = {
            f"gru.{name}": shape
            for name, shape in parameter_shapes(input_size, hidden_size).items()
        }
        shapes["dense.weight"] = (output_size, hidden_size)
        shapes["dense.bias"] = (output_size,)
        self.parameters = ParameterSet(shapes, dtype)
        self.sizes = (int(input_size), int(hidden_size), int(output_size))
        if random_state is not None:
            bound = 1.0 / np.sqrt(hidden_size)
            for name, shape in shapes.items():
                values = initializers.uniform(shape, bound, random_state)
                self.parameters[name][...] = values
        self.gru = Recurrence(
            self.parameters.part("gru."), "_l0", reset_after=reset_after
        )
        self.dense = Dense(self.parameters.part("dense."))

    def __getstate__(self) -> dict[str, Any]:
        # Packed weights fit one CPU; the file may be read on another.
        return {
            "sizes": self.sizes,
            "reset_after": self.gru.reset_after,
            "parameters": self.parameters.flat,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        flat = state["parameters"]
        reset_after = state["reset_after"]
        Network.__init__(
            self, *state["sizes"], reset_after=reset_after, dtype=flat.dtype
        )
        self.parameters.flat[...] = flat
        self.pack()

    def pack(self) -> None:
        """Bring the packed weights up to date; called whenever parameters were set."""
        self.gru.pack()
        self.dense.pack()

    def outputs(
        self, values: np.ndarray, lengths: np.ndarray, n_threads: int
    ) -> np.ndarray:
        """Run the network on sequences that stand one after the other.

        Parameters
        ----------
        values : ndarray of shape (sum of lengths, input_size)
        lengths : ndarray of shape (n,), int64
        n_threads : int

        Returns
        -------
        ndarray of shape (n, output_size)
        """
        geometry = Geometry.concatenated(lengths)
        h_n = self.gru.infer(values, geometry, None, None, n_threads)
        return self.dense.forward(h_n)

    def loss_and_gradients(
        self,
        values: np.ndarray,
        lengths: np.ndarray,
        loss: BatchLoss,
        gradients: ParameterSet,
        n_threads: int,
    ) -> float:
        """Return the summed loss of a batch and write the gradients of all parameters.

        Parameters
        ----------
        values, lengths, n_threads
            As for ``outputs``.
        loss : callable
            ``loss(d_outputs, outputs)`` returns the sum and writes the gradient to its
            first argument.
        gradients : ParameterSet
            Written; made by ``parameters.like()``.
        """
        geometry = Geometry.concatenated(lengths)
        h_n, tape = self.gru.record(values, geometry, None, None, n_threads)
        outputs = self.dense.forward(h_n)
        d_outputs = np.empty_like(outputs)
        total = loss(d_outputs, outputs)
        d_h_n = self.dense.back(h_n, d_outputs, gradients.part("dense."))
        self.gru.back(tape, gradients.part("gru."), None, d_h_n, None, n_threads)
        return total
