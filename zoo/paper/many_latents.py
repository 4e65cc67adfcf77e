"""VAE and AAE with many more latents than the data need: Figures 6, 16 and 17."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from zoo.evaluation.gaussians import kl_of_dimensions
from zoo.evaluation.latent.active_units import active_units
from zoo.evaluation.latent.representation import (
    dimensions_of_share,
    hoyer,
    participation_ratio,
)
from zoo.evaluation.subject.encodings import encode_dataset
from zoo.figures import panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import Claim, Outcome, Rows, column, compare, mean_and_error
from zoo.paper.pictures import Pictures, reconstructions_picture, samples_picture
from zoo.paper.sample_metrics import does_better, measure_samples, sample_metrics
from zoo.run import Run

_SPREAD = "{size} latents: standard deviation of the posterior mean over the data, by dimension, "
_SPREAD += "largest first. Sparse codes fall to zero early, dense ones do not."

# How sparse against dense is judged: active units count all that passes a threshold, noise too.
_SPARSITY = {
    "share_in_use": ("", "(share of dimensions in use)"),
    "participation_ratio_kl": (" by the KL of dimensions", "(participation ratio of the KL)"),
    "participation_ratio": (" by the variance of dimensions", "(participation ratio)"),
    "hoyer": (" by each code", "(Hoyer's sparsity)"),
}


def many_latents(lab: Lab) -> Outcome:
    """Sparse against dense posterior means, and what becomes of samples (Figures 6, 16, 17)."""
    rows: Rows = []
    pictures: Pictures = {}
    claims: list[Claim] = []
    variants: dict[str, dict[str, Any]] = {"vae": {"model": "vae"}, "aae": {"model": "aae"}}
    for units in lab.scale.code_critic_units:
        # Figure 17 gives the AAE a bigger discriminator too.
        variants[f"aae_{units}"] = {"model": "aae", "code_critic_units": units}
    for size in lab.scale.latent_sizes:
        figure, axes = panels(len(variants))
        here: Rows = []
        for axis, (variant, settings) in zip(axes, variants.items(), strict=True):
            runs = [lab.train(latent_size=size, seed=seed, **settings) for seed in lab.scale.seeds]
            for run in runs:
                spread, row = _spread(lab, run)
                seed = run.config.training.seed
                here.append({"model": variant, "latents": size, "seed": seed, **row})
                axis.plot(np.sort(spread)[::-1], label=f"seed {seed}", linewidth=1.2)
            axis.set(title=variant, xlabel="dimension", ylabel="standard deviation of the mean")
            axis.legend(fontsize=8)
            name, title = f"{variant}-{size}", f"{variant}, {size} latents"
            pictures |= samples_picture(lab, runs[0], name, title)
            pictures |= reconstructions_picture(lab, runs[0], name, title)
        pictures[f"{size}-spread"] = (_SPREAD.format(size=size), figure)
        claims += _claims(here, f"{size} latents", variants, sample_metrics(lab))
        rows += here
    return Outcome(claims, {"dimensions": rows}, pictures)


def _claims(
    rows: Rows, where: str, variants: Iterable[str], metrics: Sequence[str]
) -> Iterator[Claim]:
    statement = f"{where}: the VAE's posterior means are sparser than the AAE's"
    for name, (by, unit) in _SPARSITY.items():
        vae, aae = (mean_and_error(column(rows, name, model=m)) for m in ("vae", "aae"))
        # More of Hoyer's measure is sparser, of the others denser.
        sides = (aae, vae) if name == "hoyer" else (vae, aae)
        yield compare(f"{statement}{by}", *sides, unit)
    for variant in variants:
        for metric in metrics if variant != "vae" else ():
            yield does_better(
                f"{where}: the AAE struggles, the VAE's samples are better than those of {variant}",
                metric,
                rows,
                {"model": variant},
                {"model": "vae"},
                "(mean over seeds)",
            )


def _spread(lab: Lab, run: Run) -> tuple[np.ndarray, dict[str, Any]]:
    subject = lab.subject(run.path)
    encodings = encode_dataset(subject, run.dataset, cache=subject.cache)
    units = active_units(encodings.mean)
    kl = kl_of_dimensions(encodings.mean, encodings.stddev)
    return np.sqrt(units.variances), {
        "active_units": units.count,
        "share_in_use": units.count / len(units.variances),
        "participation_ratio_kl": participation_ratio(kl),
        "dims90": dimensions_of_share(kl),
        "participation_ratio": participation_ratio(units.variances),
        "hoyer": float(hoyer(encodings.mean.astype(np.float64)).mean()),
        "mean_posterior_stddev": float(encodings.stddev.mean()),
        **measure_samples(lab, run),
    }
