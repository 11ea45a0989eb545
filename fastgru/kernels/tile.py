"""The register tile: sums that stay in registers over a whole inner product.

A matrix product runs at the speed of the multiply-add units only so, which needs exact
control over what is a register.  With ``simd`` the only file that knows LLVM.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgru.kernels.simd import (
    INT64,
    TILE_ROWS,
    TILE_VECTORS,
    Vector,
    emit_call,
    emit_load,
    emit_spread,
    emit_store,
    llvm_type,
)

# Panels side by side of a single row: 12 sums, which fit any CPU's registers.
WIDE_PANELS = 4


def _make_tile(width, adds):
    """Make the register tile: sums over k, ``width`` registers by up to TILE_ROWS rows.

    All heights stand in one function behind a switch, so that 13 rows run as 7 + 6 and
    cost what 13 rows should.
    """

    @intrinsic
    def tile(
        typingctx, rows, c, c_row, init, init_row, a, a_row, a_k, b, b_row, n_terms
    ):
        n = types.intp
        sig = types.void(n, c, n, init, n, a, n, n, b, n, n)

        def codegen(context, builder, sig, args):
            rows, c, c_row, init, init_row, *operands, n_terms = args
            vector_type = llvm_type(Vector(sig.args[1].dtype))
            done = builder.append_basic_block("done")
            switch = builder.switch(rows, done)
            for height in range(1, TILE_ROWS + 1):
                block = builder.append_basic_block(f"rows{height}")
                switch.add_case(ir.Constant(INT64, height), block)
                builder.position_at_end(block)
                shape = [(i, v) for i in range(height) for v in range(width)]

                if adds:
                    zero = ir.Constant(vector_type, [0.0] * vector_type.count)
                    sums = [zero] * len(shape)
                else:
                    sums = [
                        emit_load(builder, p, vector_type)
                        for p in _places(builder, init, init_row, shape, vector_type)
                    ]
                sums = _sum_of_products(
                    builder, sums, height, width, *operands, n_terms, vector_type
                )
                places = _places(builder, c, c_row, shape, vector_type)
                for place, value in zip(places, sums, strict=True):
                    if adds:
                        value = builder.fadd(
                            emit_load(builder, place, vector_type), value
                        )
                    emit_store(builder, value, place)
                builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return sig, codegen

    return tile


@intrinsic
def wide_tile(
    typingctx,
    panels,
    c,
    c_panel,
    init,
    init_panel,
    a,
    a_k,
    b,
    b_panel,
    b_row,
    n_terms,
):
    """Compute sums over k of one row by up to WIDE_PANELS panels of three registers.

    One row by one panel is three sums, too few to keep the multiply-add units busy:
    each addition waits for the one before.
    """
    n = types.intp
    sig = types.void(n, c, n, init, n, a, n, b, n, n, n)

    def codegen(context, builder, sig, args):
        panels, c, c_panel, init, init_panel, a, a_k, b, b_panel, b_row, n_terms = args
        vector_type = llvm_type(Vector(sig.args[1].dtype))
        done = builder.append_basic_block("done")
        switch = builder.switch(panels, done)
        for count in range(1, WIDE_PANELS + 1):
            block = builder.append_basic_block(f"panels{count}")
            switch.add_case(ir.Constant(INT64, count), block)
            builder.position_at_end(block)
            shape = [(i, v) for i in range(count) for v in range(TILE_VECTORS)]
            starts = _places(builder, b, b_panel, shape, vector_type)
            sums = [
                emit_load(builder, place, vector_type)
                for place in _places(builder, init, init_panel, shape, vector_type)
            ]
            sums = _sums_of_row(
                builder, sums, starts, a, a_k, b_row, n_terms, vector_type
            )
            places = _places(builder, c, c_panel, shape, vector_type)
            for place, value in zip(places, sums, strict=True):
                emit_store(builder, value, place)
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return sig, codegen


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


def _sums_of_row(builder, sums, starts, a, a_k, b_row, n_terms, vector_type):
    """Emit the loop over k of one row: each sum has weights of its own."""
    before = builder.block
    loop, after = (builder.append_basic_block(name) for name in ("terms", "stored"))
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(INT64)
    phis = [builder.phi(vector_type) for _ in sums]
    number = builder.load(builder.gep(a, [builder.mul(k, a_k)]))
    factor = emit_spread(builder, number, vector_type)
    weights_row = builder.mul(k, b_row)
    results = []
    for start, total in zip(starts, phis, strict=True):
        place = builder.gep(start, [weights_row])
        weights = emit_load(builder, place, vector_type)
        results.append(emit_call(builder, "fma", vector_type, factor, weights, total))
    _end_loop(builder, k, phis, sums, results, n_terms, before, loop, after)
    return results


def _end_loop(builder, k, phis, sums, results, n_terms, before, loop, after):
    """Emit the end of a loop over k, whose phis start as ``sums``."""
    next_k = builder.add(k, ir.Constant(INT64, 1))
    k.add_incoming(ir.Constant(INT64, 0), before)
    k.add_incoming(next_k, loop)
    for phi, start, result in zip(phis, sums, results, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", next_k, n_terms), loop, after)
    builder.position_at_end(after)


def _sum_of_products(
    builder, sums, height, width, a, a_row, a_k, b, b_row, n_terms, vector_type
):
    """Emit the loop over k: a fused multiply-add into each of height x width sums."""
    before = builder.block
    loop, after = (builder.append_basic_block(name) for name in ("terms", "stored"))
    row_starts = [
        builder.gep(a, [builder.mul(a_row, ir.Constant(INT64, i))])
        for i in range(height)
    ]
    builder.branch(loop)
    builder.position_at_end(loop)
    k = builder.phi(INT64)
    phis = [
        builder.phi(vector_type) for _ in sums
    ]  # every phi must stand first in its block
    weights_row, column = builder.mul(k, b_row), builder.mul(k, a_k)
    weights = [
        emit_load(
            builder,
            builder.gep(
                b,
                [builder.add(weights_row, ir.Constant(INT64, v * vector_type.count))],
            ),
            vector_type,
        )
        for v in range(width)
    ]
    results = []
    for i in range(height):
        number = builder.load(builder.gep(row_starts[i], [column]))
        factor = emit_spread(builder, number, vector_type)
        for v in range(width):
            total = phis[i * width + v]
            results.append(
                emit_call(builder, "fma", vector_type, factor, weights[v], total)
            )
    _end_loop(builder, k, phis, sums, results, n_terms, before, loop, after)
    return results


# c[i, :] = init[i, :] + sum over k of a[i, k] * b[k, :], the sum starting from init,
# for i < rows <= TILE_ROWS. Rows of c, init and b stand c_row, init_row and b_row
# numbers apart (0 repeats one row); a[i, k] stands at i * a_row + k * a_k.  c may be
# init.  n_terms, the number of k, is at least 1.
tile_1, tile_2, tile_3 = (_make_tile(width, adds=False) for width in (1, 2, 3))
# The same with the sum starting from zero and added to c at its end; init is not read.
adding_tile_1, adding_tile_2, adding_tile_3 = (
    _make_tile(width, adds=True) for width in (1, 2, 3)
)
