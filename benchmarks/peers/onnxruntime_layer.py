"""ONNX Runtime's GRU operator, input and output bound once; it does not train."""

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from benchmarks.peers.case import Case, Timed, Unsupported


def _with_gates_of_onnx(array: np.ndarray) -> np.ndarray:
    """Turn rows of gates r, z, n into z, r, n."""
    r, z, n = np.split(array, 3)
    return np.concatenate([z, r, n])


def onnx_weights(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the operator's weights, without their axis of directions."""
    bias = [_with_gates_of_onnx(arrays[f"bias_{side}_l0"]) for side in ("ih", "hh")]
    return {
        "W": _with_gates_of_onnx(arrays["weight_ih_l0"]),
        "R": _with_gates_of_onnx(arrays["weight_hh_l0"]),
        "B": np.concatenate(bias),
    }


def _model(case: Case, arrays: dict[str, np.ndarray]) -> bytes:
    """Return a graph of one operator: x, and lengths if they differ, to output."""
    weights = onnx_weights(arrays)
    node = helper.make_node(
        "GRU",
        ["X", "W", "R", "B", *(["lengths"] if case.ragged else [])],
        ["Y"],
        hidden_size=case.hidden_size,
        linear_before_reset=int(case.reset_after),
    )
    x_shape = [case.n_steps, case.batch, case.input_size]
    y_shape = [case.n_steps, 1, case.batch, case.hidden_size]
    inputs = [helper.make_tensor_value_info("X", TensorProto.FLOAT, x_shape)]
    if case.ragged:
        lengths = helper.make_tensor_value_info(
            "lengths", TensorProto.INT32, [case.batch]
        )
        inputs.append(lengths)
    graph = helper.make_graph(
        [node],
        "gru",
        inputs,
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, y_shape)],
        [numpy_helper.from_array(w[np.newaxis], name) for name, w in weights.items()],
    )
    opset = [helper.make_opsetid("", 14)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def make(case: Case) -> Timed:
    """Make what is timed."""
    if case.dtype != "float32":
        raise Unsupported("ONNX Runtime has the operator in float32 only")
    arrays = case.arrays()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.n_threads
    session = onnxruntime.InferenceSession(
        _model(case, arrays), options, providers=["CPUExecutionProvider"]
    )
    x, lengths = arrays["x"], case.lengths().astype(np.int32)
    output = np.zeros((case.n_steps, 1, case.batch, case.hidden_size), np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("X", x)
    if case.ragged:
        binding.bind_cpu_input("lengths", lengths)
    binding.bind_output(
        "Y", "cpu", 0, np.float32, list(output.shape), output.ctypes.data
    )

    bound = x, lengths, output  # by address: they have to outlive the binding

    def forward(_bound: tuple = bound) -> None:
        session.run_with_iobinding(binding)

    def results() -> dict[str, np.ndarray]:
        forward()
        return {"output": output[:, 0].copy()}

    return Timed(forward, None, results)
