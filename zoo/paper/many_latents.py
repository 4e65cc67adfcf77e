"""VAE and AAE with many more latents than the data need: Figures 6, 16 and 17."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.evaluation.active_units import active_units
from zoo.evaluation.encodings import encode_dataset
from zoo.figures import panels
from zoo.paper.lab import Lab
from zoo.paper.marginal import samples_and_reconstructions
from zoo.paper.outcome import Outcome, column, compare, mean_and_error
from zoo.run import Run

MODELS = ("vae", "aae")
_SPREAD = "{dataset}, {size} latents: standard deviation of the posterior mean over the data, by "
_SPREAD += "dimension, largest first. Sparse codes fall to zero early, dense ones do not."


def many_latents(lab: Lab) -> Outcome:
    """Sparse against dense posterior means, and what becomes of samples (Figures 6, 16, 17)."""
    rows, claims, pictures = [], [], {}
    for dataset in lab.scale.datasets:
        for size in lab.scale.latent_sizes:
            figure, axes = panels(len(MODELS))
            for axis, model in zip(axes, MODELS, strict=True):
                for seed in lab.scale.seeds:
                    run = lab.train(model, dataset, latent_size=size, seed=seed)
                    spread, row = _spread(lab, run)
                    rows.append(
                        {"dataset": dataset, "model": model, "latents": size, "seed": seed, **row}
                    )
                    axis.plot(np.sort(spread)[::-1], label=f"seed {seed}", linewidth=1.2)
                axis.set(title=model, xlabel="dimension", ylabel="standard deviation of the mean")
                axis.legend(fontsize=8)
                first = lab.train(model, dataset, latent_size=size, seed=lab.scale.seeds[0])
                name = f"{dataset}-{model}-{size}"
                samples, pairs = samples_and_reconstructions(lab, first)
                pictures[f"{name}-samples"] = (f"{model}, {size} latents: samples", samples)
                caption = f"{model}, {size} latents: test images above their reconstructions"
                pictures[f"{name}-reconstructions"] = (caption, pairs)
            pictures[f"{dataset}-{size}-spread"] = (
                _SPREAD.format(dataset=dataset, size=size),
                figure,
            )
            shares = [_over_seeds(rows, dataset, model, size, "share_in_use") for model in MODELS]
            statement = (
                f"{dataset}, {size} latents: the VAE's posterior means are sparse, the AAE's dense"
            )
            claims.append(compare(statement, *shares, unit="(share of dimensions in use)"))
            gaps = [
                _over_seeds(rows, dataset, model, size, "wasserstein_critic") for model in MODELS
            ]
            statement = (
                f"{dataset}, {size} latents: the AAE struggles, its samples worse than VAE's"
            )
            unit = "(gap of the independent Wasserstein critic, less is better)"
            claims.append(compare(statement, *gaps, unit=unit))
    return Outcome(claims, {"dimensions": rows}, pictures)


def _spread(lab: Lab, run: Run) -> tuple[np.ndarray, dict[str, Any]]:
    subject = lab.subject(run.path)
    encodings = encode_dataset(subject, run.dataset, cache=subject.cache)
    units = active_units(encodings.mean)
    critic = lab.measure(run, "wasserstein_critic")
    return np.sqrt(units.variances), {
        "active_units": units.count,
        "share_in_use": units.count / len(units.variances),
        "mean_posterior_stddev": float(encodings.stddev.mean()),
        "wasserstein_critic": critic["wasserstein_critic"]["value"],
    }


def _over_seeds(
    rows: list[dict[str, Any]], dataset: str, model: str, size: int, value: str
) -> tuple[float, float | None]:
    return mean_and_error(column(rows, value, dataset=dataset, model=model, latents=size))
