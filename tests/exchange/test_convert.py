"""The command that converts files: what it reads, writes and says, and its errors."""

import os
import re
import sys

import numpy as np
import pytest
from safetensors.numpy import save_file

import fastgru
import fastgru.exchange
from fastgru.cli import main
from keras_models import import_keras
from tolerances import assert_same_bits


@pytest.fixture
def gru():
    return fastgru.GRU(3, 5, random_state=0)


@pytest.fixture
def saved(gru, tmp_path):
    """A file of a layer."""
    path = tmp_path / "in.safetensors"
    fastgru.save(gru, path)
    return path


def convert(source, target):
    return main(["convert", str(source), str(target)])


def put(monkeypatch, name, function):
    """Let fastgru.exchange have a function of this name."""
    monkeypatch.setattr(fastgru.exchange, name, function, raising=False)


def test_fastgru_to_fastgru(saved, tmp_path, gru, capsys):
    target = tmp_path / "out.safetensors"
    assert convert(saved, target) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        f"read {saved}: fastgru, GRU with 150 parameters, float32",
        f"wrote {target}: fastgru, {target.stat().st_size:,} bytes",
        "check passed: the file can be loaded and holds the bits that were written",
    ]
    for name, array in fastgru.load(target).state_dict().items():
        assert_same_bits(name, array, gru.state_dict()[name])
    assert sorted(os.listdir(tmp_path)) == [saved.name, target.name]


# Keras's own, when it writes weights that PyTorch holds.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".keras", ".onnx"])
def test_a_layer_goes_to_another_framework_and_comes_back(
    suffix, saved, tmp_path, gru, capsys
):
    if suffix == ".keras":
        import_keras()
    else:
        pytest.importorskip("onnx" if suffix == ".onnx" else "torch")
    other, back = tmp_path / f"model{suffix}", tmp_path / "back.safetensors"
    assert convert(saved, other) == 0
    assert convert(other, back) == 0
    assert capsys.readouterr().out.count("check passed") == 2
    x = np.random.default_rng(0).standard_normal((6, 4, 3)).astype(np.float32)
    expected, _ = gru(x)
    model = fastgru.load(back)
    if suffix == ".keras":  # a model of one layer, batch-first
        actual = model(x.swapaxes(0, 1)).swapaxes(0, 1)
    else:
        actual, _ = model(x)
    assert_same_bits("output", actual, expected)


@pytest.mark.parametrize(
    ("suffix", "function", "kind"),
    [
        (".pt", "from_torch", "PyTorch"),
        (".PTH", "from_torch", "PyTorch"),
        (".safetensors", "from_torch", "PyTorch"),
        (".keras", "from_keras", "Keras"),
        (".onnx", "from_onnx", "ONNX"),
    ],
)
def test_each_kind_is_read_by_its_function(
    suffix, function, kind, tmp_path, gru, capsys, monkeypatch
):
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.safetensors"
    save_file({"weight": np.ones(3)}, source, metadata={"format": "pt"})
    asked = []
    put(monkeypatch, function, lambda path: asked.append(path) or gru)
    assert convert(source, target) == 0
    assert asked == [source]
    assert f"read {source}: {kind}, GRU with 150" in capsys.readouterr().out
    assert fastgru.load(target).settings() == gru.settings()


def test_pytorch_gets_a_state_dict(saved, tmp_path, gru, capsys, monkeypatch):
    torch = pytest.importorskip("torch")
    module = torch.nn.GRU(3, 5)
    given = []
    put(monkeypatch, "to_torch", lambda model: given.append(model) or module)
    target = tmp_path / "out.pt"
    assert convert(saved, target) == 0
    assert given[0].settings() == gru.settings()
    state = torch.load(target, weights_only=True)
    assert list(state) == list(module.state_dict())
    assert "check passed: the model in PyTorch" in capsys.readouterr().out


