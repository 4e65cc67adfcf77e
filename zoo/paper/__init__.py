"""The paper's experiments (Rosca et al. 2018; paper.md section 11) and three beyond it: one file
per group.

An experiment is a function of a `Lab`, which trains on a data set and measures, and returns an
`Outcome`: pictures, the data behind them and a verdict on each claim. Adding one: its function, and
a line here.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from zoo.errors import UsageError, expected_of


@dataclasses.dataclass(frozen=True)
class Experiment:
    """What an experiment is, without loading what it needs.

    Attributes:
        function: its dotted path, a function of a `zoo.paper.lab.Lab`.
        items: the figures and tables that it stands for.
        shows: what is seen there.
        cost: how long it took on one core of two or on both, by scale; shared runs count where they
            came first.
        data: what data sets it is of: "all", those with "classes", or "none", where it trains no
            model and knows the truth.
    """

    function: str
    items: str
    shows: str
    cost: Mapping[str, str]
    data: str = "all"

    def load(self) -> Callable[[Any], Any]:
        """The function."""
        module, name = self.function.rsplit(".", 1)
        return getattr(importlib.import_module(module), name)


def _cost(small: str, medium: str = "not run yet") -> dict[str, str]:
    return {"smoke": "seconds", "small": small, "medium": medium, "paper": "not run yet"}


EXPERIMENTS = {
    "posteriors": Experiment(
        "zoo.paper.marginal.posteriors",
        "Figure 1",
        "marginal KL of VAEs with Gaussian and RealNVP posteriors",
        _cost("16 min", "46 min, and 45 min on blue_marble"),
    ),
    "posterior_sizes": Experiment(
        "zoo.paper.marginal.posterior_sizes",
        "Figure 1",
        "both posteriors by latent size, width and length of training, up to the paper's",
        _cost("not run yet", "2 h 46 min, and 1 h 37 min on blue_marble"),
    ),
    "low_posterior": Experiment(
        "zoo.paper.low_posterior.low_posterior",
        "Figures 2, 3, 10 to 15",
        "samples where the posterior has no mass, their bounds, neighbours and codes",
        _cost("1 min", "1 min, on blue_marble too"),
    ),
    "density_ratio": Experiment(
        "zoo.paper.ratio.density_ratio",
        "Figure 4",
        "the marginal KL by density ratio against Monte Carlo",
        _cost("13 min", "3 min, on blue_marble too"),
    ),
    "classifier_sensitivity": Experiment(
        "zoo.paper.ratio.classifier_sensitivity",
        "Tables 1 and 2",
        "how far the classifier's settings move the density ratio's estimate",
        _cost("19 min", "1 h 48 min, and 2 h 11 min on blue_marble"),
    ),
    "bounds": Experiment(
        "zoo.paper.bounds.bounds",
        "Figures 5 and 23",
        "what can be followed in the training of VAE and hybrids",
        _cost("22 min", "1 min, on blue_marble too"),
    ),
    "many_latents": Experiment(
        "zoo.paper.many_latents.many_latents",
        "Figures 6, 16 and 17",
        "VAE against AAE with many more latents than needed",
        _cost("33 min", "2 h 20 min, and 2 h 53 min on blue_marble"),
    ),
    "comparison": Experiment(
        "zoo.paper.comparison.comparison",
        "Figures 8 and 9",
        "the paper's models over a sweep or seeds, by metrics of their samples",
        _cost("2 h 15 min", "7 h 8 min, and 9 h 9 min on blue_marble"),
    ),
    "synthetic": Experiment(
        "zoo.paper.synthetic.synthetic",
        "Figures 18 to 20",
        "density ratios of Gaussians, where the truth is known",
        _cost("22 min", "58 min"),
        data="none",
    ),
    "density_models": Experiment(
        "zoo.paper.ratio.density_models",
        "Figure 21",
        "the marginal KL by density models against Monte Carlo",
        _cost("15 min", "14 min, and 29 min on blue_marble"),
    ),
    "likelihoods": Experiment(
        "zoo.paper.marginal.likelihoods",
        "Figure 22",
        "marginal KL, samples and reconstructions with Bernoulli and QuantizedNormal",
        _cost("9 min", "31 min, and 43 min on blue_marble"),
    ),
    "latent_matching": Experiment(
        "zoo.paper.latent_matching.latent_matching",
        "Beyond the paper: matching q(z)",
        "the gap between samples and reconstructions by what matches q(z)",
        _cost("55 min", "43 min"),
        data="classes",
    ),
    "samples": Experiment(
        "zoo.paper.samples.samples",
        "Figures 24 to 26, Appendix M",
        "samples of all models, and reconstructions",
        _cost("16 min", "2 min, and 43 min on blue_marble"),
    ),
    "ratio_leaderboard": Experiment(
        "zoo.paper.leaderboard.leaderboard",
        "Beyond the paper: estimators of a KL",
        "every estimator of the marginal KL against a true one, by dimension",
        _cost("4 min", "7 min"),
        data="none",
    ),
    "rate_distortion": Experiment(
        "zoo.paper.rate_distortion.rate_distortion_curves",
        "Beyond the paper: rate-distortion",
        "rate-distortion curves of all decoders on one axis, and their encoders' own points",
        _cost("40 min", "5 min, and 32 min on blue_marble"),
    ),
}


def experiment(name: str) -> Experiment:
    """The experiment of that name; raises `UsageError` for an unknown one."""
    if name not in EXPERIMENTS:
        known = expected_of(name, (*EXPERIMENTS, "all"))
        raise UsageError(f"experiment={name!r} is not known: {known}")
    return EXPERIMENTS[name]
