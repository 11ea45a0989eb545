"""The Free Spoken Digit Dataset, as mel-frequency cepstral coefficients."""

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

if TYPE_CHECKING:
    from sklearn.utils import Bunch

N_COEFFICIENTS = 13
DIGITS = "zero one two three four five six seven eight nine".split()


@overload
def load_spoken_digits(*, return_X_y: Literal[False] = ...) -> "Bunch": ...


@overload
def load_spoken_digits(
    *, return_X_y: Literal[True]
) -> tuple[list[np.ndarray], np.ndarray]: ...


def load_spoken_digits(*, return_X_y: bool = False) -> Any:
    """Load 3000 recordings of spoken digits, sequences of unequal length.

    Each of the ten English digits was spoken 50 times by each of six speakers.
    A recording is a sequence of 6 to 92 frames, a frame is 13 mel-frequency
    cepstral coefficients. The recordings are in no particular order, and who
    spoke them is not known.

    =================  ===========
    Classes                     10
    Samples per class          300
    Samples total             3000
    Features                    13
    Time steps             6 to 92
    =================  ===========

    Parameters
    ----------
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes

        data : list of 3000 ndarrays of shape (n_timesteps_i, 13), float32
            The recordings, not scaled.
        target : ndarray of shape (3000,), int64
            The digit spoken, 0 to 9.
        target_names : list of 10 str
            The digits as words.
        feature_names : list of 13 str
            ``"mfcc_0"`` to ``"mfcc_12"``.
        DESCR : str
            Origin, authors and licence of the data.

    (data, target) : tuple of list and ndarray, if ``return_X_y`` is True
        The first two attributes of the Bunch.

    Notes
    -----
    The data are under the licence CC BY-SA 4.0, unlike the code; ``DESCR`` has
    the attribution. They are read from the installed package: nothing is
    downloaded.

    References
    ----------
    .. [1] Zohar Jackson, César Souza, Jason Flaks, Yuxin Pan, Hereman Nicolas and
       Adhish Thite (2018), Free Spoken Digit Dataset, version 1.0.8,
       https://doi.org/10.5281/zenodo.1342401

    Examples
    --------
    >>> from fastgru.datasets import load_spoken_digits
    >>> digits = load_spoken_digits()
    >>> len(digits.data), digits.data[0].shape, digits.data[1].shape
    (3000, (14, 13), (13, 13))
    >>> digits.target_names[digits.target[0]]
    'five'
    """
    folder = files("fastgru.datasets") / "data"
    with (folder / "spoken_digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        frames = arrays["X"].astype(np.float32)
        starts = np.cumsum(arrays["lengths"], dtype=np.intp)[:-1]
        target = arrays["y"].astype(np.int64)
    data = np.split(frames, starts)
    if return_X_y:
        return data, target

    from sklearn.utils import Bunch

    return Bunch(
        data=data,
        target=target,
        target_names=list(DIGITS),
        feature_names=[f"mfcc_{i}" for i in range(N_COEFFICIENTS)],
        DESCR=(folder / "spoken_digits_LICENSE.txt").read_text(encoding="utf-8"),
    )
