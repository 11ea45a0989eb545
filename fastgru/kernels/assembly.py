"""The tiles' loops over the terms of their sums, written for x86 CPUs in assembly.

LLVM takes such a loop apart: it loads the weights of several terms at once and moves
what finds no register to memory and back, which on a CPU of 16 registers makes it three
times slower.  Here a term is its loads and multiply-adds and what counts them; LLVM
chooses the names of the registers and hands over the sums.  A multiply-add rounds once,
so the bits are those of the loops that other CPUs run.
"""

from llvmlite import binding, ir

from fastgru.kernels.simd import ALIGNMENT, INT64, REGISTERS

HAS_ASSEMBLY = REGISTERS.name in ("AVX-512", "AVX2")
if HAS_ASSEMBLY:
    binding.initialize_native_asmparser()

# Terms each time around the loop.
_UNROLLED = 4
# Bytes of a panel from which on it is fetched ahead, and how many bytes ahead.
_LARGE_PANEL = 32768
_BYTES_AHEAD = 3072
# Whether the next panel can be fetched on the way, too: measured with AVX2 only.
_FETCHES_NEXT = REGISTERS.name == "AVX2"


def sums_over_rows(builder, sums, rows, b, b_row, n_terms, ahead=None, written=None):
    """Add products of numbers of rows, contiguous in k, and one panel's weights.

    ahead : how many numbers behind b weights stand that are needed next, of which a
        register is fetched for each term of a large panel; 0 fetches none
    written : lines that are going to be written, of which one is fetched for each term:
        the address of the first, how many numbers apart they stand, and how many
    """
    loop = _Loop(builder, sums)
    width = len(sums) // len(rows)
    ends = [loop.address(builder.gep(row, [n_terms])) for row in rows]
    weights, factor = [loop.register() for _ in range(width)], loop.register()
    panel, distance = loop.address(b), loop.distance(b_row)
    # Counts up to 0, at the rows' ends.
    count = loop.distance(builder.neg(n_terms))

    def term(k, fetches):
        for v, weight in enumerate(weights):
            loop.load(panel, v, weight)
            place = loop.vector_size * v
            if fetches and place % ALIGNMENT == 0:
                loop.fetch(f"{_BYTES_AHEAD + place}({panel})")
        loop.move(panel, distance)
        for i, end in enumerate(ends):
            loop.spread(f"{loop.size * k}({end},{count})", factor)
            for v, weight in enumerate(weights):
                loop.multiply_add(weight, factor, i * width + v)

    many_terms = _LARGE_PANEL // (width * loop.vector_size)
    if written is not None:
        first, step, n_lines = written
        line, step = loop.address(first), loop.distance(step)
        n_left = loop.number(n_lines)

        def term_fetching_lines(k, fetches):
            loop.fetch_to_write(f"({line})")
            loop.move(line, step)
            term(k, fetches)

        loop.emit_rounds(
            term_fetching_lines, count, loop.size, _UNROLLED, True, n_left, _UNROLLED
        )
    if ahead is not None and _FETCHES_NEXT:
        pace = loop.vector_type.count
        length = builder.mul(n_terms, ir.Constant(INT64, pace))
        is_ahead = builder.icmp_signed("!=", ahead, ir.Constant(INT64, 0))
        end_ahead = loop.address(builder.gep(b, [builder.add(ahead, length)]))

        def term_fetching_next(k, fetches):
            place = loop.vector_size * k
            if place % ALIGNMENT == 0:
                loop.fetch(f"{place}({end_ahead},{count},{pace})")
            term(k, fetches)

        is_wanted = loop.number(builder.zext(is_ahead, INT64))
        loop.emit_rounds(
            term_fetching_next, count, loop.size, many_terms, True, is_wanted
        )
    return loop.emit(term, count, loop.size, fetches_from=many_terms)


def sums_over_columns(builder, sums, height, a, a_k, b, b_row, n_terms):
    """Do the same where the numbers of a term are contiguous, those of k are not."""
    loop = _Loop(builder, sums)
    width = len(sums) // height
    numbers, step = loop.address(a), loop.distance(a_k)
    weights, factor = [loop.register() for _ in range(width)], loop.register()
    panel, distance = loop.address(b), loop.distance(b_row)
    count = loop.number(builder.neg(n_terms))

    def term(k, _):
        for v, weight in enumerate(weights):
            loop.load(panel, v, weight)
        loop.move(panel, distance)
        # Numbers of this term for the next tiles: a CPU does not foresee that, of a
        # table with long rows, the next columns come next.
        loop.fetch(f"{ALIGNMENT}({numbers})")
        for i in range(height):
            loop.spread(f"{loop.size * i}({numbers})", factor)
            for v, weight in enumerate(weights):
                loop.multiply_add(weight, factor, i * width + v)
        loop.move(numbers, step)

    return loop.emit(term, count, 1)


