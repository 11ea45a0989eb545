"""What a user passes as series: one or many, checked once, and results in that form.

A series is a 1-D array or a pandas Series (one variable), or a 2-D array or a DataFrame
(a column per variable, forecast together); a list holds several of one such kind and of
any lengths.  Known features (exog) come in the same way, with a row for each step.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastgru.forecasting._indexes import check_index, ends, goes_on, next_index

FILLS = (None, "linear", "last")
# The squares of larger numbers may have no sum.
LARGEST = 1e100


@dataclass(frozen=True)
class Series:
    """One checked series.

    Parameters
    ----------
    values : ndarray of shape (n_steps, n_targets), float64
    exog : ndarray of shape (n_steps, n_exog), float64
        Known features; no columns where there are none.
    index : pandas Index or None
        Regular and sorted, of the length of the values.
    names : tuple
        Names of the variables of pandas objects.
    """

    values: np.ndarray
    exog: np.ndarray
    index: Any = None
    names: tuple[Any, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def before(self, n_steps: int) -> Series:
        """Return the first steps."""
        return self._part(slice(n_steps))

    def after(self, n_steps: int) -> Series:
        """Return the steps from this one on."""
        return self._part(slice(n_steps, None))

    def followed_by(self, new: Series) -> Series:
        """Return both, one after the other."""
        index = None if self.index is None else self.index.append(new.index)
        return replace(
            self,
            values=np.concatenate([self.values, new.values]),
            exog=np.concatenate([self.exog, new.exog]),
            index=index,
        )

    def _part(self, steps: slice) -> Series:
        index = None if self.index is None else self.index[steps]
        values, exog = self.values[steps], self.exog[steps]
        return replace(self, values=values, exog=exog, index=index)


@dataclass(frozen=True)
class SeriesForm:
    """The form in which series came, and in which forecasts go back.

    Parameters
    ----------
    is_list : bool
        Whether there are several.
    container : {"array", "Series", "DataFrame"}
    is_flat : bool
        Whether a series has one axis.
    n_targets, n_exog : int
        Variables and known features of a step.
    columns, exog_columns : tuple
        Names of the columns of data frames.
    """

    is_list: bool
    container: str
    is_flat: bool
    n_targets: int
    n_exog: int
    columns: tuple[Any, ...] = ()
    exog_columns: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Say what the series are, for error messages."""
        if self.is_flat:
            kind = "a 1-D array" if self.container == "array" else "a Series"
        else:
            kind = "a 2-D array" if self.container == "array" else "a DataFrame"
            kind += f" of {self.n_targets} columns"
        return f"a list, each member {kind}" if self.is_list else kind

    def to_user(
        self, parts: list[np.ndarray], indexes: list[Any], names: list[tuple[Any, ...]]
    ) -> Any:
        """Give arrays (n_steps, n_targets), one per series, the form of the input."""
        given = [
            self._to_user(part, index, own)
            for part, index, own in zip(parts, indexes, names, strict=True)
        ]
        return given if self.is_list else given[0]

    def _to_user(self, part: np.ndarray, index: Any, names: tuple[Any, ...]) -> Any:
        values = part[:, 0] if self.is_flat else part
        if self.container == "array":
            return values
        import pandas as pd

        if self.is_flat:
            return pd.Series(values, index, name=names[0])
        return pd.DataFrame(values, index, columns=list(names))


def check_series(
    series: Any,
    exog: Any = None,
    *,
    fill: str | None = None,
    expected: SeriesForm | None = None,
    before: list[np.ndarray] | None = None,
    what: str = "series",
) -> tuple[list[Series], SeriesForm]:
    """Check what a user passed and return it as a list.

    Parameters
    ----------
    series : array, Series, DataFrame, or list of them
    exog : the same, default=None
        Known features.
    fill : {None, "linear", "last"}, default=None
        What to do about NaN: refuse it, interpolate, or repeat the last number.
    expected : SeriesForm, default=None
        The form that ``fit`` saw.
    before : list of ndarray of shape (n_targets,), default=None
        The last values of the series that these go on with, to fill gaps from.
    what : str
        The name of the argument, for messages.

    Returns
    -------
    series : list of Series
    form : SeriesForm

    Raises
    ------
    TypeError
        If something is no array of numbers.
    ValueError
        If shapes do not fit each other or what is expected, an index is not sorted or
        not regular, or numbers are missing or infinite.
    """
    is_list = isinstance(series, (list, tuple)) and not _is_list_of_numbers(series)
    members = list(series) if is_list else [series]
    if not members:
        raise ValueError(f"{what} is an empty list; expected at least one series")
    places = [f"{what}[{k}]" for k in range(len(members))] if is_list else [what]
    exogs = members_of_exog(exog, len(members), is_list=is_list)
    checked: list[Series] = []
    form = None
    for k, (member, own_exog) in enumerate(zip(members, exogs, strict=True)):
        place = places[k]
        last = before[k] if before is not None and k < len(before) else None
        one, own_form = _check_one(member, own_exog, fill, place, last)
        own_form = replace(own_form, is_list=is_list)
        if form is not None and own_form != form:
            raise ValueError(
                f"{place} is not of the form of {what}[0]: "
                f"{_difference(own_form, form)}"
            )
        form = form or own_form
        checked.append(one)
    assert form is not None  # there is at least one
    if expected is not None:
        _check_form(form, expected, len(checked), what)
    return checked, form


