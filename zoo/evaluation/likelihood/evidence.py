"""Bounds of log p(x) of a subject by annealed chains: on images, and on its own samples from both
sides."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from zoo.evaluation.likelihood.annealing import (
    PILOT_CHAINS,
    Annealing,
    Batch,
    Rows,
    Weights,
    linear_schedule,
    run_seeds,
    sigmoid_schedule,
)
from zoo.evaluation.likelihood.observation import Observation
from zoo.evaluation.likelihood.start import ENCODER, PriorStart, Start
from zoo.evaluation.subject.subject import Subject
from zoo.pixels import as_floats

_MOST_NUMBERS = 2**20  # of the images of a block of chains, chosen: a gigabyte at work


@dataclasses.dataclass(frozen=True)
class Chains:
    """How chains run.

    Attributes:
        steps: temperatures.
        chains: of each image.
        leapfrog: steps of a move.
    """

    steps: int
    chains: int
    leapfrog: int

    @classmethod
    def from_start(cls, start: Start, steps: int | None, chains: int) -> Chains:
        """Those of a start: the encoder is near where it has to be, and few moves of several steps
        do most; from the prior many small ones do (chosen by what a linear decoder asks for)."""
        encoder = start.name == ENCODER
        return cls(steps or (50 if encoder else 500), chains, 5 if encoder else 1)

    @property
    def gradients(self) -> int:
        """Gradients of `decode` that an image takes, with its pilot run."""
        return self.steps * self.leapfrog * (self.chains + PILOT_CHAINS)


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Of log p(x) of N images, `[N]`, nats.

    Attributes:
        lower: in expectation not above it.
        upper: in expectation not below it; of simulated images alone.
        acceptance: mean over the moves of the lower bound.
        effective_chains: of those behind each lower bound.
        images: `[N, H, W, C]`, those they are of.
    """

    lower: np.ndarray
    upper: np.ndarray | None
    acceptance: float
    effective_chains: np.ndarray
    images: np.ndarray


class Evidence:
    """log p(x) = log int p(z) p(x|z) dz.

    Args:
        subject: with `decode`.
        observation: p(x|z).
        start: f_0.
        chains: how they run.
    """

    def __init__(self, subject: Subject, observation: Observation, start: Start, chains: Chains):
        self._subject, self.observation, self._start = subject, observation, start
        self.chains = chains
        decode = subject.functions["decode"]

        def log_joint_ratio(z: tf.Tensor, rows: Rows) -> tf.Tensor:
            likelihood = observation.log_prob(decode(z=z), rows["images"])
            return start.log_prior_ratio(z, rows) + likelihood

        schedule = linear_schedule if start.name == ENCODER else sigmoid_schedule
        self._annealing = Annealing(
            start.log_prob, log_joint_ratio, schedule(chains.steps), chains.leapfrog
        )

    def of_images(self, images: np.ndarray, seed: int) -> Bounds:
        """The lower bounds of images `[N, H, W, C]`, uint8 or in [0, 1]."""
        return self._bounds(as_floats(images), None, seed)

    def of_simulated(self, count: int, seed: int) -> Bounds:
        """Both bounds of `count` draws of the model itself, x ~ p(x|z), z ~ p(z)."""
        z = PriorStart(self._subject).draw({}, run_seeds("simulation", seed, 0, count))
        images = self.observation.draw(self._subject.functions["decode"](z=z), seed)
        return self._bounds(images, z.numpy(), seed)

    def _bounds(self, images: np.ndarray, z: np.ndarray | None, seed: int) -> Bounds:
        runs = 2 if z is not None else 1
        total = len(images) * self.chains.steps * self.chains.leapfrog
        total *= PILOT_CHAINS + runs * self.chains.chains
        found: list[tuple[Weights, Weights | None]] = []
        with tqdm(desc="chains", total=total, unit=" gradients", delay=2) as bar:
            for block in blocks_of(images, self.chains.chains):
                exact = None if z is None else z[block]
                found.append(self._block(images[block], (seed, block.start), exact, bar))
        lower = [forward for forward, _ in found]
        upper = [-reverse.log_mean() for _, reverse in found if reverse is not None]
        sizes = [len(weights.log_weights) for weights in lower]
        return Bounds(
            np.concatenate([weights.log_mean() for weights in lower]),
            np.concatenate(upper) if upper else None,
            float(np.average([weights.acceptance for weights in lower], weights=sizes)),
            np.concatenate([weights.effective_chains() for weights in lower]),
            images,
        )

    def _block(
        self, images: np.ndarray, seeds: tuple[int, int], exact: np.ndarray | None, bar: tqdm
    ) -> tuple[Weights, Weights | None]:
        pilot, (z, batch) = chains_from(self._start, images, seeds, self.chains.chains)
        sizes = self._annealing.pilot(*pilot, bar)
        forward = self._annealing.forward(z, batch, sizes, bar)
        if exact is None:
            return forward, None
        start = tf.repeat(tf.constant(exact), self.chains.chains, axis=0)
        return forward, self._annealing.reverse(start, batch, sizes, bar)


def chains_from(
    start: Start, images: np.ndarray, seeds: tuple[int, int], chains: int
) -> tuple[tuple[tf.Tensor, Batch], tuple[tf.Tensor, Batch]]:
    """The chains of a pilot run and those that are weighed, each at its draws z ~ f_0.

    Args:
        start: f_0.
        images: a block of them, `[B, H, W, C]` in [0, 1].
        seeds: the seed, and the number of the first image.
        chains: of each image.
    """
    seed, first = seeds
    rows = {"images": images, **start.rows(images)}
    scale = start.scale(rows)

    def drawn(run: str, count: int) -> tuple[tf.Tensor, Batch]:
        batch = Batch.of(rows, scale, (seed, first * count), count)
        return start.draw(batch.rows, batch.noise_seeds(run)), batch

    return drawn("pilot", PILOT_CHAINS), drawn("forward", chains)


def blocks_of(images: np.ndarray, chains: int) -> Iterator[slice]:
    """Which images of `[N, H, W, C]` have their chains in one batch: all, as far as memory goes."""
    size = max(1, _MOST_NUMBERS // (chains * math.prod(images.shape[1:])))
    for first in range(0, len(images), size):
        yield slice(first, min(first + size, len(images)))
