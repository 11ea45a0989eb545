"""scikit-learn estimators over sequences."""

from fastgru.estimators.classifier import GRUClassifier
from fastgru.estimators.regressor import GRURegressor
from fastgru.estimators.scaler import SequenceScaler
from fastgru.estimators.stream import EstimatorStream
from fastgru.estimators.transformer import GRUTransformer

__all__ = [
    "EstimatorStream",
    "GRUClassifier",
    "GRURegressor",
    "GRUTransformer",
    "SequenceScaler",
]
