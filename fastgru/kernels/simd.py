"""One register of the CPU as a Numba type; with ``tile`` the only file that knows LLVM.

Why: the gates of a GRU are a dozen operations on four streams of memory, which LLVM's
auto-vectoriser refuses (it cannot prove that the streams do not overlap); written on an
explicit vector type they read as the equations and run at full width.

Three types of values:

- ``Vector``: one register of ``lanes`` numbers, or with ``beside`` two or four, whose
  operations LLVM issues in turn: a CPU does not look far enough ahead to overlap two
  long chains of operations that stand one behind the other.  ``+ - * /``, unary minus,
  ``abs``, ``fma``, ``where_less``, ``copysign``; a Python float beside a vector is
  spread over its lanes.
- ``Pointer``: an address inside an array of floats or int64.  ``pointer + n`` counts
  numbers, ``pointer[i]`` reads and writes one number, ``load`` and ``store`` move a
  register.
- plain floats: the functions on vectors take a float64 just as well.

Every operation is exactly one rounding (multiply-add is explicit, nothing is contracted
or reordered), so a lane computes the same bits on every CPU, however wide its registers
are.
"""

import operator
import platform
import struct
from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import (
    intrinsic,
    lower_builtin,
    lower_cast,
    models,
    register_model,
)

from fastgru._jit import inline


@dataclass(frozen=True)
class Registers:
    """The vector registers of a CPU: their size and the tile of sums that fits them."""

    name: str
    size: int  # bytes
    tile_rows: int  # rows of the register tile, which is three registers wide


def choose_registers(features: str, machine: str) -> Registers:
    """Choose the register size and tile for a CPU by its features.

    The tile (``tile_rows`` x 3 sums, 3 registers of weights, 1 of inputs) must fit:
    AVX-512 and NEON have 32 registers, AVX2 and SSE have 16.  A tile too large spills
    and is four times slower.
    """
    present = features.split(",")
    if "+avx512f" in present:
        return Registers("AVX-512", 64, 8)
    if "+avx2" in present and "+fma" in present:
        return Registers("AVX2", 32, 4)
    if machine in ("aarch64", "arm64"):
        return Registers("NEON", 16, 8)
    # Without a fused multiply-add LLVM calls the C library's fma for each number: the
    # same bits, correct and slow.  Rather that than a product rounded twice on some
    # machines.
    return Registers("no fused multiply-add", 16, 4)


def host_features() -> str:
    """Return the features that Numba compiles for, NUMBA_CPU_FEATURES included."""
    # To ask its target context would load all that it can compile.
    given = config.CPU_FEATURES
    return get_host_cpu_features() if given is None else given


REGISTERS = choose_registers(host_features(), platform.machine())
TILE_ROWS = REGISTERS.tile_rows
ALIGNMENT = 64  # bytes of a cache line, and of the largest register
TILE_VECTORS = 3
REGISTERS_PER_LINE = ALIGNMENT // REGISTERS.size

INT64 = ir.IntType(64)
INT32 = ir.IntType(32)


def lanes_of(dtype: types.Float) -> int:
    """Return how many numbers of a float type one register holds."""
    return REGISTERS.size * 8 // dtype.bitwidth


# -- the types -------------------------------------------------------------------------


class Vector(types.Type):
    """One register of numbers of one float type, or several side by side."""

    def __init__(self, dtype: types.Float, registers: int = 1) -> None:
        self.dtype = dtype
        self.registers = registers
        self.lanes = lanes_of(dtype) * registers
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


class Pointer(types.Type):
    """An address of a number inside an array that outlives it.

    Loops over steps hand these on and no arrays: Numba counts the references to an
    array in each call, with locked operations that take longer than a small step.
    """

    def __init__(self, dtype: types.Number) -> None:
        self.dtype = dtype
        super().__init__(name=f"Pointer({dtype})")


def _scalar_type(dtype):
    if dtype == types.int64:
        return INT64
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


def llvm_type(numba_type):
    """Return the LLVM type of a Vector or of a plain float."""
    if isinstance(numba_type, Vector):
        return ir.VectorType(_scalar_type(numba_type.dtype), numba_type.lanes)
    return _scalar_type(numba_type)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_type(fe_type))


