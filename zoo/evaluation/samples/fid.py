"""Frechet distance of two sets of features; with Inception's pool3 features it is the FID."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import few
from zoo.evaluation.samples.features import FeatureMetric
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record


@dataclasses.dataclass(frozen=True)
class FrechetDistance:
    """The squared Frechet (2-Wasserstein) distance of two fitted Gaussians.

    There is no standard error: the estimate is biased upwards by an amount that falls with n, so
    that an error bar without the bias would mislead. Compare at equal n only.
    """

    value: float
    n: int  # examples on each side
    features: int  # dimensions
    rank_deficient: bool  # n <= features: the covariances are singular and the bias is large
    standard_error: None = None


class Moments:
    """Mean and covariance of features that arrive in batches."""

    def __init__(self) -> None:
        self.count = 0
        self.mean, self._scatter = np.zeros(0), np.zeros((0, 0))  # as wide as the first batch

    def update(self, features: np.ndarray) -> None:
        """Adds features [B, F].

        Raises:
            UsageError: they are not a finite matrix, or F differs from the batches before.
        """
        features = checked_features("features", features, at_least=1)
        count, mean = len(features), features.mean(axis=0)
        centred = features - mean
        scatter = centred.T @ centred
        if not self.count:
            self.count, self.mean, self._scatter = count, mean, scatter
            return
        if mean.shape != self.mean.shape:
            raise UsageError(f"{len(mean)} features after {len(self.mean)}: expected equal numbers")
        # Pairwise update (Chan et al. 1983): sums of squares about one mean would cancel.
        step, total = mean - self.mean, self.count + count
        self._scatter += scatter + np.outer(step, step) * (self.count * count / total)
        self.mean = self.mean + step * (count / total)
        self.count = total

    @property
    def covariance(self) -> np.ndarray:
        """Unbiased covariance [F, F].

        Raises:
            UsageError: there are fewer than two examples.
        """
        if self.count < 2:
            raise UsageError(f"{self.count} examples have no covariance: expected at least 2")
        return self._scatter / (self.count - 1)


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> FrechetDistance:
    """The distance of features [N, F] from as many others [N, F]; see `distance_of_moments`."""
    sides = Moments(), Moments()
    for name, side, features in zip(("real", "generated"), sides, (real, generated), strict=True):
        side.update(checked_features(name, features, at_least=2))
    return distance_of_moments(*sides)


def distance_of_moments(real: Moments, generated: Moments) -> FrechetDistance:
    """|m_r - m_g|^2 + tr(S_r + S_g - 2 (S_r S_g)^(1/2)) (Heusel et al. 2017 [C]), float64.

    The trace of the root is the sum of the roots of the eigenvalues of S_r^(1/2) S_g S_r^(1/2),
    which is symmetric and so needs no general matrix root with its complex parts. Rounding below
    zero, of an eigenvalue or of the result, is set to zero.

    Raises:
        UsageError: the sides differ in size or features, or have fewer than two examples.
    """
    if real.count != generated.count:
        raise UsageError(
            f"{real.count} real and {generated.count} generated examples: expected equal numbers, "
            "the distance depends on them"
        )
    covariances = real.covariance, generated.covariance
    if covariances[0].shape != covariances[1].shape:
        raise UsageError(
            f"{len(real.mean)} real and {len(generated.mean)} generated features: expected equal "
            "numbers, from one network"
        )
    eigenvalues, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(eigenvalues, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariances[1] @ root)
    trace = sum(np.trace(c) for c in covariances) - 2 * np.sqrt(np.maximum(product, 0)).sum()
    value = np.square(real.mean - generated.mean).sum() + trace
    return FrechetDistance(
        value=max(0.0, float(value)),
        n=real.count,
        features=len(real.mean),
        rank_deficient=real.count <= len(real.mean),
    )


def checked_features(name: str, features: np.ndarray, at_least: int) -> np.ndarray:
    """`features` as a finite float64 matrix [N, F].

    Raises:
        UsageError: they are none, or N is below `at_least`.
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or features.shape[1] == 0:
        raise UsageError(f"{name} features have shape {features.shape}: expected [N, F]")
    if len(features) < at_least:
        raise UsageError(f"{len(features)} {name} examples: expected at least {at_least}")
    if not np.isfinite(features).all():
        raise UsageError(f"{name} features hold a value that is not finite: expected numbers")
    return features


class FrechetInceptionDistance(FeatureMetric):
    """The Frechet distance of features of the data from those of samples."""

    name = "fid"
    lower_is_better = ("fid",)

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record]:
        """Yields the distance of the data from other data, then from samples."""
        for pair in self.pairs(subject, dataset, settings):
            result = frechet_distance(pair.first.features, pair.second.features)
            yield self.record(
                subject,
                settings,
                f"fid{pair.ending}",
                result.value,
                result.standard_error,
                result.n,
                f"squared Frechet distance of Gaussians fitted to the features of {pair.sides}; "
                "its bias falls with n: compare at equal n",
                warnings=few(
                    result.n, max(2000, 2 * result.features), "biased upwards by as few images"
                ),
                features=result.features,
                rank_deficient=result.rank_deficient,
            )
