"""A process with one library in it, and what it answers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
WORKER = "benchmarks.peers.worker"
OURS = "fastgru"
PEERS = ("torch", "onnxruntime", "openvino", "jax", "keras")
# What libraries read when they start; the last is XLA's.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NPROC",
)
XLA_ON_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def environment(n_threads: int) -> dict[str, str]:
    """Return the environment of a process that may use so many threads."""
    variables = {
        **os.environ,
        **dict.fromkeys(THREAD_VARIABLES, str(n_threads)),
        "JAX_PLATFORMS": "cpu",
        "KERAS_TORCH_DEVICE": "cpu",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    if n_threads == 1:
        variables["XLA_FLAGS"] = XLA_ON_ONE_THREAD
    return variables


def _as_it_is(case):
    return case


class Library:
    """A process with one library in it.

    Parameters
    ----------
    path : Path
        The file that defines ``make``.
    n_threads : int
    name : str
        By default the file's.
    adapt : callable
        Turns the case of all libraries into this one's.
    """

    def __init__(
        self, path: Path, n_threads: int, name: str = "", adapt: Callable = _as_it_is
    ) -> None:
        self.name = name or path.stem.rpartition("_")[0]
        self.adapt = adapt
        self.process = subprocess.Popen(
            [sys.executable, "-m", WORKER, str(path), str(n_threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(n_threads),
        )
        answer = self.receive()
        self.missing = answer.get("missing")
        self.backend = answer.get("backend")  # what computes, of Keras

    def ask(self, **command: object) -> dict:
        """Send a command and return the answer."""
        self.send(**command)
        return self.receive()

    def send(self, **command: object) -> None:
        """Send a command, whose answer is to be received."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict:
        """Return the answer to the oldest command without one."""
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"the process of {self.name} ended: {self.process.wait()}"
            )
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def layer_file(name: str) -> Path:
    """Return the file of a library's layer."""
    return HERE / f"{name}_layer.py"


@contextmanager
def started(libraries: Iterator[Library]) -> Iterator[list[Library]]:
    """Start libraries, leave out with a word what is not installed; end all later."""
    ready: list[Library] = []
    try:
        for library in libraries:
            if library.missing:
                print(f"{library.name} is left out: {library.missing}")
                library.close()
            else:
                ready.append(library)
        yield ready
    finally:
        for library in ready:
            library.close()
