"""GRUs out of ONNX graphs: others' and our own, or a word on what is not supported."""

import json
import warnings
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import fastgru
from cases import BOTH_CELLS, BOTH_DTYPES
from networks import EACH_NETWORK, draw_inputs, make_network
from onnx_models import (
    OUTPUTS,
    SUFFIXES,
    by_name,
    collect_node_tests,
    draw_arrays,
    gru_model,
    onnx,
    run_onnx,
)
from tolerances import assert_close, assert_same_bits

from_onnx, to_onnx = fastgru.exchange.from_onnx, fastgru.exchange.to_onnx
TOLERANCES = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-10}
SMALL = (5, 3, 2, 4)  # T, B, I, H
WEIGHTS = ("W", "R", "B")


def weights_in(arrays):
    """Give the names of the weights among a node's inputs."""
    return [name for name in WEIGHTS if name in arrays]


def make_model(arrays, attributes=None, **options):
    """Build a model of one GRU node that holds its weights."""
    attributes = {"hidden_size": arrays["R"].shape[2]} | (attributes or {})
    return gru_model(arrays, attributes, weights_in(arrays), **options)


def results_of(gru, arrays):
    """Give a layer's results in the operator's forms."""
    layout = gru.batch_first
    h_0 = arrays.get("initial_h")
    if h_0 is not None and layout:
        h_0 = h_0.swapaxes(0, 1)
    output, h_n = gru(arrays["X"], h_0, arrays.get("sequence_lens"))
    y = output.reshape(*output.shape[:2], -1, gru.hidden_size)
    if layout:
        return {"Y": y, "Y_h": h_n.swapaxes(0, 1)}
    return {"Y": y.swapaxes(1, 2), "Y_h": h_n}


def assert_agree(gru, arrays, expected):
    """Assert that a layer gives what a node gave."""
    results = results_of(gru, arrays)
    for name, array in expected.items():
        tolerance = TOLERANCES[gru.dtype]
        assert_close(name, results[name], array, gru.dtype, tolerance)


def feeds_of(arrays):
    """Leave out the weights, which the model holds."""
    return {name: array for name, array in arrays.items() if name not in WEIGHTS}


# -- our own graphs --


@pytest.mark.parametrize("batch_first", [False, True])
@BOTH_CELLS
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("inputs", [True, False], ids=["all_inputs", "x_alone"])
def test_a_gru_comes_back(
    inputs, num_layers, bidirectional, bias, reset_after, batch_first
):
    gru = fastgru.GRU(
        3,
        5,
        num_layers,
        bias,
        batch_first,
        bidirectional=bidirectional,
        reset_after=reset_after,
        random_state=0,
    )
    back = from_onnx(to_onnx(gru, lengths=inputs, initial_state=inputs))
    assert back.settings() == gru.settings()
    expected = gru.state_dict()
    for name, array in back.state_dict().items():
        assert_same_bits(name, array, expected[name])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [False, True])
@EACH_NETWORK
def test_a_network_comes_back_without_its_dropout(kind, lengths, batch_first):
    network = make_network(kind, dtype=np.float32, batch_first=batch_first)
    back = from_onnx(to_onnx(network, lengths=lengths))
    assert back.batch_first == batch_first
    kept = [x for x in network.layers if not isinstance(x, fastgru.Dropout)]
    assert [layer.settings() for layer in back.layers] == [
        layer.settings() for layer in kept
    ]
    x = draw_inputs(kind, 6, 4, dtype=np.float32)
    given = [6, 2, 0, 5]
    x = x.swapaxes(0, 1) if batch_first else x
    assert_same_bits("outputs", back(x, given), network(x, given))


def test_a_file_is_read(tmp_path):
    gru = fastgru.GRU(3, 5, random_state=0)
    to_onnx(gru, tmp_path / "gru.onnx")
    for path in (tmp_path / "gru.onnx", str(tmp_path / "gru.onnx")):
        loaded = from_onnx(path).state_dict()
        for name, array in gru.state_dict().items():
            assert_same_bits(name, loaded[name], array)


# -- ONNX's own tests of the operator --

NODE_TESTS = collect_node_tests()
REFUSED_NODE_TESTS = {"test_gru_reverse": "direction='reverse'.*reverse each sequence"}


