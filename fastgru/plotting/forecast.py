"""How a series goes on: forecasts, and a backtest of them."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastgru.plotting._axes import make_axes
from fastgru.plotting._forecasts import of_backtest, of_forecaster

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fastgru.estimators import GRUForecaster
    from fastgru.forecasting import Backtest


class ForecastDisplay:
    """A series and how it goes on: forecasts with their intervals.

    It is best created with :meth:`from_estimator` or :meth:`from_backtest`.

    Parameters
    ----------
    steps : array-like of shape (n_steps,)
        Where the values stand on the x axis, in rising order: numbers or dates.
    values : array-like of shape (n_steps,)
        What came.
    forecast_steps : array-like of shape (horizon,) or (n_windows, horizon)
        Where the forecasts stand: one, or one of each window.
    forecasts : array-like of that shape
        The forecasts.
    lower, upper : array-like of that shape, default=None
        Ends of their intervals; None for none.
    naive : array-like of that shape, default=None
        Seasonal naive forecasts to compare with; None for none.
    coverage : float, default=None
        The coverage that the intervals were made for, for the legend.
    mase, naive_mase, coverage_reached : float, default=None
        How good the forecasts, the naive ones and the intervals were, for the legend;
        None for what is not known.
    xlabel, ylabel : str, default="Step", "Value"
        Names of the axes.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the picture.
    figure_ : matplotlib Figure
        The figure that contains the axes.
    line_ : matplotlib Line2D
        What came.
    forecast_lines_ : list of matplotlib Line2D
        The forecasts.  Each begins at the last value before it, which is known.
    bands_ : list of matplotlib PolyCollection
        Their intervals, from that value on, too; empty without intervals.
    naive_lines_ : list of matplotlib Line2D
        The seasonal naive forecasts; empty where there are none.
    legend_ : matplotlib Legend
        The legend.

    See Also
    --------
    fastgru.GRUForecaster : Forecasts series.
    LossCurveDisplay : The loss over the epochs.

    Examples
    --------
    >>> from fastgru.plotting import ForecastDisplay
    >>> display = ForecastDisplay(
    ...     steps=[0, 1, 2],
    ...     values=[4.0, 5.0, 7.0],
    ...     forecast_steps=[3, 4],
    ...     forecasts=[8.0, 10.0],
    ...     lower=[7.0, 8.0],
    ...     upper=[9.0, 12.0],
    ...     coverage=0.8,
    ... ).plot()
    >>> [text.get_text() for text in display.legend_.texts]
    ['series', 'forecast', '80% interval']
    """

    ax_: Any
    figure_: Any
    line_: Any
    forecast_lines_: list[Any]
    bands_: list[Any]
    naive_lines_: list[Any]
    legend_: Any

    def __init__(
        self,
        steps: ArrayLike,
        values: ArrayLike,
        forecast_steps: ArrayLike,
        forecasts: ArrayLike,
        *,
        lower: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        naive: ArrayLike | None = None,
        coverage: float | None = None,
        mase: float | None = None,
        naive_mase: float | None = None,
        coverage_reached: float | None = None,
        xlabel: str = "Step",
        ylabel: str = "Value",
    ) -> None:
        self.steps = steps
        self.values = values
        self.forecast_steps = forecast_steps
        self.forecasts = forecasts
        self.lower = lower
        self.upper = upper
        self.naive = naive
        self.coverage = coverage
        self.mase = mase
        self.naive_mase = naive_mase
        self.coverage_reached = coverage_reached
        self.xlabel = xlabel
        self.ylabel = ylabel

    @classmethod
    def from_estimator(
        cls,
        forecaster: "GRUForecaster",
        *,
        n_steps: int | None = None,
        exog: Any = None,
        coverage: float | str | None = "auto",
        n_history: int | None = None,
        series: int = 0,
        variable: int = 0,
        ax: "Axes | None" = None,
    ) -> "ForecastDisplay":
        """Draw the end of a fitted series and the forecast that follows.

        Parameters
        ----------
        forecaster : GRUForecaster
            A fitted one.
        n_steps : int, default=None
            Steps to forecast; None means the horizon.
        exog : array-like or list of them, default=None
            As for :meth:`fastgru.GRUForecaster.predict`.
        coverage : float, "auto" or None, default="auto"
            Coverage of the interval.  "auto": 0.8 where the forecaster can give such
            an interval for all steps, otherwise none.  None draws none.
        n_history : int, default=None
            Steps of the series to draw before the forecast.  None means four times
            ``n_steps``, at least two periods; without a period, at least 20 steps.
        series : int, default=0
            Which one to draw, if the forecaster was fitted to a list.
        variable : int, default=0
            Which variable to draw, if a step has several.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : ForecastDisplay

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the forecaster has not been fitted.
        TypeError, ValueError
            If something is not as described, or as
            :meth:`fastgru.GRUForecaster.predict` and ``predict_interval`` say.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru import GRUForecaster
        >>> from fastgru.plotting import ForecastDisplay
        >>> series = 100 + np.arange(120) + 10 * np.sin(np.arange(120) * np.pi / 6)
        >>> forecaster = GRUForecaster(horizon=6, period=12, random_state=0)
        >>> display = ForecastDisplay.from_estimator(forecaster.fit(series))
        >>> display.line_.get_xdata()[[0, -1]]
        array([ 96, 119])
        >>> display.forecast_lines_[0].get_xdata()
        array([119, 120, 121, 122, 123, 124, 125])
        """
        drawn = of_forecaster(
            forecaster, n_steps, exog, coverage, n_history, series, variable
        )
        return cls(**drawn).plot(ax=ax)

    @classmethod
    def from_backtest(
        cls,
        backtest: "Backtest",
        *,
        n_history: int | None = None,
        series: int = 0,
        variable: int = 0,
        ax: "Axes | None" = None,
    ) -> "ForecastDisplay":
        """Draw what came, and what had been forecast of it from several origins.

        The legend says how good that was, of the series and variable that are drawn:
        the scaled errors (MASE) of the forecasts and of the seasonal naive ones, where
        they are defined, and which share of what came is inside the intervals.

        Parameters
        ----------
        backtest : Backtest
            What :meth:`fastgru.GRUForecaster.backtest` returns.
        n_history : int, default=None
            Steps of the series to draw before the first window.  None means twice the
            horizon, at least 20.
        series : int, default=0
            Which one to draw, if the backtest is of a list.
        variable : int, default=0
            Which variable to draw, if a step has several.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : ForecastDisplay

        Raises
        ------
        TypeError, ValueError
            If something is not as described.

        Examples
        --------
        >>> import numpy as np
        >>> from fastgru import GRUForecaster
        >>> from fastgru.plotting import ForecastDisplay
        >>> series = np.arange(90) + 5 * np.sin(np.arange(90) * np.pi / 6)
        >>> forecaster = GRUForecaster(horizon=6, period=12, random_state=0)
        >>> backtest = forecaster.backtest(series, n_windows=3)
        >>> display = ForecastDisplay.from_backtest(backtest)
        >>> [int(line.get_xdata()[0]) for line in display.forecast_lines_]
        [71, 77, 83]
        >>> display.legend_.texts[-1].get_text()
        'seasonal naive, MASE 1.00'
        """
        return cls(**of_backtest(backtest, n_history, series, variable)).plot(ax=ax)

    def plot(self, *, ax: "Axes | None" = None) -> "ForecastDisplay":
        """Draw the picture.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : ForecastDisplay
            This object, with the attributes that end in an underscore set.

        Raises
        ------
        ValueError
            If the shapes do not fit each other, or one end of the intervals is missing.
        """
        steps, values, windows = self._check()
        ahead = windows.pop("forecast_steps")
        # What is before a window is known: lines and bands begin there, with no width.
        known = np.searchsorted(steps, ahead[:, 0]) - 1

        def join(row: int, before: np.ndarray, after: np.ndarray) -> np.ndarray:
            at = known[row]
            return np.concatenate([before[max(at, 0) : at + 1], after])

        self.ax_ = make_axes() if ax is None else ax
        self.figure_ = self.ax_.figure
        (self.line_,) = self.ax_.plot(steps, values, color="C0", label="series")
        self.forecast_lines_, self.bands_, self.naive_lines_ = [], [], []
        for row in range(len(ahead)):
            x = join(row, steps, ahead[row])
            y = {name: join(row, values, some[row]) for name, some in windows.items()}
            self._plot_window(x, y)
        self.ax_.set(xlabel=self.xlabel, ylabel=self.ylabel)
        _format_dates(self.ax_)
        firsts = (self.forecast_lines_, self.bands_, self.naive_lines_)
        handles = [self.line_, *(drawn[0] for drawn in firsts if drawn)]
        self.legend_ = self.ax_.legend(handles=handles)
        return self

    def _plot_window(self, x: np.ndarray, y: dict[str, np.ndarray]) -> None:
        """Draw a forecast; only the first one is named in the legend."""
        names: dict[str, Any] = dict.fromkeys(("forecast", "interval", "naive"))
        if not self.forecast_lines_:
            names = self._names()
        if "naive" in y:
            self.naive_lines_ += self.ax_.plot(
                x,
                y["naive"],
                color="C7",
                alpha=0.5,
                linestyle="--",
                label=names["naive"],
            )
        if "lower" in y:
            band = self.ax_.fill_between(
                x,
                y["lower"],
                y["upper"],
                color="C1",
                alpha=0.25,
                linewidth=0,
                label=names["interval"],
            )
            self.bands_.append(band)
        self.forecast_lines_ += self.ax_.plot(
            x, y["forecasts"], color="C1", label=names["forecast"]
        )

    def _names(self) -> dict[str, str]:
        """Return what the legend calls the parts of the picture."""
        forecast, interval, naive = "forecast", "interval", "seasonal naive"
        if self.coverage is not None:
            interval = f"{100 * self.coverage:g}% {interval}"
        if self.coverage_reached is not None:
            interval += f", {self.coverage_reached:.0%} inside"
        if self.mase is not None:
            forecast += f", MASE {self.mase:.2f}"
        if self.naive_mase is not None:
            naive += f", MASE {self.naive_mase:.2f}"
        return {"forecast": forecast, "interval": interval, "naive": naive}

    def _check(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Return steps, values, and what there is of each window, a row for each."""
        steps, values = np.asarray(self.steps), np.asarray(self.values)
        if steps.ndim != 1 or steps.shape != values.shape:
            raise ValueError(
                f"steps and values must both have shape (n_steps,), got {steps.shape} "
                f"and {values.shape}"
            )
        if (self.lower is None) != (self.upper is None):
            missing = "lower" if self.lower is None else "upper"
            raise ValueError(f"intervals need both ends, but {missing} is None")
        windows = {}
        for name in ("forecast_steps", "forecasts", "lower", "upper", "naive"):
            given = getattr(self, name)
            if given is not None:
                windows[name] = np.atleast_2d(np.asarray(given))
        expected = windows["forecasts"].shape
        for name, array in windows.items():
            if array.shape != expected or array.ndim != 2 or array.size == 0:
                raise ValueError(
                    "forecast_steps, forecasts, lower, upper and naive must have the "
                    "shape (horizon,) or (n_windows, horizon), all the same; forecasts "
                    f"has {expected}, {name} has {array.shape}"
                )
        return steps, values, windows


def _format_dates(ax: "Axes") -> None:
    """Write dates short, so that they fit, unless somebody chose how to write them."""
    from matplotlib.dates import AutoDateFormatter, ConciseDateFormatter

    if isinstance(ax.xaxis.get_major_formatter(), AutoDateFormatter):
        locator = ax.xaxis.get_major_locator()
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
