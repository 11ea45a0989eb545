"""The cache of compiled code: never the code of older sources, and never an error."""

import os
import shutil
import textwrap

import pytest

from children import PACKAGE, run_python

# A small kernel whose code comes from another file, and how often the cache had it.
SOFTMAX = """
    import numpy as np
    from fastgru.kernels.losses import softmax
    probabilities = np.empty((1, 2))
    softmax(probabilities, np.array([[0.0, 40.0]]))
    print(probabilities[0, 1], sum(softmax.stats.cache_hits.values()))
"""
# A product made of tiles that are compiled once and called by their symbol.
DENSE = """
    import numpy as np
    from fastgru.kernels import dense
    weight, bias = np.arange(6.0).reshape(3, 2), np.array([10.0, 20.0])
    from fastgru.kernels.packing import aligned_zeros
    packed = aligned_zeros(dense.packed_dense_size(3, 2, 8), weight.dtype)
    dense.pack_dense(packed, weight, bias)
    y = np.empty((1, 2))
    dense.dense_forward(y, np.ones((1, 3)), packed, dense.IDENTITY)
    hits = sum(dense.dense_forward.stats.cache_hits.values())
    print(*y[0], hits)
"""
# Of what each thread is given to do in a training step: how many arrays it is handed,
# and how often its code gives one back.
REFERENCES = """
    import numpy as np
    from numba import types
    import fastgru
    from fastgru._jit import functions_called_once
    from fastgru.kernels.gru_backward import gru_backward
    from fastgru.kernels.gru_forward import gru_forward
    gru = fastgru.GRU(2, 3)
    y, _, back = gru.vjp(np.ones((2, 1, 2), np.float32))
    back(y)
    for kernel in (gru_forward, gru_backward):
        for function in functions_called_once(kernel.py_func):
            for dtype, compiled in function._compiled.items():
                kinds = function.signature(dtype).args
                arrays = sum(isinstance(kind, types.Array) for kind in kinds)
                print(arrays, compiled.inspect_llvm().count("call void @NRT_decref"))
"""


@pytest.fixture
def package(tmp_path):
    """Copy the package to a folder of its own, without compiled code."""
    return shutil.copytree(
        PACKAGE,
        tmp_path / "fastgru",
        ignore=shutil.ignore_patterns("__pycache__", "*.npz"),
    )


def run(code, package, **environment):
    """Run code on a copy of the package, with a cache beside it, and read numbers."""
    folder = {"NUMBA_CACHE_DIR": str(package.parent / "cache")}
    printed = run_python(code, package, package=package, **folder | environment)
    return [float(number) for number in printed.split()]


def test_a_changed_helper_in_another_file_is_compiled_anew(package):
    assert run(SOFTMAX, package) == [1, 0]
    assert run(SOFTMAX, package) == [1, 1]  # from the cache

    # The kernel's own file stays as it is: Numba itself would see no change.
    activations = package / "kernels" / "activations.py"
    source = activations.read_text()
    changed = "@inline\ndef exp_of_nonpositive(x):\n    return 1.0 + 0.0 * x\n"
    activations.write_text(f"{source}\n\n{changed}")
    assert run(SOFTMAX, package) == [0.5, 0]
    assert run(SOFTMAX, package) == [0.5, 1]

    activations.write_text(source)
    assert run(SOFTMAX, package)[0] == 1


def test_the_digest_depends_on_every_kernel_source(package):
    code = """
        import pathlib
        import sys
        from fastgru._jit import source_digest
        folder = pathlib.Path(sys.argv[1])
        folders = [folder / "_jit", folder / "kernels"]
        paths = [path for f in folders for path in sorted(f.glob("*.py"))]
        digests = {source_digest()}
        for path in paths:
            path.write_text(path.read_text() + "#")
            source_digest.cache_clear()
            digests.add(source_digest())
        print(len(paths), len(digests))
    """
    n_paths, n_digests = run(code, package)
    assert n_digests == n_paths + 1
    assert n_paths > 10


