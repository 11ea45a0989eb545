"""A fast gated recurrent unit (GRU) for CPUs behind scikit-learn estimators.

Names are imported on first use, so that ``import fastgru`` itself is quick and
loads neither NumPy nor Numba nor scikit-learn.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgru import (
        datasets,
        estimators,
        exchange,
        forecasting,
        kernels,
        layers,
        losses,
        optimizers,
        plotting,
        training,
    )
    from fastgru._threads import get_num_threads, set_num_threads
    from fastgru._versions import show_versions
    from fastgru._warmup import warmup
    from fastgru.estimators import (
        GRUClassifier,
        GRUForecaster,
        GRULanguageModel,
        GRURegressor,
        GRUTransformer,
        SequenceScaler,
    )
    from fastgru.exchange.file import load, save
    from fastgru.layers.dense import Dense
    from fastgru.layers.dropout import Dropout
    from fastgru.layers.embedding import Embedding
    from fastgru.layers.gru import GRU
    from fastgru.layers.gru_cell import GRUCell
    from fastgru.layers.network import Network
    from fastgru.layers.one_hot import OneHot
    from fastgru.layers.pooling import Pooling

__version__ = "0.1.0"

# Public name -> the module that defines it.
_EXPORTS = {
    "GRU": "fastgru.layers.gru",
    "GRUClassifier": "fastgru.estimators",
    "GRUForecaster": "fastgru.estimators",
    "GRULanguageModel": "fastgru.estimators",
    "GRURegressor": "fastgru.estimators",
    "GRUTransformer": "fastgru.estimators",
    "SequenceScaler": "fastgru.estimators",
    "Dense": "fastgru.layers.dense",
    "Dropout": "fastgru.layers.dropout",
    "Embedding": "fastgru.layers.embedding",
    "GRUCell": "fastgru.layers.gru_cell",
    "Network": "fastgru.layers.network",
    "OneHot": "fastgru.layers.one_hot",
    "Pooling": "fastgru.layers.pooling",
    "get_num_threads": "fastgru._threads",
    "load": "fastgru.exchange.file",
    "save": "fastgru.exchange.file",
    "set_num_threads": "fastgru._threads",
    "show_versions": "fastgru._versions",
    "warmup": "fastgru._warmup",
}
_SUBMODULES = (
    "datasets",
    "estimators",
    "exchange",
    "forecasting",
    "kernels",
    "layers",
    "losses",
    "optimizers",
    "plotting",
    "training",
)

# Spelled out, and not computed from the two above, for the sake of type checkers.
__all__ = [
    "GRU",
    "GRUClassifier",
    "GRUForecaster",
    "GRULanguageModel",
    "GRURegressor",
    "GRUTransformer",
    "SequenceScaler",
    "Dense",
    "Dropout",
    "Embedding",
    "GRUCell",
    "Network",
    "OneHot",
    "Pooling",
    "__version__",
    "datasets",
    "estimators",
    "exchange",
    "forecasting",
    "get_num_threads",
    "kernels",
    "layers",
    "load",
    "losses",
    "optimizers",
    "plotting",
    "save",
    "set_num_threads",
    "show_versions",
    "training",
    "warmup",
]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
    elif name in _SUBMODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # the next access no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
