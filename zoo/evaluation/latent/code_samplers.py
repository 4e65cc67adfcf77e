"""Fresh draws of codes from the aggregate posterior q(z) of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from zoo.data.images import ImageDataset
from zoo.evaluation.latent.aggregate_posterior import draw_aggregate
from zoo.evaluation.latent.fitting import Sampler
from zoo.evaluation.latent.marginal_kl import DEFAULT_SAMPLES, MarginalKL, monte_carlo_kl
from zoo.evaluation.subject.encodings import ENCODED_SPLITS, Encodings, encode_dataset, images_at
from zoo.evaluation.subject.subject import Subject

_BLOCK = 4096
_PROBE = 16  # examples that tell a deterministic posterior, chosen


@dataclasses.dataclass(frozen=True)
class Aggregate:
    """q(z) = 1/N sum_n q(z|x_n) over the training and validation examples, as a source of draws.

    Attributes:
        subject: needs the signature `sample_posterior`.
        dataset: an `ImageDataset`.
        posterior: what q(z|x) was found to be: "gaussian", "flow" (a Gaussian through a flow that
            all images share), "deterministic", or "implicit": known by its draws.
        latent_size: D.
        encodings: of all examples; None for an implicit posterior. That of a deterministic one has
            standard deviations of 0.
    """

    subject: Subject
    dataset: ImageDataset
    posterior: str
    latent_size: int
    encodings: Encodings | None

    @classmethod
    def of(cls, subject: Subject, dataset: ImageDataset) -> Aggregate:
        """Tells the posterior from a few examples and encodes all where that is of use."""
        probe = dataset.split(ENCODED_SPLITS[0]).images[:_PROBE]
        one, other = (
            subject.all("sample_posterior", images=probe, seed=seed)["z"] for seed in (0, 1)
        )
        size = one.shape[1]
        outputs = subject.all("encode", images=probe) if "encode" in subject.functions else {}
        flow = "base_stddev" in outputs and "to_base" in subject.functions
        if flow or "stddev" in outputs:
            encodings = encode_dataset(subject, dataset, cache=subject.cache)
            return cls(subject, dataset, "flow" if flow else "gaussian", size, encodings)
        if not np.array_equal(one, other):
            return cls(subject, dataset, "implicit", size, None)
        parts = (dataset.split(split).images for split in ENCODED_SPLITS)
        codes = [subject.all("sample_posterior", images=part, seed=0)["z"] for part in parts]
        mean = np.concatenate(codes)
        encodings = Encodings(mean, np.zeros_like(mean))
        return cls(subject, dataset, "deterministic", size, encodings)

    def blocks(self, count: int, seed: int) -> Iterator[np.ndarray]:
        """Blocks `[B, D]` of draws of q(z), `count` in all: an example by chance, then its q(z|x).

        Gaussian and deterministic codes come from the encodings; of others each draw is a run of
        the encoder, with a seed of its own.
        """
        if self.encodings is not None and self.posterior != "flow":
            yield from (draws.z for draws in draw_aggregate(self.encodings, count, seed))
            return
        generator = np.random.default_rng(seed)
        total = sum(len(self.dataset.split(split)) for split in ENCODED_SPLITS)
        for start in range(0, count, _BLOCK):
            chosen = generator.integers(total, size=min(_BLOCK, count - start))
            images, row_seed = images_at(self.dataset, chosen), int(generator.integers(2**31))
            yield self.subject.all("sample_posterior", images=images, seed=row_seed)["z"]

    def sampler(self, seed: int) -> Sampler:
        """Draws that are fresh at every call."""
        seeds = np.random.default_rng(seed)

        def draw(count: int) -> np.ndarray:
            blocks = list(self.blocks(count, int(seeds.integers(2**31))))
            return np.concatenate(blocks, dtype=np.float32, casting="same_kind")

        return draw

    def monte_carlo_kl(self, count: int | None, seed: int) -> MarginalKL | None:
        """Algorithm 2, on its own number of samples unless another is given, where q(z|x) has a
        density to sum, else None."""
        if self.encodings is None or self.posterior == "deterministic":
            return None
        count = DEFAULT_SAMPLES if count is None else count
        return monte_carlo_kl(self.subject, self.dataset, self.encodings, count, seed)
