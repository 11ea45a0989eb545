"""The register tile: sums that stay in registers over a whole inner product.

A matrix product runs at the speed of the multiply-add units only so, which needs exact
control over what is a register.  With ``simd`` the only file that knows LLVM.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgru.kernels.assembly import (
    HAS_ASSEMBLY,
    sums_over_columns,
    sums_over_panels,
    sums_over_rows,
)
from fastgru.kernels.simd import (
    INT64,
    REGISTERS_PER_LINE,
    TILE_ROWS,
    TILE_VECTORS,
    Vector,
    emit_call,
    emit_load,
    emit_prefetch,
    emit_spread,
    emit_store,
    llvm_type,
)

# Panels side by side of a single row: 12 sums, which fit any CPU's registers.
WIDE_PANELS = 4
# Terms of a sum each time around its loop; a power of two.
_UNROLLED = 4


def _make_tile(width):
    """Make the register tile: sums over k, ``width`` registers by up to TILE_ROWS rows.

    All heights stand in one function behind a switch, so that 13 rows run as 7 + 6 and
    cost what 13 rows should.
    """

    @intrinsic
    def tile(
        typingctx,
        rows,
        c,
        c_row,
        init,
        init_row,
        a,
        a_row,
        b,
        b_row,
        n_terms,
        ahead,
        lines,
        lines_step,
        n_lines,
    ):
        n = types.intp
        sig = types.void(n, c, n, init, n, a, n, b, n, n, n, lines, n, n)

        def codegen(context, builder, sig, args):
            _emit_row_tile(builder, width, args, llvm_type(Vector(sig.args[1].dtype)))
            return context.get_dummy_value()

        return sig, codegen

    return tile


@intrinsic
def panel_tile(
    typingctx,
    width,
    rows,
    c,
    c_row,
    init,
    init_row,
    a,
    a_row,
    b,
    b_row,
    n_terms,
    ahead,
    lines,
    lines_step,
    n_lines,
):
    """Compute the tile of a panel of any width; the rest as for ``tile_3``."""
    n = types.intp
    sig = types.void(n, n, c, n, init, n, a, n, b, n, n, n, lines, n, n)

    def codegen(context, builder, sig, args):
        vector_type = llvm_type(Vector(sig.args[2].dtype))
        for width in _cases(builder, args[0], TILE_VECTORS):
            _emit_row_tile(builder, width, args[1:], vector_type)
        return context.get_dummy_value()

    return sig, codegen


def _emit_row_tile(builder, width, args, vector_type):
    """Emit a tile over numbers of rows; args are those of ``tile_3``."""
    *places, a, a_row, b, b_row, n_terms, ahead = args[:-3]

    def add_products(sums, height):
        return _sums_over_rows(
            builder,
            sums,
            _rows(builder, a, a_row, height),
            b,
            b_row,
            n_terms,
            vector_type,
            ahead,
            written=args[-3:],
        )

    _emit_tile(builder, width, *places, vector_type, add_products)


def _make_column_tile(width, adds):
    """Make the same of columns of a table: a row's numbers stand a_k numbers apart."""

    @intrinsic
    def tile(typingctx, rows, c, c_row, init, init_row, a, a_k, b, b_row, n_terms):
        n = types.intp
        sig = types.void(n, c, n, init, n, a, n, b, n, n)

        def codegen(context, builder, sig, args):
            *places, a, a_k, b, b_row, n_terms = args
            vector_type = llvm_type(Vector(sig.args[1].dtype))

            def add_products(sums, height):
                return _sums_over_columns(
                    builder, sums, height, a, a_k, b, b_row, n_terms, vector_type
                )

            _emit_tile(builder, width, *places, vector_type, add_products, adds)
            return context.get_dummy_value()

        return sig, codegen

    return tile


def _cases(builder, number, most):
    """Emit a switch; yield each number from 1 to ``most`` where its case is emitted."""
    done = builder.append_basic_block("done")
    switch = builder.switch(number, done)
    for n in range(1, most + 1):
        block = builder.append_basic_block(f"case{n}")
        switch.add_case(ir.Constant(INT64, n), block)
        builder.position_at_end(block)
        yield n
        builder.branch(done)
    builder.position_at_end(done)


