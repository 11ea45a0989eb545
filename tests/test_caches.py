"""The size of the last cache, as Linux tells it."""

import pytest

from fastgru._caches import read_last_cache_size

USUAL = 32 * 2**20


@pytest.fixture
def write(tmp_path):
    def write_sizes(*sizes):
        for number, size in enumerate(sizes):
            folder = tmp_path / f"index{number}"
            folder.mkdir()
            (folder / "size").write_text(size)
        return tmp_path

    return write_sizes


def test_the_largest_counts(write):
    assert (
        read_last_cache_size(write("48K\n", "64K\n", "2048K\n", "36M\n")) == 36 * 2**20
    )


@pytest.mark.parametrize("size", ["", "many", "48", "4G"])
def test_what_cannot_be_read_is_the_usual_size(write, size):
    assert read_last_cache_size(write("48K\n", size)) == USUAL


def test_where_there_are_no_such_files(tmp_path):
    assert read_last_cache_size(tmp_path / "none") == USUAL


def test_this_machine():
    assert read_last_cache_size() >= 2**16
