"""The GRU nodes of an ONNX graph, one upon the other, and what feeds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# What may stand around GRU nodes: nothing here computes with their numbers.
_SHAPE_OPERATORS = {
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Expand",
    "Gather",
    "Identity",
    "Reshape",
    "Shape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
_ACTIVATIONS = ["sigmoid", "tanh"]
_SUPPORTED = {
    "activations",
    "direction",
    "hidden_size",
    "layout",
    "linear_before_reset",
}


@dataclass(frozen=True)
class GRUNode:
    """What a GRU node says, with its weights."""

    w: np.ndarray  # (D, 3H, I)
    r: np.ndarray  # (D, 3H, H)
    b: np.ndarray | None  # (D, 6H)
    bidirectional: bool
    layout: int
    reset_after: bool

    @property
    def hidden_size(self) -> int:
        """Number of units, H."""
        return self.r.shape[2]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What layers of one GRU have in common."""
        return self.hidden_size, self.bidirectional, self.reset_after


@dataclass(frozen=True)
class Chain:
    """GRU nodes, each reading the one before, and the graph's inputs they read."""

    nodes: list[GRUNode]
    x: str
    batch_first: bool  # whether x is (B, T, I)
    lengths: set[str]
    initial_h: list[str]  # of each node that has one; the same name for parts of one


class GraphReader:
    """Finds where the values of a graph come from.

    Parameters
    ----------
    graph : onnx.GraphProto
    weights : mapping of str to array
        Values of inputs that hold weights.
    """

    def __init__(self, graph: onnx.GraphProto, weights: Mapping[str, Any]) -> None:
        self._producers = {
            name: node for node in graph.node for name in node.output if name
        }
        self._constants = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        names = [value.name for value in graph.input]
        if unknown := set(weights) - set(names):
            raise ValueError(
                f"weights holds {sorted(unknown)}, but the graph's inputs are {names}"
            )
        for name, values in weights.items():
            self._constants[name] = np.asarray(values)
        self.inputs = [name for name in names if name not in self._constants]
        self.gru_nodes = [node for node in graph.node if node.op_type == "GRU"]
        _check_operators(graph)

    def read(self) -> Chain:
        """Return the graph's GRU nodes, or say what is not supported."""
        if not self.gru_nodes:
            raise ValueError("the graph has no GRU node")
        nodes = [self._read_node(proto) for proto in self.gru_nodes]
        x, turns = self._source(self.gru_nodes[0].input[0])
        if x not in self.inputs or any(turn != [1, 0, 2] for turn in turns):
            raise ValueError(
                "the first GRU node must read an input of the graph, as it is or with "
                f"its first two axes swapped, but its X comes from {x!r}"
            )
        for before, node in zip(self.gru_nodes, self.gru_nodes[1:], strict=False):
            source, _ = self._source(node.input[0])
            if source != before.output[0]:
                raise ValueError(
                    f"several GRU nodes must be a chain, each reading Y of the one "
                    f"before, but {_name(node)} reads {source!r}: cut the graph into "
                    "chains, for instance by onnx.utils.extract_model"
                )
        lengths = {_input(proto, 4) for proto in self.gru_nodes} - {""}
        if lengths - set(self.inputs):
            raise ValueError(
                "sequence_lens must be an input of the graph, since fastgru takes "
                f"lengths when it is called; got {sorted(lengths)}"
            )
        return Chain(
            nodes,
            x,
            bool(nodes[0].layout) != bool(len(turns) % 2),
            lengths,
            self._initial_states(),
        )

    def _read_node(self, proto: onnx.NodeProto) -> GRUNode:
        attributes = _check_attributes(proto)
        direction = attributes.get("direction", b"forward").decode()
        if direction not in ("forward", "bidirectional"):
            raise ValueError(
                f"{_name(proto)} has direction={direction!r}, but no layer of fastgru "
                "reads backwards only: make it 'forward' and reverse each sequence "
                "before and after, or 'bidirectional'"
            )
        w, r = self._weight(proto, 1, "W"), self._weight(proto, 2, "R")
        b = self._weight(proto, 3, "B") if _input(proto, 3) else None
        node = GRUNode(
            w,
            r,
            b,
            bidirectional=direction == "bidirectional",
            layout=attributes.get("layout", 0),
            reset_after=bool(attributes.get("linear_before_reset", 0)),
        )
        _check_shapes(proto, node, attributes.get("hidden_size"))
        return node

    def _weight(self, proto: onnx.NodeProto, place: int, word: str) -> np.ndarray:
        source, turns = self._source(_input(proto, place))
        array = self._constants.get(source)
        if array is None or turns:
            raise ValueError(
                f"{word} of {_name(proto)} must be a constant, but comes from "
                f"{source!r}: if that is an input of the graph, pass its values, "
                f"weights={{{source!r}: array}}"
            )
        if array.dtype not in (np.float32, np.float64):
            raise ValueError(
                f"{word} of {_name(proto)} is of dtype {array.dtype}: convert the "
                "model to float32 first"
            )
        return array

    def _source(self, name: str) -> tuple[str, list[list[int] | None]]:
        """Return where a value comes from, and how its axes were turned on the way.

        It is followed back through what only changes its shape or takes a part of it;
        None stands for everything but a transposition.
        """
        turns: list[list[int] | None] = []
        while name in self._producers:
            node = self._producers[name]
            if node.op_type == "Constant":
                values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
                if "value" in values:
                    self._constants[name] = numpy_helper.to_array(values["value"])
                break
            if node.op_type not in _SHAPE_OPERATORS or not node.input:
                break
            if node.op_type in ("ConstantOfShape", "Shape", "Concat", "Gather"):
                break
            if node.op_type == "Transpose":
                perms = [helper.get_attribute_value(a) for a in node.attribute]
                turns.append(list(perms[0]) if perms else None)
            elif node.op_type != "Identity":
                turns.append(None)
            name = node.input[0]
        return name, turns

    def _initial_states(self) -> list[str]:
        """Return the inputs that hold first states; zeros need none."""
        names = []
        for proto in self.gru_nodes:
            source, _ = self._source(_input(proto, 5))
            if source in self.inputs:
                names.append(source)
            elif np.any(self._constants.get(source, 0)):
                raise ValueError(
                    f"initial_h of {_name(proto)} is a constant other than 0: make it "
                    "an input of the graph, since fastgru takes states when it is "
                    "called"
                )
        return names


