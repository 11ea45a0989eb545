"""What is written in assembly can be assembled for CPUs that may not be at hand.

A child process compiles for the CPU and runs nothing of it; that the results are right
is for tests of kernels on such a CPU.
"""

import os
import platform
import re
import subprocess
import sys

import pytest

AVX512 = "avx2 fma bmi bmi2 popcnt avx512f avx512dq avx512bw avx512vl avx512cd".split()
CPUS = {"haswell": ["avx2", "fma"], "skylake-avx512": AVX512}
REGISTERS = {"haswell": "ymm", "skylake-avx512": "zmm"}

# Compiles the products and prints what became of them.
CHILD = """
from numba import types
from numba.core import sigutils
from numba.core.ccallback import CFunc
from fastgru._jit._once import _COMPILED_ONCE
from fastgru.kernels import gru_cell, products

for function in (products.fetching_product_share, products.sum_products,
                 gru_cell.step_reset_after, gru_cell.whole_step_reset_after):
    once = _COMPILED_ONCE[id(function)]
    for dtype in (types.float32, types.float64):
        signature = sigutils.normalize_signature(once.signature(dtype))
        compiled = CFunc(once.function, signature, {}, {"nogil": True})
        compiled.compile()
        print(compiled._library.get_asm_str())
"""


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"), reason="assembly: for x86"
)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("cpu", CPUS)
def test_it_assembles_and_its_sums_stay_in_registers(cpu):
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in CPUS[cpu]),
    }
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    blocks = re.findall(r"#APP\n(.*?)#NO_APP", child.stdout, re.DOTALL)
    loops = [block for block in blocks if "vfmadd231" in block and "vdiv" not in block]
    assert len(loops) > 20
    for block in loops:
        assert REGISTERS[cpu] in block
        assert "%rsp" not in block  # nothing is moved to the stack and back
