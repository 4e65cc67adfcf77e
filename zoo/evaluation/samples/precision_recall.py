"""Precision (are samples like data?) and recall (are all data like some sample?), two ways."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from sklearn.cluster import MiniBatchKMeans

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Picture, few
from zoo.evaluation.samples.features import FeatureMetric
from zoo.evaluation.samples.fid import checked_features
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

NEIGHBOURS = 3  # [R]
CLUSTERS = 20  # [F]
_BLOCK = 1024  # rows of a block of pairwise distances, chosen


@dataclasses.dataclass(frozen=True)
class PrecisionRecall:
    """Improved precision and recall."""

    precision: float
    recall: float
    neighbours: int
    n: int  # examples on each side


@dataclasses.dataclass(frozen=True)
class PrecisionRecallCurve:
    """PRD: the attainable pairs of precision and recall, from all-precision to all-recall."""

    precision: np.ndarray  # [angles]
    recall: np.ndarray  # [angles]
    f8: float  # largest F_8 along the curve: weighs recall
    f_one_eighth: float  # largest F_1/8: weighs precision
    n: int  # examples on each side


def precision_recall(
    real: np.ndarray, generated: np.ndarray, neighbours: int = NEIGHBOURS
) -> PrecisionRecall:
    """Share of each set within the k-nearest-neighbour balls of the other (Kynkaanniemi 2019 [R]).

    Distances are made in blocks of rows, never N x N at a time, in float64.

    Args:
        real: features [N, F].
        generated: features [N, F], as many: the balls shrink with N.
        neighbours: k, whose distance from an example (itself not counted) is its ball's radius; 3
            as published [R].

    Raises:
        UsageError: the sides are not finite matrices of one shape, or N is not above `neighbours`.
    """
    if neighbours < 1:
        raise UsageError(f"neighbours={neighbours} is not accepted: expected at least 1")
    real, generated = _pair(real, generated, at_least=neighbours + 1)
    return PrecisionRecall(
        precision=_share_covered(generated, by=real, neighbours=neighbours),
        recall=_share_covered(real, by=generated, neighbours=neighbours),
        neighbours=neighbours,
        n=len(real),
    )


def precision_recall_curve(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    clusters: int = CLUSTERS,
    angles: int = 1001,
    runs: int = 10,
    seed: int = 0,
) -> PrecisionRecallCurve:
    """PRD of two sets of features (Sajjadi et al. 2018; settings of compare_gan [F]).

    Both sets are clustered together; for each slope l the precision is
    sum_c min(l p_real(c), p_generated(c)) and the recall is precision / l. The curves of
    all runs of k-means are averaged.

    Args:
        real: features [N, F].
        generated: features [N, F], as many: k-means leans to the larger set.
        clusters: of k-means.
        angles: points of the curve, of equal angle from 0 to pi/2.
        runs: of k-means.
        seed: of the first run, one more for each that follows.

    Raises:
        UsageError: the sides are not finite matrices of one shape, or N is below `clusters`.
    """
    real, generated = _pair(real, generated, at_least=clusters)
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, angles))
    curves = []
    for run in range(runs):
        kmeans = MiniBatchKMeans(clusters, n_init=10, random_state=seed + run)
        labels = kmeans.fit(np.concatenate([real, generated])).labels_
        p_real, p_generated = (
            np.bincount(part, minlength=clusters) / len(real) for part in np.split(labels, 2)
        )
        curves.append(np.minimum(slopes[:, None] * p_real, p_generated).sum(axis=1))
    precision = np.mean(curves, axis=0)
    recall = precision / slopes
    return PrecisionRecallCurve(
        precision=precision,
        recall=recall,
        f8=_largest_f(precision, recall, 8),
        f_one_eighth=_largest_f(precision, recall, 1 / 8),
        n=len(real),
    )


def _pair(real: np.ndarray, generated: np.ndarray, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    real = checked_features("real", real, at_least)
    generated = checked_features("generated", generated, at_least)
    if real.shape != generated.shape:
        raise UsageError(
            f"real features have shape {real.shape}, generated {generated.shape}: expected equal"
        )
    return real, generated


def _share_covered(points: np.ndarray, by: np.ndarray, neighbours: int) -> float:
    """Share of `points` that lie in at least one ball of `by`."""
    # About one centre the expanded square cancels least; points on the edge of a ball, such as a
    # set's own, are told inside from outside by more than its rounding error.
    centre = by.mean(axis=0)
    points, by = points - centre, by - centre
    slack = 1e-12 * max(np.square(points).sum(axis=1).max(), np.square(by).sum(axis=1).max())
    radii = np.concatenate(
        [np.partition(rows, neighbours)[:, neighbours] for rows in _squared_distances(by, by)]
    )
    inside = [(rows <= radii + slack).any(axis=1) for rows in _squared_distances(points, by)]
    return float(np.concatenate(inside).mean())


def _squared_distances(a: np.ndarray, b: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of rows of the squared distances [len(a), len(b)]."""
    square_b = np.square(b).sum(axis=1)
    for start in range(0, len(a), _BLOCK):
        rows = a[start : start + _BLOCK]
        distances = -2 * rows @ b.T
        distances += np.square(rows).sum(axis=1)[:, None]
        distances += square_b
        yield distances


