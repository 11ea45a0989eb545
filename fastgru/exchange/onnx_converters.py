"""Converters of the estimators for skl2onnx, which writes whole pipelines."""

from __future__ import annotations

from typing import Any

# The oldest version that has all operators of the graphs.
_OLDEST_OPSET = 18


def register_converters() -> None:
    """Let skl2onnx convert pipelines that hold fastgru's estimators.

    After that ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` know
    :class:`~fastgru.GRUClassifier`, :class:`~fastgru.GRURegressor`,
    :class:`~fastgru.GRUTransformer` and :class:`~fastgru.SequenceScaler`.  It may be
    called more than once.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Warns
    -----
    UserWarning
        During a conversion, if an estimator's weights are float64: they are rounded.

    Notes
    -----
    Declare X as ``FloatTensorType([None, None, n_features])``; of one number per step
    as ``FloatTensorType([None, n_steps])``; of tokens as
    ``Int64TensorType([None, None])``.  ``DoubleTensorType`` is possible too: GRUs
    compute in float32, scalers in float64.  Sequences of unequal lengths go in as they
    do in scikit-learn: steps at the end that are NaN in every feature are padding.

    The graph needs operators of version 18 or newer, ``target_opset=18``.  Unless the
    option ``zipmap`` is False, skl2onnx gives probabilities as a list of dictionaries;
    with ``return_sequences`` or several labels per sample there are none to make, and
    it must be False.

    Each estimator's part of the graph is compared as :func:`to_onnx` does, the whole of
    it is not.

    See Also
    --------
    to_onnx : Single models, with lengths as an input, compared.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.pipeline import make_pipeline
    >>> from skl2onnx import to_onnx
    >>> from skl2onnx.common.data_types import FloatTensorType
    >>> from fastgru import GRURegressor, SequenceScaler
    >>> from fastgru.exchange import register_converters
    >>> X = np.random.default_rng(0).normal(size=(20, 9, 3)).astype(np.float32)
    >>> y = X.sum(axis=(1, 2))
    >>> gru = GRURegressor(8, tol=0.1, random_state=0)
    >>> model = make_pipeline(SequenceScaler(), gru).fit(X, y)
    >>> register_converters()
    >>> x_type = [("X", FloatTensorType([None, None, 3]))]
    >>> graph = to_onnx(model, initial_types=x_type).graph
    >>> [value.name for value in graph.input], [value.name for value in graph.output]
    (['X'], ['variable'])
    """
    from skl2onnx import update_registered_converter

    from fastgru.estimators import (
        GRUClassifier,
        GRURegressor,
        GRUTransformer,
        SequenceScaler,
    )

    update_registered_converter(
        GRUClassifier,
        "FastgruGRUClassifier",
        _declare_outputs,
        _convert_estimator,
        # Without "nocl", which it asks for itself, it cannot make dictionaries.
        options={"zipmap": [True, False, "columns"], "nocl": [False]},
    )
    for estimator in (GRURegressor, GRUTransformer):
        alias = f"Fastgru{estimator.__name__}"
        update_registered_converter(
            estimator, alias, _declare_outputs, _convert_estimator
        )
    update_registered_converter(
        SequenceScaler, "FastgruSequenceScaler", _declare_scaled, _convert_scaler
    )


# -- what skl2onnx calls, by the names of the arguments --


def _declare_outputs(operator: Any) -> None:
    """Set the types of what an estimator returns."""
    from fastgru.exchange.onnx_estimators import output_infos

    infos = output_infos(operator.raw_operator)
    for variable, info in zip(operator.outputs, infos, strict=True):
        tensor = info.type.tensor_type
        shape = [dim.dim_value or None for dim in tensor.shape.dim]
        element_type = _element_type(operator, tensor.elem_type)
        variable.set_type(_tensor_type(element_type)(shape))


def _declare_scaled(operator: Any) -> None:
    """Set the type of what a scaler returns."""
    from onnx import TensorProto

    element_type = _element_type(operator, TensorProto.FLOAT)
    shape = operator.inputs[0].type.shape
    operator.outputs[0].set_type(_tensor_type(element_type)(shape))


