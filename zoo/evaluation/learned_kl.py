"""KL(q(z)||p(z)) of a model's aggregate posterior by networks that are trained to tell it.

They need draws of q(z|x) only, hence measure implicit and deterministic posteriors too. (Of a
deterministic one q(z) is N points and its KL infinite: the values then tell of the smoothness of
the networks.) Where q(z|x) is a Gaussian, through a flow or not, Algorithm 2's value and its bounds
stand beside them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.distributions.density_models import DiagonalMixture
from zoo.errors import UsageError
from zoo.evaluation.aggregate_posterior import DEFAULT_SAMPLES, marginal_kl_records
from zoo.evaluation.code_samplers import Aggregate, prior_sampler
from zoo.evaluation.density_model import (
    FIT_SAMPLES,
    HELD_OUT_SAMPLES,
    MIXTURE,
    NETWORKS,
    density_model_kl,
    fit_density_model,
)
from zoo.evaluation.density_ratio import RatioOptions, estimate
from zoo.evaluation.encodings import SPLITS
from zoo.evaluation.kl_figures import bars, curve
from zoo.evaluation.marginal_kl import MarginalKL
from zoo.evaluation.records import Metric, Picture, Record, short
from zoo.evaluation.subjects import Subject

_BOUNDS = ("average_kl", "marginal_kl_floor", "log_n")
_SPLIT = "+".join(SPLITS)
_MODEL_NAMES = {
    MIXTURE: "a diagonal Gaussian mixture, its number of components chosen by held-out likelihood,",
    "maf": "a masked autoregressive flow",
    "lstm": "a Gaussian autoregressive LSTM",
}


class _LearnedKL(Metric):
    """What both have in common."""

    needs = ("sample_posterior",)
    uses = ("num_samples", "seed", "train_steps")

    def check(self, subject: Subject, dataset: Any, settings: EvaluationConfig) -> None:
        """See the base; the training and validation examples have to be at hand."""
        super().check(subject, dataset, settings)
        for split in SPLITS:
            dataset.split(split)
        if settings.count(DEFAULT_SAMPLES) < 2:
            raise UsageError(f"num_samples=1 is too few for {self.name}: expected at least 2")


class DensityRatioKLMetric(_LearnedKL):
    """Algorithm 3 with the default `RatioOptions`."""

    name = "density_ratio_kl"
    default_steps = 5_000  # chosen: minutes on two cores, 100,000 [C] would be an hour

    def measure(
        self, subject: Subject, dataset: Any, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the mean logit, the Donsker-Varadhan value and, where Algorithm 2 applies, its
        bounds."""
        aggregate = Aggregate.of(subject, dataset)
        count = settings.count(DEFAULT_SAMPLES)
        options = RatioOptions()
        result = estimate(
            aggregate.sampler(settings.seed),
            prior_sampler(aggregate.latent_size, settings.seed + 1),
            aggregate.latent_size,
            options,
            settings.train_steps or self.default_steps,
            settings.seed,
            count,
            progress=True,
        )
        reference = aggregate.monte_carlo_kl(count, settings.seed)
        details = {
            "steps": result.steps,
            "spread_over_the_last_quarter_of_training": result.spread,
            "cross_entropy": result.cross_entropy,
            "posterior": aggregate.posterior,
            **dataclasses.asdict(options),
            **_beside(reference),
        }
        yield Record(
            self.name,
            result.value,
            result.standard_error,
            count,
            _SPLIT,
            "KL(q(z)||p(z)) by a classifier of z ~ q(z) against z ~ p(z) (Algorithm 3): its mean "
            "logit over fresh z ~ q(z), nats; not a bound, and not clipped",
            details,
            warnings=short(result.steps, self.default_steps),
        )
        yield Record(
            f"{self.name}_donsker_varadhan",
            result.donsker_varadhan,
            result.donsker_varadhan_standard_error,
            count,
            _SPLIT,
            "mean logit over z ~ q(z) - log mean exp(logit) over z ~ p(z) of the same classifier, "
            "nats; a lower bound of KL(q(z)||p(z)) but for the samples' noise",
            details,
            warnings=short(result.steps, self.default_steps),
        )
        yield from _bounds(reference)
        yield Picture(
            "curve",
            "KL(q(z)||p(z)) by the classifier over its training (Algorithm 3), nats"
            + (", beside Algorithm 2 and the bounds." if reference else "."),
            curve(result, reference),
        )


class DensityModelKLMetric(_LearnedKL):
    """Algorithm 4 with mixtures, a flow and an LSTM."""

    name = "density_model_kl"
    revision = 2
    default_steps = 2_000  # chosen: minutes on two cores, where 100,000 [C] would be hours

    def measure(
        self, subject: Subject, dataset: Any, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields a lower bound of the marginal KL by each model and, where Algorithm 2 applies,
        its bounds."""
        aggregate = Aggregate.of(subject, dataset)
        count = settings.count(DEFAULT_SAMPLES)
        steps = settings.train_steps or self.default_steps
        models = {
            name: fit_density_model(
                name,
                aggregate.sampler(settings.seed + 1),
                aggregate.latent_size,
                steps,
                settings.seed,
                progress=True,
            )
            for name in tqdm(_MODEL_NAMES, "density models", delay=2)
        }
        # Where q(z|x) is a Gaussian, the very samples of Algorithm 2: their noise is common then.
        values = density_model_kl(models, aggregate.blocks(count, settings.seed))
        reference = aggregate.monte_carlo_kl(count, settings.seed)
        for name, result in values.items():
            network = name in NETWORKS
            fitted = {"steps": steps} if network else _about(models[name])
            yield Record(
                f"{self.name}_{name}",
                result.value,
                result.standard_error,
                result.m,
                _SPLIT,
                f"E_q(z)[log r(z) - log p(z)] with r {_MODEL_NAMES[name]} fitted to other z ~ q(z) "
                "(Algorithm 4), nats; a lower bound of KL(q(z)||p(z))",
                {**fitted, "posterior": aggregate.posterior, **_beside(reference)},
                warnings=short(steps, self.default_steps) if network else (),
            )
        yield from _bounds(reference)
        yield Picture(
            "bars",
            "Lower bounds of KL(q(z)||p(z)) by density models (Algorithm 4), nats"
            + (", beside Algorithm 2 and its own bounds." if reference else "."),
            bars(values, reference),
        )


def _about(mixture: DiagonalMixture) -> dict[str, int]:
    return {
        "fit_samples": FIT_SAMPLES,
        "held_out_samples": HELD_OUT_SAMPLES,
        "components": mixture.mixture.n_components,
    }


def _beside(reference: MarginalKL | None) -> dict[str, float]:
    """Algorithm 2's value as a detail: the record of that name belongs to `marginal_kl`."""
    if reference is None:
        return {}
    return {
        "monte_carlo_kl": reference.value,
        "monte_carlo_kl_standard_error": reference.standard_error,
    }


def _bounds(reference: MarginalKL | None) -> Iterator[Record]:
    if reference is not None:
        yield from marginal_kl_records(reference, _BOUNDS)
