"""KL(q(z) || p(z)) of the population, q(z) = E_p*(x) q(z|x) over all images there could be, from
below and from above.

From above: the mixture of N examples is further from the prior than the population's, E KL_N >= KL,
since a KL is convex; the more so the fewer they are. From below: for every normalised density r
that other images chose

    E[ log r(z) - log p(z) ] = KL(q || p) - KL(q || r) <= KL(q || p),    z ~ q(z|x), x of the test,

and one draw per image makes the terms independent. r is fitted on training codes and mixed on
validation codes (`zoo.evaluation.latent.reference_density`). The interval is wide where codes tell
their images, and the truth may lie anywhere in it: N images tell of no mutual information above
about log N (McAllester & Stratos 2020), so that no other upper end that holds for every encoder is
much lower than average KL - log N.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
from matplotlib.figure import Figure

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.distributions.gaussian_density import Gaussian
from zoo.evaluation.gaussians import log_normal
from zoo.evaluation.latent.code_samplers import Aggregate
from zoo.evaluation.latent.marginal_kl import (
    DEFAULT_SAMPLES,
    MarginalKL,
    check_samples,
    monte_carlo_kl,
)
from zoo.evaluation.latent.reference_density import Stack, fit_candidates
from zoo.evaluation.protocol import Metric, Picture, few
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.encodings import ENCODED_SPLITS, encode_dataset
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.records import Record

# Codes that fit and weigh the reference, for each sample of Algorithm 2, and at most; chosen. Where
# they are more than images there are several draws of each, without which mixtures fit the noise of
# the draws; of a test image there is one, so that they are independent.
FIT_CODES, WEIGH_CODES = (10, 20_000), (2.5, 5_000)
UNSEEN = ("validation", "test")  # by the training of the encoder
ENOUGH_CODES = 100  # of the test, chosen
ONE_SIDED = 1.64  # standard errors: 95 of 100 normal numbers lie on this side
_GAP = 3.0  # standard errors between seen and unseen images, chosen


@dataclasses.dataclass(frozen=True)
class LowerEnd:
    """E[log r(z) - log p(z)] over test codes, nats, of a stack and of each of its candidates."""

    value: float  # at least 0
    standard_error: float
    certified: float  # value - ONE_SIDED standard errors, at least 0
    weights: dict[str, float]
    singles: dict[str, float]
    t: int  # test codes


def lower_end(
    fit: np.ndarray,
    weigh: np.ndarray,
    test: np.ndarray,
    seed: int = 0,
    moments: Gaussian | None = None,
    log_prior: Callable[[np.ndarray], np.ndarray] = log_normal,
    progress: bool = False,
) -> LowerEnd:
    """From draws of q(z|x) of three sets of images.

    Args:
        fit: codes `[N, D]` for the candidates.
        weigh: codes `[V, D]` for their weights.
        test: codes `[T, D]`, one of each image, T at least 2.
        seed: of mixtures.
        moments: the Gaussian of q(z) where it is known better than from `fit`.
        log_prior: log p of codes `[M, D]`: `[M]`, nats; that of N(0, I) by default.
        progress: show a bar on stderr.
    """
    stack = Stack(fit_candidates(fit, seed, moments, progress), weigh, log_prior)
    log_ratios = stack.log_ratios(test)
    terms = stack.log_ratio(log_ratios)
    value, error = float(terms.mean()), standard_error(terms)
    return LowerEnd(
        value=max(0.0, value),
        standard_error=error,
        certified=max(0.0, value - ONE_SIDED * error),
        weights=stack.weights,
        singles={name: float(ratio.mean()) for name, ratio in log_ratios.items()},
        t=len(terms),
    )


class PopulationKL(Metric):
    """An interval that holds KL(q(z)||p(z)) of the population."""

    name = "population_kl"
    needs = ("sample_posterior",)
    uses = ("num_samples", "seed")

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; it takes training, validation and test images, and a prior that has a
        density."""
        super().check(subject, dataset, settings)
        subject.check_prior()
        for split in ("train", "validation", "test"):
            dataset.split(split)
        check_samples(self.name, settings.count(DEFAULT_SAMPLES))

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the lower end and, where q(z|x) is a Gaussian, through a flow or not, the upper
        end from the images of training and validation, that from images which the encoder never
        saw, and the average KL of both."""
        aggregate = Aggregate.of(subject, dataset)
        samples = settings.count(DEFAULT_SAMPLES)
        fit, weigh = (
            _codes(subject, dataset, split, settings.seed, int(min(share * samples, most)))
            for split, (share, most) in (("train", FIT_CODES), ("validation", WEIGH_CODES))
        )
        test = _codes(subject, dataset, "test", settings.seed)
        moments = _moments(aggregate)
        lower = lower_end(fit, weigh, test, settings.seed, moments, subject.log_prior, True)
        seen = aggregate.monte_carlo_kl(settings.num_samples, settings.seed)
        yield Record(
            "population_kl_lower",
            lower.value,
            lower.standard_error,
            lower.t,
            "test",
            "max(0, E[log r(z) - log p(z)]) over one z ~ q(z|x) per test image, r a stack of "
            "densities fitted on training and weighted on validation codes, nats; KL(q(z)||p(z)) "
            "of the population is not less, in expectation",
            {
                "certified": lower.certified,
                "weights": lower.weights,
                "singles": lower.singles,
                "posterior": aggregate.posterior,
            },
            warnings=few(lower.t, ENOUGH_CODES, "the lower end says little yet"),
        )
        unseen = None
        if seen is not None:
            unseen = _unseen(subject, dataset, settings)
            yield from _upper_records(seen, unseen)
        caption = (
            "KL(q(z)||p(z)) of the population, nats: not below what a density r shows of it on "
            "test codes, by itself or stacked"
        )
        caption += ", nor above that of N encoded examples." if seen is not None else "."
        yield Picture("interval", caption, _figure(lower, seen, unseen))


def _codes(
    subject: Subject, dataset: ImageDataset, split: str, seed: int, count: int | None = None
) -> np.ndarray:
    """Draws `[B, D]` of q(z|x): one of each image, or about `count`, several of each image where
    there are fewer, of some by chance where there are more."""
    # Noise of its own for each split: r is not to know that of the test.
    images, generator = dataset.split(split).images, np.random.default_rng([seed, *split.encode()])
    if count is not None and len(images) > count:
        images = images[np.sort(generator.permutation(len(images))[:count])]
    times = 1 if count is None else max(1, count // len(images))
    outputs = subject.all("encode", images=images) if "encode" in subject.functions else {}
    if {"mean", "stddev"} <= set(outputs):
        mean, stddev = outputs["mean"], outputs["stddev"]
        return np.concatenate(
            [mean + stddev * generator.standard_normal(mean.shape) for _ in range(times)]
        )
    seeds = generator.integers(2**31, size=times).tolist()
    draws = (subject.all("sample_posterior", images=images, seed=each)["z"] for each in seeds)
    return np.concatenate(list(draws))


def _moments(aggregate: Aggregate) -> Gaussian | None:
    """The Gaussian of training codes in closed form, where there is one."""
    if aggregate.posterior != "gaussian" or aggregate.encodings is None:
        return None
    train = len(aggregate.dataset.split("train"))
    encodings = aggregate.encodings
    return Gaussian.of_mixture(encodings.mean[:train], encodings.stddev[:train])


def _unseen(subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> MarginalKL:
    encodings = encode_dataset(subject, dataset, UNSEEN)
    count = settings.count(DEFAULT_SAMPLES)
    return monte_carlo_kl(subject, dataset, encodings, count, settings.seed, UNSEEN)


def _upper_records(seen: MarginalKL, unseen: MarginalKL) -> Iterator[Record]:
    gap = _gap(seen, unseen)
    for ending, result, splits, of in (
        ("", seen, ENCODED_SPLITS, "images, among them those that trained the encoder"),
        ("_unseen", unseen, UNSEEN, "images that the encoder never saw"),
    ):
        split, error = "+".join(splits), result.population_standard_error
        yield Record(
            f"population_kl_upper{ending}",
            result.value,
            error,
            result.n,
            split,
            f"KL_N(q(z)||p(z)) of N {of}, with the error of taking them for others, nats; "
            "KL(q(z)||p(z)) of the population is not more, in expectation",
            {
                "samples": result.m,
                "certified": None if error is None else result.value + ONE_SIDED * error,
            },
            warnings=() if ending else gap,
        )
        yield Record(
            f"population_average_kl{ending}",
            result.average_kl,
            result.average_kl_standard_error,
            result.n,
            split,
            f"mean KL(q(z|x)||p(z)) over N {of}, nats",
        )


def _gap(seen: MarginalKL, unseen: MarginalKL) -> tuple[str, ...]:
    """The warning of an encoder that treats the images of its training in a way of their own."""
    difference = unseen.average_kl - seen.average_kl
    error = math.hypot(
        seen.average_kl_standard_error or 0.0, unseen.average_kl_standard_error or 0.0
    )
    if abs(difference) <= _GAP * error:
        return ()
    return (
        f"the average KL of images that the encoder never saw is {unseen.average_kl:.4g}, of those "
        f"of its training {seen.average_kl:.4g}: take population_kl_upper_unseen",
    )


def _figure(lower: LowerEnd, seen: MarginalKL | None, unseen: MarginalKL | None) -> Figure:
    """Each candidate, the stack and the upper ends, one below the other."""
    rows: list[tuple[str, float, float | None, str]] = [
        (f"{name} (weight {lower.weights[name]:.2f})", value, None, "0.75")
        for name, value in lower.singles.items()
    ]
    rows.append(("stack: the lower end", lower.value, lower.standard_error, "tab:blue"))
    for result, what in ((unseen, "unseen images"), (seen, "+".join(ENCODED_SPLITS))):
        if result is not None:
            error = result.population_standard_error
            rows.append((f"upper end: {result.n} {what}", result.value, error, "tab:orange"))
    figure, (axis,) = panels(1, 1, (7, 0.7 + 0.25 * len(rows)))
    # A candidate that fits nothing may be at minus hundreds: none of it is worth the axis.
    least = -0.1 * max(value for _, value, _, _ in rows)
    for name, value, error, color in rows:
        bar = axis.barh(name, max(value, least), xerr=error, color=color, height=0.7)
        axis.bar_label(bar, [f"{value:.4g}"], padding=4, fontsize=8)
    axis.margins(x=0.12)
    axis.set_xlabel("nats", fontsize=9)
    axis.invert_yaxis()
    return figure
