"""Models in files: safetensors for the numbers, JSON in its header for the rest.

Loading runs no code from the file: it names one of a few classes known here, and its
content is checked against a digest.  The description is then checked as if there were
none, since whoever can change a file can give it the right digest as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgru.exchange._describing import LAYERS, describe
from fastgru.exchange._estimator_plans import PipelinePlan, plan_estimator
from fastgru.exchange._forecaster_plans import ForecasterPlan
from fastgru.exchange._plans import (
    ParametersPlan,
    Plan,
    check_tensors,
    plan_layer,
    plan_network,
)
from fastgru.exchange._values import take
from fastgru.exchange.container import (
    Tensor,
    open_container,
    parse_json,
    shortened,
    write_container,
)

FORMAT = "fastgru-1"


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a layer, a fitted estimator or a pipeline to a file.

    The file appears whole or not at all: an interruption leaves what stood there
    before.

    Parameters
    ----------
    model : layer, Network, fastgru estimator or Pipeline
        Estimators (GRUClassifier, GRURegressor, GRUTransformer, GRULanguageModel,
        GRUForecaster, SequenceScaler) must be fitted, and so must the steps of a
        ``sklearn.pipeline.Pipeline``, which are all such estimators but no forecasters,
        or "passthrough".
    path : str or path-like
        Usually ending in ``.safetensors``.

    Raises
    ------
    TypeError
        If the model, or a step of a pipeline, is of another class, or a parameter, a
        class label, or a forecaster's index or name of a column, of a kind that a file
        cannot hold.
    ValueError
        If a parameter that was set after ``fit`` is not a valid one or does not fit
        what was fitted, or if a pipeline's steps do not fit one another.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    OSError
        If the file cannot be written.

    Notes
    -----
    A ``RandomState`` object as ``random_state`` is not kept; a number is.  Nor are
    callbacks, a pipeline's ``memory``, a metadata request, and what ``partial_fit``
    remembers of former gradients.

    With a forecaster its series are saved, as far as it was updated, and known features
    with them.  Of a pandas index the kind, its frequency and where it begins are kept,
    of one of numbers the last two; names of columns have to be text or whole numbers.

    Weights are not looked at: a model whose training has run into NaN is saved with it.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import fastgru
    >>> gru = fastgru.GRU(3, 4, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "gru.safetensors"
    ...     fastgru.save(gru, path)
    ...     same = fastgru.load(path)
    >>> saved, loaded = gru.state_dict(), same.state_dict()
    >>> bool((loaded["weight_hh_l0"] == saved["weight_hh_l0"]).all())
    True
    """
    arrays, description = describe(model)
    text = json.dumps(description, sort_keys=True)
    tensors = {name: Tensor(a.dtype, a.shape, 0) for name, a in arrays.items()}
    n_bytes = len(text) + sum(tensor.nbytes for tensor in tensors.values())
    try:  # so that there is no file that cannot be read
        _plan(text, tensors, n_bytes).check(_Arrays(arrays))
    except ValueError as error:
        raise ValueError(f"this {type(model).__name__} cannot be saved: {error}") from (
            error
        )
    write_container(Path(path), FORMAT, arrays, text)


def load(path: str | os.PathLike[str]) -> Any:
    """Read what ``save`` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    layer, Network, fastgru estimator or Pipeline
        It gives the same bits as the one that was saved, on any CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged, not one that ``save`` wrote, or one of a newer fastgru;
        the message names the file and what is wrong.
    OSError
        If the file cannot be read.
    ImportError
        If it holds a forecaster of pandas objects, and pandas is not installed.

    Notes
    -----
    A file is safe to load wherever it comes from: no code in it is run, and whatever it
    says is checked before anything is made of it.  Until then loading takes no more
    memory than twice the size of the file and 50 MB, whatever sizes the file names.

    A digest tells of damage by accident.  It is no signature: whoever can write the
    file can make it describe another model, even one that gives wrong results.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import fastgru
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "gru.safetensors"
    ...     fastgru.save(fastgru.GRU(3, 4), path)
    ...     gru = fastgru.load(path)
    >>> gru.hidden_size
    4
    """
    path = Path(path)
    with open_container(path, FORMAT, "fastgru.save") as container:
        try:
            plan = _plan(container.text, container.tensors, container.n_bytes)
            plan.check(container)
        except (OverflowError, RecursionError, TypeError, ValueError) as error:
            raise ValueError(f"{path} does not describe a model: {error}") from error
        return plan.build(container)


class _Arrays(NamedTuple):
    """Arrays that are to be written, as those of a file are read."""

    arrays: Mapping[str, np.ndarray]

    def read_into(self, name: str, target: np.ndarray) -> None:
        """Copy an array to where one of its shape and dtype stands."""
        target[...] = self.arrays[name]


def _plan(text: str, tensors: Mapping[str, Tensor], n_bytes: int) -> Plan:
    """Return the plan of the model that a text and arrays describe, all checked.

    n_bytes : size of the file

    Raises
    ------
    ValueError, TypeError, OverflowError, RecursionError
        If they describe no model.
    """
    plan = _plan_model(parse_json(text), n_bytes)
    check_tensors(plan, tensors)
    return plan


def _plan_model(description: Any, n_bytes: int) -> Plan:
    if not isinstance(description, dict):
        raise ValueError(f"expected an object, got {shortened(description)}")
    kind = description.get("class")
    if kind in LAYERS:
        return ParametersPlan(plan_layer(description))
    if kind == "Network":
        _, *parts = take(description, kind, "class", "layers", "batch_first")
        return ParametersPlan(plan_network(*parts))
    if kind == "GRUForecaster":
        return ForecasterPlan(description)
    if kind == "Pipeline":
        return PipelinePlan(description, n_bytes)
    return plan_estimator(description, n_bytes)
