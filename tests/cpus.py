"""Other CPUs, stood in for in child processes.

Numba compiles for the CPU that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES describe, and the
kernels choose their registers by it.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from llvmlite import binding as llvm

from children import PACKAGE

SSE = ("sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16")
AVX2 = (*SSE, "avx", "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "movbe", "fsgsbase")


class CPU(NamedTuple):
    """What stands in for a CPU."""

    name: str  # LLVM's
    features: tuple
    register_bytes: int  # of the registers that the kernels choose


CPUS = {
    "avx2": CPU("haswell", AVX2, 32),
    "fma_128_bit": CPU("x86-64", (*SSE, "avx", "fma"), 16),
    "no_fma": CPU("nehalem", SSE, 16),
}


def start_on_cpu(file, cpu):
    """Start a file in a process that compiles for a CPU, or skip if this one cannot.

    Returns
    -------
    subprocess.Popen
        Its outputs are pipes of text.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        pytest.skip(f"other CPUs: none to stand in for on {platform.machine()}")
    host = llvm.get_host_cpu_features()
    if not all(host.get(feature, False) for feature in cpu.features):
        pytest.skip(f"other CPUs: this one lacks features of {cpu.name}")
    folders = [PACKAGE.parent, Path(__file__).parent]
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu.name,
        "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in cpu.features),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
    }
    return subprocess.Popen(
        [sys.executable, file],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
