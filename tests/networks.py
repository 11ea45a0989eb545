"""Networks of every kind of layer, and their outputs by hand."""

import numpy as np
import pytest

import fastgru
from reference import gru_forward, sigmoid

N_FEATURES, N_TOKENS = 3, 7

# Layers as (class, arguments); of an Embedding or OneHot first, the input is tokens.
LAYERS = {
    "gru": [(fastgru.GRU, (3, 4))],
    "dense": [(fastgru.Dense, (3, 4), {"activation": "tanh"})],
    "stack": [
        (fastgru.GRU, (3, 4), {"num_layers": 2, "bidirectional": True, "dropout": 0.3}),
        (fastgru.Dropout, (0.5,)),
        (fastgru.Dense, (8, 2)),
    ],
    "last": [
        (fastgru.GRU, (3, 5), {"reset_after": False, "bidirectional": True}),
        (fastgru.GRU, (10, 4), {"num_layers": 2, "bias": False}),
        (fastgru.Pooling, ("last",)),
        (fastgru.Dense, (4, 6), {"activation": "logistic"}),
        (fastgru.Dropout, (0.5,)),
        (fastgru.Dense, (6, 2)),
    ],
    "last of both": [
        (fastgru.GRU, (3, 4), {"num_layers": 2, "bidirectional": True}),
        (fastgru.Pooling, ("last",)),
        (fastgru.Dense, (8, 2), {"bias": False}),
    ],
    "last of steps": [
        (fastgru.GRU, (3, 4)),
        (fastgru.Dense, (4, 5), {"activation": "tanh"}),
        (fastgru.Pooling, ("last",)),
    ],
    "deep": [
        (fastgru.GRU, (3, 6), {"num_layers": 2, "dropout": 0.5}),
        (fastgru.Dropout, (0.3,)),
        (fastgru.GRU, (6, 5), {"reset_after": False, "num_layers": 3, "bias": False}),
        (fastgru.Pooling, ("last",)),
        (fastgru.Dense, (5, 2), {"activation": "tanh"}),
    ],
    "max": [
        (fastgru.Dense, (3, 6), {"activation": "relu"}),
        (fastgru.GRU, (6, 4), {"recurrent_dropout": 0.3}),
        (fastgru.Pooling, ("max",)),
    ],
    "embedding": [(fastgru.Embedding, (7, 5))],
    "tokens": [
        (fastgru.Embedding, (7, 5)),
        (fastgru.Dropout, (0.4,)),
        (fastgru.GRU, (5, 4), {"bidirectional": True, "recurrent_dropout": 0.3}),
        (fastgru.Pooling, ("mean",)),
        (fastgru.Dense, (8, 3)),
    ],
    "attention": [
        (fastgru.Embedding, (7, 5)),
        (fastgru.GRU, (5, 4)),
        (fastgru.Pooling, ("attention",), {"n_features": 4}),
        (fastgru.Dense, (4, 3), {"activation": "tanh"}),
    ],
    "one-hot": [
        (fastgru.OneHot, (7,)),
        (fastgru.GRU, (7, 4), {"num_layers": 2, "bidirectional": True}),
        (fastgru.Pooling, ("mean",)),
        (fastgru.Dense, (8, 3)),
    ],
    "one-hot by step": [
        (fastgru.OneHot, (7,)),
        (fastgru.GRU, (7, 4), {"reset_after": False, "recurrent_dropout": 0.3}),
        (fastgru.Dense, (4, 7)),
    ],
    "tokens by step": [
        (fastgru.Embedding, (7, 3)),
        (fastgru.GRU, (3, 4), {"reset_after": False}),
        (fastgru.GRU, (4, 6)),
        (fastgru.Dense, (6, 7)),
    ],
}
EACH_NETWORK = pytest.mark.parametrize("kind", LAYERS)
WITH_DROPOUT = [
    kind
    for kind, layers in LAYERS.items()
    if any(cls is fastgru.Dropout or "dropout" in str(rest) for cls, *rest in layers)
]


