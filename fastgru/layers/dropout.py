"""Dropout of whole units of a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastgru.kernels.dropout import apply_mask
from fastgru.layers._checks import check_form, check_rate
from fastgru.layers._layer import Form, Layer, Rows
from fastgru.layers.geometry import Geometry
from fastgru.layers.masks import Masks
from fastgru.parameters import ParameterSet


class Dropout(Layer):
    """Drop units at random in training, each for all steps of a sequence.

    In training a number that comes in is multiplied by 0 with probability ``rate``, and
    otherwise by ``1 / (1 - rate)``, which leaves its expectation as it is.  One mask is
    drawn per sequence and held over its steps, as is right for recurrent networks [1]_;
    ``torch.nn.Dropout`` draws one for each step.  Outside of training the layer changes
    nothing.

    Parameters
    ----------
    rate : float
        Probability that a unit is dropped, from 0 to 1.

    Raises
    ------
    TypeError
        If ``rate`` is not a number.
    ValueError
        If ``rate`` is below 0 or above 1.

    Notes
    -----
    A mask depends on the seed given to the network, the layer's place in it, the
    sequence's id and the unit, and on nothing else: not on the batch around a sequence
    nor on threads.  A dropped NaN or infinity stays visible, as NaN.

    References
    ----------
    .. [1] Gal & Ghahramani (2016), "A theoretically grounded application of dropout in
       recurrent neural networks", arXiv:1512.05287, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> import fastgru
    >>> network = fastgru.Network([fastgru.GRU(3, 8), fastgru.Dropout(0.5)])
    >>> x = np.ones((7, 2, 3), np.float32)  # 7 steps of 2 sequences
    >>> outputs, _ = network.vjp(x, dropout_seed=0)
    >>> dropped = outputs == 0
    >>> bool((dropped == dropped[0]).all())  # at one step as at any other
    True
    """

    _settings = ("rate",)

    def __init__(self, rate: float) -> None:
        self._configure(rate=rate)
        self._bind(ParameterSet({}, np.float32))

    def _configure(self, *, rate: Any) -> None:
        self.rate = check_rate("rate", rate)

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        return iter(())

    def _bind(self, parameters: ParameterSet) -> None:
        self._parameters = parameters

    def _pack(self) -> None:
        pass

    def _follow(self, form: Form) -> Form:
        check_form("Dropout", form, None, None)
        return form

    def _infer(self, rows: Rows, n_threads: int) -> Rows:
        return rows

    def _record(
        self, rows: Rows, masks: Masks | None, n_threads: int
    ) -> tuple[Rows, Any]:
        if masks is None:
            return rows, None
        values, geometry = rows
        mask = masks.draw(values.shape[1], self.rate, values.dtype)
        masked = np.empty_like(values)
        _multiply(masked, values, mask, geometry)
        return Rows(masked, geometry), (mask, geometry)

    def _back(
        self,
        tape: Any,
        d_values: np.ndarray,
        gradients: ParameterSet,
        n_threads: int,
        *,
        wants_input: bool,
    ) -> np.ndarray | None:
        if not wants_input:
            return None
        if tape is not None:
            _multiply(d_values, d_values, *tape)
        return d_values


def _multiply(
    target: np.ndarray, source: np.ndarray, mask: np.ndarray, geometry: Geometry | None
) -> None:
    if geometry is None:
        geometry = Geometry.equal(1, len(mask), batch_first=True)
    apply_mask(target, source, mask, geometry.table)
