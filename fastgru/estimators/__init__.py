"""scikit-learn estimators over sequences."""

from fastgru.estimators.classifier import GRUClassifier
from fastgru.estimators.forecaster import GRUForecaster
from fastgru.estimators.language_model import GRULanguageModel
from fastgru.estimators.language_stream import LanguageModelStream
from fastgru.estimators.regressor import GRURegressor
from fastgru.estimators.scaler import SequenceScaler
from fastgru.estimators.stream import EstimatorStream
from fastgru.estimators.transformer import GRUTransformer

__all__ = [
    "EstimatorStream",
    "GRUClassifier",
    "GRUForecaster",
    "GRULanguageModel",
    "GRURegressor",
    "GRUTransformer",
    "LanguageModelStream",
    "SequenceScaler",
]
