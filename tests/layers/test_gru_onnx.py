"""The GRU operator of ONNX: its own tests, its reference and ONNX Runtime."""

from itertools import combinations

import numpy as np
import pytest

from cases import assert_close_results
from onnx_models import (
    INPUTS,
    OPTIONAL,
    OUTPUTS,
    REQUIRED,
    attributes_of,
    by_name,
    collect_node_tests,
    draw_arrays,
    gru_model,
    run_fastgru,
    run_onnx,
)
from tolerances import assert_close

# T, B, I, H, all different from each other but for the first.
SHAPES = [(1, 1, 1, 1), (5, 3, 2, 4), (7, 1, 13, 50), (9, 12, 50, 33), (6, 17, 28, 64)]
SMALL = (5, 3, 2, 4)

DIRECTIONS = pytest.mark.parametrize(
    "direction", ["forward", "reverse", "bidirectional"]
)
BOTH_FORMULAS = pytest.mark.parametrize(
    "linear_before_reset", [1, 0], ids=["reset_after", "reset_before"]
)
OPTIONAL_INPUTS = pytest.mark.parametrize(
    "given",
    [names for n in range(len(OPTIONAL) + 1) for names in combinations(OPTIONAL, n)],
    ids=lambda names: "+".join(names) or "none",
)


NODE_TESTS = collect_node_tests()


def assert_agrees_with_onnx_runtime(arrays, direction, linear_before_reset):
    attributes = {
        "hidden_size": arrays["R"].shape[2],
        "direction": direction,
        "linear_before_reset": linear_before_reset,
    }
    expected = run_onnx(gru_model(arrays, attributes), arrays)
    assert_close_results(run_fastgru(arrays, attributes), expected, np.float32)


def test_the_operators_tests_are_found():
    expected = ["defaults", "with_initial_bias", "seq_length", "batchwise"]
    assert {f"test_gru_{name}" for name in expected} <= set(NODE_TESTS)


@pytest.mark.parametrize("test", NODE_TESTS.values(), ids=NODE_TESTS)
def test_the_operators_own_tests_pass(test):
    (node,) = test.model.graph.node
    assert test.data_sets
    for inputs, outputs in test.data_sets:
        arrays = by_name(INPUTS, node.input, inputs)
        results = run_fastgru(arrays, attributes_of(node))
        for name, expected in by_name(OUTPUTS, node.output, outputs).items():
            assert_close(name, results[name], expected, np.float32)


@BOTH_FORMULAS
@DIRECTIONS
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_onnx_runtime(shape, direction, linear_before_reset, rng):
    arrays = draw_arrays(rng, shape, direction, np.float32)
    assert_agrees_with_onnx_runtime(arrays, direction, linear_before_reset)


@BOTH_FORMULAS
@DIRECTIONS
@OPTIONAL_INPUTS
def test_what_is_left_out_agrees_with_onnx_runtime(
    given, direction, linear_before_reset, rng
):
    arrays = draw_arrays(rng, SMALL, direction, np.float32)
    arrays = {name: arrays[name] for name in REQUIRED + given}
    assert_agrees_with_onnx_runtime(arrays, direction, linear_before_reset)


@BOTH_FORMULAS
@pytest.mark.parametrize("layout", [0, 1], ids=["time_first", "batch_first"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_results_agree_with_onnx_in_float64(shape, layout, linear_before_reset, rng):
    # Neither ONNX Runtime's GRU takes float64 nor its one for CPUs this layout.  What
    # onnx itself computes knows no lengths.
    arrays = draw_arrays(rng, shape, "forward", np.float64)
    del arrays["sequence_lens"]
    if layout:
        for name in ("X", "initial_h"):
            arrays[name] = arrays[name].swapaxes(0, 1)
    attributes = {
        "hidden_size": shape[3],
        "linear_before_reset": linear_before_reset,
        "layout": layout,
    }
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(gru_model(arrays, attributes))
    expected = dict(zip(OUTPUTS, evaluator.run(OUTPUTS, arrays), strict=True))
    assert_close_results(run_fastgru(arrays, attributes), expected, np.float64)
