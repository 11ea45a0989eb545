"""Compare libraries: ``python -m benchmarks.peers`` (``--help`` for its options).

One file per library defines ``make(case)``: a ``Timed`` with a forward pass, a training
step, and their results by name.  A library that cannot be imported is left out with a
word.

Every library runs in its own process, since idle threads of one slow another down.
Results are compared first.  Then rounds go through the libraries in turn, so that a
machine that gets slower gets slower for all, and the median round counts.
"""

import argparse
import json
import secrets
import statistics
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.peers import epochs, latency, scaling, streaming
from benchmarks.peers.case import Case
from benchmarks.peers.cells import GRID, QUICK, draw_cells
from benchmarks.peers.comparison import TOLERANCE, UNPADDED, Effort, compare
from benchmarks.peers.cores import count_cores
from benchmarks.peers.forecasting_case import ForecastingCase
from benchmarks.peers.library import (
    HERE,
    OURS,
    PEERS,
    Library,
    layer_file,
    started,
)
from benchmarks.peers.machine import (
    describe_machine,
    describe_moment,
    describe_versions,
)
from benchmarks.peers.report import cell_lines, header, summary_lines
from benchmarks.peers.training_case import TrainingCase

N_RANDOM = 20
QUICK_EFFORT = Effort(seconds=0.05, cell_seconds=4.0, least_rounds=3, most_rounds=3)


