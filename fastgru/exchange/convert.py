"""Models from files of one kind to another: the command ``fastgru convert``."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastgru.exchange.container import read_metadata
from fastgru.exchange.file import load, save

# What files are by their suffix, and what the packages that they need are called here.
KINDS = {
    ".safetensors": "safetensors",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".keras": "Keras",
    ".onnx": "ONNX",
}
_EXTRAS = {"PyTorch": "torch", "Keras": "keras", "ONNX": "onnx"}


def convert(source: Path, target: Path) -> Iterator[str]:
    """Read a model from one file and write it to another, yielding what was done.

    The kinds of files go by their suffixes, see ``KINDS``; of safetensors files both
    those of :func:`fastgru.save` and PyTorch's are read, and the former written.  The
    target appears whole or not at all.

    Raises
    ------
    FileNotFoundError
        If there is no source.
    ValueError, TypeError
        If a suffix is unknown, the source is damaged, or the model is not one that the
        target's kind can hold.
    ImportError
        If a package is not installed; the message names the extra that brings it.
    """
    source_kind, target_kind = kind_of(source), kind_of(target)
    if not source.exists():
        raise FileNotFoundError(f"no file at {source}")
    if target.exists() and target.samefile(source):
        raise ValueError(f"{source} would be overwritten by itself")
    with _packages(source_kind):
        model, what = _read(source, source_kind)
    yield f"read {source}: {what}, {_describe(model)}"
    with _packages(target_kind):
        check = _write(model, target, target_kind)
    kind = "fastgru" if target_kind == "safetensors" else target_kind
    yield f"wrote {target}: {kind}, {target.stat().st_size:,} bytes"
    yield f"check passed: {check}"


def kind_of(path: Path) -> str:
    """Return what kind of file a suffix stands for."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ValueError(
            f"{path} must end in one of {', '.join(KINDS)}, which tells what kind of "
            f"file it is; got {path.suffix!r}"
        )
    return kind


@contextmanager
def _packages(kind: str) -> Iterator[None]:
    """Say in an error for a missing package how to get it."""
    try:
        yield
    except ImportError as error:
        extra = _EXTRAS.get(kind)
        if extra is None or "pip install" in str(error):
            raise
        raise ImportError(
            f"{kind} files need a package that is not installed ({error}): "
            f"pip install 'fastgru[{extra}]'"
        ) from error


def _of_exchange(name: str) -> Any:
    """Return a function of ``fastgru.exchange``, whose packages may be missing."""
    from fastgru import exchange

    return getattr(exchange, name)


def _describe(model: Any) -> str:
    parameters = getattr(getattr(model, "_network", model), "_parameters", None)
    name = type(model).__name__
    if parameters is None:
        return name
    return f"{name} with {parameters.flat.size:,} parameters, {parameters.dtype.name}"


def _read(path: Path, kind: str) -> tuple[Any, str]:
    """Return the model of a file, and of what kind the file is."""
    if kind == "safetensors":
        if read_metadata(path).get("format", "").startswith("fastgru-"):
            return load(path), "fastgru"
        kind = "PyTorch"
    readers = {"PyTorch": "from_torch", "Keras": "from_keras", "ONNX": "from_onnx"}
    return _of_exchange(readers[kind])(path), kind


def _write(model: Any, path: Path, kind: str) -> str:
    """Write a model; return what was checked."""
    # Beside its place, under its own name, whose suffix some packages look at.
    with tempfile.TemporaryDirectory(prefix=".fastgru-", dir=path.parent) as folder:
        temporary = Path(folder, path.name)
        writers = {"PyTorch": _write_torch, "Keras": _write_keras, "ONNX": _write_onnx}
        if kind == "safetensors":
            save(model, temporary)
            load(temporary)
        else:
            writers[kind](model, temporary)
        os.replace(temporary, path)
    if kind == "safetensors":
        return "the file can be loaded and holds the bits that were written"
    return f"the model in {kind} gives the outputs of fastgru's on random inputs"


def _write_torch(model: Any, path: Path) -> None:
    module = _of_exchange("to_torch")(model)
    import torch

    torch.save(module.state_dict(), path)


def _write_keras(model: Any, path: Path) -> None:
    converted = _of_exchange("to_keras")(model)
    import keras

    if not isinstance(converted, keras.Model):
        size = getattr(model, "input_size", None)
        if size is None:  # an Embedding, which reads tokens
            read = keras.Input((None,), dtype="int32")
        else:
            read = keras.Input((None, size), dtype=model.dtype.name)
        converted = keras.Sequential([read, converted])
    converted.save(path)


def _write_onnx(model: Any, path: Path) -> None:
    _of_exchange("to_onnx")(model, path)
