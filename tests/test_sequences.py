"""Every form of X, every refusal, and what reading minibatches costs."""

import doctest
import re
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from fastgru import sequences as module
from fastgru.sequences import SequenceForm, check_sequences

NAME = "GRUClassifier"


def check(X, dtype="float64", expected=None):
    return check_sequences(X, dtype=dtype, estimator_name=NAME, expected=expected)


def split(values, lengths):
    return np.split(values, np.cumsum(lengths)[:-1])


def pad(members):
    """Make the NaN-padded 3-D array of a list, one step longer than it has to be."""
    n_timesteps = max(map(len, members)) + 1
    X = np.full((len(members), n_timesteps, members[0].shape[1]), np.nan)
    for row, member in zip(X, members, strict=True):
        row[: len(member)] = member
    return X


@pytest.fixture
def ragged(rng):
    return [rng.standard_normal((length, 3)) for length in (4, 1, 7, 2)]


# Forms.


def test_3d_array(rng):
    X = rng.standard_normal((5, 4, 3))
    sequences = check(X)
    assert len(sequences) == 5
    assert sequences.n_features == 3
    assert sequences.form == SequenceForm("sequences", 3)
    assert sequences.lengths.dtype == np.int64
    assert sequences.lengths.tolist() == [4] * 5
    values, lengths = sequences.take([3, 0, 3])
    np.testing.assert_array_equal(values, X[[3, 0, 3]].reshape(12, 3))
    assert lengths.dtype == np.int64
    assert lengths.tolist() == [4, 4, 4]


def test_padded_3d_array(ragged):
    sequences = check(pad(ragged))
    assert sequences.form == SequenceForm("sequences", 3)
    assert sequences.lengths.tolist() == [4, 1, 7, 2]
    values, lengths = sequences.take([2, 1])
    np.testing.assert_array_equal(values, np.concatenate([ragged[2], ragged[1]]))
    assert lengths.tolist() == [7, 1]


def test_only_some_sequences_padded(rng):
    X = rng.standard_normal((4, 3, 2))
    X[2, 1:] = np.nan
    sequences = check(X)
    assert sequences.lengths.tolist() == [3, 3, 1, 3]
    np.testing.assert_array_equal(sequences.take([0, 3])[0], X[[0, 3]].reshape(6, 2))
    np.testing.assert_array_equal(sequences.take([2])[0], X[2, :1])


@pytest.mark.parametrize("container", [list, tuple])
def test_list_of_2d_arrays(ragged, container):
    sequences = check(container(ragged))
    assert sequences.form == SequenceForm("sequences", 3)
    assert sequences.n_features == 3
    assert sequences.lengths.tolist() == [4, 1, 7, 2]
    values, lengths = sequences.take([3, 0])
    np.testing.assert_array_equal(values, np.concatenate([ragged[3], ragged[0]]))
    assert lengths.tolist() == [2, 4]


def test_object_array_of_2d_arrays(ragged):
    X = np.empty(4, dtype=object)
    X[:] = ragged
    sequences = check(X)
    assert sequences.form == SequenceForm("sequences", 3)
    np.testing.assert_array_equal(sequences.take([0])[0], ragged[0])


def test_2d_array(rng):
    X = rng.standard_normal((6, 4))
    sequences = check(X)
    assert sequences.form == SequenceForm("univariate", 4)
    assert sequences.n_features == 1
    assert sequences.lengths.tolist() == [4] * 6
    values, lengths = sequences.take([5, 2])
    np.testing.assert_array_equal(values, X[[5, 2]].reshape(8, 1))
    assert lengths.tolist() == [4, 4]


def test_list_of_rows(rng):
    X = rng.standard_normal((6, 4))
    sequences = check(list(X))
    assert sequences.form == SequenceForm("univariate", 4)
    assert sequences.n_features == 1
    np.testing.assert_array_equal(sequences.take([5, 2])[0], X[[5, 2]].reshape(8, 1))


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 3)])
def test_nested_lists(rng, shape):
    X = rng.standard_normal(shape)
    nested, array = check(X.tolist()), check(X)
    assert nested.form == array.form
    np.testing.assert_array_equal(nested.lengths, array.lengths)
    indices = [1, 5, 0]
    np.testing.assert_array_equal(nested.take(indices)[0], array.take(indices)[0])


