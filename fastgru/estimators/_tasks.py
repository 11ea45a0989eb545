"""What a network is trained for: what targets are, the loss, and predictions.

A task sees rows: one target and one row of outputs per sequence, or per step.  Where
the rows come from is the estimators' business (``_targets.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from fastgru.losses import BinaryCrossEntropy, CrossEntropy, Loss


class Task(ABC):
    """Targets, loss and predictions of one kind.

    Attributes
    ----------
    loss : Loss
    n_outputs : int
        Outputs of the network per row.
    is_next_step : bool
        Whether targets are the next steps of the sequences themselves.
    """

    loss: Loss
    n_outputs: int
    is_next_step = False

    @abstractmethod
    def encode(self, y: Any) -> np.ndarray:
        """Check targets of users and return them as the loss takes them."""

    @abstractmethod
    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return what a user gets for rows of outputs."""

    def predict_one(self, outputs: np.ndarray) -> Any:
        """Return what ``predict`` gives for one row of outputs."""
        return self.predict(outputs[np.newaxis])[0]

    @abstractmethod
    def score(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        """Return the score of outputs by encoded targets."""

    def strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return what a validation split is stratified by, or None."""
        return None

    def weights(self, class_weight: Any, targets: np.ndarray) -> np.ndarray:
        """Return the weight of each row by its class."""
        return np.ones(len(targets))


class Classes(Task):
    """One class per row.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Labels, sorted.
    """

    loss = CrossEntropy()

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes
        self.n_outputs = len(classes)

    def encode(self, y: Any) -> np.ndarray:
        """Return the number of each label's class."""
        y = check_labels(y)
        known = np.isin(y, self.classes)
        if not known.all():
            unknown = y[~known][0]
            raise ValueError(
                f"y contains labels that are no classes of the estimator: {unknown!r} "
                f"is none of {self.classes.tolist()}"
            )
        return np.searchsorted(self.classes, y).astype(np.int64)

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return the label of the largest output."""
        return self.classes[np.argmax(outputs, axis=1)]

    def predict_one(self, outputs: np.ndarray) -> Any:
        """Return the label of the largest output of one row."""
        return self.classes[outputs.argmax()]

    def score(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        """Return the accuracy."""
        return float(np.mean(np.argmax(outputs, axis=1) == targets))

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the classes."""
        return targets

    def weights(self, class_weight: Any, targets: np.ndarray) -> np.ndarray:
        """Return the weight of each row by its class."""
        if class_weight is None:
            return np.ones(len(targets))
        by_class = compute_class_weight(
            class_weight, classes=self.classes, y=self.classes[targets]
        )
        return by_class[targets].astype(np.float64)


class Labels(Task):
    """Any number of labels per row: a column of 0 and 1 for each.

    Parameters
    ----------
    n_labels : int
    """

    loss = BinaryCrossEntropy()

    def __init__(self, n_labels: int) -> None:
        self.n_outputs = n_labels
        self.classes = np.arange(n_labels)

    def encode(self, y: Any) -> np.ndarray:
        """Return 0 and 1 as numbers."""
        y = check_array(y, dtype=None, input_name="y", accept_sparse=False)
        if y.shape[1] != self.n_outputs:
            raise ValueError(
                f"y must have a column for each of {self.n_outputs} labels, "
                f"got shape {y.shape}"
            )
        wrong = np.argwhere((y != 0) & (y != 1))
        if len(wrong) > 0:
            row, column = wrong[0].tolist()
            raise ValueError(
                "y with several labels per sample must hold 0 or 1 for each, got "
                f"{y[row, column]} at {(row, column)}"
            )
        return np.ascontiguousarray(y, np.float64)

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return 1 where a label is more probable than not."""
        return (outputs > 0).astype(int)

    def score(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        """Return the share of rows with all labels right."""
        return float(accuracy_score(targets, self.predict(outputs)))


class Numbers(Task):
    """One or more numbers per row.

    Parameters
    ----------
    loss : Loss
    n_targets : int or None
        Numbers per row; None if a row is a number without an axis of its own.
    """

    def __init__(self, loss: Loss, n_targets: int | None) -> None:
        self.loss = loss
        self.n_targets = n_targets
        self.n_outputs = n_targets or 1

    def encode(self, y: Any) -> np.ndarray:
        """Return the numbers as (rows, n_outputs)."""
        y = check_numbers(y)
        n_targets = None if y.ndim == 1 else y.shape[1]
        if (n_targets or 1) != self.n_outputs:
            raise ValueError(
                f"y must hold {self.n_outputs} number(s) per row, got shape {y.shape}"
            )
        return np.ascontiguousarray(y.reshape(len(y), -1))

    def predict(self, outputs: np.ndarray) -> np.ndarray:
        """Return the numbers that outputs stand for, in float64."""
        values = self.loss.activate(outputs).astype(np.float64)
        return values[:, 0] if self.n_targets is None else values

    def score(self, targets: np.ndarray, outputs: np.ndarray) -> float:
        """Return the mean R squared of the outputs."""
        return float(r2_score(targets, self.loss.activate(outputs)))


class NextToken(Classes):
    """The next token of a sequence."""

    is_next_step = True


class NextNumbers(Numbers):
    """The features of the next step of a sequence."""

    is_next_step = True


def check_labels(y: Any) -> np.ndarray:
    """Return class labels as a 1-D array, or say why they are none."""
    y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    return y


def check_numbers(y: Any) -> np.ndarray:
    """Return numbers as float64, 1-D or 2-D, or say why they are none."""
    y = check_array(y, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="y")
    if y.ndim not in (1, 2):
        raise ValueError(
            "y must have shape (n_samples,) or (n_samples, n_outputs), "
            f"got shape {y.shape}"
        )
    return y


def is_multilabel(y: Any) -> bool:
    """Whether targets are an indicator matrix of labels."""
    try:
        return np.ndim(y) == 2 and type_of_target(y) == "multilabel-indicator"
    except (TypeError, ValueError):
        return False  # the check of labels says what is wrong


def classes_of(y: Any, name: str) -> np.ndarray:
    """Return the sorted classes among labels; there must be two."""
    classes = np.unique(check_labels(y))
    if len(classes) < 2:
        raise ValueError(
            f"{name} needs samples of at least 2 classes, got 1 class: {classes[0]!r}"
        )
    return classes
