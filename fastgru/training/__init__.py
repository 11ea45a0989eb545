"""Training of networks: losses, optimisers, minibatches and the loop over epochs.

It knows networks and sequences, not estimators.
"""