@pytest.mark.parametrize("test", NODE_TESTS.values(), ids=NODE_TESTS)
def test_the_operators_own_tests(test):
    (node,) = test.model.graph.node
    assert test.data_sets
    for inputs, outputs in test.data_sets:
        arrays = by_name(("X", "W", "R", "B"), node.input, inputs)
        weights = {name: arrays[name] for name in weights_in(arrays)}
        if test.name in REFUSED_NODE_TESTS:
            with pytest.raises(ValueError, match=REFUSED_NODE_TESTS[test.name]):
                from_onnx(test.model, weights=weights)
            continue
        gru = from_onnx(test.model, weights=weights)
        assert_agree(gru, arrays, by_name(OUTPUTS, node.output, outputs))


def test_all_refused_tests_are_there():
    assert set(REFUSED_NODE_TESTS) <= set(NODE_TESTS)


# -- ONNX Runtime's own tests of the operator, by their names, with other numbers --


@dataclass(frozen=True)
class RuntimeCase:
    """What one of ONNX Runtime's tests is about."""

    direction: str = "forward"
    batch: int = 2
    steps: int = 2
    input_size: int = 2
    hidden_size: int = 2
    bias: bool = True
    reset_after: bool = False
    activations: tuple = ("sigmoid", "tanh")
    lengths: object = "full"  # or None: left out, or a list
    initial_h: object = "zeros"  # or None: left out, or "drawn"
    scale: float = 1.0
    others: dict = field(default_factory=dict)  # attributes
    error: object = None

    def arrays(self, rng):
        """Draw what the node reads."""
        shape = (self.steps, self.batch, self.input_size, self.hidden_size)
        arrays = draw_arrays(rng, shape, self.direction, np.float32)
        arrays["X"] *= np.float32(self.scale)
        if isinstance(self.lengths, list):
            arrays["sequence_lens"] = np.array(self.lengths, np.int32)
        else:
            arrays["sequence_lens"][:] = self.steps
        if self.initial_h == "zeros":
            arrays["initial_h"][:] = 0
        left_out = {
            "B": not self.bias,
            "sequence_lens": self.lengths is None,
            "initial_h": self.initial_h is None,
        }
        for name in [name for name in left_out if left_out[name]]:
            del arrays[name]
        return arrays

    @property
    def attributes(self):
        """Give the node's attributes."""
        directions = len(SUFFIXES[self.direction])
        activations = list(self.activations)
        if len(activations) == 2:
            activations *= directions
        return {
            "direction": self.direction,
            "linear_before_reset": int(self.reset_after),
            "activations": activations,
            **self.others,
        }


