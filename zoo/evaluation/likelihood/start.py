"""Where the chains of an image begin: its q(z|x), or the prior."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf

from zoo.distributions.code_distributions import log_normal, log_standard_normal
from zoo.evaluation.likelihood.annealing import Rows
from zoo.evaluation.subject.subject import Subject
from zoo.noise import row_noise
from zoo.pixels import as_floats

ENCODER, PRIOR = "encoder", "prior"


class Start(Protocol):
    """A law f_0 of codes of which draws and density are known."""

    name: str

    def rows(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """What it needs of each image `[B, H, W, C]`."""

    def scale(self, rows: Rows) -> np.ndarray:
        """Of moves, `[B, D]`: about its standard deviations."""

    def draw(self, rows: Rows, seeds: tf.Tensor) -> tf.Tensor:
        """z ~ f_0 `[M, D]`, a row per seed."""

    def log_prob(self, z: tf.Tensor, rows: Rows) -> tf.Tensor:
        """log f_0 `[M]`, nats."""

    def log_prior_ratio(self, z: tf.Tensor, rows: Rows) -> tf.Tensor:
        """log p(z) - log f_0(z) `[M]`, nats."""


class PriorStart:
    """f_0 = p(z)."""

    name = PRIOR

    def __init__(self, subject: Subject):
        self._subject = subject

    def rows(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """See `Start`."""
        return {}

    def scale(self, rows: Rows) -> np.ndarray:
        """See `Start`."""
        count = len(next(iter(rows.values())))
        return np.ones((count, self._subject.latent_size), np.float32)

    def draw(self, rows: Rows, seeds: tf.Tensor) -> tf.Tensor:
        """See `Start`."""
        if self._subject.has_standard_prior:
            return row_noise(seeds).normal("start", (self._subject.latent_size,))
        return self._subject.functions["sample_prior"](seed=seeds)["z"]

    def log_prob(self, z: tf.Tensor, rows: Rows) -> tf.Tensor:
        """See `Start`."""
        return log_prior(self._subject, z)

    def log_prior_ratio(self, z: tf.Tensor, rows: Rows) -> tf.Tensor:
        """See `Start`."""
        return tf.zeros(tf.shape(z)[0])


class EncoderStart:
    """f_0 = q(z|x), a Gaussian with the `mean` and `stddev` of `encode`."""

    name = ENCODER

    def __init__(self, subject: Subject):
        self._subject = subject

    def rows(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """See `Start`; images that an observation's noise left outside [0, 1] are clipped: any law
        that does not depend on the chains will do."""
        encoded = self._subject.all("encode", images=np.clip(as_floats(images), 0.0, 1.0))
        return {"mean": encoded["mean"], "stddev": encoded["stddev"]}

    def scale(self, rows: Rows) -> np.ndarray:
        """See `Start`."""
        return np.asarray(rows["stddev"])

    def draw(self, rows: Rows, seeds: tf.Tensor) -> tf.Tensor:
        """See `Start`."""
        noise = row_noise(seeds).normal("start", (rows["mean"].shape[1],))
        return rows["mean"] + rows["stddev"] * noise

    def log_prob(self, z: tf.Tensor, rows: Rows) -> tf.Tensor:
        """See `Start`."""
        return log_normal(z, rows["mean"], rows["stddev"])

    def log_prior_ratio(self, z: tf.Tensor, rows: Rows) -> tf.Tensor:
        """See `Start`."""
        return log_prior(self._subject, z) - self.log_prob(z, rows)


def start_of(subject: Subject, asked: str) -> Start:
    """The encoder where `asked` says so and it gives a Gaussian density, else the prior."""
    from_encoder = asked == ENCODER and has_gaussian_posterior(subject)
    return EncoderStart(subject) if from_encoder else PriorStart(subject)


def has_gaussian_posterior(subject: Subject) -> bool:
    """Whether `encode` tells the density of q(z|x)."""
    return "encode" in subject.functions and subject.gives("encode", "mean", "stddev")


def log_prior(subject: Subject, z: tf.Tensor) -> tf.Tensor:
    """log p(z) `[M]` as a tensor, nats."""
    if subject.has_standard_prior:
        return log_standard_normal(z)
    return subject.functions["log_prior"](z=z)["log_prior"]
