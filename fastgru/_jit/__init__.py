"""How kernels are compiled: decorators, the only place that names Numba's options.

- ``_options``     the options themselves
- ``_helpers``     what only kernels call
- ``_once``        what is compiled once and called by its symbol
- ``_float_mode``  the CPU's mode of arithmetic, around kernels and threads' work
- ``_cache``       compiled code on disk
- ``_forks``       children forked while another thread compiles

Compile time.  Numba compiles a function anew, helpers included, into each function that
calls it, at every level of the call tree.  Large functions (those with register tiles,
and one block of the work of each pass) are therefore ``compiled_once`` per float type
into a C function, which the others call by its symbol; helpers get no machine code of
their own, which would take half of all the time.
"""

from collections.abc import Callable
from typing import Any

import numba
from numba.extending import register_jitable

from fastgru._jit._cache import cached, describe_cache, listening, source_digest
from fastgru._jit._float_mode import KernelCompiler
from fastgru._jit._forks import let_forks_wait_for_compilation
from fastgru._jit._helpers import HELPER_OPTIONS, Helper, HelperCompiler
from fastgru._jit._once import (
    IndexPointer,
    Indices,
    Line,
    Table,
    compiled_once,
    functions_called_once,
    thread_work,
)
from fastgru._jit._options import OPTIONS

__all__ = [
    "IndexPointer",
    "Indices",
    "Line",
    "Table",
    "compiled_once",
    "describe_cache",
    "helper",
    "inline",
    "kernel",
    "listening",
    "parallel_kernel",
    "shared",
    "source_digest",
    "thread_work",
]

let_forks_wait_for_compilation()


def inline(function: Callable) -> Any:
    """Compile a small helper that always becomes part of its caller."""
    return Helper(function, forceinline=True)


def helper(function: Callable) -> Any:
    """Compile what only kernels call; it lives in its caller's cache entry."""
    return Helper(function)


def shared(function: Callable) -> Any:
    """Let kernels compile a function of plain numbers that Python calls as it is."""
    options = {**HELPER_OPTIONS, "pipeline_class": HelperCompiler}
    return register_jitable(**options)(function)


def kernel(function: Callable) -> Any:
    """Compile a serial function that is called from Python or by other kernels."""
    return _compile_for_python(function)


def parallel_kernel(function: Callable) -> Any:
    """Compile a thin ``prange`` over independent blocks around a serial kernel.

    What its threads call is ``thread_work``.
    """
    return _compile_for_python(function, parallel=True)


def _compile_for_python(function: Callable, **options: Any) -> Any:
    compiled = numba.njit(pipeline_class=KernelCompiler, **OPTIONS, **options)(function)
    return cached(compiled, functions_called_once)
