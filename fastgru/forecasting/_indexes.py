"""The index of a pandas series: regular, sorted, and how it goes on."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

import numpy as np


def check_index(index: Any, place: str) -> Any:
    """Return a regular index, with its frequency, or say where it is not one."""
    import pandas as pd

    is_date = isinstance(index, pd.DatetimeIndex)
    is_count = isinstance(index, (pd.PeriodIndex, pd.TimedeltaIndex))
    is_number = index.nlevels == 1 and pd.api.types.is_numeric_dtype(index.dtype)
    if not (is_date or is_count or is_number):
        kind = f"{index.nlevels} levels" if index.nlevels > 1 else index.dtype
        raise TypeError(
            f"the index of {place} is of {kind}; expected dates, periods or numbers, "
            "which go on after the last step"
        )
    if index.hasnans or not (index.is_monotonic_increasing and index.is_unique):
        at = _first_fall(index)
        raise ValueError(
            f"the index of {place} must rise from step to step; step {at} is "
            f"{index[at]}" + (f", after {index[at - 1]}" if at else "")
        )
    if is_date:
        return _with_frequency(index, place)
    widths = np.diff(index.asi8 if is_count else index.to_numpy())
    if isinstance(index, pd.PeriodIndex):
        wrong = np.flatnonzero(widths != index.freq.n)
    else:
        wrong = np.flatnonzero(~np.isclose(widths, widths[:1], rtol=1e-6, atol=0))
    if wrong.size:
        _refuse_irregular(index, int(wrong[0]), place)
    return index


def _with_frequency(index: Any, place: str) -> Any:
    """Return dates that know their frequency."""
    import pandas as pd

    if index.freq is not None or len(index) < 3:
        return index
    with warnings.catch_warnings():
        # pandas 3 announces another type of result, which would do as well.
        warnings.simplefilter("ignore")
        frequency = pd.infer_freq(index)
    if frequency is None:
        # Months and years differ by some days; what is out of order, by far more.
        widths = np.diff(index.asi8).astype(np.float64)
        wrong = np.flatnonzero(np.abs(widths / np.median(widths) - 1.0) > 0.2)
        first = int(wrong[0]) if wrong.size else int(np.argmax(widths))
        _refuse_irregular(index, first, place)
    return pd.DatetimeIndex(index, freq=frequency)


def _refuse_irregular(index: Any, at: int, place: str) -> NoReturn:
    raise ValueError(
        f"the index of {place} is not regular: step {at + 1} is {index[at + 1]}, after "
        f"{index[at]}.  Bring it to one frequency, for example by "
        'series.asfreq("D"), and choose how to fill what is missing'
    )


def _first_fall(index: Any) -> int:
    """Return the first step whose index is missing or does not rise."""
    for at in range(len(index)):
        is_missing = index[at : at + 1].hasnans
        if is_missing or (at and not index[at] > index[at - 1]):
            return at
    return len(index) - 1


def next_index(index: Any, n_steps: int) -> Any:
    """Return the index of the steps that follow; None where there is no index."""
    if index is None:
        return None
    return _next(index, n_steps).rename(index.name)


def _next(index: Any, n_steps: int) -> Any:
    import pandas as pd

    if isinstance(index, pd.DatetimeIndex):
        if index.freq is None:
            raise ValueError(
                f"an index of {len(index)} dates shows no frequency; give it one, for "
                'example by series.asfreq("D")'
            )
        dates = pd.date_range(index[-1], periods=n_steps + 1, freq=index.freq)
        return dates[1:].as_unit(index.unit)
    if isinstance(index, pd.PeriodIndex):
        return pd.period_range(index[-1] + 1, periods=n_steps, freq=index.freq)
    width = index[-1] - index[-2] if len(index) > 1 else 1
    if isinstance(index, pd.TimedeltaIndex):
        return pd.timedelta_range(index[-1] + width, periods=n_steps, freq=width)
    if isinstance(index, pd.RangeIndex):
        return pd.RangeIndex(
            index[-1] + width, index[-1] + (n_steps + 1) * width, width
        )
    return pd.Index(index[-1] + width * np.arange(1, n_steps + 1))


def goes_on(old: Any, index: Any) -> bool:
    """Whether an index follows another one, in numbers but for rounding."""
    import pandas as pd

    expected = next_index(old, len(index))
    if expected.equals(index):
        return True
    if all(isinstance(one, pd.DatetimeIndex) for one in (expected, index)):
        # To pandas 2, dates in other units are not equal.
        return str(expected.tz) == str(index.tz) and bool((expected == index).all())
    kinds = expected.dtype, index.dtype
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in kinds):
        return False
    if all(pd.api.types.is_integer_dtype(kind) for kind in kinds):
        return False  # which does not round
    width = expected[0] - old[-1]
    off = index.to_numpy(np.float64) - expected.to_numpy(np.float64)
    return bool(np.abs(off).max() <= 0.01 * width)


def ends(index: Any) -> str:
    """Say from where to where an index goes."""
    return f"{len(index)} steps from {index[0]} to {index[-1]}"