def test_one_sample_of_one_step():
    assert check([[1.0]]).form == SequenceForm("univariate", 1)
    assert check([[[1.0]]]).form == SequenceForm("sequences", 1)


def test_array_like_that_is_no_array(rng):
    class ArrayLike:
        def __init__(self, data):
            self.data = data

        def __array__(self, dtype=None, copy=None):
            return self.data if dtype is None else self.data.astype(dtype)

    X = rng.standard_normal((6, 4))
    sequences = check(ArrayLike(X))
    assert sequences.form == SequenceForm("univariate", 4)
    assert np.shares_memory(sequences._source, X)


def test_data_frame(rng):
    pandas = pytest.importorskip("pandas")
    X = rng.standard_normal((6, 4))
    sequences = check(pandas.DataFrame(X))
    assert sequences.form == SequenceForm("univariate", 4)
    np.testing.assert_array_equal(sequences.take([1])[0].ravel(), X[1])

    mixed = pandas.DataFrame({"a": [1, 2], "b": [0.5, 1.5], "c": [True, False]})
    values, _ = check(mixed).take([0, 1])
    assert values.ravel().tolist() == [1, 0.5, 1, 2, 1.5, 0]

    frames = [pandas.DataFrame(X[:2]), pandas.DataFrame(X[2:])]
    sequences = check(frames)
    assert sequences.lengths.tolist() == [2, 4]
    np.testing.assert_array_equal(sequences.take([1])[0], X[2:])

    mixed["c"] = ["x", "y"]
    with pytest.raises(ValueError, match=r"X\[0, 2\] is text \('x'\)"):
        check(mixed)


# Types and layouts.


FLOATS = ["float16", ">f8", "float32", "float64", "longdouble", "object"]
INTEGERS = ["int8", "uint64", "bool"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("form", "source"),
    [*product(["3-D", "2-D", "list", "rows"], FLOATS + INTEGERS)]
    + [*product(["padded"], FLOATS)],
)
def test_types(form, source, dtype):
    data = np.arange(24).reshape(2, 4, 3).astype(source)
    X = {
        "3-D": data,
        "padded": data,
        "2-D": data[:, :, 0],
        "list": list(data),
        "rows": list(data[:, :, 0]),
    }[form]
    valid = data.copy()
    if form == "padded":
        data[1, 3] = np.nan
        valid = valid.reshape(8, 3)[:7]
    sequences = check(X, dtype)
    channels = 1 if form in ("2-D", "rows") else 3
    correct = valid[..., :channels].astype(dtype).reshape(-1, channels)
    for indices in (slice(None), [0, 1]):
        values, lengths = sequences.take(indices)
        assert values.dtype == dtype
        assert values.dtype.isnative
        assert values.flags.c_contiguous
        assert values.flags.writeable
        assert lengths.flags.writeable
        np.testing.assert_array_equal(values, correct)


@pytest.mark.parametrize("form", [np.asarray, list])
def test_objects_keep_their_precision(form):
    X = np.array([[1 / 3, 2], [True, 10**18 + 1]], dtype=object)
    values, _ = check(form(X)).take(slice(None))
    assert values.ravel().tolist() == [1 / 3, 2.0, 1.0, float(10**18 + 1)]


def test_none_in_objects_pads_as_nan():
    X = np.array([[[1, 2], [None, None]], [[3, 4], [5, 6]]], dtype=object)
    assert check(X).lengths.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("lengths", [None, [4, 2, 1, 3, 4]])
