"""A fully connected layer on rows."""

from __future__ import annotations

import numpy as np

from fastgru.kernels.dense import (
    dense_backward,
    dense_forward,
    pack_dense,
    packed_dense_size,
)
from fastgru.parameters import ParameterSet


class Dense:
    """``y = x W' + b`` on a table of rows.

    Parameters
    ----------
    parameters : ParameterSet
        ``weight`` of shape (outputs, inputs) and ``bias`` of shape (outputs,),
        PyTorch's ``nn.Linear``.
    """

    def __init__(self, parameters: ParameterSet) -> None:
        self.parameters = parameters
        self.output_size, self.input_size = parameters["weight"].shape
        itemsize = parameters.dtype.itemsize
        size = packed_dense_size(self.input_size, self.output_size, itemsize)
        self._packed = np.zeros(size, parameters.dtype)
        self.pack()

    def pack(self) -> None:
        """Bring the packed weights up to date; called whenever parameters were set."""
        stored = self.parameters.stored
        pack_dense(self._packed, stored("weight"), stored("bias"))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return y of shape (rows, outputs) for x of shape (rows, inputs)."""
        y = np.empty((len(x), self.output_size), x.dtype)
        dense_forward(y, x, self._packed)
        return y

    def back(
        self, x: np.ndarray, d_y: np.ndarray, gradients: ParameterSet
    ) -> np.ndarray:
        """Return the gradient of x and write those of the parameters."""
        d_x = np.empty_like(x)
        stored = gradients.stored
        dense_backward(d_x, stored("weight"), stored("bias"), x, d_y, self._packed)
        return d_x
