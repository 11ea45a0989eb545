"""How many threads a call may use, and when it must run on one.

A parallel region is entered only when it is safe: not in a child forked from a process
that had started threads (it would die there under GNU OpenMP), and not while another
Python thread is inside one (which some threading layers answer by aborting the
process).  The serial kernels give the same bits, so neither case is visible except in
time.
"""

import os
import threading
from numbers import Integral
from typing import Any

_limit: int | None = None
_entered = threading.Lock()
_has_started_threads = False
_forked_after_start = False


def _after_fork() -> None:
    global _forked_after_start, _entered
    _forked_after_start = _has_started_threads
    _entered = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


_numba: Any = None  # an import statement at each call would take longer


def _available() -> int:
    global _numba
    if _numba is None:
        import numba

        _numba = numba
    return _numba.config.NUMBA_NUM_THREADS


def get_num_threads() -> int:
    """Return how many threads fastgru may use, at first all that Numba has.

    Returns
    -------
    int

    Examples
    --------
    >>> import fastgru
    >>> fastgru.get_num_threads() >= 1
    True
    """
    available = _available()
    return available if _limit is None or _limit > available else _limit


def set_num_threads(n: int) -> None:
    """Limit the threads that fastgru uses; results are the same bits for any number.

    Parameters
    ----------
    n : int
        At least 1 and at most what Numba was started with (the environment variable
        ``NUMBA_NUM_THREADS``, by default the number of cores).  A Python thread for
        which ``numba.set_num_threads`` was called uses no more than that says.

    Raises
    ------
    TypeError
        If ``n`` is not a whole number.
    ValueError
        If ``n`` is out of range.

    Examples
    --------
    >>> import fastgru
    >>> before = fastgru.get_num_threads()
    >>> fastgru.set_num_threads(1)
    >>> fastgru.get_num_threads()
    1
    >>> fastgru.set_num_threads(before)
    """
    global _limit
    if isinstance(n, bool) or not isinstance(n, Integral):
        raise TypeError(f"n must be a whole number of threads, got {n!r}")
    if not 1 <= n <= _available():
        raise ValueError(f"n must be from 1 to {_available()} threads, got {n}")
    _limit = int(n)


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Return the number of threads that an estimator's ``n_jobs`` asks for.

    None is all that ``get_num_threads`` allows, but 1 inside a joblib worker; negative
    numbers count back from the number available, as in joblib.
    """
    if n_jobs is None:
        return 1 if _inside_joblib_worker() else get_num_threads()
    if n_jobs < 0:
        return max(1, get_num_threads() + 1 + n_jobs)
    return min(int(n_jobs), get_num_threads())


def _inside_joblib_worker() -> bool:
    from joblib.parallel import get_active_backend

    backend: Any = get_active_backend()[0]
    return bool(backend.nesting_level)


class parallel_region:
    """Reserves the threads for one call: a context of how many it got, maybe only 1.

    Not a generator, and Numba is asked only where it must be told to use fewer threads
    than it has: together they would add 3 microseconds to calls that take less than a
    hundred.  If the caller has told it to use even fewer, those do the work.
    """

    __slots__ = ("_before", "_lock", "_wanted")

    def __init__(self, n_threads: int) -> None:
        self._wanted = n_threads
        self._lock: threading.Lock | None = None  # held, when not None
        self._before: int | None = None  # Numba's own number, when it was changed

    def __enter__(self) -> int:
        """Return the number of threads."""
        global _has_started_threads
        lock, n_threads = _entered, self._wanted
        if n_threads == 1 or _forked_after_start or not lock.acquire(blocking=False):
            return 1
        self._lock = lock
        try:
            if not _has_started_threads:
                _start_threads()
                _has_started_threads = True
            if n_threads < _available():
                before = _numba.get_num_threads()
                if before > n_threads:
                    _numba.set_num_threads(n_threads)
                    self._before = before
        except BaseException:
            lock.release()
            self._lock = None
            raise
        return n_threads

    def __exit__(self, *exception: object) -> None:
        """Give the threads back."""
        if self._lock is None:
            return
        try:
            if self._before is not None:
                _numba.set_num_threads(self._before)
        finally:
            self._lock.release()


# How often an idle thread of GNU OpenMP looks for work before it goes to sleep.  Its
# own 300,000 looks keep the core from other processes for milliseconds, and from the
# very thread that is waited for if that has to share a core; with these, some 200
# microseconds, the next call finds the threads awake if it comes at once: the Python in
# between takes up to 110 where a kernel has pushed it out of the caches.
_LOOKS = "12000"


def _start_threads() -> None:
    """Let Numba start its threads, which read how long to wait for work then."""
    _available()  # imports Numba
    users_choice = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & os.environ.keys()
    if not users_choice:
        os.environ["GOMP_SPINCOUNT"] = _LOOKS
    try:
        _numba.get_num_threads()
    finally:
        if not users_choice:
            del os.environ["GOMP_SPINCOUNT"]


def find_threading_layer() -> str:
    """Return the name of Numba's threading layer, which this may choose."""
    with parallel_region(2) as granted:
        if granted == 1:
            return "none: one thread"
        try:
            return _numba.threading_layer()
        except ValueError as error:
            return f"none: {error}"
