"""Masks: the generator behind them, and that nothing in them goes together."""

import itertools

import numpy as np
import pytest
from numba import njit

from fastgru.kernels.dropout import _number, apply_mask, draw_mask
from fastgru.layers.geometry import Geometry
from tolerances import assert_same_bits

BITS = 2**64 - 1
LARGEST = 2**63 - 1


def splitmix64(seed, k):
    """Give number k of SplitMix64 in whole numbers of any size."""
    x = (seed + (k + 1) * 0x9E3779B97F4A7C15) & BITS
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & BITS
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & BITS
    return x ^ (x >> 31)


def mask_by_hand(seed, layer, sequence_ids, n_units, rate, dtype):
    """Compute a mask number by number."""
    mask = np.empty((len(sequence_ids), n_units), dtype)
    of_layer = splitmix64(splitmix64(0, seed), layer)
    for (b, i), k in itertools.product(enumerate(sequence_ids), range(n_units)):
        uniform = (splitmix64(splitmix64(of_layer, int(i)), k) >> 11) / 2**53
        mask[b, k] = 0.0 if uniform < rate else 1.0 / (1.0 - rate)
    return mask


def draw(seed, layer, sequence_ids, n_units, rate, dtype=np.float64):
    """Draw a mask with the kernel."""
    mask = np.full((len(sequence_ids), n_units), np.nan, dtype)
    ids = np.array(sequence_ids, np.int64)
    draw_mask(mask, np.uint64(seed), layer, ids, rate)
    return mask


def test_the_generator_gives_the_published_numbers_of_splitmix64():
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    number = njit(lambda seed, k: _number(seed, k))
    numbers = [int(number(np.uint64(1234567), np.uint64(k))) for k in range(5)]
    assert numbers == published
    assert [splitmix64(1234567, k) for k in range(5)] == published


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 1 / 3, 1.0 - 2.0**-53])
@pytest.mark.parametrize("seed", [0, 1, 2**63, BITS])
@pytest.mark.parametrize("layer", [0, 3, 4096 * 4096])
def test_a_mask_is_that_computed_number_by_number(dtype, rate, seed, layer):
    ids = [0, 1, -1, 12345, LARGEST, -LARGEST - 1]
    expected = mask_by_hand(seed, layer, ids, 9, rate, dtype)
    assert_same_bits("mask", draw(seed, layer, ids, 9, rate, dtype), expected)


def test_masks_stay_the_same_from_version_to_version():
    mask = draw(2024, 1, [0, 1, -7], 16, 0.5)
    rows = ["".join("x" if kept else "." for kept in row) for row in mask]
    assert rows == ["xxxxxxxx..xxxx.x", "..xx.xxxxxxx....", "x...x.x.......xx"]


def test_rate_0_keeps_all_and_rate_1_nothing():
    assert (draw(5, 0, range(100), 50, 0.0) == 1.0).all()
    assert not draw(5, 0, range(100), 50, 1.0).any()


# -- a million draws of each kind; a correlation of that many has a spread of 0.001 --


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.8])
def test_the_share_dropped_is_the_rate_and_the_mean_is_kept(rate):
    mask = draw(11, 2, range(1000), 1000, rate)
    assert abs(np.mean(mask == 0.0) - rate) < 5e-3 * np.sqrt(rate * (1 - rate))
    assert set(np.unique(mask)) == {0.0, 1.0 / (1.0 - rate)}
    # So do all units' and all sequences' shares, a thousand draws each.
    spread = np.sqrt(rate * (1 - rate) / 1000)
    for axis in (0, 1):
        shares = np.mean(mask == 0.0, axis=axis)
        assert np.max(np.abs(shares - rate)) < 5 * spread
        assert abs(np.std(shares) / spread - 1.0) < 0.12


def correlation(a, b):
    """Give the correlation of two masks, number by number."""
    return np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]


@pytest.mark.parametrize("distance", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("kind", ["unit", "sequence", "layer", "seed"])
@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_neighbours_are_independent(kind, distance, rate):
    if kind == "unit":
        mask = draw(7, 1, range(1000), 1000 + distance, rate)
        first, second = mask[:, :-distance], mask[:, distance:]
    else:
        arguments = {"seed": 7, "layer": 1, "sequence_ids": np.arange(1000)}
        first = draw(**arguments, n_units=1000, rate=rate)
        name = "sequence_ids" if kind == "sequence" else kind
        arguments[name] = arguments[name] + distance
        second = draw(**arguments, n_units=1000, rate=rate)
        if kind == "sequence":  # the rows that both have
            assert_same_bits("shared", first[distance:], second[:-distance])
    assert abs(correlation(first, second)) < 0.005


def test_seed_layer_sequence_and_unit_cannot_stand_in_for_each_other():
    # The same sums, in other places.
    masks = [
        draw(1 + a, 1 + b, np.arange(1000) + c, 1000, 0.5)
        for a, b, c in [(2, 0, 0), (0, 2, 0), (0, 0, 2), (1, 1, 0), (0, 1, 1)]
    ]
    for first, second in itertools.combinations(masks, 2):
        assert abs(correlation(first, second)) < 0.005
        assert abs(correlation(first[:-2], second[2:])) < 0.005
        assert abs(correlation(first[:, :-2], second[:, 2:])) < 0.005
    assert abs(correlation(masks[0], masks[0].T)) < 0.005


# -- rows times masks --


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_units", [1, 3, 7, 8, 15, 16, 17, 50])
def test_nothing_outside_of_the_rows_is_written(dtype, n_units, rng):
    lengths = np.array([2, 0, 3])
    geometry = Geometry.concatenated(lengths)
    memory = np.full(7 * n_units, 12345.0, dtype)
    target = memory[n_units : 6 * n_units].reshape(5, n_units)
    source = rng.standard_normal((5, n_units)).astype(dtype)
    mask = rng.standard_normal((3, n_units)).astype(dtype)
    apply_mask(target, source, mask, geometry.table)
    assert_same_bits("target", target, source * mask[[0, 0, 2, 2, 2]])
    outside = np.concatenate([memory[:n_units], memory[6 * n_units :]])
    assert (outside == 12345.0).all()
