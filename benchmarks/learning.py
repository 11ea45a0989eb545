"""Whether fastgru learns as well as the same model in PyTorch.

    python -m benchmarks.learning            # accuracies on four data sets
    python -m benchmarks.learning --adding   # the adding problem, T = 600

Both get the same sizes, the same optimiser and as many epochs; the seeds of the two
have nothing to do with each other, so what is compared are means over seeds.  Two of
the data sets are read from the wheel of aeon, which pip downloads.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from torch import nn

from fastgru import GRUClassifier, GRURegressor, SequenceScaler
from fastgru.datasets import load_spoken_digits

AEON = "aeon==1.6.0"


@dataclass(frozen=True)
class Problem:
    """Sequences to learn from and to test with, and the settings of the model."""

    name: str
    train: tuple[list[np.ndarray], np.ndarray]
    test: tuple[list[np.ndarray], np.ndarray]
    n_epochs: int
    batch_size: int
    hidden_size: int = 64
    learning_rate: float = 5e-3
    max_norm: float = 1.0


def problems(wheel: Path) -> Iterator[Problem]:
    """Yield the four classification problems."""
    X, y = load_spoken_digits(return_X_y=True)
    yield split("spoken digits", X, y, n_epochs=25, batch_size=64)
    digits = load_digits()
    rows = list(digits.images / 16.0)
    yield split("digits by row", rows, digits.target, n_epochs=40, batch_size=64)
    for name, n_epochs in (("JapaneseVowels", 60), ("BasicMotions", 100)):
        parts = [read_ts(wheel, name, part) for part in ("TRAIN", "TEST")]
        yield scaled(name, *parts, n_epochs=n_epochs, batch_size=16)


def split(name: str, X: list[np.ndarray], y: np.ndarray, **settings: int) -> Problem:
    """Hold a fifth out."""
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.2, stratify=y, random_state=0
    )
    return scaled(name, (X_train, y_train), (X_test, y_test), **settings)


def scaled(name: str, train: tuple, test: tuple, **settings: int) -> Problem:
    """Standardise the features and number the classes."""
    scaler = SequenceScaler().fit(train[0])
    classes = np.unique(train[1])
    (X, y), (X_test, y_test) = (
        (
            [x.astype(np.float32) for x in scaler.transform(X)],
            np.searchsorted(classes, y),
        )
        for X, y in (train, test)
    )
    return Problem(name, (X, y), (X_test, y_test), **settings)


def read_ts(wheel: Path, name: str, part: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Read a file of aeon's: dimensions apart by colons, the label last."""
    with zipfile.ZipFile(wheel) as files:
        text = files.read(f"aeon/datasets/data/{name}/{name}_{part}.ts").decode()
    lines = text[text.lower().index("@data") :].splitlines()[1:]
    X, y = [], []
    for line in filter(None, lines):
        *dimensions, label = line.split(":")
        X.append(np.array([[float(v) for v in d.split(",")] for d in dimensions]).T)
        y.append(label)
    return X, np.array(y)