def _emit_tile(
    builder,
    width,
    rows,
    c,
    c_row,
    init,
    init_row,
    vector_type,
    add_products,
    adds=False,
):
    """Emit a tile of every height: sums made ready, their products, and their end.

    add_products : takes sums and a height, and returns the sums with products added
    """
    for height in _cases(builder, rows, TILE_ROWS):
        shape = [(i, v) for i in range(height) for v in range(width)]
        if adds:
            zero = ir.Constant(vector_type, [0.0] * vector_type.count)
            sums = [zero] * len(shape)
        else:
            sums = [
                emit_load(builder, p, vector_type)
                for p in _places(builder, init, init_row, shape, vector_type)
            ]
        places = _places(builder, c, c_row, shape, vector_type)
        # Sums in lines outside the first cache would hold up the next tile.
        for (_, v), place in zip(shape, places, strict=True):
            if v % REGISTERS_PER_LINE == 0:
                emit_prefetch(builder, place, writes=True)
        sums = add_products(sums, height)
        for place, value in zip(places, sums, strict=True):
            if adds:
                value = builder.fadd(emit_load(builder, place, vector_type), value)
            emit_store(builder, value, place)


@intrinsic
def gates_tile(
    typingctx,
    rows,
    c,
    bias,
    x,
    x_row,
    w,
    n_inputs,
    h,
    h_row,
    u,
    n_units,
    lines,
    lines_step,
    n_lines,
):
    """Compute one register of units' [n r z hn] of up to TILE_ROWS rows.

    Each starts from its bias; to n, r and z the products of x and w are added, then to
    r, z and hn those of h and u.  Rows of c are four registers, those of w and u three.
    So many lines, lines_step numbers apart, are fetched on the way to be written.
    """
    n = types.intp
    sig = types.void(n, c, bias, x, n, w, n, h, n, u, n, lines, n, n)

    def codegen(context, builder, sig, args):
        rows, c, bias, x, x_row, w, n_inputs, h, h_row, u, n_units, *lines = args
        vector_type = llvm_type(Vector(sig.args[1].dtype))
        row, four_registers = (
            ir.Constant(INT64, n * vector_type.count) for n in (TILE_VECTORS, 4)
        )
        for height in _cases(builder, rows, TILE_ROWS):
            shape = [(i, v) for i in range(height) for v in range(4)]
            places = _places(builder, c, four_registers, shape, vector_type)
            firsts = _weights(builder, bias, ir.Constant(INT64, 0), 4, vector_type)
            sums = _sums_over_rows(
                builder,
                firsts[:3] * height,
                _rows(builder, x, x_row, height),
                w,
                row,
                n_inputs,
                vector_type,
            )
            for place, value in zip(places[::4], sums[::3], strict=True):
                emit_store(builder, value, place)
            sums = [
                total
                for i in range(height)
                for total in (*sums[3 * i + 1 : 3 * i + 3], firsts[3])
            ]
            sums = _sums_over_rows(
                builder,
                sums,
                _rows(builder, h, h_row, height),
                u,
                row,
                n_units,
                vector_type,
                written=lines,
            )
            for i in range(height):
                for v in range(TILE_VECTORS):
                    emit_store(builder, sums[3 * i + v], places[4 * i + 1 + v])
        return context.get_dummy_value()

    return sig, codegen


def _make_wide_tile(width):
    """Make sums over k of one row by up to WIDE_PANELS panels of ``width`` registers.

    One row by one panel is so many sums, too few to keep the multiply-add units busy:
    each addition waits for the one before.
    """

    @intrinsic
    def tile(
        typingctx,
        panels,
        c,
        c_panel,
        init,
        init_panel,
        a,
        b,
        b_panel,
        b_row,
        n_terms,
    ):
        n = types.intp
        sig = types.void(n, c, n, init, n, a, b, n, n, n)

        def codegen(context, builder, sig, args):
            vector_type = llvm_type(Vector(sig.args[1].dtype))
            for count in _cases(builder, args[0], WIDE_PANELS):
                _emit_wide_tile(builder, width, count, args[1:], vector_type)
            return context.get_dummy_value()

        return sig, codegen

    return tile


