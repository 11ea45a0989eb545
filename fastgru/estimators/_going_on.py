"""What a fit leaves behind, and how a later one goes on from there."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgru.layers.network import Network
from fastgru.training.history import History
from fastgru.training.trainer import Trainer

# What a partial fit does.
ONE_EPOCH = {"max_iter": 1, "verbose": False, "expects_convergence": False}


def fitted_of(trainer: Trainer, *, partial: bool) -> dict[str, Any]:
    """Return the fitted attributes that a training makes, all of them together.

    partial : whether the next partial fit is to go on with optimiser and masks
    """
    assert trainer.progress is not None  # as the caller asked
    fitted: dict[str, Any] = {"_network": trainer.network} | attributes_of(
        trainer.progress.history,
        trainer.learning_rate.samples,
        stops_by_score=trainer.stops_by_score,
    )
    if partial:
        random_state = trainer.random_state
        fitted["_going_on"] = {
            "optimizer_kind": _optimizer_kind(trainer),
            "optimizer": trainer.optimizer.state_dict(),
            "learning_rate": trainer.learning_rate.state(),
            "dropout_seed": trainer.dropout_seed,
            "random_state": random_state and random_state.get_state(),
        }
    return fitted


def attributes_of(
    history: History, n_samples: int, *, stops_by_score: bool
) -> dict[str, Any]:
    """Return the fitted attributes that say how a training went."""
    has_scores = bool(history.scores)
    return {
        "_history": history,
        "n_iter_": len(history.losses),
        "t_": n_samples,
        "loss_curve_": history.losses,
        "loss_": history.losses[-1],
        "best_loss_": None if stops_by_score else history.best_loss,
        "validation_scores_": history.scores if has_scores else None,
        "best_validation_score_": history.best_score if has_scores else None,
    }


def copy_parameters(estimator: Any, network: Network) -> None:
    """Let a new network begin where the fitted one of an estimator is."""
    # Not by name: a dropout layer more or less changes the layers' numbers.
    old, new = estimator._network._parameters, network._parameters
    name = type(estimator).__name__
    if list(old.shapes.values()) != list(new.shapes.values()):
        raise ValueError(
            "the parameters describe a network of other sizes than the fitted "
            f"one, with which {name} goes on; call fit with "
            "warm_start=False to start anew"
        )
    if old.dtype != new.dtype:
        raise ValueError(
            f"the fitted network is of dtype {old.dtype}, with which "
            f"{name} goes on, but dtype={estimator.dtype!r}"
        )
    new.flat[...] = old.flat
    network._pack()


def take_up(estimator: Any, trainer: Trainer) -> None:
    """Bring a trainer to where the last partial fit left off, if there was one."""
    if not hasattr(estimator, "_going_on"):
        return
    going_on = estimator._going_on
    if _optimizer_kind(trainer) == going_on["optimizer_kind"]:
        trainer.optimizer.load_state_dict(going_on["optimizer"])
    trainer.learning_rate.set_state(going_on["learning_rate"])
    if trainer.dropout_seed is not None and going_on["dropout_seed"] is not None:
        trainer.dropout_seed = going_on["dropout_seed"]
    if trainer.random_state is not None and going_on["random_state"] is not None:
        own = np.random.RandomState()
        own.set_state(going_on["random_state"])
        trainer.random_state = own


def _optimizer_kind(trainer: Trainer) -> list[str]:
    """Return what has to be the same for an optimiser's state to fit."""
    return [type(trainer.optimizer).__name__, *trainer.network._parameters]
