"""Dropout: one mask per sequence, held over its steps, and only in training."""

import pickle

import numpy as np
import pytest

from cases import BOTH_DTYPES
from fastgru.layers._layer import Form, Rows
from fastgru.layers.dropout import Dropout
from fastgru.layers.masks import Masks
from rows import LAYOUTS, draw_sequences, from_rows, lengths_of, run_layer, to_rows
from tolerances import assert_same_bits

IDS = np.array([3, 0, -5, 12345, 7, 1], np.int64)


def masks_of(ids=IDS, seed=1):
    """Give what draws the masks of sequences with these ids."""
    return Masks(seed, np.array(ids, np.int64)).of_layer(2)


@LAYOUTS
@BOTH_DTYPES
def test_each_step_of_a_sequence_is_multiplied_by_its_mask(dtype, layout, rng):
    lengths = lengths_of(layout)
    sequences = draw_sequences(rng, lengths, 17, dtype)
    d_sequences = draw_sequences(rng, lengths, 17, dtype)
    d_output = to_rows(d_sequences, layout).values
    rows = to_rows(sequences, layout)
    results = run_layer(Dropout(0.4), rows, d_output, masks=masks_of())

    mask = masks_of().draw(17, 0.4, dtype)
    assert 0.2 < np.mean(mask == 0.0) < 0.6
    outputs = from_rows(results["output"], lengths, layout)
    gradients = from_rows(results["d_x"], lengths, layout)
    for b in range(6):
        assert_same_bits(f"output of {b}", outputs[b], sequences[b] * mask[b])
        assert_same_bits(f"d_x of {b}", gradients[b], d_sequences[b] * mask[b])


@BOTH_DTYPES
def test_a_row_per_sequence_is_multiplied_by_its_mask(dtype, rng):
    values, d_values = rng.standard_normal((2, 6, 17)).astype(dtype)
    results = run_layer(Dropout(0.4), Rows(values, None), d_values, masks=masks_of())
    mask = masks_of().draw(17, 0.4, dtype)
    assert_same_bits("output", results["output"], values * mask)
    assert_same_bits("d_x", results["d_x"], d_values * mask)


@BOTH_DTYPES
def test_a_sequence_has_the_same_mask_in_any_batch(dtype, rng):
    lengths = lengths_of("concatenated")
    sequences = draw_sequences(rng, lengths, 17, dtype)
    rows = to_rows(sequences, "concatenated")
    output, _ = Dropout(0.4)._record(rows, masks_of(), 1)
    whole = from_rows(output.values, lengths, "concatenated")

    chosen = [4, 2, 0, 4]
    rows = to_rows([sequences[b] for b in chosen], "concatenated")
    output, _ = Dropout(0.4)._record(rows, masks_of(IDS[chosen]), 1)
    parts = from_rows(output.values, lengths[chosen], "concatenated")
    for b, part in zip(chosen, parts, strict=True):
        assert_same_bits(f"output of {b}", part, whole[b])


def test_without_masks_everything_passes_through(rng):
    rows = to_rows(draw_sequences(rng, [3, 1], 4), "concatenated")
    d_output = rng.standard_normal((4, 4))
    layer = Dropout(0.9)
    assert layer._infer(rows, 1) is rows
    results = run_layer(layer, rows, d_output)
    assert_same_bits("output", results["output"], rows.values)
    assert_same_bits("d_x", results["d_x"], d_output)


def test_what_comes_in_is_left_alone(rng):
    rows = to_rows(draw_sequences(rng, [3, 1], 4), "concatenated")
    before = rows.values.copy()
    run_layer(Dropout(0.5), rows, np.ones((4, 4)), masks=masks_of([0, 1]))
    assert_same_bits("values", rows.values, before)


def test_a_gradient_that_nobody_wants_is_not_given(rng):
    rows = to_rows(draw_sequences(rng, [3, 1], 4), "concatenated")
    layer = Dropout(0.5)
    for masks in (None, masks_of([0, 1])):
        _, tape = layer._record(rows, masks, 1)
        gradients = layer._parameters.like()
        d_values = np.ones((4, 4))
        assert layer._back(tape, d_values, gradients, 1, wants_input=False) is None


@BOTH_DTYPES
@pytest.mark.parametrize("pooled", [False, True])
def test_rate_0_changes_nothing_and_rate_1_leaves_nothing(pooled, dtype, rng):
    rows = to_rows(draw_sequences(rng, [3, 1], 4, dtype), "concatenated")
    if pooled:
        rows = Rows(rows.values[:2], None)
    kept, _ = Dropout(0)._record(rows, masks_of([0, 1]), 1)
    assert_same_bits("kept", kept.values, rows.values)
    dropped, _ = Dropout(1)._record(rows, masks_of([0, 1]), 1)
    assert not dropped.values.any()


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_dropped_nan_or_infinity_stays_visible(value, pooled):
    rows = to_rows([np.full((2, 3), value), np.ones((1, 3))], "concatenated")
    if pooled:
        rows = Rows(rows.values[1:], None)
    output, _ = Dropout(1.0)._record(rows, masks_of([0, 1]), 1)
    assert np.isnan(output.values[:-1]).all()
    assert not output.values[-1].any()


# -- the layer itself --


@pytest.mark.parametrize("rate", [True, False, "0.5", None, [0.5], 0.5j])
def test_a_rate_that_is_no_number_is_refused(rate):
    with pytest.raises(TypeError, match="rate must be a number"):
        Dropout(rate)


@pytest.mark.parametrize("rate", [-0.1, 1.5, np.nan, np.inf, 2])
def test_a_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(ValueError, match=f"rate must be from 0 to 1, got {rate}"):
        Dropout(rate)


def test_it_has_settings_and_no_parameters():
    layer = Dropout(np.float32(0.25))
    assert repr(layer) == "Dropout(rate=0.25)"
    assert layer.settings() == {"rate": 0.25}
    assert layer.state_dict() == {}
    layer.load_state_dict({})
    assert pickle.loads(pickle.dumps(layer)).rate == 0.25


@pytest.mark.parametrize("per", ["step", "sequence"])
def test_what_comes_in_goes_out(per):
    form = Form(per, 5, np.dtype(np.float64))
    assert Dropout(0.5)._follow(form) == form


def test_tokens_are_refused():
    with pytest.raises(ValueError, match="tokens come in"):
        Dropout(0.5)._follow(Form("step", None, np.dtype(np.int64)))
