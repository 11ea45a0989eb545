"""The layer: a forward pass and a training step, and what makes them differ.

How it stands beside other libraries is for ``python -m benchmarks.peers``, with each in
a process of its own; a few are here so that their upgrades show.
"""

import importlib

import numpy as np

import fastgru
from benchmarks.peers.case import Case, Unsupported
from benchmarks.peers.cores import count_cores
from benchmarks.timing import Timing

SHAPES = ["32,100,64,128", "32,100,256,256", "128,100,128,128", "1024,20,16,32"]


def _load_kernels():
    """Run small problems once, on one thread by their size."""
    x = np.ones((2, 2, 3), np.float32)
    gru = fastgru.GRU(3, 4, random_state=0)
    gru(x)
    output, _, pullback = gru.vjp(x)
    pullback(np.ones_like(output))


# asv imports this file and then forks a process for each benchmark, each of which would
# otherwise take seconds to load what it needs.
_load_kernels()


def _make(library, case):
    """Return what is timed of a library."""
    if case.n_threads > count_cores():
        raise NotImplementedError(f"{case.n_threads} threads need as many cores")
    try:
        module = importlib.import_module(f"benchmarks.peers.{library}_layer")
        return module.make(case)
    except (ImportError, Unsupported) as error:
        raise NotImplementedError(f"{library} is left out: {error}") from error


def _case(shape, **settings):
    return Case(*map(int, shape.split(",")), **settings)


class Forward(Timing):
    """A forward pass without a tape."""

    params = (SHAPES, [1, 2])
    param_names = ("B_T_I_H", "n_threads")

    def setup(self, shape, n_threads):
        case = _case(shape, n_threads=n_threads)
        self.run = _make("fastgru", case).forward
        self.run()

    def time_forward(self, shape, n_threads):
        self.run()


class Step(Timing):
    """A forward pass and the gradients of the input and all parameters."""

    params = (SHAPES, [1, 2])
    param_names = ("B_T_I_H", "n_threads")

    def setup(self, shape, n_threads):
        case = _case(shape, n_threads=n_threads)
        self.run = _make("fastgru", case).step
        self.run()

    def time_step(self, shape, n_threads):
        self.run()


class Memory(Timing):
    """The most memory of a process that does it, what it loads included."""

    params = ["forward", "step"]
    param_names = ("what",)

    def setup(self, what):
        case = Case(256, 100, 256, 256, n_threads=1)
        self.run = getattr(_make("fastgru", case), what)

    def peakmem_run(self, what):
        self.run()


class Float64(Timing):
    """The same in float64."""

    params = ["forward", "step"]
    param_names = ("what",)

    def setup(self, what):
        case = Case(32, 100, 64, 128, n_threads=1, dtype="float64")
        self.run = getattr(_make("fastgru", case), what)
        self.run()

    def time_float64(self, what):
        self.run()


class Libraries(Timing):
    """The same beside PyTorch, and NumPy's products in a plain loop."""

    params = (["fastgru", "numpy", "torch"], ["forward", "step"])
    param_names = ("library", "what")

    def setup(self, library, what):
        self.run = getattr(_make(library, Case(32, 100, 64, 128, n_threads=1)), what)
        if self.run is None:
            raise NotImplementedError(f"{library} does not train")
        self.run()

    def time_library(self, library, what):
        self.run()


class SingleStep(Timing):
    """One step of one sequence: a call, a cell's call, and a stream's step."""

    params = (["16,32", "64,128"], ["call", "cell", "stream"])
    param_names = ("I_H", "what")

    def setup(self, sizes, what):
        n_inputs, n_units = map(int, sizes.split(","))
        x = np.linspace(-1.0, 1.0, n_inputs, dtype=np.float32)
        h = np.linspace(-1.0, 1.0, n_units, dtype=np.float32)
        gru = fastgru.GRU(n_inputs, n_units, random_state=0)
        if what == "call":
            self.run = lambda: gru(x[np.newaxis], h[np.newaxis])
        elif what == "cell":
            cell = fastgru.GRUCell(n_inputs, n_units, random_state=0)
            self.run = lambda: cell(x, h)
        else:
            stream = fastgru.Network([gru]).stream()
            self.run = lambda: stream.step(x)
        self.run()

    def time_single_step(self, sizes, what):
        self.run()


class Lengths(Timing):
    """Sequences of unequal length, and as many valid steps in equal ones."""

    params = (["equal", "unequal"], ["forward", "step"])
    param_names = ("lengths", "what")

    def setup(self, kind, what):
        case = Case(128, 100, 64, 128, n_threads=1, ragged=True)
        case = case.unpadded() if kind == "equal" else case
        self.run = getattr(_make("fastgru", case), what)
        self.run()

    def time_lengths(self, kind, what):
        self.run()


class Variants(Timing):
    """The paper's cell beside the default, and two directions."""

    params = (["default", "reset_before", "bidirectional"], ["forward", "step"])
    param_names = ("variant", "what")

    def setup(self, variant, what):
        gru = fastgru.GRU(
            64,
            128,
            bidirectional=variant == "bidirectional",
            reset_after=variant != "reset_before",
            random_state=0,
        )
        x = Case(32, 100, 64, 128, n_threads=1).arrays()["x"]
        d_output = np.ones_like(gru(x)[0])
        self.run = lambda: gru(x)
        if what == "step":
            self.run = lambda: gru.vjp(x)[2](d_output)
        self.run()

    def time_variant(self, variant, what):
        self.run()
