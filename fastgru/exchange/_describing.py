"""From models to what a file holds of them: tensors, and the rest as JSON values."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgru.exchange._values import describe_labels, describe_tokens, plain

Described = tuple[dict[str, np.ndarray], dict[str, Any]]

LAYERS = ("Dense", "Dropout", "Embedding", "GRU", "GRUCell", "OneHot", "Pooling")
ESTIMATORS = ("GRUClassifier", "GRULanguageModel", "GRURegressor", "GRUTransformer")


def is_known(model: Any, names: tuple[str, ...]) -> bool:
    """Whether a model is of one of fastgru's classes of these names, not of a subclass.

    It loads no class that the model does not need.
    """
    import fastgru

    name = type(model).__name__
    return name in names and type(model) is getattr(fastgru, name)


def describe(model: Any) -> Described:
    """Return a model's tensors and the rest of it as JSON values."""
    if is_known(model, LAYERS):
        return model.state_dict(), describe_layer(model)
    if is_known(model, ("Network",)):
        return model.state_dict(), {"class": "Network", **describe_network(model)}
    if is_known(model, ESTIMATORS):
        return _describe_estimator(model)
    if is_known(model, ("GRUForecaster",)):
        return _describe_forecaster(model)
    if is_known(model, ("SequenceScaler",)):
        return _describe_scaler(model)
    if _is_pipeline(model):
        return _describe_pipeline(model)
    raise TypeError(
        "expected a layer, a Network, a GRUClassifier, GRURegressor, GRUTransformer, "
        "GRULanguageModel, GRUForecaster or SequenceScaler, or a Pipeline of these, "
        f"got {_full_name(model)}"
    )


def _full_name(model: Any) -> str:
    return f"{type(model).__module__}.{type(model).__qualname__}"


def describe_layer(layer: Any) -> dict[str, Any]:
    """Return class and settings of a layer."""
    if not is_known(layer, LAYERS):
        raise TypeError(f"a file holds layers of fastgru, got {_full_name(layer)}")
    return {"class": type(layer).__name__, "settings": layer.settings()}


def describe_network(network: Any) -> dict[str, Any]:
    """Return the layers of a network and its order of axes."""
    layers = [describe_layer(layer) for layer in network.layers]
    return {"layers": layers, "batch_first": network.batch_first}


def _describe_estimator(model: Any) -> Described:
    description = _describe_fitted(model) | _describe_input(model)
    description |= _describe_training(model) | {"task": _describe_task(model._task)}
    if hasattr(model, "vocabulary_"):
        description["vocabulary"] = describe_tokens(model.vocabulary_)
    if hasattr(model, "_encoder"):
        description["pooling"] = model._encoder.layers[-1].how
    return model._network.state_dict(), description


def _describe_forecaster(model: Any) -> Described:
    from fastgru.exchange._forecaster_plans import describe_parts

    description = _describe_fitted(model) | _describe_training(model)
    arrays, parts = describe_parts(model)
    return model._network.state_dict() | arrays, description | parts


def _describe_scaler(scaler: Any) -> Described:
    description = _describe_fitted(scaler) | _describe_input(scaler)
    description["n_steps_seen"] = scaler.n_steps_seen_
    names = ("mean", "var", "scale")
    return {name: getattr(scaler, f"{name}_") for name in names}, description


def _describe_fitted(model: Any) -> dict[str, Any]:
    """Return what all fitted estimators have."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(model)
    settings = model.get_params(deep=False)
    if "callbacks" in settings:
        settings["callbacks"] = None
    if isinstance(settings.get("random_state"), np.random.RandomState):
        settings["random_state"] = None
    return {
        "class": type(model).__name__,
        "settings": {name: plain(name, value) for name, value in settings.items()},
    }


def _describe_input(model: Any) -> dict[str, Any]:
    """Return what comes into an estimator of sequences, and how its output goes."""
    names = getattr(model, "feature_names_in_", None)
    return {
        "form": [model._form.kind, int(model._form.n_features_in)],
        "feature_names_in": None if names is None else [str(name) for name in names],
        "output": getattr(model, "_sklearn_output_config", {}).get("transform"),
    }


def _describe_training(model: Any) -> dict[str, Any]:
    """Return what all estimators with a network have."""
    history = model._history
    return {
        "network": describe_network(model._network),
        "fitted": {
            "t": int(model.t_),
            "losses": [float(loss) for loss in history.losses],
            "scores": [float(score) for score in history.scores],
            "stopped_by_score": model.best_loss_ is None,
        },
    }


def _describe_task(task: Any) -> dict[str, Any]:
    from fastgru.estimators._tasks import Labels, NextToken, Numbers

    description: dict[str, Any] = {"class": type(task).__name__}
    if isinstance(task, Numbers):
        n_targets = task.n_targets
        description["loss"] = [type(task.loss).__name__, vars(task.loss)]
        description["n_targets"] = None if n_targets is None else int(n_targets)
    elif not isinstance(task, (Labels, NextToken)):
        description["classes"] = describe_labels(task.classes)
    return description


def _is_pipeline(model: Any) -> bool:
    from sklearn.pipeline import Pipeline

    return type(model) is Pipeline


def _describe_pipeline(pipeline: Any) -> Described:
    """Return the tensors of all steps, each behind its step's name."""
    tensors: dict[str, np.ndarray] = {}
    steps: list[list[Any]] = []
    for name, step in pipeline.steps:
        if step is None or step == "passthrough":
            steps.append([name, step])
            continue
        if is_known(step, ("GRUForecaster",)):
            raise TypeError(
                f"a pipeline in a file has no GRUForecaster, as {name!r} is one: save "
                "the forecaster by itself"
            )
        if not is_known(step, (*ESTIMATORS, "SequenceScaler")):
            raise TypeError(
                f"a pipeline in a file has steps of fastgru's estimators, but {name!r} "
                f"is of class {_full_name(step)}; keep it with joblib or skops instead"
            )
        own, description = describe(step)
        tensors |= {f"{name}.{key}": array for key, array in own.items()}
        steps.append([name, description])
    transform_input = pipeline.transform_input
    return tensors, {
        "class": "Pipeline",
        "steps": steps,
        "transform_input": None if transform_input is None else list(transform_input),
        "verbose": bool(pipeline.verbose),
    }
