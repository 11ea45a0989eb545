"""Libraries beside each other: results compared first, then timed in turns."""

import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.peers.case import Case
from benchmarks.peers.library import OURS, Library

# Largest error over largest magnitude, of float32 results of sums in different orders.
TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
# fastgru on equally long sequences with as many valid steps.
UNPADDED = "unpadded"
WHAT = ("forward", "step")


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    With ``rounds`` None there are as many as fit ``cell_seconds``, in bounds.
    """

    seconds: float = 0.15  # of each round, library and run
    calls: int = 3  # at least, likewise
    rounds: int | None = None
    cell_seconds: float = 9.0
    least_rounds: int = 5
    most_rounds: int = 9

    def count_rounds(self, call_seconds: list[float]) -> int:
        """Return the number of rounds, given what one call of each run takes."""
        if self.rounds is not None:
            return self.rounds
        one_round = sum(max(self.seconds, self.calls * call) for call in call_seconds)
        fitting = int(self.cell_seconds / one_round)
        return min(max(fitting, self.least_rounds), self.most_rounds)


def compare(
    libraries: list[Library],
    case: Case,
    effort: Effort,
    *,
    tolerance: float | None = None,
    peak: Library | None = None,
) -> dict:
    """Compare libraries on one case.

    Returns
    -------
    dict
        The case's sizes and

        - "ms": of each library that has the case, "forward" and, if it trains, "step":
          the rounds' medians in ms, and the median and quartiles of those;
        - "peak": the median and quartiles of the multiply-add peak in the same rounds,
          in GFLOP/s, if that loop is given;
        - "left_out": why others are;
        - "disagree": what results differ, of libraries that are therefore left out.
    """
    tolerance = TOLERANCE[case.dtype] if tolerance is None else tolerance
    with tempfile.TemporaryDirectory() as folder:
        calls, left_out, disagree = _make(
            libraries, case, Path(folder), effort.seconds / 3, tolerance
        )
        gflop = 0.0
        if peak is not None:
            file = Path(folder) / "peak.npz"
            peak.ask(do="make", case=asdict(case), file=str(file), seconds=0.0)
            gflop = float(np.load(file)["gflop"])
    turns = [
        (library, what)
        for what in WHAT
        for library in libraries
        if what in calls.get(library.name, ())
    ]
    n_rounds = effort.count_rounds([calls[l.name][what] for l, what in turns])
    times: dict[str, dict[str, list[float]]] = {}
    peaks = []
    for _ in range(n_rounds):
        if peak is not None:
            answer = peak.ask(
                do="time", what="peak", seconds=effort.seconds, least=effort.calls
            )
            peaks.append(gflop / answer["seconds"])
        for library, what in turns:
            answer = library.ask(
                do="time", what=what, seconds=effort.seconds, least=effort.calls
            )
            runs = times.setdefault(library.name, {})
            runs.setdefault(what, []).append(1e3 * answer["seconds"])
    return {
        **asdict(case),
        "gflop": case.gflop,
        "ms": {
            name: {what: summary(values) for what, values in runs.items()}
            for name, runs in times.items()
        },
        "peak": summary(peaks) if peaks else None,
        "left_out": left_out,
        "disagree": disagree,
    }


def _make(
    libraries: list[Library],
    case: Case,
    folder: Path,
    seconds: float,
    tolerance: float,
) -> tuple[dict, dict, list]:
    """Make the case in all libraries at once and compare what comes out."""
    for library in libraries:
        library.send(
            do="make",
            case=asdict(library.adapt(case)),
            file=str(folder / f"{library.name}.npz"),
            seconds=seconds,
        )
    answers = {library.name: library.receive() for library in libraries}
    ours = answers[libraries[0].name]
    if "left_out" in ours:
        raise SystemExit(f"{libraries[0].name}: {ours['left_out']}")
    left_out = {n: a["left_out"] for n, a in answers.items() if "left_out" in a}
    for name, answer in answers.items():
        if answer.get("failed"):
            print(f"{name} failed and is left out: {answer['left_out']}")
    calls = {n: a["runs"] for n, a in answers.items() if "runs" in a}

    expected = dict(np.load(folder / f"{libraries[0].name}.npz"))
    disagree = []
    for library in libraries:
        same = replace(library.adapt(case), n_threads=case.n_threads) == case
        if library.name in calls and same:
            results = np.load(folder / f"{library.name}.npz")
            different = _differences(results, expected, tolerance)
            if different:
                print(f"{OURS} and {library.name} disagree: {', '.join(different)}")
                disagree.append({"library": library.name, "results": different})
                left_out[library.name] = "other results"
                del calls[library.name]
    return calls, left_out, disagree


def _differences(results, expected: dict, tolerance: float) -> list[str]:
    """Return names and relative errors of results that are not as expected."""
    different = []
    for name, result in results.items():
        scale = np.abs(expected[name]).max()  # 0 of recurrent weights and one step
        error = np.abs(result - expected[name]).max() / (scale or 1.0)
        if not error <= tolerance:
            different.append(f"{name} {error:.1e}")
    return different


def summary(values: list[float]) -> dict:
    """Return values with their median and quartiles."""
    lower, median, upper = np.percentile(values, [25, 50, 75])
    return {
        "median": float(median),
        "lower_quartile": float(lower),
        "upper_quartile": float(upper),
        "rounds": values,
    }
