"""What a user passes as X: validated once, read a minibatch at a time.

The only file that knows the forms X may take. Everything after it sees minibatches
of one kind: the valid steps of some sequences, one after the other, and their
lengths.

How data flows
--------------
``check_sequences`` looks at the form of X, never at its sizes:

==========================================  ============  =====================
X                                           kind          ``n_features_in_``
==========================================  ============  =====================
3-D array, NaN-padded at the end            sequences     features per step
list of 2-D arrays (n_timesteps_i, n_feat)  sequences     features per step
2-D array, data frame                       univariate    steps of a sequence
list of equal 1-D rows                      univariate    steps of a sequence
integers, 2-D or a list, with ``n_tokens``  tokens        1
==========================================  ============  =====================

It opens X (an array, or a list of arrays), compares the form with what ``fit`` saw,
finds the length of each sequence and reads all values once. The answer is a
`Sequences`, which keeps X by reference; `Sequences.take` copies the sequences of a
minibatch out of it, in the dtype of the model, and `Sequences.subset` picks some of
them for a validation split.

What it costs
-------------
- Memory: X is never copied or converted whole; the check works in blocks of 1 MiB
  (or one sequence, where that is more), and a minibatch costs its own size, for a
  short time also that in the type of X. The exceptions are inputs that have no
  numbers to refer to: nested Python lists, arrays of objects and data frames of
  several column types are converted once.
- Time: the check is one pass over the values, without a copy where they are float32 or
  float64 and contiguous, and for 3-D arrays a look at each sequence's last step.
  ``take`` is one copy: by fancy index where no sequence is padded, else by
  concatenating the picked sequences.

A new form of X is a new kind in `SequenceForm`, and a branch where this file asks for
the kind. The file is longer than others because what it
knows stands nowhere else, and half of it says where a wrong value is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from numbers import Number
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils.validation import check_array

from fastgru import _buffers
from fastgru.kernels.values import all_within
from fastgru.layers._checks import readable

__all__ = ["SequenceForm", "Sequences", "check_sequences"]

# An array (n_samples, n_timesteps, n_channels), or a list of arrays with one of
# (n_timesteps_i, n_features) or (n_timesteps,) per sequence.
Source = NDArray[Any] | list[NDArray[Any]]

# Small enough that a block is still in the cache when its values are looked at.
_BLOCK_BYTES = 2**20

# Types of numbers that kernels read.
_COMPILED_FOR = (np.dtype(np.float32), np.dtype(np.float64))

_NO_ARRAYS = (str, bytes, Mapping, Set, Iterator)

_FORMS = (
    "a 3-D array (n_samples, n_timesteps, n_features), a list of 2-D arrays "
    "(n_timesteps_i, n_features), or a 2-D array (n_samples, n_timesteps)"
)


@dataclass(frozen=True)
class SequenceForm:
    """What ``fit`` saw of X, to compare later input with.

    Parameters
    ----------
    kind : {"sequences", "univariate", "tokens"}
        "sequences" for 3-D arrays and lists of 2-D arrays: any number of steps, a
        fixed number of features. "univariate" for 2-D arrays and lists of rows:
        one number per step, a fixed number of steps. "tokens" for 2-D arrays and
        lists of 1-D arrays of whole numbers: one token per step, any number of steps.
    n_features_in : int
        The estimator's ``n_features_in_``: features per step of "sequences", steps
        of "univariate", 1 of "tokens".

    Examples
    --------
    >>> from fastgru.sequences import SequenceForm
    >>> SequenceForm("univariate", 8).n_channels
    1
    """

    kind: Literal["sequences", "univariate", "tokens"]
    n_features_in: int

    @property
    def n_channels(self) -> int:
        """Numbers per step: the input size of the network."""
        return self.n_features_in if self.kind == "sequences" else 1

    def __str__(self) -> str:
        """Say what X is, for error messages."""
        if self.kind == "tokens":
            return "sequences of tokens"
        if self.kind == "univariate":
            return f"univariate sequences of {self.n_features_in} steps (2-D)"
        return f"sequences of {self.n_features_in} features per step (3-D or a list)"


class Sequences:
    """Checked sequences, kept where the user has them.

    Made by `check_sequences`. Methods only read, so threads may share one.

    Parameters
    ----------
    source : ndarray of shape (n_samples, n_timesteps, n_channels), or list of ndarray
        The user's data, or views of it.
    lengths : ndarray of shape (n_samples,), int64
        Valid steps of each sequence, at least 1.
    form : SequenceForm
        What X is.
    dtype : dtype
        Type of the values that `take` returns; of tokens always int64.
    rows : ndarray of shape (n_samples,), default=None
        Positions in ``source`` of these sequences; None means all, in order.

    Attributes
    ----------
    lengths : ndarray of shape (n_samples,), int64
        Valid steps of each sequence.
    n_features : int
        Numbers per step: the features of 3-D arrays and lists, 1 for 2-D arrays.
    form : SequenceForm
        What X is, with the estimator's ``n_features_in_``.
    dtype : dtype
        Type of the values that `take` returns.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.sequences import check_sequences
    >>> X = [np.zeros((2, 3)), np.ones((1, 3)), np.full((4, 3), 2.0)]
    >>> sequences = check_sequences(X, dtype="float32", estimator_name="GRUClassifier")
    >>> len(sequences), sequences.n_features, sequences.lengths.tolist()
    (3, 3, [2, 1, 4])
    >>> values, lengths = sequences.take([1, 0])
    >>> values
    array([[1., 1., 1.],
           [0., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    >>> lengths.tolist()
    [1, 2]
    """

    def __init__(
        self,
        source: Source,
        lengths: NDArray[np.int64],
        form: SequenceForm,
        dtype: np.dtype[Any],
        rows: NDArray[np.intp] | None = None,
    ) -> None:
        self.lengths = lengths
        self.n_features = form.n_channels
        self.form = form
        self.dtype = dtype
        self._source = source
        self._rows = rows

    @property
    def n_timesteps(self) -> int | None:
        """Steps of the array that X is, padding included; None for a list."""
        return None if isinstance(self._source, list) else self._source.shape[1]

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.lengths)

    def take(
        self, indices: slice | ArrayLike
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Copy some sequences, one after the other, without padding.

        Parameters
        ----------
        indices : slice, or array-like of shape (n_picked,), int or bool
            The sequences to copy, in this order; they may repeat.

        Returns
        -------
        values : ndarray of shape (sum of lengths, n_features), dtype of the model
            All steps of the first picked sequence, then those of the second, and so
            on. C-contiguous, writable, shares no memory with X. Tokens are of shape
            (sum of lengths,), int64.
        lengths : ndarray of shape (n_picked,), int64
            Steps of each picked sequence; a copy as well.

        Raises
        ------
        IndexError
            If an index is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru.sequences import check_sequences
        >>> X = np.arange(6).reshape(3, 2)
        >>> sequences = check_sequences(X, dtype="float32", estimator_name="GRU")
        >>> values, lengths = sequences.take([2, 0])
        >>> values.ravel().tolist(), lengths.tolist()
        ([4.0, 5.0, 0.0, 1.0], [2, 2])
        """
        rows, lengths = self._pick(indices)
        source, dtype = self._source, self.dtype
        values = _buffers.empty((int(lengths.sum()), self.n_features), dtype)
        if isinstance(source, list):
            _copy_members(source, rows, values)
        elif (lengths == source.shape[1]).all():
            _copy_whole(source, rows, values.reshape(-1, *source.shape[1:]))
        else:
            _copy_padded(source, rows, lengths, values)
        return (values[:, 0] if self.form.kind == "tokens" else values), lengths

    def subset(self, indices: slice | ArrayLike) -> Sequences:
        """Pick some sequences, without copying their values.

        Parameters
        ----------
        indices : slice, or array-like of shape (n_picked,), int or bool
            The sequences to pick, in this order; they may repeat.

        Returns
        -------
        subset : Sequences
            Refers to the same data.

        Raises
        ------
        IndexError
            If an index is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru.sequences import check_sequences
        >>> X = np.zeros((10, 5, 2))
        >>> sequences = check_sequences(X, dtype="float64", estimator_name="GRU")
        >>> len(sequences.subset([8, 9]))
        2
        """
        rows, lengths = self._pick(indices)
        if isinstance(rows, slice):
            return Sequences(self._source[rows], lengths, self.form, self.dtype)
        return Sequences(self._source, lengths, self.form, self.dtype, rows)

    def blocks(self, n_steps: int | None = None) -> Iterator[slice]:
        """Cut the sequences into runs to take one after the other.

        Parameters
        ----------
        n_steps : int, default=None
            Most steps of a run, if it is of more than one sequence; None means those
            that 1 MiB holds.

        Yields
        ------
        slice
            Some sequences; all runs together are all of them, in order.
        """
        if n_steps is None:
            n_steps = _BLOCK_BYTES // (self.n_features * self.dtype.itemsize)
        return _blocks(self.lengths, n_steps)

    def _pick(
        self, indices: slice | ArrayLike
    ) -> tuple[slice | NDArray[np.intp], NDArray[np.int64]]:
        """Return the positions in the source, and a copy of the lengths."""
        if not isinstance(indices, slice):
            indices = np.asarray(indices)
            if indices.ndim != 1:
                raise IndexError(f"indices are 1-D, got shape {indices.shape}")
            if indices.size == 0:
                indices = np.empty(0, np.intp)  # an empty list came as float64
            elif indices.dtype == bool:
                if len(indices) != len(self):
                    raise IndexError(
                        f"a mask of {len(indices)} entries cannot pick from "
                        f"{len(self)} sequences"
                    )
                indices = np.flatnonzero(indices)
        rows = indices if self._rows is None else self._rows[indices]
        return rows, self.lengths[indices].copy()


def check_sequences(
    X: Any,
    *,
    dtype: DTypeLike,
    estimator_name: str,
    expected: SequenceForm | None = None,
    n_tokens: int | None = None,
) -> Sequences:
    """Check X of an estimator, and make its sequences readable in minibatches.

    Parameters
    ----------
    X : array-like
        One of

        - a 3-D array (n_samples, n_timesteps, n_features); steps at the end of a
          sequence that are NaN in every feature are padding,
        - a list or tuple of 2-D arrays (n_timesteps_i, n_features), or a 1-D array
          of objects that holds them,
        - a 2-D array or data frame (n_samples, n_timesteps), or a list of equal 1-D
          rows: univariate sequences of one length,
        - with ``n_tokens``, a 2-D array of whole numbers (n_samples, n_timesteps), or a
          list of 1-D ones (n_timesteps_i,): sequences of tokens.

        Nested lists of numbers stand for the arrays they make. The data is kept by
        reference, not copied.
    dtype : {"float32", "float64"} or dtype
        Type of the model, in which minibatches are returned.
    estimator_name : str
        Name of the estimator, for messages.
    expected : SequenceForm, default=None
        The form that ``fit`` saw. None, at ``fit``, takes any form.
    n_tokens : int, default=None
        Number of different tokens, which are the whole numbers below it; None means
        that X holds no tokens.

    Returns
    -------
    sequences : Sequences
        The sequences, their lengths and their form.

    Raises
    ------
    ValueError
        If X has no samples, no features, or no 2 or 3 dimensions; holds an empty
        sequence, complex numbers or text; holds NaN elsewhere than in padding,
        infinity, or a number that ``dtype`` turns into infinity; if the members of
        a list differ in rank or in features; or if the form is not as ``expected``.
        The message names the place.
    TypeError
        If X or a member of a list is no array at all, or is sparse, or if an array
        of objects holds something that is no number.

    Notes
    -----
    One pass over the values. Needs memory for the lengths and for blocks of 1 MiB,
    or of one sequence where that is more.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgru.sequences import check_sequences
    >>> X = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [np.nan, np.nan]]])
    >>> sequences = check_sequences(X, dtype="float32", estimator_name="GRUClassifier")
    >>> sequences.lengths.tolist()
    [2, 1]
    >>> sequences.form
    SequenceForm(kind='sequences', n_features_in=2)
    >>> check_sequences(np.zeros((4, 9)), dtype="float32", expected=sequences.form,
    ...                 estimator_name="GRUClassifier")
    Traceback (most recent call last):
        ...
    ValueError: X holds univariate sequences of 9 steps (2-D), but GRUClassifier was \
fitted on sequences of 2 features per step (3-D or a list).
    """
    X = _as_list_or_array(X, estimator_name)
    if n_tokens is not None:
        return _open_tokens(X, n_tokens, estimator_name)
    source: Source
    if isinstance(X, list):
        source, form = _open_list(X, estimator_name)
    else:
        source, form = _open_array(X, estimator_name)
    if expected is not None:
        _check_form(form, expected, estimator_name)
    lengths = _find_lengths(source, form)
    _check_lengths(lengths, source, estimator_name)
    sequences = Sequences(source, lengths, form, np.dtype(dtype))
    _check_values(sequences)
    return sequences


# Opening X: what it is, without a look at its values.


def _as_list_or_array(X: Any, name: str) -> Any:
    """Return a list if X lists its sequences, else X for `_open_array`."""
    # One of SciPy's sparse arrays is a dict; check_array refuses it by its name.
    if X is None or (isinstance(X, _NO_ARRAYS) and not hasattr(X, "shape")):
        raise TypeError(f"X of {name} is {_describe(X)}; expected {_FORMS}.")
    if isinstance(X, (list, tuple)):
        if not X:
            raise ValueError(
                "Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is "
                f"required by {name}."
            )
        return list(X)
    holds_sequences = (
        isinstance(X, np.ndarray)
        and X.dtype == object
        and X.ndim == 1
        and len(X)
        and isinstance(X[0], (np.ndarray, list, tuple))
    )
    return list(X) if holds_sequences else X


def _open_array(X: Any, name: str) -> tuple[NDArray[Any], SequenceForm]:
    """Take a 2-D or 3-D array, or what NumPy makes one of; return it 3-D."""
    array = X if _is_plain(X) else _convert(X, name)
    if array.ndim > 3:
        raise ValueError(
            f"X of {name} has {array.ndim} dimensions (shape={array.shape}); "
            f"expected {_FORMS}."
        )
    if array.dtype.kind not in "biuf":
        raise ValueError(f"X of {name} has dtype {array.dtype}; expected numbers.")
    if array.ndim == 2:
        return array[:, :, np.newaxis], SequenceForm("univariate", array.shape[1])
    for size, noun in zip(array.shape[1:], ("step", "feature"), strict=True):
        if size == 0:
            raise ValueError(
                f"Found array with 0 {noun}(s) (shape={array.shape}) while a minimum "
                f"of 1 is required by {name}."
            )
    return array, SequenceForm("sequences", array.shape[2])


def _is_plain(X: Any) -> bool:
    """Whether X is what `_convert` would hand back as it is, which takes it a while."""
    is_array = type(X) is np.ndarray and X.dtype in _COMPILED_FOR
    return is_array and X.ndim in (2, 3) and X.size > 0


def _convert(X: Any, name: str) -> NDArray[Any]:
    """Make an array of what scikit-learn takes for one."""
    _refuse_masked(X, "X")
    try:
        return np.asarray(
            check_array(
                X,
                allow_nd=True,
                ensure_all_finite=False,
                estimator=name,
                input_name="X",
            )
        )
    except (TypeError, ValueError, OverflowError) as error:
        _name_cell(X, "X", error)
        raise


def _open_list(X: list[Any], name: str) -> tuple[list[NDArray[Any]], SequenceForm]:
    """Take a list of 2-D arrays or of equal 1-D rows; return it with arrays only."""
    first = _open_member(X[0], 0, name)
    if first.shape[-1] == 0:
        shape = first.shape if first.ndim == 2 else (len(X), 0)
        raise ValueError(
            f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is "
            f"required by {name}. (X[0] is the first to have none.)"
        )
    members = [first]
    for index in range(1, len(X)):
        member = _open_member(X[index], index, name)
        if member.ndim != first.ndim or member.shape[-1] != first.shape[-1]:
            _refuse_member(member, index, first)
        members.append(member)
    if first.ndim == 1:
        return members, SequenceForm("univariate", len(first))
    return members, SequenceForm("sequences", first.shape[1])


def _open_tokens(X: Any, n_tokens: int, name: str) -> Sequences:
    """Take a 2-D array of tokens, or a list of 1-D ones, and check every token."""
    form = SequenceForm("tokens", 1)
    source: Source
    if isinstance(X, list):
        source = [_open_token_member(x, index) for index, x in enumerate(X)]
        lengths = _find_lengths(source, form)
        _check_lengths(lengths, source, name)
    else:
        array = np.asarray(X)
        if array.ndim != 2 or array.size == 0:
            raise ValueError(
                f"X of {name} has shape {array.shape}; expected tokens: whole numbers "
                "of shape (n_samples, n_timesteps), at least one, or a list of 1-D "
                "arrays."
            )
        _check_kind_of_tokens(array, "X")
        source = array[:, :, np.newaxis]
        lengths = np.full(len(array), array.shape[1])
    sequences = Sequences(source, lengths, form, np.dtype(np.int64))
    for block in sequences.blocks():
        tokens, own_lengths = sequences.take(block)
        wrong = np.flatnonzero((tokens < 0) | (tokens >= n_tokens))
        if wrong.size:
            ends = np.cumsum(own_lengths)
            member = int(np.searchsorted(ends, wrong[0], side="right"))
            step = int(wrong[0] - (ends[member] - own_lengths[member]))
            raise ValueError(
                f"tokens must be from 0 to n_tokens - 1 = {n_tokens - 1}, got "
                f"{tokens[wrong[0]]} at step {step} of sequence {block.start + member}"
            )
    return sequences


def _open_token_member(member: Any, index: int) -> NDArray[Any]:
    """Take one sequence of tokens."""
    try:
        array = np.asarray(member)
    except ValueError:
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise ValueError(
            f"X[{index}] has shape {array.shape}; expected the tokens of a sequence, "
            "whole numbers of shape (n_timesteps,)."
        )
    if array.size:  # an empty list comes as floats, and is refused by its length
        _check_kind_of_tokens(array, f"X[{index}]")
    return array


def _check_kind_of_tokens(array: NDArray[Any], place: str) -> None:
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"{place} holds {array.dtype}; expected tokens, which are whole numbers "
            "(convert by astype(int) what is only stored in another type)."
        )


def _open_member(member: Any, index: int, name: str) -> NDArray[Any]:
    """Take one sequence of a list; return it as an array of numbers, 1-D or 2-D."""
    place = f"X[{index}]"
    _refuse_masked(member, place)
    try:
        array = np.asarray(member)
    except ValueError:
        raise ValueError(
            f"{place} is a nested list with rows of unequal lengths; every step of a "
            "sequence has the same number of features."
        ) from None
    if array.ndim == 0:
        if array.dtype.kind in "biufc":
            raise ValueError(
                f"Expected 2D array, got 1D array instead: {place} is {member}.\n"
                "Reshape your data either using array.reshape(-1, 1) if your data has "
                "a single feature or array.reshape(1, -1) if it contains a single "
                "sample."
            )
        raise TypeError(f"{place} is {_describe(member)}; expected a 2-D array.")
    if array.ndim > 2:
        raise ValueError(
            f"{place} has {array.ndim} dimensions (shape={array.shape}); expected "
            f"{_FORMS}."
        )
    if array.dtype == object:
        array = _as_numbers(array, place)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {place} is {array.dtype}.")
    if array.dtype.kind not in "biuf":
        what = "text" if array.dtype.kind in "USO" else f"dtype {array.dtype}"
        raise ValueError(f"{place} of {name} holds {what}; expected numbers.")
    return array


def _as_numbers(array: NDArray[Any], place: str) -> NDArray[np.float64]:
    """Convert an array of objects, naming the first one that is no number."""
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        _name_cell(array, place, error)
        raise


def _name_cell(X: Any, place: str, error: Exception) -> None:
    """Raise ``error`` again with the place, if a cell of X is what caused it."""
    try:
        cells = np.asarray(X)
    except (TypeError, ValueError):
        return
    if cells.dtype != object:
        return
    for index, cell in np.ndenumerate(cells):
        try:
            float(cell)
        except (TypeError, ValueError, OverflowError) as cause:
            if not index:
                return
            kind = TypeError if isinstance(cause, TypeError) else ValueError
            where = ", ".join(map(str, index))
            raise kind(f"{cause}\n{place}[{where}] is {_describe(cell)}.") from error


def _refuse_masked(X: Any, place: str) -> None:
    """Refuse masked values: as plain arrays they would count as data."""
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{place} is a masked array with masked values; fill them, or in a 3-D "
            "array mark padding at the end with NaN."
        )


def _refuse_member(member: NDArray[Any], index: int, first: NDArray[Any]) -> NoReturn:
    """Say how a member of a list differs from the first one."""
    if member.size == 0 and (member.ndim == 1 or member.shape[0] == 0):
        raise ValueError(f"X[{index}] is an empty sequence (shape={member.shape}).")
    if member.ndim != first.ndim:
        what = f"is a {member.ndim}-D array of shape {member.shape}"
        other = f"a {first.ndim}-D array of shape {first.shape}"
        raise ValueError(f"X[{index}] {what}, but X[0] is {other}.")
    if first.ndim == 1:
        raise ValueError(
            f"X[{index}] has {len(member)} steps, but X[0] has {len(first)}: 1-D rows "
            "are univariate sequences of one length. Give sequences of unequal "
            "lengths as 2-D arrays (n_timesteps_i, 1)."
        )
    raise ValueError(
        f"X[{index}] has {member.shape[1]} features (shape={member.shape}), but X[0] "
        f"has {first.shape[1]} (shape={first.shape})."
    )


def _describe(value: Any) -> str:
    """Say what a value is that is no array."""
    if value is None:
        return "None"
    if isinstance(value, (str, bytes)):
        return f"text ({value[:30]!r})"
    if isinstance(value, Number):
        return f"the number {value}"
    return f"an object of type {type(value).__name__}"


def _check_form(form: SequenceForm, expected: SequenceForm, name: str) -> None:
    """Compare the form of X with what ``fit`` saw."""
    if form.kind != expected.kind:
        raise ValueError(f"X holds {form}, but {name} was fitted on {expected}.")
    if form.n_features_in != expected.n_features_in:
        raise ValueError(
            f"X has {form.n_features_in} features, but {name} is expecting "
            f"{expected.n_features_in} features as input.\n"
            f"X holds {form}; fit saw {expected}."
        )


# Lengths and values.


def _blocks(lengths: NDArray[np.int64], steps_per_block: int) -> Iterator[slice]:
    """Cut the sequences into runs of at most so many steps, at least one in each."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        limit = ends[start] - lengths[start] + steps_per_block
        stop = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
        yield slice(start, stop)
        start = stop


def _find_lengths(source: Source, form: SequenceForm) -> NDArray[np.int64]:
    """Count the valid steps of each sequence; 0 where all are padding."""
    if isinstance(source, list):
        return np.fromiter((len(member) for member in source), np.int64, len(source))
    n_samples, n_timesteps, n_features = source.shape
    lengths = np.full(n_samples, n_timesteps, dtype=np.int64)
    if form.kind == "univariate" or source.dtype.kind != "f":
        return lengths
    full = lengths.copy()
    for block in _blocks(full, _BLOCK_BYTES // (n_features * source.itemsize)):
        part = source[block]
        padded = np.flatnonzero(np.isnan(part[:, -1, 0]))
        if padded.size:
            is_valid = ~np.all(np.isnan(part[padded]), axis=2)
            after_last = n_timesteps - is_valid[:, ::-1].argmax(axis=1)
            lengths[block.start + padded] = np.where(
                is_valid.any(axis=1), after_last, 0
            )
    return lengths


def _check_lengths(lengths: NDArray[np.int64], source: Source, name: str) -> None:
    """Refuse empty sequences."""
    empty = np.flatnonzero(lengths == 0)
    if not empty.size:
        return
    first = empty[0]
    if isinstance(source, list):
        raise ValueError(
            f"X[{first}] is an empty sequence (shape={source[first].shape}); {name} "
            "needs at least 1 step."
        )
    raise ValueError(
        f"Input X contains NaN.\nX[{first}] is an empty sequence: it is NaN in every "
        f"step and feature; {name} needs at least 1 step."
    )


def _check_values(sequences: Sequences) -> None:
    """Refuse NaN, infinity and what overflows the dtype of the model."""
    source = sequences._source
    if not isinstance(source, list):
        if source.dtype.kind in "biu":
            return
        flags = source.flags
        if source.dtype in _COMPILED_FOR and flags.c_contiguous and flags.aligned:
            # One call without Python's lock, and nothing is copied.
            rows = readable(source).reshape(len(source), -1)
            sizes = sequences.lengths * sequences.n_features
            if all_within(rows, sizes, float(np.finfo(sequences.dtype).max)):
                return
    with np.errstate(over="ignore", invalid="ignore"):
        for block in sequences.blocks():
            values, lengths = sequences.take(block)
            if not np.isfinite(values).all():
                _refuse_value(sequences, block.start, values, lengths)


def _refuse_value(
    sequences: Sequences,
    start: int,
    values: NDArray[Any],
    lengths: NDArray[np.int64],
) -> NoReturn:
    """Name the place of the first wrong value of a block, and why it is wrong."""
    row, feature = np.argwhere(~np.isfinite(values))[0]
    ends = np.cumsum(lengths)
    in_block = np.searchsorted(ends, row, side="right")
    index, step = start + in_block, row - (ends[in_block] - lengths[in_block])

    source, is_list = sequences._source, isinstance(sequences._source, list)
    value = np.ravel(source[index][step])[feature]
    place, inner = f"sequence {index}, step {step}", f"{step}"
    if sequences.form.kind == "sequences":
        place, inner = f"{place}, feature {feature}", f"{inner}, {feature}"
    label = f"X[{index}][{inner}]" if is_list else f"X[{index}, {inner}]"

    if not np.isnan(value):
        advice = " Scale X, or use dtype='float64'." if np.isfinite(value) else ""
        raise ValueError(
            "Input X contains infinity or a value too large for "
            f"{sequences.dtype!r}.\nFirst at {place}: {label} is {value}.{advice}"
        )
    if sequences.form.kind == "univariate":
        advice = "2-D X holds sequences of one length and takes no NaN."
    elif is_list:
        advice = "Sequences in a list have their own lengths and take no NaN."
    elif np.isnan(values[row]).all():
        advice = (
            f"Step {step} is NaN in every feature, but later steps are not: padding "
            "stands at the end of a sequence."
        )
    else:
        advice = (
            "NaN is taken as padding only: steps at the end of a sequence that are "
            "NaN in every feature."
        )
    raise ValueError(
        f"Input X contains NaN.\nFirst at {place}: {label} is nan. {advice}"
    )


# Copying minibatches.


def _copy_members(
    source: list[NDArray[Any]],
    rows: slice | NDArray[np.intp],
    values: NDArray[Any],
) -> None:
    """Copy members of a list into ``values``, one after the other."""
    if isinstance(rows, slice):
        picked = source[rows]
    else:
        picked = [source[row] for row in rows.tolist()]
    if picked:
        np.concatenate(picked, out=values if picked[0].ndim == 2 else values[:, 0])


def _copy_whole(
    source: NDArray[Any],
    rows: slice | NDArray[np.intp],
    values: NDArray[Any],
) -> None:
    """Copy an array's sequences, which have no padding, into ``values``."""
    is_direct = source.flags.c_contiguous and source.dtype == values.dtype
    if is_direct and not isinstance(rows, slice):
        # Once, without memory of its own; "wrap" counts negative numbers from the end.
        np.take(source, rows, axis=0, out=values, mode="wrap")
    else:
        np.copyto(values, source[rows], "unsafe")


def _copy_padded(
    source: NDArray[Any],
    rows: slice | NDArray[np.intp],
    lengths: NDArray[np.int64],
    values: NDArray[Any],
) -> None:
    """Copy the valid steps of an array's sequences into ``values``."""
    if isinstance(rows, slice):
        rows = np.arange(len(source))[rows]
    pairs = zip(rows.tolist(), lengths.tolist(), strict=True)
    np.concatenate([source[row, :length] for row, length in pairs], out=values)
