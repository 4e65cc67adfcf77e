"""Inception Score: exp of the mutual information of image and predicted class."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from scipy.special import rel_entr

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Picture, few
from zoo.evaluation.samples.features import FeatureMetric
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.subject import Subject
from zoo.records import Record

SCORE_SPLITS = 10  # [F]
SHOWN = 20  # classes of the picture, chosen
ENOUGH = 50_000  # images, as published scores have [F]

_LEAST_PER_SPLIT = 10  # chosen: below, p(y) of a split says more of the split than of the model


@dataclasses.dataclass(frozen=True)
class InceptionScore:
    """The score is between 1 and the number of classes; more is better."""

    value: float  # mean over the splits, below the score of all images by the bias of small parts
    standard_deviation: float  # over the splits, as published scores give it
    standard_error: float  # of value: over the splits, by their number; the bias is not in it
    corrected: float  # of all images at once, less the bias that is left
    corrected_standard_error: float
    splits: int
    n: int


def inception_score(
    probabilities: np.ndarray, splits: int = SCORE_SPLITS, seed: int = 0
) -> InceptionScore:
    """exp E_x KL(p(y|x) || p(y)) (Salimans et al. 2016 [F]), float64.

    The examples are shuffled before they are split, since sets that are sorted by class give each
    split a p(y) of its own. The mean over splits is what is published; it grows with the size of a
    split, and is far below the score of ten times as many images. `corrected` is the score of all
    of them with the first term of its bias taken off, (Miller 1955) for an entropy,

        log p(y) bias  ~  mean_i sum_k (p_ik - p_k)^2 / p_k / (2 n).

    Args:
        probabilities: [N, K], p(y|x) of a classifier, each row summing to 1.
        splits: parts, each with a score [F]; 10 as published.
        seed: of the shuffle.

    Raises:
        UsageError: the rows are no probabilities (NaN included), or there are fewer than 10 per
            split, or fewer than 2 splits.
    """
    probabilities = np.asarray(probabilities, np.float64)
    if probabilities.ndim != 2 or probabilities.shape[1] == 0:
        raise UsageError(f"probabilities have shape {probabilities.shape}: expected [N, K]")
    n = len(probabilities)
    if splits < 2:
        raise UsageError(f"splits={splits} is not accepted: expected at least 2")
    if n < splits * _LEAST_PER_SPLIT:
        raise UsageError(
            f"{n} images are too few for {splits} splits: "
            f"expected at least {splits * _LEAST_PER_SPLIT}"
        )
    # Written so that NaN fails it.
    if not (probabilities.min() >= 0 and np.abs(probabilities.sum(axis=1) - 1).max() < 1e-3):
        raise UsageError(
            "probabilities have a row that is not finite, not positive or does not sum to 1: "
            "expected the softmax of a classifier"
        )
    order = np.random.default_rng(seed).permutation(n)
    scores = []
    for part in np.array_split(probabilities[order], splits):
        divergence = rel_entr(part, part.mean(axis=0)).sum(axis=1)
        scores.append(math.exp(divergence.mean()))
    marginal = probabilities.mean(axis=0)
    divergence = rel_entr(probabilities, marginal).sum(axis=1)
    whole = math.exp(divergence.mean())
    seen = marginal > 0
    spread = np.square(probabilities[:, seen] - marginal[seen]) / marginal[seen]
    return InceptionScore(
        corrected=whole * (1 + float(spread.sum(axis=1).mean()) / (2 * n)),
        corrected_standard_error=whole * standard_error(divergence),
        value=float(np.mean(scores)),
        standard_deviation=float(np.std(scores)),
        standard_error=standard_error(scores),
        splits=splits,
        n=n,
    )


class InceptionScoreMetric(FeatureMetric):
    """The Inception Score of the data, then of as many samples."""

    name = "inception_score"
    higher_is_better = ("inception_score", "inception_score_corrected")
    least = SCORE_SPLITS * _LEAST_PER_SPLIT

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the two scores and a picture of the classes."""
        sides = {
            "data": self.data(subject, dataset, settings),
            "samples": self.samples(subject, dataset, settings),
        }
        for name, side in sides.items():
            result = inception_score(side.probabilities, seed=settings.seed)
            ending, classes = "_data" if name == "data" else "", side.logits.shape[1]
            what = f"exp E KL(p(y|x)||p(y)) over {name}"
            yield self.record(
                subject,
                settings,
                f"inception_score{ending}",
                result.value,
                result.standard_error,
                result.n,
                f"{what}, mean over {SCORE_SPLITS} splits after a shuffle, as published; it grows "
                "with n: compare at equal n",
                warnings=few(
                    result.n,
                    ENOUGH,
                    "below the score of many images, which its error "
                    "does not tell; see inception_score_corrected",
                ),
                standard_deviation=result.standard_deviation,
                classes=classes,
            )
            yield self.record(
                subject,
                settings,
                f"inception_score_corrected{ending}",
                result.corrected,
                result.corrected_standard_error,
                result.n,
                f"{what}, all at once, less the first term of its bias",
                classes=classes,
            )
        yield Picture(
            "classes",
            "Share of each class that the classifier sees in data and samples; of many, the "
            f"{SHOWN} most frequent in the data.",
            class_shares({name: side.logits for name, side in sides.items()}),
        )


def class_shares(logits: dict[str, np.ndarray]) -> Figure:
    """Bars of the predicted classes' shares of each set of logits `[N, K]`."""
    shares = {
        name: np.bincount(side.argmax(axis=1), minlength=side.shape[1]) / len(side)
        for name, side in logits.items()
    }
    classes = len(shares["data"])
    shown: np.ndarray = np.arange(classes)
    if classes > SHOWN:
        shown = np.argsort(-shares["data"], kind="stable")[:SHOWN]
    figure = Figure(figsize=(6.5, 3), layout="constrained")
    axis = figure.subplots()
    for i, (name, share) in enumerate(shares.items()):
        axis.bar(np.arange(len(shown)) + 0.4 * (i - 0.5), share[shown], 0.4, label=name)
    axis.set_xticks(np.arange(len(shown)), shown)
    axis.set_xlabel("predicted class")
    axis.set_ylabel("share")
    axis.legend()
    return figure
