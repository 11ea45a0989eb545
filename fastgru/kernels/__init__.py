"""The compiled code: arrays in, arrays out; no classes, strings or optional arguments.

For users' own compiled functions there are ``gru_step`` and ``gru_sequence``, which
take what ``GRU.kernel_arrays`` makes.  All else is for the layers.

Letters: T time steps, B batch (sequences), I input features, H hidden units, L lanes of
a register, N valid steps of all sequences together (T * B when all are equally long).

Map of this folder, bottom-up:

- ``simd``              vectors and pointers
- ``assembly``          the tile's innermost loops on x86
- ``tile``              the register tile
- ``activations``       exp, log, sigmoid, tanh
- ``assembly_gates``    gates of four rows on AVX2
- ``products``          matrix products from tiles; rows copied; sums over rows
- ``packing``           weights in the order in which the tiles read them
- ``steps``             which row of an array belongs to (step, sequence)
- ``sync``              threads that share the steps of a few sequences
- ``tape_rows``         where the gates of (step, sequence) stand on a tape
- ``gru_cell``          one step of both cells, forward and backward
- ``one_hot``           inputs of which one feature is 1: rows of weights
- ``input_products``    the products of the inputs, a few steps ahead
- ``gru_states``        states handed in and out, and the scratch of a run
- ``gru_inference``     the loop over steps that keeps nothing
- ``own_loops``         a step or a sequence, for users' own compiled loops and streams
- ``gru_forward``       the loop over steps that keeps a tape
- ``weight_sums``       the order and place of sums over rows, and parts of them
- ``weight_gradients``  the gradients of weights and biases
- ``input_gradients``   the gradient of the input of small batches
- ``gru_backward``      the reversed loop, and all passes
- ``dense``             a fully connected layer, forward and backward
- ``embedding``         rows of a table by their numbers, forward and backward
- ``pooling``           one row per sequence: last, mean, max, weighted mean
- ``dropout``           masks, and rows multiplied by them
- ``losses``            losses and their gradients
- ``values``            whether numbers may be taken as they are; logarithms
- ``updates``           what an optimiser does to the flat parameter vector
- ``normal``            standard normal numbers from uniform ones
- ``orthogonal``        the orthogonal factor of a matrix

One declared order of summation makes every result independent of the batch around a
row, of the number of threads and of the CPU.  A pre-activation starts from its bias,
adds the products with the inputs in order of the features, then the products with the
previous state in order of the units, each by one fused multiply-add (the candidate of
the ``reset_after`` cell keeps its two halves apart, as its equation does).  A sum over
steps and sequences (a weight's gradient) runs over blocks of 256 valid steps in order
of time, each block summed from zero, and adds the blocks up in order; see
``weight_sums`` for long sums.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgru.kernels.own_loops import KernelArrays, gru_sequence, gru_step

__all__ = ["KernelArrays", "gru_sequence", "gru_step"]


def __getattr__(name: str) -> Any:
    # Imported on first use: modules of this folder import each other through it.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.own_loops"), name)
