"""Recordings that come with the package."""

from fastgru.datasets._spoken_digits import load_spoken_digits

__all__ = ["load_spoken_digits"]
