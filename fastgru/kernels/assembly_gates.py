"""The gates of four rows, a register each, written for AVX2 in assembly.

A gate is a chain of some twenty operations that wait for each other.  Here four chains
take turns, so that a CPU always finds one that can go on; LLVM, to save registers, puts
one behind the other, which takes half as long again.  The operations are those of
``activations.sigmoid`` and ``tanh`` one by one, and so are the bits.
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
    """The text: sigmoid of every r, of every z, then tanh and the new states.

    Of each chain ``a`` holds the argument and at last the result, ``b`` the polynomial,
    ``c`` the power of two.
    """

    def __init__(self, builder, vector_type, sums, sums_row, n, n_row, h, h_row):
        zero = ir.Constant(vector_type, [0.0] * vector_type.count)
        super().__init__(builder, vector_type, [zero] * _N_ROWS)
        self._a = [f"${row}" for row in range(_N_ROWS)]
        self._b, self._c = ([self.register() for _ in range(_N_ROWS)] for _ in "bc")
        self._lowest, self._one, self._rounding = (self.register() for _ in range(3))
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
        growth = activations.GROWTH_32 if single else activations.GROWTH_64
        ln2 = activations.MINUS_LN2_32 if single else activations.MINUS_LN2_64
        rounding = activations.ROUNDING_32 if single else activations.ROUNDING_64
        lowest = activations.LOWEST_32 if single else activations.LOWEST_64
        bias, self._mantissa = (127, 23) if single else (1023, 52)
        numbers = {
            "log2_e": activations.LOG2_E,
            "rounding": rounding,
            "minus_ln2_high": ln2[0],
            "minus_ln2_low": ln2[1],
            "lowest": lowest,
            "lowest_of_tanh": activations.LOWEST_OF_TANH,
            "one": 1.0,
            "two": 2.0,
            "undo": 1.0 / activations.TWO_POWER_64,
            "sign": -0.0,
            **{f"growth_{i}": value for i, value in enumerate(growth)},
        }
        self._n_growth = len(growth)
        kind, integer = ("f", "I") if single else ("d", "Q")
        bits = {
            name: struct.unpack(integer, struct.pack(kind, value))[0]
            for name, value in numbers.items()
        }
        bits |= {
            "bias": bias,
            "bias_and_64": bias + 64,
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

    def _exponential(self, lowest, bias):
        """From a <= 0: b becomes e**r - 1 and c the power of two, up to ``bias``."""
        a, b, c = self._a, self._b, self._c
        doublewords = "d" if self._is_float32 else "q"
        self._packed("vmaxp", a, lowest, a)  # a NaN stays
        self._packed("vmovup", self._constant("log2_e"), c)
        self._packed("vfmadd213p", self._rounding, a, c)
        self._packed("vsubp", self._rounding, c, b)
        self._packed("vfmadd231p", self._constant("minus_ln2_high"), b, a)
        self._packed("vfmadd231p", self._constant("minus_ln2_low"), b, a)
        self._all(f"vpadd{doublewords}", self._constant(bias), c, c)
        self._all(f"vpsll{doublewords}", f"$${self._mantissa}", c, c)
        self._packed("vmovup", self._constant("growth_0"), b)
        for i in range(1, self._n_growth):
            self._packed("vfmadd213p", self._constant(f"growth_{i}"), a, b)
        self._packed("vmulp", a, b, b)
        self._packed("vfmadd213p", a, a, b)

    def _sigmoid(self, places):
        a, b, c = self._a, self._b, self._c
        self._packed("vmovup", places, a)
        self._packed("vorp", self._constant("sign"), a, a)
        self._exponential(self._lowest, "bias_and_64")
        self._packed("vfmadd213p", c, c, b)
        self._packed("vmulp", self._constant("undo"), b, b)
        self._packed("vmovup", places, a)
        self._packed("vaddp", self._one, b, c)
        self._packed("vblendvp", a, b, self._one, a)
        self._packed("vdivp", c, a, a)
        self._packed("vmovup", a, places)

    def _candidate(self, r, hn, n):
        """Leave tanh(r * hn + n) in b, and in n."""
        a, b, c = self._a, self._b, self._c
        self._packed("vmovup", r, a)
        self._packed("vmovup", hn, c)
        self._packed("vfmadd213p", n, c, a)
        self._packed("vmovup", a, n)
        self._packed("vorp", self._constant("sign"), a, a)
        self._packed("vaddp", a, a, a)
        self._exponential(self._lowest, "bias")
        self._packed("vsubp", self._one, c, a)
        self._packed("vfmadd213p", a, c, b)
        self._packed("vaddp", self._constant("two"), b, a)
        self._packed("vdivp", a, b, b)
        self._packed("vmovup", n, a)
        self._packed("vandp", self._constant("sign"), a, a)
        self._packed("vandp", self._constant("magnitude"), b, b)
        self._packed("vorp", a, b, b)
        self._packed("vmovup", b, n)

    def _load_constants(self, **registers):
        for name, register in registers.items():
            self.text.append(f"vmovup{self.suffix} {self._constant(name)}, {register}")

    def emit(self):
        """Emit all of it, and return the new states."""
        r, z, hn = (self._at(self._sums, v) for v in range(3))
        n, h = self._at(self._n, 0), self._at(self._h, 0)
        a, b, c = self._a, self._b, self._c
        self._load_constants(
            one=self._one, rounding=self._rounding, lowest=self._lowest
        )
        self._sigmoid(r)
        self._sigmoid(z)
        self._load_constants(lowest_of_tanh=self._lowest)
        self._candidate(r, hn, n)
        self._packed("vmovup", h, a)
        self._packed("vmovup", z, c)
        self._packed("vsubp", b, a, a)
        self._packed("vfmadd213p", b, c, a)
        return self.call()
