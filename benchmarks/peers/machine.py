"""What a measurement has to say about the machine and the versions."""

import datetime
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.peers.cores import count_cores

PACKAGES = (
    "fastgru",
    "numpy",
    "numba",
    "llvmlite",
    "torch",
    "onnxruntime",
    "openvino",
    "jax",
    "jaxlib",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
)
# Of the many flags of a CPU, what decides how fast products and gates can be.
FLAGS = (
    "sse4_2",
    "avx",
    "fma",
    "avx2",
    "avx512f",
    "avx512dq",
    "avx512vl",
    "avx512_bf16",
    "avx512_vnni",
    "avx512_fp16",
    "amx_tile",
    "asimd",
    "asimdhp",
    "sve",
    "sve2",
)


def describe_machine() -> dict:
    """Return the machine's properties that matter to a measurement."""
    cpu = _describe_cpu()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "cpu": cpu.get("model name", platform.processor() or "unknown"),
        "family": cpu.get("cpu family"),
        "model": cpu.get("model"),
        "architecture": platform.machine(),
        "compiler_name": _host_cpu_name(),
        "cores": count_cores(),
        "caches": _caches(),
        "flags": [flag for flag in FLAGS if flag in flags],
        "virtual": "hypervisor" in flags,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def describe_versions() -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def describe_moment() -> dict:
    """Return the date, and how busy the machine was in the last minute."""
    now = datetime.datetime.now(datetime.timezone.utc)
    moment: dict = {"date": now.isoformat(timespec="seconds")}
    if hasattr(os, "getloadavg"):
        moment["load"] = round(os.getloadavg()[0], 2)
    return moment


def _describe_cpu() -> dict[str, str]:
    """Return the entries of the first core in Linux's own description."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().split("\n\n")[0]
    entries = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in entries}


def _host_cpu_name() -> str:
    from llvmlite import binding as llvm

    return llvm.get_host_cpu_name()


def _caches() -> dict[str, str]:
    """Return the sizes of the first core's caches."""
    caches = {}
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (
            (folder / name).read_text().strip() for name in ("level", "type", "size")
        )
        if kind != "Instruction":
            caches[f"L{level}"] = size
    return caches
