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

import numpy as np
import pytest
from llvmlite import binding as llvm

import fastgru
from cases import make_case, num_threads, run_layer
from fastgru.kernels.simd import REGISTERS

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
    return found


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
