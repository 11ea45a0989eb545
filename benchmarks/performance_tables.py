"""The tables of docs/performance.md, from what ``benchmarks.peers`` wrote as JSON."""

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

KINDS = {
    "grid": "the fixed shapes",
    "random": "shapes drawn at random",
    "chosen": "chosen shapes",
}


def write_tables(report: dict) -> str:
    """Return all that a report has, as Markdown."""
    parts = ["<!-- Written by python -m benchmarks.figures; do not edit. -->"]
    parts.append(_machine(report))
    writers = {
        "comparison": _comparison,
        "scaling": _scaling,
        "epochs": _epochs,
        "forecasting": _forecasting,
        "latency": _latency,
    }
    parts += [
        write(report[section])
        for section, write in writers.items()
        if section in report
    ]
    return "\n\n".join(parts) + "\n"


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned right."""
    rule = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, rule, *rows])


def _machine(report: dict) -> str:
    machine, versions = report["machine"], dict(report["versions"])
    family = ""
    if machine["family"]:
        family = f" (family {machine['family']}, model {machine['model']})"
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    flags = ", ".join(flag for flag in machine["flags"] if flag.startswith("av"))
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return "\n".join(
        [
            f"Machine: {machine['cpu']}{family}, compiled for as "
            f"`{machine['compiler_name']}`, {machine['cores']} cores"
            f"{' of a virtual machine' if machine['virtual'] else ''}; "
            f"{flags or machine['architecture']}; {caches}.",
            f"Versions: Python {machine['python']}, {listed}.",
        ]
    )


def _how(section: dict) -> str:
    return (
        f"{section['date'][:10]}, {section['threads']} threads, {section['dtype']}, "
        f"load {section.get('load', 'unknown')} before the start"
    )


def _comparison(section: dict) -> str:
    cells, names = section["cells"], section["libraries"]
    parts = [
        "## Beside other libraries",
        f"Measured {_how(section)}. Multiply-add peak {section['peak']:.0f} GFLOP/s "
        "(median of the cells); a share is of the peak in the rounds of its cell."
        + "".join(f" {n} runs on {b}." for n, b in section["backends"].items()),
        _means(cells),
    ]
    worst = lowest(cells)
    if worst is not None:
        value, cell, what = worst
        parts.append(
            f"The lowest ratio of all is {value:.2f}: {shape_of(cell)}, {what}, "
            f"{best_peer(cell, what)}."
        )
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        chosen = [cell for cell in cells if cell["kind"] == kind]
        for what in WHAT:
            title = f"### {what.capitalize()}, {KINDS[kind]}"
            if kind == "random":
                title += f" (seed {section['seed']})"
            parts += [title, _cells(chosen, names, what)]
    return "\n\n".join(parts)


def _means(cells: list[dict]) -> str:
    rows = []
    for kind in dict.fromkeys(cell["kind"] for cell in cells):
        chosen = [cell for cell in cells if cell["kind"] == kind]
        for what in WHAT:
            values = ratios(chosen, what)
            if values:
                wins = sum(value > 1.0 for value in values)
                entries = [
                    f"{geometric_mean(values):.2f}",
                    f"{min(values):.2f}",
                    f"{wins} of {len(values)}",
                ]
                rows.append([f"{KINDS[kind]}, {what}", *entries])
    header = ["best peer's time over fastgru's", "geometric mean", "lowest", "above 1"]
    return table(header, rows)


def _cells(cells: list[dict], names: list[str], what: str) -> str:
    trained = [n for n in names if any(what in c["ms"].get(n, ()) for c in cells)]
    rows = []
    for cell in cells:
        row = [shape_of(cell)]
        for name in trained:
            time = milliseconds(cell, name, what)
            entry = "" if time is None else f"{time:.3g} ({rate(cell, name, what):.3g})"
            row.append(entry)
        value = ratio(cell, what)
        row.append("" if value is None else f"{value:.2f}")
        row.append(f"{share_of_peak(cell, OURS, what):.0%}")
        rows.append(row)
    ms = [f"{name} ms (GFLOP/s)" for name in trained]
    return table(["B, T, I, H", *ms, "ratio", "of peak"], rows)


def _scaling(section: dict) -> str:
    counts = section["threads"]
    rows = []
    for cell in section["cells"]:
        for what in WHAT:
            times = [milliseconds(cell, f"{n} threads", what) for n in counts]
            entries = [f"{time:.3g} ({times[0] / time:.2f})" for time in times]
            rows.append([shape_of(cell), what, *entries])
    header = ["B, T, I, H", "", *(f"{n} threads, ms (gain)" for n in counts)]
    return "\n\n".join(
        ["## Threads", f"Measured {_how(section)}.", table(header, rows)]
    )


def _epochs(section: dict) -> str:
    sizes = (
        f"{section['n_sequences']} sequences of {section['n_steps']} steps and "
        f"{section['input_size']} features"
    )
    return _training("## Training", f"`GRUClassifier.fit`: {sizes}", section)


def _forecasting(section: dict) -> str:
    sizes = (
        f"{section['n_series']} series of {section['shortest']} to "
        f"{section['longest']} steps, windows of {section['n_lags']}, horizon "
        f"{section['horizon']}"
    )
    title = "## Training a global forecaster"
    return _training(title, f"`GRUForecaster.fit`: {sizes}", section)


def _training(title: str, what: str, section: dict) -> str:
    rates = section["epochs_per_second"]
    ours = rates[OURS]["median"]
    rows = [
        [name, f"{values['median']:.3f}", f"{ours / values['median']:.2f}"]
        for name, values in rates.items()
    ]
    header = ["", "epochs per second", "fastgru is so many times as fast"]
    network = (
        f"{section['hidden_size']} units, minibatches of {section['batch_size']}, "
        "beside a plain loop in PyTorch"
    )
    return "\n\n".join(
        [title, f"{what}, {network}. Measured {_how(section)}.", table(header, rows)]
    )


def _latency(section: dict) -> str:
    rows = []
    names = list(section["cells"][0]["microseconds"]["idle"])
    for cell in section["cells"]:
        for machine, percentiles in cell["microseconds"].items():
            entries = [
                f"{percentiles[name]['p50']:.3g} / {percentiles[name]['p99']:.3g}"
                if name in percentiles
                else ""
                for name in names
            ]
            rows.append([shape_of(cell), machine, *entries])
    return "\n\n".join(
        [
            "## Latency of a call",
            "Microseconds, median / 99th percentile, back to back; busy means beside "
            f"another process that keeps one core. Measured {_how(section)}.",
            table(["B, T, I, H", "machine", *names], rows),
        ]
    )
