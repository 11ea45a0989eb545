"""Models in and out: files, and other frameworks' parameters.

What needs an optional package is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastgru.exchange.conventions import negate_update_gate

if TYPE_CHECKING:
    from fastgru.exchange.onnx_converters import register_converters
    from fastgru.exchange.onnx_export import to_onnx
    from fastgru.exchange.onnx_import import from_onnx

# Public name -> the module that defines it.
_EXPORTS = {
    "from_onnx": "fastgru.exchange.onnx_import",
    "register_converters": "fastgru.exchange.onnx_converters",
    "to_onnx": "fastgru.exchange.onnx_export",
}

__all__ = ["from_onnx", "negate_update_gate", "register_converters", "to_onnx"]


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
