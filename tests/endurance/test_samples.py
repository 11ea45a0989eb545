"""Short samples, always the same, of what make soak, kill and fuzz do for long."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from children import PACKAGE

FOLDER = Path(__file__).parent


def run(name, *arguments):
    """Run one of the programs of this folder to its end."""
    done = subprocess.run(
        [sys.executable, FOLDER / name, *arguments],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.skipif(
    not (hasattr(os, "fork") and Path("/proc/self/statm").exists()),
    reason="soak: needs fork and /proc",
)
@pytest.mark.timeout(300)
def test_everything_at_once_for_20_seconds():
    assert '"wrong": 0' in run("soak.py", "--seconds", "20", "--seed", "0")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL: not there")
@pytest.mark.timeout(300)
def test_fits_that_are_killed_go_on_to_the_same_bits():
    assert "3 fits killed" in run("kill.py", "--kills", "3", "--seed", "0")


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="fuzz: needs Linux's /proc"
)
@pytest.mark.timeout(300)
def test_damaged_files_are_refused_or_hold_models_that_work():
    assert "300 files, 0 of them wrong" in run(
        "fuzz.py", "--files", "300", "--seed", "0"
    )
