"""Helpers: what kernels call, and only they.

Numba optimises and assembles every function that a kernel calls, and makes a way into
it from Python, though its code is only ever linked into the kernel.  A helper gets
none of that.
"""

from collections.abc import Callable
from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher

from fastgru._jit._options import OPTIONS


class _LinkedCode(JITCodeLibrary):
    """LLVM code that becomes part of what calls it: no machine code of its own."""

    def _optimize_final_module(self) -> None:
        pass  # as its callers will be

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        return 0

    @property
    def codegen(self) -> Any:
        return self  # asked for ``set_env`` only

    def set_env(self, name: str, environment: Any) -> None:
        pass  # a place for it is in machine code


class HelperCompiler(Compiler):
    """Compiles to code that is linked into other code."""

    def compile_extra(self, func: Callable) -> Any:
        """Compile a function to a library that never becomes machine code."""
        codegen = self.state.targetctx.codegen()
        self.state.library = _LinkedCode(codegen, func.__qualname__)
        return super().compile_extra(func)


HELPER_OPTIONS = {**OPTIONS, "no_cpython_wrapper": True}


class Helper(CPUDispatcher):
    """A function that only compiled code can call."""

    def __init__(self, function: Callable, **options: Any) -> None:
        options = {"nopython": True, **HELPER_OPTIONS, **options}
        super().__init__(function, targetoptions=options, pipeline_class=HelperCompiler)

    def __call__(self, *arguments: Any) -> Any:
        """Refuse: there is no code for it."""
        raise TypeError(f"{self.py_func.__name__} can be called by kernels only")
