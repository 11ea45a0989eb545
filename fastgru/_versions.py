"""What a bug report should say about the machine and the installed packages."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

REQUIRED = ("numpy", "numba", "llvmlite", "scikit-learn", "safetensors", "tqdm")
OPTIONAL = ("matplotlib", "torch", "onnx", "onnxruntime")


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
    """Return the properties of interpreter and machine, by name."""
    from llvmlite import binding as llvm

    from fastgru._threads import get_num_threads
    from fastgru.kernels.simd import REGISTERS

    return {
        "python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "platform": platform.platform(),
        "processor": llvm.get_host_cpu_name(),
        "registers": REGISTERS.name,
        "logical cores": str(os.cpu_count()),
        "threads": str(get_num_threads()),
    }