def test_onnx_is_written_whole_or_not_at_all(saved, tmp_path, capsys, monkeypatch):
    target = tmp_path / "out.onnx"
    target.write_bytes(b"before")

    def write_and_fail(model, path):
        path.write_bytes(b"half")
        raise ValueError("a GRU of\nthis kind has no ONNX")

    put(monkeypatch, "to_onnx", write_and_fail)
    assert convert(saved, target) == 1
    printed = capsys.readouterr()
    assert printed.err == "fastgru convert: a GRU of this kind has no ONNX\n"
    assert target.read_bytes() == b"before"
    assert sorted(os.listdir(tmp_path)) == [saved.name, target.name]

    put(monkeypatch, "to_onnx", lambda model, path: path.write_bytes(b"all of it"))
    assert convert(saved, target) == 0
    assert target.read_bytes() == b"all of it"


def test_a_layer_of_keras_is_wrapped_into_a_model(saved, tmp_path, monkeypatch):
    written = []

    class Model:
        def __init__(self, layers):
            self.layers = layers

        def save(self, path):
            written.append(self.layers)
            path.write_bytes(b"keras")

    class Keras:
        def Input(shape, dtype):
            return shape, dtype

    Keras.Model = Keras.Sequential = Model
    monkeypatch.setitem(sys.modules, "keras", Keras)
    put(monkeypatch, "to_keras", lambda model: "layer")
    assert convert(saved, tmp_path / "out.keras") == 0
    assert written == [[((None, 3), "float32"), "layer"]]
    embedding = tmp_path / "embedding.safetensors"
    fastgru.save(fastgru.Embedding(5, 2), embedding)
    assert convert(embedding, tmp_path / "out.keras") == 0
    assert written[1] == [((None,), "int32"), "layer"]
    put(monkeypatch, "to_keras", lambda model: Model(["whole"]))
    assert convert(saved, tmp_path / "out.keras") == 0
    assert written[2] == ["whole"]


@pytest.mark.parametrize(
    ("suffix", "extra"),
    [(".pt", "torch"), (".pth", "torch"), (".keras", "keras"), (".onnx", "onnx")],
)
@pytest.mark.parametrize("reads", [True, False])
def test_a_missing_package_names_the_extra(
    suffix, extra, reads, saved, tmp_path, capsys, monkeypatch
):
    def fail(*arguments):
        raise ModuleNotFoundError("No module named 'x'")

    put(monkeypatch, f"{'from' if reads else 'to'}_{extra}", fail)
    paths = [saved, tmp_path / f"other{suffix}"]
    if reads:
        paths[1].write_bytes(b"x")
        paths = paths[::-1]
    assert convert(*paths) == 1
    printed = capsys.readouterr().err
    assert printed.endswith(f"pip install 'fastgru[{extra}]'\n")
    assert "No module named 'x'" in printed


def test_a_message_that_names_the_extra_is_passed_on(saved, capsys, monkeypatch):
    def fail(model, path):
        raise ImportError("pip install 'fastgru[onnx]' brings it")

    put(monkeypatch, "to_onnx", fail)
    assert convert(saved, saved.with_suffix(".onnx")) == 1
    expected = "fastgru convert: pip install 'fastgru[onnx]' brings it\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("in.safetensors", "out.h5", "out.h5 must end in one of .safetensors, .pt"),
        ("in", "out.onnx", "in must end in one of .*; got ''"),
        ("missing.pt", "out.onnx", "no file at .*missing.pt"),
        ("in.safetensors", "in.safetensors", "would be overwritten by itself"),
        ("in.safetensors", "no/out.safetensors", "No such file or directory.*no"),
        ("damaged.safetensors", "out.onnx", "damaged.safetensors is damaged or not a"),
        (".safetensors/x.pt", "out.onnx", "no file at"),
    ],
)
def test_errors_are_one_line(source, target, message, saved, tmp_path, capsys):
    (tmp_path / "damaged.safetensors").write_bytes(b"damaged")
    before = sorted(os.listdir(tmp_path))
    assert convert(tmp_path / source, tmp_path / target) == 1
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1
    assert re.search(f"fastgru convert: .*{message}", printed.err)
    assert sorted(os.listdir(tmp_path)) == before


def test_both_files_must_be_named(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["convert", "in.onnx"])
    assert "OUT" in capsys.readouterr().err
