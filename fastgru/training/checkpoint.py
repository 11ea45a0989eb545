"""A training in a file, from which it goes on as if it had not stopped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgru.exchange.container import (
    read_container,
    remove_leftovers,
    write_container,
)
from fastgru.training.history import History, Progress

if TYPE_CHECKING:
    from fastgru.training.trainer import Trainer

_FORMAT = "fastgru-checkpoint-1"


class Checkpoint:
    """Writes each finished epoch of a training to one file, and reads the last.

    The file is replaced as a whole, so that there is always one that can be read.

    Parameters
    ----------
    path : str or path-like
    identity : str
        Digest of everything that the training depends on: a file of another is refused.
    first_random_state : RandomState
        As it is before anything is drawn.  If there is a file, it is set to what it was
        when the training began, so that what follows draws the same again.

    Raises
    ------
    ValueError
        If there is a file that is not the checkpoint of this training.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        identity: str,
        first_random_state: np.random.RandomState,
    ) -> None:
        self.path = Path(path)
        self.identity = identity
        self._found: tuple[dict[str, np.ndarray], dict[str, Any]] | None = None
        remove_leftovers(self.path)
        if self.path.exists():
            tensors, text = read_container(self.path, _FORMAT, "a checkpoint")
            description = json.loads(text)
            if description["identity"] != identity:
                raise ValueError(
                    f"{self.path} is the checkpoint of a fit with other parameters or "
                    "data; give another path, or delete the file to start anew"
                )
            self._found = tensors, description
            first = description["first_random_state"]
            first_random_state.set_state(
                _state_of(first, tensors["first_random_state"])
            )
        self._first: Any = first_random_state.get_state()

    def resume(self, trainer: Trainer) -> Progress | None:
        """Bring a trainer to where the file left off; None without a file."""
        if self._found is None:
            return None
        tensors, description = self._found
        trainer.network._parameters.flat[...] = tensors["parameters"]
        trainer.network._pack()
        optimizer = dict(description["optimizer"])
        for name, array in tensors.items():
            if name.startswith("optimizer."):
                optimizer[name.removeprefix("optimizer.")] = array
        trainer.optimizer.load_state_dict(optimizer)
        trainer.learning_rate.set_state(description["learning_rate"])
        if trainer.random_state is not None:
            trainer.random_state.set_state(
                _state_of(description["random_state"], tensors["random_state"])
            )
        history = History(**description["history"])
        n_epochs, unchanged = description["n_epochs"], description["unchanged"]
        return Progress(history, n_epochs, unchanged, tensors["kept"])

    def write(self, trainer: Trainer, progress: Progress) -> None:
        """Write where a training stands."""
        history = progress.history
        tensors = {
            "parameters": trainer.network._parameters.flat,
            "kept": progress.kept,
            "first_random_state": self._first[1],
        }
        numbers: dict[str, Any] = {}
        for name, value in trainer.optimizer.state_dict().items():
            if isinstance(value, np.ndarray):
                tensors[f"optimizer.{name}"] = value
            else:
                numbers[name] = value
        description = {
            "identity": self.identity,
            "first_random_state": _numbers_of(self._first),
            "optimizer": numbers,
            "learning_rate": trainer.learning_rate.state(),
            "n_epochs": progress.n_epochs,
            "unchanged": progress.unchanged,
            "history": {
                "losses": history.losses,
                "scores": history.scores,
                "best_loss": history.best_loss,
                "best_score": history.best_score,
            },
        }
        if trainer.random_state is not None:
            state: Any = trainer.random_state.get_state()
            description["random_state"] = _numbers_of(state)
            tensors["random_state"] = state[1]
        write_container(self.path, _FORMAT, tensors, json.dumps(description))


def _numbers_of(state: Any) -> list[Any]:
    """Return the state of a RandomState without its long array."""
    kind, _, position, has_gauss, cached_gaussian = state
    return [kind, int(position), int(has_gauss), float(cached_gaussian)]


def _state_of(numbers: list[Any], key: np.ndarray) -> tuple[Any, ...]:
    kind, position, has_gauss, cached_gaussian = numbers
    return kind, key, position, has_gauss, cached_gaussian
