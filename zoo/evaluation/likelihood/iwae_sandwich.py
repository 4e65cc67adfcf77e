"""log p(x) between two importance-weighted bounds, on the model's own samples.

    lower:  E log 1/k sum_j w(z_j),              z_j ~ q(z|x)
    upper:  E log 1/k [w(z*) + sum_(j<k) w(z_j)],  z* ~ p(z|x)

with w(z) = p(x, z) / q(z|x). A simulated x ~ p(x|z*), z* ~ p(z), has its exact posterior draw z*
(Sobolev & Vetrov 2019). Neither takes a gradient. The upper end tells of a q(z|x) that is too
narrow, where the lower one alone looks as if it had converged.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from scipy.special import logsumexp
from tqdm import tqdm

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.likelihood.annealing import run_seeds
from zoo.evaluation.likelihood.iwae import DEFAULT_DRAWS, Iwae
from zoo.evaluation.likelihood.observation import (
    OBSERVATION_STDDEV,
    Observation,
    observation_of,
)
from zoo.evaluation.likelihood.start import EncoderStart, PriorStart, has_gaussian_posterior
from zoo.evaluation.protocol import Metric, Picture, mean_record
from zoo.evaluation.subject.subject import Subject
from zoo.figures import both_ends, panels
from zoo.records import Record

DEFAULT_IMAGES = 100  # chosen
ENOUGH = 1.0  # nats between the ends that are not worth a warning, chosen


def sandwich(log_weights: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper bound of log p(x) of N examples, float64 `[N]` both, nats.

    Args:
        log_weights: of k draws of q(z|x), `[k, N]`.
        exact: of one draw of the posterior, `[N]`, in the place of the last of them.
    """
    k = np.log(len(log_weights))
    lower = logsumexp(log_weights, axis=0) - k
    return lower, logsumexp(np.vstack([log_weights[:-1], exact]), axis=0) - k


class IwaeSandwich(Metric):
    """Both importance-weighted bounds of log p(x) on simulated images, without gradients."""

    name = "iwae_sandwich"
    needs = ("decode", "encode")
    uses = ("num_samples", "seed")
    options = (*Iwae.options, OBSERVATION_STDDEV)

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; p(x|z) has to be known, and q(z|x) a Gaussian."""
        super().check(subject, dataset, settings)
        subject.require_shape_of(dataset)
        subject.check_prior()
        if not has_gaussian_posterior(subject):
            given = ", ".join(subject.functions["encode"].structured_outputs)
            raise UsageError(
                f"{subject.name}: its encode gives {given}; expected mean and stddev, for the "
                "density of a draw"
            )
        if observation_of(subject, dataset, settings.observation_stddev) is None:
            raise UsageError(
                f"{subject.name}: its decoder has no likelihood that is known: expected "
                "observation_stddev=S, for p(x|z) = N(decode(z), S^2 I)"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields both ends."""
        observation = observation_of(subject, dataset, settings.observation_stddev)
        assert observation is not None  # `check` has seen to it
        draws, count = settings.draws or DEFAULT_DRAWS, settings.count(DEFAULT_IMAGES)
        lower, upper = _simulated(subject, observation, count, draws, settings.seed)
        gap = float(np.mean(upper - lower))
        warnings: tuple[str, ...] = ()
        if gap > ENOUGH:
            warnings = (
                f"the ends are {gap:.3g} nats apart: q(z|x) misses posterior mass on the model's "
                "own images; raise draws, or measure ais",
            )
        for end, values, terms in (
            ("lower", lower, f"k = {draws} draws of q(z|x)"),
            ("upper", upper, f"{draws - 1} draws of q(z|x) and the exact one"),
        ):
            bound = "not above" if end == "lower" else "not below"
            yield mean_record(
                f"{self.name}_{end}",
                values,
                None,
                f"log 1/k sum_j p(x,z_j)/q(z_j|x), {terms}, of images that the model itself makes, "
                f"{observation.words}, nats per example; {bound} log p(x) in expectation",
                warnings,
                draws=draws,
                gap=gap,
                **observation.details,
            )
        yield Picture(
            "ends",
            f"Both ends of log p(x) of {count} simulated images, nats per example, the image with "
            "the lowest first.",
            _figure(lower, upper),
        )


def _simulated(
    subject: Subject, observation: Observation, count: int, draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    prior, encoder = PriorStart(subject), EncoderStart(subject)
    decode, parts = subject.functions["decode"], []
    with tqdm(desc="IWAE sandwich", total=count * draws, unit=" draws", delay=2) as bar:
        for first in range(0, count, subject.batch_size):
            size = min(subject.batch_size, count - first)
            exact = prior.draw({}, run_seeds("simulation", seed, first, size))
            images = observation.draw(decode(z=exact), seed + first)
            rows = {name: tf.constant(value) for name, value in encoder.rows(images).items()}

            def log_weight(z: tf.Tensor, images: Any = images, rows: Any = rows) -> np.ndarray:
                likelihood = observation.log_prob(decode(z=z), tf.constant(images))
                return (encoder.log_prior_ratio(z, rows) + likelihood).numpy().astype(np.float64)

            log_weights = []
            for draw in range(draws):
                seeds = run_seeds("forward", seed, draw * count + first, size)
                log_weights.append(log_weight(encoder.draw(rows, seeds)))
                bar.update(size)
            parts.append(sandwich(np.stack(log_weights), log_weight(exact)))
    lower, upper = map(np.concatenate, zip(*parts, strict=True))
    return lower, upper


def _figure(lower: np.ndarray, upper: np.ndarray) -> Figure:
    figure, (axis,) = panels(1, 1, (5, 3))
    both_ends(axis, lower, upper)
    axis.set_xlabel("simulated images by rank", fontsize=9)
    axis.set_ylabel("nats", fontsize=9)
    return figure
