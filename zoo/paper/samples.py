"""Samples of all models, and reconstructions: Figures 24 to 26 and Appendix M."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.evaluation.samples.reconstruction import mean_squared_error
from zoo.paper.grids import paper_models
from zoo.paper.lab import Lab
from zoo.paper.marginal import reconstructions
from zoo.paper.outcome import Outcome, column, compare, mean_and_error
from zoo.pictures import grid, side_by_side

_SHOWN = 32
_COMPARED = ("vae", "adversarial_vb")


def samples(lab: Lab) -> Outcome:
    """A grid of samples of each model, and reconstructions where there is an encoder; of the two
    that the paper compares, over seeds."""
    rows: list[dict[str, Any]] = []
    pictures: dict[str, tuple[str, Any]] = {}
    first, *others = lab.scale.seeds
    for model in paper_models():
        run = lab.train(model, seed=first)
        subject = lab.subject(run.path)
        drawn = subject.all("sample", seed=0, count=_SHOWN)["images"]
        pictures[f"{model}-samples"] = (f"{model}: samples", grid(drawn, 8))
        if "encode" not in subject.functions:
            continue
        images, decoded = reconstructions(lab, run, lab.scale.samples)
        caption = f"{model}: test images above their reconstructions"
        pairs = side_by_side(images[:_SHOWN], decoded[:_SHOWN])
        pictures[f"{model}-reconstructions"] = (caption, pairs)
        rows.append(_row(model, first, images, decoded))
        for seed in others if model in _COMPARED else ():
            again = reconstructions(lab, lab.train(model, seed=seed), lab.scale.samples)
            rows.append(_row(model, seed, *again))
    vae, hybrid = (mean_and_error(column(rows, "mse", model=model)) for model in _COMPARED)
    claim = compare(
        "AdversarialVB underperforms the VAE, here in its reconstructions",
        vae,
        hybrid,
        "(mean squared error of pixels in [0, 1]; mean over seeds)",
    )
    return Outcome([claim], {"reconstruction": rows}, pictures)


def _row(model: str, seed: int, images: np.ndarray, decoded: np.ndarray) -> dict[str, Any]:
    """Its error is that over test images."""
    value, error = mean_and_error(mean_squared_error(images, decoded).tolist())
    return {"model": model, "seed": seed, "mse": value, "standard_error": error}
