"""Pictures of a fitted estimator.  Matplotlib is imported when something is drawn."""

from fastgru.plotting.attention import plot_attention
from fastgru.plotting.confusion import plot_confusion
from fastgru.plotting.forecast import ForecastDisplay
from fastgru.plotting.loss_curve import LossCurveDisplay

__all__ = ["ForecastDisplay", "LossCurveDisplay", "plot_attention", "plot_confusion"]
