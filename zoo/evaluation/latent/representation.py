"""How many dimensions carry the code of an image: sparse against dense codes, without a threshold.

Active units count what varies by more than a threshold, and a thousand dimensions of noise pass it.
Shares of a total do not:

    participation ratio (sum v)^2 / sum v^2,  effective rank exp(-sum p log p), p = v / sum v,

both k where k dimensions have equal shares, and nearly k where the others have little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure
from scipy.special import entr

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.gaussians import check_matrix, kl_of_dimensions
from zoo.evaluation.protocol import Metric, Picture, mean_record
from zoo.evaluation.statistics import jackknife
from zoo.evaluation.subject.encodings import MEANINGS, mean_code
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.records import Record

SHARE = 0.9  # of the KL, which some dimensions carry; chosen
LEAST = 3  # images: a covariance and the correction of its moments
_PARTS = 10  # of the jackknife; chosen


def participation_ratio(amounts: np.ndarray) -> float:
    """(sum v)^2 / sum v^2 of amounts `[D]`, none below 0: between 1 and D; 0 if all are 0."""
    squares = float(np.square(amounts).sum())
    return float(np.sum(amounts)) ** 2 / squares if squares else 0.0


def effective_rank(amounts: np.ndarray) -> float:
    """exp of the entropy of the shares of amounts `[D]`, none below 0 (Roy & Vetterli 2007 [R]):
    between 1 and D; 0 if all are 0."""
    total = float(np.sum(amounts))
    return math.exp(entr(amounts / total).sum()) if total else 0.0


def dimensions_of_share(amounts: np.ndarray, share: float = SHARE) -> int:
    """The fewest of the amounts `[D]` that have this share of their sum; 0 if all are 0."""
    shares = np.cumsum(np.sort(amounts)[::-1])
    if not shares[-1]:
        return 0
    return 1 + int(np.searchsorted(shares, share * shares[-1] * (1 - 1e-12)))


def rotated_participation_ratio(codes: np.ndarray) -> float:
    """The participation ratio of the eigenvalues of the covariance, which no rotation of the codes
    changes: (tr S)^2 / tr S^2, of both the estimates that are unbiased for Gaussian codes. As it
    stands, of N codes of D equal dimensions, it would be D / (1 + D / N).

    Args:
        codes: `[N, D]`, N at least 3.

    Returns:
        0 if no dimension varies.
    """
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    n = len(codes) - 1
    # The smaller of the two products has the same sum of squares.
    product = centred.T @ centred if codes.shape[1] <= len(codes) else centred @ centred.T
    first, second = float(np.square(centred).sum()) / n, float(np.square(product).sum()) / n**2
    of_square = n**2 * second - n * first**2
    square_of = n * (n + 1) * first**2 - 2 * n * second
    if not first:
        return 0.0
    # Of very few codes the estimate of tr S^2 can be 0: none of the dimensions stands out.
    return square_of / of_square if of_square > 0 else float(codes.shape[1])


def hoyer(codes: np.ndarray) -> np.ndarray:
    """(sqrt D - |x|_1 / |x|_2) / (sqrt D - 1) of each code `[N, D]` (Hoyer 2004 [R]): 1 where one
    dimension has all, 0 where all have the same. D is at least 2. A code of zeros alone has none,
    and is left out."""
    lengths = np.linalg.norm(codes, axis=1)
    codes, lengths, root = codes[lengths > 0], lengths[lengths > 0], math.sqrt(codes.shape[1])
    return (root - np.abs(codes).sum(axis=1) / lengths) / (root - 1)


def dense_hoyer(size: int) -> float:
    """Of draws of N(0, I) in D dimensions, up to terms of 1 / D: what no sparse code has."""
    root = math.sqrt(size)
    return (1 - math.sqrt(2 / math.pi)) * root / (root - 1)


def with_error(statistic: Callable[[np.ndarray], float], n: int) -> tuple[float, float | None]:
    """A statistic of the rows `[N]`, and its standard error by leaving out a tenth at a time; None
    below 30 rows.

    Args:
        statistic: of the numbers of rows, N or nine tenths of them.
        n: N.
    """
    rows = np.arange(n)
    value = statistic(rows)
    if n < LEAST * _PARTS:
        return value, None
    # Not consecutive ones, nor every tenth: data come sorted by class, or in turns.
    parts = np.array_split(np.random.default_rng(0).permutation(n), _PARTS)
    return value, jackknife(value, [statistic(np.delete(rows, part)) for part in parts])[1]


class Representation(Metric):
    """How many dimensions carry the code: participation ratios, effective ranks and sparsity."""

    name = "representation"
    needs = ("encode",)
    uses = ("split", "num_samples")
    revision = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; a covariance takes three images."""
        super().check(subject, dataset, settings)
        n = settings.count(LEAST, len(dataset.split(settings.split)))
        if n < LEAST:
            raise UsageError(
                f"representation of {n} {settings.split} images: expected at least {LEAST}"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields what carries the KL, where the posterior is a Gaussian and the prior N(0, I), then
        what varies with the image, and how sparse each code is."""
        split, images = settings.split, self.examples(dataset, settings).images
        outputs = subject.all("encode", images=images)
        code = mean_code(subject, outputs)
        codes = check_matrix(code, outputs[code]).astype(np.float64)
        meaning = MEANINGS[code]
        n, size = codes.shape
        amounts: dict[str, np.ndarray] = {}

        def record(name: str, of: Callable[[np.ndarray], float], definition: str) -> Record:
            value, error = with_error(of, n)
            definition = f"{definition}, of {size} dimensions"
            return Record(name, value, error, n, split, definition, {"latent_size": size})

        def shares_of(
            ending: str, of: Callable[[np.ndarray], np.ndarray], what: str, lead: str = ""
        ) -> Iterator[Record]:
            yield record(
                f"participation_ratio{ending}",
                lambda rows: participation_ratio(of(rows)),
                f"{lead}(sum v)^2 / sum v^2 of v = {what}",
            )
            yield record(
                f"effective_rank{ending}",
                lambda rows: effective_rank(of(rows)),
                f"exp of the entropy of the shares of {what}",
            )

        if {"mean", "stddev"} <= set(outputs) and subject.has_standard_prior:
            mean, stddev = outputs["mean"], outputs["stddev"]

            def kl(rows: np.ndarray) -> np.ndarray:
                return np.maximum(kl_of_dimensions(mean[rows], stddev[rows]), 0)

            amounts["KL"] = kl(np.arange(n))
            what = "the mean KL(q(z_i|x)||p(z_i)) of each dimension"
            yield from shares_of("_kl", kl, what, "how many latents carry the rate: ")
            # A whole number: parts of the images mostly give the same, which is no error of 0.
            yield Record(
                "dims90",
                dimensions_of_share(amounts["KL"]),
                None,
                n,
                split,
                f"the fewest dimensions that have {SHARE:.0%} of {what}, of {size} dimensions",
                {"latent_size": size},
            )

        def variances(rows: np.ndarray) -> np.ndarray:
            return codes[rows].var(axis=0, ddof=1)

        amounts["variance"] = variances(np.arange(n))
        yield from shares_of("", variances, f"the variance over images of {meaning}")
        yield record(
            "participation_ratio_rotated",
            lambda rows: rotated_participation_ratio(codes[rows]),
            f"(tr S)^2 / tr S^2 of the covariance S of {meaning}, which no rotation changes, "
            "unbiased for Gaussian codes",
        )
        sparsity = hoyer(codes) if size > 1 else np.zeros(0)
        if len(sparsity):
            yield mean_record(
                "hoyer",
                sparsity,
                split,
                f"mean over images of (sqrt D - |x|_1 / |x|_2) / (sqrt D - 1), x the code "
                f"{meaning} of D = {size} dimensions; 1 where one has all, and dense_gaussian "
                "for draws of N(0, I)",
                dense_gaussian=dense_hoyer(size),
                latent_size=size,
            )
        caption = (
            f"Share of the {' and of the '.join(amounts)} that the dimensions have together, "
            f"largest first, over {n} {split} images; {SHARE:.0%} is dashed. A dense code has the "
            "dotted line."
        )
        yield Picture("shares", caption, _shares(amounts))


def _shares(amounts: Mapping[str, np.ndarray]) -> Figure:
    figure, (axis,) = panels(1, 1, (5.5, 2.8))
    for name, values in amounts.items():
        total = values.sum()
        shares = np.cumsum(np.sort(values)[::-1]) / (total if total > 0 else 1)
        axis.plot(np.arange(len(values) + 1), np.concatenate([[0], shares]), label=name)
        axis.plot([0, len(values)], [0, 1], ":", color="0.6", linewidth=1)
    axis.axhline(SHARE, color="0.5", linestyle="--", linewidth=1)
    axis.set_xlabel("dimensions, largest first", fontsize=9)
    axis.set_ylabel("share", fontsize=9)
    axis.legend(fontsize=8, loc="lower right")
    return figure
