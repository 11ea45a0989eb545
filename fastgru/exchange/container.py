"""Arrays and a text in one safetensors file, written whole and checked by a digest.

The header is read here and not by the safetensors library, which maps the whole file
and says little about what is wrong: a file that lies is told from its header and its
size alone, and arrays are read straight to where they belong, a block at a time.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

# As the format's specification bounds it.
_LONGEST_HEADER = 100_000_000
# Read at once.
_BLOCK_BYTES = 2**20
# What parsing JSON takes: a list or an object, a text besides its letters, a number.
_CONTAINER_BYTES, _TEXT_BYTES, _NUMBER_BYTES = 120, 50, 32
# Memory that a header may take besides the size of the file.
_SPARE_BYTES = 40_000_000

_DTYPES = {
    "BOOL": np.dtype("?"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    **{f"I{8 * n}": np.dtype(f"<i{n}") for n in (2, 4, 8)},
    **{f"U{8 * n}": np.dtype(f"<u{n}") for n in (2, 4, 8)},
    **{f"F{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
}


class Tensor(NamedTuple):
    """What a header says of an array."""

    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int  # its first byte's place in the file

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return self.dtype.itemsize * math.prod(self.shape)


class Header(NamedTuple):
    """What the first part of a file says."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]


class Container:
    """A file that is open and has the content that was written.

    Attributes
    ----------
    text : str
    tensors : dict of str to Tensor
        What arrays there are; none of them is read yet.
    n_bytes : int
        Size of the file.
    """

    def __init__(self, file: BinaryIO, header: Header, n_bytes: int) -> None:
        self.text = header.metadata["model"]
        self.tensors = header.tensors
        self.n_bytes = n_bytes
        self._file = file

    def read_into(self, name: str, target: np.ndarray) -> None:
        """Read an array to where one of its shape and dtype stands."""
        self._file.seek(self.tensors[name].begin)
        _fill(self._file, target)

    def read(self, name: str) -> np.ndarray:
        """Read an array."""
        tensor = self.tensors[name]
        array = np.empty(tensor.shape, tensor.dtype)
        self.read_into(name, array)
        return array


# -- reading ---------------------------------------------------------------------------


@contextmanager
def open_container(path: Path, file_format: str, writer: str) -> Iterator[Container]:
    """Open a file of this format for reading.

    writer : what writes such files, for messages

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, of another format or of a later version of this one.
    """
    with _open_file(path) as (file, n_bytes):
        header = _read_header(path, file, n_bytes)
        _check_format(path, header.metadata, file_format, writer)
        if header.metadata.get("digest") != _digest_of_file(file, header):
            raise ValueError(
                f"{path} is damaged: its content does not match its digest"
            )
        yield Container(file, header, n_bytes)


def read_container(
    path: Path, file_format: str, writer: str
) -> tuple[dict[str, np.ndarray], str]:
    """Return all arrays and the text of a file; see ``open_container``."""
    with open_container(path, file_format, writer) as container:
        tensors = {name: container.read(name) for name in container.tensors}
        return tensors, container.text


def read_metadata(path: Path) -> dict[str, str]:
    """Return the metadata of any safetensors file; see ``open_container``."""
    with _open_file(path) as (file, n_bytes):
        return _read_header(path, file, n_bytes).metadata


@contextmanager
def _open_file(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    try:
        kind = path.stat().st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"no model file at {path}") from None
    if not stat.S_ISREG(kind):  # opening a pipe would wait for someone to write
        what = "a folder" if stat.S_ISDIR(kind) else "no regular file"
        raise ValueError(f"{path} is {what}, not a model file")
    with open(path, "rb") as file:
        yield file, os.fstat(file.fileno()).st_size


def _read_header(path: Path, file: BinaryIO, n_bytes: int) -> Header:
    """Return what the header says, all of it checked against the file's size."""
    try:
        text, length = _header_text(file, n_bytes)
        return _parse_header(text, 8 + length, n_bytes)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged or not a safetensors file: {error}"
        ) from error


