"""fastgru with 1, 2, ... threads, each number in its own process."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from benchmarks.peers.case import Case
from benchmarks.peers.comparison import Effort, compare
from benchmarks.peers.library import OURS, Library, layer_file, started
from benchmarks.peers.report import scaling_lines


def thread_counts(most: int) -> list[int]:
    """Return 1, 2, 3, 4, then doubled, up to the most."""
    counts = [n for n in (1, 2, 3, *(2**k for k in range(2, 20))) if n < most]
    return [*counts, most]


def measure(cases: list[Case], most: int, effort: Effort) -> dict:
    """Measure and print; every number of threads has to give the same bits."""
    counts = thread_counts(most)

    def libraries() -> Iterator[Library]:
        for n in counts:
            adapt = partial(replace, n_threads=n)
            yield Library(layer_file(OURS), n, f"{n} threads", adapt)

    cells = []
    with started(libraries()) as ready:
        columns = "".join(f"{f'{n} threads':>20}" for n in counts)
        print(f"\n{'B, T, I, H':>18} {'ms':8}{columns}")
        for case in cases:
            cell = compare(ready, case, effort, tolerance=0.0)
            cells.append(cell)
            print(scaling_lines(cell, counts), flush=True)
    return {"threads": counts, "cells": cells}
