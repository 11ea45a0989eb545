"""The bits do not depend on the mode of arithmetic that a host process sets.

A child runs this file: it computes everything in the usual mode, lets PyTorch set the
mode in which the CPU takes numbers below the smallest normal one for zero, and computes
everything again, on one thread and on two, which another parallel loop has started in
that mode.  The problems are such that most of the products are that small.
"""

import json
import sys
from unittest import mock

import numba
import numpy as np
import pytest

import fastgru
from children import run_python
from fastgru import losses, optimizers
from fastgru.kernels import gru_step
from fastgru.layers import dense, embedding, sharing
from fastgru.layers.masks import Masks
from rows import draw_sequences, to_rows
from rows import run_layer as run_other_layer

SMALL = 1e-20  # its square is below float32's smallest normal number


def make_problems():
    """Make functions that give arrays, by name; all data is drawn here."""
    rng = np.random.default_rng(0)
    small = (SMALL * rng.standard_normal((9, 40, 5))).astype(np.float32)
    d_output = (SMALL * rng.standard_normal((9, 40, 17))).astype(np.float32)
    problems = {}
    for reset_after in (True, False):
        gru = fastgru.GRU(5, 17, reset_after=reset_after, random_state=0)
        state = gru.state_dict()
        state["weight_ih_l0"] *= np.float32(SMALL)
        state |= {name: 0 * state[name] for name in ("bias_ih_l0", "bias_hh_l0")}
        gru.load_state_dict(state)
        problems |= {
            f"inference {reset_after=}": lambda gru=gru: gru(small),
            f"step {reset_after=}": lambda gru=gru: gradients(gru, small, d_output),
            f"stream {reset_after=}": lambda gru=gru: stream(gru, small[:, 0]),
            f"kernel {reset_after=}": lambda gru=gru: kernel(gru, small[:, 0]),
        }
    lengths = rng.integers(1, 20, 30)
    sequences = draw_sequences(rng, lengths, 13, np.float32)
    rows = to_rows([np.float32(SMALL) * s for s in sequences], "concatenated")
    tokens = to_rows([rng.integers(0, 9, n) for n in lengths], "concatenated")
    tiny = (1e-39 * rng.standard_normal((len(rows.values), 13))).astype(np.float32)
    tiny_rows = rows._replace(values=tiny)
    settings = {"dtype": np.float32, "random_state": 0}
    layers = [
        (tokens, fastgru.Embedding(9, 13, **settings)),
        (tiny_rows, fastgru.Dropout(0.3)),
    ]
    layers += [
        (tiny_rows, fastgru.Pooling(how, n_features=13, **settings))
        for how in ("last", "mean", "max", "attention")
    ]
    for activation in dense.ACTIVATIONS:
        layer = fastgru.Dense(13, 13, activation=activation, bias=False, **settings)
        layer.load_state_dict({"weight": layer.state_dict()["weight"] * SMALL})
        layers.append((rows, layer))
    masks = Masks(1, np.arange(len(lengths)))
    for values, layer in layers:
        n_rows = 30 if isinstance(layer, fastgru.Pooling) else len(tiny)
        problems[repr(layer)] = lambda layer=layer, values=values, n=n_rows: (
            run_other_layer(layer, values, tiny[:n], masks=masks, n_threads=threads())
        )
    outputs = (1e-39 * rng.standard_normal((50, 7))).astype(np.float32)
    weights, classes = rng.uniform(0, 2, 50), rng.integers(0, 2, (50, 7))
    for name in sorted(set(losses.__all__) - {"Loss"}):
        targets = classes[:, 0] if name == "CrossEntropy" else classes
        loss = getattr(losses, name)()
        problems[name] = lambda loss=loss, targets=targets: (
            loss(outputs, targets, weights)[1],
            loss.activate(outputs),
        )
    d_weight = (SMALL * rng.standard_normal((7, 7))).astype(np.float32)
    for name in sorted(set(optimizers.__all__) - {"Optimizer", "clip_norm"}):
        make = getattr(optimizers, name)
        problems[name] = lambda make=make: optimised(make, {"weight": d_weight})
    return problems


def threads():
    return fastgru.get_num_threads()


def gradients(gru, x, d_output):
    output, h_n, pullback = gru.vjp(x)
    found = pullback(d_output)
    return output, h_n, found.x, *found.parameters.values()


def stream(gru, sequence):
    steps = fastgru.Network([gru]).stream()
    return [steps.step(x_t) for x_t in sequence]


def kernel(gru, sequence):
    state, weights, work = gru.kernel_arrays()
    for x_t in sequence:
        gru_step(state, x_t, weights, work, 1, gru.reset_after, True)
    return [state]


def optimised(make, d_parameters):
    layer = fastgru.Dense(7, 7, bias=False, random_state=0)
    optimizer = make(layer)
    layer.load_state_dict({"weight": np.zeros((7, 7), np.float32)})
    for _ in range(3):
        optimizer.step(d_parameters)
    return layer.state_dict()


def compute(problems):
    """Give the bytes of all results, as text, by name."""
    found = {}
    for name, problem in problems.items():
        results = problem()
        arrays = results.values() if isinstance(results, dict) else results
        parts = [np.ascontiguousarray(a).tobytes().hex() for a in arrays]
        found[name] = " ".join(parts)
    return found


@numba.njit(parallel=True)
def start_threads(x):
    """Let Numba start its threads from this one, whose mode they inherit."""
    for i in numba.prange(x.size):
        x[i] += 1


def main():
    """Compute everything in each mode and print what differs."""
    import torch

    problems = make_problems()
    fastgru.set_num_threads(1)
    expected = compute(problems)
    if not torch.set_flush_denormal(True):
        print(json.dumps("no such mode"))
        return
    start_threads(np.zeros(8))
    flushed = np.full(4, SMALL, np.float32) * np.float32(SMALL)
    different = {} if flushed.view(np.int32).any() else {"the mode is on": []}
    for n in range(1, min(2, numba.config.NUMBA_NUM_THREADS) + 1):
        fastgru.set_num_threads(n)
        found = compute(problems)
        different[f"{n} threads"] = [k for k in expected if found[k] != expected[k]]
    print(json.dumps(different))


@pytest.mark.timeout(600)
def test_a_host_that_flushes_denormals_gets_the_same_bits():
    printed = run_python(
        f"import runpy, sys; sys.path[:0] = {sys.path!r}; "
        f"runpy.run_path({__file__!r}, run_name='__main__')",
        timeout=500,
    )
    different = json.loads(printed)
    if different == "no such mode":
        pytest.skip("flushed denormals: this CPU has no such mode")
    assert different.pop("the mode is on") == []
    assert "1 threads" in different
    assert not any(different.values()), different


if __name__ == "__main__":
    with (
        mock.patch.object(dense, "_SMALLEST_PARALLEL", 0),
        mock.patch.object(embedding, "_SMALLEST_PARALLEL", 0),
        mock.patch.object(sharing, "_SMALLEST_PARALLEL", 0),
    ):
        main()
