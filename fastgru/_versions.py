"""What a bug report should say about the machine and the installed packages."""

import os
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

REQUIRED = ("numpy", "numba", "llvmlite", "scikit-learn", "safetensors", "tqdm")
OPTIONAL = ("matplotlib", "torch", "onnx", "onnxruntime", "skl2onnx")
# Variables that tell idle threads how to wait.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def show_versions() -> None:
    """Print the versions and machine properties that matter to fastgru.

    Include this output in bug reports.

    See Also
    --------
    get_num_threads : The number of threads alone.

    Examples
    --------
    >>> import fastgru
    >>> fastgru.show_versions()  # doctest: +ELLIPSIS
    fastgru ...
    """
    from fastgru import __version__

    sections = {
        "System": describe_system(),
        "Threads": describe_threads(),
        "Cache of compiled code": describe_cache(),
        "Required packages": {name: find_version(name) for name in REQUIRED},
        "Optional packages": {name: find_version(name) for name in OPTIONAL},
    }
    print(f"fastgru {__version__}")
    for title, entries in sections.items():
        print(f"\n{title}")
        for name, value in entries.items():
            print(f"  {name:<13} {value}")


def find_version(name: str) -> str:
    """Return the installed version of a package, without importing it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def describe_system() -> dict[str, str]:
    """Return the properties of interpreter and CPU, by name."""
    from llvmlite import binding as llvm
    from numba import config

    from fastgru.kernels.simd import REGISTERS, TILE_VECTORS, host_features

    present = [name for name in host_features().split(",") if name.startswith("+")]
    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processor": config.CPU_NAME or llvm.get_host_cpu_name(),
        "features": " ".join(name[1:] for name in present),
        "registers": f"{REGISTERS.name}, {REGISTERS.size} bytes",
        "tile": f"{REGISTERS.tile_rows} rows of {TILE_VECTORS} registers",
    }


def describe_threads() -> dict[str, str]:
    """Return what decides over threads, by name."""
    from numba import config

    from fastgru._threads import find_threading_layer, get_num_threads

    waiting = {n: os.environ[n] for n in WAITING if n in os.environ}
    return {
        "logical cores": f"{os.cpu_count()}, for this process {count_usable_cores()}",
        "numba's": str(config.NUMBA_NUM_THREADS),
        "fastgru's": str(get_num_threads()),
        "layer": find_threading_layer(),
        "waiting": " ".join(f"{n}={v}" for n, v in waiting.items()) or "by default",
    }


def count_usable_cores() -> int:
    """Return on how many logical cores this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_cache() -> dict[str, str]:
    """Return where compiled code is kept and what is there, by name."""
    from fastgru._jit import describe_cache as describe

    # All kernels are known once the modules that call them are loaded.
    import_module("fastgru.estimators")
    return describe()
