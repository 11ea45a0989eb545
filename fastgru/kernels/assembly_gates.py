"""The gates of four rows, a register each, written for AVX2 in assembly.

A gate is a chain of some twenty operations that wait for each other.  Here four chains
take turns, so that a CPU always finds one that can go on; LLVM, to save registers, puts
one behind the other, which takes half as long again.  The operations are those of
``activations.gate`` and ``tanh`` one by one, and so are the bits.
"""

import struct

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgru.kernels import activations
from fastgru.kernels.assembly import Assembly
from fastgru.kernels.simd import INT64, REGISTERS, Vector, emit_beside, llvm_type

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
    ``c`` the power of two, ``d`` what is needed for a moment.
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
        single = self._is_float32
        numbers = {"one": 1.0, "two": 2.0, "half": 0.5, "sign": -0.0}
        if single:
            bias, self._mantissa = 127, 23
            numbers |= {
                "largest_of_gate": activations.LARGEST_OF_GATE_32,
                "largest_of_tanh": activations.LARGEST_OF_TANH_32,
                "rounding": activations.ROUNDING_32,
                "minus_log2_e": -activations.LOG2_E,
                "minus_2_log2_e": -2.0 * activations.LOG2_E,
                "ln2": activations.LN2_32,
                "half_ln2": activations.LN2_32 / 2,
            }
            growths = {
                "growth": activations.GROWTH_32,
                "growth_of_tanh": activations.GROWTH_OF_TANH_32,
                "reciprocal": activations.RECIPROCAL,
            }
        else:
            bias, self._mantissa = 1023, 52
            numbers |= {
                "largest_of_gate": activations.LARGEST_OF_GATE_64,
                "largest_of_tanh": activations.LARGEST_OF_TANH_64,
                "rounding": activations.ROUNDING_64,
                "log2_e": activations.LOG2_E,
                "minus_ln2_high": activations.MINUS_LN2_64[0],
                "minus_ln2_low": activations.MINUS_LN2_64[1],
            }
            growths = {"growth": activations.GROWTH_64}
        numbers["minus_largest_of_gate"] = -numbers["largest_of_gate"]
        self._terms = {name: len(values) for name, values in growths.items()}
        for name, values in growths.items():
            numbers |= {f"{name}_{i}": value for i, value in enumerate(values)}
        kind, integer = ("f", "I") if single else ("d", "Q")
        bits = {
            name: struct.unpack(integer, struct.pack(kind, value))[0]
            for name, value in numbers.items()
        }
        bits |= {
            "bias": bias,
            "bias_and_1": bias + 1,
            "magnitude": 2 ** (8 * self.size - 1) - 1,
        }
        self._places = {name: i * self.vector_size for i, name in enumerate(bits)}
        lanes, word = self.vector_type.count, ir.IntType(8 * self.size)
        words = [number for number in bits.values() for _ in range(lanes)]
        table = ir.Constant(ir.ArrayType(word, len(words)), words)
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

    def _to_power(self, bias, value):
        """Turn n + ROUNDING into a power of two."""
        words = "d" if self._is_float32 else "q"
        self._all(f"vpadd{words}", self._constant(bias), value, value)
        self._all(f"vpsll{words}", f"$${self._mantissa}", value, value)

    def _growth_and_power_64(self):
        """From a: b becomes e**r - 1 and c the power of two; see ``_reduce``."""
        a, b, c = self._a, self._b, self._c
        self._load("log2_e", c)
        self._packed("vfmadd213p", self._constant("rounding"), a, c)
        self._packed("vsubp", self._constant("rounding"), c, b)
        self._packed("vfmadd231p", self._constant("minus_ln2_high"), b, a)
        self._packed("vfmadd231p", self._constant("minus_ln2_low"), b, a)
        self._to_power("bias", c)
        self._polynomial("growth", a, b)
        self._packed("vmulp", a, b, b)
        self._packed("vfmadd213p", a, a, b)

    def _gate(self, places):
        a, b, c, d = self._a, self._b, self._c, self._d
        self._packed("vmovup", places, a)
        self._load("minus_largest_of_gate", d)
        self._packed("vmaxp", a, d, a)  # a NaN stays, here and below
        self._load("largest_of_gate", d)
        self._packed("vminp", a, d, a)
        if self._is_float32:
            self._load("minus_log2_e", c)
            self._packed("vfmadd213p", self._constant("rounding"), a, c)
            self._packed("vsubp", self._constant("rounding"), c, b)
            self._packed("vfnmsub231p", self._constant("ln2"), b, a)
            self._to_power("bias", c)
            self._polynomial("growth", a, b)
            self._packed("vfmadd213p", self._constant("one"), a, b)
            self._packed("vfmadd213p", self._constant("one"), a, b)
            self._packed("vfmadd213p", self._constant("one"), c, b)
        else:
            self._packed("vxorp", self._constant("sign"), a, a)
            self._growth_and_power_64()
            self._packed("vfmadd213p", c, c, b)
            self._packed("vaddp", self._constant("one"), b, b)
        self._load("one", a)
        self._packed("vdivp", b, a, a)
        self._packed("vmovup", a, places)

    def _candidate(self, r, hn, n):
        """Leave tanh(r * hn + n) in b, and in n."""
        a, b, c, d = self._a, self._b, self._c, self._d
        self._packed("vmovup", r, a)
        self._packed("vmovup", hn, c)
        self._packed("vfmadd213p", n, c, a)
        self._packed("vmovup", a, n)
        self._packed("vandp", self._constant("magnitude"), a, a)
        self._load("largest_of_tanh", d)
        self._packed("vminp", a, d, a)
        if self._is_float32:
            self._tanh_32()
        else:
            self._tanh_64()
        self._packed("vmovup", n, a)
        self._packed("vandp", self._constant("sign"), a, a)
        self._packed("vandp", self._constant("magnitude"), b, b)
        self._packed("vorp", a, b, b)
        self._packed("vmovup", b, n)

    def _tanh_32(self):
        """From the magnitude in a, b becomes that of tanh, negative."""
        a, b, c, d = self._a, self._b, self._c, self._d
        self._load("minus_2_log2_e", c)
        self._packed("vfmadd213p", self._constant("rounding"), a, c)
        self._packed("vsubp", self._constant("rounding"), c, b)
        self._packed("vfmadd231p", self._constant("half_ln2"), b, a)
        self._to_power("bias_and_1", c)
        self._polynomial("growth_of_tanh", a, b)
        self._packed("vmulp", a, b, b)
        self._packed("vfmadd213p", a, a, b)
        self._load("half", a)
        self._packed("vfmsub213p", self._constant("one"), c, a)
        self._packed("vfnmadd213p", a, c, b)
        self._packed("vaddp", self._constant("two"), b, a)
        self._load("reciprocal_2", c)
        for i in (1, 0):
            self._packed("vfmadd213p", self._constant(f"reciprocal_{i}"), a, c)
        for _ in range(2):
            self._load("one", d)
            self._packed("vfnmadd231p", a, c, d)
            self._packed("vfmadd231p", d, c, c)
        self._packed("vmulp", c, b, b)

    def _tanh_64(self):
        """Do the same in float64."""
        a, b, c = self._a, self._b, self._c
        self._packed("vaddp", a, a, a)
        self._packed("vxorp", self._constant("sign"), a, a)
        self._growth_and_power_64()
        self._packed("vsubp", self._constant("one"), c, a)
        self._packed("vfmadd213p", a, c, b)
        self._packed("vaddp", self._constant("two"), b, a)
        self._packed("vdivp", a, b, b)

    def emit(self):
        """Emit all of it, and return the new states."""
        r, z, hn = (self._at(self._sums, v) for v in range(3))
        n, h = self._at(self._n, 0), self._at(self._h, 0)
        a, b, c = self._a, self._b, self._c
        self._gate(r)
        self._gate(z)
        self._candidate(r, hn, n)
        self._packed("vmovup", h, a)
        self._packed("vmovup", z, c)
        self._packed("vsubp", b, a, a)
        self._packed("vfmadd213p", b, c, a)
        return self.call()
