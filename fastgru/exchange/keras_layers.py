"""Layers and models of Keras 3: to and from layers, networks and estimators.

Keras, and what imports it, is imported inside functions: it chooses its backend when it
is imported, which is the caller's business.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastgru.exchange._models import exchangeable
from fastgru.layers._checks import check_flag
from fastgru.layers.gru import GRU
from fastgru.layers.gru_cell import GRUCell


def from_keras(source: Any, *, drop_softmax: bool = False) -> Any:
    """Make a layer or network of a layer, a model or a file of Keras 3.

    Parameters
    ----------
    source : keras.layers.Layer, keras.Model or path
        A ``GRU``, or a ``Bidirectional`` of one; a ``Sequential`` or a functional
        model, one layer after the other, of ``Input``, ``Embedding``, ``GRU``,
        ``Bidirectional``, ``Dense``, ``TimeDistributed`` of a ``Dense``, ``Dropout``,
        ``GlobalAveragePooling1D``, ``GlobalMaxPooling1D`` and, directly behind a
        ``Dense``, ``Activation``; or a file of such a model, ending in ``.keras``,
        which is loaded in Keras's safe mode.
    drop_softmax : bool, default=False
        Whether a softmax at the end is left out.  Networks of fastgru end with logits.

    Returns
    -------
    GRU or Network
        Batch-first, of the same dtype.  A layer becomes a ``GRU``, a model a
        ``Network``, in which a ``Pooling("last")`` stands behind a GRU without
        ``return_sequences``.

    Raises
    ------
    TypeError
        If the source, or a layer in it, is of another class.
    ValueError
        If a layer is not built, or one of its settings has no counterpart; the message
        names the layer and says what to do.
    FileNotFoundError
        If there is no such file.
    RuntimeError
        If the result does not compute what the source does; see Notes.

    Notes
    -----
    At the end both sides run on random input and must agree to 1e-5 of the largest
    number, also in float64: Keras computes parts of such layers in float32.

    Refused are, besides other layers and activations than "linear", "relu", "tanh" and
    "sigmoid" of a ``Dense`` and the default ones of a GRU: masks (pass lengths to the
    network), ``go_backwards``, ``dropout`` of a GRU's input (use a ``Dropout``), merge
    modes other than "concat", and ``stateful``, with which results depend on what was
    seen before.  ``recurrent_dropout`` is kept.  What matters in Keras's training alone
    (regularisation, constraints, whether weights are trainable) is not.

    Examples
    --------
    >>> import keras
    >>> from fastgru.exchange import from_keras
    >>> model = keras.Sequential(
    ...     [
    ...         keras.Input((None, 3)),
    ...         keras.layers.Bidirectional(keras.layers.GRU(8)),
    ...         keras.layers.Dense(2),
    ...     ]
    ... )
    >>> [type(layer).__name__ for layer in from_keras(model).layers]
    ['GRU', 'Pooling', 'Dense']
    """
    check_flag("drop_softmax", drop_softmax)
    import keras

    from fastgru.exchange import _keras_reading as reading

    if isinstance(source, (str, os.PathLike)):
        source = reading.load(Path(source))
    if isinstance(source, keras.Model):
        return reading.from_model(source, drop_softmax)
    return reading.from_layer(source)


def to_keras(model: Any) -> Any:
    """Make a layer or model of Keras 3 of a layer, a network or a fitted estimator.

    Parameters
    ----------
    model : GRU, Network, GRUClassifier, GRURegressor or GRUTransformer
        Estimators must be fitted.

    Returns
    -------
    keras.layers.Layer or keras.Sequential
        Batch-first, of the same dtype, built.  A ``GRU`` of one layer becomes a
        ``keras.layers.GRU``, in a ``Bidirectional`` if it has two directions, which
        returns the states after all steps; anything else a ``Sequential`` that gives
        what the network gives: one row of outputs per sequence or per step, of a
        classifier its **logits**, of a regressor its numbers (with ``loss="poisson"``
        their logarithms), of a transformer its vectors.

    Raises
    ------
    TypeError
        If the model is of another class.
    ValueError
        If a network pools by attention, or takes the last step of anything but a GRU:
        Keras has no layer for that; or if Keras's backend has no float64.
    sklearn.exceptions.NotFittedError
        If an estimator is not fitted.
    RuntimeError
        If the result does not compute what the model does; see Notes.

    Notes
    -----
    At the end both sides run on random input, on whatever backend Keras was imported
    with, as with :func:`from_keras`.

    There are no lengths in Keras but masks, (B, T), True at valid steps:
    ``layer(x, mask=mask)``.  With one, final states and the mean are those of fastgru;
    the maximum does not heed masks, and outputs past the end of a sequence are not 0.

    With ``reset_after=False`` Keras has one bias, to which the two of a gate are added.
    Dropout, which acts in training only, draws a mask per step in Keras.

    Examples
    --------
    >>> import keras
    >>> import fastgru
    >>> from fastgru.exchange import to_keras
    >>> layer = to_keras(fastgru.GRU(3, 8, bidirectional=True))
    >>> layer.compute_output_shape((4, 20, 3))
    (4, 20, 16)
    """
    model = exchangeable(model)
    if isinstance(model, GRUCell):
        raise TypeError(
            "a GRUCell cannot be converted: convert a GRU of the same parameters"
        )
    from fastgru.exchange import _keras_writing as writing

    return (
        writing.to_layer(model) if isinstance(model, GRU) else writing.to_model(model)
    )