@register_model(Pointer)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, _scalar_type(fe_type.dtype).as_pointer())


# -- addresses, loads and stores -------------------------------------------------------


@intrinsic
def pointer(typingctx, array):
    """Return the address of the first number of an array."""

    def codegen(context, builder, sig, args):
        return context.make_array(sig.args[0])(context, builder, args[0]).data

    return Pointer(array.dtype)(array), codegen


@intrinsic
def keep_alive(typingctx, array):
    """Let an array's memory live until here: whoever takes its address calls this last.

    Numba frees an array after the last statement that names it, and does not know that
    an address is its memory's.
    """

    def codegen(context, builder, sig, args):
        return context.get_dummy_value()

    return types.void(array), codegen


@intrinsic
def aligned(typingctx, address):
    """Return the next address, or this one, at which a cache line starts."""

    def codegen(context, builder, sig, args):
        as_int = builder.ptrtoint(args[0], INT64)
        up = builder.add(as_int, ir.Constant(INT64, ALIGNMENT - 1))
        return builder.inttoptr(
            builder.and_(up, ir.Constant(INT64, -ALIGNMENT)), args[0].type
        )

    return address(address), codegen


@intrinsic
def is_aligned(typingctx, address):
    """Whether a cache line starts at an address."""

    def codegen(context, builder, sig, args):
        within = builder.and_(
            builder.ptrtoint(args[0], INT64), ir.Constant(INT64, ALIGNMENT - 1)
        )
        return builder.icmp_unsigned("==", within, ir.Constant(INT64, 0))

    return types.boolean(address), codegen


