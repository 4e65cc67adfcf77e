"""Figures without a screen: matplotlib's objects themselves, no pyplot and no state of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zoo.pictures import to_image

BINS = 40  # chosen


def panels(
    count: int, columns: int = 3, size: tuple[float, float] = (4.0, 3.0)
) -> tuple[Figure, list[Any]]:
    """A figure of `count` axes, `columns` a row, each of `size` inches."""
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * min(columns, count), size[1] * rows), layout="constrained")
    axes = figure.subplots(rows, min(columns, count), squeeze=False).flat
    for axis in axes[count:]:
        axis.set_visible(False)
    for axis in axes[:count]:
        axis.tick_params(labelsize=8)
    return figure, list(axes[:count])


def histogram(axis: Any, groups: Mapping[str, np.ndarray], label: str) -> None:
    """Densities of one or several groups of values `[N]` over common bins.

    The outermost thousandths of all values share the outermost bins: a few extreme values would
    leave nothing to see of the rest.
    """
    low, high = np.quantile(np.concatenate(list(groups.values())), (0.001, 0.999))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    outlined = {"histtype": "step", "linewidth": 1.5} if len(groups) > 1 else {"alpha": 0.6}
    for name, values in groups.items():
        axis.hist(np.clip(values, low, high), edges, density=True, label=name, **outlined)
    axis.set_xlabel(label, fontsize=9)
    axis.set_yticks([])
    if len(groups) > 1:
        axis.legend(fontsize=8)


def curves(axis: Any, lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> None:
    """One line of (x, y) per name."""
    for name, (x, y) in lines.items():
        axis.plot(x, y, label=name, linewidth=1.2)
    axis.legend(fontsize=8)
    axis.grid(alpha=0.3)


def both_ends(axis: Any, lower: np.ndarray, upper: np.ndarray) -> None:
    """Lower and upper bounds `[N]` of the same numbers, the lowest first."""
    order = np.argsort(lower)
    axis.plot(upper[order], "v", color="tab:orange", label="upper", markersize=4)
    axis.plot(lower[order], "^", color="tab:blue", label="lower", markersize=4)
    axis.legend(fontsize=8)


def show_pixels(axis: Any, pixels: np.ndarray, title: str) -> None:
    """uint8 pixels `[H, W, C]` with a title and without ticks."""
    axis.imshow(to_image(pixels).convert("RGBA"))
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()
