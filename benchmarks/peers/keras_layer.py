"""Keras 3's GRU layer, compiled by its backend; gradients by its backend.

The backend is the environment's KERAS_BACKEND, else TensorFlow if that is installed,
else JAX, else PyTorch.  TensorFlow is too large to be asked for here (1.3 GB); JAX was
the faster one wherever both were tried; PyTorch under Keras runs the loop over the
steps in Python.

With TensorFlow both runs are a ``tf.function``, with JAX a ``jit``, of the layer's call
itself: ``Model.predict`` would add its handling of data to every call.
"""

import importlib.util
import os
import tempfile

import numpy as np

from benchmarks.peers.case import Case, Timed, Unsupported
from benchmarks.peers.cores import count_cores

BACKENDS = ("tensorflow", "jax", "torch")
BACKEND = os.environ.get("KERAS_BACKEND") or next(
    filter(importlib.util.find_spec, BACKENDS), BACKENDS[0]
)
SIDES = ("ih", "hh")


def _import_keras():
    """Import Keras with the backend, and without the user's settings."""
    os.environ["KERAS_BACKEND"] = BACKEND
    with tempfile.TemporaryDirectory() as home:
        os.environ["KERAS_HOME"] = home
        import keras
    return keras


keras = _import_keras()


def _runs_of_tensorflow(layer, x: np.ndarray, d_output: np.ndarray) -> tuple:
    import tensorflow

    x, d_output = tensorflow.constant(x), tensorflow.constant(d_output)
    weights = layer.trainable_variables

    @tensorflow.function
    def run(x):
        return layer(x, training=False)

    @tensorflow.function
    def run_and_back(x, d_output):
        variables = [weight.value for weight in weights]
        with tensorflow.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([x, *variables])
            output = layer(x, training=True)
        return output, tape.gradient(output, [x, *variables], d_output)

    return lambda: run(x), lambda: run_and_back(x, d_output)


def _runs_of_jax(layer, x: np.ndarray, d_output: np.ndarray) -> tuple:
    import jax

    x, d_output = jax.numpy.asarray(x), jax.numpy.asarray(d_output)
    weights = [weight.value for weight in layer.trainable_variables]
    others = [variable.value for variable in layer.non_trainable_variables]

    def call(x, weights):
        return layer.stateless_call(weights, others, x, training=False)[0]

    run = jax.jit(call)

    @jax.jit
    def run_and_back(x, weights, d_output):
        output, back = jax.vjp(call, x, weights)
        d_x, d_weights = back(d_output)
        return output, [d_x, *d_weights]

    return (
        lambda: jax.block_until_ready(run(x, weights)),
        lambda: jax.block_until_ready(run_and_back(x, weights, d_output)),
    )


def _runs_of_torch(layer, x: np.ndarray, d_output: np.ndarray) -> tuple:
    import torch

    torch.set_num_threads(count_cores())
    x, d_output = torch.from_numpy(x), torch.from_numpy(d_output)
    x_with_gradient = x.clone().requires_grad_()
    weights = [weight.value for weight in layer.trainable_variables]

    def run():
        with torch.inference_mode():
            return layer(x, training=False)

    def run_and_back():
        output = layer(x_with_gradient, training=True)
        inputs = [x_with_gradient, *weights]
        return output, torch.autograd.grad(output, inputs, d_output)

    return run, run_and_back


RUNS = {
    "tensorflow": _runs_of_tensorflow,
    "jax": _runs_of_jax,
    "torch": _runs_of_torch,
}


def _with_gates_of_keras(array: np.ndarray) -> np.ndarray:
    """Turn rows of gates r, z, n into z, r, n, or back."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])


def make(case: Case) -> Timed:
    """Make what is timed."""
    if case.ragged:
        raise Unsupported("Keras reads lengths from a mask; equal ones only here")
    if BACKEND == "jax":
        import jax

        if case.dtype == "float64":
            raise Unsupported("Keras on JAX gives float64 of float32's precision")
        jax.clear_caches()
    keras.backend.clear_session()
    keras.config.set_floatx(case.dtype)
    arrays = case.arrays()
    x, d_output = (
        np.ascontiguousarray(arrays[name].swapaxes(0, 1)) for name in ("x", "d_output")
    )
    layer = keras.layers.GRU(
        case.hidden_size,
        return_sequences=True,
        reset_after=case.reset_after,
        dtype=case.dtype,
    )
    layer.build(x.shape)
    biases = np.stack(
        [_with_gates_of_keras(arrays[f"bias_{side}_l0"]) for side in SIDES]
    )
    layer.set_weights(
        [
            *(_with_gates_of_keras(arrays[f"weight_{side}_l0"]).T for side in SIDES),
            biases if case.reset_after else biases.sum(axis=0),
        ]
    )
    forward, step = RUNS[BACKEND](layer, x, d_output)

    def results() -> dict[str, np.ndarray]:
        output = keras.ops.convert_to_numpy(forward())
        d_x, d_w, d_u, d_b = (keras.ops.convert_to_numpy(g) for g in step()[1])
        # Without reset_after there is one bias, the sum of the two.
        d_biases = np.broadcast_to(d_b, biases.shape)
        return {
            "output": output.swapaxes(0, 1),
            "x": d_x.swapaxes(0, 1),
            "weight_ih_l0": _with_gates_of_keras(d_w.T),
            "weight_hh_l0": _with_gates_of_keras(d_u.T),
            "bias_ih_l0": _with_gates_of_keras(d_biases[0]),
            "bias_hh_l0": _with_gates_of_keras(d_biases[1]),
        }

    return Timed(forward, step, results)
