"""Precision (are samples like data?) and recall (are all data like some sample?), two ways."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence

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
DENSITY_NEIGHBOURS = 5  # [R]
HALVINGS = 8  # of both sides, for standard errors; chosen
CLUSTERS = 20  # [F]
_BLOCK = 1024  # rows of a block of pairwise distances, chosen

_DEFINITIONS = {
    "precision": f"share of the second within the {NEIGHBOURS}-nearest-neighbour balls of the "
    "first",
    "recall": f"share of the first within the {NEIGHBOURS}-nearest-neighbour balls of the second",
    "density": "how many of the second a ball of the first holds, relative to its k = "
    f"{DENSITY_NEIGHBOURS} neighbours; about 1 where they are alike, more is possible",
    "coverage": f"share of the {DENSITY_NEIGHBOURS}-nearest-neighbour balls of the first that hold "
    "any of the second",
    "prd_f8": f"largest F_8, which weighs recall, along the PRD curve of {CLUSTERS} clusters",
    "prd_f_one_eighth": f"largest F_1/8, which weighs precision, along the PRD curve of {CLUSTERS} "
    "clusters",
}


@dataclasses.dataclass(frozen=True)
class PrecisionRecall:
    """Improved precision and recall."""

    precision: float
    recall: float
    neighbours: int
    n: int  # examples on each side


@dataclasses.dataclass(frozen=True)
class DensityCoverage:
    """Density, of which 1 is that of the data themselves and more is possible, and coverage."""

    density: float
    coverage: float
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
    real, generated = _checked(real, generated, neighbours)
    return PrecisionRecall(
        precision=_share_covered(generated, by=real, neighbours=neighbours),
        recall=_share_covered(real, by=generated, neighbours=neighbours),
        neighbours=neighbours,
        n=len(real),
    )


def density_coverage(
    real: np.ndarray, generated: np.ndarray, neighbours: int = DENSITY_NEIGHBOURS
) -> DensityCoverage:
    """How many balls of real examples hold a generated one, and how many of them hold any (Naeem
    et al. 2020 [R]).

        density = (1 / (k N)) sum_g #{r: g in ball(r)},  coverage = share of r whose ball holds a g.

    One outlier among the real examples has a wide ball, which precision takes for a whole region;
    density weighs it as one of k. Both are blind to copies.

    Args:
        real: features [N, F].
        generated: features [N, F], as many.
        neighbours: k, whose distance from a real example is the radius of its ball; 5 as published
            [R].

    Raises:
        UsageError: as `precision_recall`.
    """
    real, generated = _checked(real, generated, neighbours)
    held = np.zeros(len(real), np.int64)
    for inside in _inside(generated, real, neighbours):
        held += inside.sum(axis=0)
    return DensityCoverage(
        density=float(held.sum() / (neighbours * len(generated))),
        coverage=float((held > 0).mean()),
        neighbours=neighbours,
        n=len(real),
    )


def errors_by_halves(
    statistics: Callable[[np.ndarray, np.ndarray], Sequence[float]],
    real: np.ndarray,
    generated: np.ndarray,
    seed: int = 0,
) -> np.ndarray:
    """Standard errors [K] of K statistics of two sets, each of as many examples.

    Both sides are cut into halves by chance, again and again; half the difference of two halves has
    the standard error of the whole. A bootstrap would be wrong here: an example and its copy are
    each other's nearest neighbours, and their balls have no radius.

    Args:
        statistics: of a part of both sides, [K] numbers.
        real: [N, F].
        generated: [N, F].
        seed: of the halvings.
    """
    generator = np.random.default_rng(seed)
    differences = []
    for _ in range(HALVINGS):
        halves = [
            np.array_split(side[generator.permutation(len(side))], 2) for side in (real, generated)
        ]
        one, other = (np.asarray(statistics(*pair)) for pair in zip(*halves, strict=True))
        differences.append((one - other) / 2)
    return np.sqrt(np.square(differences).mean(axis=0))


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


def _checked(
    real: np.ndarray, generated: np.ndarray, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    if neighbours < 1:
        raise UsageError(f"neighbours={neighbours} is not accepted: expected at least 1")
    return _pair(real, generated, at_least=neighbours + 1)


def _share_covered(points: np.ndarray, by: np.ndarray, neighbours: int) -> float:
    """Share of `points` that lie in at least one ball of `by`."""
    covered = [inside.any(axis=1) for inside in _inside(points, by, neighbours)]
    return float(np.concatenate(covered).mean())


def _inside(points: np.ndarray, by: np.ndarray, neighbours: int) -> Iterator[np.ndarray]:
    """Blocks of rows of [len(points), len(by)]: which points lie in which balls."""
    # About one centre the expanded square cancels least; points on the edge of a ball, such as a
    # set's own, are told inside from outside by more than its rounding error.
    centre = by.mean(axis=0)
    points, by = points - centre, by - centre
    slack = 1e-12 * max(np.square(points).sum(axis=1).max(), np.square(by).sum(axis=1).max())
    radii = np.concatenate(
        [np.partition(rows, neighbours)[:, neighbours] for rows in _squared_distances(by, by)]
    )
    for rows in _squared_distances(points, by):
        yield rows <= radii + slack


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


def ball_statistics(real: np.ndarray, generated: np.ndarray) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage of features [N, F] of both sides."""
    shares, balls = precision_recall(real, generated), density_coverage(real, generated)
    return shares.precision, shares.recall, balls.density, balls.coverage


class PrecisionRecallMetric(FeatureMetric):
    """Improved precision and recall, density and coverage, and the F-scores of the PRD curve."""

    name = "precision_recall"
    higher_is_better = ("precision", "recall", "coverage", "prd_f8", "prd_f_one_eighth")
    least = CLUSTERS
    revision = 2

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the six numbers of data and other data, then of data and samples; the curves."""
        curves = {}
        for pair in self.pairs(subject, dataset, settings):
            features = pair.first.features, pair.second.features
            curve = precision_recall_curve(*features, seed=settings.seed)
            curves["other data" if pair.ending else "samples"] = curve
            values = (*ball_statistics(*features), curve.f8, curve.f_one_eighth)
            errors = errors_by_halves(ball_statistics, *features, settings.seed).tolist()
            for (name, what), value, error in itertools.zip_longest(
                _DEFINITIONS.items(), values, errors
            ):
                yield self.record(
                    subject,
                    settings,
                    name + pair.ending,
                    value,
                    error or None,  # where every half says the same there is none to be had
                    curve.n,
                    f"{what}; features of {pair.sides}",
                    few(curve.n, 2000, "balls about so few images are wide"),
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
