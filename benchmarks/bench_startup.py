"""What it takes until a first result: import, compilation, and the cache."""

import os
import subprocess
import sys
import time

from benchmarks.timing import Timing

FIRST_CALL = """
import numpy as np, fastgru
fastgru.GRU(4, 8)(np.zeros((5, 2, 4), np.float32))
"""


def _run(code, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


class Startup(Timing):
    """Whole processes, the interpreter's own start included."""

    number, repeat, warmup_time = 1, 3, 0

    def setup_cache(self):
        # In a folder that stays until all of these are measured; once, as it is long.
        cache = os.path.abspath("numba-cache")
        begin = time.perf_counter()
        _run(FIRST_CALL, cache)
        return cache, time.perf_counter() - begin

    def time_nothing(self, made):
        _run("pass", made[0])

    def time_import(self, made):
        _run("import fastgru", made[0])

    def time_first_call_from_the_cache(self, made):
        _run(FIRST_CALL, made[0])

    def track_first_call_compiling(self, made):
        return made[1]

    track_first_call_compiling.unit = "s"
