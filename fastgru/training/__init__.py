"""Training of networks: minibatches and the loop over epochs.

It knows networks and sequences, not estimators.
"""
