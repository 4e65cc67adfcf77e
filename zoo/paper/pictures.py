"""The pictures of a run that several experiments show."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.evaluation.samples.reconstruction import reconstruct
from zoo.paper.lab import Lab
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
    """The first test images, and these through the point code, pixels in [0, 1]."""
    images = run.dataset.split("test").images[:count]
    originals, decoded = zip(*reconstruct(lab.subject(run.path), images), strict=True)
    return np.concatenate(originals), np.concatenate(decoded)
