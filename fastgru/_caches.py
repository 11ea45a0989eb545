"""How large the last cache before memory is, which decides what is written past it."""

from contextlib import suppress
from pathlib import Path

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")  # Linux; others do not tell
_USUAL = 32 * 2**20
_UNITS = {"K": 2**10, "M": 2**20}


def read_last_cache_size(folder: Path = _CACHES) -> int:
    """Return the size in bytes of the largest cache that a core reads through.

    32 MiB where the system does not say it.
    """
    with suppress(OSError, ValueError, KeyError, IndexError):  # of another format
        found = [file.read_text().strip() for file in folder.glob("index*/size")]
        return max(int(size[:-1]) * _UNITS[size[-1]] for size in found)
    return _USUAL
