"""Models in and out: files, and other frameworks' parameters."""

from fastgru.exchange.conventions import negate_update_gate

__all__ = ["negate_update_gate"]