SIMPLE = RuntimeCase(input_size=1, hidden_size=3, lengths=None, initial_h=None)
BASIC = RuntimeCase(batch=1)
BOTH = replace(BASIC, direction="bidirectional")
LARGE = RuntimeCase(hidden_size=32, steps=1, initial_h="drawn")
BACKWARDS = {"direction": "reverse", "error": "direction='reverse'"}
# Where a name stands for several graphs, what tells them apart is in brackets.
RUNTIME_CASES = {
    "ForwardDefaultActivationsSimpleWeightsNoBiasTwoRows": replace(SIMPLE, bias=False),
    "ReverseDefaultActivationsSimpleWeightsNoBiasTwoRows": replace(
        SIMPLE, bias=False, **BACKWARDS
    ),
    "BidirectionalDefaultActivationsSimpleWeightsNoBiasTwoRows": replace(
        SIMPLE, bias=False, direction="bidirectional"
    ),
    "ForwardDefaultActivationsSimpleWeightsWithBiasBatchParallel": SIMPLE,
    "ForwardDefaultActivationsSimpleWeightsWithBiasBatchParallelLinearBeforeReset": (
        replace(SIMPLE, reset_after=True)
    ),
    "ReverseDefaultActivationsSimpleWeightsWithBiasBatchParallelLinearBeforeReset": (
        replace(SIMPLE, reset_after=True, **BACKWARDS)
    ),
    "ForwardDefaultActivationsSimpleWeightsWithBiasLinearBeforeReset": replace(
        SIMPLE, batch=1, reset_after=True
    ),
    "ReverseDefaultActivationsSimpleWeightsWithBiasLinearBeforeReset": replace(
        SIMPLE, batch=1, reset_after=True, **BACKWARDS
    ),
    "ONNXRuntime_TestGRUOpForwardBasic": BASIC,
    "ONNXRuntime_TestGRUOpBackwardBasic": replace(BASIC, **BACKWARDS),
    "ONNXRuntime_TestGRUOpBidirectionalBasic": BOTH,
    "ONNXRuntime_TestGRUOpForwardActivation": replace(
        BASIC,
        activations=("tanh", "sigmoid"),
        error=r"activations=\['tanh', 'sigmoid'\].*gates of fastgru are Sigmoid",
    ),
    "ONNXRuntime_TestGRUOpForwardInitialHiddenState": replace(BASIC, initial_h="drawn"),
    "ONNXRuntime_TestGRUOpForwardBatch": RuntimeCase(initial_h="drawn"),
    "ONNXRuntime_TestGRUOpForwardBatchLinearBeforeReset": RuntimeCase(
        initial_h="drawn", reset_after=True
    ),
    "ONNXRuntime_TestGRUOpGrowBatchSequenceLength [1 row]": BASIC,
    "ONNXRuntime_TestGRUOpGrowBatchSequenceLength [2 rows]": RuntimeCase(
        initial_h="drawn", lengths=[2, 1]
    ),
    "ONNXRuntime_TestGRUOpGrowBatchSequenceLengthLinearBeforeReset [1 row]": replace(
        BASIC, reset_after=True
    ),
    "ONNXRuntime_TestGRUOpGrowBatchSequenceLengthLinearBeforeReset [2 rows]": (
        RuntimeCase(initial_h="drawn", lengths=[2, 1], reset_after=True)
    ),
    "ONNXRuntime_TestGRUOpSequenceLengthWithBidirectionalLinearBeforeResetB1": replace(
        BOTH, reset_after=True
    ),
    "ONNXRuntime_TestGRUOpSequenceLengthWithBidirectionalLinearBeforeResetB2": replace(
        BOTH, reset_after=True, scale=3.0
    ),
    "ONNXRuntime_TestGRUOpSequenceLengthWithBidirectionalLinearBeforeReset": replace(
        BOTH, reset_after=True, batch=2, lengths=[2, 1]
    ),
    "ONNXRuntime_TestGRUOpSequenceLengthWithPartialZero": replace(
        BOTH, batch=2, lengths=[2, 0]
    ),
    "ONNXRuntime_TestGRUOpSequenceLengthAllZeros": RuntimeCase(lengths=[0, 0]),
    "ONNXRuntime_TestGRUOpSingleBatchMultipleHiddenThreads": replace(LARGE, batch=1),
    "ONNXRuntime_TestGRUPositiveActivationClipping": replace(LARGE, scale=1e10),
    "ONNXRuntime_TestGRUPositiveActivationAlphaBeta": replace(
        LARGE,
        direction="bidirectional",
        batch=1,
        activations=("LeakyRelu", "Tanh", "Sigmoid", "ScaledTanh"),
        others={"activation_alpha": [0.5, 2.0], "activation_beta": [2.0]},
        error="activations=.*LeakyRelu",
    ),
    # Attributes that its tests have a switch for, and leave off.
    "clip": replace(BASIC, others={"clip": 3.5}, error="clip=3.5, which fastgru does"),
    "activation_alpha": replace(
        BASIC, others={"activation_alpha": [1.0]}, error="activation_alpha; remove"
    ),
}


@pytest.mark.parametrize(
    "outputs", [OUTPUTS, ("Y",), ("Y_h",)], ids=["Y+Y_h", "Y", "Y_h"]
)
@pytest.mark.parametrize("case", RUNTIME_CASES.values(), ids=RUNTIME_CASES)
def test_the_runtimes_own_cases(case, outputs, rng):
    arrays = case.arrays(rng)
    model = make_model(arrays, case.attributes, outputs=outputs)
    if case.error:
        with pytest.raises(ValueError, match=case.error):
            from_onnx(model)
        return
    expected = run_onnx(model, feeds_of(arrays))
    assert list(expected) == list(outputs)
    assert_agree(from_onnx(model), arrays, expected)


# -- what a node may say --


@pytest.mark.parametrize("names", [("Sigmoid", "Tanh"), ("SIGMOID", "tanh")])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_the_usual_activations_may_be_named(direction, names, rng):
    arrays = draw_arrays(rng, SMALL, direction, np.float32)
    activations = list(names) * len(SUFFIXES[direction])
    model = make_model(arrays, {"direction": direction, "activations": activations})
    assert_agree(from_onnx(model), arrays, run_onnx(model, feeds_of(arrays)))


