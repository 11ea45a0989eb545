"""``GRUClassifier.fit``, its checks of the data and first weights included."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastgru
from benchmarks.peers.training_case import Fitted, TrainingCase

CASE = TrainingCase


def make(case: TrainingCase) -> Fitted:
    """Make what is timed."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # of a few epochs only
    X, y = case.data()
    classifier = fastgru.GRUClassifier(
        case.hidden_size,
        alpha=0.0,
        batch_size=case.batch_size,
        learning_rate_init=case.learning_rate,
        max_iter=case.n_epochs,
        n_iter_no_change=np.inf,
        clip_norm=case.max_norm,
        random_state=0,
        n_jobs=case.n_threads,
    )

    def results() -> dict[str, np.ndarray]:
        return {"losses": np.array(classifier.fit(X, y).loss_curve_)}

    return Fitted(lambda: classifier.fit(X, y), results)
