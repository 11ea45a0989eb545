"""What it takes until a first result: import, compilation, and the cache."""

import os
import subprocess
import sys
import tempfile

FIRST_CALL = """
import numpy as np, fastgru
fastgru.GRU(4, 8)(np.zeros((5, 2, 4), np.float32))
"""


def _run(code, cache):
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


class Startup:
    """Whole processes, the interpreter's own start included."""

    timeout = 300
    number, repeat, warmup_time = 1, 3, 0

    def setup(self):
        self.folder = tempfile.TemporaryDirectory()
        self.warm = os.path.join(self.folder.name, "warm")
        _run(FIRST_CALL, self.warm)

    def teardown(self):
        self.folder.cleanup()

    def time_nothing(self):
        _run("pass", self.warm)

    def time_import(self):
        _run("import fastgru", self.warm)

    def time_first_call_from_the_cache(self):
        _run(FIRST_CALL, self.warm)

    def time_first_call_compiling(self):
        with tempfile.TemporaryDirectory() as cold:
            _run(FIRST_CALL, cold)
