"""Plans of estimators and of pipelines of them; see ``_plans``."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastgru.exchange._describing import ESTIMATORS
from fastgru.exchange._plans import (
    ParametersPlan,
    Plan,
    Source,
    Wanted,
    check_parameters,
    plan_network,
    plan_settings,
    plan_training,
)
from fastgru.exchange._values import (
    check_count,
    check_list,
    check_tokens,
    check_type,
    rebuild_labels,
    take,
)
from fastgru.exchange.container import shortened

# The layers of an estimator's network, by the letters below.
_LETTERS = {
    "Embedding": "E",
    "OneHot": "H",
    "GRU": "G",
    "Pooling": "P",
    "Dropout": "o",
    "Dense": "D",
}
_STRUCTURE = re.compile("E?G(o?G)*P?o?(Do?)*D")
_STRUCTURE_OF_TEXT = re.compile("(H|Eo?)Go?D")
_COMMON = ("class", "settings", "form", "feature_names_in", "output")
_NETWORK = ("network", "task", "fitted")


def plan_estimator(description: dict[str, Any], n_bytes: int) -> FittedPlan:
    kind = description.get("class")
    if kind == "SequenceScaler":
        return ScalerPlan(description)
    if kind == "GRUTransformer":
        return TransformerPlan(description, n_bytes)
    if kind == "GRULanguageModel":
        return LanguageModelPlan(description, n_bytes)
    if kind in ESTIMATORS:
        return EstimatorPlan(description, n_bytes)
    raise ValueError(
        f"it is a {shortened(kind)}, which this version of fastgru does not know"
    )


class FittedPlan(Plan):
    """A fitted estimator; what comes into it and what goes out has a form."""

    def __init__(self, description: dict[str, Any]) -> None:
        from fastgru.sequences import SequenceForm

        self.model = plan_settings(description["class"], description["settings"])
        form = check_type(description["form"], list, "form")
        if len(form) != 2 or form[0] not in ("sequences", "univariate", "tokens"):
            raise ValueError(f"the form of X is {shortened(form)}")
        self.form = SequenceForm(form[0], check_count(form[1], 1, "n_features_in_"))
        self._names = description["feature_names_in"]
        if self._names is not None:
            check_list(self._names, str, "feature_names_in")
        self._output = description["output"]
        if self._output not in (None, "default", "pandas", "polars"):
            raise ValueError(f"output is {shortened(self._output)}")

    @abstractmethod
    def form_after(self) -> Any:
        """Return the form of what a transformer gives, or None if it is none."""

    def _set_fitted(self, **fitted: Any) -> Any:
        self.model.__dict__.update(
            fitted, _form=self.form, n_features_in_=self.form.n_features_in
        )
        if self._names is not None:
            self.model.feature_names_in_ = np.array(self._names, object)
        if self._output is not None and hasattr(self.model, "set_output"):
            self.model.set_output(transform=self._output)
        return self.model


class ScalerPlan(FittedPlan):
    """A fitted SequenceScaler."""

    def __init__(self, description: dict[str, Any]) -> None:
        take(description, "SequenceScaler", *_COMMON, "n_steps_seen")
        super().__init__(description)
        self.model._validate_params()
        if self.form.kind == "tokens":
            raise ValueError("a SequenceScaler reads no tokens")
        self._n_steps = check_count(description["n_steps_seen"], 1, "n_steps_seen_")

    def tensors(self) -> Iterator[Wanted]:
        """Yield the three arrays, a number for each feature."""
        for name in ("mean", "var", "scale"):
            yield Wanted(name, (self.form.n_channels,), np.dtype(np.float64))

    def build(self, source: Source) -> Any:
        """Make the scaler."""
        fitted = {}
        for name, shape, dtype in self.tensors():
            fitted[f"{name}_"] = np.empty(shape, dtype)
            source.read_into(name, fitted[f"{name}_"])
        return self._set_fitted(n_steps_seen_=self._n_steps, **fitted)

    def form_after(self) -> Any:
        """Return the form of X."""
        return self.form


class EstimatorPlan(FittedPlan):
    """A fitted estimator with a network."""

    def __init__(self, description: dict[str, Any], n_bytes: int, *more: str) -> None:
        take(description, description["class"], *_COMMON, *_NETWORK, *more)
        super().__init__(description)
        check_parameters(self.model)
        parts = take(description["network"], "network", "layers", "batch_first")
        self._network = ParametersPlan(plan_network(*parts))
        self._check_network()
        network = self._network.model
        self._task = _plan_task(description["task"], network, n_bytes)
        self._check_task()
        self._training = plan_training(description["fitted"])

    def _check_network(self) -> None:
        """Check that the network is one of an estimator that reads this form."""
        network, form = self._network.model, self.form
        letters = "".join(_LETTERS[type(layer).__name__] for layer in network.layers)
        if not _STRUCTURE.fullmatch(letters):
            raise ValueError("its layers are not those of an estimator's network")
        is_tokens = form.kind == "tokens"
        expected = None if is_tokens else form.n_channels
        if network._input.n_features != expected or (
            is_tokens and form.n_features_in != 1
        ):
            raise ValueError(f"its network does not read {form}")
        if is_tokens != (self.model.n_tokens is not None):
            raise ValueError(
                f"n_tokens={self.model.n_tokens!r}, but it was fitted on {form}"
            )

    def _check_task(self) -> None:
        """Check that the estimator learns such a task."""
        learned = {
            "GRUClassifier": ("Classes", "Labels"),
            "GRURegressor": ("Numbers",),
            "GRUTransformer": tuple(_TASKS),
        }
        task, name = self._task, type(self.model).__name__
        if type(task).__name__ not in learned[name]:
            raise ValueError(f"{name} does not learn {type(task).__name__}")
        per_step = self._network.model._output.per == "step"
        # A transformer's network pools what a target was learned for.
        if name == "GRUTransformer" and per_step != task.is_next_step:
            raise ValueError("pooling does not fit what was learned")

    def tensors(self) -> Iterator[Wanted]:
        """Yield the arrays of the network."""
        return self._network.tensors()

    def build(self, source: Source) -> Any:
        """Make the estimator."""
        network, task = self._network.build(source), self._task
        return self._set_fitted(
            _network=network,
            _task=task,
            n_outputs_=task.n_outputs,
            out_activation_=task.loss.activation,
            **self._training,
            **self._own_fitted(network),
        )

    def _own_fitted(self, network: Any) -> dict[str, Any]:
        return self.model._own_fitted(self._task, network)

    def form_after(self) -> Any:
        """Return None: there is no transform."""
        return None


class TransformerPlan(EstimatorPlan):
    """A fitted GRUTransformer, with the pooling that it was fitted with."""

    def __init__(self, description: dict[str, Any], n_bytes: int) -> None:
        from fastgru.layers.pooling import KINDS

        super().__init__(description, n_bytes, "pooling")
        self._pooling = description["pooling"]
        kinds: tuple[str, ...] = KINDS
        network = self._network.model
        if network._output.per != "step":
            kinds = tuple(p.how for p in network.layers if hasattr(p, "how"))
        elif "attention" in kinds:  # which has weights of its own
            kinds = tuple(kind for kind in KINDS if kind != "attention")
        if self._pooling not in kinds:
            raise ValueError(f"pooling is {shortened(self._pooling)}")

    def _own_fitted(self, network: Any) -> dict[str, Any]:
        from fastgru.estimators._networks import encoder

        return {"_encoder": encoder(network, self._pooling)}

    def form_after(self) -> Any:
        """Return the form of vectors."""
        from fastgru.sequences import SequenceForm

        layers = self._network.model.layers
        sizes = [g._output_size for g in layers if type(g).__name__ == "GRU"]
        return SequenceForm("univariate", sizes[-1])


class LanguageModelPlan(EstimatorPlan):
    """A fitted GRULanguageModel, with its vocabulary."""

    def __init__(self, description: dict[str, Any], n_bytes: int) -> None:
        from fastgru.estimators._vocabulary import UNKNOWN, Vocabulary
        from fastgru.estimators.language_model import task_of

        super().__init__(description, n_bytes, "vocabulary")
        tokens = check_tokens(description["vocabulary"], self._task.n_outputs)
        if tokens[0] != UNKNOWN:
            raise ValueError(f"the first token must be {UNKNOWN!r}")
        self._task = task_of(Vocabulary(tokens))

    def _check_network(self) -> None:
        network = self._network.model
        letters = "".join(_LETTERS[type(layer).__name__] for layer in network.layers)
        if not _STRUCTURE_OF_TEXT.fullmatch(letters):
            raise ValueError("its layers are not those of a language model's network")
        first = network.layers[0]
        (gru,) = (layer for layer in network.layers if type(layer).__name__ == "GRU")
        if first.n_tokens != network.output_size or gru.bidirectional:
            raise ValueError("its network does not predict the next token")
        if (self.form.kind, self.form.n_features_in) != ("tokens", 1):
            raise ValueError(f"a language model does not read {self.form}")

    def _check_task(self) -> None:
        if type(self._task).__name__ != "NextToken":
            raise ValueError("a language model learns the next token")

    def _set_fitted(self, **fitted: Any) -> Any:
        model = super()._set_fitted(**fitted)
        del model.n_features_in_  # which a text has not
        return model


# -- tasks -----------------------------------------------------------------------------

_TASKS = ("Classes", "Labels", "Numbers", "NextToken", "NextNumbers")
_LOSSES = {
    "AbsoluteError": (),
    "Huber": ("delta",),
    "Poisson": (),
    "Quantile": ("quantile",),
    "SquaredError": (),
}


def _plan_task(description: Any, network: Any, n_bytes: int) -> Any:
    from fastgru.estimators import _tasks as tasks

    kind = description.get("class") if isinstance(description, dict) else None
    n_outputs = network.output_size
    if kind == "Labels":
        take(description, kind, "class")
        return tasks.Labels(n_outputs)
    if kind == "NextToken":
        take(description, kind, "class")
        return tasks.NextToken(np.arange(n_outputs))
    if kind == "Classes":
        _, classes = take(description, kind, "class", "classes")
        return tasks.Classes(rebuild_labels(classes, n_outputs, n_bytes))
    if kind not in ("Numbers", "NextNumbers"):
        raise ValueError(f"there is no task {shortened(kind)}")
    _, loss, n_targets = take(description, kind, "class", "loss", "n_targets")
    if n_targets is not None:
        check_count(n_targets, 1, "n_targets")
    if (n_targets or 1) != n_outputs:
        raise ValueError(
            f"there are {n_outputs} outputs for {shortened(n_targets)} targets"
        )
    return getattr(tasks, kind)(_plan_loss(loss), n_targets)


def _plan_loss(description: Any) -> Any:
    from fastgru import losses

    check_type(description, list, "loss")
    if len(description) != 2 or description[0] not in _LOSSES:
        raise ValueError(f"there is no loss {shortened(description)}")
    kind, settings = description
    values = take(settings, f"the settings of {kind}", *_LOSSES[kind])
    return getattr(losses, kind)(*values)


# -- pipelines -------------------------------------------------------------------------


class Behind(NamedTuple):
    """The arrays of a file whose names begin with a prefix, by the rest of it."""

    prefix: str
    source: Source

    def read_into(self, name: str, target: np.ndarray) -> None:
        """Read an array to where one of its shape and dtype stands."""
        self.source.read_into(self.prefix + name, target)


class PipelinePlan(Plan):
    """A pipeline of fitted estimators, each of whose arrays is behind its name."""

    def __init__(self, description: dict[str, Any], n_bytes: int) -> None:
        names = ("class", "steps", "transform_input", "verbose")
        _, steps, transform_input, verbose = take(description, "Pipeline", *names)
        if transform_input is not None:
            check_list(transform_input, str, "transform_input")
        self._settings = {
            "transform_input": transform_input,
            "verbose": check_type(verbose, bool, "verbose"),
        }
        self._steps = [
            self._plan_step(step, n_bytes) for step in check_list(steps, list, "steps")
        ]
        _check_names([name for name, _ in self._steps])
        self._check_forms()

    def _plan_step(self, step: list[Any], n_bytes: int) -> tuple[str, Any]:
        if len(step) != 2:
            raise ValueError("a step must be a name and what it does")
        name, description = step
        check_type(name, str, "the name of a step")
        if description is None or description == "passthrough":
            return name, description
        if not isinstance(description, dict):
            raise ValueError(f"step {shortened(name)} is {shortened(description)}")
        return name, plan_estimator(description, n_bytes)

    def _check_forms(self) -> None:
        """Check that each step can read what the one before it gives."""
        plans = [plan for _, plan in self._steps if isinstance(plan, FittedPlan)]
        if not plans:
            raise ValueError("a pipeline in a file has a step that was fitted")
        for before, after in pairwise(plans):
            came = before.form_after()
            if came != after.form:
                raise ValueError(
                    f"{type(after.model).__name__} in a pipeline reads {after.form}, "
                    f"but what comes from {type(before.model).__name__} is {came}"
                )
        last = self._steps[-1][1]
        if plans[-1].form_after() is None and plans[-1] is not last:
            raise ValueError(
                f"{type(plans[-1].model).__name__} must be the last step of a pipeline"
            )

    def tensors(self) -> Iterator[Wanted]:
        """Yield the arrays of all steps."""
        for name, plan in self._steps:
            if isinstance(plan, Plan):
                for tensor in plan.tensors():
                    yield tensor._replace(name=f"{name}.{tensor.name}")

    def build(self, source: Source) -> Any:
        """Make the pipeline."""
        from sklearn.pipeline import Pipeline

        steps = []
        for name, plan in self._steps:
            if isinstance(plan, Plan):
                plan = plan.build(Behind(f"{name}.", source))
            steps.append((name, plan))
        return Pipeline(steps, **self._settings)


def _check_names(names: list[str]) -> None:
    for name in names:
        if not name or "__" in name or name in ("steps", "memory", "verbose"):
            raise ValueError(f"a step cannot have the name {shortened(name)}")
    if len(set(names)) < len(names):
        raise ValueError("two steps of a pipeline have the same name")
