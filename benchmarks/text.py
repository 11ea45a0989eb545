"""A character model of a book, beside the same model and loop in PyTorch.

    python -m benchmarks.text timemachine.txt               # 500 epochs of each
    python -m benchmarks.text timemachine.txt --epochs 20   # for the speed alone
    python -m benchmarks.text timemachine.txt --threads 1   # of all of them

The book is lower-cased to letters and spaces, and its first 10,000 characters are
learned, as in chapter 9 of "Dive into deep learning": 256 units, 32 streams, windows of
35, plain gradient descent with learning rate 1, gradients clipped to norm 1.  The last
model is that of its chapter 10: windows with stride 1, 32 units, and 5,000 characters
more to validate with.  Each runs in a process of its own, one after the other.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

N_TRAIN, N_VALIDATION = 10_000, 5_000
HIDDEN_SIZE, BATCH_SIZE, NUM_STEPS = 256, 32, 35
PREFIX = "time traveller"


def read(file: Path) -> str:
    """Return a book's letters, in lower case, and spaces."""
    return re.sub("[^A-Za-z]+", " ", file.read_text("utf-8")).lower()


def run_fastgru(text: str, n_epochs: int, *, reset_after: bool) -> dict:
    """Train for one epoch, which compiles, and then from the start for all."""
    from fastgru import GRULanguageModel

    model = GRULanguageModel(
        hidden_size=HIDDEN_SIZE,
        batch_size=BATCH_SIZE,
        num_steps=NUM_STEPS,
        reset_after=reset_after,
        solver="sgd",
        momentum=0.0,
        learning_rate_init=1.0,
        max_iter=1,
        n_iter_no_change=math.inf,
        random_state=0,
    )
    text = text[:N_TRAIN]
    model.fit(text)
    begin = time.perf_counter()
    model.set_params(max_iter=n_epochs).fit(text)
    seconds = time.perf_counter() - begin
    return {
        "tokens/s": n_epochs * (len(text) - 1) / seconds,
        "training perplexity": math.exp(model.loss_),
        "perplexity of the text": model.perplexity(text),
        "continuation": model.generate(PREFIX, 60),
    }


def run_torch(text: str, n_epochs: int) -> dict:
    """Train in PyTorch: the textbook's minibatches, states carried and detached."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    letters = ["<unk>", *sorted(set(text[:N_TRAIN]))]
    tokens = torch.tensor([letters.index(letter) for letter in text[:N_TRAIN]])
    gru = nn.GRU(len(letters), HIDDEN_SIZE)
    output = nn.Linear(HIDDEN_SIZE, len(letters))
    parameters = [*gru.parameters(), *output.parameters()]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    loss_of = nn.CrossEntropyLoss()

    def run_epoch() -> tuple[float, int]:
        offset = int(rng.integers(0, NUM_STEPS))
        length = (len(tokens) - offset - 1) // BATCH_SIZE
        n = length * BATCH_SIZE
        X = tokens[offset : offset + n].reshape(BATCH_SIZE, length)
        Y = tokens[offset + 1 : offset + 1 + n].reshape(BATCH_SIZE, length)
        total, count, state = 0.0, 0, None
        for begin in range(0, length - NUM_STEPS + 1, NUM_STEPS):
            window = slice(begin, begin + NUM_STEPS)
            x = nn.functional.one_hot(X[:, window].T, len(letters)).float()
            y = Y[:, window].T.reshape(-1)
            hidden, state = gru(x, state)
            state = state.detach()
            loss = loss_of(output(hidden).reshape(-1, len(letters)), y)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            total += loss.item() * y.numel()
            count += y.numel()
        return total / count, count

    run_epoch()
    begin, n_tokens, loss = time.perf_counter(), 0, math.inf
    for _ in range(n_epochs):
        loss, count = run_epoch()
        n_tokens += count
    seconds = time.perf_counter() - begin
    return {"tokens/s": n_tokens / seconds, "training perplexity": math.exp(loss)}


def run_stride_1(text: str, n_epochs: int) -> dict:
    """Train on all windows of 32 characters, and validate."""
    from fastgru import GRULanguageModel

    model = GRULanguageModel(
        hidden_size=32,
        batch_size=1024,
        num_steps=32,
        sampling="random",
        stride=1,
        solver="sgd",
        momentum=0.0,
        learning_rate_init=4.0,
        max_iter=n_epochs,
        n_iter_no_change=math.inf,
        random_state=0,
    )
    begin = time.perf_counter()
    held_out = text[N_TRAIN : N_TRAIN + N_VALIDATION]
    model.fit(text[:N_TRAIN], X_val=held_out)
    seconds = time.perf_counter() - begin
    return {
        "tokens/s": n_epochs * (N_TRAIN - 32) * 32 / seconds,
        "training perplexity": math.exp(model.loss_),
        "validation perplexity": model.perplexity(held_out),
    }


RUNS = {
    "fastgru": lambda text, n: run_fastgru(text, n, reset_after=True),
    "fastgru, reset before": lambda text, n: run_fastgru(text, n, reset_after=False),
    "PyTorch": run_torch,
    "fastgru, stride 1": lambda text, n: run_stride_1(text, min(n, 50)),
}


def set_threads(name: str, n_threads: int) -> None:
    """Let a library use so many threads."""
    if name == "PyTorch":
        import torch

        torch.set_num_threads(n_threads)
    else:
        import fastgru

        fastgru.set_num_threads(n_threads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="the book, plain text")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--threads", type=int, help="threads of each; default all")
    parser.add_argument("--only", choices=RUNS, help="one model, in this process")
    arguments = parser.parse_args()
    if arguments.only:
        warnings.simplefilter("ignore")
        if arguments.threads is not None:
            set_threads(arguments.only, arguments.threads)
        found = RUNS[arguments.only](read(arguments.file), arguments.epochs)
        print(json.dumps(found))
        return
    for name in RUNS:
        command = [sys.executable, "-m", "benchmarks.text", str(arguments.file)]
        command += ["--epochs", str(arguments.epochs), "--only", name]
        if arguments.threads is not None:
            command += ["--threads", str(arguments.threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(name)
        for key, value in json.loads(done.stdout).items():
            shown = f"{value:,.4g}" if isinstance(value, float) else repr(value)
            print(f"  {key:24}{shown}")


if __name__ == "__main__":
    main()
