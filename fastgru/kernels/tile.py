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
    Vector,
    emit_call,
    emit_load,
    emit_spread,
    emit_store,
    llvm_type,
)


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

                def places(base, row, shape=shape):
                    offsets = (
                        builder.add(
                            builder.mul(row, ir.Constant(INT64, i)),
                            ir.Constant(INT64, v * vector_type.count),
                        )
                        for i, v in shape
                    )
                    return [builder.gep(base, [offset]) for offset in offsets]

                if adds:
                    zero = ir.Constant(vector_type, [0.0] * vector_type.count)
                    sums = [zero] * len(shape)
                else:
                    sums = [
                        emit_load(builder, p, vector_type)
                        for p in places(init, init_row)
                    ]
                sums = _sum_of_products(
                    builder, sums, height, width, *operands, n_terms, vector_type
                )
                for place, value in zip(places(c, c_row), sums, strict=True):
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
    next_k = builder.add(k, ir.Constant(INT64, 1))
    k.add_incoming(ir.Constant(INT64, 0), before)
    k.add_incoming(next_k, loop)
    for phi, start, result in zip(phis, sums, results, strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", next_k, n_terms), loop, after)
    builder.position_at_end(after)
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
