"""Figures and tables of docs/performance.md: ``python -m benchmarks.figures FILE``.

FILE is what ``python -m benchmarks.peers --json FILE`` wrote.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.peers.comparison import WHAT
from benchmarks.peers.library import OURS
from benchmarks.peers.ratios import (
    intensity,
    milliseconds,
    shape_of,
    share_of_peak,
)
from benchmarks.performance_tables import write_tables

DOCS = Path(__file__).parents[1] / "docs"
# Told apart by people who see few colours (Okabe and Ito's), fastgru's the strongest.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#999999")
SETTINGS = {
    "figure.facecolor": "white",
    "font.size": 9,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "fastgru",  # the same file from the same times
}


def draw_times(comparison: dict, what: str) -> Figure:
    """Draw bars of the median times per cell of the grid and library."""
    cells = [cell for cell in comparison["cells"] if cell["kind"] != "random"]
    names = [
        name
        for name in comparison["libraries"]
        if any(milliseconds(cell, name, what) for cell in cells)
    ]
    colours = _colours(comparison)
    width = 0.8 / len(names)
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.09 * len(cells) * (len(names) + 2)))
    for number, name in enumerate(names):
        places = np.arange(len(cells)) + (number - (len(names) - 1) / 2) * width
        times = [milliseconds(cell, name, what) or np.nan for cell in cells]
        axes.barh(places, times, width, color=colours[name], label=name)
    axes.set_xscale("log")
    axes.set_yticks(range(len(cells)), [shape_of(cell) for cell in cells])
    axes.grid(visible=False, axis="y")
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel(f"{what}: ms, less is better")
    axes.set_ylabel("B, T, I, H")
    figure.legend(loc="outside upper center", ncols=len(names))
    return figure


def draw_shares(comparison: dict) -> Figure:
    """Draw each library's share of the multiply-add peak by arithmetic intensity."""
    figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True)
    colours = _colours(comparison)
    for what, axes in zip(WHAT, panels, strict=True):
        for name in reversed(comparison["libraries"]):  # fastgru on top
            cells = [c for c in comparison["cells"] if what in c["ms"].get(name, ())]
            if cells:
                axes.scatter(
                    [intensity(cell) for cell in cells],
                    [share_of_peak(cell, name, what) for cell in cells],
                    s=22 if name == OURS else 12,
                    color=colours[name],
                    marker="o" if name == OURS else "s",
                )
        axes.axhline(1.0, color="#444444", linewidth=1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(what)
        axes.set_xlabel("operations per byte of input, output and weights")
    panels[0].set_ylabel("share of the multiply-add peak")
    handles = [
        plt.Line2D([], [], color=colours[name], marker="o", linestyle="", label=name)
        for name in comparison["libraries"]
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _colours(comparison: dict) -> dict[str, str]:
    """Return a colour per library, the same in all figures."""
    names = comparison["libraries"]
    return {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}


def main() -> None:
    """Write the figures and tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.figures")
    parser.add_argument("file", type=Path, help="what benchmarks.peers wrote")
    parser.add_argument("--docs", type=Path, default=DOCS, help="where to write")
    options = parser.parse_args()
    report = json.loads(options.file.read_text())
    folder = options.docs / "_static" / "performance"
    folder.mkdir(parents=True, exist_ok=True)
    comparison = report["comparison"]
    with plt.rc_context({**SETTINGS, "figure.constrained_layout.use": True}):
        figures = {f"times_{what}": draw_times(comparison, what) for what in WHAT}
        figures["shares"] = draw_shares(comparison)
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.svg", metadata={"Date": None})
    (options.docs / "performance_tables.md").write_text(write_tables(report))


if __name__ == "__main__":
    main()
