"""How long single calls take, also the slow ones, on an idle and on a busy machine."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.peers.case import Case
from benchmarks.peers.library import Library

SHAPES = ("1,1,16,32", "1,100,64,128")
MACHINES = ("idle", "busy")  # busy: another process keeps one core
SECONDS = 0.5
MOST_CALLS = 4000  # of a library and round


def measure(libraries: list[Library], cases: list[Case], rounds: int) -> dict:
    """Measure and print the median and the 99th percentile of all rounds' calls."""
    columns = "".join(f"{library.name:>19}" for library in libraries)
    print(f"\n{'p50 / p99, us':>18} {'machine':8}{columns}")
    return {"cells": [_measure_case(libraries, case, rounds) for case in cases]}


def _measure_case(libraries: list[Library], case: Case, rounds: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder) / "results.npz")
        made = [
            library
            for library in libraries
            if "runs"
            in library.ask(do="make", case=asdict(case), file=file, seconds=SECONDS)
        ]
    cell = {**asdict(case), "gflop": case.gflop, "microseconds": {}}
    shape = f"{case.batch}, {case.n_steps}, {case.input_size}, {case.hidden_size}"
    for machine in MACHINES:
        times: dict[str, list[float]] = {library.name: [] for library in made}
        with _made(machine):
            for _ in range(rounds):
                for library in made:
                    answer = library.ask(
                        do="calls", what="forward", seconds=SECONDS, most=MOST_CALLS
                    )
                    times[library.name] += answer["seconds"]
        percentiles = {}
        line = f"{shape:>18} {machine:8}"
        for library in libraries:
            entry = "-"
            if library in made:
                p50, p99 = 1e6 * np.percentile(times[library.name], [50, 99])
                n = len(times[library.name])
                percentiles[library.name] = {"p50": p50, "p99": p99, "calls": n}
                entry = f"{p50:.4g} / {p99:.4g}"
            line += f"{entry:>19}"
        print(line, flush=True)
        cell["microseconds"][machine] = percentiles
    return cell


@contextmanager
def _made(machine: str) -> Iterator[None]:
    """Make the machine idle or busy meanwhile."""
    if machine == "idle":
        yield
        return
    other = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        other.kill()
        other.wait()
