"""The layer: a forward pass and a training step, beside PyTorch and plain NumPy."""

import importlib

import numpy as np

from benchmarks.peers.case import Case

SHAPES = ["32,100,64,128", "32,100,256,256", "128,100,128,128", "1024,20,16,32"]
LIBRARIES = ["fastgru", "numpy", "torch"]


def _make(library, shape, dtype, n_threads):
    """Make what is timed; NumPy only has a forward pass."""
    case = Case(*map(int, shape.split(",")), n_threads=n_threads, dtype=dtype)
    try:
        module = importlib.import_module(f"benchmarks.peers.{library}_layer")
    except ImportError as error:
        raise NotImplementedError(f"{library} is not installed") from error
    return module.make(case)


class Forward:
    """A forward pass without a tape."""

    params = (SHAPES, ["float32", "float64"], [1, 2], LIBRARIES)
    param_names = ("B_T_I_H", "dtype", "n_threads", "library")

    def setup(self, shape, dtype, n_threads, library):
        self.run = _make(library, shape, dtype, n_threads).forward
        self.run()

    def time_forward(self, shape, dtype, n_threads, library):
        self.run()


class Step:
    """A forward pass and the gradients of the input and all parameters."""

    params = (SHAPES, ["float32", "float64"], [1, 2], ["fastgru", "torch"])
    param_names = ("B_T_I_H", "dtype", "n_threads", "library")

    def setup(self, shape, dtype, n_threads, library):
        self.run = _make(library, shape, dtype, n_threads).step
        self.run()

    def time_step(self, shape, dtype, n_threads, library):
        self.run()


class Lengths:
    """Sequences of unequal length, and as many valid steps in equal ones."""

    params = (["equal", "unequal"], ["forward", "step"])
    param_names = ("lengths", "what")

    def setup(self, kind, what):
        import fastgru

        rng = np.random.default_rng(0)
        lengths = rng.integers(25, 101, 128)
        if kind == "equal":
            lengths[:] = round(lengths.mean())
        gru = fastgru.GRU(64, 128, random_state=0)
        shape = (int(lengths.max()), 128, 64)
        x = rng.standard_normal(shape, dtype=np.float32)
        d_output = rng.standard_normal((*shape[:2], 128), dtype=np.float32)
        if what == "forward":
            self.run = lambda: gru(x, lengths=lengths)
        else:
            self.run = lambda: gru.vjp(x, lengths=lengths)[2](d_output)
        self.run()

    def time_lengths(self, kind, what):
        self.run()
