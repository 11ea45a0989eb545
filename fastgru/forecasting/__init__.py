"""What a forecast is made of, below ``GRUForecaster``.

How a forecast goes, and which file knows it:

- ``_series``       what a user passes: one series or many, gaps
- ``_indexes``      their indexes, and how these go on
- ``_transforms``   values to levels, which a network's inputs and targets are, and back
- ``_seasons``      the part of a series that repeats itself
- ``_histories``    a series in levels; what the network reads of it
- ``_windows``      minibatches of windows of all series, which are never written out
- ``_strategies``   forecasts of all steps at once, or of one after the other
- ``_intervals``    how far off forecasts were, and the intervals that follow
- ``_model``        a trained network, and what it remembers of the series
- ``_rolling``      forecasts from one origin after the other
- ``_parts``        a fitted model as arrays, and back
- ``_scores``       the scaled error, the seasonal naive forecast
- ``backtest``      forecasts from many origins beside what came
"""

from fastgru.forecasting.backtest import Backtest

__all__ = ["Backtest"]
