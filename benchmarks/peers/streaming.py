"""One sequence, one step at a time: what a step costs from Python and compiled."""

import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.peers.comparison import TOLERANCE, summary
from benchmarks.peers.library import HERE, OURS, Library, started
from benchmarks.peers.streaming_case import StreamingCase

PEERS = ("onnxruntime", "torch")
SIZES = ((1, 32), (1, 64))
SECONDS = 0.1


def measure(rounds: int) -> dict:
    """Measure and print."""

    def libraries() -> Iterator[Library]:
        for name in (OURS, *PEERS):
            yield Library(HERE / f"{name}_streaming.py", 1)

    print("\none step of one sequence, microseconds, medians of rounds; one thread")
    with started(libraries()) as ready:
        cases = [StreamingCase(*sizes) for sizes in SIZES]
        return {"cells": [_measure_case(ready, case, rounds) for case in cases]}


def _measure_case(libraries: list[Library], case: StreamingCase, rounds: int) -> dict:
    runs: dict[tuple[str, str], int] = {}  # and how many steps a call takes
    outputs = {}
    with tempfile.TemporaryDirectory() as folder:
        for library in libraries:
            file = str(Path(folder) / f"{library.name}.npz")
            answer = library.ask(do="make", case=asdict(case), file=file, seconds=0.05)
            if "left_out" in answer:
                print(f"{library.name} is left out: {answer['left_out']}")
                continue
            outputs[library.name] = np.load(file)["output"]
            for what in answer["runs"]:
                first, _, _ = what.partition(" ")
                n_steps = int(first) if first.isdigit() else 1
                runs[library.name, what] = n_steps
    for name, output in outputs.items():
        if not np.allclose(output, outputs[OURS], 0.0, TOLERANCE["float32"]):
            raise SystemExit(f"{OURS} and {name} disagree")
    times: dict[tuple[str, str], list[float]] = {key: [] for key in runs}
    for _ in range(rounds):
        for library in libraries:
            for name, what in runs:
                if name == library.name:
                    answer = library.ask(do="time", what=what, seconds=SECONDS, least=3)
                    microseconds = 1e6 * answer["seconds"] / runs[name, what]
                    times[name, what].append(microseconds)
    ours = statistics.median(times[OURS, "step"])
    print(f"I = {case.input_size}, H = {case.hidden_size}")
    for (name, what), values in times.items():
        median = statistics.median(values)
        ratio = f"{median / ours:7.2f} times fastgru's step"
        print(f"{name:>14} {what:<15} {median:8.3f} {ratio}", flush=True)
    cells = {
        f"{name} {what}": summary(values) for (name, what), values in times.items()
    }
    return {**asdict(case), "microseconds": cells}
