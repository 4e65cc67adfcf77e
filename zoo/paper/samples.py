"""Samples of all models, and reconstructions: Figures 24 to 26 and Appendix M."""

from __future__ import annotations

from typing import Any

from zoo.evaluation.samples.reconstruction import mean_squared_error
from zoo.paper.grids import paper_models
from zoo.paper.lab import Lab
from zoo.paper.outcome import Outcome, compare, mean_and_error
from zoo.pictures import grid, side_by_side
from zoo.pixels import as_floats

_SHOWN = 32


def samples(lab: Lab) -> Outcome:
    """A grid of samples of each model, and reconstructions where there is an encoder."""
    rows, pictures, claims = [], {}, []
    for dataset in lab.scale.datasets:
        for model in paper_models():
            run = lab.train(model, dataset, seed=lab.scale.seeds[0])
            subject = lab.subject(run.path)
            drawn = subject.all("sample", seed=0, count=_SHOWN)["images"]
            pictures[f"{dataset}-{model}-samples"] = (
                f"{dataset}, {model}: samples",
                grid(drawn, 8),
            )
            if "encode" not in subject.functions:
                continue
            images = as_floats(run.dataset.split("test").images[: lab.scale.samples])
            codes = subject.all("encode", images=images)["z"]
            decoded = subject.all("decode", z=codes)["images"]
            errors = mean_squared_error(images, decoded)
            value, error = mean_and_error(errors.tolist())
            rows.append({"dataset": dataset, "model": model, "mse": value, "standard_error": error})
            caption = f"{dataset}, {model}: test images above their reconstructions"
            pairs = side_by_side(images[:_SHOWN], decoded[:_SHOWN])
            pictures[f"{dataset}-{model}-reconstructions"] = (caption, pairs)
        claims.append(
            compare(
                f"{dataset}: AdversarialVB underperforms the VAE, here in its reconstructions",
                _error(rows, dataset, "vae"),
                _error(rows, dataset, "adversarial_vb"),
                "(mean squared error of pixels in [0, 1]; one run each, error over test images)",
            )
        )
    return Outcome(claims, {"reconstruction": rows}, pictures)


def _error(rows: list[dict[str, Any]], dataset: str, model: str) -> tuple[float, float | None]:
    (row,) = [r for r in rows if (r["dataset"], r["model"]) == (dataset, model)]
    return row["mse"], row["standard_error"]
