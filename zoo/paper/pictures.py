"""The pictures that several experiments show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.evaluation.samples.reconstruction import reconstruct
from zoo.paper.lab import Lab
from zoo.paper.outcome import Estimate
from zoo.pictures import grid, side_by_side
from zoo.run import Run

Pictures = dict[str, tuple[str, Any]]  # caption and content by file name
_SHOWN = 32


def samples_picture(lab: Lab, run: Run, name: str, title: str = "") -> Pictures:
    """A grid of prior samples; the caption begins with the title, which is the name where none is
    given."""
    drawn = lab.subject(run.path).all("sample", seed=0, count=_SHOWN)["images"]
    return {f"{name}-samples": (f"{title or name}: samples", grid(drawn, columns=8))}


def reconstructions_picture(lab: Lab, run: Run, name: str, title: str = "") -> Pictures:
    """Test images above their reconstructions."""
    caption = f"{title or name}: test images above their reconstructions"
    pairs = side_by_side(*reconstructions(lab, run, _SHOWN))
    return {f"{name}-reconstructions": (caption, pairs)}


def reconstructions(lab: Lab, run: Run, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Test images, and these through the point code, pixels in [0, 1]."""
    images = run.dataset.split("test").some(count).images
    originals, decoded = zip(*reconstruct(lab.subject(run.path), images), strict=True)
    return np.concatenate(originals), np.concatenate(decoded)


def bars(
    axis: Any,
    values: Mapping[str, Estimate],
    floors: Mapping[str, float] | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
    unit: str = "nats",
) -> None:
    """One bar per name with its standard error, its floor as a line across it, and the interval of
    the population's value as a line beside it."""
    for i, (name, mean) in enumerate(values.items()):
        axis.bar(i, mean.value, yerr=mean.standard_error, width=0.6, capsize=4, color="#4878a8")
        if floors and name in floors:
            label = "floor" if i == 0 else None
            axis.hlines(floors[name], i - 0.4, i + 0.4, colors="#c44e52", label=label)
        if intervals and name in intervals:
            label = "population" if name == next(iter(intervals)) else None
            axis.vlines(i + 0.36, *intervals[name], colors="#55a868", linewidth=3, label=label)
    axis.set_xticks(range(len(values)), list(values))
    axis.set_ylabel(unit)


def legend_below(axis: Any) -> None:
    """What the lines of `bars` on an axis mean, once for its figure: bars leave no room."""
    lines = axis.get_legend_handles_labels()
    axis.figure.legend(*lines, loc="outside lower center", ncols=2, fontsize=8)