def test_code_from_the_cache_finds_what_is_compiled_once(package):
    assert run(DENSE, package) == [16, 29, 0]
    assert run(DENSE, package) == [16, 29, 1]


# The same, and the warnings.
WARNED_SOFTMAX = f"""
    import warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
{textwrap.indent(SOFTMAX, "    ")}
        from fastgru.kernels.losses import log_softmax
        log_softmax(probabilities, probabilities)
    print(*(f"{{type(w.message).__name__}}: {{w.message}}" for w in caught), sep="\\n")
"""


def run_and_read_warnings(package, **environment):
    """Run the softmax; give its numbers and the warnings that came."""
    folder = {"NUMBA_CACHE_DIR": str(package.parent / "cache")}
    printed = run_python(WARNED_SOFTMAX, package=package, **folder | environment)
    numbers, *warned = printed.splitlines()
    return [float(number) for number in numbers.split()], [w for w in warned if w]


def test_without_a_cache_folder_everything_works_with_one_warning(package, tmp_path):
    # A file stands wherever a folder would have to be made.
    (package / "kernels" / "__pycache__").touch()
    file = tmp_path / "file"
    file.touch()
    no_folder = str(file / "below")
    names = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "IPYTHONDIR", "NUMBA_CACHE_DIR")
    environment = dict.fromkeys(names, no_folder) | {"PYTHONDONTWRITEBYTECODE": "1"}
    for _ in range(2):
        numbers, warned = run_and_read_warnings(package, **environment)
        assert numbers == [1, 0]
        (warning,) = warned
        assert warning.startswith("RuntimeWarning: compiled code cannot be kept")
        assert "NUMBA_CACHE_DIR" in warning
    assert sorted(os.listdir(tmp_path)) == ["fastgru", "file"]
    assert not list(package.rglob("*.nb?"))


def test_a_cache_that_cannot_be_written_any_more_costs_one_warning(package):
    run(SOFTMAX, package)
    cache = package.parent / "cache"
    for file in cache.rglob("*.nb?"):  # folders stand where files would be written
        file.unlink()
        file.mkdir()
    numbers, warned = run_and_read_warnings(package)
    assert numbers == [1, 0]
    (warning,) = (w for w in warned if "cannot be kept" in w)
    assert "Is a directory" in warning or "denied" in warning


@pytest.mark.parametrize("what", ["*.nbi", "*.nbc"])
def test_a_damaged_cache_is_compiled_anew_with_a_warning(package, what):
    run(SOFTMAX, package)
    cache = package.parent / "cache"
    (file,) = cache.rglob(f"losses.softmax-{what}")
    file.write_bytes(file.read_bytes()[:-100])
    numbers, (warning,) = run_and_read_warnings(package)
    assert numbers == [1, 0]
    assert "RuntimeWarning: the compiled code of softmax" in warning
    assert str(cache) in warning
    assert run_and_read_warnings(package) == ([1, 1], [])


def test_code_of_older_sources_is_removed_when_newer_is_kept(package):
    run(SOFTMAX, package)
    cache = package.parent / "cache"
    before = len(list(cache.rglob("losses.softmax-*.nbc")))
    activations = package / "kernels" / "activations.py"
    for i in range(3):
        activations.write_text(f"{activations.read_text()}\n# {i}\n")
        assert run(SOFTMAX, package) == [1, 0]
        assert len(list(cache.rglob("losses.softmax-*.nbc"))) == before == 1
    assert run(SOFTMAX, package) == [1, 1]


def test_no_references_are_counted_from_step_to_step(package):
    numbers = run(REFERENCES, package)
    counts = list(zip(numbers[::2], numbers[1::2], strict=True))
    assert len(counts) == 5
    # Scratch is one array more; a helper that takes arrays inside a loop, dozens.
    for n_arrays, n_given_back in counts:
        assert n_given_back <= n_arrays + 3