def test_fortran_ordered_and_read_only(rng, lengths, dtype):
    C = rng.standard_normal((5, 4, 3))
    if lengths is not None:
        for row, length in zip(C, lengths, strict=True):
            row[length:] = np.nan
    F = np.asfortranarray(C)
    F.flags.writeable = False
    for indices in (slice(1, 4), [4, 0]):
        correct, _ = check(C, dtype).take(indices)
        values, _ = check(F, dtype).take(indices)
        assert values.flags.c_contiguous
        assert values.flags.writeable
        np.testing.assert_array_equal(values, correct)


def test_fortran_ordered_members(ragged):
    X = [np.asfortranarray(member) for member in ragged]
    for member in X:
        member.flags.writeable = False
    values, _ = check(X).take([2, 0])
    assert values.flags.c_contiguous
    assert values.flags.writeable
    np.testing.assert_array_equal(values, np.concatenate([ragged[2], ragged[0]]))


def test_memmap(tmp_path, rng):
    X = rng.standard_normal((5, 4, 3))
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    for form in (mapped, list(mapped), mapped[:, :, 0]):
        sequences = check(form, "float32")
        values, _ = sequences.take(slice(1, 3))
        assert type(values) is np.ndarray
        assert values.flags.writeable
        correct = X[1:3].reshape(8, 3)[:, : sequences.n_features]
        np.testing.assert_array_equal(values, correct.astype("float32"))
    assert np.shares_memory(check(mapped)._source, mapped)


# take and subset.


@pytest.fixture(params=["3-D", "padded", "2-D", "list", "rows"])
def any_form(request, rng):
    """Give checked sequences of each form, and what they hold as a list."""
    members = [rng.standard_normal((length, 3)) for length in (4, 1, 7, 2, 2, 5)]
    data = rng.standard_normal((6, 4, 3))
    X = {
        "3-D": data,
        "padded": pad(members),
        "2-D": data[:, :, 0],
        "list": members,
        "rows": list(data[:, :, 0]),
    }[request.param]
    if request.param in ("3-D", "2-D", "rows"):
        members = list(data if request.param == "3-D" else data[:, :, :1])
    return check(X), members


@pytest.mark.parametrize(
    "indices",
    [
        [0, 5, 5, 2],
        (1, 0),
        [-1, -6],
        [],
        np.array([3, 1], dtype=np.int32),
        np.array([True, False, False, True, True, False]),
        np.zeros(6, dtype=bool),
        slice(None),
        slice(2, 5),
        slice(-2, None),
        slice(5, 0, -2),
        slice(3, 3),
    ],
    ids=str,
)
def test_take_and_subset(any_form, indices):
    sequences, members = any_form
    if not isinstance(indices, slice) and len(indices) == 0:
        picked = []
    else:
        picked = np.arange(6)[indices if isinstance(indices, slice) else [*indices]]
    correct = [members[index] for index in picked]
    shape = (sum(map(len, correct)), sequences.n_features)

    subset = sequences.subset(indices)
    assert len(subset) == len(picked)
    assert subset.form == sequences.form
    assert subset.n_features == sequences.n_features
    for values, lengths in (sequences.take(indices), subset.take(slice(None))):
        assert values.shape == shape
        assert lengths.tolist() == [len(member) for member in correct]
        np.testing.assert_array_equal(values, np.concatenate([*correct, values[:0]]))
    np.testing.assert_array_equal(subset.lengths, lengths)


def test_subset_of_subset(any_form):
    sequences, members = any_form
    for first, second, picked in [
        ([5, 1, 3], [2, 0], [3, 5]),
        ([5, 1, 3], slice(1, None), [1, 3]),
        (slice(1, 5), [3, 0], [4, 1]),
        (slice(1, 5), slice(None, None, 2), [1, 3]),
        ([5, 1, 3], np.array([True, False, True]), [5, 3]),
        ([], [], []),
    ]:
        values, lengths = sequences.subset(first).subset(second).take(slice(None))
        correct = [members[index] for index in picked]
        np.testing.assert_array_equal(values, np.concatenate([*correct, values[:0]]))
        assert lengths.tolist() == [len(member) for member in correct]


