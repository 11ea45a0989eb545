"""Layers: parameters and kernels together, with a forward pass and its pullback."""