@BOTH_CELLS
@BOTH_DTYPES
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_layouts_and_dtypes(direction, layout, dtype, reset_after, rng):
    arrays = draw_arrays(rng, SMALL, direction, dtype)
    if layout:
        for name in ("X", "initial_h"):
            arrays[name] = np.ascontiguousarray(arrays[name].swapaxes(0, 1))
    attributes = {"direction": direction, "layout": layout}
    attributes |= {"linear_before_reset": int(reset_after)}
    gru = from_onnx(make_model(arrays, attributes))
    assert (
        gru.settings()
        | {
            "batch_first": bool(layout),
            "dtype": np.dtype(dtype).name,
            "reset_after": reset_after,
        }
        == gru.settings()
    )
    # ONNX's reference knows no lengths, and is what runs all of these.
    del arrays["sequence_lens"]
    model = make_model(arrays, attributes)
    from onnx.reference import ReferenceEvaluator

    results = ReferenceEvaluator(model).run(None, feeds_of(arrays))
    assert_agree(gru, arrays, dict(zip(OUTPUTS, results, strict=True)))


def test_weights_may_be_constant_nodes(rng):
    arrays = draw_arrays(rng, SMALL, "bidirectional", np.float32)
    model = make_model(arrays, {"direction": "bidirectional"})
    expected = run_onnx(model, feeds_of(arrays))
    graph = model.graph
    constants = [
        onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in graph.initializer
    ]
    nodes = [*constants, *graph.node]
    inputs = [value for value in graph.input if value.name not in WEIGHTS]
    del graph.initializer[:], graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    assert_agree(from_onnx(model), arrays, expected)


def test_weights_may_be_passed(rng):
    arrays = draw_arrays(rng, SMALL, "forward", np.float32)
    model = gru_model(arrays, {"hidden_size": 4})
    with pytest.raises(ValueError, match=r"W of the GRU node.*weights=\{'W': array\}"):
        from_onnx(model)
    weights = {name: arrays[name] for name in WEIGHTS}
    gru = from_onnx(model, weights=weights)
    assert_agree(gru, arrays, run_onnx(model, arrays))
    with pytest.raises(ValueError, match=r"weights holds \['Z'\], but the graph's"):
        from_onnx(model, weights=weights | {"Z": arrays["W"]})
    with pytest.raises(TypeError, match="weights must be a mapping.*got list"):
        from_onnx(model, weights=[arrays["W"]])


# -- chains --


def parse_graph(rng, inputs, outputs, nodes, sizes, directions=1, dtype=np.float32):
    """Build a model from text; weights are W0, R0, B0 of the first node and so on.

    Parameters
    ----------
    inputs, outputs, nodes : str
        In ONNX's own notation.
    sizes : list of (input size, hidden size)
        Of each node's weights.
    """
    text = f"<ir_version: 10, opset_import: ['': 22]> g ({inputs}) => ({outputs}) "
    model = onnx.parser.parse_model(text.replace("'", '"') + "{" + nodes + "}")
    direction = "forward" if directions == 1 else "bidirectional"
    for number, (input_size, hidden_size) in enumerate(sizes):
        arrays = draw_arrays(rng, (1, 1, input_size, hidden_size), direction, dtype)
        model.graph.initializer.extend(
            onnx.numpy_helper.from_array(arrays[name], f"{name}{number}")
            for name in WEIGHTS
        )
    return model


X_TYPE, Y_TYPE = "float[time, batch, 2] X", "float[time, batch, size] Y"
ONE_AXIS = "one = Constant <value_ints = [1]> ()"
ROWS = "rows = Constant <value_ints = [0, 0, -1]> ()"


def assert_runs_the_same(model, layer, feeds, *arguments):
    """Compare a layer's or network's output with the graph's output Y."""
    expected = run_onnx(model, feeds)["Y"]
    actual = layer(feeds["X"], *arguments)
    actual = actual if isinstance(actual, np.ndarray) else actual[0]
    assert_close("Y", actual, expected, np.float32, 1e-5)


def draw(rng, *shape):
    """Draw float32 numbers."""
    return rng.standard_normal(shape).astype(np.float32)