def _header_text(file: BinaryIO, n_bytes: int) -> tuple[str, int]:
    """Return the header and its number of bytes."""
    if n_bytes == 0:
        raise ValueError("it is empty")
    if n_bytes < 8:
        raise ValueError(f"it ends after {n_bytes} bytes")
    length = int.from_bytes(file.read(8), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(
            f"its header would be {length} bytes long, more than {_LONGEST_HEADER}"
        )
    if length > n_bytes - 8:
        raise ValueError(
            f"its header would be {length} bytes long, but {n_bytes - 8} follow"
        )
    header = file.read(length)
    _check_length(header, n_bytes)
    return header.decode(), length


def _check_length(header: bytes, n_bytes: int) -> None:
    """Refuse a header that takes far more memory as Python objects than as text."""
    containers = header.count(b"[") + header.count(b"{")
    texts = header.count(b'"') // 2
    numbers = header.count(b",")
    needed = (
        _CONTAINER_BYTES * containers + _TEXT_BYTES * texts + _NUMBER_BYTES * numbers
    )
    # One letter beyond ASCII makes Python keep a whole text in wider ones.
    if not header.isascii():
        needed += 6 * len(header)
    elif b"\\u" in header:
        needed += 3 * len(header)
    if needed > n_bytes + _SPARE_BYTES:
        raise ValueError(
            f"its header lists too much for a file of {n_bytes} bytes: {containers} "
            f"lists or objects, {texts} texts and {numbers} other values"
        )


def _parse_header(text: str, begin: int, n_bytes: int) -> Header:
    """Return what a header says of data that begin at a byte of the file."""
    entries = parse_json(text)
    if not isinstance(entries, dict):
        raise ValueError("its header is no JSON object")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in metadata.values()
    ):
        raise ValueError("its metadata are no texts")
    tensors = {
        name: _parse_tensor(name, entry, begin) for name, entry in entries.items()
    }
    # One array after the other, without gaps, to the end of the file.
    place = begin
    for name, tensor in sorted(
        tensors.items(), key=lambda item: (item[1].begin, item[1].nbytes)
    ):
        if tensor.begin != place:
            raise ValueError(
                f"{name!r} begins at byte {tensor.begin - begin} of the data, "
                f"not at {place - begin}"
            )
        place += tensor.nbytes
    if place != n_bytes:
        raise ValueError(
            f"its header describes {place} bytes, but the file has {n_bytes}"
        )
    return Header(metadata, tensors)


def _parse_tensor(name: str, entry: Any, begin: int) -> Tensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"{name!r} is not described by dtype, shape and data_offsets")
    kind, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise ValueError(
            f"{name!r} has dtype {shortened(kind)}, which fastgru does not read"
        )
    if not _are_sizes(shape):
        raise ValueError(f"{name!r} has shape {shortened(shape)}")
    if not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError(f"{name!r} has data_offsets {shortened(offsets)}")
    tensor = Tensor(_DTYPES[kind], tuple(shape), begin + offsets[0])
    if offsets[1] - offsets[0] != tensor.nbytes:
        raise ValueError(
            f"{name!r} of dtype {kind} and shape {shortened(shape)} has data_offsets "
            f"{offsets}"
        )
    return tensor


def _are_sizes(values: Any) -> bool:
    """Whether these are whole numbers that sizes in a file can be, and few."""
    return (
        isinstance(values, list)
        and len(values) <= 8
        and all(type(value) is int and 0 <= value < 2**48 for value in values)
    )


def parse_json(text: str) -> Any:
    """Return what JSON says, refusing objects that name a key twice."""
    return json.loads(text, object_pairs_hook=_as_dict)


def _as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"a key appears twice among {shortened(list(found))}")
    return found


