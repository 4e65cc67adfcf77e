"""log p(x) by annealed importance sampling, and its gap on the model's own samples.

From images alone there is a lower bound; on images that the model itself makes there is an upper
one beside it (Grosse et al. 2015, who call it bidirectional), and the gap of the two says how much
chains of these settings lose on such images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.evaluation.likelihood.elbo import bits_record
from zoo.evaluation.likelihood.evidence import Bounds, Chains, Evidence
from zoo.evaluation.likelihood.observation import (
    OBSERVATION_STDDEV,
    GaussianObservation,
    observation_of,
)
from zoo.evaluation.likelihood.start import Start, start_of
from zoo.evaluation.protocol import Metric, Picture, mean_record
from zoo.evaluation.subject.subject import Subject
from zoo.figures import both_ends, panels
from zoo.options import Option
from zoo.records import Record

# All chosen: minutes on two cores at 28 x 28 pixels. A start at the prior takes more of each image.
IMAGES = {"encoder": 16, "prior": 8}
MOST_SIMULATED = {"encoder": 8, "prior": 4}
TRIED_IMAGES = 4  # of the validation split, for each standard deviation
STDDEVS = (0.025, 0.05, 0.1, 0.2)
ENOUGH = 1.0  # nats of a gap that is not worth a warning


class Ais(Metric):
    """Lower bound of log p(x) by annealed chains, with its gap on simulated images."""

    name = "ais"
    higher_is_better = ("ais",)
    lower_is_better = ("ais_bits_per_dim",)
    needs = ("decode",)
    uses = ("split", "num_samples", "seed")
    revision = 2
    options = (
        Option(
            "chain_start",
            "encoder",
            "Where annealed chains begin: at q(z|x) where it is a Gaussian, or at the prior.",
            choices=("encoder", "prior"),
        ),
        Option(
            "chain_steps",
            None,
            "Temperatures of an annealed chain; 50 from the encoder, 500 from the prior by "
            "default.",
            kind="int",
            above=0,
        ),
        Option("chains", 16, "Annealed chains of each image.", above=0),
        OBSERVATION_STDDEV,
    )

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; p(x|z) and p(z) have to be known."""
        super().check(subject, dataset, settings)
        subject.require_shape_of(dataset)
        subject.check_prior()
        dataset.split(settings.split)
        if observation_of(subject, dataset, settings.observation_stddev) is None:
            dataset.split("validation")

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the bound, its bits per dimension where they are defined, and the gap."""
        start = start_of(subject, settings.chain_start)
        chains = Chains.from_start(start, settings.chain_steps, settings.chains)
        curve: dict[float, float] = {}
        given = observation_of(subject, dataset, settings.observation_stddev)
        if given is None:
            evidence, curve = _best(subject, dataset, start, chains, settings.seed + 2)
        else:
            evidence = Evidence(subject, given, start, chains)
        observation = evidence.observation
        images = dataset.split(settings.split).some(settings.count(IMAGES[start.name])).images
        count = min(len(images), MOST_SIMULATED[start.name])
        found = evidence.of_images(images, settings.seed)
        simulated = evidence.of_simulated(count, settings.seed + 1)
        assert simulated.upper is not None  # there is an exact draw of each posterior
        gap = simulated.upper - simulated.lower
        details: dict[str, Any] = {
            "start": start.name,
            "steps": chains.steps,
            "chains": chains.chains,
            "leapfrog": chains.leapfrog,
            "gradients_per_image": chains.gradients,
            **observation.details,
        }
        if curve:
            tried = {f"{stddev:g}": value for stddev, value in curve.items()}
            details["validation_bound_by_stddev"] = tried
        definition = (
            f"log mean w of {chains.chains} annealed chains from the {start.name}, "
            f"{observation.words}, nats per example; a lower bound of log p(x) in "
            "expectation"
        )
        warnings = tuple(_warnings(float(gap.mean()), curve))
        yield mean_record(
            self.name,
            found.lower,
            settings.split,
            definition,
            warnings,
            **details,
            bdmc_gap=float(gap.mean()),
            acceptance=found.acceptance,
            effective_chains=float(found.effective_chains.mean()),
        )
        if not isinstance(observation, GaussianObservation):
            what = "AIS bound"
            yield from bits_record("ais_bits_per_dim", found.lower, subject, settings.split, what)
        yield mean_record(
            "bdmc_gap",
            gap,
            None,
            "upper less lower bound of log p(x) by the same chains on images that the model itself "
            "makes, nats per example; certifies the settings of ais on the model's own data, not "
            "on others",
            warnings,
            **details,
            lower=float(simulated.lower.mean()),
            upper=float(simulated.upper.mean()),
            acceptance=simulated.acceptance,
        )
        yield Picture(
            "bounds",
            f"Lower bounds of log p(x) of {len(images)} {settings.split} images, and both bounds "
            f"of {count} simulated ones, nats per example"
            + ("; by standard deviation of p(x|z), on validation images." if curve else "."),
            _figure(found, simulated, curve),
        )


def _best(
    subject: Subject, dataset: ImageDataset, start: Start, chains: Chains, seed: int
) -> tuple[Evidence, dict[float, float]]:
    """That of the standard deviation of p(x|z) which gives validation images the highest mean
    bound, one rule for every model (Wu et al. 2017); and that bound by standard deviation, nats."""
    images = dataset.split("validation").some(TRIED_IMAGES).images
    tried = {
        stddev: Evidence(subject, GaussianObservation(stddev), start, chains) for stddev in STDDEVS
    }
    curve = {
        stddev: float(evidence.of_images(images, seed).lower.mean())
        for stddev, evidence in tqdm(tried.items(), "standard deviations", delay=2)
    }
    return tried[_argmax(curve)], curve


def _argmax(curve: Mapping[float, float]) -> float:
    return max(curve, key=lambda stddev: curve[stddev])


def _warnings(gap: float, curve: Mapping[float, float]) -> Iterator[str]:
    if gap > ENOUGH:
        yield f"the bounds are {gap:.3g} nats apart on the model's own images: raise chain_steps"
    if curve and (best := _argmax(curve)) in (STDDEVS[0], STDDEVS[-1]):
        yield f"the best standard deviation of p(x|z), {best:g}, is at the end of those tried"


def _figure(found: Bounds, simulated: Bounds, curve: Mapping[float, float]) -> Figure:
    figure, axes = panels(3 if curve else 2, 3, (3.6, 2.8))
    axes[0].plot(np.sort(found.lower), ".", color="tab:blue")
    axes[0].set(title="images: lower", xlabel="by rank", ylabel="nats")
    assert simulated.upper is not None
    both_ends(axes[1], simulated.lower, simulated.upper)
    axes[1].set(title="simulated: both", xlabel="by rank")
    if curve:
        axes[2].plot(list(curve), list(curve.values()), "o-", color="tab:blue")
        axes[2].set(title="validation", xlabel="standard deviation of p(x|z)", xscale="log")
    return figure
