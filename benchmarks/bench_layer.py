"""The layer: a forward pass and a training step, beside PyTorch and plain NumPy."""

import importlib

import numpy as np

from benchmarks.peers.case import Case, Unsupported

SHAPES = ["32,100,64,128", "32,100,256,256", "128,100,128,128", "1024,20,16,32"]
LIBRARIES = ["fastgru", "numpy", "torch"]


def _made(library, case):
    """Return what is timed of a library."""
    try:
        module = importlib.import_module(f"benchmarks.peers.{library}_layer")
        return module.make(case)
    except (ImportError, Unsupported) as error:
        raise NotImplementedError(f"{library} is left out: {error}") from error


def _make(library, shape, dtype, n_threads):
    case = Case(*map(int, shape.split(",")), n_threads=n_threads, dtype=dtype)
    return _made(library, case)


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
        case = Case(128, 100, 64, 128, n_threads=2, ragged=True)
        case = case.unpadded() if kind == "equal" else case
        self.run = getattr(_made("fastgru", case), what)
        self.run()

    def time_lengths(self, kind, what):
        self.run()


class Variants:
    """The paper's cell beside the default, and two directions."""

    params = (["default", "reset_before", "bidirectional"], ["forward", "step"])
    param_names = ("variant", "what")

    def setup(self, variant, what):
        import fastgru

        gru = fastgru.GRU(
            64,
            128,
            bidirectional=variant == "bidirectional",
            reset_after=variant != "reset_before",
            random_state=0,
        )
        arrays = Case(32, 100, 64, 128, n_threads=2).arrays()
        x = arrays["x"]
        d_output = np.ones_like(gru(x)[0])
        self.run = lambda: gru(x)
        if what == "step":
            self.run = lambda: gru.vjp(x)[2](d_output)
        self.run()

    def time_variant(self, variant, what):
        self.run()
