"""Training of networks: minibatches and the loop over epochs.

It knows networks and sequences, not estimators.
"""

from fastgru.training.history import Epoch

__all__ = ["Epoch"]