def shortened(value: Any) -> str:
    """Return a value as messages show what may be very long."""
    text = value if isinstance(value, str) else type(value).__name__
    if isinstance(value, (str, int, float, type(None))):
        # So many digits that Python refuses to write them are possible as well.
        is_long = isinstance(value, int) and abs(value) >= 10**40
        text = "a very large number" if is_long else repr(value)
    elif isinstance(value, list) and len(value) <= 8:
        text = f"[{', '.join(shortened(item) for item in value)}]"
    return text if len(text) <= 100 else f"{text[:100]}..."


def _check_format(
    path: Path, metadata: dict[str, str], file_format: str, writer: str
) -> None:
    found = metadata.get("format")
    name, _, version = file_format.rpartition("-")
    number = re.fullmatch(rf"{re.escape(name)}-([1-9][0-9]{{0,8}})", found or "")
    if number and int(number[1]) > int(version):
        raise ValueError(
            f"{path} was written by a newer fastgru: it is of format {found!r}, and "
            f"this version reads {file_format!r}; install a newer one"
        )
    if found != file_format:
        raise ValueError(
            f"{path} was not written by {writer}: expected format {file_format!r}, "
            f"got {'none' if found is None else shortened(found)}"
        )
    if "model" not in metadata:
        raise ValueError(f"{path} is damaged: it describes no model")


def _fill(file: BinaryIO, target: np.ndarray) -> None:
    """Read an array, C-contiguous in the file, to one that may be in other order."""
    if target.nbytes <= _BLOCK_BYTES:
        content = file.read(target.nbytes)
        dtype = target.dtype.newbyteorder("<")
        target[...] = np.frombuffer(content, dtype).reshape(target.shape)
        return
    if len(target) == 1:
        _fill(file, target[0])
        return
    n_rows = max(1, len(target) * _BLOCK_BYTES // target.nbytes)
    for begin in range(0, len(target), n_rows):
        _fill(file, target[begin : begin + n_rows])


# -- the digest ------------------------------------------------------------------------


def _digest_of_file(file: BinaryIO, header: Header) -> str:
    def blocks(name: str) -> Iterator[bytes]:
        tensor = header.tensors[name]
        file.seek(tensor.begin)
        for begin in range(0, tensor.nbytes, _BLOCK_BYTES):
            yield file.read(min(_BLOCK_BYTES, tensor.nbytes - begin))

    described = {name: (t.dtype, t.shape) for name, t in header.tensors.items()}
    return _digest(header.metadata["model"], described, blocks)


def digest_of(text: str, tensors: Mapping[str, np.ndarray]) -> str:
    """Return the digest of a file with this text and these C-contiguous arrays."""
    described = {name: (array.dtype, array.shape) for name, array in tensors.items()}
    return _digest(text, described, lambda name: [tensors[name].reshape(-1).data])


def _digest(text: str, described: Mapping[str, Any], blocks: Any) -> str:
    """Return a digest of all that a file says.

    described : dtype and shape of each array
    blocks : of an array's name gives the array's bytes, in pieces
    """
    digest = hashlib.sha256(_bytes(text))
    for name in sorted(described):
        dtype, shape = described[name]
        digest.update(_bytes(f"{name} {dtype} {shape}"))
        for block in blocks(name):
            digest.update(block)
    return digest.hexdigest()


def _bytes(text: str) -> bytes:
    # JSON can name halves of letters, which are no UTF-8.
    return text.encode("utf-8", "surrogatepass")


# -- writing ---------------------------------------------------------------------------


def write_container(
    path: Path, file_format: str, tensors: Mapping[str, np.ndarray], text: str
) -> None:
    """Write a file that appears whole or not at all."""
    from safetensors.numpy import save as to_bytes

    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    digest = digest_of(text, arrays)
    header = {"format": file_format, "model": text, "digest": digest}
    content = to_bytes(arrays, metadata=header)
    # What cannot be read is not written.
    length = int.from_bytes(content[:8], "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"a description of {length} bytes does not fit into a file")
    _check_length(content[8 : 8 + length], len(content))
    write_whole(path, content)


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
