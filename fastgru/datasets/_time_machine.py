"""The Time Machine by H. G. Wells, as plain text."""

import hashlib
import os
from pathlib import Path
from typing import Any

URL = "http://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt"
SHA1 = "090b5e7e70c295757f55df93cb0a180b9691891a"
FILE_NAME = "timemachine.txt"
FOLDER_VARIABLE = "FASTGRU_DATA"


def fetch_time_machine(
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> str:
    """Load *The Time Machine* (1895) by H. G. Wells; download it at first.

    The text, of about 180,000 characters, is that of many an exercise in language
    modelling [1]_.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Folder that holds ``timemachine.txt``, or is to hold it.  None means the folder
        that the environment variable ``FASTGRU_DATA`` names, and without one pooch's
        folder for caches.
    download_if_missing : bool, default=True
        Whether to download the text if it is not there.

    Returns
    -------
    str
        The text, lines and all.

    Raises
    ------
    OSError
        If the text is not there and cannot be, or is not to be, downloaded.
    ValueError
        If the file is not the text that is expected.
    ImportError
        If pooch is needed and not installed.

    Notes
    -----
    A file that is there is used after its SHA-1 was checked, for which neither a
    network nor pooch is needed: on a machine without, put the file from ``URL`` below
    into the folder.  The text is in the public domain, and comes from
    http://d2l-data.s3-accelerate.amazonaws.com/timemachine.txt

    References
    ----------
    .. [1] Zhang, Lipton, Li and Smola (2023), "Dive into deep learning", section 9.2.

    Examples
    --------
    >>> import re
    >>> from fastgru.datasets import fetch_time_machine
    >>> def letters_of_the_time_machine():
    ...     return re.sub("[^A-Za-z]+", " ", fetch_time_machine()).lower()
    """
    folder = data_home if data_home is not None else os.environ.get(FOLDER_VARIABLE)
    if folder is None or folder == "":
        folder = _import_pooch("None of data_home and FASTGRU_DATA names a folder; ")
        folder = folder.os_cache("fastgru")
    path = Path(folder).expanduser() / FILE_NAME
    if not path.is_file():
        if not download_if_missing:
            raise OSError(f"there is no {path}, and download_if_missing=False")
        _download(path)
    content = path.read_bytes()
    found = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if found != SHA1:
        raise ValueError(
            f"{path} is not the text of {URL}: its SHA-1 is {found}, expected {SHA1}; "
            "delete it to have it downloaded"
        )
    return content.decode("utf-8")


def _import_pooch(why: str) -> Any:
    try:
        import pooch
    except ImportError as error:
        raise ImportError(
            f"{why}pooch, which downloads the text, is not installed: run "
            "pip install 'fastgru[datasets]', or put the file from "
            f"{URL} into a folder that data_home or {FOLDER_VARIABLE} names"
        ) from error
    return pooch


def _download(path: Path) -> None:
    pooch = _import_pooch(f"there is no {path}; ")
    try:
        pooch.retrieve(
            URL, known_hash=f"sha1:{SHA1}", fname=path.name, path=path.parent
        )
    except (OSError, ValueError) as error:
        # OSError is what requests raises without a network, ValueError what pooch does
        # when something else came.
        raise OSError(
            f"{URL} could not be downloaded ({error}); put the file into {path.parent}"
        ) from error
