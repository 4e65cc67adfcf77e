"""What a page draws from a run's weights: samples, reconstructions, and walks among its codes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from zoo.data.images import ImageDataset
from zoo.errors import UsageError
from zoo.evaluation.subject.subject import Subject
from zoo.evaluation.subject.walks import EXTENT, STEPS, point_codes, slerp, traversal
from zoo.pictures import grid, side_by_side
from zoo.pixels import as_floats, as_levels
from zoo.registry import INSTRUMENTS
from zoo.report.pictures import Shown, shown_pixels
from zoo.run import Run

# All chosen.
SEED = 0  # of the samples: models of one latent size and prior get the same codes
SAMPLES, SIDE_BY_SIDE = 64, 16  # of a page of one run, and of each run of a comparison
PAIRS = 16  # of originals and reconstructions
DIMENSIONS = 8  # that are traversed
WALKS = 2  # between two images each


@dataclasses.dataclass(frozen=True)
class Drawing:
    """One picture, or why there is none.

    Attributes:
        title: of its section.
        picture: None where there is none.
        reason: why; empty where there is one.
    """

    title: str
    picture: Shown | None
    reason: str = ""


def draw(run: Run) -> list[Drawing]:
    """All pictures of a run's newest checkpoint that its signatures allow; of the others, why not.
    None of what measures samples only, as a classifier does."""
    if run.config.model.model in INSTRUMENTS:
        return []
    try:
        subject = Subject.of_run(run)
    except UsageError as error:
        return [Drawing("Samples", None, str(error))]
    return [
        _drawing("Samples", lambda: samples(subject, SAMPLES)),
        _drawing("Reconstructions", lambda: _reconstructions(subject, run.dataset)),
        _drawing("Latent traversal", lambda: _traversal(subject, run.dataset)),
        _drawing("Interpolations", lambda: _interpolations(subject, run.dataset)),
    ]


def samples(subject: Subject, count: int) -> Shown:
    """A grid of samples under the common seed.

    Raises:
        UsageError: it has no prior.
    """
    images = subject.all("sample", seed=SEED, count=count)["images"]
    return shown_pixels(_grid(images), f"{count} samples of seed {SEED}, none of them chosen")


def _drawing(title: str, make: Callable[[], Shown]) -> Drawing:
    try:
        return Drawing(title, make())
    except UsageError as error:
        return Drawing(title, None, str(error))


def _held_out(dataset: ImageDataset, count: int) -> tuple[np.ndarray, str]:
    """Images of the split that training saw least of, and its name."""
    *_, split = dataset.splits  # in order: the test split, where there is one
    return dataset.split(split).some(count).images, split


def _reconstructions(subject: Subject, dataset: ImageDataset) -> Shown:
    subject.require("encode", "decode")
    originals, split = _held_out(dataset, PAIRS)
    decoded = subject.all("decode", z=point_codes(subject, originals))["images"]
    pairs = side_by_side(as_floats(originals), as_floats(as_levels(decoded)))
    return shown_pixels(pairs, f"images of the {split} split, each above its reconstruction")


def _traversal(subject: Subject, dataset: ImageDataset) -> Shown:
    found = traversal(subject, dataset, DIMENSIONS)
    named = [f"z[{d}] {kl:.2g}" for d, kl in zip(found.dimensions, found.kl, strict=True)]
    images = subject.all("decode", z=found.z)["images"]
    return shown_pixels(
        _grid(images, STEPS),
        f"a row for each dimension of the largest mean KL, from -{EXTENT:g} to {EXTENT:g} standard "
        f"deviations of the prior; from above, in nats: {', '.join(named)}",
    )


def _interpolations(subject: Subject, dataset: ImageDataset) -> Shown:
    subject.require("encode", "decode")
    originals, split = _held_out(dataset, 2 * WALKS)
    z = point_codes(subject, originals)
    walks = [slerp(first, second, STEPS) for first, second in zip(z[::2], z[1::2], strict=False)]
    images = subject.all("decode", z=np.concatenate(walks))["images"]
    return shown_pixels(
        _grid(images, STEPS), f"spherically between the codes of two images of the {split} split"
    )


def _grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    return grid(as_floats(as_levels(images)), columns)