def test_indices_out_of_range(any_form):
    sequences, _ = any_form
    for method in (sequences.take, sequences.subset):
        with pytest.raises(IndexError, match="out of bounds"):
            method([0, 6])
        with pytest.raises(IndexError, match="a mask of 3 entries cannot pick from 6"):
            method(np.ones(3, dtype=bool))
        with pytest.raises(IndexError, match=r"indices are 1-D, got shape \(1, 1\)"):
            method([[0]])


def test_changing_a_minibatch_changes_nothing_else(any_form):
    sequences, _ = any_form
    for indices in (slice(None), [0, 1, 2, 3, 4, 5]):
        values, lengths = sequences.take(indices)
        before = values.copy(), lengths.copy()
        values[:] = 0
        lengths[:] = 0
        for now, then in zip(sequences.take(indices), before, strict=True):
            np.testing.assert_array_equal(now, then)


# Properties.

member_lists = st.builds(
    lambda seed, n_features, lengths: [
        np.random.default_rng((seed, index)).standard_normal((length, n_features))
        for index, length in enumerate(lengths)
    ],
    st.integers(0, 2**32),
    st.integers(1, 4),
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
)
types = st.sampled_from(["float32", "float64"])


@given(member_lists, types)
def test_values_come_back(members, dtype):
    values, lengths = check(members, dtype).take(slice(None))
    for member, copy in zip(members, split(values, lengths), strict=True):
        np.testing.assert_array_equal(copy, member.astype(dtype))


@given(member_lists, types, st.data())
def test_padded_array_equals_list(members, dtype, data):
    padded, listed = check(pad(members), dtype), check(members, dtype)
    assert padded.form == listed.form
    np.testing.assert_array_equal(padded.lengths, listed.lengths)
    index = st.integers(0, len(members) - 1)
    picked = data.draw(st.one_of(st.lists(index), st.builds(slice, index, index)))
    for of_padded, of_list in zip(
        padded.take(picked), listed.take(picked), strict=True
    ):
        np.testing.assert_array_equal(of_padded, of_list)


@given(member_lists, st.booleans(), st.data())
def test_taking_from_a_subset_equals_taking(members, as_array, data):
    sequences = check(pad(members) if as_array else members)
    index = st.integers(0, len(members) - 1)
    first = np.array(data.draw(st.lists(index, min_size=1)))
    second = np.array(data.draw(st.lists(st.integers(0, len(first) - 1), min_size=1)))
    of_subset = sequences.subset(first).take(second)
    for one, other in zip(of_subset, sequences.take(first[second]), strict=True):
        np.testing.assert_array_equal(one, other)


@given(member_lists, st.sampled_from([np.nan, np.inf, -np.inf, 1e300]), st.data())
def test_wrong_value_is_found_anywhere(members, wrong, data):
    index = data.draw(st.integers(0, len(members) - 1))
    step = data.draw(st.integers(0, len(members[index]) - 1))
    feature = data.draw(st.integers(0, members[index].shape[1] - 1))
    members[index][step, feature] = wrong
    place = f"First at sequence {index}, step {step}, feature {feature}: "
    # A step of one feature that is NaN at the end of a sequence is padding.
    is_padding = np.isnan(members[index][-1]).all()
    for X in [members] if is_padding else [members, pad(members)]:
        with pytest.raises(ValueError, match=place):
            check(X, "float32")


@pytest.mark.parametrize("n_samples", [1, 2, 7, 50])
def test_blocks_cover_every_sequence_once(rng, n_samples):
    lengths = rng.integers(1, 30, n_samples)
    for bytes_per_step in (1, 2**13, 2**16, 2**30):
        limit = module._BLOCK_BYTES // bytes_per_step
        blocks = list(module._blocks(lengths, limit))
        covered = np.concatenate([np.arange(n_samples)[block] for block in blocks])
        np.testing.assert_array_equal(covered, np.arange(n_samples))
        for block in blocks:
            is_single = block.stop == block.start + 1
            size = lengths[block].sum() * bytes_per_step
            assert is_single or size <= module._BLOCK_BYTES


