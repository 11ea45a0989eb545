"""The CPU's mode of floating point arithmetic, the usual one in all kernels.

A host process may set another one for a thread, which its new threads inherit: numbers
below the smallest normal one taken for zero or made zero (PyTorch's
``set_flush_denormal``, libraries built with ``-ffast-math``), or another rounding.
Kernels would then give other bits, and in some threads only.  So a kernel sets the
usual mode when it is entered and sets the caller's again when it returns or raises; a
function that threads run does the same.
"""

import platform
from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core import ir as numba_ir
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.ir_utils import build_definitions
from numba.core.untyped_passes import FixupArgs
from numba.extending import intrinsic

from fastgru._jit._options import without_garbage_collection

_INT32 = ir.IntType(32)
_INT64 = ir.IntType(64)


class _Register(NamedTuple):
    """The control register of an architecture."""

    kind: ir.Type
    matters: int  # the bits that change results
    usual: int  # their values in the usual mode
    read: str
    write: str


# Intel's manual, volume 1, 10.2.3: flush to zero is bit 15, rounding 14 and 13, masks
# of exceptions 12 to 7, denormals are zero 6; below are flags of what has happened.
_MXCSR = _Register(_INT32, 0xFFC0, 0x1F80, "stmxcsr ($0)", "ldmxcsr ($0)")
# Arm's manual, FPCR: default NaN is bit 25, flush to zero 24 and 19, rounding 23, 22.
_FPCR = _Register(
    _INT64,
    0x3C80000,
    0,
    "mrs x9, fpcr\n\tstr x9, [$0]",
    "ldr x9, [$0]\n\tmsr fpcr, x9",
)
_REGISTERS = {"x86_64": _MXCSR, "amd64": _MXCSR, "aarch64": _FPCR, "arm64": _FPCR}
_REGISTER = _REGISTERS.get(platform.machine().lower())
if _REGISTER is not None:
    binding.initialize_native_asmparser()


def _emit_access(builder: Any, instructions: str, place: Any) -> None:
    constraints = "r,~{memory}" + (",~{x9}" if _REGISTER is _FPCR else "")
    kind = ir.FunctionType(ir.VoidType(), [place.type])
    builder.asm(kind, instructions, constraints, [place], True)


def _emit_is_unusual(builder: Any, register: _Register, mode: Any) -> Any:
    matters, usual = (ir.Constant(register.kind, n) for n in register[1:3])
    return builder.icmp_unsigned("!=", builder.and_(mode, matters), usual)


def emit_enter(builder: Any) -> Any:
    """Set the usual mode; return the one that it was, for ``emit_leave``."""
    register = _REGISTER
    if register is None:
        return ir.Constant(_INT64, 0)
    place = cgutils.alloca_once(builder, register.kind)
    _emit_access(builder, register.read, place)
    mode = builder.load(place)
    is_unusual = _emit_is_unusual(builder, register, mode)
    with builder.if_then(is_unusual, likely=False):
        others = ir.Constant(register.kind, ~register.matters)
        usual = ir.Constant(register.kind, register.usual)
        builder.store(builder.or_(builder.and_(mode, others), usual), place)
        _emit_access(builder, register.write, place)
    return builder.zext(mode, _INT64) if register.kind is _INT32 else mode


def emit_leave(builder: Any, mode: Any) -> None:
    """Set a mode again that ``emit_enter`` returned."""
    register = _REGISTER
    if register is None:
        return
    if register.kind is _INT32:
        mode = builder.trunc(mode, _INT32)
    is_unusual = _emit_is_unusual(builder, register, mode)
    with builder.if_then(is_unusual, likely=False):
        place = cgutils.alloca_once_value(builder, mode)
        builder.store(mode, place)
        _emit_access(builder, register.write, place)


@intrinsic
def enter_usual_float_mode(typingctx: Any) -> Any:
    """Set the usual mode and return the one that it was."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return emit_enter(builder)

    return types.int64(), codegen


@intrinsic
def leave_usual_float_mode(typingctx: Any, mode: Any) -> Any:
    """Set a mode again."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        emit_leave(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@register_pass(mutates_CFG=False, analysis_only=False)
class _UsualFloatMode(FunctionPass):
    """Puts the two calls around the body of a function."""

    _name = "fastgru_usual_float_mode"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        blocks = state.func_ir.blocks
        first = blocks[min(blocks)]
        mode = numba_ir.Var(first.scope, "$fastgru_float_mode", first.loc)
        # Behind the arguments, which have to come first.
        place = sum(_is_argument(statement) for statement in first.body)
        first.body[place:place] = _call(first, enter_usual_float_mode, (), mode)
        for block in blocks.values():
            if isinstance(block.terminator, numba_ir.Return | numba_ir.Raise):
                left = numba_ir.Var(block.scope, "$fastgru_left", block.loc)
                leave = _call(block, leave_usual_float_mode, (mode,), left)
                block.body[-1:-1] = leave
        state.func_ir._definitions = build_definitions(blocks)
        return True


def _is_argument(statement: Any) -> bool:
    is_assignment = isinstance(statement, numba_ir.Assign)
    return is_assignment and isinstance(statement.value, numba_ir.Arg)


def _call(block: Any, function: Any, arguments: tuple, target: Any) -> list:
    """Return statements that call a function and assign what it returns."""
    name = function.__name__
    callee = numba_ir.Var(block.scope, f"{target.name}_{name}", block.loc)
    value = numba_ir.Global(name, function, block.loc)
    call = numba_ir.Expr.call(callee, arguments, (), block.loc)
    return [
        numba_ir.Assign(value, callee, block.loc),
        numba_ir.Assign(call, target, block.loc),
    ]


class KernelCompiler(Compiler):
    """Compiles functions that are entered from outside."""

    def compile_extra(self, func: Callable) -> Any:
        """Compile a function."""
        with without_garbage_collection():
            return super().compile_extra(func)

    def define_pipelines(self) -> list:
        """Return Numba's pipelines with the pass in them."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.add_pass_after(_UsualFloatMode, FixupArgs)
            pipeline.finalize()
        return pipelines
