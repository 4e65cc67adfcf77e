"""Classes and features of data and samples, computed once and shared by the metrics of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from zoo.config import SPLITS, EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric
from zoo.evaluation.samples.feature_extractors import FeatureExtractor, load_feature_extractor
from zoo.evaluation.subject.subject import Subject
from zoo.pixels import as_floats
from zoo.records import Record

DEFAULT_SAMPLES = 50_000  # paper.md section 9 [R, H]; fewer where the split has fewer
_BATCH = 100  # of the extractor; chosen


@dataclasses.dataclass(frozen=True)
class Features:
    """Logits float32 `[N, K]` and features float32 `[N, F]` of N images."""

    logits: np.ndarray
    features: np.ndarray

    def __len__(self) -> int:
        return len(self.logits)

    def first(self, count: int) -> Features:
        """Of the first `count` images."""
        return Features(self.logits[:count], self.features[:count])

    @property
    def probabilities(self) -> np.ndarray:
        """p(y|x) `[N, K]`, float64."""
        scaled = np.exp(self.logits - self.logits.max(axis=1, keepdims=True), dtype=np.float64)
        return scaled / scaled.sum(axis=1, keepdims=True)


class Pair(NamedTuple):
    """Two sets of equal number to compare, the ending of the metric's name, and what they are."""

    ending: str
    sides: str
    first: Features
    second: Features


class FeatureMetric(Metric):
    """A metric of the classes or features that `--feature_extractor` gives to data and samples.

    Data and samples are equal in number, so that their scores compare: all that the split has, or
    the number that is set. The data are a random choice of the split, by the evaluation's seed.

    Attributes:
        least: images that the metric needs.
    """

    needs = ("sample",)
    uses = ("split", "num_samples", "seed", "feature_extractor")
    least = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """Raises `UsageError` where there are too few images or no feature extractor for them."""
        super().check(subject, dataset, settings)
        self._source(settings)
        n = _count(subject, dataset, settings)
        if n < self.least:
            raise UsageError(f"{self.name} needs at least {self.least} images; there are {n}")
        self.extractor(subject, settings)

    def asked(self, subject: Subject, settings: EvaluationConfig) -> dict[str, Any]:
        """As every metric's; an extractor that was trained further is another one."""
        asked = super().asked(subject, settings)
        return {**asked, "feature_extractor": self.extractor(subject, settings).name}

    def extractor(self, subject: Subject, settings: EvaluationConfig) -> FeatureExtractor:
        """The feature extractor of these settings."""
        source = self._source(settings)
        return subject.once(source, lambda: load_feature_extractor(source, subject.image_shape))

    def _source(self, settings: EvaluationConfig) -> str:
        if settings.feature_extractor is None:
            raise UsageError(
                f"{self.name} needs --feature_extractor: a run folder of --model=classifier, or a "
                "local file of ImageNet Inception weights"
            )
        return settings.feature_extractor

    def samples(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Features:
        """The subject's samples, as many as the data."""
        extractor, n = self.extractor(subject, settings), _count(subject, dataset, settings)
        batches = subject.batches("sample", batch_size=_BATCH, seed=settings.seed, count=n)
        images = (batch["images"] for batch in batches)
        key = (extractor, "samples", n, settings.seed)
        return subject.once(key, lambda: _extract(extractor, images, n))

    def data(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> Features:
        """The data of the split."""
        return self._split(subject, dataset, settings, settings.split)

    def pairs(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Pair]:
        """The data and as much other data, whose distance is the floor; the data and the samples.

        The other data are of a held-out split if they can be, since an extractor knows the images
        that it was trained on. Where no other split has as many, both sides have fewer.
        """
        data = self.data(subject, dataset, settings)
        sizes = {s: len(dataset.splits[s]) for s in reversed(SPLITS) if s in dataset.splits}
        del sizes[settings.split]
        enough = [s for s, size in sizes.items() if size >= len(data)]
        name = enough[0] if enough else max(sizes, key=lambda split: sizes[split])
        other = self._split(subject, dataset, settings, name)
        samples = self.samples(subject, dataset, settings)
        sides = f"data and other data ({name} split), the floor"
        yield Pair("_data", sides, data.first(len(other)), other)
        yield Pair("", "data and samples", data, samples)

    def _split(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig, name: str
    ) -> Features:
        extractor, images = self.extractor(subject, settings), dataset.split(name).images
        n = min(_count(subject, dataset, settings), len(images))
        chosen = np.random.default_rng(settings.seed).permutation(len(images))[:n]
        batches = (
            as_floats(images[chosen[start : start + _BATCH]]) for start in range(0, n, _BATCH)
        )
        key = (extractor, dataset.fingerprint, name, n, settings.seed)
        return subject.once(key, lambda: _extract(extractor, batches, n))

    def record(
        self,
        subject: Subject,
        settings: EvaluationConfig,
        metric: str,
        value: float,
        standard_error: float | None,
        n: int,
        definition: str,
        warnings: tuple[str, ...] = (),
        **details: Any,
    ) -> Record:
        """A record with the feature extractor, and with what is done to images before it."""
        extractor = self.extractor(subject, settings)
        definition = f"{definition}; {extractor.preprocessing}"
        return Record(
            metric,
            value,
            standard_error,
            n,
            settings.split,
            definition,
            details,
            extractor.name,
            warnings,
        )


def _count(subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> int:
    split = dataset.split(settings.split)
    return subject.at_most(settings.count(DEFAULT_SAMPLES, len(split)))


def _extract(extractor: FeatureExtractor, batches: Iterable[np.ndarray], n: int) -> Features:
    """Only logits and features are kept, never all images."""
    parts = []
    with tqdm(total=n, desc="features", unit=" images", mininterval=1, leave=False) as bar:
        for images in batches:
            parts.append(extractor(images))
            bar.update(len(images))
    logits, features = (np.concatenate(side) for side in zip(*parts, strict=True))
    return Features(logits, features)