def test_wrong_value_beyond_the_first_block():
    X = np.zeros((300, 1000, 2))
    X[299, 998, 1] = np.nan
    with pytest.raises(ValueError, match="sequence 299, step 998, feature 1"):
        check(X)
    with pytest.raises(ValueError, match="sequence 299, step 998, feature 1"):
        check(list(X))


def test_padding_beyond_the_first_block():
    X = np.zeros((300, 1000, 2))
    X[250, 10:] = np.nan
    X[299, 999:] = np.nan
    lengths = check(X).lengths
    assert lengths[[0, 250, 298, 299]].tolist() == [1000, 10, 1000, 999]


# Memory.


def peak_memory(function):
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def big(form):
    """Make 64 MB of float64 data."""
    n_samples, n_timesteps = 2000, 1000
    if form == "2-D":
        return np.ones((n_samples, 4 * n_timesteps))
    X = np.ones((n_samples, n_timesteps, 4))
    if form == "padded":
        X[::2, 600:] = np.nan
    if form == "Fortran":
        return np.asfortranarray(X)
    return list(X) if form == "list" else X


@pytest.mark.parametrize("form", ["3-D", "padded", "Fortran", "2-D", "list"])
def test_data_is_neither_copied_nor_converted_whole(form):
    X = big(form)
    sequences, peak = peak_memory(lambda: check(X, "float32"))
    assert peak < 8e6
    if isinstance(X, list):
        assert all(
            one is other for one, other in zip(sequences._source, X, strict=True)
        )
    else:
        assert np.shares_memory(sequences._source, X)

    subset, peak = peak_memory(lambda: sequences.subset(np.arange(1000, 2000)))
    assert peak < 1e5
    (values, _), peak = peak_memory(lambda: subset.take(np.arange(32)))
    in_source = values.size * 8
    assert peak < values.nbytes + in_source + 1e5  # of X: the minibatch only
    (values, _), peak = peak_memory(lambda: sequences.take(slice(8, 40)))
    assert peak < values.nbytes + 1e5


# Refusals: what X is.


@pytest.mark.parametrize(
    ("X", "what"),
    [
        (None, "None"),
        ("some text", r"text \('some text'\)"),
        ({"a": 1}, "an object of type dict"),
        ({1, 2}, "an object of type set"),
        (iter([[1.0]]), "an object of type list_iterator"),
    ],
    ids=["None", "text", "dict", "set", "iterator"],
)
def test_no_array_at_all(X, what):
    expected = re.escape("expected a 3-D array (n_samples, n_timesteps, n_features)")
    with pytest.raises(TypeError, match=f"X of {NAME} is {what}; {expected}"):
        check(X)


@pytest.mark.parametrize("X", [np.zeros(3), [1.0, 2.0, 3.0], 5.0], ids=str)
def test_too_few_dimensions(X):
    with pytest.raises(ValueError, match=r"Expected 2D array[\s\S]*Reshape your data"):
        check(X)


@pytest.mark.parametrize("X", [np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2, 2))])
def test_too_many_dimensions(X):
    message = f"X of {NAME} has {X.ndim} dimensions (shape={X.shape}); expected a 3-D"
    with pytest.raises(ValueError, match=re.escape(message)):
        check(X)


@pytest.mark.parametrize("X", [[], (), np.zeros((0, 3)), np.zeros((0, 3, 2))], ids=str)
def test_no_samples(X):
    shape = re.escape(str(np.shape(X)))
    message = rf"Found array with 0 sample\(s\) \(shape={shape}\) while a minimum of 1 "
    with pytest.raises(ValueError, match=f"{message}is required by {NAME}."):
        check(X)


@pytest.mark.parametrize(
    ("X", "shape"),
    [
        (np.zeros((12, 0)), "(12, 0)"),
        (np.zeros((12, 3, 0)), "(12, 3, 0)"),
        ([np.zeros((3, 0)), np.zeros((2, 0))], "(3, 0)"),
        ([[], [], []], "(3, 0)"),
    ],
    ids=["2-D", "3-D", "list", "rows"],
)
def test_no_features(X, shape):
    message = f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is"
    with pytest.raises(ValueError, match=re.escape(f"{message} required by {NAME}.")):
        check(X)


