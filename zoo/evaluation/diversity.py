"""How different a model's samples are from each other, beside the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zoo.config import EvaluationConfig
from zoo.errors import UsageError
from zoo.evaluation.ms_ssim import LEAST_SIDE, Diversity, ms_ssim_diversity
from zoo.evaluation.records import Metric, Record
from zoo.evaluation.subjects import Subject
from zoo.pixels import as_floats

BATCH_SIZE, BATCHES = 64, 5  # [F:S10]


class MsSsimDiversity(Metric):
    """1 - mean MS-SSIM over pairs of samples, and of as many images of a split."""

    name = "ms_ssim_diversity"
    needs = ("sample",)
    uses = ("split", "num_samples", "seed")

    def check(self, subject: Subject, dataset: Any, settings: EvaluationConfig) -> None:
        """See the base; it takes whole batches of images of at least 16 pixels."""
        super().check(subject, dataset, settings)
        available = len(dataset.split(settings.split))
        if settings.count(BATCH_SIZE, available) < BATCH_SIZE:
            asked = f"num_samples={settings.num_samples}, " if settings.num_samples else ""
            raise UsageError(
                f"too few for ms_ssim_diversity: {asked}{available} {settings.split} images; "
                f"expected at least {BATCH_SIZE} of both"
            )
        if min(dataset.image_shape[:2]) < LEAST_SIDE:
            raise UsageError(
                f"{dataset.name} has images {dataset.image_shape}: ms_ssim_diversity takes sides "
                f"of at least {LEAST_SIDE} pixels"
            )

    def measure(
        self, subject: Subject, dataset: Any, settings: EvaluationConfig
    ) -> Iterator[Record]:
        """Yields the diversity of the data, then of the samples."""
        images = dataset.split(settings.split).images
        count = settings.count(BATCHES * BATCH_SIZE, len(images))
        count -= count % BATCH_SIZE
        # Sorted sets would have batches that are more alike than the set.
        chosen = np.random.default_rng(settings.seed).permutation(len(images))[:count]
        data = as_floats(images[chosen])
        yield _record("ms_ssim_diversity_data", ms_ssim_diversity(data), settings.split)
        samples = subject.all("sample", seed=settings.seed, count=count)["images"]
        yield _record("ms_ssim_diversity", ms_ssim_diversity(samples), None)


def _record(name: str, diversity: Diversity, split: str | None) -> Record:
    what = f"images of {split}" if split else "samples"
    return Record(
        name,
        diversity.value,
        diversity.standard_error,
        diversity.n,
        split,
        f"1 - mean MS-SSIM over all pairs of different {what} of a batch of {BATCH_SIZE}, mean "
        "over batches; 0 if all are equal",
        {"batches": diversity.batches},
    )
