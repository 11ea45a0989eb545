"""One library in a process of its own, told what to do on standard input."""

import gc
import importlib.util
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.peers.case import Case, Unsupported
from benchmarks.peers.cores import stay_on

# How long calls go on before they are timed, as part of the time: data come back into
# the caches, and cores of a virtual machine that slept may share one of the host's for
# a tenth of a second and more.
UNTIMED = 1.0
# Idle threads count as asleep when the process takes less of a core than this.
ASLEEP = 0.05


class Worker:
    """Answers commands about one library."""

    def __init__(self, library) -> None:
        self.library = library
        self.timed = None

    def make(self, case: dict, file: str, seconds: float) -> dict:
        """Make what is timed, save its results, warm up; answer with times of calls."""
        self.timed = None  # frees the last one's memory first
        gc.collect()
        try:
            timed = self.library.make(getattr(self.library, "CASE", Case)(**case))
            np.savez(file, **timed.results())
            calls = {
                what: statistics.median(_time_calls(run, seconds, least=1))
                for what, run in timed.runs.items()
            }
        except Unsupported as reason:
            return {"left_out": str(reason)}
        except Exception as error:  # a peer's; the other ones go on
            return {"left_out": f"{type(error).__name__}: {error}", "failed": True}
        self.timed = timed
        return {"runs": calls}

    def time(self, what: str, seconds: float, least: int) -> dict:
        """Answer with the median time of a call."""
        times = self._time(what, seconds, least)
        return {"seconds": statistics.median(times)}

    def calls(self, what: str, seconds: float, most: int) -> dict:
        """Answer with the times of all calls."""
        return {"seconds": self._time(what, seconds, 1, most)}

    def _time(self, what: str, seconds: float, *how: float) -> list[float]:
        run = self.timed.runs[what]
        if seconds > 0.0:
            _time_calls(run, UNTIMED * seconds, least=1)
        times = _time_calls(run, seconds, *how)
        _fall_asleep()
        return times


def _time_calls(run, seconds: float, least: int, most: float = float("inf")) -> list:
    """Return the times of as many calls as fit, but some at least and some at most."""
    times = []
    gc.collect()
    gc.disable()  # as timeit does
    try:
        end = time.perf_counter() + seconds
        while (time.perf_counter() < end or len(times) < least) and len(times) < most:
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
    finally:
        gc.enable()
    return times


def _fall_asleep() -> None:
    """Wait until idle threads no longer spin, so that the next library is alone."""
    pause = 0.005
    for _ in range(60):
        before = time.process_time()
        time.sleep(pause)
        if time.process_time() - before < ASLEEP * pause:
            return


def main() -> None:
    """Read commands as JSON, answer each with a line of JSON."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(message: dict) -> None:
        print(json.dumps(message), file=answers, flush=True)

    path, n_threads = Path(sys.argv[1]), int(sys.argv[2])
    stay_on(n_threads)  # not every library can be told how many threads to use
    try:
        specification = importlib.util.spec_from_file_location(path.stem, path)
        library = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(library)
    except ImportError as error:
        answer({"missing": str(error)})
        return
    answer({"backend": getattr(library, "BACKEND", None)})
    worker = Worker(library)
    for line in sys.stdin:
        command = json.loads(line)
        answer(getattr(worker, command.pop("do"))(**command))


if __name__ == "__main__":
    main()
