"""Arrays and a text in one safetensors file, written whole and checked by a digest."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import secrets
from pathlib import Path

import numpy as np


def write_container(
    path: Path, file_format: str, tensors: dict[str, np.ndarray], text: str
) -> None:
    """Write a file that appears whole or not at all."""
    from safetensors.numpy import save as to_bytes

    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    digest = _digest(text, tensors)
    header = {"format": file_format, "model": text, "digest": digest}
    write_whole(path, to_bytes(tensors, metadata=header))


def read_container(
    path: Path, file_format: str, writer: str
) -> tuple[dict[str, np.ndarray], str]:
    """Return the arrays and the text of a file of this format.

    writer : what writes such files, for messages

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged or of another format.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"no model file at {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged or not a safetensors file: {error}"
        ) from error
    if header.get("format") != file_format:
        raise ValueError(
            f"{path} was not written by {writer}: expected format {file_format!r}, "
            f"got {header.get('format')!r}"
        )
    text = header.get("model", "")
    if header.get("digest") != _digest(text, tensors):
        raise ValueError(f"{path} is damaged: its content does not match its digest")
    return tensors, text


def _digest(text: str, tensors: dict[str, np.ndarray]) -> str:
    """Return a digest of all that a file says."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def remove_leftovers(path: Path) -> None:
    """Remove what processes left beside a file when they were killed while writing it.

    Those that other processes are still writing stay.
    """
    if os.name != "posix":
        return  # there is no harmless way to ask whether a process runs
    pattern = re.compile(rf"\.{re.escape(path.name)}\.(\d+)-[0-9a-f]{{8}}")
    for other in path.parent.glob(f".{glob.escape(path.name)}.*"):
        name = pattern.fullmatch(other.name)
        if name and not _is_running(int(name[1])):
            other.unlink(missing_ok=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (OverflowError, PermissionError):
        pass
    return True


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
