"""The cache of compiled code on disk.

Numba looks only at the file of the decorated function, and would go on running the old
code of a helper that has changed in another file.  Here the key holds a digest of all
sources that compiled code depends on; the CPU, and with it the choice of registers and
tiles, is part of Numba's own key.  A cache that cannot be read or written costs time
and a warning, never a result.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import types
from numba.core.caching import FunctionCache, NullCache

_PACKAGE = Path(__file__).parents[1]


@cache
def source_digest() -> str:
    """Return a digest of all the sources that compiled code depends on."""
    digest = hashlib.sha256()
    for folder in ("_jit", "kernels"):
        for path in sorted((_PACKAGE / folder).glob("*.py")):
            digest.update(f"{folder}/{path.name}".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


@cache  # once
def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


def _warn_of_no_cache(reason: object) -> None:
    _warn(
        f"compiled code cannot be kept, so each process compiles it anew ({reason}); "
        "set the environment variable NUMBA_CACHE_DIR to a folder that can be written"
    )


_listeners: list[list[str]] = []


def _tell_listeners(name: str) -> None:
    for names in _listeners:
        names.append(name)


class _NoCache(NullCache):
    """Stands in where there is no place to write to: a read-only install, no home."""

    def __init__(self, function: Callable) -> None:
        self._name = function.__qualname__

    def save_overload(self, sig: Any, cres: Any) -> None:
        _tell_listeners(self._name)
        _warn_of_no_cache("no cache folder can be made")


class KernelCache(FunctionCache):
    """Numba's cache, with the digest of all kernel sources in the key.

    Parameters
    ----------
    function : callable
        What is compiled.
    symbols_of : callable
        Yields, for a function, what has to be registered with a float type before code
        from the cache can call it by its symbol.
    """

    def __init__(self, function: Callable, symbols_of: Callable) -> None:
        super().__init__(function)
        self._symbols_of = symbols_of

    def _index_key(self, sig: Any, codegen: Any) -> tuple:
        return (*super()._index_key(sig, codegen), source_digest())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        arguments = sig.args if hasattr(sig, "args") else sig
        dtypes = {getattr(argument, "dtype", None) for argument in arguments}
        for dtype in dtypes & {types.float32, types.float64}:
            for once in self._symbols_of(self._py_func):
                once.register(dtype)
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever unpickling a damaged file raises
            _warn(
                f"the compiled code of {self._py_func.__qualname__} in "
                f"{self.cache_path} cannot be read ({error!r}); it is compiled anew"
            )
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        _tell_listeners(self._py_func.__qualname__)
        try:
            self._drop_older()
            super().save_overload(sig, data)
        except OSError as error:
            _warn_of_no_cache(error)

    def _drop_older(self) -> None:
        """Remove the code of sources before a change, which would pile up."""
        index = self._cache_file._load_index()
        older = {key for key in index if key[-1] != source_digest()}
        for key in older:
            with suppress(FileNotFoundError):
                Path(self._cache_file._data_path(index[key])).unlink()
        if older:
            kept = {key: name for key, name in index.items() if key not in older}
            self._cache_file._save_index(kept)

    def current_keys(self) -> list[tuple]:
        """Return the keys of what is there for the sources as they are."""
        try:
            index = self._cache_file._load_index()
        except Exception:  # damaged; see above
            return []
        return [key for key in index if key[-1] == source_digest()]


_caches: list[KernelCache] = []


@contextmanager
def listening() -> Iterator[list[str]]:
    """Give the names of the functions that are compiled, not loaded, from now on."""
    names: list[str] = []
    _listeners.append(names)
    try:
        yield names
    finally:
        _listeners.remove(names)


def cached(compiled: Any, symbols_of: Callable) -> Any:
    """Give a function a cache, where there is a place for one."""
    function = getattr(compiled, "py_func", None) or compiled.__wrapped__
    try:
        compiled._cache = KernelCache(function, symbols_of)
    except RuntimeError:
        compiled._cache = _NoCache(function)
    else:
        _caches.append(compiled._cache)
    return compiled


def describe_cache() -> dict[str, str]:
    """Return where compiled code is kept and what is there, by name."""
    folders = sorted({entry.cache_path for entry in _caches})
    n_current = sum(len(entry.current_keys()) for entry in _caches)
    n_bytes = sum(
        file.stat().st_size
        for folder in folders
        for pattern in ("*.nbi", "*.nbc")
        for file in Path(folder).glob(pattern)
    )
    return {
        "folder": ", ".join(folders) or "none: no folder can be written",
        "functions": f"{n_current} compiled from these sources",
        "size": f"{n_bytes / 1e6:.1f} MB",
    }
