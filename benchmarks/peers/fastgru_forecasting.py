"""``GRUForecaster.fit`` on many series, its checks and transforms included."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

import fastgru
from benchmarks.peers.forecasting_case import ForecastingCase
from benchmarks.peers.training_case import Fitted

CASE = ForecastingCase


def make(case: ForecastingCase) -> Fitted:
    """Make what is timed."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # of a few epochs only
    series = case.series()
    forecaster = fastgru.GRUForecaster(
        case.horizon,
        lags=case.n_lags,
        transform="standardize",
        hidden_size=case.hidden_size,
        loss="squared_error",
        calibration_fraction=None,
        alpha=0.0,
        batch_size=case.batch_size,
        learning_rate="constant",
        learning_rate_init=case.learning_rate,
        max_iter=case.n_epochs,
        n_iter_no_change=np.inf,
        clip_norm=case.max_norm,
        random_state=0,
        n_jobs=case.n_threads,
    )

    def results() -> dict[str, np.ndarray]:
        return {"losses": np.array(forecaster.fit(series).loss_curve_)}

    return Fitted(lambda: forecaster.fit(series), results)
