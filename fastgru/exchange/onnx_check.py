"""Running ONNX graphs, for the comparison that every conversion ends with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx

STEPS, BATCH = 7, 3  # of the comparison, where a graph leaves them open
# The largest difference over the largest number that rounding may leave.
TOLERANCES = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}


def has_runtime() -> bool:
    """Whether ONNX Runtime is installed; ONNX's own reference knows no lengths."""
    return find_spec("onnxruntime") is not None


def run_graph(
    model: onnx.ModelProto, feeds: dict[str, np.ndarray], *, by_runtime: bool
) -> dict[str, Any]:
    """Return the outputs of a graph by name.

    by_runtime : whether ONNX Runtime runs it, or ONNX's reference
    """
    names = [output.name for output in model.graph.output]
    if not by_runtime:
        from onnx.reference import ReferenceEvaluator

        return dict(
            zip(names, ReferenceEvaluator(model).run(names, feeds), strict=True)
        )
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a small graph, run once
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return dict(zip(names, session.run(names, feeds), strict=True))


def draw_lengths(
    rng: np.random.Generator, steps: int, batch: int, *, by_runtime: bool
) -> np.ndarray:
    """Draw lengths of at least 1, or full ones for what knows no others."""
    low = 1 if by_runtime else steps
    return rng.integers(low, steps + 1, batch).astype(np.int32)


def largest_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference over the largest expected number."""
    if actual.shape != expected.shape:
        return np.inf
    if actual.size == 0:
        return 0.0
    error = np.max(np.abs(actual.astype(np.float64) - expected))
    largest = np.max(np.abs(expected))
    return float(error / max(largest, np.finfo(np.float64).tiny))


def agrees(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Whether two arrays differ by rounding only; NaN never does."""
    return largest_error(actual, expected) <= TOLERANCES[expected.dtype]
