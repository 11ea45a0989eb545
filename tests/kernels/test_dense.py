"""The fully connected layer against plain matrix products in float64."""

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.kernels.dense import (
    IDENTITY,
    LOGISTIC,
    RELU,
    TANH,
    dense_backward,
    dense_backward_parallel,
    dense_forward,
    dense_forward_parallel,
    pack_dense,
    packed_dense_size,
)
from fastgru.kernels.packing import aligned_zeros
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
# f, and its slope from its value.
ACTIVATIONS = {
    IDENTITY: (lambda x: x, lambda y: np.ones_like(y)),
    RELU: (lambda x: np.maximum(x, 0.0), lambda y: (y > 0.0).astype(float)),
    TANH: (np.tanh, lambda y: 1.0 - y * y),
    LOGISTIC: (lambda x: 1.0 / (1.0 + np.exp(-x)), lambda y: y * (1.0 - y)),
}
EACH_ACTIVATION = pytest.mark.parametrize(
    "activation", ACTIVATIONS, ids=["identity", "relu", "tanh", "logistic"]
)
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
    x = rng.standard_normal((rows, n_inputs))
    weight = rng.standard_normal((n_inputs, n_outputs)) / np.sqrt(n_inputs)
    bias, d_y = rng.standard_normal(n_outputs), rng.standard_normal((rows, n_outputs))
    return [array.astype(dtype) for array in (x, weight, bias, d_y)]


def pack(weight, bias):
    """Pack the weights of a layer."""
    size = packed_dense_size(*weight.shape, weight.itemsize)
    packed = aligned_zeros(size + 1, weight.dtype)
    packed[size] = 7
    pack_dense(packed[:size], weight, bias)
    assert packed[size] == 7
    return packed[:size]


def forward(x, weight, bias, activation=IDENTITY, n_workers=None):
    """Run the forward kernel, or the parallel one if a number of workers is given."""
    y, check = guarded(len(x), len(bias), dtype=x.dtype)
    y[...] = np.nan
    arguments = (y, x, pack(weight, bias), activation)
    if n_workers is None:
        dense_forward(*arguments)
    else:
        dense_forward_parallel(*arguments, n_workers)
    check("y")
    return y


def backward(x, weight, bias, d_y, activation=IDENTITY, n_workers=None):
    """Run a backward kernel; the gradients by name."""
    y = forward(x, weight, bias, activation)
    grads, checks = {}, {}
    for name, array in (("x", x), ("weight", weight), ("bias", bias)):
        grads[name], checks[name] = guarded(*array.shape, dtype=x.dtype)
        grads[name][...] = np.nan
    d_before, checks["d_y"] = guarded(*d_y.shape, dtype=x.dtype)
    d_before[...] = d_y
    arguments = (*grads.values(), x, y, d_before, pack(weight, bias), activation)
    if n_workers is None:
        dense_backward(*arguments)
    else:
        dense_backward_parallel(*arguments, n_workers)
    for name, check in checks.items():
        check(name)
    return grads


def by_hand(x, weight, bias, d_y, activation):
    """Compute y and the gradients in float64."""
    x, weight, bias, d_y = (a.astype(np.float64) for a in (x, weight, bias, d_y))
    f, slope = ACTIVATIONS[activation]
    y = f(x @ weight + bias)
    d = d_y * slope(y)
    return y, {"x": d @ weight.T, "weight": x.T @ d, "bias": d.sum(axis=0)}


@EACH_SHAPE
@EACH_ACTIVATION
@BOTH_DTYPES
def test_forward_is_the_activation_of_the_product_and_the_bias(
    dtype, activation, shape
):
    x, weight, bias, d_y = draw(shape, dtype)
    expected, _ = by_hand(x, weight, bias, d_y, activation)
    assert_close("y", forward(x, weight, bias, activation), expected, dtype)


@EACH_SHAPE
@EACH_ACTIVATION
@BOTH_DTYPES
def test_backward_gives_the_transposed_products(dtype, activation, shape):
    x, weight, bias, d_y = draw(shape, dtype)
    _, expected = by_hand(x, weight, bias, d_y, activation)
    grads = backward(x, weight, bias, d_y, activation)
    for name, gradient in grads.items():
        if not expected[name].any():  # relu of few numbers
            assert not gradient.any()
        else:
            assert_close(name, gradient, expected[name], dtype)


@EACH_ACTIVATION
def test_gradients_agree_with_central_differences(activation):
    x, weight, bias, d_y = draw((5, 4, 3), np.float64)

    def objective(t):
        return float(np.sum(forward(t["x"], t["weight"], t["bias"], activation) * d_y))

    tensors = {"x": x, "weight": weight, "bias": bias}
    numeric = central_differences(objective, tensors)
    assert_gradients(backward(x, weight, bias, d_y, activation), numeric)


