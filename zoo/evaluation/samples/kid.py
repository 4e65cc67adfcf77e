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

_BLOCK = 1024  # rows of a block of the kernel, chosen


@dataclasses.dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy; unbiased, hence below zero now and then."""

    value: float
    standard_error: float  # too large, up to twice, where the distributions are equal
    n_real: int
    n_generated: int


def kernel_distance(real: np.ndarray, generated: np.ndarray) -> KernelDistance:
    """Unbiased MMD^2 with k(a, b) = (a.b / F + 1)^3 (Binkowski et al. 2018 [F]), float64.

    The U-statistic of all pairs, a third of the error of the published mean over blocks of 1,000
    where the distributions are equal. Its error is that of its first-order terms, for N and N' of

        h_a(i) = mean_j k(a_i, a_j) - mean_j k(a_i, b_j):  4 Var h_a / N + 4 Var h_b / N'.

    Memory holds a block of 1,024 rows of the kernel at a time.

    Args:
        real: features [N, F].
        generated: features [N', F]; N' may differ from N.

    Raises:
        UsageError: a side is not a finite matrix of at least two rows, or the features differ in
            number.
    """
    real = checked_features("real", real, at_least=2)
    generated = checked_features("generated", generated, at_least=2)
    if real.shape[1] != generated.shape[1]:
        raise UsageError(
            f"{real.shape[1]} real and {generated.shape[1]} generated features: expected equal "
            "numbers, from one network"
        )
    terms = [
        _means_within(a) - _means_between(a, b) for a, b in ((real, generated), (generated, real))
    ]
    return KernelDistance(
        value=float(sum(h.mean() for h in terms)),
        standard_error=2 * math.hypot(*map(standard_error, terms)),
        n_real=len(real),
        n_generated=len(generated),
    )


def _means_within(a: np.ndarray) -> np.ndarray:
    """Of each row the mean kernel with the others."""
    own = (np.square(a).sum(axis=1) / a.shape[1] + 1) ** 3
    return (len(a) * _means_between(a, a) - own) / (len(a) - 1)


def _means_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each row of `a` the mean kernel with all of `b`."""
    blocks = (a[start : start + _BLOCK] for start in range(0, len(a), _BLOCK))
    return np.concatenate([((rows @ b.T / a.shape[1] + 1) ** 3).mean(axis=1) for rows in blocks])


class KernelInceptionDistance(FeatureMetric):
    """The kernel distance of features of the data from those of samples."""

    name = "kid"
    revision = 2
    lower_is_better = ("kid",)

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record]:
        """Yields the distance of the data from other data, then from samples."""
        for pair in self.pairs(subject, dataset, settings):
            result = kernel_distance(pair.first.features, pair.second.features)
            yield self.record(
                subject,
                settings,
                f"kid{pair.ending}",
                result.value,
                result.standard_error,
                result.n_generated,
                f"unbiased squared MMD over all pairs, kernel (a.b / F + 1)^3, of the features of "
                f"{pair.sides}",
            )
