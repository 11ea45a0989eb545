"""The gates of four rows, a register each, written for AVX2 in assembly.

A gate is a chain of some twenty operations that wait for each other.  Here four chains
take turns, so that a CPU always finds one that can go on; LLVM, to save registers, puts
one behind the other, which takes half as long again.  The operations are those of
``inverse_gate`` and ``gate_and_tanh`` one by one, and so are the bits.
"""

import struct

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgru.kernels import activations
from fastgru.kernels.assembly import Assembly
from fastgru.kernels.simd import (
    EIGHTHS,
    INT64,
    REGISTERS,
    Vector,
    emit_beside,
    llvm_type,
)

HAS_GATES = REGISTERS.name == "AVX2"
_N_ROWS = 4


@intrinsic
def new_states_of_4_rows(typingctx, sums, sums_row, before_n, before_row, h, h_row):
    """Return a register of new states of each of 4 rows, side by side.

    sums : rows of [r z hn], finished; gates are written over r and z
    before_n : n without its recurrent part; the candidate is written over it
    """
    n = types.intp
    result = Vector(sums.dtype, _N_ROWS)

    def codegen(context, builder, sig, args):
        gates = _Gates(builder, llvm_type(Vector(sig.args[0].dtype)), *args)
        return emit_beside(builder, gates.emit())

    return result(sums, n, before_n, n, h, n), codegen


