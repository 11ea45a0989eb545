"""Training an estimator, beside a plain loop in PyTorch: epochs per second."""

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.peers.comparison import summary
from benchmarks.peers.forecasting_case import ForecastingCase
from benchmarks.peers.library import HERE, OURS, Library, started
from benchmarks.peers.training_case import TrainingCase

# Both draw weights and order from the same distributions, but not the same ones, so
# their losses are only alike: to this part of the first epoch's.
ALIKE = 0.1


def measure(case: TrainingCase | ForecastingCase, rounds: int, kind: str) -> dict:
    """Measure and print.

    kind : how the files of what is trained end, such as "epochs"
    """

    def libraries() -> Iterator[Library]:
        for name in (OURS, "torch"):
            yield Library(HERE / f"{name}_{kind}.py", case.n_threads)

    with started(libraries()) as ready:
        losses = {library.name: _make(library, case) for library in ready}
        for values in losses.values():
            if not np.allclose(values, losses[OURS], 0.0, ALIKE * losses[OURS][0]):
                raise SystemExit(f"they learn differently: {losses}")
        rates: dict[str, list[float]] = {library.name: [] for library in ready}
        for _ in range(rounds):
            for library in ready:
                answer = library.ask(do="time", what="fit", seconds=0.0, least=1)
                rates[library.name].append(case.n_epochs / answer["seconds"])
    print(f"\ntraining {case}, hidden {case.hidden_size}, batch {case.batch_size}")
    per_second = {name: summary(values) for name, values in rates.items()}
    for name, values in per_second.items():
        ratio = per_second[OURS]["median"] / values["median"]
        print(
            f"{name:>18} {values['median']:8.3f} epochs per second, "
            f"{OURS} is {ratio:.2f} times as fast; "
            f"loss {losses[name][0]:.3f} to {losses[name][-1]:.3f}"
        )
    return {**asdict(case), "epochs_per_second": per_second, "losses": losses}


def _make(library: Library, case: TrainingCase | ForecastingCase) -> list[float]:
    """Train once, and return the losses of the epochs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "losses.npz"
        answer = library.ask(do="make", case=asdict(case), file=str(file), seconds=0.0)
        if "left_out" in answer:
            raise SystemExit(f"{library.name}: {answer['left_out']}")
        return np.load(file)["losses"].tolist()
