"""Standardising sequences: against StandardScaler, and the forms of X."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from fastgru import SequenceScaler
from problems import draw_sequences, pad
from tolerances import assert_same_bits

X = [x * [3.0, 0.01] + [5.0, -7.0] for x in draw_sequences()]
X_NEW = [x * 2 + 1 for x in draw_sequences(seed=1)]


@pytest.mark.parametrize("with_std", [False, True])
@pytest.mark.parametrize("with_mean", [False, True])
def test_it_is_a_standard_scaler_of_the_steps(with_mean, with_std):
    settings = {"with_mean": with_mean, "with_std": with_std}
    scaler = SequenceScaler(**settings).fit(X)
    theirs = StandardScaler(**settings).fit(np.concatenate(X))
    np.testing.assert_allclose(scaler.var_, np.concatenate(X).var(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scaler.mean_, np.concatenate(X).mean(axis=0), rtol=1e-12)
    ours = scaler.transform(X_NEW)
    expected = theirs.transform(np.concatenate(X_NEW))
    np.testing.assert_allclose(np.concatenate(ours), expected, rtol=1e-9, atol=1e-12)
    back = scaler.inverse_transform(ours)
    np.testing.assert_allclose(np.concatenate(back), np.concatenate(X_NEW), rtol=1e-9)
    assert scaler.n_steps_seen_ == sum(map(len, X))
    assert scaler.n_features_in_ == 2


def test_the_form_of_x_is_kept():
    scaler = SequenceScaler().fit(X)
    padded = pad(X, n_more=2)
    result = scaler.transform(padded)
    assert result.shape == padded.shape
    np.testing.assert_array_equal(np.isnan(result), np.isnan(padded))
    for row, x in zip(result, scaler.transform(X), strict=True):
        assert_same_bits("values", row[: len(x)], x)
    assert_same_bits("mean", SequenceScaler().fit(padded).mean_, scaler.mean_)
    flat = np.array([x[:3, 0] for x in X])
    one = SequenceScaler().fit(flat)
    assert one.mean_.shape == (1,)
    result = one.transform(flat)
    assert result.shape == flat.shape
    np.testing.assert_allclose([result.mean(), result.std()], [0, 1], atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_the_type_of_x_is_kept(dtype):
    expected = np.float32 if dtype == np.float32 else np.float64
    members = [(10 * x).astype(dtype) for x in draw_sequences()]
    assert {x.dtype for x in SequenceScaler().fit_transform(members)} == {
        np.dtype(expected)
    }
    array = np.array([x[:3] for x in members])
    assert SequenceScaler().fit_transform(array).dtype == expected


def test_a_constant_feature_is_not_divided():
    constant = [np.full((3, 1), 0.1) for _ in range(50)]
    scaler = SequenceScaler().fit(constant)
    assert scaler.scale_.tolist() == [1]
    assert abs(np.concatenate(scaler.transform(constant))).max() < 1e-15


def test_weights_are_repetitions():
    weight = np.arange(60) % 3
    weighted = SequenceScaler().fit(X, sample_weight=weight)
    members = [x for x, w in zip(X, weight, strict=True) for _ in range(w)]
    repeated = SequenceScaler().fit(members)
    np.testing.assert_allclose(weighted.mean_, repeated.mean_, rtol=1e-12)
    np.testing.assert_allclose(weighted.var_, repeated.var_, rtol=1e-12)


def test_tables_are_for_2d_results():
    pytest.importorskip("pandas")
    flat = np.array([x[:3, 0] for x in X])
    table = SequenceScaler().set_output(transform="pandas").fit_transform(flat)
    assert table.shape == (60, 3)
    scaler = SequenceScaler().set_output(transform="pandas").fit(X)
    message = r"set_output\(transform='pandas'\) is for 2-D results, but X holds"
    with pytest.raises(ValueError, match=message):
        scaler.transform(X)
    with pytest.raises(ValueError, match=message):
        scaler.transform(pad(X))


def test_bad_input_is_refused():
    scaler = SequenceScaler().fit(X)
    with pytest.raises(ValueError, match="X has 1 features, but SequenceScaler"):
        scaler.transform([x[:, :1] for x in X])
    with pytest.raises(ValueError, match="contains NaN"):
        scaler.transform([np.full((3, 2), np.nan)])
    with pytest.raises(ValueError, match="contains infinity"):
        SequenceScaler().fit([np.full((3, 2), np.inf)])


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_scaled_features_have_mean_0_and_deviation_1(lengths, seed):
    rng = np.random.default_rng(seed)
    members = [rng.normal(3, 2, (length, 2)) for length in lengths]
    steps = np.concatenate(SequenceScaler().fit_transform(members))
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-9)
    if len(steps) > 1:
        np.testing.assert_allclose(steps.std(axis=0), 1, rtol=1e-9)
