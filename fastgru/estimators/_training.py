"""From an estimator's training parameters to the trainer that they describe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from fastgru._threads import resolve_n_jobs
from fastgru.layers.network import Network
from fastgru.losses import Loss
from fastgru.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from fastgru.training.batches import AUTO_BATCH_SIZE
from fastgru.training.checkpoint import Checkpoint
from fastgru.training.history import Callback, History
from fastgru.training.penalties import ElasticNet
from fastgru.training.samples import TrainingSet
from fastgru.training.schedules import LearningRate
from fastgru.training.trainer import Trainer

# Parameters that change nothing about what a finished epoch is, or only when there is
# no other.
_NOT_OF_THE_MODEL = ("callbacks", "checkpoint", "max_iter", "n_jobs", "verbose")
# What it does shows in the data; as text it differs from process to process.
_SEEN_IN_THE_DATA = ("tokenizer",)


def make_optimizer(settings: dict[str, Any], network: Network) -> Optimizer:
    """Return the optimiser that ``solver`` names."""
    rate, solver = settings["learning_rate_init"], settings["solver"]
    if solver == "sgd":
        return SGD(
            network,
            rate,
            momentum=settings["momentum"],
            nesterov=bool(settings["nesterovs_momentum"]),
        )
    if solver == "rmsprop":
        return RMSprop(network, rate, epsilon=settings["epsilon"])
    betas = {name: settings[name] for name in ("beta_1", "beta_2", "epsilon")}
    if solver == "adam":
        return Adam(network, rate, **betas)
    decay = settings["alpha"] * (1.0 - settings["l1_ratio"])
    return AdamW(network, rate, weight_decay=decay, **betas)


def make_learning_rate(settings: dict[str, Any]) -> LearningRate:
    """Return the schedule that ``learning_rate`` names."""
    return LearningRate(
        settings["learning_rate"],
        settings["learning_rate_init"],
        power_t=settings["power_t"],
        decay_rate=settings["decay_rate"],
        max_iter=settings["max_iter"],
    )


def make_trainer(
    settings: dict[str, Any],
    network: Network,
    loss: Loss,
    n_samples: int,
    random_state: np.random.RandomState,
    *,
    name: str,
    score: Callable[[], float] | None = None,
    checkpoint: Checkpoint | None = None,
    history: History | None = None,
    **changes: Any,
) -> Trainer:
    """Return a trainer of a network for an estimator's parameters.

    Parameters
    ----------
    settings : dict
        An estimator's parameters by name.
    network : Network
    loss : Loss
    n_samples : int
        Number of samples to train on.
    random_state : RandomState
        Draws the masks' seed now, and the order of samples later.
    name, score, checkpoint, history
        As for :class:`Trainer`.
    **changes
        Arguments of the trainer that are not what the settings say.
    """
    seed = None
    if settings["dropout"] > 0.0 or settings["recurrent_dropout"] > 0.0:
        high, low = random_state.randint(2**31, size=2).tolist()
        seed = high * 2**31 + low
    batch_size = settings["batch_size"]
    if isinstance(batch_size, str):
        batch_size = AUTO_BATCH_SIZE
    arguments: dict[str, Any] = {
        "learning_rate": make_learning_rate(settings),
        "penalty": ElasticNet(
            settings["alpha"],
            settings["l1_ratio"],
            decoupled=settings["solver"] == "adamw",
        ),
        "batch_size": min(batch_size, n_samples),
        "max_iter": settings["max_iter"],
        "tol": settings["tol"],
        "n_iter_no_change": settings["n_iter_no_change"],
        "max_norm": settings["clip_norm"],
        "random_state": random_state if settings["shuffle"] else None,
        "score": score,
        "n_threads": resolve_n_jobs(settings["n_jobs"]),
        "verbose": bool(settings["verbose"]),
        "name": name,
        "stops_by_score": bool(settings["early_stopping"]),
        "dropout_seed": seed,
        "callbacks": callbacks_of(settings["callbacks"]),
        "checkpoint": checkpoint,
        "history": history,
        # A cosine ends where it was meant to.
        "expects_convergence": settings["learning_rate"] != "cosine",
    }
    optimizer = make_optimizer(settings, network)
    return Trainer(network, loss, optimizer, **arguments | changes)


def callbacks_of(callbacks: Any) -> list[Callback]:
    """Return the callables of ``callbacks``, or say what is none."""
    if callbacks is None:
        return []
    if callable(callbacks):
        return [callbacks]
    found = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in found:
        if not callable(callback):
            raise TypeError(
                "callbacks must be a callable or a list of callables, "
                f"got {callback!r} of type {type(callback).__name__}"
            )
    return found


def make_random_state(settings: dict[str, Any]) -> np.random.RandomState:
    """Return what draws all that an estimator draws."""
    random_state = check_random_state(settings["random_state"])
    if settings["random_state"] is None and settings["checkpoint"] is not None:
        # A checkpoint sets it back, which NumPy's global one must not be.
        return np.random.RandomState(random_state.randint(2**31 - 1))
    return random_state


def identity_of(
    settings: dict[str, Any],
    name: str,
    start: np.ndarray | None,
    *samples: TrainingSet | None,
) -> str:
    """Return a digest of all that the epochs of a fit depend on.

    start : parameters of the network that a warm start goes on with
    """
    left_out = (*_NOT_OF_THE_MODEL, *_SEEN_IN_THE_DATA)
    told = {k: v for k, v in settings.items() if k not in left_out}
    if not isinstance(told["random_state"], (int, np.integer)):
        told["random_state"] = None  # the checkpoint holds its state
    if told["learning_rate"] == "cosine":
        told["max_iter"] = settings["max_iter"]
    digest = hashlib.sha256(f"{name} {sorted(told.items())}".encode())
    if start is not None:
        _add_array(digest, start)
    for part in samples:
        if part is None:
            digest.update(b"none")
            continue
        for array in part.arrays():
            _add_array(digest, array)
    return digest.hexdigest()


def _add_array(digest: Any, array: np.ndarray) -> None:
    digest.update(f"{array.dtype} {array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
