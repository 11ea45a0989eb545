"""How kernels are compiled: the only file that names Numba's options.

Two rules hold everywhere.  No fast-math flag at all: each of them lets the compiler
round differently on another CPU or forget that NaN exists, and explicit vectors gain
nothing from them.  And the cache on disk is keyed by a digest of every kernel source,
because Numba itself looks only at the file of the decorated function and would go on
running the old code of a helper that has changed in another file.

Compile time.  Numba compiles a function anew, helpers included, into each function that
calls it, at every level of the call tree.  Large functions (those with register tiles,
and one block of the work of each pass) are therefore ``compiled_once`` per float type
into a C function, which the others call by its symbol.  And as nobody calls a helper by
itself, it gets neither machine code nor a way in from Python, which would take half of
all the time.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils, sigutils
from numba.core.caching import FunctionCache
from numba.core.ccallback import CFunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.dispatcher import Dispatcher
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic, register_jitable

_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,  # for passing them as arguments, which nobody does
}


_HELPER_OPTIONS = {**_OPTIONS, "no_cpython_wrapper": True}


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


class _HelperCompiler(Compiler):
    def compile_extra(self, func: Callable) -> Any:
        codegen = self.state.targetctx.codegen()
        self.state.library = _LinkedCode(codegen, func.__qualname__)
        return super().compile_extra(func)


class _Helper(CPUDispatcher):
    """What only compiled code can call."""

    def __init__(self, function: Callable, **options: Any) -> None:
        options = {"nopython": True, **_HELPER_OPTIONS, **options}
        super().__init__(
            function, targetoptions=options, pipeline_class=_HelperCompiler
        )

    def __call__(self, *arguments: Any) -> Any:
        raise TypeError(f"{self.py_func.__name__} can be called by kernels only")


def inline(function: Callable) -> Any:
    """Compile a small helper that always becomes part of its caller."""
    return _Helper(function, forceinline=True)


def shared(function: Callable) -> Any:
    """Let kernels compile a function of plain numbers that Python calls as it is."""
    options = {**_HELPER_OPTIONS, "pipeline_class": _HelperCompiler}
    return register_jitable(**options)(function)


def helper(function: Callable) -> Any:
    """Compile what only kernels call; it lives in its caller's cache entry."""
    return _Helper(function)


def kernel(function: Callable) -> Any:
    """Compile a serial function that is called from Python or by other kernels."""
    return _cached(numba.njit(**_OPTIONS)(function))


def parallel_kernel(function: Callable) -> Any:
    """Compile a thin ``prange`` over independent blocks around a serial kernel."""
    return _cached(numba.njit(parallel=True, **_OPTIONS)(function))


class Line:
    """Annotates a parameter of a ``compiled_once`` function: a 1-D array of numbers."""


class Table:
    """Annotates such a parameter: a C-contiguous 2-D array of numbers."""


class Indices:
    """Annotates such a parameter: a 1-D array of int64."""


def compiled_once(function: Callable) -> Any:
    """Compile a large helper once per float type; kernels call it through its symbol.

    It returns nothing.  Annotations tell the types of its parameters: ``int`` (a flag
    too), ``Line``, ``Table``, ``Indices``, and none for a pointer.
    """
    once = _CompiledOnce(function)

    def define(typingctx: Any, *arguments: Any) -> Any:
        dtype = next(a.dtype for a in arguments if _holds_floats(a))
        once.register(dtype)

        def codegen(context: Any, builder: Any, sig: Any, values: Any) -> Any:
            function_type = ir.FunctionType(ir.VoidType(), [v.type for v in values])
            callee = cgutils.get_or_insert_function(
                builder.module, function_type, once.symbol(dtype)
            )
            builder.call(callee, values)
            return context.get_dummy_value()

        return once.signature(dtype), codegen

    define.__name__, define.__doc__ = function.__name__, function.__doc__
    # Numba folds arguments by the signature, which therefore must name each.
    context = inspect.Parameter("typingctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    define.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *inspect.signature(function).parameters.values()]
    )
    caller = intrinsic(define)
    _COMPILED_ONCE[id(caller)] = once
    once.caller = caller
    return caller


def _holds_floats(numba_type: Any) -> bool:
    return isinstance(getattr(numba_type, "dtype", None), types.Float)


class _CompiledOnce:
    """The C functions that a ``compiled_once`` function becomes: one per type."""

    def __init__(self, function: Callable) -> None:
        self.function = function
        self.caller: Any = None
        self._compiled: dict[Any, CFunc] = {}

    def symbol(self, dtype: Any) -> str:
        return f"fastgru_{self.function.__name__}_{dtype}_{source_digest()[:16]}"

    def signature(self, dtype: Any) -> Any:
        from fastgru.kernels.simd import Pointer

        kinds = {
            int: types.intp,
            Line: types.Array(dtype, 1, "C"),
            Table: types.Array(dtype, 2, "C"),
            Indices: types.Array(types.int64, 1, "C"),
            inspect.Parameter.empty: Pointer(dtype),
        }
        parameters = inspect.signature(self.function).parameters.values()
        return types.void(*(kinds[p.annotation] for p in parameters))

    def register(self, dtype: Any) -> None:
        """Compile it or load it from the cache, and make its symbol known to LLVM."""
        if dtype in self._compiled:
            return
        signature = sigutils.normalize_signature(self.signature(dtype))
        compiled = _cached(CFunc(self.function, signature, {}, dict(_OPTIONS)))
        compiled.compile()
        llvmlite.binding.add_symbol(self.symbol(dtype), compiled.address)
        self._compiled[dtype] = compiled


_COMPILED_ONCE: dict[int, _CompiledOnce] = {}


def _functions_called_once(function: Callable) -> Iterator[_CompiledOnce]:
    """Yield the ``compiled_once`` functions that a kernel or its helpers call."""
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, Dispatcher):
            yield from _functions_called_once(called.py_func)
        elif id(called) in _COMPILED_ONCE:
            yield _COMPILED_ONCE[id(called)]


@cache
def source_digest() -> str:
    """Return a digest of all the sources that compiled code depends on."""
    here = Path(__file__)
    digest = hashlib.sha256()
    for path in [here, *sorted((here.parent / "kernels").glob("*.py"))]:
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _KernelCache(FunctionCache):
    """Numba's cache on disk, with the digest of all kernel sources in the key."""

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        return (*super()._index_key(sig, codegen), source_digest())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # Code from the cache calls the functions compiled once by symbol, so those come
        # first.
        arguments = sig.args if hasattr(sig, "args") else sig
        dtypes = {getattr(argument, "dtype", None) for argument in arguments}
        for dtype in dtypes & {types.float32, types.float64}:
            for once in _functions_called_once(self._py_func):
                once.register(dtype)
        return super().load_overload(sig, target_context)


def _cached(compiled: Any) -> Any:
    """Give a function Numba's cache on disk, where there is one."""
    # Without a place to write to (a read-only install, no home), compile in every
    # process: a missing cache must never be an error.
    python_function = getattr(compiled, "py_func", None) or compiled.__wrapped__
    try:
        compiled._cache = _KernelCache(python_function)
    except RuntimeError:
        pass
    return compiled