@intrinsic
def slack(typingctx, address):
    """Return how many numbers an array needs more to be ``aligned`` (a constant)."""

    def codegen(context, builder, sig, args):
        return ir.Constant(INT64, ALIGNMENT * 8 // sig.args[0].dtype.bitwidth)

    return types.intp(address), codegen


@intrinsic
def lanes(typingctx, address):
    """Return how many of a pointer's numbers one register holds (a constant)."""

    def codegen(context, builder, sig, args):
        return ir.Constant(INT64, lanes_of(sig.args[0].dtype))

    return types.intp(address), codegen


@infer_global(operator.add)
class _PointerAddition(AbstractTemplate):
    def generic(self, args, kws):
        if (
            len(args) == 2
            and isinstance(args[0], Pointer)
            and isinstance(args[1], types.Integer)
        ):
            return signature(args[0], args[0], types.intp)
        return None


@lower_builtin(operator.add, Pointer, types.intp)
def _add_to_pointer(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


@infer_global(operator.getitem)
class _PointerRead(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(args[0].dtype, args[0], types.intp)
        return None


@lower_builtin(operator.getitem, Pointer, types.intp)
def _read(context, builder, sig, args):
    return builder.load(builder.gep(args[0], [args[1]]))


@infer_global(operator.setitem)
class _PointerWrite(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(types.none, args[0], types.intp, args[0].dtype)
        return None


@lower_builtin(operator.setitem, Pointer, types.intp, types.Float)
@lower_builtin(operator.setitem, Pointer, types.intp, types.Integer)
def _write(context, builder, sig, args):
    builder.store(args[2], builder.gep(args[0], [args[1]]))
    return context.get_dummy_value()


def _number_size(vector_type):
    return 4 if vector_type.element.intrinsic_name == "f32" else 8


def emit_load(builder, address, vector_type):
    """Emit the read of a register; address is one of a number."""
    value = builder.load(builder.bitcast(address, vector_type.as_pointer()))
    value.align = _number_size(vector_type)
    return value


def emit_store(builder, value, address):
    """Emit the write of a register; address is one of a number."""
    place = builder.bitcast(address, value.type.as_pointer())
    builder.store(value, place).align = _number_size(value.type)


@intrinsic
def load(typingctx, address):
    """Read one register."""

    def codegen(context, builder, sig, args):
        return emit_load(builder, args[0], llvm_type(sig.return_type))

    return Vector(address.dtype)(address), codegen


@intrinsic
def store(typingctx, address, vector):
    """Write one register."""

    def codegen(context, builder, sig, args):
        emit_store(builder, args[1], args[0])
        return context.get_dummy_value()

    return types.void(address, vector), codegen


def _lanes_of(builder, vectors, first, count):
    """Emit ``count`` lanes of two equal registers that stand side by side."""
    numbers = ir.Constant(
        ir.VectorType(INT32, count), list(range(first, first + count))
    )
    return builder.shuffle_vector(*vectors, numbers)


def emit_beside(builder, registers):
    """Emit a vector of registers side by side, a power of two of them."""
    while len(registers) > 1:
        count = 2 * registers[0].type.count
        pairs = zip(registers[::2], registers[1::2], strict=True)
        registers = [_lanes_of(builder, pair, 0, count) for pair in pairs]
    return registers[0]


def _make_load_rows(n_rows):
    @intrinsic
    def load_rows(typingctx, address, distance):
        """Read registers that stand ``distance`` numbers apart, side by side."""

        def codegen(context, builder, sig, args):
            one = llvm_type(Vector(sig.args[0].dtype))
            rows, place = [], args[0]
            for _ in range(n_rows):
                rows.append(emit_load(builder, place, one))
                place = builder.gep(place, [args[1]])
            return emit_beside(builder, rows)

        return Vector(address.dtype, n_rows)(address, types.intp), codegen

    return load_rows


load_1_row, load_2_rows, load_4_rows = (_make_load_rows(n) for n in (1, 2, 4))


def _emit_rows(builder, vector, n_rows):
    """Emit the registers of which a vector is made."""
    count = vector.type.count // n_rows
    pair = [vector, vector]
    return [_lanes_of(builder, pair, i * count, count) for i in range(n_rows)]


@intrinsic
def store_rows(typingctx, address, distance, vector):
    """Write the registers of a vector ``distance`` numbers apart."""

    def codegen(context, builder, sig, args):
        place, distance, vector = args
        for row in _emit_rows(builder, vector, sig.args[2].registers):
            emit_store(builder, row, place)
            place = builder.gep(place, [distance])
        return context.get_dummy_value()

    return types.void(address, types.intp, vector), codegen


@intrinsic
def stream_rows(typingctx, address, distance, vector):
    """Write such registers past the caches, each a cache line of its own.

    Nothing is read for it, unlike for a line that is written in the cache; what will
    not be needed soon takes no place there.  Others see it after ``end_streams``.
    """

    def codegen(context, builder, sig, args):
        place, distance, vector = args
        one = builder.module.add_metadata([ir.Constant(INT32, 1)])
        for row in _emit_rows(builder, vector, sig.args[2].registers):
            line = builder.bitcast(place, row.type.as_pointer())
            write = builder.store(row, line)
            write.align = ALIGNMENT
            write.set_metadata("nontemporal", one)
            place = builder.gep(place, [distance])
        return context.get_dummy_value()

    return types.void(address, types.intp, vector), codegen


@inline
def can_stream(address, row_size):
    """Whether ``stream_rows`` can write all registers of rows of so many numbers."""
    is_whole = row_size % lanes(address) == 0 and is_aligned(address)
    return REGISTERS_PER_LINE == 1 and is_whole


@intrinsic
def end_streams(typingctx):
    """Have everything written that ``stream_rows`` was given."""

    def codegen(context, builder, sig, args):
        if REGISTERS.name == "AVX-512":
            kind = ir.FunctionType(ir.VoidType(), [])
            name = "llvm.x86.sse.sfence"
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])
        return context.get_dummy_value()

    return types.void(), codegen


def emit_prefetch(builder, address, *, writes):
    """Emit a request for the cache line of an address, to read or to write it."""
    byte = ir.IntType(8).as_pointer()
    # LLVM with opaque pointers names the address space only, LLVM with typed ones not.
    suffix = ".p0" if str(byte) == "ptr" else ".p0i8"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32]),
        "llvm.prefetch" + suffix,
    )
    write, most_local, data = (ir.Constant(INT32, n) for n in (int(writes), 3, 1))
    builder.call(function, [builder.bitcast(address, byte), write, most_local, data])


