"""Where pictures are drawn."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def make_axes() -> "Axes":
    """Return the axes of a new figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Drawing needs matplotlib: pip install 'fastgru[plot]'"
        ) from error
    return plt.subplots()[1]
