"""Linear probe: how well classes are read off a code by a linear classifier, from few labels."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import threadpoolctl
from matplotlib.figure import Figure
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture
from zoo.evaluation.statistics import standard_error
from zoo.evaluation.subject.encodings import MEANINGS, mean_code
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.pixels import as_floats
from zoo.records import Record

# All chosen.
MOST = 10_000  # training images, with all of whose labels it is done
COMPONENTS = 50  # of pixels, the code of the data themselves
PENALTIES = (0.01, 0.1, 1.0, 10.0)  # inverse weights of the squared coefficients
FOLDS = 3
SUBSETS = 5
SHARES = {"_1_percent": 0.01, "_10_percent": 0.1, "": 1.0}  # of the labels


@dataclasses.dataclass(frozen=True)
class Probe:
    """Accuracy on test images, between 0 and 1, and its standard error: of the choice of labels,
    where not all are taken, and of test images; None where every answer is right or every one
    wrong, which tells no spread."""

    accuracy: float
    standard_error: float | None
    labels: int


def linear_probe(
    codes: np.ndarray,
    labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
    share: float = 1.0,
    seed: int = 0,
) -> Probe | None:
    """Multinomial logistic regression on a share of the labels, in the mean over five choices of
    them with the same shares of classes.

    Codes are divided by one number, the standard deviation of their largest dimension. Each
    dimension by its own would raise those that say nothing: 480 dimensions of noise of deviation
    0.02 take a probe of 40 labels from 0.66 to 0.19. The weight of the penalty is chosen inside the
    labelled images, by cross-validation.

    Args:
        codes: `[N, D]`.
        labels: int `[N]`.
        test_codes: `[M, D]`.
        test_labels: int `[M]`.
        share: of the N labels, in (0, 1].
        seed: of choices and folds.

    Returns:
        None where a class would have fewer labels than there are folds.
    """
    scale = float(codes.std(axis=0).max()) or 1.0
    centre = codes.mean(axis=0)
    codes, test_codes = ((side - centre) / scale for side in (codes, test_codes))
    choices = [np.arange(len(labels))]
    classes, coded = np.unique(labels, return_inverse=True)
    if share * len(labels) < FOLDS * len(classes):
        return None
    if share < 1:
        chance = StratifiedShuffleSplit(SUBSETS, train_size=share, random_state=seed)
        choices = [chosen for chosen, _ in chance.split(codes, labels)]
    if min(np.bincount(coded[c], minlength=len(classes)).min() for c in choices) < FOLDS:
        return None
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    accuracies = []
    # Threads that wait for each other cost far more than such small products.
    with threadpoolctl.threadpool_limits(1), warnings.catch_warnings():
        # Of classes that are told apart with certainty the coefficients grow without end.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for chosen in choices:
            search = GridSearchCV(
                LogisticRegression(max_iter=1000), {"C": list(PENALTIES)}, cv=folds
            )
            search.fit(codes[chosen], labels[chosen])
            accuracies.append(float(search.score(test_codes, test_labels)))
    accuracy = float(np.mean(accuracies))
    of_images = math.sqrt(accuracy * (1 - accuracy) / len(test_labels))
    of_choices = standard_error(accuracies) if len(accuracies) > 1 else 0.0
    return Probe(accuracy, math.hypot(of_images, of_choices) or None, len(choices[0]))


class LinearProbe(Metric):
    """Accuracy of linear classifiers of the codes, from 1, 10 and 100 % of the labels."""

    name = "probe"
    higher_is_better = tuple(f"probe{some}" for some in SHARES)
    needs = ("encode",)
    uses = ("split", "num_samples", "seed")
    revision = 3

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; it takes classes, and training images of each."""
        super().check(subject, dataset, settings)
        if settings.split == "train":
            raise UsageError("split='train' is what probe learns from: expected validation or test")
        dataset.labels(settings.split)
        labels = dataset.labels("train")[_pool(dataset, settings)]
        classes, counts = np.unique(labels, return_counts=True)
        if len(classes) < 2 or counts.min() < FOLDS:
            raise UsageError(
                f"{dataset.name} has {len(classes)} classes, the rarest with {counts.min()} of "
                f"{len(labels)} training images: probe takes 2 classes of {FOLDS} at least"
            )

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields the accuracies of principal components of pixels, then of codes; both over the
        number of labels."""
        pool, tested = _pool(dataset, settings), self.examples(dataset, settings)
        known, labels = dataset.split("train").images[pool], dataset.labels("train")[pool]
        truth, shown = np.asarray(tested.labels), (known, tested.images)
        outputs = [subject.all("encode", images=side) for side in shown]
        code = mean_code(subject, outputs[0])
        pixels = [as_floats(side).reshape(len(side), -1) for side in shown]
        linear = PCA(
            min(COMPONENTS, *pixels[0].shape), svd_solver="randomized", random_state=settings.seed
        ).fit(pixels[0])
        sides = {
            "_data": ("principal components of pixels", [linear.transform(p) for p in pixels]),
            "": (f"dimensions of {MEANINGS[code]}", [side[code] for side in outputs]),
        }
        curves: dict[str, list[Probe]] = {}
        for ending, (name, (of_known, of_test)) in sides.items():
            probes = curves.setdefault(name, [])
            for some, share in SHARES.items():
                probe = linear_probe(
                    np.asarray(of_known, np.float64),
                    labels,
                    np.asarray(of_test, np.float64),
                    truth,
                    share,
                    settings.seed,
                )
                if probe is None:
                    continue
                probes.append(probe)
                yield Record(
                    f"probe{some}{ending}",
                    probe.accuracy,
                    probe.standard_error,
                    len(truth),
                    settings.split,
                    f"accuracy of a multinomial logistic regression on {of_known.shape[1]} {name}, "
                    f"from {probe.labels} labels, divided by one number; mean over "
                    f"{SUBSETS if share < 1 else 1} choices of labels",
                    {"labels": probe.labels, "latent_size": of_known.shape[1]},
                )
        caption = (
            f"Accuracy on {len(truth)} {settings.split} images by the number of labels, of a "
            "linear classifier of codes, and of principal components of pixels; bars are standard "
            "errors."
        )
        yield Picture("labels", caption, _curves(curves))


def _pool(dataset: ImageDataset, settings: EvaluationConfig) -> np.ndarray:
    """The training images whose labels are there to be had, in order."""
    count = len(dataset.split("train"))
    return np.sort(np.random.default_rng(settings.seed).permutation(count)[:MOST])


def _curves(curves: Mapping[str, list[Probe]]) -> Figure:
    figure, (axis,) = panels(1, 1, (5.5, 2.8))
    for name, probes in curves.items():
        axis.errorbar(
            [probe.labels for probe in probes],
            [probe.accuracy for probe in probes],
            [probe.standard_error or 0.0 for probe in probes],
            fmt=".-",
            capsize=3,
            label=name,
        )
    axis.set_xscale("log")
    axis.set_xlabel("labels", fontsize=9)
    axis.set_ylabel("accuracy", fontsize=9)
    axis.legend(fontsize=8, loc="lower right")
    return figure
