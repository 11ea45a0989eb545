"""The command line, the demo included."""

import re
import subprocess
import sys

import numpy as np
import pytest

import fastgru
from fastgru.cli import main


def find_number(pattern, text):
    """Return the number in the one line of text that matches the pattern."""
    (number,) = re.findall(pattern, text, flags=re.MULTILINE)
    return float(number)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run the whole demo once, as a user would; its folder and its output."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "fastgru.cli", "demo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder / "fastgru-demo", done.stdout


def test_demo_recognises_digits(demo):
    _, printed = demo
    assert find_number(r"^test accuracy (0\.\d{3}|1\.000)$", printed) >= 0.98


def test_demo_beats_the_linear_classifier(demo):
    _, printed = demo
    linear = find_number(r"^a linear classifier .*: (0\.\d{3})$", printed)
    assert 0.90 < linear < find_number(r"^test accuracy (.*)$", printed)


def test_demo_tells_cost_and_threads(demo):
    _, printed = demo
    assert (
        find_number(
            r"^40 epochs in .* s, (\d+) ms each, with up to \d+ threads$", printed
        )
        > 0
    )
    assert find_number(r", with up to (\d+) threads$", printed) >= 1


def test_demo_writes_pictures(demo):
    pytest.importorskip("matplotlib")
    folder, _ = demo
    for name in ("confusion.png", "loss_curve.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_demo_saves_a_model_that_predicts_the_same(demo):
    folder, printed = demo
    assert "the same, bit for bit" in printed
    model = fastgru.load(folder / "digits.safetensors")
    X, y = fastgru.datasets.load_spoken_digits(return_X_y=True)
    frames = np.concatenate(X)
    mean, deviation = frames.mean(axis=0), frames.std(axis=0)
    assert model.score([(x - mean) / deviation for x in X], y) > 0.98


def test_demo_without_matplotlib_leaves_the_pictures_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fastgru._demo.find_spec", lambda name: None)
    folder = tmp_path / "new" / "folder"
    assert main(["demo", "--output", str(folder), "--epochs", "1", "--seed", "3"]) == 0
    assert "no pictures" in capsys.readouterr().out
    assert [file.name for file in folder.iterdir()] == ["digits.safetensors"]


def test_demo_fails_if_the_second_process_differs(tmp_path, capsys, monkeypatch):
    def load_other_model(*arguments, **options):
        np.save(arguments[0][-1], np.zeros((600, 10), dtype=np.float32))

    monkeypatch.setattr("fastgru._demo.subprocess.run", load_other_model)
    assert main(["demo", "--output", str(tmp_path), "--epochs", "1"]) == 1
    assert "DIFFERENT" in capsys.readouterr().out


@pytest.mark.parametrize("epochs", ["0", "-1", "many", "1.5"])
def test_epochs_must_be_positive(epochs, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--epochs", epochs])
    assert f"got {epochs!r}" in capsys.readouterr().err


def test_info_names_versions_and_threads(capsys):
    assert main(["info"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"fastgru {fastgru.__version__}\n")
    for name in ("numpy", "numba", "scikit-learn", "registers", "logical cores"):
        assert re.search(rf"^  {name} +\S", printed, flags=re.MULTILINE)
    assert find_number(r"^  fastgru's +(\d+)$", printed) == fastgru.get_num_threads()
    assert re.search(r"^  layer +(omp|tbb|workqueue|none)", printed, flags=re.MULTILINE)
    # This process has run kernels, whose code is there now.
    assert find_number(r"^  functions +(\d+) compiled", printed) > 0
    assert find_number(r"^  size +(\d+\.\d) MB$", printed) > 0


def test_show_versions_is_what_info_prints(capsys):
    main(["info"])
    printed = capsys.readouterr().out
    fastgru.show_versions()
    assert capsys.readouterr().out == printed


def test_uninstalled_package_is_reported(capsys, monkeypatch):
    monkeypatch.setattr("fastgru._versions.OPTIONAL", ("no-such-package",))
    fastgru.show_versions()
    assert re.search(r"no-such-package +not installed", capsys.readouterr().out)


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"fastgru {fastgru.__version__}\n"


@pytest.mark.parametrize("arguments", [[], ["sing"]])
def test_without_a_known_command_usage_is_shown(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: fastgru" in capsys.readouterr().err


# -- text --

VERSE = "the cat sat on the mat. " * 30


@pytest.fixture(scope="module")
def text_model(tmp_path_factory):
    """Learn from a verse; the folder, and what was printed and shown."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "verse.txt").write_text(VERSE, "utf-8")
    arguments = ["train", "verse.txt", "--out", "verse.safetensors"]
    sizes = ["--hidden-size", "32", "--num-steps", "10", "--batch-size", "4"]
    done = subprocess.run(
        [sys.executable, "-m", "fastgru.cli", "text", *arguments, *sizes]
        + ["--epochs", "40", "--learning-rate", "0.01"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return folder, done.stdout, done.stderr


def test_text_is_learned_and_gone_on_with(text_model, capsys):
    folder, printed, shown = text_model
    assert find_number(r"^12 tokens, 40 epochs, training perplexity (.*)$", printed) < 2
    assert re.search(r"40/40 .*perplexity=\d.*tokens/s=[\d,]+", shown)
    model = folder / "verse.safetensors"
    arguments = ["text", "generate", str(model), "--prefix", "the cat sat", "--length"]
    assert main([*arguments, "13"]) == 0
    assert capsys.readouterr().out == "the cat sat on the mat. \n"
    drawn = []
    for seed in "001":
        main([*arguments, "40", "--temperature", "2", "--top-k", "9", "--seed", seed])
        drawn.append(capsys.readouterr().out)
    assert drawn[0] == drawn[1] != drawn[2]


def test_text_draws_the_loss_curve(text_model):
    pytest.importorskip("matplotlib")
    folder, printed, _ = text_model
    assert (folder / "verse.png").read_bytes().startswith(b"\x89PNG")
    assert "picture saved: verse.png" in printed


def test_text_by_words_and_letters_only(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fastgru._text.find_spec", lambda name: None)
    (tmp_path / "verse.txt").write_text(VERSE.replace("mat.", "MAT!"), "utf-8")
    model = tmp_path / "verse.safetensors"
    arguments = ["text", "train", str(tmp_path / "verse.txt"), "--out", str(model)]
    options = ["--level", "word", "--letters-only", "--embedding-dim", "4"]
    assert main([*arguments, *options, "--epochs", "1", "--hidden-size", "8"]) == 0
    assert "no picture" in capsys.readouterr().out
    vocabulary = fastgru.load(model).vocabulary_
    assert vocabulary == ["<unk>", "the", "cat", "sat", "on", "mat"]


def test_text_says_what_is_wrong(tmp_path, capsys):
    file, model = tmp_path / "short.txt", tmp_path / "model.safetensors"
    assert main(["text", "train", str(file), "--out", str(model)]) == 1
    assert f"cannot read {file}" in capsys.readouterr().out
    file.write_text("ab", "utf-8")
    assert main(["text", "train", str(file), "--out", str(model)]) == 1
    assert "X must have at least 36 tokens" in capsys.readouterr().out
    assert main(["text", "generate", str(model), "--prefix", "a"]) == 1
    assert "no model file at" in capsys.readouterr().out
    fastgru.save(fastgru.GRU(2, 3), model)
    assert main(["text", "generate", str(model), "--prefix", "a"]) == 1
    assert "it holds a GRU, no language model" in capsys.readouterr().out