def _largest_f(precision: np.ndarray, recall: np.ndarray, beta: float) -> float:
    """max (1 + beta^2) p r / (beta^2 p + r); 0 where both vanish."""
    denominator = beta**2 * precision + recall
    return float(np.max((1 + beta**2) * precision * recall / np.maximum(denominator, 1e-10)))


class PrecisionRecallMetric(FeatureMetric):
    """Improved precision and recall, and the largest F-scores of the PRD curve."""

    name = "precision_recall"
    higher_is_better = ("precision", "recall", "prd_f8", "prd_f_one_eighth")
    least = CLUSTERS

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the four numbers of data and other data, then of data and samples; the curves."""
        curves = {}
        for pair in self.pairs(subject, dataset, settings):
            features = pair.first.features, pair.second.features
            shares = precision_recall(*features)
            curve = precision_recall_curve(*features, seed=settings.seed)
            curves["other data" if pair.ending else "samples"] = curve
            balls = f"within the {NEIGHBOURS}-nearest-neighbour balls of"
            given = f"features of {pair.sides}; standard error with the balls held fixed"
            prd = f"along the PRD curve of {CLUSTERS} clusters, features of {pair.sides}"
            values = {
                "precision": (shares.precision, f"share of the second {balls} the first, {given}"),
                "recall": (shares.recall, f"share of the first {balls} the second, {given}"),
                "prd_f8": (curve.f8, f"largest F_8, which weighs recall, {prd}"),
                "prd_f_one_eighth": (
                    curve.f_one_eighth,
                    f"largest F_1/8, which weighs precision, {prd}",
                ),
            }
            for name, (value, definition) in values.items():
                share = name in ("precision", "recall") and 0 < value < 1
                error = (value * (1 - value) / shares.n) ** 0.5 if share else None
                yield self.record(
                    subject,
                    settings,
                    name + pair.ending,
                    value,
                    error,
                    shares.n,
                    definition,
                    few(shares.n, 2000, "balls about so few images are wide"),
                )
        yield Picture(
            "prd",
            "PRD: the attainable pairs of precision and recall of other data, the best that can be "
            "had, and of samples.",
            curve_figure(curves),
        )


def curve_figure(curves: dict[str, PrecisionRecallCurve]) -> Figure:
    """PRD curves by name in one square."""
    figure = Figure(figsize=(4, 4), layout="constrained")
    axis = figure.subplots()
    for name, curve in curves.items():
        axis.plot(curve.recall, curve.precision, label=name)
    axis.set(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall", ylabel="precision", aspect="equal")
    axis.grid(alpha=0.3)
    axis.legend(loc="lower left")
    return figure
