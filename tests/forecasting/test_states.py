"""States of the recursive strategy, of several layers and series together."""

import pytest

from fastgru import GRUForecaster
from tolerances import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_stacked_layers_read_series_of_unequal_lengths_step_by_step(dtype, rng):
    series = [rng.normal(size=n) for n in (47, 36, 41)]
    settings = {"num_layers": 2, "hidden_size": 4, "max_iter": 1, "random_state": 0}
    model = GRUForecaster(3, strategy="recursive", dtype=dtype, **settings)
    model.fit([one[:-6] for one in series])
    at_once = GRUForecaster(3, strategy="recursive", dtype=dtype, **settings)
    at_once.fit([one[:-6] for one in series]).update([one[-6:] for one in series])
    for step in range(-6, -1):
        model.update([one[step : step + 1] for one in series])
    model.update([one[-1:] for one in series])
    results = [one.predict_interval(0.5) for one in (model, at_once)]
    for actual, expected in zip(*results, strict=True):
        for own, other in zip(actual, expected, strict=True):
            assert_same_bits("end of an interval", own, other)
