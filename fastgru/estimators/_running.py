"""Networks run over many sequences, a batch at a time."""

from __future__ import annotations

import numpy as np

from fastgru.estimators._networks import numbers_per_step
from fastgru.estimators._tasks import Task
from fastgru.layers.network import Network
from fastgru.sequences import Sequences
from fastgru.training.samples import NextSteps, Samples

# Most numbers of a batch at once; one sequence may be longer.
_NUMBERS_IN_BATCH = 2**20


class Score:
    """The validation score of a network as it is."""

    def __init__(
        self,
        network: Network,
        task: Task,
        samples: Samples | NextSteps,
        n_threads: int,
    ) -> None:
        self._network = network
        self._task = task
        self._samples = samples
        self._n_threads = n_threads

    def __call__(self) -> float:
        outputs = run_batches(self._network, self._samples.sequences, self._n_threads)
        if isinstance(self._samples, Samples):
            return self._task.score(self._samples.targets, outputs)
        batch = self._samples.take(np.arange(len(self._samples)))
        has_next = batch.weights > 0
        return self._task.score(batch.targets[has_next], outputs[has_next])


def run_batches(network: Network, sequences: Sequences, n_threads: int) -> np.ndarray:
    """Run a network over sequences, a batch at a time; return all rows of outputs."""
    per_step = network._output.per == "step"
    n_rows = sequences.lengths.sum() if per_step else len(sequences)
    outputs = np.empty((n_rows, network.output_size), network.dtype)
    begin = 0
    for batch in sequences.blocks(_NUMBERS_IN_BATCH // numbers_per_step(network)):
        part = network.outputs(*sequences.take(batch), n_threads)
        outputs[begin : begin + len(part)] = part
        begin += len(part)
    return outputs