def _check_operators(graph: onnx.GraphProto) -> None:
    """Raise ValueError if something beside the GRUs computes."""
    others = {node.op_type for node in graph.node} - _SHAPE_OPERATORS - {"GRU"}
    if others:
        raise ValueError(
            f"the graph has other operators than GRU: {', '.join(sorted(others))}. Cut "
            "the GRU out, for instance by onnx.utils.extract_model"
        )


def _check_attributes(proto: onnx.NodeProto) -> dict[str, Any]:
    """Return a GRU node's attributes, or say which fastgru does not have."""
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    if "clip" in attributes:
        raise ValueError(
            f"{_name(proto)} has clip={attributes['clip']:g}, which fastgru does not "
            "have: remove it if its bound is never reached"
        )
    activations = [name.decode() for name in attributes.get("activations", [])]
    expected = _ACTIVATIONS * (len(activations) // 2)
    if [name.lower() for name in activations] != expected:
        raise ValueError(
            f"{_name(proto)} has activations={activations}, but the gates of fastgru "
            "are Sigmoid and the candidate Tanh: run this graph by ONNX Runtime"
        )
    if unknown := set(attributes) - _SUPPORTED:
        raise ValueError(
            f"{_name(proto)} has attributes that fastgru does not have: "
            f"{', '.join(sorted(unknown))}; remove them if they change nothing"
        )
    return attributes


def _check_shapes(proto: onnx.NodeProto, node: GRUNode, hidden_size: Any) -> None:
    """Raise ValueError if a weight's shape or dtype does not fit the others."""
    directions = 1 + node.bidirectional
    size = node.r.shape[-1] if hidden_size is None else hidden_size
    expected: dict[str, tuple[int, ...]] = {
        "W": (directions, 3 * size, node.w.shape[-1]),
        "R": (directions, 3 * size, size),
        "B": (directions, 6 * size),
    }
    arrays = {"W": node.w, "R": node.r} | ({} if node.b is None else {"B": node.b})
    for word, array in arrays.items():
        if array.shape != expected[word]:
            raise ValueError(
                f"{word} of {_name(proto)} must have shape {expected[word]}, "
                f"got {array.shape}"
            )
        if array.dtype != node.w.dtype:
            raise ValueError(
                f"{word} of {_name(proto)} is {array.dtype}, but W {node.w.dtype}"
            )


def _input(proto: onnx.NodeProto, place: int) -> str:
    """Return the name of an input, "" if it is left out."""
    return proto.input[place] if len(proto.input) > place else ""


def _name(proto: onnx.NodeProto) -> str:
    return f"GRU node {proto.name!r}" if proto.name else "the GRU node"
