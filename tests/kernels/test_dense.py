"""The fully connected layer against plain matrix products in float64."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.kernels.dense import (
    dense_backward,
    dense_forward,
    pack_dense,
    packed_dense_size,
)
from gradcheck import assert_gradients, central_differences
from tolerances import assert_close, assert_same_bits

# rows, inputs, outputs: beside the rows of a tile and of a block, and the lanes.
SHAPES = [
    (1, 1, 1),
    (2, 3, 1),
    (5, 13, 50),
    (64, 17, 16),
    (65, 1, 33),
    (257, 50, 3),
    (300, 64, 10),
    (513, 7, 257),
]
EACH_SHAPE = pytest.mark.parametrize("shape", SHAPES, ids=str)
CANARY = 12345.0


def guarded(*shape, dtype):
    """Give an array to write to, and a check that nothing around it was written."""
    size = int(np.prod(shape))
    memory = np.full(size + 64, CANARY, dtype)
    array = memory[32 : 32 + size].reshape(shape)

    def check(name):
        outside = np.concatenate([memory[:32], memory[32 + size :]])
        assert (outside == CANARY).all(), f"{name}: written outside"

    return array, check


def draw(shape, dtype, seed=0):
    """Draw x, weight (inputs, outputs), bias and the gradient of y."""
    rng = np.random.default_rng(seed)
    rows, n_inputs, n_outputs = shape
    shapes = ((rows, n_inputs), (n_inputs, n_outputs), (n_outputs,), (rows, n_outputs))
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


def pack(weight, bias):
    """Pack the weights of a layer."""
    size = packed_dense_size(*weight.shape, weight.itemsize)
    packed, check = guarded(size, dtype=weight.dtype)
    packed[...] = 0
    pack_dense(packed, weight, bias)
    check("packed")
    return packed


def forward(x, weight, bias):
    """Run the forward kernel."""
    y, check = guarded(len(x), len(bias), dtype=x.dtype)
    dense_forward(y, x, pack(weight, bias))
    check("y")
    return y


def backward(x, weight, bias, d_y):
    """Run the backward kernel; the gradients by name."""
    grads, checks = {}, {}
    for name, array in (("x", x), ("weight", weight), ("bias", bias)):
        grads[name], checks[name] = guarded(*array.shape, dtype=x.dtype)
    dense_backward(*grads.values(), x, d_y, pack(weight, bias))
    for name, check in checks.items():
        check(name)
    return grads


@EACH_SHAPE
@BOTH_DTYPES
def test_forward_is_the_product_and_the_bias(dtype, shape):
    x, weight, bias, _ = draw(shape, dtype)
    expected = x.astype(np.float64) @ weight.astype(np.float64) + bias
    assert_close("y", forward(x, weight, bias), expected, dtype)


@EACH_SHAPE
@BOTH_DTYPES
def test_backward_gives_the_transposed_products(dtype, shape):
    x, weight, bias, d_y = draw(shape, dtype)
    x64, weight64, d_y64 = (a.astype(np.float64) for a in (x, weight, d_y))
    expected = {
        "x": d_y64 @ weight64.T,
        "weight": x64.T @ d_y64,
        "bias": d_y64.sum(axis=0),
    }
    grads = backward(x, weight, bias, d_y)
    for name, gradient in grads.items():
        assert_close(name, gradient, expected[name], dtype)


def test_gradients_agree_with_central_differences():
    x, weight, bias, d_y = draw((5, 4, 3), np.float64)
    numeric = central_differences(
        lambda t: float(np.sum(forward(t["x"], t["weight"], t["bias"]) * d_y)),
        {"x": x, "weight": weight, "bias": bias},
    )
    assert_gradients(backward(x, weight, bias, d_y), numeric)


@BOTH_DTYPES
def test_a_row_alone_gives_its_bits_in_the_batch(dtype):
    x, weight, bias, d_y = draw((70, 13, 17), dtype)
    y, d_x = forward(x, weight, bias), backward(x, weight, bias, d_y)["x"]
    for row in range(70):
        part = slice(row, row + 1)
        assert_same_bits(f"y of {row}", forward(x[part], weight, bias), y[part])
        alone = backward(x[part], weight, bias, d_y[part])["x"]
        assert_same_bits(f"d_x of {row}", alone, d_x[part])


@BOTH_DTYPES
def test_no_rows_give_no_outputs_and_zero_gradients(dtype):
    x, weight, bias, d_y = draw((0, 5, 3), dtype)
    assert forward(x, weight, bias).shape == (0, 3)
    grads = backward(x, weight, bias, d_y)
    assert grads["x"].shape == (0, 5)
    assert not grads["weight"].any()
    assert not grads["bias"].any()


@BOTH_DTYPES
def test_nan_stays_in_its_row(dtype):
    x, weight, bias, _ = draw((9, 5, 3), dtype)
    expected = forward(x, weight, bias)
    x[4, 2] = np.nan
    y = forward(x, weight, bias)
    assert np.isnan(y[4]).all()
    others = np.arange(9) != 4
    assert_same_bits("other rows", y[others], expected[others])
