"""``fastgru text``: learn from a text file, and write on."""

import math
import re
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sklearn.exceptions import ConvergenceWarning
from tqdm.auto import tqdm

import fastgru
from fastgru.training import Epoch


def run_train(
    file: Path,
    out: Path,
    *,
    epochs: int,
    seed: int,
    letters_only: bool,
    **settings: Any,
) -> int:
    """Learn from a text file; write the model and, with matplotlib, the loss curve.

    Parameters
    ----------
    file : Path
        Text in UTF-8.
    out : Path
        File of the model; the picture is beside it.
    epochs, seed : int
    letters_only : bool
        Whether to read letters in lower case and spaces only.
    **settings
        Other parameters of ``GRULanguageModel``.

    Returns
    -------
    status : int
        0, or 1 if the file cannot be read or learned from.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"cannot read {file}: {error}")
        return 1
    if letters_only:
        text = re.sub("[^A-Za-z]+", " ", text).lower()
    n_tokens = len(text.split() if settings["level"] == "word" else text)
    with _Bar(epochs, n_tokens) as bar, warnings.catch_warnings():
        # The number of epochs is what was asked for, converged or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = fastgru.GRULanguageModel(
            max_iter=epochs,
            n_iter_no_change=epochs,
            random_state=seed,
            callbacks=bar.show,
            **settings,
        )
        try:
            model.fit(text)
        except ValueError as error:
            print(f"cannot learn from {file}: {error}")
            return 1
    fastgru.save(model, out)
    print(
        f"{len(model.vocabulary_)} tokens, {model.n_iter_} epochs, training perplexity "
        f"{math.exp(model.loss_):.3f}"
    )
    print(f"model saved: {out}")
    if find_spec("matplotlib") is None:
        print("no picture: it needs matplotlib (pip install 'fastgru[plot]')")
    else:
        print(f"picture saved: {_draw(model, out.with_suffix('.png'))}")
    return 0


def run_generate(
    model_file: Path,
    prefix: str,
    *,
    length: int,
    temperature: float,
    top_k: int | None,
    seed: int,
) -> int:
    """Print how a model goes on with a prefix.

    Returns
    -------
    status : int
        0, or 1 if there is no language model in the file or the prefix is empty.
    """
    try:
        model = fastgru.load(model_file)
        if not isinstance(model, fastgru.GRULanguageModel):
            raise ValueError(f"it holds a {type(model).__name__}, no language model")
        print(model.generate(prefix, length, temperature, top_k, seed))
    except (OSError, ValueError) as error:
        print(f"cannot go on with {model_file}: {error}")
        return 1
    return 0


class _Bar:
    """A progress bar of epochs with perplexity and speed."""

    def __init__(self, epochs: int, n_tokens: int) -> None:
        self._bar = tqdm(total=epochs, unit="epoch")
        self._n_tokens = n_tokens
        self._end = time.perf_counter()  # of the epoch before

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, epoch: Epoch) -> None:
        """Take note of a finished epoch."""
        begin, self._end = self._end, time.perf_counter()
        shown = {
            "perplexity": f"{math.exp(min(epoch.loss, 700.0)):.3f}",
            "tokens/s": f"{self._n_tokens / (self._end - begin):,.0f}",
        }
        self._bar.set_postfix(shown, refresh=False)
        self._bar.update()


def _draw(model: fastgru.GRULanguageModel, file: Path) -> Path:
    """Write the loss curve as PNG."""
    from matplotlib.figure import Figure

    from fastgru.plotting import LossCurveDisplay

    # A figure of its own, unknown to pyplot: no window, nothing to close.
    figure = Figure(layout="constrained")
    ax = figure.subplots()
    LossCurveDisplay.from_estimator(model, ax=ax)
    ax.set_ylabel("Loss (nats per token)")
    figure.savefig(file, dpi=150)
    return file
