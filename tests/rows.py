"""Sequences as the tables of rows that go between layers, and layers run on them."""

import numpy as np
import pytest

from fastgru.layers._layer import Rows
from fastgru.layers.geometry import Geometry

LAYOUTS = pytest.mark.parametrize(
    "layout", ["concatenated", "batch_first", "time_major"]
)


def lengths_of(layout):
    """Give lengths that a layout can hold without padding, in no order."""
    lengths = [3, 0, 5, 1, 5, 2] if layout == "concatenated" else [4] * 6
    return np.array(lengths, np.int64)


def geometry_of(lengths, layout):
    """Give the geometry of sequences without padding."""
    if layout == "concatenated":
        return Geometry.concatenated(lengths)
    n_steps, batch_first = int(lengths[0]), layout == "batch_first"
    return Geometry.equal(n_steps, len(lengths), batch_first=batch_first)


def row_numbers(lengths, layout):
    """Give the rows of each sequence, in order of time."""
    if layout == "time_major":
        batch = len(lengths)
        return [np.arange(n) * batch + b for b, n in enumerate(lengths)]
    return np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])


def to_rows(sequences, layout):
    """Put sequences, one array each, into a table."""
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    together = np.concatenate(sequences)
    values = np.empty_like(together)
    values[np.concatenate(row_numbers(lengths, layout))] = together
    return Rows(values, geometry_of(lengths, layout))


def from_rows(values, lengths, layout):
    """Take the sequences out of a table."""
    return [values[rows] for rows in row_numbers(lengths, layout)]


def draw_sequences(rng, lengths, n_features, dtype=np.float64):
    """Draw an array of shape (length, n_features) for each sequence."""
    return [rng.standard_normal((n, n_features)).astype(dtype) for n in lengths]


def run_layer(layer, rows, d_output, *, masks=None, n_threads=1):
    """Run a layer forward and back; its output and gradients by name.

    A parameter's gradient that is not written, or is added to, becomes NaN.
    """
    output, tape = layer._record(rows, masks, n_threads)
    gradients = layer._parameters.like()
    gradients.flat[...] = np.nan
    d_x = layer._back(tape, d_output.copy(), gradients, n_threads, wants_input=True)
    named = {f"d_{name}": gradients[name].copy() for name in gradients}
    return {"output": output.values, "d_x": d_x} | named
