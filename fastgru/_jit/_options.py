"""Numba's options for all compiled code.

No fast-math flag at all: each of them lets the compiler round differently on another
CPU or forget that NaN exists, and explicit vectors gain nothing from them.
"""

OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "boundscheck": False,
    "no_cfunc_wrapper": True,  # for functions passed as arguments, which nobody does
}