def _is_list_of_numbers(series: Any) -> bool:
    return len(series) > 0 and all(np.ndim(member) == 0 for member in series)


def members_of_exog(exog: Any, n_series: int, *, is_list: bool) -> list[Any]:
    """Return the known features of each series."""
    if exog is None:
        return [None] * n_series
    if not is_list:
        return [exog]
    if not isinstance(exog, (list, tuple)) or len(exog) != n_series:
        kind = f"{len(exog)} members" if isinstance(exog, (list, tuple)) else "no list"
        raise ValueError(
            f"series is a list of {n_series}, so exog must be one too, of as many "
            f"members; got {kind}"
        )
    return list(exog)


def _check_one(
    series: Any, exog: Any, fill: str | None, place: str, before: np.ndarray | None
) -> tuple[Series, SeriesForm]:
    container = _container(series)
    values = _numbers(series, place)
    is_flat = values.ndim == 1
    if values.ndim not in (1, 2):
        raise ValueError(
            f"{place} has {values.ndim} dimensions (shape {values.shape}); expected "
            "one series, of shape (n_steps,) or (n_steps, n_variables), or a list of "
            "series of unequal lengths"
        )
    if values.size == 0:
        found = "step(s)" if len(values) == 0 else "feature(s)"
        raise ValueError(
            f"{place} is empty: 0 {found} (shape={values.shape}) while a minimum of 1 "
            "is required."
        )
    values = values.reshape(len(values), -1)
    index = None if container == "array" else check_index(series.index, place)
    if before is not None and len(before) != values.shape[1]:
        before = None  # the form will be refused
    values = _without_gaps(values, index, fill, place, before)
    features = np.empty((len(values), 0))
    if exog is not None:
        features = check_exog(exog, len(values), index, place.replace("series", "exog"))
    names: tuple[Any, ...] = ()
    if container != "array":
        names = (series.name,) if is_flat else tuple(series.columns)
    form = SeriesForm(
        is_list=False,
        container=container,
        is_flat=is_flat,
        n_targets=values.shape[1],
        n_exog=features.shape[1],
        columns=() if is_flat else names,
        exog_columns=columns_of(exog),
    )
    return Series(values, features, index, names), form


def columns_of(exog: Any) -> tuple[Any, ...]:
    """Return the names of a data frame's columns; others have none."""
    return tuple(exog.columns) if _container(exog) == "DataFrame" else ()


def check_exog(exog: Any, n_steps: int, index: Any, place: str) -> np.ndarray:
    """Return known features as an array, or say what is wrong with them."""
    values = _numbers(exog, place)
    if values.ndim == 1:
        values = values[:, np.newaxis]
    if values.ndim != 2 or len(values) != n_steps or values.shape[1] == 0:
        raise ValueError(
            f"{place} must have a row of features for each of {n_steps} steps: shape "
            f"({n_steps}, n_features), got shape {np.shape(exog)}"
        )
    own = exog.index if _container(exog) != "array" else None
    if index is not None and own is not None and not index.equals(own):
        raise ValueError(
            f"{place} has another index than its series: {ends(own)}, expected "
            f"{ends(index)}"
        )
    return _without_gaps(values, own, None, place)


def _container(series: Any) -> str:
    """Return which of the kinds a series is."""
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if isinstance(series, pandas.Series):
            return "Series"
        if isinstance(series, pandas.DataFrame):
            return "DataFrame"
    return "array"