def test_a_chain_of_equal_nodes_is_one_gru(rng):
    nodes = f"""{ONE_AXIS}
        y0 = GRU <hidden_size = 4> (X, W0, R0, B0, lens)
        x1 = Squeeze (y0, one)
        y1 = GRU <hidden_size = 4> (x1, W1, R1, , lens)
        Y = Squeeze (y1, one)
    """
    inputs = f"{X_TYPE}, int32[batch] lens"
    model = parse_graph(rng, inputs, Y_TYPE, nodes, [(2, 4), (4, 4)])
    gru = from_onnx(model)
    assert (gru.num_layers, gru.bias, gru.reset_after) == (2, True, False)
    feeds = {"X": draw(rng, 6, 5, 2), "lens": np.array([6, 3, 1, 5, 2], np.int32)}
    assert_runs_the_same(model, gru, feeds, None, feeds["lens"])


def test_a_chain_of_different_nodes_is_a_network(rng):
    nodes = f"""{ROWS}
        x0 = Transpose <perm = [1, 0, 2]> (X)
        y0 = GRU <hidden_size = 4, direction = "bidirectional"> (x0, W0, R0, B0)
        t0 = Transpose <perm = [0, 2, 1, 3]> (y0)
        x1 = Reshape (t0, rows)
        y1 = GRU <hidden_size = 3, direction = "bidirectional", linear_before_reset = 1>
            (x1, W1, R1, B1)
        t1 = Transpose <perm = [2, 0, 1, 3]> (y1)
        Y = Reshape (t1, rows)
    """
    x_type = "float[batch, time, 2] X"
    y_type = "float[batch, time, size] Y"
    model = parse_graph(rng, x_type, y_type, nodes, [(2, 4), (8, 3)], directions=2)
    network = from_onnx(model)
    assert network.batch_first
    described = [
        (gru.hidden_size, gru.bidirectional, gru.reset_after) for gru in network.layers
    ]
    assert described == [(4, True, False), (3, True, True)]
    assert_runs_the_same(model, network, {"X": draw(rng, 5, 6, 2)})


def test_states_may_be_inputs_of_their_own(rng):
    nodes = f"""{ONE_AXIS}
        y0 = GRU <hidden_size = 4> (X, W0, R0, B0, , h0)
        x1 = Squeeze (y0, one)
        y1 = GRU <hidden_size = 4> (x1, W1, R1, B1, , h1)
        Y = Squeeze (y1, one)
    """
    inputs = f"{X_TYPE}, float[1, batch, 4] h0, float[1, batch, 4] h1"
    model = parse_graph(rng, inputs, Y_TYPE, nodes, [(2, 4), (4, 4)])
    gru = from_onnx(model)
    feeds = {
        "X": draw(rng, 6, 5, 2),
        "h0": draw(rng, 1, 5, 4),
        "h1": draw(rng, 1, 5, 4),
    }
    h_0 = np.concatenate([feeds["h0"], feeds["h1"]])
    assert_runs_the_same(model, gru, feeds, h_0)


def test_final_states_side_by_side_are_known(rng):
    nodes = """
        shape = Constant <value_ints = [0, -1]> ()
        y, y_h = GRU <hidden_size = 4, direction = "bidirectional"> (X, W0, R0, B0)
        t = Transpose <perm = [1, 0, 2]> (y_h)
        Y = Reshape (t, shape)
    """
    y_type = "float[batch, size] Y"
    model = parse_graph(rng, X_TYPE, y_type, nodes, [(2, 4)], directions=2)
    x = draw(rng, 6, 5, 2)
    _, h_n = from_onnx(model)(x)
    expected = run_onnx(model, {"X": x})["Y"]
    actual = np.concatenate(h_n, axis=1)
    assert_close("Y", actual, expected, np.float32, 1e-5)


