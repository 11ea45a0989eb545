"""ONNX graphs, put together node by node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# The version of the operators that graphs are written in: that of today's GRU, which
# ONNX Runtime reads from 1.21 on.  A newer one would only shut out older runtimes.
OPSET = 22


class GraphBuilder:
    """Collects nodes and constants under names that are given once.

    Parameters
    ----------
    prefix : str, default=""
        What all names made here begin with, for a graph that is a part of another.

    Attributes
    ----------
    nodes : list of onnx.NodeProto
    initializers : list of onnx.TensorProto
    """

    def __init__(self, prefix: str = "") -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._prefix = prefix
        self._counts: dict[str, int] = {}

    def fresh(self, word: str) -> str:
        """Return a name that begins with a word and was not given before."""
        count = self._counts[word] = self._counts.get(word, 0) + 1
        return f"{self._prefix}{word}_{count}"

    def constant(self, values: Any, name: str | None = None) -> str:
        """Add an array and return its name."""
        name = self.fresh("constant") if name is None else self._prefix + name
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a 1-D array of whole numbers, axes or a shape, and return its name."""
        return self.constant(np.array(values, np.int64))

    def add(
        self, kind: str, *inputs: str, output: str | None = None, **attributes: Any
    ) -> str:
        """Add a node of one output and return the output's name."""
        name = self.fresh(kind.lower()) if output is None else output
        self.add_node(kind, inputs, [name], **attributes)
        return name

    def add_node(
        self,
        kind: str,
        inputs: Iterable[str],
        outputs: Sequence[str],
        **attributes: Any,
    ) -> None:
        """Add a node; an input or output named "" is left out."""
        name = self.fresh(kind)
        node = helper.make_node(kind, list(inputs), outputs, name=name, **attributes)
        self.nodes.append(node)

    def model(
        self,
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
        metadata: dict[str, str],
    ) -> onnx.ModelProto:
        """Return the checked model of all that was added."""
        from fastgru import __version__

        graph = helper.make_graph(
            self.nodes, "fastgru", inputs, outputs, self.initializers
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(
            graph,
            opset_imports=[opset],
            ir_version=helper.find_min_ir_version_for([opset]),
            producer_name="fastgru",
            producer_version=__version__,
        )
        helper.set_model_props(model, metadata)
        onnx.checker.check_model(model, full_check=True)
        return model


def value_info(name: str, dtype: Any, *dims: str | int) -> onnx.ValueInfoProto:
    """Return what a graph says of one input or output."""
    element_type = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return helper.make_tensor_value_info(name, element_type, dims)
