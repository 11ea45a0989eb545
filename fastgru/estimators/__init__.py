"""scikit-learn estimators over sequences."""

from fastgru.estimators.classifier import GRUClassifier
from fastgru.estimators.regressor import GRURegressor
from fastgru.estimators.scaler import SequenceScaler
from fastgru.estimators.transformer import GRUTransformer

__all__ = ["GRUClassifier", "GRURegressor", "GRUTransformer", "SequenceScaler"]
