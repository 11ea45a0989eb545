"""The text that is downloaded, without a network."""

import hashlib
import sys
from types import SimpleNamespace

import pytest

from fastgru.datasets import _time_machine, fetch_time_machine

CONTENT = "The Time Machine\n\nby H. G. Wells; \u00a9 1895\n".encode()


@pytest.fixture(autouse=True)
def other_text(monkeypatch):
    """Expect another text, and no folder."""
    monkeypatch.setattr(_time_machine, "SHA1", hashlib.sha1(CONTENT).hexdigest())
    monkeypatch.delenv("FASTGRU_DATA", raising=False)


@pytest.fixture
def no_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)


@pytest.fixture
def pooch(monkeypatch, tmp_path):
    """Stand in for pooch: what it is asked for, and what it then does."""
    calls = []

    def retrieve(url, known_hash, fname, path):
        calls.append((url, known_hash))
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(CONTENT)

    cache = tmp_path / "cache"
    fake = SimpleNamespace(
        retrieve=retrieve, os_cache=lambda name: cache / name, calls=calls
    )
    monkeypatch.setitem(sys.modules, "pooch", fake)
    return fake


@pytest.mark.parametrize("how", ["argument", "variable"])
@pytest.mark.usefixtures("no_pooch")
def test_a_file_that_is_there_needs_neither_network_nor_pooch(
    how, tmp_path, monkeypatch
):
    (tmp_path / "timemachine.txt").write_bytes(CONTENT)
    if how == "variable":
        monkeypatch.setenv("FASTGRU_DATA", str(tmp_path))
        assert fetch_time_machine() == CONTENT.decode("utf-8")
    else:
        monkeypatch.setenv("FASTGRU_DATA", "/nowhere")
        assert fetch_time_machine(data_home=tmp_path) == CONTENT.decode("utf-8")


def test_another_file_is_refused(tmp_path):
    (tmp_path / "timemachine.txt").write_bytes(CONTENT + b"!")
    with pytest.raises(ValueError, match="is not the text of http.*its SHA-1 is "):
        fetch_time_machine(data_home=tmp_path)


def test_it_is_downloaded_once(pooch, tmp_path):
    for _ in range(2):
        assert fetch_time_machine(data_home=tmp_path / "new") == CONTENT.decode("utf-8")
    assert fetch_time_machine() == CONTENT.decode("utf-8")
    assert (tmp_path / "cache" / "fastgru" / "timemachine.txt").exists()
    sha1 = hashlib.sha1(CONTENT).hexdigest()
    assert pooch.calls == [(_time_machine.URL, f"sha1:{sha1}")] * 2


@pytest.mark.parametrize("error", [ConnectionError("no network"), ValueError("hash")])
def test_a_failed_download_says_what_to_do(error, pooch, tmp_path):
    def fail(*arguments, **options):
        raise error

    pooch.retrieve = fail
    with pytest.raises(OSError, match=r"could not be downloaded \(.*put the file into"):
        fetch_time_machine(data_home=tmp_path)


@pytest.mark.usefixtures("no_pooch")
def test_without_pooch_it_says_what_to_do(tmp_path):
    for folder in (tmp_path, None):
        with pytest.raises(ImportError, match=r"pip install 'fastgru\[datasets\]', or"):
            fetch_time_machine(data_home=folder)


def test_nothing_is_downloaded_unasked(pooch, tmp_path):
    with pytest.raises(OSError, match="download_if_missing=False"):
        fetch_time_machine(data_home=tmp_path, download_if_missing=False)
    assert pooch.calls == []


def test_the_text_itself(test_data, monkeypatch):
    monkeypatch.undo()
    text = fetch_time_machine(data_home=test_data)
    assert text.startswith("The Time Machine")
    assert len(text) > 170_000
