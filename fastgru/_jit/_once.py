"""Functions that are compiled once per float type and called by their symbol."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils, sigutils
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic

from fastgru._jit._cache import cached, source_digest
from fastgru._jit._float_mode import emit_enter, emit_leave
from fastgru._jit._options import OPTIONS, without_garbage_collection


class Line:
    """Annotates a parameter of a ``compiled_once`` function: a 1-D array of numbers."""


class Table:
    """Annotates such a parameter: a C-contiguous 2-D array of numbers."""


class Indices:
    """Annotates such a parameter: a 1-D array of int64."""


class IndexPointer:
    """Annotates such a parameter: a pointer to int64."""


def compiled_once(function: Callable) -> Any:
    """Compile a large helper once per float type; kernels call it through its symbol.

    It returns nothing.  Annotations tell the types of its parameters: ``int`` (a flag
    too), ``Line``, ``Table``, ``Indices``, ``IndexPointer``, and none for a pointer.
    """
    return _CompiledOnce(function, in_usual_float_mode=False).make_caller()


def thread_work(function: Callable) -> Any:
    """Compile once what a thread is given to do, in the usual float mode."""
    return _CompiledOnce(function, in_usual_float_mode=True).make_caller()


class _CompiledOnce:
    """The C functions that such a function becomes: one per type."""

    def __init__(self, function: Callable, *, in_usual_float_mode: bool) -> None:
        self.function = function
        self._in_usual_float_mode = in_usual_float_mode
        self._compiled: dict[Any, CFunc] = {}

    def make_caller(self) -> Any:
        """Return what kernels call."""

        def define(typingctx: Any, *arguments: Any) -> Any:
            dtype = next(a.dtype for a in arguments if _holds_floats(a))
            self.register(dtype)

            def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
                self._emit_call(builder, dtype, values)
                return context.get_dummy_value()

            return self.signature(dtype), codegen

        define.__name__, define.__doc__ = self.function.__name__, self.function.__doc__
        # Numba folds arguments by the signature, which therefore must name each.
        context = inspect.Parameter(
            "typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD
        )
        define.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [context, *inspect.signature(self.function).parameters.values()]
        )
        self.caller = intrinsic(define)
        _COMPILED_ONCE[id(self.caller)] = self
        return self.caller

    def _emit_call(self, builder: Any, dtype: Any, values: Any) -> None:
        function_type = ir.FunctionType(ir.VoidType(), [v.type for v in values])
        symbol = self._symbol(dtype)
        callee = cgutils.get_or_insert_function(builder.module, function_type, symbol)
        if self._in_usual_float_mode:
            mode = emit_enter(builder)
            builder.call(callee, values)
            emit_leave(builder, mode)
        else:
            builder.call(callee, values)

    def _symbol(self, dtype: Any) -> str:
        return f"fastgru_{self.function.__name__}_{dtype}_{source_digest()[:16]}"

    def signature(self, dtype: Any) -> Any:
        """Return its types for a float type."""
        from fastgru.kernels.simd import Pointer

        kinds = {
            int: types.intp,
            Line: types.Array(dtype, 1, "C"),
            Table: types.Array(dtype, 2, "C"),
            Indices: types.Array(types.int64, 1, "C"),
            IndexPointer: Pointer(types.int64),
            inspect.Parameter.empty: Pointer(dtype),
        }
        parameters = inspect.signature(self.function).parameters.values()
        return types.void(*(kinds[p.annotation] for p in parameters))

    def register(self, dtype: Any) -> None:
        """Compile it or load it from the cache, and make its symbol known to LLVM."""
        if dtype in self._compiled:
            return
        signature = sigutils.normalize_signature(self.signature(dtype))
        compiled = CFunc(self.function, signature, {}, dict(OPTIONS))
        cached(compiled, functions_called_once)
        with without_garbage_collection():
            compiled.compile()
        llvmlite.binding.add_symbol(self._symbol(dtype), compiled.address)
        self._compiled[dtype] = compiled


_COMPILED_ONCE: dict[int, _CompiledOnce] = {}


def _holds_floats(numba_type: Any) -> bool:
    return isinstance(getattr(numba_type, "dtype", None), types.Float)


def functions_called_once(function: Callable) -> Iterator[_CompiledOnce]:
    """Yield the ``compiled_once`` functions that a kernel or its helpers call."""
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, Dispatcher):
            yield from functions_called_once(called.py_func)
        elif id(called) in _COMPILED_ONCE:
            yield _COMPILED_ONCE[id(called)]
