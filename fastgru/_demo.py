"""``fastgru demo``: learn to recognise spoken digits, from the recordings to a file.

It uses only what a user would use, in the order in which a user would.
"""

import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import fastgru
from fastgru.datasets import load_spoken_digits

HIDDEN_SIZE = 64
BATCH_SIZE = 32
LEARNING_RATE = 5e-3
TEST_FRACTION = 0.2

Recordings = list[np.ndarray]


class Split(NamedTuple):
    """Recordings and the digits spoken, to learn from and to be tested on."""

    X_train: Recordings
    X_test: Recordings
    y_train: np.ndarray
    y_test: np.ndarray


def run_demo(output: Path, *, epochs: int, seed: int) -> int:
    """Train, test, draw, save, and let a second process load and predict.

    Parameters
    ----------
    output : Path
        Folder for the pictures and the model; made if it does not exist.
    epochs : int
        Passes over the training recordings, at least 1.
    seed : int
        Seed of the split, the initial weights and the order of training.

    Returns
    -------
    status : int
        0, or 1 if the second process did not predict the same.
    """
    start = time.perf_counter()
    output.mkdir(parents=True, exist_ok=True)
    digits = split_recordings(seed)
    print(
        f"{len(digits.X_train)} recordings of spoken digits to learn from, "
        f"{len(digits.X_test)} to be tested on"
    )

    classifier = train(digits, epochs=epochs, seed=seed)
    accuracy = classifier.score(digits.X_test, digits.y_test)
    linear_accuracy = score_linear_classifier(digits)
    print(f"test accuracy {accuracy:.3f}")
    print(
        f"a linear classifier on each recording's mean and deviation: "
        f"{linear_accuracy:.3f}"
    )

    draw(classifier, digits, output)
    model_file = output / "digits.safetensors"
    fastgru.save(classifier, model_file)
    print(f"model saved: {model_file}")
    same = predicts_same_in_new_process(classifier, model_file, digits.X_test)
    print(
        "a second process loaded it; its probabilities for the test recordings are "
        + ("the same, bit for bit" if same else "DIFFERENT")
    )
    print(f"{time.perf_counter() - start:.0f} s in all")
    return 0 if same else 1


def split_recordings(seed: int) -> Split:
    """Return the recordings, split by digit and scaled by the training frames."""
    X, y = load_spoken_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=TEST_FRACTION, stratify=y, random_state=seed
    )
    scaler = fastgru.SequenceScaler().fit(X_train)
    return Split(scaler.transform(X_train), scaler.transform(X_test), y_train, y_test)


def train(digits: Split, *, epochs: int, seed: int) -> fastgru.GRUClassifier:
    """Return a classifier trained for all of the epochs, and print their cost."""
    classifier = fastgru.GRUClassifier(
        hidden_size=HIDDEN_SIZE,
        batch_size=BATCH_SIZE,
        learning_rate_init=LEARNING_RATE,
        max_iter=epochs,
        n_iter_no_change=epochs,
        random_state=seed,
    )
    with warnings.catch_warnings():
        # The number of epochs is what was asked for, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)

        # One epoch to compile the kernels, so that it is not counted as learning.
        print("kernels compiled, or loaded from the cache, in ", end="", flush=True)
        start = time.perf_counter()
        classifier.set_params(max_iter=1).fit(digits.X_train, digits.y_train)
        print(f"{time.perf_counter() - start:.1f} s")

        start = time.perf_counter()
        classifier.set_params(max_iter=epochs, verbose=1)
        classifier.fit(digits.X_train, digits.y_train)
        learning = time.perf_counter() - start
    print(
        f"{classifier.n_iter_} epochs in {learning:.1f} s, "
        f"{1e3 * learning / classifier.n_iter_:.0f} ms each, "
        f"with up to {fastgru.get_num_threads()} threads"
    )
    return classifier


def score_linear_classifier(digits: Split) -> float:
    """Return the test accuracy of what is possible without looking at the order."""

    def summarise(recordings: Recordings) -> np.ndarray:
        return np.array([np.r_[x.mean(axis=0), x.std(axis=0)] for x in recordings])

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(summarise(digits.X_train), digits.y_train)
    return float(model.score(summarise(digits.X_test), digits.y_test))


def draw(classifier: fastgru.GRUClassifier, digits: Split, output: Path) -> None:
    """Write the loss curve and the confusion of the test recordings as PNG."""
    if find_spec("matplotlib") is None:
        print("no pictures: they need matplotlib (pip install 'fastgru[plot]')")
        return
    from matplotlib.figure import Figure

    from fastgru.plotting import LossCurveDisplay, plot_confusion

    # Figures of their own, unknown to pyplot: no window, nothing to close.
    loss = Figure(layout="constrained")
    LossCurveDisplay.from_estimator(classifier, ax=loss.subplots())
    confusion = Figure(layout="constrained")
    predicted = classifier.predict(digits.X_test)
    plot_confusion(digits.y_test, predicted, ax=confusion.subplots())
    for name, figure in (("loss_curve", loss), ("confusion", confusion)):
        file = output / f"{name}.png"
        figure.savefig(file, dpi=150)
        print(f"picture saved: {file}")


def predicts_same_in_new_process(
    classifier: fastgru.GRUClassifier, model_file: Path, recordings: Recordings
) -> bool:
    """Return whether a new process gets the same bits from the saved model."""
    here = classifier.predict_proba(recordings)
    with tempfile.TemporaryDirectory() as folder:
        recordings_file = Path(folder) / "recordings.npz"
        answer_file = Path(folder) / "answer.npy"
        np.savez(
            recordings_file,
            frames=np.concatenate(recordings),
            lengths=[len(recording) for recording in recordings],
        )
        code = "import sys; from fastgru._demo import predict_saved as predict; "
        code += "predict(*sys.argv[1:])"
        files = [str(model_file), str(recordings_file), str(answer_file)]
        subprocess.run([sys.executable, "-c", code, *files], check=True)
        there = np.load(answer_file)
    return here.dtype == there.dtype and here.tobytes() == there.tobytes()


def predict_saved(model_file: str, recordings_file: str, answer_file: str) -> None:
    """Load a model and recordings and write the probabilities: the second process."""
    with np.load(recordings_file) as arrays:
        recordings = np.split(arrays["frames"], np.cumsum(arrays["lengths"])[:-1])
    np.save(answer_file, fastgru.load(model_file).predict_proba(recordings))
