"""Models in and out: files, and other frameworks' layers and parameters.

Names are imported on first use: those of another framework want it installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastgru.exchange.conventions import negate_update_gate
    from fastgru.exchange.keras_layers import from_keras, to_keras
    from fastgru.exchange.onnx_converters import register_converters
    from fastgru.exchange.onnx_export import to_onnx
    from fastgru.exchange.onnx_import import from_onnx
    from fastgru.exchange.torch_modules import from_torch, to_torch

# Public name -> the module that defines it.
_EXPORTS = {
    "from_keras": "fastgru.exchange.keras_layers",
    "from_onnx": "fastgru.exchange.onnx_import",
    "from_torch": "fastgru.exchange.torch_modules",
    "negate_update_gate": "fastgru.exchange.conventions",
    "register_converters": "fastgru.exchange.onnx_converters",
    "to_keras": "fastgru.exchange.keras_layers",
    "to_onnx": "fastgru.exchange.onnx_export",
    "to_torch": "fastgru.exchange.torch_modules",
}

# Spelled out, and not computed from the one above, for the sake of type checkers.
__all__ = [
    "from_keras",
    "from_onnx",
    "from_torch",
    "negate_update_gate",
    "register_converters",
    "to_keras",
    "to_onnx",
    "to_torch",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_EXPORTS[name]), name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"fastgru.exchange.{name} needs the package {error.name}: "
            f"pip install {error.name}"
        ) from error
    globals()[name] = value  # the next access no longer comes here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