def _emit_wide_tile(builder, width, count, args, vector_type):
    """Emit a tile of one row by so many panels; args are those of ``wide_tile_3``."""
    c, c_panel, init, init_panel, a, b, b_panel, b_row, n_terms = args
    shape = [(i, v) for i in range(count) for v in range(width)]
    sums = [
        emit_load(builder, place, vector_type)
        for place in _places(builder, init, init_panel, shape, vector_type)
    ]
    panels = _rows(builder, b, b_panel, count)
    sums = _sums_of_row(builder, sums, panels, a, b_row, n_terms, vector_type)
    places = _places(builder, c, c_panel, shape, vector_type)
    for place, value in zip(places, sums, strict=True):
        emit_store(builder, value, place)


def _places(builder, base, row, shape, vector_type):
    """Return the addresses of registers v of rows i."""
    return [
        builder.gep(
            base,
            [
                builder.add(
                    builder.mul(row, ir.Constant(INT64, i)),
                    ir.Constant(INT64, v * vector_type.count),
                )
            ],
        )
        for i, v in shape
    ]


def _rows(builder, a, a_row, height):
    """Return the addresses of the first numbers of rows."""
    return [
        builder.gep(a, [builder.mul(a_row, ir.Constant(INT64, i))])
        for i in range(height)
    ]


def _sums_of_row(builder, sums, panels, a, b_row, n_terms, vector_type):
    """Emit the loop over k of one row: each sum has weights of its own."""
    if HAS_ASSEMBLY:
        return sums_over_panels(builder, sums, a, panels, b_row, n_terms)
    width = len(sums) // len(panels)

    def add_term(column, weights_row, sums):
        factor = emit_spread(
            builder, builder.load(builder.gep(a, [column])), vector_type
        )
        totals = iter(sums)
        return [
            emit_call(builder, "fma", vector_type, factor, weight, next(totals))
            for panel in panels
            for weight in _weights(builder, panel, weights_row, width, vector_type)
        ]

    panels = [_opaque(builder, panel) for panel in panels]
    return _loop(builder, add_term, sums, ir.Constant(INT64, 1), b_row, n_terms)