def _make_prefetch(writes):
    """Make what asks for the cache line of an address, which may lie anywhere."""

    @intrinsic
    def prefetch(typingctx, address):
        def codegen(context, builder, sig, args):
            emit_prefetch(builder, args[0], writes=writes)
            return context.get_dummy_value()

        return types.void(address), codegen

    return prefetch


prefetch = _make_prefetch(writes=False)
prefetch_to_write = _make_prefetch(writes=True)


def _first_lanes(builder, count, vector_type):
    """Return the mask of the first ``count`` lanes."""
    n = vector_type.count
    integers = ir.VectorType(INT32, n)
    lane_numbers = ir.Constant(integers, list(range(n)))
    spread = emit_spread(builder, builder.trunc(count, INT32), integers)
    return builder.icmp_signed("<", lane_numbers, spread)


def _masked(builder, operation, vector_type, return_type, arguments):
    place = vector_type.as_pointer()
    # LLVM with opaque pointers names the address space only, LLVM with typed ones the
    # type too.
    element = f"v{vector_type.count}{vector_type.element.intrinsic_name}"
    suffix = "p0" if str(place) == "ptr" else f"p0{element}"
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(return_type, [a.type for a in arguments]),
        f"llvm.masked.{operation}.{element}.{suffix}",
    )
    return builder.call(function, arguments)


@intrinsic
def load_lanes(typingctx, address, count):
    """Read the first ``count`` numbers of a register; the other lanes are zero."""

    def codegen(context, builder, sig, args):
        vector_type = llvm_type(sig.return_type)
        return _masked(
            builder,
            "load",
            vector_type,
            vector_type,
            [
                builder.bitcast(args[0], vector_type.as_pointer()),
                ir.Constant(INT32, 4),
                _first_lanes(builder, args[1], vector_type),
                ir.Constant(vector_type, [0.0] * vector_type.count),
            ],
        )

    return Vector(address.dtype)(address, types.intp), codegen


@intrinsic
def store_rows_lanes(typingctx, address, distance, vector, count):
    """Write the first ``count`` numbers of each register and nothing behind them."""

    def codegen(context, builder, sig, args):
        place, distance, vector, count = args
        for row in _emit_rows(builder, vector, sig.args[2].registers):
            _emit_store_lanes(builder, place, row, count)
            place = builder.gep(place, [distance])
        return context.get_dummy_value()

    return types.void(address, types.intp, vector, types.intp), codegen


@intrinsic
def store_lanes(typingctx, address, vector, count):
    """Write the first ``count`` numbers of a register and nothing behind them."""

    def codegen(context, builder, sig, args):
        _emit_store_lanes(builder, *args)
        return context.get_dummy_value()

    return types.void(address, vector, types.intp), codegen


def _emit_store_lanes(builder, address, vector, count):
    _masked(
        builder,
        "store",
        vector.type,
        ir.VoidType(),
        [
            vector,
            builder.bitcast(address, vector.type.as_pointer()),
            ir.Constant(INT32, 4),
            _first_lanes(builder, count, vector.type),
        ],
    )


@intrinsic
def beside(typingctx, a, b):
    """Return the lanes of a, then those of b."""

    def codegen(context, builder, sig, args):
        return _lanes_of(builder, args, 0, llvm_type(sig.return_type).count)

    return Vector(a.dtype, 2 * a.registers)(a, b), codegen