@EACH_ACTIVATION
@BOTH_DTYPES
def test_a_row_alone_gives_its_bits_in_the_batch(dtype, activation):
    x, weight, bias, d_y = draw((70, 13, 17), dtype)
    y = forward(x, weight, bias, activation)
    d_x = backward(x, weight, bias, d_y, activation)["x"]
    for row in range(70):
        part = slice(row, row + 1)
        alone = forward(x[part], weight, bias, activation)
        assert_same_bits(f"y of {row}", alone, y[part])
        alone = backward(x[part], weight, bias, d_y[part], activation)["x"]
        assert_same_bits(f"d_x of {row}", alone, d_x[part])


@pytest.mark.parametrize("n_workers", [1, 2, 3, 7, 64])
@EACH_SHAPE
@BOTH_DTYPES
def test_workers_give_the_bits_of_one(dtype, shape, n_workers):
    x, weight, bias, d_y = draw(shape, dtype)
    y = forward(x, weight, bias, TANH)
    assert_same_bits("y", forward(x, weight, bias, TANH, n_workers), y)
    expected = backward(x, weight, bias, d_y, TANH)
    grads = backward(x, weight, bias, d_y, TANH, n_workers)
    for name, gradient in grads.items():
        assert_same_bits(name, gradient, expected[name])


@BOTH_DTYPES
def test_what_is_not_wanted_is_left_out(dtype):
    x, weight, bias, d_y = draw((300, 7, 5), dtype)
    expected = backward(x, weight, bias, d_y)
    no_rows, check_rows = guarded(0, 7, dtype=dtype)
    no_bias, check_bias = guarded(0, dtype=dtype)
    d_weight = np.empty_like(weight)
    packed = pack(weight, bias)
    dense_backward(no_rows, d_weight, no_bias, x, d_y, d_y, packed, IDENTITY)
    check_rows("x")
    check_bias("bias")
    assert_same_bits("weight", d_weight, expected["weight"])


@BOTH_DTYPES
def test_a_long_sum_over_rows_is_accurate(dtype):
    # Two hundred thousand terms in one go would be off by a hundred times as much.
    x, d_y = np.full((200_000, 1), 0.1, dtype), np.ones((200_000, 1), dtype)
    grads = backward(x, np.ones((1, 1), dtype), np.zeros(1, dtype), d_y)
    assert_close("bias", grads["bias"], np.array([200_000.0]), dtype)
    expected = np.full((1, 1), 200_000 * float(dtype(0.1)))
    assert_close("weight", grads["weight"], expected, dtype)


@EACH_ACTIVATION
@BOTH_DTYPES
def test_no_rows_give_no_outputs_and_zero_gradients(dtype, activation):
    x, weight, bias, d_y = draw((0, 5, 3), dtype)
    for n_workers in (None, 2):
        arguments = (activation, n_workers)
        assert forward(x, weight, bias, *arguments).shape == (0, 3)
        grads = backward(x, weight, bias, d_y, *arguments)
        assert grads["x"].shape == (0, 5)
        assert_same_bits("weight", grads["weight"], np.zeros_like(weight))
        assert_same_bits("bias", grads["bias"], np.zeros_like(bias))


@EACH_ACTIVATION
@BOTH_DTYPES
def test_nan_stays_in_its_row_and_shows(dtype, activation):
    x, weight, bias, d_y = draw((9, 5, 3), dtype)
    expected = forward(x, weight, bias, activation)
    expected_d_x = backward(x, weight, bias, d_y, activation)["x"]
    x[4, 2] = np.nan
    y = forward(x, weight, bias, activation)
    grads = backward(x, weight, bias, d_y, activation)
    assert np.isnan(y[4]).all()
    others = np.arange(9) != 4
    assert_same_bits("other rows", y[others], expected[others])
    assert_same_bits("other d_x", grads["x"][others], expected_d_x[others])
    assert grads["x"][4].any()  # NaN or, behind a relu, what comes from behind
    assert np.isnan(grads["weight"][2]).all()


@BOTH_DTYPES
def test_activations_at_the_ends_of_their_ranges(dtype):
    x = np.array([[-np.inf], [-1e4], [-0.0], [0.0], [1e4], [np.inf]], dtype)
    one, zero, d_y = np.ones((1, 1), dtype), np.zeros(1, dtype), np.ones((6, 1), dtype)
    values = {
        RELU: [0, 0, 0, 0, 1e4, np.inf],
        TANH: [-1, -1, 0, 0, 1, 1],
        LOGISTIC: [0, 0, 0.5, 0.5, 1, 1],
    }
    slopes = {
        RELU: [0, 0, 0, 0, 1, 1],
        TANH: [0, 0, 1, 1, 0, 0],
        LOGISTIC: [0, 0, 0.25, 0.25, 0, 0],
    }
    for activation, expected in values.items():
        assert (forward(x, one, zero, activation)[:, 0] == expected).all()
        d_x = backward(x, one, zero, d_y, activation)["x"]
        assert (d_x[:, 0] == slopes[activation]).all()