class _Gates(Assembly):
    """The text: every r, every z, then tanh and the new states.

    Of each chain ``a`` holds the argument and at last the result, ``b`` the polynomial,
    ``c`` the power of two or another polynomial, ``d`` what is needed for a moment.
    """

    def __init__(self, builder, vector_type, sums, sums_row, n, n_row, h, h_row):
        zero = ir.Constant(vector_type, [0.0] * vector_type.count)
        super().__init__(builder, vector_type, [zero] * _N_ROWS)
        self._a = [f"${row}" for row in range(_N_ROWS)]
        self._b, self._c, self._d = (
            [self.register() for _ in range(_N_ROWS)] for _ in "bcd"
        )
        self._sums, self._n, self._h = (
            self._rows(place, row)
            for place, row in ((sums, sums_row), (n, n_row), (h, h_row))
        )
        self._is_float32 = self.size == 4
        self._constants = self.address(self._table())

    # -- operands ----------------------------------------------------------------------

    def _rows(self, first, distance):
        """Return what follows the number in front of the address of each row."""
        fourth = self._builder.gep(
            first, [self._builder.mul(distance, ir.Constant(INT64, 3))]
        )
        base, end, row = (
            self.address(first),
            self.address(fourth),
            self.distance(distance),
        )
        return [f"({base})", f"({base},{row})", f"({base},{row},2)", f"({end})"]

    def _table(self):
        """Return the address of all constants, a register of each."""
        lanes = self.vector_type.count
        if self._is_float32:
            numbers = {
                "largest_of_gate": activations.LARGEST_OF_GATE_32,
                "rounding": activations.ROUNDING_32,
                "minus_eighths_log2_e": -8.0 * activations.LOG2_E,
                "ln2_of_eighth": activations.LN2_32 / 8,
                "largest_square": activations.LARGEST_SQUARE_OF_TANH_32,
            }
            polynomials = {
                "growth": activations.GROWTH_OF_EIGHTH_32,
                "above": activations.TANH_ABOVE_32,
                "below": activations.TANH_BELOW_32,
            }
        else:
            numbers = {
                "largest_of_gate": activations.LARGEST_OF_GATE_64,
                "largest_of_tanh": activations.LARGEST_OF_TANH_64,
                "rounding": activations.ROUNDING_64,
                "log2_e": activations.LOG2_E,
                "minus_ln2_high": activations.MINUS_LN2_64[0],
                "minus_ln2_low": activations.MINUS_LN2_64[1],
            }
            polynomials = {"growth": activations.GROWTH_64}
        numbers |= {"one": 1.0, "minus_one": -1.0, "two": 2.0, "sign": -0.0}
        numbers["minus_largest_of_gate"] = -numbers["largest_of_gate"]
        self._terms = {name: len(values) for name, values in polynomials.items()}
        for name, values in polynomials.items():
            numbers |= {f"{name}_{i}": value for i, value in enumerate(values)}
        kind, integer = ("f", "I") if self._is_float32 else ("d", "Q")
        words = {
            name: struct.unpack(integer, struct.pack(kind, value)) * lanes
            for name, value in numbers.items()
        }
        if self._is_float32:
            words["eighths"] = EIGHTHS
        else:
            words["bias"] = (1023,) * lanes
            words["magnitude"] = (2**63 - 1,) * lanes
        self._places = {name: i * self.vector_size for i, name in enumerate(words)}
        values = [word for register in words.values() for word in register]
        word = ir.IntType(8 * self.size)
        table = ir.Constant(ir.ArrayType(word, len(values)), values)
        variable = cgutils.global_constant(
            self._builder.module, "gate_constants", table
        )
        variable.align = self.vector_size
        return variable

    def _constant(self, name):
        return f"{self._places[name]}({self._constants})"

    def _at(self, rows, v):
        """Return the places of register v of some rows."""
        return [f"{v * self.vector_size}{row}" for row in rows]

    # -- instructions ------------------------------------------------------------------

    def _all(self, name, *operands):
        """Write an instruction for each chain; operands are each one's or for all."""
        for row in range(_N_ROWS):
            own = [o if isinstance(o, str) else o[row] for o in operands]
            self.text.append(f"{name} {', '.join(own)}")

    def _packed(self, name, *operands):
        self._all(f"{name}{self.suffix}", *operands)

    def _load(self, name, registers):
        """Load a constant to a register of each chain."""
        self._packed("vmovup", self._constant(name), registers)

    def _polynomial(self, name, argument, value):
        """Evaluate a polynomial of the highest power first."""
        self._load(f"{name}_0", value)
        for i in range(1, self._terms[name]):
            self._packed("vfmadd213p", self._constant(f"{name}_{i}"), argument, value)

    def _growth_and_power_64(self):
        """From a: b becomes e**r - 1 and c the power of two; see ``_reduce``."""
        a, b, c = self._a, self._b, self._c
        self._load("log2_e", c)
        self._packed("vfmadd213p", self._constant("rounding"), a, c)
        self._packed("vsubp", self._constant("rounding"), c, b)
        self._packed("vfmadd231p", self._constant("minus_ln2_high"), b, a)
        self._packed("vfmadd231p", self._constant("minus_ln2_low"), b, a)
        self._all("vpaddq", self._constant("bias"), c, c)
        self._all("vpsllq", "$$52", c, c)
        self._polynomial("growth", a, b)
        self._packed("vmulp", a, b, b)
        self._packed("vfmadd213p", a, a, b)

    def _inverse_gate(self, places):
        """Leave ``inverse_gate`` in b."""
        a, b, c, d = self._a, self._b, self._c, self._d
        self._packed("vmovup", places, a)
        self._load("minus_largest_of_gate", d)
        self._packed("vmaxp", a, d, a)  # a NaN stays, here and below
        self._load("largest_of_gate", d)
        self._packed("vminp", a, d, a)
        if self._is_float32:
            self._load("minus_eighths_log2_e", c)
            self._packed("vfmadd213p", self._constant("rounding"), a, c)
            self._packed("vsubp", self._constant("rounding"), c, b)
            self._packed("vfnmsub231p", self._constant("ln2_of_eighth"), b, a)
            self._all("vpermd", self._constant("eighths"), c, d)
            self._all("vpslld", "$$20", c, c)
            self._all("vpaddd", d, c, c)
            self._polynomial("growth", a, b)
            self._packed("vfmadd213p", self._constant("one"), a, b)
            self._packed("vfmadd213p", self._constant("one"), a, b)
            self._packed("vfmadd213p", self._constant("one"), c, b)
        else:
            self._packed("vxorp", self._constant("sign"), a, a)
            self._growth_and_power_64()
            self._packed("vfmadd213p", c, c, b)
            self._packed("vaddp", self._constant("one"), b, b)

    def _reciprocal(self, value, result):
        """Divide one by a value."""
        self._load("one", result)
        self._packed("vdivp", value, result, result)

    def _argument(self, r, hn, n):
        """Leave r * hn + n in a, and in n."""
        a, c = self._a, self._c
        self._packed("vmovup", r, a)
        self._packed("vmovup", hn, c)
        self._packed("vfmadd213p", n, c, a)
        self._packed("vmovup", a, n)

    def _gate_and_tanh_32(self, z, n):
        """Leave in c and b what ``gate_and_tanh`` gives of what stands in z and n."""
        a, b, c, d = self._a, self._b, self._c, self._d
        self._packed("vmulp", a, a, a)
        self._load("largest_square", d)
        self._packed("vminp", a, d, a)
        self._polynomial("below", a, c)
        self._polynomial("above", a, b)
        self._packed("vmulp", n, b, b)
        self._packed("vmovup", z, d)
        self._packed("vmulp", d, b, b)
        self._packed("vmulp", c, d, d)
        self._reciprocal(d, a)
        self._packed("vmulp", a, c, c)
        self._packed("vmulp", a, b, b)
        self._load("one", a)
        self._packed("vfnmadd231p", z, c, a)
        self._packed("vfmadd231p", c, a, c)
        self._load("minus_one", d)
        self._packed("vmaxp", b, d, b)
        self._load("one", d)
        self._packed("vminp", b, d, b)

    def _gate_and_tanh_64(self, z, n):
        """Do the same in float64, by a division each."""
        a, b, c, d = self._a, self._b, self._c, self._d
        self._packed("vandp", self._constant("magnitude"), a, a)
        self._load("largest_of_tanh", d)
        self._packed("vminp", a, d, a)
        self._packed("vaddp", a, a, a)
        self._packed("vxorp", self._constant("sign"), a, a)
        self._growth_and_power_64()
        self._packed("vsubp", self._constant("one"), c, a)
        self._packed("vfmadd213p", a, c, b)
        self._packed("vaddp", self._constant("two"), b, a)
        self._packed("vdivp", a, b, b)
        self._packed("vmovup", n, a)
        self._packed("vandp", self._constant("sign"), a, a)
        self._packed("vandp", self._constant("magnitude"), b, b)
        self._packed("vorp", a, b, b)
        self._packed("vmovup", z, d)
        self._reciprocal(d, c)

    def emit(self):
        """Emit all of it, and return the new states."""
        r, z, hn = (self._at(self._sums, v) for v in range(3))
        n, h = self._at(self._n, 0), self._at(self._h, 0)
        a, b, c = self._a, self._b, self._c
        self._inverse_gate(r)
        self._reciprocal(b, a)
        self._packed("vmovup", a, r)
        self._inverse_gate(z)
        self._packed("vmovup", b, z)
        self._argument(r, hn, n)
        if self._is_float32:
            self._gate_and_tanh_32(z, n)
        else:
            self._gate_and_tanh_64(z, n)
        self._packed("vmovup", c, z)
        self._packed("vmovup", b, n)
        self._packed("vmovup", h, a)
        self._packed("vsubp", b, a, a)
        self._packed("vfmadd213p", b, c, a)
        return self.call()