def sums_over_panels(builder, sums, a, panels, b_row, n_terms):
    """Add products of the numbers of one row and the weights of several panels."""
    loop = _Loop(builder, sums)
    width = len(sums) // len(panels)
    end, factor = loop.address(builder.gep(a, [n_terms])), loop.register()
    panels, distance = [loop.address(p) for p in panels], loop.distance(b_row)
    count = loop.distance(builder.neg(n_terms))

    def term(k, _):
        loop.spread(f"{loop.size * k}({end},{count})", factor)
        for p, panel in enumerate(panels):
            for v in range(width):
                place = f"{loop.vector_size * v}({panel})"
                loop.multiply_add(place, factor, p * width + v)
            loop.move(panel, distance)

    return loop.emit(term, count, loop.size)


class Assembly:
    """Operands and instructions of some text, which names operands as numbers.

    All operands are written: what is only read too, so that no two share a register.
    """

    def __init__(self, builder, vector_type, results):
        self._builder = builder
        self.vector_type = vector_type
        self.text = []
        self._values = list(results)
        self._n_results = len(results)
        is_float32 = vector_type.element.intrinsic_name == "f32"
        self.size = 4 if is_float32 else 8
        self.vector_size = self.size * vector_type.count
        self.suffix = "s" if is_float32 else "d"

    def _operand(self, value):
        self._values.append(value)
        return f"${len(self._values) - 1}"

    def register(self):
        """Name a vector register to use."""
        return self._operand(None)

    def address(self, address):
        """Name an address."""
        return self._operand(self._builder.ptrtoint(address, INT64))

    def distance(self, n):
        """Name a distance of so many numbers."""
        return self._operand(self._builder.mul(n, ir.Constant(INT64, self.size)))

    def number(self, n):
        """Name a whole number."""
        return self._operand(n)

    def call(self):
        """Emit the text, and return the first operands."""
        outputs, inputs, types = [], [], []
        for i, value in enumerate(self._values):
            is_vector = value is None or value.type == self.vector_type
            outputs.append("=&v" if is_vector else "=&r")
            types.append(self.vector_type if is_vector else INT64)
            if value is not None:
                inputs.append((str(i), value))
        constraints = [*outputs, *(place for place, _ in inputs)]
        constraints += ["~{memory}", "~{dirflag}", "~{fpsr}", "~{flags}"]
        values = [value for _, value in inputs]
        results = self._builder.asm(
            ir.FunctionType(ir.LiteralStructType(types), [v.type for v in values]),
            "\\0A".join(self.text),
            ",".join(constraints),
            values,
            side_effect=True,
        )
        return [self._builder.extract_value(results, i) for i in range(self._n_results)]


class _Loop(Assembly):
    """A loop over the terms of sums, which are operands 0, 1, and so on."""

    def __init__(self, builder, sums):
        super().__init__(builder, sums[0].type, sums)

    # -- instructions ------------------------------------------------------------------

    def load(self, address, v, register):
        """Load the register that stands v registers behind an address."""
        place = f"{self.vector_size * v}({address})"
        self.text.append(f"vmovup{self.suffix} {place}, {register}")

    def fetch(self, place):
        """Have a cache line brought to the first cache."""
        self.text.append(f"prefetcht0 {place}")

    def fetch_to_write(self, place):
        """Have a cache line brought to the first cache, and taken from other cores."""
        self.text.append(f"prefetchw {place}")

    def spread(self, place, register):
        """Load one number to all lanes."""
        self.text.append(f"vbroadcasts{self.suffix} {place}, {register}")

    def multiply_add(self, factor, other_factor, total):
        """Add a product to a sum; the first factor may stand in memory."""
        name = f"vfmadd231p{self.suffix}"
        self.text.append(f"{name} {factor}, {other_factor}, ${total}")

    def move(self, address, distance):
        """Move an address on."""
        self.text.append(f"addq {distance}, {address}")

    # -- the loop ----------------------------------------------------------------------

    def emit(self, term, count, stride, fetches_from=None):
        """Emit ``term(k, fetches)`` for all k, and return the sums.

        count goes from -stride * n_terms to 0, ``_UNROLLED`` terms at a time as long as
        there are so many; k tells which of those a term is.
        fetches_from : number of terms from which on they fetch ahead
        """
        add = self.text.append
        if fetches_from is not None:
            self.emit_rounds(term, count, stride, fetches_from, True)
        self.emit_rounds(term, count, stride, _UNROLLED, False)
        add(f"testq {count}, {count}")
        add("je 4f")
        add("3:")
        term(0, False)
        add(f"addq $${stride}, {count}")
        add("jne 3b")
        add("4:")
        return self.call()

    def emit_rounds(
        self, term, count, stride, at_least, fetches, wanted=None, per_round=0
    ):
        """Emit the loop that does ``_UNROLLED`` terms, if there are ``at_least``.

        wanted : a number that, once it is 0 or less, leaves the others to what follows
        per_round : how much less it is after each time around
        """
        add, many = self.text.append, _UNROLLED * stride
        if wanted is not None:
            add(f"testq {wanted}, {wanted}")
            add("jle 2f")
        add(f"cmpq $$-{at_least * stride}, {count}")
        add("jg 2f")
        add(".p2align 4")
        add("1:")
        for k in range(_UNROLLED):
            term(k, fetches)
        add(f"addq $${many}, {count}")
        if per_round > 0:
            add(f"subq $${per_round}, {wanted}")
            add("jle 2f")
        add(f"cmpq $$-{many}, {count}")
        add("jle 1b")
        add("2:")
