"""What follows from the times of a cell: rates, ratios and their means."""

import math

from benchmarks.peers.comparison import UNPADDED
from benchmarks.peers.library import OURS


def shape_of(cell: dict) -> str:
    """Return a cell's sizes as "B, T, I, H"."""
    sizes = ("batch", "n_steps", "input_size", "hidden_size")
    return ", ".join(str(cell[size]) for size in sizes)


def milliseconds(cell: dict, name: str, what: str) -> float | None:
    """Return a library's median time, None if it does not have that."""
    run = cell["ms"].get(name, {}).get(what)
    return None if run is None else run["median"]


def rate(cell: dict, name: str, what: str) -> float:
    """Return a library's GFLOP/s; a step counts as three forward passes."""
    work = cell["gflop"] * (1 if what == "forward" else 3)
    return work / cell["ms"][name][what]["median"] * 1e3


def share_of_peak(cell: dict, name: str, what: str) -> float:
    """Return a library's share of the multiply-add peak of the same rounds."""
    return rate(cell, name, what) / cell["peak"]["median"]


def best_peer(cell: dict, what: str) -> str | None:
    """Return the fastest library besides fastgru, None if there is none."""
    peers = [
        name
        for name, runs in cell["ms"].items()
        if name not in (OURS, UNPADDED) and what in runs
    ]
    return min(peers, key=lambda name: milliseconds(cell, name, what), default=None)


def ratio(cell: dict, what: str) -> float | None:
    """Return the best peer's time over fastgru's, None without a peer."""
    best = best_peer(cell, what)
    if best is None:
        return None
    return milliseconds(cell, best, what) / milliseconds(cell, OURS, what)


def ratios(cells: list[dict], what: str) -> list[float]:
    """Return the ratios of the cells that have one."""
    found = (ratio(cell, what) for cell in cells)
    return [value for value in found if value is not None]


def geometric_mean(values: list[float]) -> float:
    """Return the geometric mean."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def lowest(cells: list[dict]) -> tuple[float, dict, str] | None:
    """Return the lowest ratio, its cell and what was run, None without a peer."""
    found = (
        (value, cell, what)
        for cell in cells
        for what in ("forward", "step")
        if (value := ratio(cell, what)) is not None
    )
    return min(found, key=lambda entry: entry[0], default=None)


def intensity(cell: dict) -> float:
    """Return operations of a forward pass per byte of input, output and weights."""
    steps = cell["batch"] * cell["n_steps"]
    inputs, units = cell["input_size"], cell["hidden_size"]
    numbers = steps * (inputs + units) + 3 * units * (inputs + units)
    return 1e9 * cell["gflop"] / (numbers * (4 if cell["dtype"] == "float32" else 8))
