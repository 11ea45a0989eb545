"""Pictures are drawn without a screen, and none is left open."""

import pytest


@pytest.fixture(autouse=True)
def pyplot():
    pytest.importorskip("matplotlib").use("Agg")
    plt = pytest.importorskip("matplotlib.pyplot")
    yield plt
    plt.close("all")