def main() -> None:
    """Read the arguments, measure, print the tables."""
    options = _read_options()
    sections = {
        "comparison": _measure_comparison,
        "scaling": _measure_scaling,
        "epochs": _measure_epochs,
        "forecasting": _measure_forecasting,
        "latency": _measure_latency,
        "streaming": _measure_streaming,
    }
    chosen = [name for name in sections if options.all or getattr(options, name)]
    report = _start_report(options.json)
    print(f"{options.threads} threads, {options.dtype}")
    agreed = True
    for section in chosen or ["comparison"]:
        moment = describe_moment()
        measured = sections[section](options)
        agreed &= not any(cell.get("disagree") for cell in measured.get("cells", ()))
        settings = {name: getattr(options, name) for name in ("threads", "dtype")}
        report[section] = {**moment, **settings, **measured}
        if options.json:  # after each, for the sake of what follows going wrong
            options.json.write_text(json.dumps(report, indent=1) + "\n")
    if not agreed:
        raise SystemExit("some results disagree, see above")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    what = parser.add_argument_group("what to measure, by default --comparison")
    what.add_argument("--comparison", action="store_true", help="the peers' times")
    what.add_argument("--scaling", action="store_true", help="fastgru's threads")
    what.add_argument("--epochs", action="store_true", help="training a classifier")
    what.add_argument(
        "--forecasting", action="store_true", help="training a forecaster"
    )
    what.add_argument("--latency", action="store_true", help="p50 and p99 of a call")
    what.add_argument("--streaming", action="store_true", help="one step at a time")
    what.add_argument("--all", action="store_true", help="all six")
    cells = parser.add_argument_group("cells")
    cells.add_argument("--cells", "--shapes", nargs="+", metavar="B,T,I,H")
    cells.add_argument(
        "--random",
        type=int,
        metavar="N",
        help=f"so many random cells, {N_RANDOM} by default beside the grid",
    )
    cells.add_argument("--seed", type=int, help="of the random cells; default: a new")
    cells.add_argument("--reset-before", action="store_true", help="the paper's cell")
    cells.add_argument("--dtype", choices=sorted(TOLERANCE), default="float32")
    cells.add_argument(
        "--lengths",
        action="store_true",
        help="unequal lengths, from a quarter of T to T; beside as many steps unpadded",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--threads", type=int, default=count_cores())
    how.add_argument(
        "--quick", action="store_true", help="few cells, few rounds: a try"
    )
    how.add_argument("--rounds", type=int, help="default: as fit a time per cell")
    how.add_argument("--seconds", type=float, help="of each round, library and run")
    how.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    how.add_argument(
        "--also", nargs="*", type=Path, default=[], help="more files like *_layer.py"
    )
    how.add_argument(
        "--json",
        type=Path,
        help="write the times to this file; what it has of other sections stays",
    )
    options = parser.parse_args()
    if options.seed is None:
        options.seed = secrets.randbelow(2**32)
    if options.random is None:
        options.random = 0 if options.quick or options.cells else N_RANDOM
    given = {"rounds": options.rounds, "seconds": options.seconds}
    options.effort = replace(
        QUICK_EFFORT if options.quick else Effort(),
        **{name: value for name, value in given.items() if value is not None},
    )
    return options


def _start_report(file: Path | None) -> dict:
    """Return the report to fill: machine, versions, and what the file has already."""
    report = {"machine": describe_machine(), "versions": describe_versions()}
    if file is not None and file.exists():
        old = json.loads(file.read_text())
        if any(old.get(key) != value for key, value in report.items()):
            raise SystemExit(
                f"{file} is of another machine or other versions: name another file"
            )
        report = old
    return report


def _case(shape: str, options: argparse.Namespace) -> Case:
    return Case(
        *(int(size) for size in shape.split(",")),
        n_threads=options.threads,
        dtype=options.dtype,
        reset_after=not options.reset_before,
        ragged=options.lengths,
    )


def _libraries(options: argparse.Namespace) -> Iterator[Library]:
    for path in [*map(layer_file, (OURS, *options.peers)), *options.also]:
        yield Library(path, options.threads)


def _measure_comparison(options: argparse.Namespace) -> dict:
    def libraries() -> Iterator[Library]:
        yield from _libraries(options)
        if options.lengths:
            path = layer_file(OURS)
            yield Library(path, options.threads, UNPADDED, Case.unpadded)

    shapes = [(shape, "chosen") for shape in options.cells or ()]
    if not shapes:
        shapes = [(shape, "grid") for shape in (QUICK if options.quick else GRID)]
    shapes += [(s, "random") for s in draw_cells(options.random, options.seed)]
    cells = []
    peak_loop = Library(HERE / "peak.py", options.threads, "peak")
    with started(libraries()) as ready, started(iter([peak_loop])):
        names = [library.name for library in ready]
        backends = {lib.name: lib.backend for lib in ready if lib.backend}
        print(f"seed of the random cells {options.seed}")
        print("ms (GFLOP/s), median of rounds; a step counts as 3 forward passes")
        print(header(names))
        for shape, kind in shapes:
            case = _case(shape, options)
            cell = compare(ready, case, options.effort, peak=peak_loop)
            cells.append({"kind": kind, **cell})
            print(cell_lines(cells[-1], names), flush=True)
    print(summary_lines(cells))
    peak = statistics.median(cell["peak"]["median"] for cell in cells)
    print(f"multiply-add peak {peak:.0f} GFLOP/s, the median of the cells")
    return {
        "seed": options.seed,
        "peak": peak,
        "libraries": names,
        "backends": backends,
        "cells": cells,
    }


def _measure_scaling(options: argparse.Namespace) -> dict:
    shapes = options.cells or (QUICK if options.quick else GRID)
    cases = [_case(shape, options) for shape in shapes]
    return scaling.measure(cases, options.threads, options.effort)


def _measure_epochs(options: argparse.Namespace) -> dict:
    case = TrainingCase(options.threads, n_epochs=2 if options.quick else 5)
    return epochs.measure(case, options.rounds or (2 if options.quick else 5), "epochs")


def _measure_forecasting(options: argparse.Namespace) -> dict:
    n_series = 50 if options.quick else 1000
    case = ForecastingCase(options.threads, n_series)
    return epochs.measure(case, options.rounds or 3, "forecasting")


def _measure_latency(options: argparse.Namespace) -> dict:
    rounds = 2 if options.quick else 5
    cases = [_case(shape, options) for shape in options.cells or latency.SHAPES]
    with started(_libraries(options)) as ready:
        return latency.measure(ready, cases, options.rounds or rounds)


def _measure_streaming(options: argparse.Namespace) -> dict:
    return streaming.measure(options.rounds or (2 if options.quick else 9))


if __name__ == "__main__":
    main()