def _numbers(series: Any, place: str) -> np.ndarray:
    """Return float64 numbers, or say what is none."""
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(series):
        raise TypeError(f"sparse input is not supported: {place} is {series!r}")
    if isinstance(series, np.ma.MaskedArray) and np.ma.is_masked(series):
        raise ValueError(f"{place} has masked values; mark gaps with NaN")
    try:
        array = np.asarray(series)
    except ValueError:
        raise ValueError(
            f"{place} holds rows of unequal lengths; expected an array (n_steps,) or "
            "(n_steps, n_variables)"
        ) from None
    kind = array.dtype.kind
    if kind == "c":
        raise ValueError(f"Complex data not supported: {place} is {array.dtype}")
    if kind not in "biuf" and kind != "O":
        raise TypeError(
            f"{place} must hold numbers, got {array.dtype} ({type(series).__name__})"
        )
    if kind == "O":
        # NumPy would read text as numbers and drop imaginary parts.
        for number in array.flat:
            if isinstance(number, (str, bytes, complex)):
                raise TypeError(f"{place} must hold numbers, got {number!r}")
    try:
        return np.array(array, np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{place} must hold numbers, got {type(series).__name__}: {error}"
        ) from error


def _without_gaps(
    values: np.ndarray,
    index: Any,
    fill: str | None,
    place: str,
    before: np.ndarray | None = None,
) -> np.ndarray:
    """Fill gaps if that is asked for, and refuse what is left of them."""
    infinite = np.argwhere(np.isinf(values))
    if infinite.size:
        raise ValueError(
            f"{place} is infinite at {_step(infinite[0, 0], index)}; expected numbers"
        )
    large = np.argwhere(np.abs(values) > LARGEST)
    if large.size:
        raise ValueError(
            f"{place} is {values[tuple(large[0])]} at {_step(large[0, 0], index)}; "
            f"expected numbers of at most {LARGEST:.0e}"
        )
    missing = np.isnan(values)
    if not missing.any():
        return values
    if fill is None:
        steps = np.flatnonzero(missing.any(axis=1))
        shown = ", ".join(_step(step, index) for step in steps[:3])
        more = "" if len(steps) <= 3 else f" and {len(steps) - 3} more"
        if place.startswith("exog"):
            advice = "known features have no gaps"
        else:
            advice = (
                'fill="linear" interpolates gaps and fill="last" repeats what came '
                "before them"
            )
        raise ValueError(f"{place} is NaN at {shown}{more}; {advice}")
    if before is None:
        return _filled(values, fill, place)
    return _filled(np.concatenate([[before], values]), fill, place)[1:]


def _filled(values: np.ndarray, fill: str, place: str) -> np.ndarray:
    """Fill the gaps of each column."""
    steps = np.arange(len(values))
    for column in values.T:
        gaps = np.isnan(column)
        known = np.flatnonzero(~gaps)
        if not known.size:
            raise ValueError(f"{place} is NaN at all of {len(column)} steps")
        if fill == "linear":
            column[gaps] = np.interp(steps[gaps], known, column[known])
        else:
            before = np.searchsorted(known, steps[gaps], side="right") - 1
            column[gaps] = column[known[np.maximum(before, 0)]]
    return values


def _step(step: int, index: Any) -> str:
    return f"step {step}" if index is None else f"step {step} ({index[step]})"


def check_follows(old: Series, new: Series, what: str) -> Series:
    """Return what follows a series with the index that it then has."""
    if old.index is None:
        return replace(new, index=None)
    expected = next_index(old.index, len(new))
    if new.index is None:
        return replace(new, index=expected)
    if not goes_on(old.index, new.index):
        raise ValueError(
            f"{what} must go on where the series ended: its index has "
            f"{ends(new.index)}, expected {ends(expected)}"
        )
    return replace(new, index=expected)


# The form.


def _check_form(
    form: SeriesForm, expected: SeriesForm, n_series: int, what: str
) -> None:
    """Compare the form with what ``fit`` saw; arrays may go on where pandas was."""
    same = ("is_list", "n_targets", "n_exog")
    is_other = any(getattr(form, name) != getattr(expected, name) for name in same)
    for name in ("columns", "exog_columns"):
        own, others = getattr(form, name), getattr(expected, name)
        is_other |= bool(own and others and own != others)
    if is_other:
        raise ValueError(
            f"{what} does not have the form of the series in fit: "
            f"{_difference(form, expected)}"
        )


def _difference(form: SeriesForm, expected: SeriesForm) -> str:
    if form.n_exog != expected.n_exog:
        return f"it has {form.n_exog} exog features, expected {expected.n_exog}"
    if str(form) == str(expected):
        own, others = form.columns, expected.columns
        if own == others:
            own, others = form.exog_columns, expected.exog_columns
            return f"exog has the columns {list(own)}, expected {list(others)}"
        return f"it has the columns {list(own)}, expected {list(others)}"
    return f"it is {form}, expected {expected}"
