"""What it takes until a first result: import, compilation, and the cache."""

import os
import subprocess
import sys
import tempfile

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
        # In a folder that stays until all of these are measured.
        cache = os.path.abspath("numba-cache")
        _run(FIRST_CALL, cache)
        return cache

    def time_nothing(self, cache):
        _run("pass", cache)

    def time_import(self, cache):
        _run("import fastgru", cache)

    def time_first_call_from_the_cache(self, cache):
        _run(FIRST_CALL, cache)


class Compilation(Timing):
    """A first call with nothing in the cache, once: it takes long."""

    number, repeat, warmup_time = 1, 1, 0

    def time_first_call_compiling(self):
        with tempfile.TemporaryDirectory() as cold:
            _run(FIRST_CALL, cold)