def test_no_steps():
    message = "Found array with 0 step(s) (shape=(4, 0, 2)) while a minimum of 1 is"
    with pytest.raises(ValueError, match=re.escape(f"{message} required by {NAME}.")):
        check(np.zeros((4, 0, 2)))


@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csr_array, sparse.dok_array]
)
def test_sparse(make):
    with pytest.raises(TypeError, match="Sparse data was passed for X"):
        check(make(np.eye(3)))
    with pytest.raises(
        TypeError, match=rf"X\[1\] is an object of type {make.__name__}"
    ):
        check([np.eye(3), make(np.eye(3))])


@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 2)])
def test_complex(shape):
    X = np.ones(shape) + 1j
    with pytest.raises(ValueError, match="Complex data not supported"):
        check(X)
    message = re.escape("Complex data not supported: X[0] is complex128.")
    with pytest.raises(ValueError, match=message):
        check(list(X))


def test_text():
    X = np.array([["a", "b"], ["c", "d"]])
    with pytest.raises(ValueError, match="not compatible with arrays of bytes/strings"):
        check(X)
    with pytest.raises(ValueError, match=rf"X\[0\] of {NAME} holds text; expected num"):
        check(X.tolist())
    with pytest.raises(ValueError, match=r"X\[1\] of .* holds text; expected numbers"):
        check([[1.0, 2.0], [1.0, "d"]])
    message = "could not convert string to float: 'b'\nX[0, 1] is text ('b')."
    with pytest.raises(ValueError, match=re.escape(message)):
        check(np.array([[1, "b"], [2, 3]], dtype=object))
    message = "X[1][0, 1] is text ('b')."
    with pytest.raises(ValueError, match=re.escape(message)):
        check([[[1, 2]], np.array([[1, "b"]], dtype=object)])


def test_objects_that_are_no_numbers():
    X = np.ones((3, 2), dtype=object)
    X[2, 1] = {"foo": "bar"}
    # The first line is the one scikit-learn's checks look for.
    message = r"argument must be .* string.* number[\s\S]*X\[2, 1\] is .* type dict\."
    with pytest.raises(TypeError, match=message):
        check(X)
    X[2, 1] = 10**400
    with pytest.raises(
        ValueError, match=r"int too large[\s\S]*X\[2, 1\] is the number"
    ):
        check(X)
    with pytest.raises(
        ValueError, match=r"int too large[\s\S]*X\[2\]\[1\] is the numb"
    ):
        check(X.tolist())


def test_dates():
    X = np.zeros((3, 2), dtype="datetime64[s]")
    with pytest.raises(
        ValueError, match=r"X of .* has dtype datetime64\[s\]; expected"
    ):
        check(X)
    with pytest.raises(ValueError, match=r"X\[0\] of .* holds dtype datetime64\[s\]"):
        check(list(X))


def test_masked_arrays():
    X = np.ma.masked_array(np.ones((2, 3, 2)), mask=False)
    assert len(check(X)) == 2
    X[1, 2] = np.ma.masked
    with pytest.raises(ValueError, match="^X is a masked array with masked values"):
        check(X)
    with pytest.raises(ValueError, match=r"^X\[1\] is a masked array"):
        check([X[0], X[1]])


