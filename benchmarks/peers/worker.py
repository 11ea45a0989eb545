"""One library in a process of its own, told what to do on standard input."""

import importlib.util
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.peers.case import Case, Unsupported


def main() -> None:
    """Read commands as JSON, answer each with a line of JSON."""
    path = Path(sys.argv[1])
    try:
        specification = importlib.util.spec_from_file_location(path.stem, path)
        library = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(library)
    except ImportError as error:
        _answer({"missing": str(error)})
        return
    _answer({"ready": path.stem})
    timed = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "make":
            try:
                timed = library.make(Case(**command["case"]))
            except Unsupported as reason:
                _answer({"unsupported": str(reason)})
                continue
            results = timed.results()
            np.savez(command["file"], **results)
            runs = {"forward": timed.forward, "step": timed.step}
            runs = {what: run for what, run in runs.items() if run is not None}
            for run in runs.values():
                _measure(run, command["seconds"])  # warm up
            _answer({"runs": list(runs)})
        else:
            run = getattr(timed, command["do"])
            _answer({"seconds": _measure(run, command["seconds"])})


def _measure(run, budget: float) -> float:
    """Return the median time of a call, of as many as fit the budget (3 or more)."""
    times = []
    end = time.perf_counter() + budget
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def _answer(message: dict) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
