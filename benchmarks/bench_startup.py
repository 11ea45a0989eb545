"""What it takes until a first result: import, compilation, and the cache."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.timing import Timing

NUMBA = "import numba"
LAYER = "import fastgru; fastgru.GRU(1, 32)"
CALL = """
import numpy as np, fastgru
fastgru.GRU(4, 8)(np.zeros((5, 2, 4), np.float32))
"""
# These print seconds: what follows the import.
FIT = """
import sys, time, warnings
import numpy as np
import fastgru
from fastgru import GRUClassifier
warnings.simplefilter("ignore")
X = np.random.default_rng(0).normal(size=(100, 20, 8))
begin = time.perf_counter()
model = GRUClassifier(32, max_iter=2, random_state=0).fit(X, np.arange(100) % 3)
model.predict(X)
print(time.perf_counter() - begin)
fastgru.save(model, sys.argv[1])
"""
PREDICT = """
import sys, time
import numpy as np
import fastgru
from fastgru import GRUClassifier
X = np.random.default_rng(0).normal(size=(100, 20, 8))
begin = time.perf_counter()
fastgru.load(sys.argv[1]).predict(X)
print(time.perf_counter() - begin)
"""


def _run(code, cache, *arguments):
    """Run code in a process of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def _seconds(code, cache):
    begin = time.perf_counter()
    _run(code, cache)
    return time.perf_counter() - begin


class Startup(Timing):
    """Whole processes, the interpreter's own start included."""

    number, repeat, warmup_time = 1, 3, 0

    def setup_cache(self):
        # In a folder that stays until all of these are measured; once, as it is long.
        folder = Path("startup").absolute()
        folder.mkdir(exist_ok=True)
        cache, model = folder / "numba-cache", folder / "model.safetensors"
        made = {"cache": cache, "model": model}
        made["fit and predict"] = float(_run(FIT, cache, model))
        with tempfile.TemporaryDirectory() as empty:
            made["predict"] = float(_run(PREDICT, empty, model))
        _run(CALL, cache)
        return made

    def time_nothing(self, made):
        _run("pass", made["cache"])

    def time_import(self, made):
        _run("import fastgru", made["cache"])

    def time_first_call_from_the_cache(self, made):
        _run(CALL, made["cache"])

    def track_a_layer_over_import_numba(self, made):
        # Each without the interpreter's own start, in turns.
        codes, cache = ("pass", NUMBA, LAYER), made["cache"]
        rounds = [[_seconds(code, cache) for code in codes] for _ in range(5)]
        nothing, numba, layer = (
            statistics.median(times) for times in zip(*rounds, strict=True)
        )
        return (layer - nothing) / (numba - nothing)

    def track_first_fit_and_predict_compiling(self, made):
        return made["fit and predict"]

    def track_first_predict_of_a_loaded_model_compiling(self, made):
        return made["predict"]

    def track_first_predict_of_a_loaded_model_from_the_cache(self, made):
        return statistics.median(
            float(_run(PREDICT, made["cache"], made["model"])) for _ in range(3)
        )

    track_first_fit_and_predict_compiling.unit = "s"
    track_first_predict_of_a_loaded_model_compiling.unit = "s"
    track_first_predict_of_a_loaded_model_from_the_cache.unit = "s"
    track_a_layer_over_import_numba.unit = "1"
