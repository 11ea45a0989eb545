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
