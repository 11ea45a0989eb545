"""Compare libraries: ``python -m benchmarks.peers [--shapes B,T,I,H ...]``.

Every library runs in its own process, since idle threads of one slow another down.
Results are compared first.  Then rounds go through the libraries in turn, so that a
machine that gets slower gets slower for all, and the median round counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.peers.case import Case

HERE = Path(__file__).parent
SHAPES = ["32,100,64,128", "32,100,256,256", "128,100,128,128", "1024,20,16,32"]
# Largest error over largest magnitude, of float32 results of sums in different orders.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
# fastgru on equally long sequences with as many valid steps.
UNPADDED = "unpadded"


class Library:
    """A process with one library in it."""

    def __init__(self, path: Path, n_threads: int, name: str = "") -> None:
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            environment[variable] = str(n_threads)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.name = name or path.stem.removesuffix("_layer")
        answer = self._read()
        self.missing = answer.get("missing")

    def ask(self, **command: object) -> dict:
        """Send a command and return the answer."""
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} ended")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def compare(libraries: list[Library], case: Case, rounds: int, seconds: float) -> dict:
    """Return each library's median times in ms: "forward" and, if it trains, "step".

    Libraries that do not have the case are left out.
    """
    times: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for library in libraries:
            file = str(Path(folder) / f"{library.name}.npz")
            own = case.unpadded() if library.name == UNPADDED else case
            answer = library.ask(
                do="make", case=asdict(own), file=file, seconds=seconds
            )
            if "unsupported" in answer:
                continue
            times[library.name] = {what: [] for what in answer["runs"]}
            if own is case:
                files[library.name] = file
        _check_results(files, TOLERANCE[case.dtype])
    for _ in range(rounds):
        for what in ("forward", "step"):
            for library in libraries:
                if what in times.get(library.name, ()):
                    answer = library.ask(do=what, seconds=seconds)
                    times[library.name][what].append(1e3 * answer["seconds"])
    return {
        name: {what: statistics.median(values) for what, values in both.items()}
        for name, both in times.items()
    }


def _check_results(files: dict[str, str], tolerance: float) -> None:
    """Raise if a library disagrees with fastgru on an output or a gradient."""
    expected = dict(np.load(files["fastgru"]))
    for name, file in files.items():
        for key, result in np.load(file).items():
            error = np.abs(result - expected[key]).max() / np.abs(expected[key]).max()
            if not error <= tolerance:
                raise SystemExit(f"fastgru and {name} disagree on {key}: {error:.1e}")


def _cells(names: list[str], case: Case, times: dict, what: str) -> str:
    """Return the columns of a line of the table."""
    cells = ""
    operations = case.gflop * (1 if what == "forward" else 3)
    for name in names:
        if what not in times.get(name, ()):
            cells += f"{'-':>18}"
            continue
        milliseconds = times[name][what]
        cells += f"{milliseconds:11.3f} {f'({operations / milliseconds * 1e3:.0f})':>6}"
    for name in names:
        if name != "fastgru":
            ratio = "-"
            if what in times.get(name, ()):
                ratio = f"{times[name][what] / times['fastgru'][what]:.2f}"
            cells += f"{ratio:>20}"
    return cells


def main() -> None:
    """Read the arguments, run and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--shapes", nargs="+", default=SHAPES, metavar="B,T,I,H")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--dtype", choices=sorted(TOLERANCE), default="float32")
    parser.add_argument("--reset-before", action="store_true", help="the paper's cell")
    parser.add_argument(
        "--lengths",
        action="store_true",
        help="unequal lengths, from a quarter of T to T; beside as many steps unpadded",
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--seconds", type=float, default=0.25, help="of each round and library"
    )
    parser.add_argument("--json", type=Path, help="write the times to this file")
    parser.add_argument(
        "--also", nargs="*", type=Path, default=[], help="more files like *_layer.py"
    )
    options = parser.parse_args()

    own = HERE / "fastgru_layer.py"
    peers = [HERE / f"{name}_layer.py" for name in ("torch", "onnxruntime")]
    libraries = []
    for path in [own, *peers, *options.also]:
        library = Library(path, options.threads)
        if library.missing:
            print(f"{library.name} is left out: {library.missing}")
        else:
            libraries.append(library)
    if options.lengths:
        libraries.append(Library(own, options.threads, UNPADDED))
    names = [library.name for library in libraries]
    print(f"{options.threads} threads, {options.dtype}; ms (GFLOP/s), median of rounds")
    header = "".join(f"{name:>18}" for name in names)
    ratios = "".join(f"{name + '/fastgru':>20}" for name in names if name != "fastgru")
    print(f"{'B, T, I, H':>20} {'':8}{header}{ratios}")
    rows = []
    for shape in options.shapes:
        case = Case(
            *(int(size) for size in shape.split(",")),
            n_threads=options.threads,
            dtype=options.dtype,
            reset_after=not options.reset_before,
            ragged=options.lengths,
        )
        times = compare(libraries, case, options.rounds, options.seconds)
        rows.append({**asdict(case), "ms": times})
        for what in ("forward", "step"):
            cells = _cells(names, case, times, what)
            print(f"{shape:>20} {what:8}{cells}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    for library in libraries:
        library.close()


if __name__ == "__main__":
    main()
