"""Dropout masks that depend on the sequence and nothing around it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from fastgru.kernels.dropout import draw_mask


@dataclass(frozen=True)
class Masks:
    """Draws the masks of one training step.

    A number of a mask depends on the seed, the layer, the sequence's id and the unit: a
    sequence gets the same masks in any batch, at any place in it, on any machine.

    Attributes
    ----------
    seed : int
        From 0 to 2**64 - 1.
    sequence_ids : ndarray of int64, shape (batch,)
        One per sequence, in users' order.
    layer : int
        Number that tells apart the layers of a network.
    """

    seed: int
    sequence_ids: np.ndarray
    layer: int = 0

    def of_layer(self, number: int) -> Masks:
        """Return what draws the masks of a part of this layer (or network)."""
        return replace(self, layer=self.layer * 4096 + number + 1)

    def draw(self, n_units: int, rate: float, dtype: np.dtype) -> np.ndarray:
        """Return a mask (batch, n_units), 0 at a part ``rate``, else 1 / (1 - rate).

        A rate of 1 gives zeros only.
        """
        mask = np.empty((self.sequence_ids.size, n_units), dtype)
        draw_mask(mask, np.uint64(self.seed), self.layer, self.sequence_ids, rate)
        return mask


def check_masks(seed: Any, sequence_ids: Any, batch: int) -> Masks | None:
    """Return what draws a call's masks, None without a seed, or say what is wrong."""
    if sequence_ids is None:
        if seed is None:
            return None
        ids = np.arange(batch)
    else:
        ids = np.asarray(sequence_ids)
        if ids.dtype.kind not in "iu" and ids.size > 0:
            raise TypeError(
                f"sequence_ids must be whole numbers, got dtype {ids.dtype}"
            )
        if ids.shape != (batch,):
            raise ValueError(
                f"sequence_ids must have shape {(batch,)}, one per sequence, "
                f"got shape {ids.shape}"
            )
    if seed is None:
        return None
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, Integral):
        raise TypeError(
            f"dropout_seed must be a whole number, got {seed!r} "
            f"of type {type(seed).__name__}"
        )
    if not 0 <= int(seed) < 2**64:
        raise ValueError(f"dropout_seed must be from 0 to 2**64 - 1, got {seed}")
    return Masks(int(seed), ids.astype(np.int64))
