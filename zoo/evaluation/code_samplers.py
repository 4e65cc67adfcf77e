"""Fresh draws of codes: from the aggregate posterior q(z) of a model, and from the prior."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.evaluation.aggregate_posterior import draw_aggregate
from zoo.evaluation.encodings import SPLITS, Encodings, encode_dataset, images_at
from zoo.evaluation.fitting import Sampler
from zoo.evaluation.marginal_kl import MarginalKL, marginal_kl_stream
from zoo.evaluation.subjects import Subject

_BLOCK = 4096
_PROBE = 16  # examples that tell a deterministic posterior, chosen


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """q(z) = 1/N sum_n q(z|x_n) over the training and validation examples, as a source of draws.

    Attributes:
        subject: needs the signature `sample_posterior`.
        dataset: an `ImageDataset`.
        latent_size: D.
        encodings: of all examples where they say all about q(z|x): its mean and standard deviation,
            or the code and a standard deviation of 0; None for a posterior that is known by its
            draws alone, of which each then costs a run of the encoder.
    """

    subject: Subject
    dataset: Any
    latent_size: int
    encodings: Encodings | None

    @classmethod
    def of(cls, subject: Subject, dataset: Any) -> Aggregate:
        """Encodes the examples where that spares running the encoder for each draw."""
        probe = dataset.split(SPLITS[0]).images[:_PROBE]
        if "encode" in subject.functions and "stddev" in subject.all("encode", images=probe):
            encodings = encode_dataset(subject, dataset, cache=subject.cache)
            return cls(subject, dataset, encodings.mean.shape[1], encodings)
        one, other = (
            subject.all("sample_posterior", images=probe, seed=seed)["z"] for seed in (0, 1)
        )
        if not np.array_equal(one, other):
            return cls(subject, dataset, one.shape[1], None)
        parts = (dataset.split(split).images for split in SPLITS)
        codes = [subject.all("sample_posterior", images=part, seed=0)["z"] for part in parts]
        mean = np.concatenate(codes)
        return cls(subject, dataset, mean.shape[1], Encodings(mean, np.zeros_like(mean)))

    @property
    def posterior(self) -> str:
        """What q(z|x) was found to be: "gaussian", "deterministic" or "draws"."""
        if self.encodings is None:
            return "draws"
        return "gaussian" if self.encodings.stddev.any() else "deterministic"

    def blocks(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """Blocks `[B, D]` of independent draws of q(z), `count` in all: an example by chance, then
        its q(z|x)."""
        if self.encodings is not None:
            yield from draw_aggregate(self.encodings, count, seed)
            return
        generator = np.random.default_rng(seed)
        total = sum(len(self.dataset.split(split)) for split in SPLITS)
        for start in range(0, count, _BLOCK):
            images = images_at(
                self.dataset, generator.integers(total, size=min(_BLOCK, count - start))
            )
            row_seed = int(generator.integers(2**31))
            yield self.subject.all("sample_posterior", images=images, seed=row_seed)["z"]

    def sampler(self, seed: int) -> Sampler:
        """Draws that are fresh at every call."""
        seeds = np.random.default_rng(seed)

        def draw(count: int) -> np.ndarray:
            blocks = list(self.blocks(count, int(seeds.integers(2**31))))
            return np.concatenate(blocks, dtype=np.float32, casting="same_kind")

        return draw

    def monte_carlo_kl(self, count: int, seed: int) -> MarginalKL | None:
        """Algorithm 2 on `blocks(count, seed)` where q(z|x) has a density, else None."""
        if self.posterior != "gaussian":
            return None
        mean, stddev = self.encodings.mean, self.encodings.stddev
        return marginal_kl_stream(self.blocks(count, seed), mean, stddev)


def prior_sampler(latent_size: int, seed: int) -> Sampler:
    """Draws of p(z) = N(0, I) that are fresh at every call."""
    generator = np.random.default_rng(seed)
    return lambda count: generator.standard_normal((count, latent_size), np.float32)
