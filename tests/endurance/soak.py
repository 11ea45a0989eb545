"""Everything at once for a long time: no wrong bit, no crash, no growing memory.

``python tests/endurance/soak.py --seconds 600`` (``make soak``) lets 8 threads and 4
forked children, replaced as they end, fit, predict, stream and call layers, all drawn
at random, and compares each result with that of one quiet thread at the start.
"""

import argparse
import faulthandler
import hashlib
import json
import os
import random
import select
import signal
import statistics
import sys
import threading
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fastgru

N_THREADS, N_CHILDREN = 8, 4
N_SEEDS = 6  # of the inputs of each task
CHILD_SECONDS = (0.05, 1.0)
PATIENCE = 30.0  # seconds after its time before a child counts as hanging
MOST_GROWTH = 30.0  # MB of a process between its first and last third


def digest(*arrays):
    """Hash the bits of some arrays."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def draw(seed, *shape):
    """Draw numbers for a seed."""
    return np.random.default_rng(seed).standard_normal(shape)


def layer(seed):
    """Call layers large enough for threads and for a team of them."""
    gru = fastgru.GRU(16, 96, bidirectional=seed % 2 == 1, random_state=seed)
    x = draw(seed, 60, 40, 16).astype(np.float32)
    alone = gru(x[:, :1])
    return digest(*gru(x, lengths=np.arange(40) + 20), *alone)


def gradients(seed):
    """Take gradients of a layer."""
    gru = fastgru.GRU(8, 64, reset_after=seed % 2 == 0, random_state=seed)
    output, _, pullback = gru.vjp(draw(seed, 40, 24, 8).astype(np.float32))
    found = pullback(output)
    return digest(found.x, *found.parameters.values())


def fit(seed):
    """Fit an estimator and predict."""
    X = draw(seed, 60, 12, 3)
    classifier = fastgru.GRUClassifier(
        20, max_iter=3, dropout=0.1 * (seed % 2), random_state=seed
    )
    return digest(classifier.fit(X, np.arange(60) % 3).predict_proba(X))


class Predict:
    """Predict with one fitted estimator that all threads share."""

    def __init__(self):
        X = draw(0, 80, 20, 4)
        self.model = fastgru.GRURegressor(32, max_iter=3, random_state=0)
        self.model.fit(X, X[:, :, 0].sum(1))

    def __call__(self, seed):
        """Predict for many sequences."""
        return digest(self.model.predict(draw(seed, 300, 50, 4)))


class Stream:
    """Step through a sequence with an estimator that all threads share."""

    def __init__(self):
        X = draw(1, 80, 20, 4)
        self.model = fastgru.GRUClassifier((16, 8), max_iter=3, random_state=0)
        self.model.fit(X, np.arange(80) % 2)

    def __call__(self, seed):
        """Read a sequence step by step."""
        stream = self.model.stream()
        return digest(*(stream.predict_proba(x) for x in draw(seed, 200, 4)))


class Worker:
    """Runs tasks drawn at random until a time and compares their results."""

    def __init__(self, tasks, expected, seed, until):
        self.tasks, self.expected = tasks, expected
        self.rng = random.Random(seed)
        self.until = until

    def run(self):
        """Return how many results there were, how many of them wrong, and errors."""
        found = {"results": 0, "wrong": 0, "errors": []}
        while time.monotonic() < self.until:
            name, seed = self.rng.choice(list(self.expected))
            try:
                same = self.tasks[name](seed) == self.expected[name, seed]
            except Exception:
                found["errors"].append(traceback.format_exc())
                same = True
            found["results"] += 1
            if not same:
                found["wrong"] += 1
                found["errors"].append(f"{name} of seed {seed}: other bits")
        return found


def resident_megabytes():
    """Return how much memory this process has."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


class MemoryLog:
    """Notes the memory of this process until it is told to stop."""

    def __init__(self, seconds_between):
        self.readings = []
        self._between = seconds_between
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(self._between):
            self.readings.append(resident_megabytes())

    def growth(self):
        """Stop; return how much more there was in the last third than in the first."""
        self._stop.set()
        self._thread.join()
        third = len(self.readings) // 3
        if third == 0:
            return 0.0
        last, first = self.readings[-third:], self.readings[:third]
        return statistics.median(last) - statistics.median(first)


def fork_worker(worker):
    """Let a child of this process run a worker; return its id and its results."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    status = 3
    try:
        os.close(reader)
        # Where it hangs, should it hang.
        seconds = worker.until - time.monotonic()
        faulthandler.dump_traceback_later(seconds + PATIENCE / 2)
        with os.fdopen(writer, "w") as file:
            json.dump(worker.run(), file)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def nothing_found():
    """Return what there is to count, all zero."""
    counts = dict.fromkeys(("results", "wrong", "children", "crashed", "hanging"), 0)
    return {**counts, "errors": []}


def keep_children(tasks, expected, rng, until, found):
    """Fork children, new ones for those that ended, and add up their results."""
    while time.monotonic() < until:
        seconds = rng.uniform(*CHILD_SECONDS)
        end = min(time.monotonic() + seconds, until)
        child, reader = fork_worker(Worker(tasks, expected, rng.randrange(10**9), end))
        with os.fdopen(reader) as file:
            if not select.select([file], [], [], seconds + PATIENCE)[0]:
                os.kill(child, signal.SIGKILL)
                found["hanging"] += 1
            printed = file.read()
        status = os.waitpid(child, 0)[1]
        found["children"] += 1
        if status == 0:
            add(found, json.loads(printed))
        else:
            found["crashed"] += 1


def add(total, found):
    """Add what a worker or a keeper of children found to all."""
    for name, value in found.items():
        total[name] += value


def run(seconds, seed):
    """Run everything at once for some seconds; return what happened."""
    tasks = {
        "layer": layer,
        "gradients": gradients,
        "fit": fit,
        "predict": Predict(),
        "stream": Stream(),
    }
    expected = {(n, s): t(s) for n, t in tasks.items() for s in range(N_SEEDS)}
    rng = random.Random(seed)
    until = time.monotonic() + seconds
    memory = MemoryLog(max(0.2, seconds / 200))
    with ThreadPoolExecutor(N_THREADS + N_CHILDREN) as pool:
        workers = [
            pool.submit(Worker(tasks, expected, rng.randrange(10**9), until).run)
            for _ in range(N_THREADS)
        ]
        parts = [nothing_found() for _ in range(N_CHILDREN)]
        keepers = [
            pool.submit(
                keep_children,
                tasks,
                expected,
                random.Random(rng.randrange(10**9)),
                until,
                part,
            )
            for part in parts
        ]
        found = nothing_found()
        for worker in workers:
            add(found, worker.result())
        for keeper, part in zip(keepers, parts, strict=True):
            keeper.result()
            add(found, part)
    found["growth_mb"] = round(memory.growth(), 1)
    return found


def main():
    """Read the arguments, run, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    warnings.simplefilter("ignore")
    found = run(options.seconds, seed)
    print(f"seed {seed}: {json.dumps(found, indent=1)}")
    good = not any(found[name] for name in ("wrong", "errors", "crashed", "hanging"))
    return 0 if good and found["growth_mb"] <= MOST_GROWTH else 1


if __name__ == "__main__":
    sys.exit(main())
