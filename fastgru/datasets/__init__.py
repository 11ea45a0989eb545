"""Recordings that come with the package, and a text to download."""

from fastgru.datasets._spoken_digits import load_spoken_digits
from fastgru.datasets._time_machine import fetch_time_machine

__all__ = ["fetch_time_machine", "load_spoken_digits"]
