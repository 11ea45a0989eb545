"""scikit-learn estimators over sequences."""

from fastgru.estimators.classifier import GRUClassifier
from fastgru.estimators.regressor import GRURegressor

__all__ = ["GRUClassifier", "GRURegressor"]