def _convert_estimator(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    from fastgru.exchange._models import network_of
    from fastgru.exchange.onnx_estimators import (
        add_estimator,
        add_lengths,
        output_infos,
    )
    from fastgru.exchange.onnx_export import compare_in_pipeline, warn_of_rounding

    model = operator.raw_operator
    _check_options(model, container)
    warn_of_rounding(network_of(model).dtype, stacklevel=2)
    compare_in_pipeline(model)
    graph = _new_builder(scope, container)
    is_tokens = model._form.kind == "tokens"
    element_type = TensorProto.INT64 if is_tokens else TensorProto.FLOAT
    x = graph.add("Cast", operator.inputs[0].full_name, to=element_type)
    lengths = add_lengths(graph, x) if model._form.kind == "sequences" else None
    names = add_estimator(graph, model, x, lengths)
    for place, info in enumerate(output_infos(model)):
        given = info.type.tensor_type.elem_type
        if (wanted := _element_type(operator, given)) != given:
            names[place] = graph.add("Cast", names[place], to=wanted)
    _hand_over(graph, names, operator, container)


def _convert_scaler(scope: Any, operator: Any, container: Any) -> None:
    from onnx import TensorProto

    from fastgru.exchange.onnx_estimators import add_scaler
    from fastgru.exchange.onnx_export import compare_in_pipeline

    compare_in_pipeline(operator.raw_operator)
    graph = _new_builder(scope, container)
    x = graph.add("Cast", operator.inputs[0].full_name, to=TensorProto.DOUBLE)
    x = add_scaler(graph, operator.raw_operator, x)
    x = graph.add("Cast", x, to=_element_type(operator, TensorProto.FLOAT))
    _hand_over(graph, [x], operator, container)


# -- helpers --


def _tensor_type(element_type: int) -> Any:
    """Return skl2onnx's class of tensors of a type."""
    from onnx import TensorProto
    from skl2onnx.common import data_types

    return {
        TensorProto.FLOAT: data_types.FloatTensorType,
        TensorProto.DOUBLE: data_types.DoubleTensorType,
        TensorProto.INT64: data_types.Int64TensorType,
        TensorProto.STRING: data_types.StringTensorType,
    }[element_type]


def _element_type(operator: Any, element_type: int) -> int:
    """Return the type of a result: numbers are float64 if the input is.

    Of probabilities dictionaries can hold only float32, and columns only the input's
    type.
    """
    from onnx import TensorProto
    from skl2onnx.common.data_types import DoubleTensorType

    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    if element_type != TensorProto.FLOAT or not is_double:
        return element_type
    model = operator.raw_operator
    if hasattr(model, "predict_proba"):
        options = operator.scope_inst.get_options(model, {"zipmap": True})
        if options["zipmap"] != "columns":
            return element_type
    return TensorProto.DOUBLE


def _check_options(model: Any, container: Any) -> None:
    """Raise ValueError for lists of dictionaries that cannot be made."""
    if not (hasattr(model, "predict_proba") and model._predicts_steps):
        return
    if container.get_options(model, {"zipmap": True})["zipmap"] is not False:
        raise ValueError(
            "with return_sequences=True probabilities are no table: convert with the "
            'option {"zipmap": False}'
        )


def _new_builder(scope: Any, container: Any) -> Any:
    """Return a builder whose names are nobody else's."""
    from fastgru.exchange.onnx_graph import GraphBuilder

    if container.target_opset < _OLDEST_OPSET:
        raise ValueError(
            f"the graphs of fastgru need target_opset={_OLDEST_OPSET} or newer, "
            f"got {container.target_opset}"
        )
    return GraphBuilder(scope.get_unique_operator_name("fastgru") + "_")


def _hand_over(graph: Any, names: list[str], operator: Any, container: Any) -> None:
    """Give skl2onnx what was built, under its names of the outputs."""
    from onnx import helper, numpy_helper

    for name, variable in zip(names, operator.outputs, strict=True):
        graph.add("Identity", name, output=variable.full_name)
    for tensor in graph.initializers:
        values = numpy_helper.to_array(tensor)
        container.add_initializer(
            tensor.name, tensor.data_type, list(values.shape), values.ravel().tolist()
        )
    for node in graph.nodes:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        container.add_node(
            node.op_type,
            list(node.input),
            list(node.output),
            name=node.name,
            **attributes,
        )
