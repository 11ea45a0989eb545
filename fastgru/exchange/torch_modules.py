"""Modules of PyTorch: to and from layers, networks and estimators.

PyTorch, and what imports it, is imported inside functions: files of safetensors are
read without it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fastgru.exchange._models import exchangeable
from fastgru.exchange._state_dicts import model_of, read_state_dict
from fastgru.layers._checks import check_flag
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell


def from_torch(
    source: Any, *, batch_first: bool | None = None, drop_softmax: bool = False
) -> Any:
    """Make a layer or network of a module, a ``state_dict`` or a file of PyTorch.

    Parameters
    ----------
    source : torch.nn.Module, mapping of str to tensors or arrays, or path
        A ``GRU`` or ``GRUCell``; a ``Sequential`` of ``Embedding``, ``GRU``,
        ``Linear``, ``Dropout``, ``Identity`` and, directly behind a ``Linear``,
        ``ReLU``, ``Tanh`` or ``Sigmoid``; or what :func:`to_torch` returned.  A
        ``state_dict`` of one ``GRU`` or ``GRUCell``, whatever stands before its names,
        or of a ``Sequential`` all of whose modules have parameters.  A file with such a
        ``state_dict``, ending in ``.safetensors``, ``.pt``, ``.pth`` or ``.bin``.
    batch_first : bool, default=None
        Whether the result reads (B, T, ...) and not (T, B, ...).  None takes what the
        module says; a ``state_dict`` does not, and then None means False, PyTorch's
        default.
    drop_softmax : bool, default=False
        Whether a softmax at the end is left out.  Networks of fastgru end with logits.

    Returns
    -------
    GRU, GRUCell or Network
        Of the same dtype.  The module stays as it is.

    Raises
    ------
    TypeError
        If the source, or a module in it, is of another class.
    ValueError
        If a setting of a module, a name, a shape or a dtype has no counterpart; the
        message says where it stands and what to do.
    FileNotFoundError
        If there is no such file.
    RuntimeError
        If the result does not compute what the source does; see Notes.

    Notes
    -----
    At the end both sides run on random input, in evaluation mode, and must agree to
    1e-5 of the largest number in float32 and 1e-10 in float64.  For a ``state_dict``
    the other side is a plain GRU in NumPy.

    In a ``Sequential`` the output of a ``GRU`` is that of all steps, which is what goes
    on to the next module.  Masks of dropout hold for all steps of a sequence in fastgru
    and are drawn for each in PyTorch, which matters in training alone.

    The names in a ``state_dict`` do not tell of modules without parameters.  It is
    refused where a number is missing; what stood behind the last of the parameters
    remains unknown.  A lone "0.weight" is taken for an ``Embedding`` if a GRU follows,
    any other for a ``Linear`` without bias.

    Files are read as data: nothing in them is run.

    Examples
    --------
    >>> import torch
    >>> from fastgru.exchange import from_torch
    >>> module = torch.nn.GRU(3, 8, num_layers=2, batch_first=True)
    >>> gru = from_torch(module)
    >>> gru.num_layers, gru.batch_first
    (2, True)
    >>> network = from_torch(
    ...     torch.nn.Sequential(
    ...         torch.nn.Embedding(50, 4), torch.nn.GRU(4, 8), torch.nn.Linear(8, 50)
    ...     )
    ... )
    >>> network([[5, 7], [0, 49], [3, 3]]).shape  # 3 steps of 2 sequences
    (3, 2, 50)
    """
    if batch_first is not None:
        check_flag("batch_first", batch_first)
    check_flag("drop_softmax", drop_softmax)
    if isinstance(source, (str, os.PathLike)):
        source = read_state_dict(source)
    if isinstance(source, Mapping):
        return model_of(source, batch_first)
    from torch import nn

    from fastgru.exchange import _torch_reading as reading
    from fastgru.exchange.torch_network import TorchNetwork

    if type(source) is nn.GRU:
        return reading.from_gru(source, batch_first)
    if type(source) is nn.GRUCell:
        if batch_first is not None:
            raise ValueError("a GRUCell has no batch_first: leave it out")
        return reading.from_cell(source)
    if type(source) in (nn.Sequential, TorchNetwork):
        return reading.from_chain(source, batch_first, drop_softmax)
    kind = type(source)
    raise TypeError(
        "expected a torch.nn.GRU, GRUCell or Sequential, a state_dict or a path, got "
        f"{kind.__module__}.{kind.__qualname__}; of a module of your own pass the "
        "parts, in an nn.Sequential if they are several"
    )


def to_torch(model: Any) -> Any:
    """Make a module of PyTorch of a layer, a network or a fitted estimator.

    Parameters
    ----------
    model : GRU, GRUCell, Network, GRUClassifier, GRURegressor or GRUTransformer
        Estimators must be fitted.

    Returns
    -------
    torch.nn.Module
        On the CPU, in evaluation mode.  A ``torch.nn.GRU`` or ``torch.nn.GRUCell`` for
        such a layer.  Otherwise a module that is called as a network is,
        ``module(x, lengths=None)``, and gives what the network gives: one row of
        outputs per sequence or per step.  Of a classifier these are its **logits**
        (``outputs.softmax(-1)`` are the probabilities, ``outputs.sigmoid()`` those of
        several labels), of a regressor its numbers (with ``loss="poisson"`` their
        logarithms), of a transformer its vectors.

    Raises
    ------
    TypeError
        If the model is of another class.
    ValueError
        If the reset gate acts before the product: PyTorch has the other cell only.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    RuntimeError
        If the module does not compute what the model does; see Notes.

    Notes
    -----
    At the end both sides run on random input, as with :func:`from_torch`, here with
    lengths as well.

    The module of an estimator is batch-first.  It reads numbers of the estimator's
    dtype, (B, T, 1) where the estimator reads (B, T), and zeros or anything else for
    padding, with ``lengths``.

    It can be pickled, and saved by its ``state_dict``.  To load a pickle, fastgru has
    to be installed.  What acts in training only is left out where PyTorch has none:
    ``recurrent_dropout``.

    Examples
    --------
    >>> import fastgru
    >>> from fastgru.exchange import to_torch
    >>> to_torch(fastgru.GRU(3, 8))
    GRU(3, 8)
    >>> network = fastgru.Network(
    ...     [fastgru.GRU(3, 8), fastgru.Pooling("last"), fastgru.Dense(8, 2)]
    ... )
    >>> to_torch(network)
    TorchNetwork(
      batch_first=False
      (0): GRU(3, 8)
      (1): Pooling('last')
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    """
    import torch

    from fastgru.exchange import _torch_writing as writing

    model = exchangeable(model)
    # To make modules draws their first parameters.
    with torch.random.fork_rng(devices=[]):
        if isinstance(model, GRU):
            return writing.to_gru(model)
        if isinstance(model, GRUCell):
            return writing.to_cell(model)
        return writing.to_network(model)
