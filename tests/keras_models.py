"""Keras's GRU layers on PyTorch, their weights, and fastgru's names for these.

Keras's weights: kernel (I, 3H), recurrent_kernel (H, 3H) and bias, (2, 3H) with
reset_after, where the first row belongs to the input, else (3H,).
"""

import os
import tempfile
from unittest import mock

import numpy as np
import pytest

from gates import swap_first_two_gates

SETTINGS = {"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"}


def import_keras():
    """Import Keras so that PyTorch computes for it, or skip.

    It reads a file of settings in the user's home, and writes one; here it gets a home
    of its own.
    """
    pytest.importorskip(
        "torch", reason="agreement with Keras: torch, which computes, is not installed"
    )
    with (
        tempfile.TemporaryDirectory() as home,
        mock.patch.dict(os.environ, SETTINGS | {"KERAS_HOME": home}),
    ):
        keras = pytest.importorskip(
            "keras", minversion="3", reason="agreement with Keras: it is not installed"
        )
    assert keras.backend.backend() == "torch", "Keras was imported for another"
    return keras


def draw_weights(rng, input_size, hidden_size, *, reset_after, use_bias):
    """Draw what ``keras.layers.GRU.set_weights`` takes."""
    rows = 3 * hidden_size
    weights = [
        rng.standard_normal((input_size, rows)) / np.sqrt(input_size),
        rng.standard_normal((hidden_size, rows)) / np.sqrt(hidden_size),
    ]
    if use_bias:
        weights.append(rng.standard_normal((2, rows) if reset_after else rows) / 2)
    return [weight.astype(np.float32) for weight in weights]


def state_dict_of(weights, suffix="_l0"):
    """Bring weights of one layer and direction into fastgru's names and shapes."""
    return _renamed(weights, suffix, bias_hh=np.zeros_like)


def gradients_of(gradients, suffix="_l0"):
    """Bring gradients of one layer and direction into fastgru's names and shapes.

    Where Keras has one bias fastgru has two that are only added to each other: each has
    the gradient of their sum.
    """
    return _renamed(gradients, suffix, bias_hh=np.copy)


def _renamed(weights, suffix, bias_hh):
    kernel, recurrent_kernel, *bias = weights
    renamed = {
        f"weight_ih{suffix}": swap_first_two_gates(kernel.T),
        f"weight_hh{suffix}": swap_first_two_gates(recurrent_kernel.T),
    }
    if bias:
        both = bias[0] if bias[0].ndim == 2 else (bias[0], bias_hh(bias[0]))
        renamed[f"bias_ih{suffix}"] = swap_first_two_gates(both[0])
        renamed[f"bias_hh{suffix}"] = swap_first_two_gates(both[1])
    return renamed