def make_layer(cls, arguments, options=None, *, dtype=np.float64):
    """Make a layer of a dtype, where it has one."""
    options = dict(options or {})
    if cls is not fastgru.Dropout:
        options["dtype"] = dtype
    if cls not in (fastgru.Dropout, fastgru.OneHot):
        options["random_state"] = 0
    return cls(*arguments, **options)


def make_network(kind, *, dtype=np.float64, batch_first=False, seed=0):
    """Make a network whose parameters are all drawn, none of them zero."""
    layers = [make_layer(*layer, dtype=dtype) for layer in LAYERS[kind]]
    network = fastgru.Network(layers, batch_first=batch_first)
    rng = np.random.default_rng(seed)
    network.load_state_dict(
        {
            name: (rng.standard_normal(w.shape) / np.sqrt(w.shape[-1])).astype(dtype)
            for name, w in network.state_dict().items()
        }
    )
    return network


def draw_inputs(kind, T, B, *, dtype=np.float64, seed=0):
    """Draw sequences of features, or of tokens, time-major."""
    rng = np.random.default_rng(seed)
    if LAYERS[kind][0][0] in (fastgru.Embedding, fastgru.OneHot):
        return rng.integers(0, N_TOKENS, (T, B))
    return rng.standard_normal((T, B, N_FEATURES)).astype(dtype)


def pools(kind):
    """Tell whether a network has one row of outputs per sequence."""
    return any(cls is fastgru.Pooling for cls, *_ in LAYERS[kind])


def outputs_by_hand(network, x, lengths=None):
    """Run a network's layers, time-major and without dropout, in plain NumPy."""
    T, B = x.shape[:2]
    lengths = np.full(B, T) if lengths is None else np.asarray(lengths)
    before = None
    for layer in network.layers:
        x = run_by_hand(layer, x, lengths, before)
        before = layer
    if x.ndim == 3:
        x = np.where((np.arange(T)[:, np.newaxis] < lengths)[:, :, np.newaxis], x, 0.0)
    return x


def run_by_hand(layer, x, lengths, before):
    """Run one layer; what it makes of steps past the end does not matter."""
    state = {name: w.astype(np.float64) for name, w in layer.state_dict().items()}
    if isinstance(layer, fastgru.Embedding):
        return state["weight"][x]
    if isinstance(layer, fastgru.OneHot):
        return np.eye(layer.n_tokens)[x]
    if isinstance(layer, fastgru.GRU):
        options = {"num_layers": layer.num_layers, "bidirectional": layer.bidirectional}
        options |= {"reset_after": layer.reset_after, "lengths": lengths}
        return gru_forward(x, None, state, **options)[0]
    if isinstance(layer, fastgru.Dense):
        y = x @ state["weight"].T + state.get("bias", 0.0)
        functions = {"tanh": np.tanh, "logistic": sigmoid}
        functions |= {"identity": np.positive, "relu": lambda y: np.maximum(y, 0.0)}
        return functions[layer.activation](y)
    if isinstance(layer, fastgru.Pooling):
        rows = np.zeros(x.shape[1:])
        for b, length in enumerate(lengths):
            if length > 0:
                rows[b] = pool_by_hand(layer, state, x[:length, b], before)
        return rows
    assert isinstance(layer, fastgru.Dropout)
    return x


def pool_by_hand(layer, state, steps, before):
    """Turn the steps of one sequence, at least one, into one row."""
    if layer.how == "mean":
        return steps.mean(axis=0)
    if layer.how == "max":
        return steps.max(axis=0)
    if layer.how == "attention":
        scores = np.exp(steps @ state["weight"][0])
        return (scores / scores.sum()) @ steps
    if isinstance(before, fastgru.GRU) and before.bidirectional:
        # The direction that reads from the end ends with the first step.
        H = before.hidden_size
        return np.concatenate([steps[-1, :H], steps[0, H:]])
    return steps[-1]
