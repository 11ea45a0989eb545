"""Fixtures, hypothesis settings, and a word at the end on what a run left out."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# One of scikit-learn's checks wants it, and SciPy reads it when it is imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

# A first call compiles for many seconds, so there is no deadline.  The default profile
# draws the same examples on every run; `--hypothesis-profile=explore` looks further.
settings.register_profile(
    "fastgru",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "explore", settings.get_profile("fastgru"), derandomize=False, max_examples=1000
)
settings.load_profile("fastgru")

DATA_VARIABLE = "FASTGRU_TEST_DATA"
DATA_FILES = ("spoken_digits.npz", "timemachine.txt")


@pytest.fixture
def rng():
    """Give a generator that starts from the same seed in every test."""
    return np.random.default_rng(20240229)


@pytest.fixture(scope="session")
def test_data():
    """Give the folder with the files of `DATA_FILES`, or skip where none is named."""
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        pytest.skip(f"extra data: {DATA_VARIABLE} names no folder")
    missing = [name for name in DATA_FILES if not (Path(folder) / name).is_file()]
    assert not missing, f"{DATA_VARIABLE}={folder} lacks {', '.join(missing)}"
    return Path(folder)


@pytest.fixture
def two_threads():
    """Skip where fastgru has no second thread to use."""
    import fastgru

    if fastgru.get_num_threads() < 2:
        pytest.skip("two threads: this machine or its settings allow one")


def pytest_terminal_summary(terminalreporter):
    """Say which tests were skipped, under the reason they gave."""
    left_out = {}
    for report in terminalreporter.stats.get("skipped", []):
        if isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            test = report.nodeid.partition("[")[0]
            left_out.setdefault(reason, {})[test] = None
    if left_out:
        terminalreporter.section("left out of this run")
        for reason, tests in left_out.items():
            terminalreporter.write_line(reason)
            for test in tests:
                terminalreporter.write_line(f"    {test}")
