"""Whether matching q(z) to p(z), by whatever means, brings samples nearer to reconstructions.

Beyond the paper, whose question it is: samples decode draws of p(z), reconstructions draws of q(z),
so that the distance of reconstructions from the data is the floor of any prior (Ghosh et al. 2020).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset, Split
from zoo.evaluation.runner import make_metric
from zoo.evaluation.samples.reconstruction import reconstruct
from zoo.evaluation.subject.samples import GivenSamples
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.paper.lab import Lab
from zoo.paper.outcome import (
    Claim,
    Estimate,
    Outcome,
    Rows,
    column,
    compare,
    compare_pairs,
    mean_and_error,
)
from zoo.paper.pictures import Pictures, bars, legend_below, samples_picture
from zoo.records import INTERVAL, Record
from zoo.run import Run

# Who matches q(z), and by what; the first matches each q(z|x) only.
WAYS: Mapping[str, Mapping[str, Any]] = {
    "vae": {"model": "vae"},
    "wae_mmd": {"model": "wae_mmd", "posterior": "gaussian"},
    "aae": {"model": "aae"},
    "vamp": {"model": "vae", "prior": "vamp"},
}
MEANS = {
    "wae_mmd": "a maximum mean discrepancy",
    "aae": "a density ratio",
    "vamp": "a learned prior",
    "ex_post": "a prior fitted after training",
}
EX_POST = "gmm_full_10"

_DISTANCE, _FLOOR, _GAP = "frechet_samples", "frechet_reconstructions", "gap"
_CAPTION = (
    "Left: Frechet distance of samples from training images, mean and standard error over seeds, "
    "by features of the data set's classifier; that of reconstructions, the floor, in red. Right: "
    "KL(q(z)||p(z)), nats, where q(z|x) has a density; its floor in red, the population's interval "
    "in green."
)


def latent_matching(lab: Lab) -> Outcome:
    """The gap between samples and reconstructions by what matches q(z), if anything does."""
    rows: Rows = []
    pictures: Pictures = {}
    for way, settings in WAYS.items():
        for seed in lab.scale.seeds:
            run = lab.train(seed=seed, **settings)
            runs = {way: run}
            if way == "vae":
                runs["ex_post"] = lab.fit_prior(run, EX_POST)
            for name, one in runs.items():
                where = {"way": name, "seed": seed}
                find = functools.partial(_distances, lab, one)
                distances = lab.once("distances", find, samples=lab.scale.samples, **where)
                rows.append(where | _latent(lab, one) | distances)
                if seed == lab.scale.seeds[0]:
                    pictures |= samples_picture(lab, one, name)
    pictures["gap"] = (_CAPTION, _figure(rows))
    return Outcome(list(_claims(rows)), {"latent_matching": rows}, pictures)


def _latent(lab: Lab, run: Run) -> dict[str, float]:
    """The marginal KL and its interval, of a posterior that has a density; else the lower end."""
    explicit = run.model.encoder.head.explicit
    return lab.measure(run, "population_kl", *(("marginal_kl",) if explicit else ()))


def _distances(lab: Lab, run: Run) -> dict[str, float]:
    """Frechet distances from one half of the training images: of samples, and of the other half's
    reconstructions."""
    subject, halves = lab.subject(run.path), _halves(run.dataset)
    others = halves.split("validation").images
    decoded = np.concatenate([again for _, again in reconstruct(subject, others)])
    samples = _distance(lab, run, subject, halves)
    floor = _distance(lab, run, GivenSamples("reconstructions", decoded), halves)
    return {_DISTANCE: samples, _FLOOR: floor, _GAP: samples - floor}


def _halves(dataset: ImageDataset) -> ImageDataset:
    """The training images in two, by chance."""
    images = dataset.split("train").images
    order = np.random.default_rng(0).permutation(len(images) // 2 * 2).reshape(2, -1)
    parts = dict(zip(("test", "validation"), order, strict=True))
    splits = {name: Split(images[rows], None) for name, rows in parts.items()}
    return ImageDataset(dataset.name, splits, dataset.provenance)


def _distance(lab: Lab, run: Run, subject: Subject, halves: ImageDataset) -> float:
    settings = EvaluationConfig(
        num_samples=min(lab.scale.samples, len(halves.split("test"))),
        feature_extractor=lab.classifier(),
    )
    found = make_metric("fid").measure(subject, halves, settings)
    values = {item.metric: item.value for item in found if isinstance(item, Record)}
    return values["fid"]


def _claims(rows: Rows) -> Iterator[Claim]:
    gaps = {way: column(rows, _GAP, way=way) for way in dict.fromkeys(r["way"] for r in rows)}
    for way, means in MEANS.items():
        statement = (
            f"matching q(z) by {means} ({way}) brings samples nearer to reconstructions than "
            "matching each q(z|x) does (vae)"
        )
        unit = "(Frechet distance of samples less that of reconstructions)"
        if way == "ex_post":  # of the very same models
            yield compare_pairs(statement, gaps[way], gaps["vae"], unit)
        else:
            yield compare(statement, mean_and_error(gaps[way]), mean_and_error(gaps["vae"]), unit)


def _figure(rows: Rows) -> Figure:
    ways = list(dict.fromkeys(row["way"] for row in rows))
    figure, (distances, divergences) = panels(2)

    def over_seeds(metric: str, names: Sequence[str]) -> dict[str, Estimate]:
        return {way: mean_and_error(column(rows, metric, way=way)) for way in names}

    floors = {way: mean.value for way, mean in over_seeds(_FLOOR, ways).items()}
    bars(distances, over_seeds(_DISTANCE, ways), floors, unit="squared distance")
    distances.set_title("Frechet distance")
    dense = [way for way in ways if "marginal_kl" in next(r for r in rows if r["way"] == way)]
    floors = {w: mean.value for w, mean in over_seeds("marginal_kl_floor", dense).items()}
    lower, upper = (over_seeds(end, dense) for end in INTERVAL)
    ends = {way: (lower[way].value, upper[way].value) for way in dense}
    bars(divergences, over_seeds("marginal_kl", dense), floors, ends)
    divergences.set_title("KL(q(z)||p(z)), nats")
    legend_below(divergences)
    return figure