def download(folder: str) -> Path:
    """Download the wheel of aeon."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", folder, AEON], check=True)
    return next(Path(folder).glob("*.whl"))


def fit_fastgru(problem: Problem, seed: int) -> float:
    """Return the test accuracy of our classifier."""
    model = GRUClassifier(
        problem.hidden_size,
        alpha=0.0,
        batch_size=problem.batch_size,
        learning_rate_init=problem.learning_rate,
        learning_rate="cosine",
        max_iter=problem.n_epochs,
        n_iter_no_change=np.inf,
        clip_norm=problem.max_norm,
        random_state=seed,
    )
    return model.fit(*problem.train).score(*problem.test)


class Twin(nn.Module):
    """The same network in PyTorch: a GRU, and a dense layer on its final state."""

    def __init__(self, n_features: int, hidden_size: int, n_outputs: int) -> None:
        super().__init__()
        self.gru = nn.GRU(n_features, hidden_size)
        self.head = nn.Linear(hidden_size, n_outputs)

    def forward(self, X: list[torch.Tensor]) -> torch.Tensor:
        """Return the outputs of some sequences."""
        if len({len(x) for x in X}) == 1:
            return self.head(self.gru(torch.stack(X, 1))[1][0])
        packed = nn.utils.rnn.pack_sequence(X, enforce_sorted=False)
        return self.head(self.gru(packed)[1][0])


def fit_torch(problem: Problem, seed: int) -> float:
    """Return the test accuracy of the twin."""
    torch.manual_seed(seed)
    (X, y), (X_test, y_test) = problem.train, problem.test
    tensors = [torch.from_numpy(x) for x in X]
    targets = torch.from_numpy(y)
    model = Twin(X[0].shape[1], problem.hidden_size, int(y.max()) + 1)
    train(
        model,
        lambda batch: nn.functional.cross_entropy(
            model([tensors[i] for i in batch]), targets[batch]
        ),
        len(X),
        problem.n_epochs,
        problem.batch_size,
        problem.learning_rate,
        problem.max_norm,
    )
    with torch.inference_mode():
        outputs = model([torch.from_numpy(x) for x in X_test])
    return float(np.mean(outputs.argmax(dim=1).numpy() == y_test))


def train(
    model: nn.Module,
    loss_of: Callable[[torch.Tensor], torch.Tensor],
    n_samples: int,
    n_epochs: int,
    batch_size: int,
    learning_rate: float,
    max_norm: float,
    stops: Callable[[int], bool] = lambda epoch: False,
) -> None:
    """Train by Adam with a cosine schedule, as our estimators do."""
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    for epoch in range(n_epochs):
        rate = learning_rate * 0.5 * (1 + np.cos(np.pi * epoch / n_epochs))
        optimizer.param_groups[0]["lr"] = rate
        for batch in torch.randperm(n_samples).split(batch_size):
            optimizer.zero_grad()
            loss_of(batch).backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
        if stops(epoch):
            return


def compare(problem: Problem, n_seeds: int) -> bool:
    """Print both accuracies; return whether ours is not clearly lower."""
    begin = time.perf_counter()
    ours = np.array([fit_fastgru(problem, seed) for seed in range(n_seeds)])
    middle = time.perf_counter()
    theirs = np.array([fit_torch(problem, seed) for seed in range(n_seeds)])
    end = time.perf_counter()
    errors = [a.std(ddof=1) / np.sqrt(n_seeds) for a in (ours, theirs)]
    error = float(np.hypot(*errors))
    passes = bool(ours.mean() >= theirs.mean() - error)
    print(
        f"{problem.name:15} fastgru {ours.mean():.4f} ({errors[0]:.4f}) in "
        f"{middle - begin:.0f} s, PyTorch {theirs.mean():.4f} ({errors[1]:.4f}) in "
        f"{end - middle:.0f} s: {'as good' if passes else 'worse'}",
        flush=True,
    )
    return passes


# -- the adding problem --


def draw_adding(n: int, n_steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw numbers of which two are marked, one in each half; the target is their sum.

    Hochreiter and Schmidhuber (1997), "Long short-term memory", section 5.4.
    """
    rng = np.random.default_rng(seed)
    X = np.zeros((n, n_steps, 2), np.float32)
    X[:, :, 0] = rng.uniform(0, 1, (n, n_steps))
    rows, half = np.arange(n), n_steps // 2
    first, second = rng.integers(0, half, n), rng.integers(half, n_steps, n)
    X[rows, first, 1] = X[rows, second, 1] = 1.0
    return X, X[rows, first, 0] + X[rows, second, 0]


ADDING = {"n_train": 10_000, "hidden_size": 64, "batch_size": 50, "learning_rate": 2e-3}


def compare_adding(n_steps: int, n_epochs: int, goal: float, peers: bool) -> None:
    """Print after how many epochs the test error of each is below the goal."""
    X, y = draw_adding(ADDING["n_train"], n_steps, 0)
    X_test, y_test = draw_adding(1000, n_steps, 1)
    begin = time.perf_counter()

    def report(name: str, epoch: int, error: float) -> bool:
        seconds = time.perf_counter() - begin
        print(f"{name} epoch {epoch}: {error:.2e} after {seconds:.0f} s", flush=True)
        return error < goal

    model = GRURegressor(
        ADDING["hidden_size"],
        alpha=0.0,
        batch_size=ADDING["batch_size"],
        learning_rate_init=ADDING["learning_rate"],
        learning_rate="cosine",
        max_iter=n_epochs,
        n_iter_no_change=np.inf,
        random_state=0,
        callbacks=lambda epoch: report(
            "fastgru",
            epoch.number,
            float(np.mean((_outputs(epoch.network, X_test) - y_test) ** 2)),
        ),
    )
    model.fit(X, y)
    if not peers:
        return
    begin = time.perf_counter()
    torch.manual_seed(0)
    twin = Twin(2, ADDING["hidden_size"], 1)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)
    tests = list(torch.from_numpy(X_test))

    def stops(epoch: int) -> bool:
        with torch.inference_mode():
            error = np.mean((twin(tests)[:, 0].numpy() - y_test) ** 2)
        return report("PyTorch", epoch + 1, float(error))

    train(
        twin,
        lambda batch: (
            0.5
            * nn.functional.mse_loss(twin(list(inputs[batch]))[:, 0], targets[batch])
        ),
        len(X),
        n_epochs,
        ADDING["batch_size"],
        ADDING["learning_rate"],
        1.0,
        stops,
    )


def _outputs(network: object, X: np.ndarray) -> np.ndarray:
    return network.outputs(X.reshape(-1, 2), np.full(len(X), X.shape[1]), 2)[:, 0]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", help="the problem of this name")
    parser.add_argument("--adding", action="store_true", help="the adding problem")
    parser.add_argument("--steps", type=int, default=600, help="of the adding problem")
    parser.add_argument("--epochs", type=int, default=40, help="of the adding problem")
    parser.add_argument("--alone", action="store_true", help="without PyTorch")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(2)
    if arguments.adding:
        compare_adding(arguments.steps, arguments.epochs, 1e-3, not arguments.alone)
        return
    with tempfile.TemporaryDirectory() as folder:
        results = [
            compare(problem, arguments.seeds)
            for problem in problems(download(folder))
            if arguments.only in (None, problem.name)
        ]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
