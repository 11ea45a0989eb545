"""ONNX models of one GRU node, ONNX Runtime, and the operator's results from fastgru.

The operator's letters: X the input, W the input weights, R the recurrent weights, B the
biases, Y the outputs, Y_h the final states; its directions are an axis of every tensor.
"""

import numpy as np
import pytest

import fastgru
from gates import swap_first_two_gates

onnx = pytest.importorskip("onnx", reason="agreement with ONNX: onnx is not installed")

REQUIRED = ("X", "W", "R")
OPTIONAL = ("B", "sequence_lens", "initial_h")
INPUTS = REQUIRED + OPTIONAL  # in the operator's order
OUTPUT_AXES = {"Y": 4, "Y_h": 3}
OUTPUTS = tuple(OUTPUT_AXES)

# The first version with today's meaning, and the first with the attribute `layout`.
OPSET, OPSET_OF_LAYOUT = 7, 14

# What stands behind the names of fastgru's parameters, in the order of W's first axis.
SUFFIXES = {
    "forward": ("_l0",),
    "reverse": ("_l0_reverse",),
    "bidirectional": ("_l0", "_l0_reverse"),
}
DEFAULTS = {"direction": "forward", "linear_before_reset": 0, "layout": 0}


def draw_arrays(rng, shape, direction, dtype):
    """Draw all inputs of a node for sizes (T, B, I, H).

    Lengths are at least 1: of a sequence without steps the operator's text does not say
    the final state; ONNX Runtime gives zeros, fastgru the initial one.
    """
    T, B, input_size, hidden_size = shape
    directions = len(SUFFIXES[direction])
    lengths = rng.integers(1, T + 1, size=B)
    lengths[B // 2] = T
    arrays = {
        "X": rng.standard_normal((T, B, input_size)),
        "W": rng.standard_normal((directions, 3 * hidden_size, input_size)),
        "R": rng.standard_normal((directions, 3 * hidden_size, hidden_size)),
        "B": rng.standard_normal((directions, 6 * hidden_size)) / 2,
        "initial_h": rng.standard_normal((directions, B, hidden_size)),
    }
    arrays["W"] /= np.sqrt(input_size)
    arrays["R"] /= np.sqrt(hidden_size)
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    return arrays | {"sequence_lens": lengths.astype(np.int32)}


def run_onnx(model, arrays):
    """Give the outputs of a model by ONNX Runtime, by name."""
    onnxruntime = pytest.importorskip(
        "onnxruntime", reason="agreement with ONNX Runtime: it is not installed"
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, arrays), strict=True))


def gru_model(arrays, attributes, constants=(), outputs=OUTPUTS):
    """Build a model of one GRU node in the oldest version that has its attributes.

    Parameters
    ----------
    arrays : dict of str to ndarray
        By the names of `INPUTS`; what is missing is left out of the node.
    attributes : dict of str to value
    constants : sequence of str
        Names of the arrays that the model holds.
    outputs : sequence of str
        Names of the outputs, those of `OUTPUTS` or some of them.

    Returns
    -------
    onnx.ModelProto
        Its inputs are the arrays; the constants need not be fed.
    """

    def value(name, dtype, shape):
        data_type = onnx.helper.np_dtype_to_tensor_dtype(dtype)
        return onnx.helper.make_tensor_value_info(name, data_type, shape)

    node = onnx.helper.make_node(
        "GRU",
        [name if name in arrays else "" for name in INPUTS],
        [name if name in outputs else "" for name in OUTPUTS],
        **attributes,
    )
    graph = onnx.helper.make_graph(
        [node],
        "gru",
        [value(name, array.dtype, array.shape) for name, array in arrays.items()],
        [
            value(name, arrays["X"].dtype, [None] * n_axes)
            for name, n_axes in OUTPUT_AXES.items()
            if name in outputs
        ],
        [onnx.numpy_helper.from_array(arrays[name], name) for name in constants],
    )
    opset = onnx.helper.make_opsetid(
        "", OPSET_OF_LAYOUT if "layout" in attributes else OPSET
    )
    model = onnx.helper.make_model(
        graph,
        opset_imports=[opset],
        ir_version=onnx.helper.find_min_ir_version_for([opset]),
    )
    onnx.checker.check_model(model)
    return model


def attributes_of(node):
    """Read a node's attributes; texts come as bytes."""
    values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in values.items()
    }


def state_dict_of(arrays, direction):
    """Bring W, R and B into the names, shapes and gate order of fastgru."""
    state = {}
    for d, suffix in enumerate(SUFFIXES[direction]):
        state[f"weight_ih{suffix}"] = swap_first_two_gates(arrays["W"][d])
        state[f"weight_hh{suffix}"] = swap_first_two_gates(arrays["R"][d])
        if "B" in arrays:
            bias_ih, bias_hh = np.split(arrays["B"][d], 2)
            state[f"bias_ih{suffix}"] = swap_first_two_gates(bias_ih)
            state[f"bias_hh{suffix}"] = swap_first_two_gates(bias_hh)
    return state


def run_fastgru(arrays, attributes):
    """Give the node's results under `OUTPUTS`, in the operator's layout.

    A node that only reads backwards is the reverse half of a bidirectional layer, whose
    forward half has other weights.
    """
    unknown = set(attributes) - {*DEFAULTS, "hidden_size"}
    assert not unknown, f"the layer has nothing for {unknown}"
    attributes = DEFAULTS | attributes
    direction, layout = attributes["direction"], attributes["layout"]
    x, hidden_size = arrays["X"], attributes["hidden_size"]
    gru = fastgru.GRU(
        x.shape[2],
        hidden_size,
        bias="B" in arrays,
        batch_first=bool(layout),
        bidirectional=direction != "forward",
        reset_after=bool(attributes["linear_before_reset"]),
        dtype=x.dtype,
        random_state=0,
    )
    drawn, given = gru.state_dict(), state_dict_of(arrays, direction)
    assert set(given) <= set(drawn)
    assert (direction == "reverse") == (set(given) != set(drawn))
    gru.load_state_dict(drawn | given)

    h_0 = arrays.get("initial_h")
    if h_0 is not None:
        h_0 = h_0.swapaxes(0, 1) if layout else h_0
        if direction == "reverse":
            h_0 = np.concatenate([np.zeros_like(h_0), h_0])
    output, h_n = gru(x, h_0, arrays.get("sequence_lens"))
    directions = len(SUFFIXES[direction])
    y = output.reshape(*output.shape[:2], -1, hidden_size)[:, :, -directions:]
    y_h = h_n[-directions:]
    # The operator's axis of directions stands before the batch, or after the steps.
    if layout:
        return {"Y": y, "Y_h": y_h.swapaxes(0, 1)}
    return {"Y": y.swapaxes(1, 2), "Y_h": y_h}


def collect_node_tests():
    """Collect the operator's own tests, models with inputs and outputs, by name."""
    # They draw from NumPy's global generator, which is put back for the other tests.
    state = np.random.get_state()  # noqa: NPY002
    from onnx.backend.test.case import node
    from onnx.backend.test.case.node import gru  # noqa: F401  (its import adds them)

    np.random.set_state(state)  # noqa: NPY002
    return {
        test.name: test
        for test in node._NodeTestCases
        if test.model.graph.node[0].op_type == "GRU"
    }


def by_name(names, values_names, values):
    """Name a node's values; it may end early, and "" is its name of one left out."""
    pairs = zip(names, values_names, strict=False)
    return dict(zip([name for name, own in pairs if own], values, strict=True))
