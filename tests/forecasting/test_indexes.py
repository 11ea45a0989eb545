"""The index of what follows a series."""

import numpy as np
import pytest

from fastgru.forecasting._series import check_series, next_index


@pytest.mark.parametrize("frequency", ["2D", "3M", "12h"])
def test_periods_of_several_steps_are_regular_and_go_on(frequency):
    pandas = pytest.importorskip("pandas")
    index = pandas.period_range("2000", periods=9, freq=frequency)
    (series,), _ = check_series(pandas.Series(np.arange(9.0), index)[:5])
    assert next_index(series.index, 4).equals(index[5:])
    with pytest.raises(ValueError, match="index of series is not regular: step 3 is"):
        check_series(pandas.Series(np.arange(4.0), index[[0, 1, 2, 4]]))
