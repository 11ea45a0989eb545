"""Children forked while another thread compiles: forks wait for the end of that.

A child has no such thread, and would wait for ever for Numba's lock that it held.
"""

import os

from numba.core.compiler_lock import global_compiler_lock


def let_forks_wait_for_compilation() -> None:
    """From now on, fork only while nobody else compiles or loads compiled code."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=global_compiler_lock.acquire,
            after_in_parent=global_compiler_lock.release,
            after_in_child=global_compiler_lock.release,
        )
