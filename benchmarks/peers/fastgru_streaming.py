"""Streams of fastgru, and its step inside a compiled loop."""

import warnings

import numpy as np
from numba import njit

import fastgru
from benchmarks.peers.streaming_case import Streamed, StreamingCase
from fastgru.kernels import gru_step

CASE = StreamingCase
COMPILED_STEPS = 1000


@njit
def loop(n_steps, x, state, weights, work):
    """Take steps without Python in between, each input looked at."""
    for _ in range(n_steps):
        gru_step(state, x, weights, work)


def make(case: StreamingCase) -> Streamed:
    """Make what is timed."""
    fastgru.set_num_threads(1)
    arrays = case.arrays()
    x = arrays.pop("x")
    gru = fastgru.GRU(case.input_size, case.hidden_size)
    gru.load_state_dict(arrays)
    stream = fastgru.Network([gru]).stream()
    in_loop = gru.kernel_arrays()

    X = np.random.default_rng(0).normal(size=(60, 10, case.input_size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = fastgru.GRUClassifier(case.hidden_size, max_iter=2)
        classifier.fit(X, np.arange(60) % 3)
    predictions = classifier.stream()

    def output() -> np.ndarray:
        fresh = fastgru.Network([gru]).stream()
        return np.array([fresh.step(x_t) for x_t in x])

    runs = {
        "step": lambda: stream.step(x[0]),
        "predict": lambda: predictions.predict(x[0]),
        "predict_proba": lambda: predictions.predict_proba(x[0]),
        f"{COMPILED_STEPS} compiled": lambda: loop(COMPILED_STEPS, x[0], *in_loop),
    }
    return Streamed(runs, output)
