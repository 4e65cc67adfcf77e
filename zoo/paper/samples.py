"""Samples of all models, and reconstructions: Figures 24 to 26 and Appendix M."""

from __future__ import annotations

from typing import Any

from zoo.evaluation.samples.reconstruction import mean_squared_error
from zoo.paper.grids import paper_models
from zoo.paper.lab import Lab
from zoo.paper.outcome import Outcome, column, compare, mean_and_error
from zoo.paper.pictures import (
    Pictures,
    reconstructions,
    reconstructions_picture,
    samples_picture,
)

_COMPARED = ("vae", "adversarial_vb")


def samples(lab: Lab) -> Outcome:
    """A grid of samples of each model, and reconstructions where there is an encoder; of the two
    that the paper compares, over seeds."""
    rows: list[dict[str, Any]] = []
    pictures: Pictures = {}
    first = lab.scale.seeds[0]
    for model in paper_models():
        run = lab.train(model, seed=first)
        pictures |= samples_picture(lab, run, model)
        if "encode" not in lab.subject(run.path).functions:
            continue
        pictures |= reconstructions_picture(lab, run, model)
        for seed in lab.scale.seeds if model in _COMPARED else (first,):
            pairs = reconstructions(lab, lab.train(model, seed=seed), lab.scale.samples)
            value, error = mean_and_error(mean_squared_error(*pairs).tolist())
            rows.append({"model": model, "seed": seed, "mse": value, "standard_error": error})
    vae, hybrid = (mean_and_error(column(rows, "mse", model=model)) for model in _COMPARED)
    claim = compare(
        "AdversarialVB underperforms the VAE, here in its reconstructions",
        vae,
        hybrid,
        "(mean squared error of pixels in [0, 1]; mean over seeds)",
    )
    return Outcome([claim], {"reconstruction": rows}, pictures)
