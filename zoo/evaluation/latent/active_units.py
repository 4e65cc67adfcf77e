"""Active units: the dimensions of the code that depend on the image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure

from zoo.config import EvaluationConfig
from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.protocol import Metric, Picture
from zoo.evaluation.subject.encodings import MEANINGS, mean_code
from zoo.evaluation.subject.subject import Subject
from zoo.figures import panels
from zoo.records import Record


@dataclasses.dataclass(frozen=True)
class ActiveUnits:
    """How many dimensions are in use, and how strongly each."""

    count: int
    variances: np.ndarray  # [D], Var_x E[z_i|x]
    threshold: float
    n: int


def active_units(mean: np.ndarray, threshold: float = 0.01) -> ActiveUnits:
    """Counts the dimensions with Var_x E[z_i|x] > threshold (Burda et al. 2016 [C]).

    Args:
        mean: [N, D], E[z|x] of N images.
        threshold: 0.01 [C].

    Raises:
        UsageError: `mean` is not a finite matrix of at least two rows.
    """
    mean = np.asarray(mean)
    if mean.ndim != 2 or len(mean) < 2:
        raise UsageError(f"mean has shape {mean.shape}: expected [N, D] with N at least 2")
    if not np.isfinite(mean).all():
        raise UsageError("mean holds a value that is not finite: expected finite numbers")
    variances = mean.var(axis=0, ddof=1, dtype=np.float64)
    return ActiveUnits(
        count=int((variances > threshold).sum()),
        variances=variances,
        threshold=threshold,
        n=len(mean),
    )


class ActiveUnitsMetric(Metric):
    """Active units of a split."""

    name = "active_units"
    needs = ("encode",)
    uses = ("split", "num_samples")
    revision = 2

    def check(self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig) -> None:
        """As every metric's; a variance takes two images."""
        super().check(subject, dataset, settings)
        if settings.count(2, len(dataset.split(settings.split))) < 2:
            raise UsageError(f"active_units of one {settings.split} image: expected at least 2")

    def measure(
        self, subject: Subject, dataset: ImageDataset, settings: EvaluationConfig
    ) -> Iterator[Record | Picture]:
        """Yields their number; of the point code z where `encode` gives no mean."""
        images = self.examples(dataset, settings).images
        outputs = subject.all("encode", images=images)
        code = mean_code(subject, outputs)
        units, meaning = active_units(outputs[code]), MEANINGS[code]
        size = len(units.variances)
        yield Record(
            "active_units",
            units.count,
            None,
            units.n,
            settings.split,
            f"dimensions of the code, of {size}, with Var_x of {meaning} above {units.threshold:g}",
            {"code": code, "latent_size": size, "threshold": units.threshold},
        )
        caption = (
            f"Variance over the {units.n} {settings.split} images of {meaning}, per dimension, "
            f"largest first; {units.count} of {size} lie above the threshold {units.threshold:g}."
        )
        yield Picture("variances", caption, _curve(units))


def _curve(units: ActiveUnits) -> Figure:
    figure, (axis,) = panels(1, 1, (5.5, 2.6))
    variances = np.sort(units.variances)[::-1]
    # On a logarithmic axis zero has no place.
    axis.plot(np.arange(1, len(variances) + 1), np.maximum(variances, 1e-12), ".-", markersize=4)
    axis.axhline(units.threshold, color="0.5", linestyle="--", linewidth=1)
    axis.set_yscale("log")
    axis.set_xlabel("dimension, largest variance first", fontsize=9)
    axis.set_ylabel("variance over images", fontsize=9)
    return figure
