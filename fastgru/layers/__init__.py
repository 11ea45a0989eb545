"""Layers: parameters and kernels together, each with its forward pass and its pullback."""
