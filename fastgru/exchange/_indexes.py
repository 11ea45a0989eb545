"""The regular index of a series in a few JSON values, and back.

No text of a file is given to pandas to parse: a frequency is the name of one of a few
classes with whole numbers, a time zone the key of a known one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from fastgru.exchange._values import check_list, check_type
from fastgru.exchange.container import shortened
from fastgru.forecasting._indexes import next_index

# Frequencies, and what they have besides their number.
_FREQUENCIES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("Nano", "Micro", "Milli", "Second", "Minute", "Hour", "Day"), ()),
    "BusinessDay": (),
    "Week": ("weekday",),
    "WeekOfMonth": ("week", "weekday"),
    "LastWeekOfMonth": ("weekday",),
    **dict.fromkeys(("SemiMonthBegin", "SemiMonthEnd"), ("day_of_month",)),
    **dict.fromkeys(("MonthBegin", "MonthEnd"), ()),
    **dict.fromkeys(("BusinessMonthBegin", "BusinessMonthEnd"), ()),
    **dict.fromkeys(("QuarterBegin", "QuarterEnd"), ("startingMonth",)),
    **dict.fromkeys(("BQuarterBegin", "BQuarterEnd"), ("startingMonth",)),
    **dict.fromkeys(("YearBegin", "YearEnd"), ("month",)),
    **dict.fromkeys(("BYearBegin", "BYearEnd"), ("month",)),
}
_UNITS = ("s", "ms", "us", "ns")
_NUMBERS = tuple(f"{kind}{n}" for kind in ("int", "uint") for n in (8, 16, 32, 64))
_NUMBERS += ("float32", "float64")
_OFFSET_OF_ZONE = re.compile(r"UTC([+-]\d\d:\d\d)?")
_NAME_OF_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


class IndexPlans:
    """Indexes that are described alike are made once.

    Each is a list: its kind, and what follows from that.

    - "range", first, step
    - "numbers", dtype, last but one, last
    - "durations", unit, last but one, last
    - "dates", unit, time zone or None, frequency, first
    - "periods", frequency, first

    Dates, durations and periods are whole numbers, as pandas keeps them.  Of numbers
    and durations only the last two matter for what follows; those before are spaced
    evenly.

    n_ahead : for how many steps more there must be room, if any
    """

    def __init__(self, n_ahead: int) -> None:
        self._n_ahead = n_ahead
        self._made: dict[Any, Any] = {}

    def describe(self, index: Any) -> list[Any]:
        """Return an index as JSON values.

        Raises
        ------
        TypeError
            If it would not come back as it is.
        """
        description = _describe(index)
        made = None
        if description is not None:
            try:
                made = self.build(description, len(index))
            except ValueError:
                pass
        if description is None or made is None or not _goes_on(made, index):
            kind = f"{type(index).__name__} of {index.dtype}"
            frequency = getattr(index, "freq", None)
            if frequency is not None:
                kind += f" and frequency {frequency!r}"
            raise TypeError(f"a file cannot hold an index that is a {kind}")
        return description

    def build(self, description: Any, n_steps: int) -> Any:
        """Return the index of so many steps.

        Raises
        ------
        ValueError
            If nothing is described, or it has no room.
        """
        key = repr(description), n_steps
        if key not in self._made:
            try:
                with np.errstate(all="ignore"):
                    self._made[key] = _build(description, n_steps, self._n_ahead)
            except MemoryError:
                raise
            except Exception as error:
                # Whatever pandas raises, and what the packages of time zones do.
                raise ValueError(
                    f"{shortened(description)} is no index: {error}"
                ) from error
        return self._made[key]


def _goes_on(made: Any, index: Any) -> bool:
    """Whether one index is as good as the other for all that can follow."""
    if type(made) is not type(index) or made.dtype != index.dtype:
        return False
    if hasattr(index, "freq") and index.dtype.kind != "m":
        return bool(made.equals(index) and made.freq == index.freq)
    return bool(made[-2:].equals(index[-2:]))


# -- to JSON ---------------------------------------------------------------------------


def _describe(index: Any) -> list[Any] | None:
    import pandas as pd

    if isinstance(index, pd.RangeIndex):
        return ["range", int(index.start), int(index.step)]
    if isinstance(index, pd.DatetimeIndex):
        zone = None if index.tz is None else str(index.tz)
        frequency = _describe_frequency(index.freq)
        return ["dates", index.unit, zone, frequency, int(index.asi8[0])]
    if isinstance(index, pd.PeriodIndex):
        return ["periods", _describe_frequency(index.freq), int(index.asi8[0])]
    if isinstance(index, pd.TimedeltaIndex):
        return ["durations", index.unit, *map(int, index.asi8[-2:])]
    if isinstance(index.dtype, np.dtype):
        return ["numbers", index.dtype.name, *index.to_numpy()[-2:].tolist()]
    return None


def _describe_frequency(frequency: Any) -> list[Any] | None:
    name = type(frequency).__name__
    if name not in _FREQUENCIES:
        return None
    arguments = [getattr(frequency, key) for key in _FREQUENCIES[name]]
    return [name, int(frequency.n), *arguments]


# -- from JSON -------------------------------------------------------------------------


def _build(description: Any, n_steps: int, n_ahead: int) -> Any:
    check_type(description, list, "an index")
    kinds: dict[str, tuple[Callable[..., Any], int]] = {
        "range": (_build_range, 3),
        "numbers": (_build_numbers, 4),
        "durations": (_build_durations, 4),
        "dates": (_build_dates, 5),
        "periods": (_build_periods, 3),
    }
    kind = description[0] if description else None
    make, n_values = kinds[check_type(kind, str, "the kind of an index")]
    if len(description) != n_values:
        raise ValueError(f"expected {n_values} values")
    index = make(n_steps, *description[1:])
    rises = _rises(index, n_steps)
    if rises and n_ahead:
        following = next_index(index, n_ahead)
        rises = _rises(following, n_ahead) and following[0] > index[-1]
    if not rises:
        raise ValueError("it does not rise, or has no room to go on")
    return index


def _rises(index: Any, n_steps: int) -> bool:
    is_whole = len(index) == n_steps and not index.hasnans
    return bool(is_whole and index.is_monotonic_increasing and index.is_unique)


def _build_range(n_steps: int, first: Any, step: Any) -> Any:
    import pandas as pd

    _check_whole(first, step)
    _check_whole(first + 2 * n_steps * step)  # there is room for as many again
    return pd.RangeIndex(first, first + n_steps * step, step)


def _build_numbers(n_steps: int, kind: Any, last_but_one: Any, last: Any) -> Any:
    import pandas as pd

    if check_type(kind, str, "the type of an index") not in _NUMBERS:
        raise ValueError("there are no such numbers")
    if kind.startswith("float"):
        check_list([last_but_one, last], float, "an index of fractions")
        if not math.isfinite(last - last_but_one):
            raise ValueError("it has no width")
    else:
        _check_whole(last_but_one, last)
        first = last - (n_steps - 1) * (last - last_but_one)
        if min(first, last_but_one) < np.iinfo(kind).min or last > np.iinfo(kind).max:
            raise ValueError(f"it does not fit into {kind}")
    dtype = np.dtype(kind)
    ends = np.array([last_but_one, last]).astype(dtype)
    steps = np.arange(n_steps)[::-1].astype(dtype)
    numbers = ends[1:] - np.diff(ends) * steps
    numbers[-2:] = ends
    return pd.Index(numbers)


def _build_durations(n_steps: int, unit: Any, last_but_one: Any, last: Any) -> Any:
    import pandas as pd

    numbers = _build_numbers(n_steps, "int64", last_but_one, last).to_numpy()
    return pd.TimedeltaIndex(numbers.view(f"m8[{_check_unit(unit)}]"))


def _build_dates(n_steps: int, unit: Any, zone: Any, frequency: Any, first: Any) -> Any:
    import pandas as pd

    _check_whole(first)
    start = pd.DatetimeIndex(np.array([first], f"M8[{_check_unit(unit)}]"))
    if zone is not None:
        start = start.tz_localize("UTC").tz_convert(_check_zone(zone))
    frequency = _build_frequency(frequency)
    return pd.date_range(start[0], periods=n_steps, freq=frequency, unit=unit)


def _build_periods(n_steps: int, frequency: Any, first: Any) -> Any:
    import pandas as pd

    _check_whole(first)
    start = pd.Period(ordinal=first, freq=_build_frequency(frequency))
    return pd.period_range(start, periods=n_steps)


def _build_frequency(description: Any) -> Any:
    import pandas as pd

    name, n, *values = check_type(description, list, "a frequency")
    names = _FREQUENCIES[check_type(name, str, "the name of a frequency")]
    _check_whole(n, *(value for value in values if value is not None))
    if not 1 <= n < 2**31:
        raise ValueError("a frequency must be of at least one step")
    arguments = dict(zip(names, values, strict=True))
    for key in arguments.keys() & {"month", "startingMonth"}:
        if arguments[key] not in range(1, 13):
            raise ValueError(f"there is no month {shortened(arguments[key])}")
    return getattr(pd.offsets, name)(n, **arguments)


def _check_whole(*values: Any) -> None:
    for value in values:
        check_type(value, int, "a number of an index")
        if not -(2**63) < value < 2**63:
            raise ValueError("it does not fit into 64 bits")


def _check_unit(unit: Any) -> str:
    if unit not in _UNITS:
        raise ValueError(f"a unit must be one of {', '.join(_UNITS)}")
    return str(unit)


def _check_zone(zone: Any) -> str:
    """Return the name of a time zone that is known; pandas would look for files."""
    check_type(zone, str, "a time zone")
    if _OFFSET_OF_ZONE.fullmatch(zone):
        return str(zone)
    if len(zone) > 100 or not _NAME_OF_ZONE.fullmatch(zone):
        raise ValueError("there is no such time zone")
    try:
        ZoneInfo(zone)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"there is no time zone {zone!r} here") from error
    return str(zone)
