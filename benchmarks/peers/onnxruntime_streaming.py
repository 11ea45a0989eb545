"""ONNX Runtime's GRU operator on one step, the state handed in and out."""

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper

from benchmarks.peers.onnxruntime_layer import onnx_weights
from benchmarks.peers.streaming_case import Streamed, StreamingCase

CASE = StreamingCase


def _model(case: StreamingCase, arrays: dict[str, np.ndarray]) -> bytes:
    """Return a graph of one operator: x and the state to the next state."""
    node = helper.make_node(
        "GRU",
        ["X", "W", "R", "B", "", "H"],
        ["", "Y_h"],
        hidden_size=case.hidden_size,
        linear_before_reset=1,
    )
    state = [1, 1, case.hidden_size]
    weights = onnx_weights(arrays)
    graph = helper.make_graph(
        [node],
        "gru_step",
        [
            helper.make_tensor_value_info(
                "X", TensorProto.FLOAT, [1, 1, case.input_size]
            ),
            helper.make_tensor_value_info("H", TensorProto.FLOAT, state),
        ],
        [helper.make_tensor_value_info("Y_h", TensorProto.FLOAT, state)],
        [numpy_helper.from_array(w[np.newaxis], name) for name, w in weights.items()],
    )
    opset = [helper.make_opsetid("", 14)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def make(case: StreamingCase) -> Streamed:
    """Make what is timed."""
    arrays = case.arrays()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        _model(case, arrays), options, providers=["CPUExecutionProvider"]
    )
    x = arrays["x"][:, np.newaxis, np.newaxis]
    first = np.zeros((1, 1, case.hidden_size), np.float32)
    state = {"h": first}
    wanted = ["Y_h"]

    def step() -> None:
        (state["h"],) = session.run(wanted, {"X": x[0], "H": state["h"]})

    def output() -> np.ndarray:
        h, states = first, []
        for x_t in x:
            (h,) = session.run(wanted, {"X": x_t, "H": h})
            states.append(h[0, 0])
        return np.array(states)

    return Streamed({"step": step}, output)