def _sums_over_rows(
    builder, sums, rows, b, b_row, n_terms, vector_type, ahead=None, written=None
):
    """Emit the loop over k of some rows: all sums of a register have its weights."""
    if HAS_ASSEMBLY:
        return sums_over_rows(builder, sums, rows, b, b_row, n_terms, ahead, written)
    rows = [_opaque(builder, row) for row in rows]
    add_term = _term_of(builder, rows, len(sums) // len(rows), b, vector_type)
    return _loop(builder, add_term, sums, ir.Constant(INT64, 1), b_row, n_terms)


def _sums_over_columns(builder, sums, height, a, a_k, b, b_row, n_terms, vector_type):
    """Emit the same loop for rows that stand one number apart, their numbers a_k."""
    if HAS_ASSEMBLY:
        return sums_over_columns(builder, sums, height, a, a_k, b, b_row, n_terms)
    # Reached from one register as they are.
    rows = _rows(builder, a, ir.Constant(INT64, 1), height)
    add_term = _term_of(builder, rows, len(sums) // height, b, vector_type)
    return _loop(builder, add_term, sums, a_k, b_row, n_terms)


def _term_of(builder, rows, width, b, vector_type):
    """Return what emits the multiply-adds of one term of rows and a panel."""

    def add_term(column, weights_row, sums):
        weights = _weights(builder, b, weights_row, width, vector_type)
        results = []
        for i, row in enumerate(rows):
            number = builder.load(builder.gep(row, [column]))
            factor = emit_spread(builder, number, vector_type)
            for v, weight in enumerate(weights):
                total = sums[i * width + v]
                results.append(
                    emit_call(builder, "fma", vector_type, factor, weight, total)
                )
        return results

    return add_term


def _weights(builder, panel, row, width, vector_type):
    """Load ``width`` registers of a row of a panel."""
    weights = []
    for v in range(width):
        index = builder.add(row, ir.Constant(INT64, v * vector_type.count))
        place = builder.gep(panel, [index])
        weights.append(emit_load(builder, place, vector_type))
    return weights


def _opaque(builder, pointer):
    """Return the pointer, which LLVM then keeps in a register of its own.

    It would compute each row's address from the one before, every time around, and on
    the units that multiply and add.
    """
    identity = ir.FunctionType(pointer.type, [pointer.type])
    return builder.asm(identity, "", "=r,0", [pointer], side_effect=False)


def _loop(builder, add_term, sums, a_k, b_row, n_terms):
    """Emit a loop over k that starts from ``sums``; return its last sums.

    ``_UNROLLED`` terms at a time, since counting takes slots of the units that multiply
    and add; then those left over one by one.
    """
    zero = ir.Constant(INT64, 0)
    whole = builder.and_(n_terms, ir.Constant(INT64, -_UNROLLED))
    state = [zero, zero, *sums]
    strides = a_k, b_row
    state = _loop_part(builder, add_term, state, strides, zero, whole, _UNROLLED)
    state = _loop_part(builder, add_term, state, strides, whole, n_terms, 1)
    return state[2:]


def _loop_part(builder, add_term, state, strides, begin, end, step):
    """Emit a loop over k from begin to end - 1, ``step`` terms each time around.

    state : where a's and b's numbers of the term stand, then the sums
    """
    loop, after = (builder.append_basic_block(name) for name in ("terms", "summed"))
    before = builder.block
    builder.cbranch(builder.icmp_signed("<", begin, end), loop, after)
    builder.position_at_end(loop)
    k = builder.phi(INT64)
    running = [builder.phi(value.type) for value in state]  # all phis of a block first
    column, weights_row, *sums = running
    for _ in range(step):
        sums = add_term(column, weights_row, sums)
        column = builder.add(column, strides[0])
        weights_row = builder.add(weights_row, strides[1])
    results = [column, weights_row, *sums]
    next_k = builder.add(k, ir.Constant(INT64, step))
    k.add_incoming(begin, before)
    k.add_incoming(next_k, loop)
    for phi, start, result in zip(running, state, results, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", next_k, end), loop, after)
    builder.position_at_end(after)
    finals = [builder.phi(value.type) for value in state]
    for final, start, result in zip(finals, state, results, strict=True):
        final.add_incoming(start, before)
        final.add_incoming(result, loop)
    return finals


# c[i, :] = init[i, :] + sum over k of a[i, k] * b[k, :], the sum starting from init,
# for i < rows <= TILE_ROWS.  Rows of c, init, a and b stand c_row, init_row, a_row and
# b_row numbers apart (0 repeats one row).  c may be init.  n_terms, the number of k,
# may be 0.  ahead is how many numbers behind b weights stand that are needed next and
# that some CPUs fetch on the way, or 0; lines are n_lines, of which at most n_terms are
# fetched, lines_step numbers apart, that will be written.
tile_2, tile_3 = (_make_tile(width) for width in (2, 3))
# The same of one row by panels of weights side by side, b_panel numbers apart: of so
# many registers of c, c_panel apart, and init, init_panel apart.
wide_tile_2, wide_tile_3 = (_make_wide_tile(width) for width in (2, 3))
# The same where rows of a stand one number apart, and numbers of a row a_k apart.
column_tile_1, column_tile_2, column_tile_3 = (
    _make_column_tile(width, adds=False) for width in (1, 2, 3)
)
# These with the sum starting from zero and added to c at its end; init is not read.
adding_tile_1, adding_tile_2, adding_tile_3 = (
    _make_column_tile(width, adds=True) for width in (1, 2, 3)
)
