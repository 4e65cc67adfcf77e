"""Kernel distance of two sets of features; with Inception's pool3 features it is the KID."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.samples.features import FeatureMetric
from zoo.evaluation.samples.fid import checked_features
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record


@dataclasses.dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy; unbiased, hence below zero now and then."""

    value: float
    standard_error: float | None  # over the blocks; None if there is one block only
    blocks: int
    n_real: int
    n_generated: int


def kernel_distance(
    real: np.ndarray, generated: np.ndarray, block_size: int = 1024, seed: int = 0
) -> KernelDistance:
    """Unbiased MMD^2 with k(a, b) = (a.b / F + 1)^3 (Binkowski et al. 2018 [F]), float64.

    Both sides are shuffled and cut into as few blocks of at most `block_size` as hold them all;
    the value is the mean over the blocks, which is unbiased too.

    Args:
        real: features [N, F].
        generated: features [N', F]; N' may differ from N.
        block_size: most examples of a side in a block; 1024 as compare_gan has it [F].
        seed: of the shuffles.

    Raises:
        UsageError: a side is not a finite matrix, the features differ in number, or a block
            would have fewer than two examples of a side.
    """
    if block_size < 2:
        raise UsageError(f"block_size={block_size} is not accepted: expected at least 2")
    real = checked_features("real", real, at_least=2)
    generated = checked_features("generated", generated, at_least=2)
    if real.shape[1] != generated.shape[1]:
        raise UsageError(
            f"{real.shape[1]} real and {generated.shape[1]} generated features: expected equal "
            "numbers, from one network"
        )
    blocks = math.ceil(max(len(real), len(generated)) / block_size)
    if min(len(real), len(generated)) < 2 * blocks:
        raise UsageError(
            f"{len(real)} real and {len(generated)} generated examples in {blocks} blocks: "
            "expected at least 2 of each per block; use a larger block_size or like numbers"
        )
    generator = np.random.default_rng(seed)
    parts = (
        np.array_split(side[generator.permutation(len(side))], blocks) for side in (real, generated)
    )
    values = [_squared_mmd(a, b) for a, b in zip(*parts, strict=True)]
    return KernelDistance(
        value=float(np.mean(values)),
        standard_error=standard_error(values) if blocks > 1 else None,
        blocks=blocks,
        n_real=len(real),
        n_generated=len(generated),
    )


def _squared_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """U-statistic of one block: pairs of an example with itself are left out within a side."""
    return _mean_within(a) + _mean_within(b) - 2 * float(_kernel(a, b).mean())


def _mean_within(a: np.ndarray) -> float:
    kernel = _kernel(a, a)
    return float(kernel.sum() - np.trace(kernel)) / (len(a) * (len(a) - 1))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** 3


class KernelInceptionDistance(FeatureMetric):
    """The kernel distance of features of the data from those of samples."""

    name = "kid"
    lower_is_better = ("kid",)

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record]:
        """Yields the distance of the data from other data, then from samples."""
        for pair in self.pairs(subject, dataset, settings):
            result = kernel_distance(pair.first.features, pair.second.features, seed=settings.seed)
            yield self.record(
                subject,
                settings,
                f"kid{pair.ending}",
                result.value,
                result.standard_error,
                result.n_generated,
                f"unbiased squared MMD, kernel (a.b / F + 1)^3, of the features of {pair.sides}",
                blocks=result.blocks,
            )