# Refusals: members of a list.


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (None, TypeError, "X[2] is None; expected a 2-D array."),
        ("abc", TypeError, "X[2] is text ('abc'); expected a 2-D array."),
        ({}, TypeError, "X[2] is an object of type dict; expected a 2-D array."),
        (3.5, ValueError, "got 1D array instead: X[2] is 3.5.\nReshape your data"),
        (
            np.zeros(3),
            ValueError,
            "X[2] is a 1-D array of shape (3,), but X[0] is a 2-D array of shape (4,",
        ),
        (
            np.zeros((2, 2, 3)),
            ValueError,
            "X[2] has 3 dimensions (shape=(2, 2, 3)); expected a 3-D array",
        ),
        (
            np.zeros((5, 2)),
            ValueError,
            "X[2] has 2 features (shape=(5, 2)), but X[0] has 3 (shape=(4, 3)).",
        ),
        (
            np.zeros((0, 3)),
            ValueError,
            f"X[2] is an empty sequence (shape=(0, 3)); {NAME} needs at least 1 step.",
        ),
        (np.zeros((0, 2)), ValueError, "X[2] is an empty sequence (shape=(0, 2))."),
        ([], ValueError, "X[2] is an empty sequence (shape=(0,))."),
        ([[1, 2, 3], [4, 5]], ValueError, "X[2] is a nested list with rows of unequal"),
        ([["a", "b", "c"]], ValueError, f"X[2] of {NAME} holds text; expected numbers"),
    ],
    ids=str,
)
def test_wrong_member(ragged, wrong, error, message):
    ragged[2] = wrong
    with pytest.raises(error, match=re.escape(message)):
        check(ragged)


@pytest.mark.parametrize("first", [None, "abc", np.zeros((2, 2, 3))], ids=str)
def test_wrong_first_member(ragged, first):
    with pytest.raises((TypeError, ValueError), match=r"^X\[0\] (is|has 3 dim)"):
        check([first, *ragged])


def test_rows_of_unequal_lengths():
    message = "X[2] has 3 steps, but X[0] has 2: 1-D rows are univariate sequences of"
    with pytest.raises(ValueError, match=re.escape(message)):
        check([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0, 7.0]])
    with pytest.raises(ValueError, match=r"as 2-D arrays \(n_timesteps_i, 1\)"):
        check([np.zeros(4), np.zeros(2)])


