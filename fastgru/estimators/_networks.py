"""The network that an estimator's parameters describe."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgru.layers._layer import Layer
from fastgru.layers.dense import Dense
from fastgru.layers.dropout import Dropout
from fastgru.layers.embedding import Embedding
from fastgru.layers.gru import GRU
from fastgru.layers.network import Network
from fastgru.layers.one_hot import OneHot
from fastgru.layers.pooling import Pooling
from fastgru.sequences import SequenceForm


def hidden_sizes(hidden_size: Any, num_layers: int) -> list[tuple[int, int]]:
    """Return size and number of layers of each GRU, or say what does not fit."""
    if not np.iterable(hidden_size):
        return [(hidden_size, num_layers)]
    sizes = list(hidden_size)
    if not sizes:
        raise ValueError("hidden_size must name at least one size, got none")
    if num_layers not in (1, len(sizes)):
        raise ValueError(
            f"hidden_size={hidden_size!r} names {len(sizes)} layers, "
            f"but num_layers={num_layers}"
        )
    return [(size, 1) for size in sizes]


def recurrent_layers(
    settings: dict[str, Any], form: SequenceForm, random_state: np.random.RandomState
) -> list[Layer]:
    """Return the layers that read the steps: embedding and GRUs, with dropout between.

    settings : an estimator's parameters by name
    """
    common = {"dtype": np.dtype(settings["dtype"]), "random_state": random_state}
    groups = hidden_sizes(settings["hidden_size"], settings["num_layers"])
    layers: list[Layer] = []
    size = form.n_channels
    if settings["n_tokens"] is not None:
        size = settings["embedding_dim"] or groups[0][0]
        layers.append(Embedding(settings["n_tokens"], size, **common))
    for place, (hidden_size, num_layers) in enumerate(groups):
        if place > 0:
            layers += dropout(settings)
        gru = GRU(
            size,
            hidden_size,
            num_layers,
            dropout=settings["dropout"] if num_layers > 1 else 0.0,
            bidirectional=bool(settings["bidirectional"]),
            recurrent_dropout=settings["recurrent_dropout"],
            reset_after=bool(settings["reset_after"]),
            initializer=settings["initializer"],
            **common,
        )
        layers.append(gru)
        size = gru._output_size
    return layers


def make_network(
    settings: dict[str, Any],
    form: SequenceForm,
    n_outputs: int,
    random_state: np.random.RandomState,
    *,
    pools: bool = True,
) -> Network:
    """Return a new network, with the first parameters drawn.

    Parameters
    ----------
    settings : dict
        An estimator's parameters by name.
    form : SequenceForm
        What the sequences hold.
    n_outputs : int
    random_state : RandomState
    pools : bool, default=True
        Whether there is one row of outputs per sequence, and not one per step.
    """
    common = {"dtype": np.dtype(settings["dtype"]), "random_state": random_state}
    layers = recurrent_layers(settings, form, random_state)
    last = layers[-1]
    assert isinstance(last, GRU)  # as recurrent_layers ends
    size = last._output_size
    if pools:
        layers.append(make_pooling(settings, size, random_state))
    layers += dropout(settings)
    for dense_size in settings["dense_sizes"]:
        activation = settings["activation"]
        layers.append(Dense(size, dense_size, activation=activation, **common))
        layers += dropout(settings)
        size = dense_size
    return Network([*layers, Dense(size, n_outputs, **common)])


def make_token_network(
    settings: dict[str, Any], n_tokens: int, random_state: np.random.RandomState
) -> Network:
    """Return a new network that predicts after each token the next one."""
    dtype = np.dtype(settings["dtype"])
    common = {"dtype": dtype, "random_state": random_state}
    size = settings["embedding_dim"]
    layers: list[Layer]
    if size is None:
        size, layers = n_tokens, [OneHot(n_tokens, dtype=dtype)]
    else:
        layers = [Embedding(n_tokens, size, **common), *dropout(settings)]
    own = settings | {"n_tokens": None, "bidirectional": False}
    layers += recurrent_layers(own, SequenceForm("sequences", size), random_state)
    output = Dense(settings["hidden_size"], n_tokens, **common)
    return Network([*layers, *dropout(settings), output])


def make_pooling(
    settings: dict[str, Any], size: int, random_state: np.random.RandomState
) -> Pooling:
    """Return the layer that makes one row of a sequence."""
    how = settings["pooling"]
    if how != "attention":
        return Pooling(how)
    dtype = np.dtype(settings["dtype"])
    return Pooling(how, n_features=size, dtype=dtype, random_state=random_state)


def dropout(settings: dict[str, Any]) -> list[Layer]:
    """Return a dropout layer, or none."""
    rate = settings["dropout"]
    return [Dropout(rate)] if rate > 0.0 else []


def first_part(network: Network, *, pooled: bool) -> Network:
    """Return the layers up to the last GRU, or to the pooling behind it."""
    kind = Pooling if pooled else GRU
    ends = [k for k, layer in enumerate(network.layers) if isinstance(layer, kind)]
    return Network._sharing(network.layers[: ends[-1] + 1], network._parameters)


def encoder(network: Network, pooling: str) -> Network:
    """Return what makes vectors: the network up to its pooling, or with this one."""
    if any(isinstance(layer, Pooling) for layer in network.layers):
        return first_part(network, pooled=True)
    steps = first_part(network, pooled=False)
    return Network._sharing([*steps.layers, Pooling(pooling)], network._parameters)


def numbers_per_step(network: Network) -> int:
    """Return how many numbers of a step a run holds at once, at most."""
    form = network._input
    sizes = [form.n_features or 1]
    for layer, following in zip(
        network.layers, (*network.layers[1:], None), strict=True
    ):
        form = layer._follow(form)
        if form.per != "step":  # no steps from here on
            break
        # Before a pooling to the last step, a GRU keeps only that.
        is_fused = (
            isinstance(layer, GRU)
            and layer.num_layers == 1
            and isinstance(following, Pooling)
            and following.how == "last"
        )
        if not is_fused:
            sizes.append(1 if form.is_one_hot else form.n_features or 1)
    return max(sizes)


def summary(network: Network, form: SequenceForm) -> str:
    """Return a table of the layers: what comes out of each, and its parameters."""
    steps = str(form.n_features_in) if form.kind == "univariate" else "T"
    rows = [("Layer", "Output shape", "Parameters")]
    output = network._input
    for layer in network.layers:
        output = layer._follow(output)
        axes = ["n", steps] if output.per == "step" else ["n"]
        shape = f"({', '.join([*axes, str(output.n_features)])})"
        n_parameters = layer._parameters.flat.size
        rows.append((_short(layer), shape, f"{n_parameters:,}"))
    widths = [max(len(row[k]) for row in rows) for k in range(3)]
    lines = [
        f"{name:{widths[0]}}  {shape:{widths[1]}}  {number:>{widths[2]}}"
        for name, shape, number in rows
    ]
    rule = "-" * len(lines[0])
    total = f"{network._parameters.flat.size:,} parameters, {network.dtype.name}"
    return "\n".join([lines[0], rule, *lines[1:], rule, total])


def _short(layer: Layer) -> str:
    """Return a layer's name with what tells it from others of its kind."""
    told = {
        "GRU": ("num_layers", "bidirectional"),
        "Dense": ("activation",),
        "Pooling": ("how",),
        "Dropout": ("rate",),
        "Embedding": (),
        "OneHot": (),
    }
    settings = layer.settings()
    plain = {"num_layers": 1, "bidirectional": False, "activation": "identity"}
    name = type(layer).__name__
    shown = [
        f"{key}={settings[key]}"
        for key in told[name]
        if key not in plain or settings[key] != plain[key]
    ]
    return f"{name}({', '.join(shown)})" if shown else name
