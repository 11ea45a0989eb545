"""Fits that are killed at random moments go on to the bits of one that never was.

``python tests/endurance/kill.py --kills 50`` (``make kill``) starts a fit with a
checkpoint, kills it with SIGKILL, looks at what it left, and starts it again; a fit
that reaches its end is compared and begun anew.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MOST_SECONDS = 1.5  # of a fit until it is killed
N_EPOCHS = 200


def fit(path):
    """Run the fit (in a process of its own), telling its epochs and its end."""
    import hashlib
    import warnings

    import numpy as np

    import fastgru

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 30, 4)), np.arange(300) % 3
    classifier = fastgru.GRUClassifier(
        24,
        dropout=0.2,
        batch_size=20,
        max_iter=N_EPOCHS,
        n_iter_no_change=N_EPOCHS,
        learning_rate="adaptive",
        early_stopping=True,
        random_state=0,
        checkpoint=path,
        callbacks=lambda epoch: print(epoch.number, flush=True),
    )
    print("ready", flush=True)
    classifier.fit(X, y)
    digest = hashlib.sha256(classifier.predict_proba(X).tobytes())
    digest.update(repr(classifier.loss_curve_).encode())
    print(json.dumps(digest.hexdigest()), flush=True)


def start(path):
    """Start the fit and wait until it is about to begin."""
    child = subprocess.Popen(
        [sys.executable, __file__, "--fit", path],
        stdout=subprocess.PIPE,
        text=True,
    )
    line = child.stdout.readline()
    assert line == "ready\n", f"the fit did not start: {line!r}"
    return child


def end_of(child):
    """Read the rest of a fit: its last epoch, 0 without one, and its result if any."""
    lines = child.communicate()[0].splitlines()
    # The last line may have been cut off.
    epochs = [int(line) for line in lines if line.isdigit()]
    result = json.loads(lines[-1]) if child.returncode == 0 else None
    return max(epochs, default=0), result


def epochs_in(path):
    """Return how many epochs a checkpoint holds; a broken one raises."""
    from fastgru.exchange.container import read_container

    if not path.exists():
        return 0
    _, text = read_container(path, "fastgru-checkpoint-1", "a checkpoint")
    return json.loads(text)["n_epochs"]


def run(n_kills, seed):
    """Kill fits; return how often it happened in which epoch, or raise."""
    rng = random.Random(seed)
    killed_after = []
    with tempfile.TemporaryDirectory() as folder:
        whole = start(Path(folder, "whole"))
        _, expected = end_of(whole)
        path = Path(folder, "fit.checkpoint")
        before = 0
        while len(killed_after) < n_kills:
            child = start(path)
            time.sleep(rng.uniform(0.0, MOST_SECONDS))
            child.send_signal(signal.SIGKILL)
            told, result = end_of(child)
            kept = epochs_in(path)
            # Those it told of are kept; one more may be, of which it could not tell.
            assert max(told, before) <= kept <= max(told, before) + 1, (told, kept)
            before = kept
            if child.returncode == 0:
                assert result == expected, "the fit ended with other bits"
                assert {p.name for p in Path(folder).iterdir()} == {
                    "whole",
                    path.name,
                }, "something was left behind"
                path.unlink()
                before = 0
            else:
                assert child.returncode == -signal.SIGKILL, child.returncode
                killed_after.append(kept)
        child = start(path)
        _, result = end_of(child)
        assert result == expected, "the fit ended with other bits"
    return killed_after


def main():
    """Read the arguments; run the fit, or kill fits and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--fit", metavar="PATH", help="run the fit itself")
    options = parser.parse_args()
    if options.fit:
        fit(options.fit)
        return
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}")
    killed_after = run(options.kills, seed)
    print(
        f"{len(killed_after)} fits killed, after {killed_after} epochs; each went on "
        "to the bits of the one that was not"
    )


if __name__ == "__main__":
    main()