@pytest.mark.parametrize("with_states", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_graphs_of_pytorch(bidirectional, with_states, tmp_path):
    torch = pytest.importorskip("torch", reason="graphs of PyTorch: it is missing")
    torch.manual_seed(0)
    theirs = torch.nn.GRU(3, 4, 2, bidirectional=bidirectional, batch_first=True)
    h_0 = torch.randn(2 * (1 + bidirectional), 5, 4)
    arguments = (torch.randn(5, 7, 3), h_0) if with_states else (torch.randn(5, 7, 3),)
    path = str(tmp_path / "gru.onnx")
    with warnings.catch_warnings():
        # Its own: of an old exporter, of what the graph fixes, and of its batch size.
        for category in (DeprecationWarning, UserWarning, torch.jit.TracerWarning):
            warnings.simplefilter("ignore", category)
        torch.onnx.export(theirs, arguments, path, dynamo=False)
    gru = from_onnx(path)
    assert gru.batch_first
    expected = {name: w.detach().numpy() for name, w in theirs.state_dict().items()}
    actual = gru.state_dict()
    assert set(actual) == set(expected)
    for name, array in expected.items():
        assert_same_bits(name, actual[name], array)


# -- what is not supported --

PLAIN = "Y = GRU <hidden_size = 4> (X, W0, R0, B0)"
PARALLEL = f"""{ONE_AXIS}
    y0 = GRU <hidden_size = 4> (X, W0, R0, B0)
    y1 = GRU <hidden_size = 4> (X, W1, R1, B1)
    Y = Concat <axis = 1> (y0, y1)
"""
COMPUTED = "w = Tanh (W0) Y = GRU <hidden_size = 4> (X, w, R0, B0)"
TURNED = """
    w = Transpose <perm = [0, 1, 2]> (W0)
    Y = GRU <hidden_size = 4> (X, w, R0, B0)
"""
SLICED = """
    a = Constant <value_ints = [0]> ()
    b = Constant <value_ints = [1]> ()
    x = Slice (X, a, b)
    Y = GRU <hidden_size = 4> (x, W0, R0, B0)
"""
OWN_SHAPE = "float[time, d, batch, 4] Y"


@pytest.mark.parametrize(
    ("nodes", "match"),
    [
        (PARALLEL, "several GRU nodes must be a chain.*extract_model"),
        (COMPUTED, "other operators than GRU: Tanh.*extract_model"),
        (TURNED, "W of the GRU node must be a constant"),
        ("x = Transpose (X)" + PLAIN.replace("X,", "x,"), "its first two axes swapped"),
        (SLICED, "the first GRU node must read an input of the graph"),
        ("Y = Identity (X)", "the graph has no GRU node"),
        (PLAIN.replace("X,", "W0,"), "the first GRU node must read an input"),
    ],
    ids=[
        "parallel",
        "operators",
        "turned",
        "all axes turned",
        "sliced",
        "none",
        "constant x",
    ],
)
def test_graphs_that_are_refused(nodes, match, rng):
    model = parse_graph(rng, X_TYPE, OWN_SHAPE, nodes, [(2, 4), (2, 4)])
    with pytest.raises(ValueError, match=match):
        from_onnx(model)


def test_constant_lengths_are_refused(rng):
    arrays = draw_arrays(rng, SMALL, "forward", np.float32)
    model = gru_model(arrays, {"hidden_size": 4}, [*WEIGHTS, "sequence_lens"])
    with pytest.raises(ValueError, match="sequence_lens must be an input"):
        from_onnx(model)


def test_constant_states_must_be_zeros(rng):
    arrays = draw_arrays(rng, SMALL, "forward", np.float32)
    constants = [*WEIGHTS, "initial_h"]
    with pytest.raises(ValueError, match="initial_h of the GRU node is a constant"):
        from_onnx(gru_model(arrays, {"hidden_size": 4}, constants))
    arrays["initial_h"][:] = 0
    model = gru_model(arrays, {"hidden_size": 4}, constants)
    given = {name: arrays[name] for name in ("X", "sequence_lens")}
    assert_agree(from_onnx(model), given, run_onnx(model, given))


def test_states_of_a_chain_of_different_nodes_are_refused(rng):
    nodes = f"""{ONE_AXIS}
        y0 = GRU <hidden_size = 4> (X, W0, R0, B0, , h0)
        x1 = Squeeze (y0, one)
        y1 = GRU <hidden_size = 3> (x1, W1, R1, B1)
        Y = Squeeze (y1, one)
    """
    inputs = f"{X_TYPE}, float[1, batch, 4] h0"
    model = parse_graph(rng, inputs, Y_TYPE, nodes, [(2, 4), (4, 3)])
    with pytest.raises(ValueError, match="leave initial_h out of the graph"):
        from_onnx(model)
    nodes = nodes.replace("= 3", "= 4")
    model = parse_graph(rng, inputs, Y_TYPE, nodes, [(2, 4), (4, 4)])
    with pytest.raises(ValueError, match="all GRU nodes must have initial_h"):
        from_onnx(model)


def test_float16_is_refused(rng):
    arrays = draw_arrays(rng, SMALL, "forward", np.float16)
    with pytest.raises(ValueError, match="dtype float16: convert the model to float32"):
        from_onnx(make_model(arrays))


@pytest.mark.parametrize("name", WEIGHTS)
def test_shapes_are_checked(name, rng):
    arrays = draw_arrays(rng, SMALL, "forward", np.float32)
    arrays[name] = arrays[name][:, :-1]
    with pytest.raises(ValueError, match=f"{name} of the GRU node must have shape"):
        from_onnx(make_model(arrays, {"hidden_size": 4}))


def test_an_output_of_another_kind_is_refused(rng):
    nodes = """
        first = Constant <value_ints = [0]> ()
        y = GRU <hidden_size = 4> (X, W0, R0, B0)
        Y = Gather <axis = 0> (y, first)
    """
    model = parse_graph(rng, X_TYPE, OWN_SHAPE, nodes, [(2, 4)])
    with pytest.raises(
        RuntimeError, match="'Y' of shape .* none of what fastgru gives"
    ):
        from_onnx(model)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_wrong_gru_is_not_returned(dtype, monkeypatch, rng):
    from fastgru.exchange import onnx_weights

    model = make_model(draw_arrays(rng, SMALL, "bidirectional", dtype), BOTH_WAYS)
    from_onnx(model)
    monkeypatch.setattr(onnx_weights, "_swap_gates", lambda rows: rows)
    with pytest.raises(RuntimeError, match="none of what fastgru gives"):
        from_onnx(model)


BOTH_WAYS = {"direction": "bidirectional"}


def test_without_the_runtime_onnxs_reference_compares(monkeypatch, rng):
    from fastgru.exchange import onnx_check, onnx_weights

    monkeypatch.setattr(onnx_check, "has_runtime", lambda: False)
    model = make_model(draw_arrays(rng, SMALL, "forward", np.float32))
    network = to_onnx(make_network("deep", dtype=np.float32))
    assert from_onnx(model).hidden_size == 4
    assert len(from_onnx(network).layers) == 4
    monkeypatch.setattr(onnx_weights, "_swap_gates", lambda rows: rows)
    with pytest.raises(RuntimeError, match="none of what fastgru gives"):
        from_onnx(model)
    with pytest.raises(RuntimeError, match="outputs differ from the graph's"):
        from_onnx(network)


# -- networks that were changed, and what is no model --


def changed_network(change):
    """Write a network as a graph and change what the graph says of it."""
    model = to_onnx(make_network("deep", dtype=np.float32))
    (entry,) = model.metadata_props
    description = json.loads(entry.value)
    change(description)
    entry.value = json.dumps(description)
    return model


@pytest.mark.parametrize(
    "change",
    [
        lambda description: description.pop("layers"),
        lambda description: description["layers"].pop(0),
        lambda description: description["layers"][0].__setitem__(0, "Path"),
        lambda description: description["layers"][0][1].update(hidden_size=7),
        lambda description: description["layers"][0][1].update(hidden_size=1e9),
        lambda description: description["layers"][0][1].update(another=1),
    ],
)
def test_a_network_that_is_not_as_described_is_refused(change):
    with pytest.raises(ValueError, match="was changed since fastgru wrote it"):
        from_onnx(changed_network(change))


def test_a_network_that_computes_something_else_is_refused():
    def change(description):
        description["layers"][1][1]["reset_after"] = True

    with pytest.raises(RuntimeError, match="outputs differ from the graph's"):
        from_onnx(changed_network(change))


def test_other_weights_in_a_network_are_read():
    model = to_onnx(make_network("deep", dtype=np.float32))
    (bias,) = (x for x in model.graph.initializer if x.name == "3.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.array([5, 7], np.float32), "3.bias"))
    assert from_onnx(model).state_dict()["3.bias"].tolist() == [5, 7]


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(TypeError, match="onnx.ModelProto or the path of one, got list"):
        from_onnx([])
    with pytest.raises(FileNotFoundError):
        from_onnx(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match="no ONNX model|not valid"):
        from_onnx(tmp_path / "text.onnx")
    with pytest.raises(ValueError, match="not valid"):
        from_onnx(onnx.ModelProto())
