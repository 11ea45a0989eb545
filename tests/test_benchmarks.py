"""The benchmarks run where nothing but their own extra is installed."""

import pkgutil

from children import PACKAGE


def test_asv_imports_no_file_that_needs_another_library():
    # It imports every module of every package that it finds.
    folder = PACKAGE.parent / "benchmarks"
    found = {module.name for module in pkgutil.iter_modules([str(folder)])}
    assert "bench_layer" in found
    assert "peers" not in found
