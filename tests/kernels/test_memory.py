"""Memory that kernels take for themselves lives as long as they use its address."""

import ast
import platform

import pytest

from children import PACKAGE, run_python

SOURCES = sorted((PACKAGE / "kernels").glob("*.py"))
ALLOCATORS = {"arange", "empty", "zeros"}


def names_given_to(function, tree):
    """Yield the names of variables that are given to calls of a function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == function:
            yield from (a.id for a in node.args if isinstance(a, ast.Name))


def allocated_in(function):
    """Yield the names of variables that a function makes arrays for."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            if getattr(node.value.func, "attr", "") in ALLOCATORS:
                yield from (t.id for t in node.targets if isinstance(t, ast.Name))


def functions():
    """Yield all functions of kernels and where they stand."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield f"{path.name}:{node.lineno} {node.name}", node


def test_arrays_are_kept_whose_address_is_taken():
    # Numba frees an array after the last statement that names it.
    found = {}
    for place, function in functions():
        addressed = set(allocated_in(function)) & set(
            names_given_to("pointer", function)
        )
        ends = [node for node in function.body if not isinstance(node, ast.Return)]
        last = ends[-len(addressed) :] if addressed else []
        kept = {name for node in last for name in names_given_to("keep_alive", node)}
        found.update({f"{place}: {name}": name in kept for name in addressed})
    assert len(found) > 10  # else this looks for what is called otherwise
    assert [name for name, is_kept in found.items() if not is_kept] == []


# With large arrays unmapped when freed, whoever reads or writes one afterwards crashes.
EVERY_KERNEL = """
    import warnings
    import numpy as np
    import fastgru
    from fastgru.layers import sharing
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)

    def layer(dtype, smallest, n_inputs, n_units, batch, steps, **options):
        sharing._SMALLEST_PARALLEL = smallest
        gru = fastgru.GRU(n_inputs, n_units, dtype=dtype, random_state=0, **options)
        x = rng.standard_normal((steps, batch, n_inputs)).astype(dtype)
        lengths = rng.integers(1, steps + 1, batch)
        for given in (None, lengths):
            gru(x, lengths=given)
            output, _, pullback = gru.vjp(x, lengths=given)
            pullback(output)

    for dtype in ("float32", "float64"):
        for smallest in (0, 10**12):  # two threads, and one
            for reset_after in (False, True):
                layer(dtype, smallest, 40, 96, 33, 70, reset_after=reset_after)
            layer(dtype, smallest, 128, 40, 1, 3000, bidirectional=True)
            layer(dtype, smallest, 16, 128, 64, 70)
            layer(dtype, smallest, 16, 300, 2, 5)

    X, y = rng.normal(size=(40, 9, 3)), np.arange(40) % 3
    for pooling in ("last", "mean", "max", "attention"):
        model = fastgru.GRUClassifier(
            16, dense_sizes=(700,), pooling=pooling, max_iter=1, random_state=0
        )
        model.fit(X, y).predict(X)
    tokens = [f"w{i}" for i in rng.integers(0, 900, 4000)]
    for embedding_dim in (None, 300):
        model = fastgru.GRULanguageModel(
            "word",
            hidden_size=24,
            embedding_dim=embedding_dim,
            max_iter=1,
            random_state=0,
        )
        model.fit(" ".join(tokens))
    print("fine")
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory: needs glibc")
@pytest.mark.usefixtures("two_threads")
@pytest.mark.timeout(300)
def test_no_kernel_touches_what_it_freed():
    assert run_python(EVERY_KERNEL, MALLOC_MMAP_THRESHOLD_="2000") == "fine\n"
