"""The multiply-add peak of the cores: ``python -m benchmarks.peers.peak``.

A loop over registers alone, without a load or a store: CHAINS sums that do not depend
on each other (a multiply-add takes 4 cycles and two can start in each, so 8 would do;
with factor and addend 12 still fit the 16 registers of AVX2).  Written on LLVM's own
vectors and independent of fastgru, whose share of this peak is given.  A comparison
runs it in turn with the libraries: a machine that others use as well does not give them
its best either.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.peers.case import Case
from benchmarks.peers.cores import count_cores

CHAINS = 12
UNROLLED = 8
ROUNDS = 100_000  # of a run, which then takes some milliseconds
SECONDS = 1.0


def _lanes(bits: int) -> int:
    """Return how many numbers a register of the CPU holds."""
    from numba.core.registry import cpu_target

    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    size = 512 if "+avx512f" in features else 256 if "+avx" in features else 128
    return size // bits


def _make_loop(dtype: str, lanes: int):
    """Compile ``run(sums, n)``: in each thread n rounds of multiply-adds."""
    import numba
    from llvmlite import ir
    from numba.core import cgutils
    from numba.extending import intrinsic

    number = getattr(numba, dtype)
    element = ir.FloatType() if number.bitwidth == 32 else ir.DoubleType()
    vector = ir.VectorType(element, lanes)
    name = f"llvm.fma.v{lanes}f{number.bitwidth}"
    index = ir.IntType(64)

    def spread(builder, value):
        first = builder.insert_element(
            ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
        )
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        return builder.shuffle_vector(first, first, everywhere)

    @intrinsic
    def multiply_add(typingctx, start, factor, addend, n):
        def codegen(context, builder, sig, args):
            function_type = ir.FunctionType(vector, [vector] * 3)
            fma = cgutils.get_or_insert_function(builder.module, function_type, name)
            factors, addends = spread(builder, args[1]), spread(builder, args[2])
            start = spread(builder, args[0])
            # Different, so that they are not the same value computed once.
            firsts = [
                builder.fadd(start, ir.Constant(vector, [float(k)] * lanes))
                for k in range(CHAINS)
            ]
            before = builder.block
            loop = builder.append_basic_block("loop")
            done = builder.append_basic_block("done")
            builder.branch(loop)
            builder.position_at_end(loop)
            counter = builder.phi(index)
            chains = [builder.phi(vector) for _ in range(CHAINS)]
            sums = list(chains)
            for _ in range(UNROLLED):
                sums = [builder.call(fma, [s, factors, addends]) for s in sums]
            following = builder.add(counter, ir.Constant(index, 1))
            counter.add_incoming(ir.Constant(index, 0), before)
            counter.add_incoming(following, loop)
            for chain, first, last in zip(chains, firsts, sums, strict=True):
                chain.add_incoming(first, before)
                chain.add_incoming(last, loop)
            more = builder.icmp_signed("<", following, args[3])
            builder.cbranch(more, loop, done)
            builder.position_at_end(done)
            total = sums[0]
            for s in sums[1:]:
                total = builder.fadd(total, s)
            return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

        return number(number, number, number, numba.intp), codegen

    @numba.njit(parallel=True)
    def run(sums, factor, addend, n):
        for i in numba.prange(sums.size):
            sums[i] = multiply_add(sums[i], factor, addend, n)

    return run


@dataclass(frozen=True)
class PeakLoop:
    """What is timed: ``ROUNDS`` rounds of multiply-adds in each thread."""

    run: Callable[[], object]
    gflop: float

    @property
    def runs(self) -> dict[str, Callable[[], object]]:
        """The loop, by its name."""
        return {"peak": self.run}

    def results(self) -> dict[str, np.ndarray]:
        """Return how many operations a run takes."""
        return {"gflop": np.array(self.gflop)}


def make(case: Case) -> PeakLoop:
    """Make the loop for a case's threads and type of numbers."""
    number = np.dtype(case.dtype)
    lanes = _lanes(8 * number.itemsize)
    loop = _make_loop(case.dtype, lanes)
    # s -> s * factor + addend stays near 2.
    factor, addend = number.type(0.5), number.type(1.0)
    sums = np.ones(case.n_threads, number)
    operations = case.n_threads * ROUNDS * UNROLLED * CHAINS * lanes * 2
    return PeakLoop(lambda: loop(sums, factor, addend, ROUNDS), operations / 1e9)


def main() -> None:
    """Print the peak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.peak")
    parser.add_argument("--threads", type=int, default=count_cores())
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    options = parser.parse_args()
    timed = make(Case(1, 1, 1, 1, options.threads, options.dtype))
    timed.run()  # compiles
    rates, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        begin = time.perf_counter()
        timed.run()
        rates.append(timed.gflop / (time.perf_counter() - begin))
    median, best = statistics.median(rates), max(rates)
    print(f"{options.threads} threads: {median:.0f} GFLOP/s, at best {best:.0f}")


if __name__ == "__main__":
    main()
