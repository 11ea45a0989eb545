"""Embedded in a service or a loop: single steps, and Python threads that predict.

How a step stands beside other libraries, each in a process of its own and in turns, is
for ``python -m benchmarks.peers --streaming``.
"""

import importlib
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fastgru
from benchmarks.peers.cores import count_cores
from benchmarks.peers.streaming_case import StreamingCase
from benchmarks.timing import Timing

N_PYTHON_THREADS = 4
# Calls of each thread in a round: enough that starting the threads does not count.
N_CALLS = 25


class Step(Timing):
    """One step of one sequence from Python, the state kept."""

    params = (["fastgru", "onnxruntime", "torch"], [32, 64])
    param_names = ("library", "hidden_size")

    def setup(self, library, hidden_size):
        try:
            module = importlib.import_module(f"benchmarks.peers.{library}_streaming")
        except ImportError as error:
            raise NotImplementedError(f"{library} is left out: {error}") from error
        self.run = module.make(StreamingCase(1, hidden_size)).runs["step"]
        self.run()

    def time_step(self, library, hidden_size):
        self.run()


class OwnStep(Timing):
    """What else there is of fastgru: predictions, and steps in a compiled loop."""

    params = (["predict", "predict_proba", "1000 compiled"], [32, 64])
    param_names = ("what", "hidden_size")

    def setup(self, what, hidden_size):
        module = importlib.import_module("benchmarks.peers.fastgru_streaming")
        self.run = module.make(StreamingCase(1, hidden_size)).runs[what]
        self.run()

    def time_steps(self, what, hidden_size):
        self.run()


class PythonThreads(Timing):
    """Python threads that predict separate inputs, each call on one thread."""

    def setup(self):
        self.x = np.random.default_rng(0).normal(size=(N_PYTHON_THREADS, 64, 100, 16))
        X, y = self.x[0], np.arange(64) % 3
        self.model = fastgru.GRUClassifier(64, tol=1.0, n_jobs=1, random_state=0)
        self.model.fit(X, y)
        self.pool = ThreadPoolExecutor(N_PYTHON_THREADS)

    def teardown(self):
        self.pool.shutdown()

    def _seconds(self, run_all):
        begin = time.perf_counter()
        list(run_all(self.model.predict, [*self.x] * N_CALLS))
        return time.perf_counter() - begin

    def track_speedup_over_cores(self):
        rounds = [(self._seconds(map), self._seconds(self.pool.map)) for _ in range(11)]
        one, many = (statistics.median(times) for times in zip(*rounds, strict=True))
        return one / many / min(N_PYTHON_THREADS, count_cores())

    track_speedup_over_cores.unit = "1"