def _make_half(half):
    @intrinsic
    def half_of(typingctx, vector):
        """Return a half of the lanes."""

        def codegen(context, builder, sig, args):
            count = llvm_type(sig.return_type).count
            return _lanes_of(builder, [args[0], args[0]], half * count, count)

        return Vector(vector.dtype, vector.registers // 2)(vector), codegen

    return half_of


first_half, second_half = _make_half(0), _make_half(1)


# -- arithmetic ------------------------------------------------------------------------


def emit_spread(builder, scalar, vector_type):
    """Emit a register with one number in all lanes."""
    undefined = ir.Constant(vector_type, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    zeros = ir.Constant(
        ir.VectorType(INT32, vector_type.count), [0] * vector_type.count
    )
    return builder.shuffle_vector(one, undefined, zeros)


def emit_call(builder, name, result_type, *arguments):
    """Emit one of LLVM's intrinsics on registers or numbers."""
    # llvmlite's VectorType has no intrinsic_name, so the intrinsic is named by hand.
    if isinstance(result_type, ir.VectorType):
        suffix = f"v{result_type.count}{result_type.element.intrinsic_name}"
    else:
        suffix = result_type.intrinsic_name
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(result_type, [a.type for a in arguments]),
        f"llvm.{name}.{suffix}",
    )
    return builder.call(function, arguments)


@lower_cast(types.Float, Vector)
def _spread_float(context, builder, fromty, toty, value):
    scalar = context.cast(builder, value, fromty, toty.dtype)
    return emit_spread(builder, scalar, llvm_type(toty))


def _common_type(*args):
    """Return the type that a mix of vectors and floats computes in, or None."""
    vectors = {a for a in args if isinstance(a, Vector)}
    if len(vectors) == 1 and all(isinstance(a, (Vector, types.Float)) for a in args):
        return vectors.pop()
    if args and all(a == types.float64 for a in args):
        return types.float64
    return None


def _register_operator(function, instruction):
    @infer_global(function)
    class Operator(AbstractTemplate):
        def generic(self, args, kws):
            if not any(isinstance(a, Vector) for a in args):
                return None
            common = _common_type(*args)
            return common and signature(common, *[common] * len(args))

    @lower_builtin(function, *[Vector] * (1 if instruction in ("fneg", "fabs") else 2))
    def lower(context, builder, sig, args):
        if instruction == "fabs":
            return emit_call(builder, "fabs", args[0].type, args[0])
        return getattr(builder, instruction)(*args)


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
    (operator.neg, "fneg"),
    (abs, "fabs"),
):
    _register_operator(_function, _instruction)


@intrinsic
def fma(typingctx, a, b, c):
    """Return ``a * b + c`` rounded once."""
    common = _common_type(a, b, c)

    def codegen(context, builder, sig, args):
        return emit_call(builder, "fma", args[0].type, *args)

    return common and (common(common, common, common), codegen)


@intrinsic
def copysign(typingctx, magnitude, sign):
    """Return the magnitude of the first with the sign of the second."""
    common = _common_type(magnitude, sign)

    def codegen(context, builder, sig, args):
        return emit_call(builder, "copysign", args[0].type, *args)

    return common and (common(common, common), codegen)


@intrinsic
def where_less(typingctx, a, b, then, otherwise):
    """Return ``then`` where ``a < b``, else, NaN included, ``otherwise``."""
    common = _common_type(a, b, then, otherwise)

    def codegen(context, builder, sig, args):
        a, b, then, otherwise = args
        return builder.select(builder.fcmp_ordered("<", a, b), then, otherwise)

    return common and (common(common, common, common, common), codegen)


# -- the bits of a float ---------------------------------------------------------------


@intrinsic
def is_float64(typingctx, value):
    """Whether a value is of 64 bits: a constant, so the other branch vanishes."""
    dtype = value.dtype if isinstance(value, Vector) else value

    def codegen(context, builder, sig, args):
        return ir.Constant(ir.IntType(1), int(dtype == types.float64))

    return types.boolean(value), codegen


def _integers(builder, value):
    """Return a value's bits as integers, a maker of constants and the width."""
    vector = isinstance(value.type, ir.VectorType)
    scalar = value.type.element if vector else value.type
    width = 32 if scalar.intrinsic_name == "f32" else 64
    integer = ir.IntType(width)
    integer_type = ir.VectorType(integer, value.type.count) if vector else integer

    def constant(number):
        return ir.Constant(
            integer_type, [number] * value.type.count if vector else number
        )

    return builder.bitcast(value, integer_type), constant, width


@intrinsic
def power_of_two(typingctx, rounded, shift):
    """Return ``2 ** (n + shift)`` for a whole number n given as ``n + ROUNDING``.

    ``ROUNDING`` is 1.5 * 2**23 (float32) or 1.5 * 2**52 (float64): adding it rounds to
    a whole number and leaves that number in the low bits.  Only integer operations, so
    NaN is harmless here.
    """
    if not isinstance(shift, types.IntegerLiteral):
        return None
    offset = shift.literal_value

    def codegen(context, builder, sig, args):
        bits, constant, width = _integers(builder, args[0])
        bias, mantissa = (127, 23) if width == 32 else (1023, 52)
        exponent = builder.add(bits, constant(bias + offset))
        return builder.bitcast(builder.shl(exponent, constant(mantissa)), args[0].type)

    return rounded(rounded, shift), codegen


