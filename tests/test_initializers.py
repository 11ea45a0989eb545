"""First values of parameters."""

import numpy as np
import pytest

from fastgru import initializers
from tolerances import assert_same_bits


def random_state(seed=0):
    """Make the generator that estimators have."""
    return np.random.RandomState(seed)


def test_known_numbers():
    # What the Mersenne Twister draws after this seed; the same on every machine.
    drawn = np.array([0.5488135039273248, 0.7151893663724195, 0.6027633760716439])
    expected = (2 * drawn - 1) * 0.25
    assert_same_bits(
        "values", initializers.uniform((3,), 0.25, random_state(0)), expected
    )


def test_uniform_within_the_bound():
    values = initializers.uniform((200, 100), 0.3, random_state())
    assert values.shape == (200, 100)
    assert values.dtype == np.float64
    assert values.min() >= -0.3
    assert values.max() < 0.3
    counts, _ = np.histogram(values, bins=10, range=(-0.3, 0.3))
    # Each tenth holds 2000 of them, give or take sqrt(1800).
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(1800)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_decides_and_the_generator_moves_on(seed):
    state = random_state(seed)
    first, second = (initializers.uniform((4, 5), 1.0, state) for _ in range(2))
    assert not np.array_equal(first, second)
    again = initializers.uniform((8, 5), 1.0, random_state(seed))
    assert_same_bits("values", np.concatenate([first, second]), again)
