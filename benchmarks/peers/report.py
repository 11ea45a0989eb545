"""The tables that are printed."""

from benchmarks.peers.comparison import WHAT
from benchmarks.peers.library import OURS
from benchmarks.peers.ratios import (
    best_peer,
    geometric_mean,
    lowest,
    milliseconds,
    rate,
    ratio,
    ratios,
    shape_of,
    share_of_peak,
)

WIDTH = 17


def header(names: list[str]) -> str:
    """Return the first line of the table of cells."""
    columns = "".join(f"{name:>{WIDTH}}" for name in names)
    return f"{'B, T, I, H':>18} {'':8}{columns}{'best/' + OURS:>26}{'of peak':>9}"


def cell_lines(cell: dict, names: list[str]) -> str:
    """Return a cell's lines, one per run."""
    lines = []
    for what in WHAT:
        if what not in cell["ms"].get(OURS, ()):
            continue
        line = f"{shape_of(cell):>18} {what:8}"
        for name in names:
            entry = "-"
            if milliseconds(cell, name, what) is not None:
                rounded = f"({rate(cell, name, what):.3g})"
                entry = f"{milliseconds(cell, name, what):.4g} {rounded:>8}"
            line += f"{entry:>{WIDTH}}"
        entry = "-"
        if ratio(cell, what) is not None:
            entry = f"{best_peer(cell, what)} {ratio(cell, what):6.2f}"
        share = share_of_peak(cell, OURS, what)
        lines.append(f"{line}{entry:>26}{share:>9.0%}")
    return "\n".join(lines)


def summary_lines(cells: list[dict]) -> str:
    """Return geometric means by kind of cell, and the lowest ratio."""
    lines = []
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        chosen = [cell for cell in cells if cell["kind"] == kind]
        for what in WHAT:
            values = ratios(chosen, what)
            if values:
                lines.append(
                    f"{kind} cells, {what}: geometric mean of best/{OURS} "
                    f"{geometric_mean(values):.2f}, lowest {min(values):.2f} "
                    f"({len(values)} cells)"
                )
    worst = lowest(cells)
    if worst is not None:
        value, cell, what = worst
        lines.append(
            f"lowest of all: {value:.2f}, {shape_of(cell)} {what}, "
            f"by {best_peer(cell, what)}"
        )
    return "\n".join(lines)


def scaling_lines(cell: dict, counts: list[int]) -> str:
    """Return a cell's times on 1, 2, ... threads and how much faster each is."""
    lines = []
    for what in WHAT:
        line = f"{shape_of(cell):>18} {what:8}"
        one = milliseconds(cell, f"{counts[0]} threads", what)
        for n in counts:
            time = milliseconds(cell, f"{n} threads", what)
            line += f"{time:11.4g} {f'({one / time:.2f}x)':>8}"
        lines.append(line)
    return "\n".join(lines)
