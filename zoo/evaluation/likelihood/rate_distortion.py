"""The rate-distortion curve of a decoder (Huang et al. 2020).

Of all q(z|x), with d(x, z) = ||x - decode(z)||^2, the one of least R + b D is

    q_b(z|x) = p(z) e^(-b d) / Z_b,    D_b = E d,    R_b = E_x KL(q_b || p) = -b D_b - E_x log Z_b,

and dR/dD = -b along the curve. One annealed chain from the prior gives all of it: its weights at b
are a lower bound of log Z_b. Whatever an encoder does, its own R + b D is not less than -log Z_b.
R is an upper bound in expectation, up to the noise of D, which further moves at b average.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from scipy.special import softmax
from tqdm import tqdm

from zoo.evaluation.likelihood.annealing import PILOT_CHAINS, Annealing, Batch, Rows
from zoo.evaluation.likelihood.evidence import blocks_of, chains_from
from zoo.evaluation.likelihood.observation import squared_error
from zoo.evaluation.likelihood.start import PriorStart
from zoo.evaluation.subject.subject import Subject
from zoo.pixels import as_floats

LEAST_B = 1e-3  # of the schedule, beside 0


@dataclasses.dataclass(frozen=True)
class RateDistortion:
    """Of N images at S slopes.

    Attributes:
        b: `[S]`, nats per unit of distortion.
        distortion: E d `[S, N]`, squared error of pixels in [0, 1] summed over an image.
        log_z: log Z_b `[S, N]`, nats; a lower bound in expectation.
    """

    b: np.ndarray
    distortion: np.ndarray
    log_z: np.ndarray

    @property
    def rate(self) -> np.ndarray:
        """R `[S, N]`, nats."""
        return -self.b[:, None] * self.distortion - self.log_z


def log_uniform_schedule(most: float, steps: int) -> np.ndarray:
    """b `[T + 1]`: 0, then T from `LEAST_B` to `most` in equal ratios."""
    return np.concatenate([[0.0], np.geomspace(LEAST_B, most, steps)])


def rate_distortion(
    subject: Subject,
    images: np.ndarray,
    schedule: np.ndarray,
    snapshots: int,
    chains: int = 16,
    leapfrog: int = 1,
    averaged: int = 50,
    seed: int = 0,
) -> RateDistortion:
    """The curve of a subject's decoder.

    Args:
        subject: with `decode` and a prior.
        images: `[N, H, W, C]`, uint8 or in [0, 1].
        schedule: b `[T + 1]`, rising from 0.
        snapshots: how many of them are on the curve, the last among them.
        chains: of each image.
        leapfrog: steps of a move.
        averaged: further moves at each of them, over which D is averaged.
        seed: of all noise.
    """
    start, images = PriorStart(subject), as_floats(images)
    decode = subject.functions["decode"]

    def minus_distortion(z: tf.Tensor, rows: Rows) -> tf.Tensor:
        return -squared_error(decode(z=z), rows["images"])

    annealing = Annealing(start.log_prob, minus_distortion, schedule, leapfrog)
    shown = np.unique(np.linspace(1, annealing.steps, snapshots + 1).round().astype(int)[1:])
    total = len(images) * annealing.steps * leapfrog * (PILOT_CHAINS + chains)
    found = []
    with tqdm(desc="rate-distortion", total=total, unit=" gradients", delay=2) as bar:
        for block in blocks_of(images, chains):
            pilot, drawn = chains_from(start, images[block], (seed, block.start), chains)
            sizes = annealing.pilot(*pilot, bar)
            found.append(_snapshots(annealing, *drawn, sizes, shown, averaged, bar))
    distortion, log_z = (np.concatenate(part, axis=1) for part in zip(*found, strict=True))
    return RateDistortion(np.asarray(schedule)[shown], distortion, log_z)


def _snapshots(
    annealing: Annealing,
    z: tf.Tensor,
    batch: Batch,
    sizes: np.ndarray,
    shown: np.ndarray,
    averaged: int,
    bar: tqdm,
) -> tuple[np.ndarray, np.ndarray]:
    """E d and log Z `[S, B]` of the images of a batch."""
    distortion, log_z, seeds = [], [], batch.noise_seeds("simulation")
    stages = annealing.stages(z, batch, sizes, bar)
    for k, (weights, point) in enumerate(stages, 1):
        if k not in shown:
            continue
        total = -point.energy.numpy().astype(np.float64)
        for number in range(averaged):
            point, _ = annealing.move(
                point, batch, annealing.schedule[k], sizes[k - 1], seeds, k * averaged + number
            )
            total -= point.energy.numpy()
        mean = (total / (averaged + 1)).reshape(weights.log_weights.shape)
        distortion.append((softmax(weights.log_weights, axis=1) * mean).sum(axis=1))
        log_z.append(weights.log_mean())
    return np.stack(distortion), np.stack(log_z)
