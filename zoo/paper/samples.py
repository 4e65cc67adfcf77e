"""Samples of all models, and reconstructions: Figures 24 to 26 and Appendix M."""

from __future__ import annotations

from zoo.evaluation.samples.reconstruction import mean_squared_error
from zoo.paper.grids import paper_models
from zoo.paper.lab import Lab
from zoo.paper.outcome import Outcome, Rows, column, compare, mean_and_error
from zoo.paper.pictures import Pictures, reconstructions, reconstructions_picture, samples_picture

_COMPARED = ("vae", "adversarial_vb")


def samples(lab: Lab) -> Outcome:
    """A grid of samples of each model, and reconstructions where there is an encoder; of the two
    that the paper compares, over seeds."""
    rows: Rows = []
    pictures: Pictures = {}
    for model in paper_models():
        seeds = lab.scale.seeds if model in _COMPARED else lab.scale.seeds[:1]
        runs = {seed: lab.train(model, seed=seed) for seed in seeds}
        first = runs[seeds[0]]
        pictures |= samples_picture(lab, first, model)
        if "encode" not in lab.subject(first.path).functions:
            continue
        pictures |= reconstructions_picture(lab, first, model)
        for seed, run in runs.items():
            pairs = reconstructions(lab, run, lab.scale.samples)
            mse = mean_and_error(mean_squared_error(*pairs).tolist())
            row = {"model": model, "seed": seed, "mse": mse.value}
            rows.append({**row, "standard_error": mse.standard_error})
    vae, hybrid = (mean_and_error(column(rows, "mse", model=model)) for model in _COMPARED)
    claim = compare(
        "AdversarialVB underperforms the VAE, here in its reconstructions",
        vae,
        hybrid,
        "(mean squared error of pixels in [0, 1]; mean over seeds)",
    )
    return Outcome([claim], {"reconstruction": rows}, pictures)