def test_2d_member_among_rows():
    message = (
        "X[1] is a 2-D array of shape (2, 1), but X[0] is a 1-D array of shape (2,)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check([np.zeros(2), np.zeros((2, 1))])


# Refusals: values.


def message_of(X, dtype="float64"):
    with pytest.raises(ValueError) as caught:
        check(X, dtype)
    return str(caught.value)


def test_nan_in_a_step(rng):
    X = rng.standard_normal((4, 5, 3))
    X[2, 4, 1] = np.nan
    X[3] = np.nan
    X[3, 0] = 1.0
    assert message_of(X) == (
        "Input X contains NaN.\n"
        "First at sequence 2, step 4, feature 1: X[2, 4, 1] is nan. NaN is taken as "
        "padding only: steps at the end of a sequence that are NaN in every feature."
    )


@pytest.mark.parametrize("step", [0, 2])
def test_leading_and_inner_nan_steps(rng, step):
    X = rng.standard_normal((4, 5, 3))
    X[2, step] = np.nan
    X[2, 4] = np.nan
    assert message_of(X) == (
        "Input X contains NaN.\n"
        f"First at sequence 2, step {step}, feature 0: X[2, {step}, 0] is nan. Step "
        f"{step} is NaN in every feature, but later steps are not: padding stands at "
        "the end of a sequence."
    )


def test_sequence_of_nan_only(rng):
    X = rng.standard_normal((4, 5, 3))
    X[1] = np.nan
    assert message_of(X) == (
        "Input X contains NaN.\nX[1] is an empty sequence: it is NaN in every step and "
        f"feature; {NAME} needs at least 1 step."
    )


def test_nan_in_a_list(ragged):
    ragged[2][6] = np.nan
    assert message_of(ragged) == (
        "Input X contains NaN.\nFirst at sequence 2, step 6, feature 0: X[2][6, 0] is "
        "nan. Sequences in a list have their own lengths and take no NaN."
    )


@pytest.mark.parametrize("as_list", [False, True])
def test_nan_in_univariate_sequences(rng, as_list):
    X = rng.standard_normal((4, 5))
    X[3, 4] = np.nan  # at the end as well: 2-D input has no padding
    label = "X[3][4]" if as_list else "X[3, 4]"
    assert message_of(list(X) if as_list else X) == (
        f"Input X contains NaN.\nFirst at sequence 3, step 4: {label} is nan. 2-D X "
        "holds sequences of one length and takes no NaN."
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("form", [lambda X: X, list])
def test_infinity(rng, value, form):
    X = rng.standard_normal((4, 5, 3))
    X[3, 1, 2] = value
    message = message_of(form(X), "float32")
    assert message.startswith(
        "Input X contains infinity or a value too large for dtype('float32').\n"
        "First at sequence 3, step 1, feature 2: X[3"
    )
    assert message.endswith(f" is {value}.")


@pytest.mark.parametrize("value", [1e300, -1e300, 3.5e38])
def test_overflow(rng, value):
    X = rng.standard_normal((4, 5, 3))
    X[3, 1, 2] = value
    assert len(check(X, "float64")) == 4
    message = (
        "Input X contains infinity or a value too large for dtype('float32').\nFirst "
        f"at sequence 3, step 1, feature 2: X[3, 1, 2] is {value}. Scale X, or use "
        "dtype='float64'."
    )
    assert message_of(X, "float32") == message
    assert message_of(list(X), "float32") == message.replace("X[3, 1", "X[3][1")


def test_largest_float32_passes():
    X = np.full((2, 3), np.finfo(np.float32).max, dtype=np.float64)
    X[0] *= -1
    X[1, 2] *= 1 + 1e-9  # rounds to the largest float32
    values, _ = check(X, "float32").take(slice(None))
    assert np.isfinite(values).all()


def test_infinity_before_nan_is_named_first(rng):
    X = rng.standard_normal((4, 5))
    X[1, 3], X[2, 0] = np.inf, np.nan
    assert "sequence 1, step 3: X[1, 3] is inf" in message_of(X)


# Refusals: not what fit saw.


@pytest.mark.parametrize("form", [np.asarray, list])
def test_same_form_passes(rng, form):
    X = form(rng.standard_normal((6, 4, 3)))
    expected = check(X).form
    shorter = rng.standard_normal((2, 1, 3))
    assert check(shorter, expected=expected).lengths.tolist() == [1, 1]
    assert check(list(shorter), expected=expected).lengths.tolist() == [1, 1]
    X = form(rng.standard_normal((6, 4)))
    expected = check(X).form
    assert len(check(X[:2], expected=expected)) == 2


@pytest.mark.parametrize("form", [np.asarray, list])
def test_other_kind_than_at_fit(form):
    three, two = np.zeros((6, 4, 3)), np.zeros((6, 4))
    message = (
        "X holds univariate sequences of 4 steps (2-D), but GRUClassifier was fitted "
        "on sequences of 3 features per step (3-D or a list)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check(form(two), expected=SequenceForm("sequences", 3))
    message = (
        "X holds sequences of 3 features per step (3-D or a list), but GRUClassifier "
        "was fitted on univariate sequences of 4 steps (2-D)."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        check(form(three), expected=SequenceForm("univariate", 4))


@pytest.mark.parametrize("form", [np.asarray, list])
@pytest.mark.parametrize("shape", [(6, 1), (6, 5, 1)])
def test_other_number_of_features_than_at_fit(form, shape):
    kind = "univariate" if len(shape) == 2 else "sequences"
    message = "X has 1 features, but GRUClassifier is expecting 4 features as input."
    with pytest.raises(ValueError, match=re.escape(message)):
        check(form(np.zeros(shape)), expected=SequenceForm(kind, 4))


def test_form_is_compared_before_values_are_read():
    with pytest.raises(ValueError, match="X has 2 features"):
        check(np.full((3, 2), np.nan), expected=SequenceForm("univariate", 4))


def test_form_says_the_size_of_the_network_input():
    assert SequenceForm("univariate", 7).n_channels == 1
    assert SequenceForm("sequences", 7).n_channels == 7


def test_docstring_examples():
    result = doctest.testmod(module)
    assert result.attempted > 20
    assert result.failed == 0