# Of each eighth j the bits of a float32 2**(j/8), less what j adds to them when it is
# moved up by 20 bits.
EIGHTHS = tuple(
    struct.unpack("I", struct.pack("f", 2.0 ** (j / 8)))[0] - (j << 20)
    for j in range(8)
)
# What looks up numbers of 32 bits in a register of them.
_LOOK_UPS = {
    "AVX-512": "llvm.x86.avx512.permvar.si.512",
    "AVX2": "llvm.x86.avx2.permd",
}


def _emit_look_up(builder, numbers):
    """Emit the ``EIGHTHS`` that the last three bits of each of 32-bit numbers name."""
    n = numbers.type.count
    instruction = _LOOK_UPS.get(REGISTERS.name)
    if instruction is not None:
        table = REGISTERS.size // 4
        values = ir.Constant(ir.VectorType(INT32, table), EIGHTHS * (table // 8))
        kind = ir.FunctionType(values.type, [values.type, values.type])
        look_up = cgutils.get_or_insert_function(builder.module, kind, instruction)
        registers = _emit_rows(builder, numbers, n // table)
        return emit_beside(
            builder, [builder.call(look_up, [values, r]) for r in registers]
        )
    # Elsewhere by halves: bit by bit, of each two values the one that it names.
    values = [ir.Constant(numbers.type, [bits] * n) for bits in EIGHTHS]
    for bit in (1, 2, 4):
        one, none = (ir.Constant(numbers.type, [v] * n) for v in (bit, 0))
        is_set = builder.icmp_signed("!=", builder.and_(numbers, one), none)
        pairs = zip(values[::2], values[1::2], strict=True)
        values = [builder.select(is_set, odd, even) for even, odd in pairs]
    return values[0]


@intrinsic
def power_of_eighth(typingctx, rounded):
    """Return ``2 ** (n / 8)`` for a whole number n given as ``n + ROUNDING``.

    See ``power_of_two``.  For float32 only: of float64 it returns what it was given.
    """

    def codegen(context, builder, sig, args):
        bits, constant, width = _integers(builder, args[0])
        if width == 64:
            return args[0]
        # The bits of n // 8 to the exponent, and n % 8 below it.
        moved = builder.shl(bits, constant(20))
        power = builder.add(moved, _emit_look_up(builder, bits))
        return builder.bitcast(power, args[0].type)

    return rounded(rounded), codegen


@intrinsic
def mantissa_and_exponent(typingctx, value):
    """Split a positive normal number; the mantissa is in [1/sqrt(2), sqrt(2))."""

    def codegen(context, builder, sig, args):
        bits, constant, width = _integers(builder, args[0])
        bias, digits = (127, 23) if width == 32 else (1023, 52)
        half_root = 0x3F3504F3 if width == 32 else 0x3FE6A09E667F3BCD
        from_root = builder.sub(bits, constant(half_root))
        exponent = builder.ashr(from_root, constant(digits))
        mantissa_bits = builder.sub(bits, builder.shl(exponent, constant(digits)))
        mantissa = builder.bitcast(mantissa_bits, args[0].type)
        return context.make_tuple(
            builder,
            sig.return_type,
            [mantissa, builder.sitofp(exponent, args[0].type)],
        )

    return types.UniTuple(value, 2)(value), codegen


@intrinsic
def where_negative(typingctx, x, then, otherwise):
    """Return ``then`` where the sign bit of x is set, -0.0 included."""
    common = _common_type(x, then, otherwise)

    def codegen(context, builder, sig, args):
        bits, constant, _ = _integers(builder, args[0])
        negative = builder.icmp_signed("<", bits, constant(0))
        return builder.select(negative, args[1], args[2])

    return common and (common(common, common, common), codegen)
