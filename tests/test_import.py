"""Importing the package costs next to nothing, and still offers every public name."""

import subprocess
import sys

import pytest

import fastgru

HEAVY = {"llvmlite", "matplotlib", "numba", "numpy", "scipy", "sklearn"}
OPTIONAL = {"keras", "onnx", "tensorflow", "torch"}


def run_python(code):
    """Run code in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def modules_after(code):
    """Return the top-level packages that a fresh interpreter has loaded after code."""
    names = run_python(f"{code}\nimport sys\nprint(*sys.modules)").split()
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize(
    "code",
    [
        "import fastgru",
        "import fastgru; fastgru.__version__; dir(fastgru)",
        "from fastgru.cli import make_parser; make_parser().parse_args(['info'])",
    ],
)
def test_heavy_packages_are_not_loaded(code):
    loaded = modules_after(code)
    assert "fastgru" in loaded
    assert loaded.isdisjoint(HEAVY | OPTIONAL)


def test_a_layer_is_made_without_scikit_learn_and_compiled_code():
    # Calling compiled code makes Numba load all that it can compile, SciPy's BLAS too.
    loaded = modules_after(
        """
import fastgru
gru = fastgru.GRU(1, 32, random_state=0)
network = fastgru.Network([gru, fastgru.Pooling(), fastgru.Dense(32, 2)])
import sys
assert "scipy.linalg" not in sys.modules
"""
    )
    assert loaded.isdisjoint({"sklearn", "matplotlib"})


def test_no_other_framework_is_loaded():
    loaded = modules_after("import fastgru.exchange; from fastgru import exchange")
    assert loaded.isdisjoint(OPTIONAL)


def test_plotting_is_loaded_without_matplotlib():
    assert "matplotlib" not in modules_after("import fastgru.plotting")


@pytest.mark.parametrize("name", fastgru.__all__)
def test_public_name_is_there(name):
    assert name in dir(fastgru)
    value = getattr(fastgru, name)
    assert getattr(fastgru, name) is value


@pytest.mark.parametrize(
    "module",
    sorted(
        {*fastgru._EXPORTS.values(), *(f"fastgru.{m}" for m in fastgru._SUBMODULES)}
    ),
)
def test_module_can_be_imported_first(module):
    run_python(f"import {module}")


def test_every_lazy_name_is_public():
    lazy = {*fastgru._EXPORTS, *fastgru._SUBMODULES}
    assert set(fastgru.__all__) == lazy | {"__version__"}


def test_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'LSTM'"):
        fastgru.LSTM  # noqa: B018
    with pytest.raises(ImportError, match="LSTM"):
        from fastgru import LSTM  # noqa: F401


def test_version_is_that_of_the_installed_package():
    metadata = pytest.importorskip("importlib.metadata")
    try:
        installed = metadata.version("fastgru")
    except metadata.PackageNotFoundError:
        pytest.skip("fastgru is not installed, only on the path")
    assert fastgru.__version__ == installed
