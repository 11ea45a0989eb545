"""OpenVINO's GRUSequence; it does not train.

The model is made of OpenVINO's own operators, batch first: made from ONNX's operator it
takes about twice as long.  One infer request is used again and again, with the input
set once and the output shared, latency hint, float32 throughout.
"""

import numpy as np
import openvino
from openvino import opset13 as operators

from benchmarks.peers.case import Case, Timed, Unsupported


def _with_gates_of_openvino(array: np.ndarray) -> list[np.ndarray]:
    """Return the rows of gates r, z, n as z, r, n."""
    r, z, n = np.split(array, 3)
    return [z, r, n]


def _model(case: Case, arrays: dict[str, np.ndarray]) -> openvino.Model:
    """Return a model of x (B, T, I), and of lengths if they differ, to output."""
    shape = [case.batch, case.n_steps, case.input_size]
    inputs = [operators.parameter(shape, np.float32)]
    lengths = np.full(case.batch, case.n_steps, np.int32)
    if case.ragged:
        inputs.append(operators.parameter([case.batch], np.int32))
        lengths = inputs[-1]
    weights = [
        np.concatenate(_with_gates_of_openvino(arrays[f"weight_{side}_l0"]))
        for side in ("ih", "hh")
    ]
    b_ih, b_hh = (
        _with_gates_of_openvino(arrays[f"bias_{side}_l0"]) for side in ("ih", "hh")
    )
    # The candidate's two biases stay apart if the reset gate comes between them.
    bias = [b_ih[0] + b_hh[0], b_ih[1] + b_hh[1], b_ih[2] + b_hh[2]]
    if case.reset_after:
        bias[2:] = [b_ih[2], b_hh[2]]
    sequence = operators.gru_sequence(
        inputs[0],
        np.zeros((case.batch, 1, case.hidden_size), np.float32),
        lengths,
        weights[0][np.newaxis],
        weights[1][np.newaxis],
        np.concatenate(bias)[np.newaxis],
        case.hidden_size,
        "forward",
        linear_before_reset=case.reset_after,
    )
    output = operators.squeeze(sequence.output(0), np.array([1]))
    return openvino.Model([output], inputs, "gru")


def make(case: Case) -> Timed:
    """Make what is timed."""
    if case.dtype != "float32":
        raise Unsupported("OpenVINO computes in float32 on CPUs")
    arrays = case.arrays()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": case.n_threads,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = openvino.Core().compile_model(_model(case, arrays), "CPU", settings)
    request = model.create_infer_request()
    x = np.ascontiguousarray(arrays["x"].swapaxes(0, 1))
    inputs = [x, case.lengths().astype(np.int32)][: len(model.inputs)]
    for number, values in enumerate(inputs):
        tensor = openvino.Tensor(values, shared_memory=True)
        request.set_input_tensor(number, tensor)

    # Inputs are shared by address: they have to outlive the request.
    def forward(_shared: list = inputs) -> openvino.utils.data_helpers.OVDict:
        return request.infer(share_outputs=True)

    def results() -> dict[str, np.ndarray]:
        return {"output": forward()[0].swapaxes(0, 1).copy()}

    return Timed(forward, None, results)
