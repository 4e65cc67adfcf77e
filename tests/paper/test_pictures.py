"""Drawings that several experiments share."""

import pytest

from zoo.figures import panels
from zoo.paper.outcome import Estimate
from zoo.paper.pictures import bars, legend_below


@pytest.mark.parametrize("rotation", [0, 20])
def test_the_legend_of_bars_covers_nothing(rotation):
    figure, axes = panels(2)
    names = ("density_ratio_kl", "density_ratio_kl_donsker_varadhan", "marginal_kl")
    for axis in axes:
        values = {name: Estimate(3.0, 0.5) for name in names}
        bars(axis, values, dict.fromkeys(names, 2.0), {"marginal_kl": (1.0, 4.0)})
        axis.tick_params(axis="x", labelrotation=rotation)
    legend_below(axes[0])
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["floor", "population"]
    box = legend.get_window_extent()
    for axis in axes:
        assert not box.overlaps(axis.get_tightbbox())
