"""The bits do not depend on the CPU: other CPUs, stood in for in child processes.

Numba compiles for the CPU that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES describe, and the
kernels choose their registers by it.  Each child runs this file, which prints a digest
of every result of a few problems; all must be those of this process.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from llvmlite import binding as llvm

import fastgru
from cases import make_case, num_threads, run_layer
from fastgru import losses, optimizers
from fastgru.kernels.simd import REGISTERS
from fastgru.layers import dense, embedding
from fastgru.layers.dense import ACTIVATIONS, Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.embedding import Embedding
from fastgru.layers.masks import Masks
from fastgru.layers.pooling import KINDS, Pooling
from rows import draw_sequences, to_rows
from rows import run_layer as run_other_layer

# A cold child compiles every kernel.
pytestmark = pytest.mark.timeout(600)

SSE = ("sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16")
AVX2 = (*SSE, "avx", "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe", "fsgsbase")
# Name -> (LLVM's name of the CPU, its features, bytes of a register chosen for it).
CPUS = {
    "avx2": ("haswell", AVX2, 32),
    "fma_128_bit": ("x86-64", (*SSE, "avx", "fma"), 16),
    "no_fma": ("nehalem", SSE, 16),
}

# T, B, I, H
SHAPES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 37, 13, 50), (3, 5, 50, 257), (300, 2, 1, 8)]


def digests(n_threads):
    """Give a digest of every result of every problem, by name."""
    found = {}
    for dtype in (np.float32, np.float64):
        gru = fastgru.GRU(13, 50, dtype=dtype, random_state=0)
        for name, w in gru.state_dict().items():
            found[f"initial {name} {w.dtype}"] = digest(w)
        for reset_after in (True, False):
            for shape in SHAPES:
                for lengths in (None, "ragged"):
                    case = make_case(
                        shape, reset_after=reset_after, dtype=dtype, lengths=lengths
                    )
                    problem = f"{shape} {lengths} {case.dtype} {reset_after=}"
                    with num_threads(n_threads):
                        results = run_layer(case)
                        output, h_n = case.gru(case.x, case.h_0, case.lengths)
                    results |= {"inference output": output, "inference h_n": h_n}
                    for name, array in results.items():
                        found[f"{name} of {problem}"] = digest(array)
        results = other_layers(dtype, n_threads) | training(dtype)
        for name, array in results.items():
            found[f"{name} in {np.dtype(dtype)}"] = digest(array)
    return found


def other_layers(dtype, n_threads):
    """Run each other layer on a table of rows, however small the work per thread."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 40, 30)
    rows = to_rows(draw_sequences(rng, lengths, 13, dtype), "concatenated")
    tokens = to_rows([rng.integers(0, 9, n) for n in lengths], "concatenated")
    settings = {"dtype": dtype, "random_state": 0}
    problems = [(tokens, Embedding(9, 13, **settings)), (rows, Dropout(0.3))]
    for how in KINDS:
        problems.append((rows, Pooling(how, n_features=13, **settings)))
    for f in ACTIVATIONS:
        problems.append((rows, Dense(13, 50, activation=f, **settings)))
    results = {}
    with (
        mock.patch.object(dense, "_SMALLEST_PARALLEL", 0),
        mock.patch.object(embedding, "_SMALLEST_PARALLEL", 0),
    ):
        for values, layer in problems:
            output = layer._infer(values, n_threads).values
            d_output = rng.standard_normal(output.shape).astype(dtype)
            masks = Masks(1, np.arange(len(lengths)))
            found = run_other_layer(
                layer, values, d_output, masks=masks, n_threads=n_threads
            )
            named = {"inference": output} | found
            results |= {
                f"{name} of {layer}": array
                for name, array in named.items()
                if array is not None
            }
    return results


def training(dtype):
    """Compute each loss with its gradient, and take steps with each optimiser."""
    rng = np.random.default_rng(0)
    outputs = (10 * rng.standard_normal((50, 7))).astype(dtype)
    weights, classes = rng.uniform(0, 2, 50), rng.integers(0, 2, (50, 7))
    results = {}
    for name in sorted(set(losses.__all__) - {"Loss"}):
        loss = getattr(losses, name)()
        targets = classes[:, 0] if name == "CrossEntropy" else classes
        value, d_outputs = loss(outputs, targets, weights)
        results[name] = np.array(value)
        results[f"d_outputs of {name}"] = d_outputs
        results[f"predictions of {name}"] = loss.activate(outputs)
    for name in sorted(set(optimizers.__all__) - {"Optimizer", "clip_norm"}):
        layer = Dense(7, 50, dtype=dtype, random_state=0)
        optimizer = getattr(optimizers, name)(layer)
        for _ in range(5):
            state = layer.state_dict()
            gradients = {n: rng.standard_normal(a.shape) for n, a in state.items()}
            gradients = {n: a.astype(dtype) for n, a in gradients.items()}
            optimizers.clip_norm(gradients, 3.0)
            optimizer.step(gradients)
        results |= {f"{n} after {name}": a for n, a in layer.state_dict().items()}
    return results


def digest(array):
    """Hash the bits of an array, in the order of its axes."""
    return hashlib.sha256(array.tobytes()).hexdigest()


def digests_of_threads():
    """Give the digests by number of threads, as far as this machine has them."""
    numbers = range(1, min(2, fastgru.get_num_threads()) + 1)
    return {str(n): digests(n) for n in numbers}


@pytest.fixture(scope="module")
def children():
    """Start all children at once and end what is left of them."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip(f"other CPUs: none to stand in for on {platform.machine()}")
    host = llvm.get_host_cpu_features()
    started = {}
    for name, (cpu, features, _) in CPUS.items():
        if all(host.get(feature, False) for feature in features):
            started[name] = start_child(cpu, features)
    yield started
    for child in started.values():
        child.kill()
        child.communicate()


def start_child(cpu, features):
    """Start this file in a process that compiles for another CPU."""
    folders = [Path(fastgru.__file__).parents[1], Path(__file__).parents[1]]
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in features),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
    }
    return subprocess.Popen(
        [sys.executable, __file__],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def own_digests(children):
    """Compute this process's digests, while the children compute theirs."""
    return digests_of_threads()


@pytest.mark.parametrize("name", CPUS)
def test_another_cpu_gives_the_same_bits(name, children, own_digests):
    if name not in children:
        pytest.skip(f"other CPUs: this one lacks features of {name}")
    output, errors = children[name].communicate()
    assert children[name].returncode == 0, errors
    child = json.loads(output)
    _, _, register_bytes = CPUS[name]
    assert child["register_bytes"] == register_bytes
    for n_threads, expected in own_digests.items():
        found = child["digests"][n_threads]
        assert set(found) == set(expected)
        different = [key for key in expected if found[key] != expected[key]]
        assert not different, f"on {n_threads} threads: {', '.join(different)}"


def test_the_number_of_threads_does_not_change_the_digests(own_digests):
    if "2" not in own_digests:
        pytest.skip("two threads: this machine or its settings allow one")
    assert own_digests["2"] == own_digests["1"]


if __name__ == "__main__":
    print(
        json.dumps({"register_bytes": REGISTERS.size, "digests": digests_of_threads()})
    )
