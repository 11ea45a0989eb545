"""Embedded in a host: workers of every kind give the bits of their parent.

The parent has used its threads before it starts them, and goes on afterwards.
"""

import multiprocessing
from pathlib import Path

import pytest

from children import run_python

pytestmark = [
    pytest.mark.usefixtures("two_threads"),
    pytest.mark.timeout(300),
]

PARENT = """
    import multiprocessing
    import sys
    sys.path.insert(0, sys.argv[1])
    from process_work import work
    SEEDS = range(4)
    expected = [work(seed) for seed in SEEDS]
"""
CHECK = """
    print(found == expected, [work(seed) for seed in SEEDS] == expected)
"""
POOL = """
    with multiprocessing.get_context(sys.argv[2]).Pool(2) as pool:
        found = pool.map(work, SEEDS)
"""
FUTURES = """
    from concurrent.futures import ProcessPoolExecutor
    context = multiprocessing.get_context(sys.argv[2])
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(work, SEEDS))
"""
FUTURES_OF_THREADS = """
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, SEEDS))
"""
JOBLIB = """
    from joblib import Parallel, delayed
    found = Parallel(2, backend=sys.argv[2])(delayed(work)(seed) for seed in SEEDS)
"""
# As a preforking server does: each worker forks after the application was loaded.
PREFORK = """
    import os
    found = []
    pipes = []
    for seed in SEEDS:
        reader, writer = os.pipe()
        pipes.append(reader)
        if os.fork() == 0:
            try:
                os.write(writer, work(seed).encode())
            finally:
                os._exit(0)
        os.close(writer)
    for reader in pipes:
        with os.fdopen(reader) as stream:
            found.append(stream.read())
"""
# Forked while a thread draws a progress bar, whose lock all processes share.
DRAWING = """
    import threading
    from tqdm.auto import tqdm
    draws, ends = threading.Event(), threading.Event()
    def draw():
        with tqdm.get_lock():
            draws.set()
            ends.wait()
    threading.Thread(target=draw).start()
    draws.wait()
"""
# Forked while a thread compiles, by children that have something to load themselves.
COMPILING = """
    import threading
    import time
    from numba.core.compiler_lock import global_compiler_lock
    compiles = threading.Event()
    def compile_something():
        with global_compiler_lock:
            compiles.set()
            time.sleep(0.5)
    threading.Thread(target=compile_something).start()
    compiles.wait()
    def work(seed, work=work):
        with global_compiler_lock:
            return work(seed)
"""
# A child of a child, and a thread of a child.
NESTED = """
    import os
    from concurrent.futures import ThreadPoolExecutor
    reader, writer = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            try:
                with ThreadPoolExecutor(2) as pool:
                    os.write(writer, " ".join(pool.map(work, SEEDS)).encode())
            finally:
                os._exit(0)
        os.wait()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        found = stream.read().split()
"""

START_METHODS = multiprocessing.get_all_start_methods()


def assert_same_bits(code, *arguments):
    """Run a parent and its workers and compare what they computed."""
    folder = Path(__file__).parent
    printed = run_python(PARENT + code + CHECK, folder, *arguments, timeout=280)
    assert printed == "True True\n"


@pytest.mark.parametrize("method", START_METHODS)
def test_a_pool_of_processes(method):
    assert_same_bits(POOL, method)


@pytest.mark.parametrize("method", START_METHODS)
def test_futures_of_processes(method):
    assert_same_bits(FUTURES, method)


def test_futures_of_threads():
    assert_same_bits(FUTURES_OF_THREADS)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
def test_joblib(backend):
    assert_same_bits(JOBLIB, backend)


@pytest.mark.skipif("fork" not in START_METHODS, reason="fork: not on this system")
@pytest.mark.parametrize(
    "code",
    [
        PREFORK,
        NESTED,
        DRAWING + PREFORK + "    ends.set()\n",
        COMPILING + PREFORK,
    ],
    ids=["workers", "of a child", "beside a progress bar", "beside a compilation"],
)
def test_forked_children(code):
    assert_same_bits(code)
