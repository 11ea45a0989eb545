"""Numba's options for all compiled code, and how compiling is made quicker.

No fast-math flag at all: each of them lets the compiler round differently on another
CPU or forget that NaN exists, and explicit vectors gain nothing from them.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,  # for functions passed as arguments, which nobody does
}


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Keep Python from looking for unreachable cycles again and again.

    Compiling makes millions of small objects that stay until it is done, and looking
    through them takes a tenth of its time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
