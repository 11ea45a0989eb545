"""Whatever the documentation shows runs and prints what it says."""

import doctest
import re
from pathlib import Path

import pytest

import fastgru
import fastgru.datasets
import fastgru.estimators
import fastgru.exchange
import fastgru.forecasting
import fastgru.kernels
import fastgru.losses
import fastgru.optimizers
import fastgru.plotting
import fastgru.training
from keras_models import import_keras

ROOT = Path(__file__).parents[1]
MODULES = (
    fastgru,
    fastgru.datasets,
    fastgru.estimators,
    fastgru.exchange,
    fastgru.forecasting,
    fastgru.kernels,
    fastgru.losses,
    fastgru.optimizers,
    fastgru.plotting,
    fastgru.training,
)
# Each once, also if it can be imported from two places.
DOCUMENTED = list(
    dict.fromkeys(
        getattr(module, name)
        for module in MODULES
        for name in module.__all__
        if callable(getattr(module, name))
    )
)


@pytest.fixture(autouse=True)
def draw_without_a_screen():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")


def provide(name):
    """Skip what shows an optional package that is missing; set Keras up."""
    if "keras" in name:
        import_keras()
    if "torch" in name:
        pytest.importorskip("torch", reason="examples of PyTorch: it is not installed")
    if "forecasting" in name:
        pytest.importorskip("pandas", reason="examples of pandas: it is not installed")
    if name == "register_converters":
        pytest.importorskip("skl2onnx", reason="examples: skl2onnx is not installed")


@pytest.mark.parametrize("documented", DOCUMENTED, ids=lambda value: value.__name__)
def test_docstring_has_examples_that_run(documented):
    provide(documented.__name__)
    tests = doctest.DocTestFinder(recurse=False).find(documented, globs={})
    (test,) = tests
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize(
    "page",
    [
        "quickstart.rst",
        "guide/sequences.rst",
        "guide/classification.rst",
        "guide/regression.rst",
        "guide/forecasting.rst",
        "guide/labelling.rst",
        "guide/imbalance.rst",
        "guide/attention.rst",
        "guide/tokens.rst",
        "guide/text.rst",
        "guide/search.rst",
        "guide/ensembles.rst",
        "guide/features.rst",
        "guide/layers.rst",
        "guide/embedding.rst",
        "guide/determinism.rst",
        "guide/exchange_onnx.rst",
        "guide/training.rst",
        "guide/exchange_torch.rst",
        "guide/exchange_keras.rst",
        "math/conventions.rst",
    ],
)
def test_page_runs(page):
    file = ROOT / "docs" / page
    if not file.exists():
        pytest.skip("the documentation is not part of an installed package")
    provide(page)
    assert doctest.testfile(str(file), module_relative=False).failed == 0


def test_readme_runs(tmp_path, monkeypatch, capsys):
    file = ROOT / "README.md"
    blocks = re.findall(r"^```python\n(.*?)^```", file.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 3
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks:
        exec(block, namespace)
    accuracy, shapes = capsys.readouterr().out.splitlines()
    assert float(accuracy) > 0.95
    assert shapes == "(32, 50, 13) (192, 64)"
    assert (tmp_path / "model.safetensors").exists()
