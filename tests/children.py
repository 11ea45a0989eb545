"""Python code in processes of its own."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import fastgru

PACKAGE = Path(fastgru.__file__).parent


def start_python(code, *arguments, package=PACKAGE, **environment):
    """Start code in a fresh interpreter that imports the same fastgru.

    Parameters
    ----------
    code : str
        May be indented.
    *arguments : objects
        The rest of ``sys.argv``, as text.
    package : Path
        The folder of the fastgru to import.
    **environment : str or None
        Variables to set, or to remove.

    Returns
    -------
    subprocess.Popen
        Its three streams are pipes of text.
    """
    variables = os.environ | {"PYTHONPATH": str(package.parent)} | environment
    # Python looks in the current folder first, so that has to be the package's as well.
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={name: value for name, value in variables.items() if value is not None},
        cwd=package.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_python(code, *arguments, timeout=240, **options):
    """Run code as `start_python` does and return what it printed.

    A child that fails or does not end within ``timeout`` seconds is an error.
    """
    with start_python(code, *arguments, **options) as child:
        try:
            printed, errors = child.communicate(timeout=timeout)
        finally:
            child.kill()
    assert child.returncode == 0, f"exit status {child.returncode}\n{errors}"
    return printed
